"""A held call shown to a person: run dry, and compared with what was drafted."""

import json

from sqlalchemy.exc import DBAPIError

from ..audit import Call
from ..db import Database
from ..errors import Refusal, sqlstate
from ..principal import Principal
from . import evidence
from . import held as held_calls
from .held import Shown
from .objections import objection
from .rerun import BROKEN, CHANGED, rerun


async def show(db: Database, who: Principal, draft: int) -> Shown | None:
    """Do as `Executor.show` says; once more where it was decided while it ran."""
    try:
        return await _show(db, who, draft)
    except DBAPIError as problem:
        if sqlstate(problem) != "42501":
            raise
        return await _show(db, who, draft)  # the recorder refused the rest of what has been decided


async def _show(db: Database, who: Principal, draft: int) -> Shown | None:
    call = Call(who, "show_draft", {}, draft=draft)
    async with db.begin(who, call.id, draft=draft) as conn:
        held = await held_calls.read(conn, who.org, draft)
        if held is None:
            return None
        if held_calls.is_decided(held):
            return held_calls.past(held)
        try:
            async with rerun(conn, held, call) as run:
                shown, rows = run.tried.shown, list(run.tried.changes.rows)
                same = held_calls.does_the_same(held, run.tried.changes, shown)
                warnings = run.tried.warnings
                seen = held_calls.hash_of(held, run.tried.changes, shown, warnings, policy=run.policy)
                await run.tried.undo()
            may_not = await objection(conn, who, held, run)
            passkey = await evidence.needed(conn, draft, run.stake)
        except Refusal as no:
            return held_calls.impossible(held, f"{no.error}: {no.hint}")
        except DBAPIError as problem:
            if not (sqlstate(problem) or "").startswith("23"):
                raise
            return held_calls.impossible(held, BROKEN)
    stale = None if same else CHANGED
    return Shown(
        held_calls.described(held),
        shown,
        rows,
        json.loads(held.shown) if stale else None,
        stale,
        run.verdict.reason,
        seen,
        may_not,
        warnings,
        passkey,
    )
