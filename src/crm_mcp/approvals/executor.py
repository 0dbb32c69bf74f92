"""Show, approve, reject and edit held calls, as crm_approver: the only login whose guarded writes commit.

A held call is run again by the same handler in one transaction. Committed is only what the approver was shown.
"""

from collections.abc import Mapping

from .. import audit, ids
from ..audit import Call
from ..context import Revision
from ..db import Database
from ..principal import Principal
from .amending import amend
from .deciding import approve, reject
from .held import Outcome, Shown
from .passkey import Signature
from .showing import show


class Executor:
    """The approver's side of drafts. `db` connects as crm_approver."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def show(self, who: Principal, draft: int) -> Shown | None:
        """Run a held call dry and return what it would do now, or how it was decided; None where the org has no such draft."""
        return await show(self._db, who, draft)

    async def approve(self, who: Principal, draft: int, seen: str, signature: Signature | None = None) -> Outcome:
        """Carry out a held call, if it does exactly what was shown under the hash `seen`; exactly once.

        `signature` is of the approver's passkey, over just this: where the policy wants it, nothing goes without.

        Raises:
            Refusal: NOT_FOUND, NOT_AN_APPROVER, CHANGED_SINCE_SHOWN, BUSY, PASSKEY_NEEDED and what
                `evidence.keep` says; nothing was changed.
        """
        return await approve(self._db, who, draft, seen, signature)

    async def reject(
        self, who: Principal, draft: int, reason: str, seen: str = "", signature: Signature | None = None
    ) -> Outcome:
        """Turn a held call down, with a reason its requester is told; it may be signed, over the hash `seen`.

        Raises:
            Refusal: NOT_FOUND, NOT_AN_APPROVER, and of a signature what `evidence.keep` says.
        """
        return await reject(self._db, who, draft, reason, seen, signature)

    async def edit(
        self, who: Principal, draft: int, version: int, arguments: Mapping[str, object], reason: str
    ) -> Revision:
        """Put other arguments in place of a held call's (None: left out), by its requester or an approver.

        Whoever edits is a drafter from then on, and what was shown before can no longer be approved. `version` is the
        one that the editor saw.

        Raises:
            Refusal: NOT_FOUND, NOT_AN_APPROVER, DRAFT_CHANGED, NOTHING_CHANGED, and what the call itself refuses.
        """
        return await amend(self._db, who, draft, version, arguments, reason)

    async def discard(self, who: Principal, draft: int) -> bool:
        """Withdraw one's own draft; False where it is not theirs or no longer waits."""
        call = Call(who, "discard_draft", {"draft": ids.show("drafts", draft)}, draft=draft)
        async with self._db.begin(who, call.id) as conn:
            done = (await conn.exec_driver_sql("select crm.discard(%s)", (draft,))).scalar_one()
            await conn.exec_driver_sql(*audit.ended(call, "run", "ok" if done else "not theirs or decided"))
        return bool(done)
