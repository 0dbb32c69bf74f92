"""Undo on the page: what an approved draft did is drafted backwards, and waits to be seen and approved like any draft."""

from .. import ids
from ..db import Database
from ..principal import Principal
from . import proposing

TOOL = ("drafts", "undo_change")


async def propose(db: Database, who: Principal, draft: int, reason: str) -> int:
    """Draft the undo of an approved draft in the name of who asks for it; return the draft that waits.

    Raises:
        Refusal: CHANGE_NOT_FOUND, NOT_UNDOABLE with the nearest remedy, CHANGED_SINCE; nothing is drafted.
    """
    asked = {"change": ids.show("drafts", draft), "reason": reason}
    why = "an undo from the page is seen before it is done"
    held, _ = await proposing.propose(db, who, TOOL, asked, client="approvals page", why=why)
    return held.id
