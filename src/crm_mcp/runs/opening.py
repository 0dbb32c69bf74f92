"""A person's own runs: begun, listed, shown, cancelled, taken up again. Postgres answers each person of their own alone."""

import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from .. import ids
from ..db import Database
from ..errors import Refusal
from ..principal import Agent, Principal
from .holding import Hold
from .names import RunNotFound, show
from .redacting import storable, without_personal_data

PATIENCE = timedelta(seconds=60)
"""How long a run's holder may be silent until it is taken for dead."""
LONGEST = 20_000
"""Characters of a request."""
_TITLE = 120
_NO: Mapping[str, tuple[str, str]] = {
    "STILL_RUNS": ("RUN_STILL_RUNS", "It is still going on. Wait for its end, or cancel it, and ask then."),
    "TOO_MANY": ("TOO_MANY_RUNS", "20 of your runs wait or go on. Wait for some, or cancel some."),
    "NOT_THAT_AGENT": ("NOT_THAT_AGENT", "Your key is for one agent alone: name it with --agent."),
}


class Opened(NamedTuple):
    """A run that was begun; `hold` where this process goes on with it itself."""

    run: int
    hold: Hold | None


async def open_run(
    db: Database,
    who: Principal,
    request: str,
    *,
    agent: Agent | None = None,
    after: int | None = None,
    in_background: bool = False,
    carry: Mapping[str, Any] | None = None,
) -> Opened:
    """Begin a run of a person, for a worker to do or for this process; `after` goes on with that run's conversation.

    `carry` is kept for whoever goes on with it, until it has ended.

    Raises:
        Refusal: RUN_NOT_FOUND, RUN_STILL_RUNS, TOO_MANY_RUNS, NOT_THAT_AGENT, INVALID_ARGUMENT.
    """
    text = request.strip()
    if not text or len(text) > LONGEST:
        hint = f"Say what is to be done, in at most {LONGEST} characters."
        raise Refusal("INVALID_ARGUMENT", hint, argument="request")
    kept, lease = without_personal_data(text), secrets.token_bytes(32)
    wanted = {"request": text, "asked": kept, "title": _first_words(kept), "background": in_background}
    wanted |= {"carry": dict(carry)} if carry else {}
    wanted |= {"agent": agent.value} if agent else {}
    wanted |= {"after": after} if after is not None else {}
    made = await _asked(db, who, "select crm.open_run(%s::jsonb, %s)", (_json(wanted), lease))
    if (no := made.get("refused")) is not None:
        raise RunNotFound(show(after or 0)) if no == "NOT_FOUND" else Refusal(*_NO[no])
    return Opened(made["run"], None if in_background else Hold(db, who.org, made["run"], lease))


async def runs(db: Database, who: Principal, most: int = 20) -> list[dict[str, Any]]:
    """Return the newest runs of a person, the newest first."""
    return await _asked(db, who, "select crm.my_runs(null, %s)", (most,))


async def run(db: Database, who: Principal, number: int) -> dict[str, Any]:
    """Return one run of a person.

    Raises:
        RunNotFound: there is none that is theirs.
    """
    found = await _asked(db, who, "select crm.my_runs(%s, 1)", (number,))
    if not found:
        raise RunNotFound(show(number))
    return found[0]


async def said_in(db: Database, who: Principal, number: int) -> list[dict[str, Any]]:
    """Return what was said in a person's run, in order: nothing where it is not theirs."""
    return await _asked(db, who, "select crm.my_run_items(%s)", (number,))


async def runs_of_all(db: Database, who: Principal, most: int = 50) -> list[dict[str, Any]]:
    """Return state and cost of everybody's runs, for an administrator: not a word of them.

    Raises:
        Refusal: ADMIN_ONLY.
    """
    found = await _asked(db, who, "select crm.org_runs(%s)", (most,))
    if found is None:
        raise Refusal("ADMIN_ONLY", "Administrators see state and cost of everybody's runs; you see your own.")
    return found


async def cancel(db: Database, who: Principal, number: int, patience: timedelta = PATIENCE) -> str:
    """Cancel a person's run; return `cancelled`, `cancelling` where it ends with its step, else the state it ended in.

    Raises:
        RunNotFound: there is none that is theirs.
    """
    state = await _asked(db, who, "select crm.cancel_run(%s, %s)", (number, patience))
    if state is None:
        raise RunNotFound(show(number))
    return state


async def resume(db: Database, who: Principal, number: int, patience: timedelta = PATIENCE) -> None:
    """Have a person's run go on in the background, at its last finished step.

    Raises:
        RunNotFound: there is none that is theirs.
        Refusal: RUN_NOT_RESUMABLE: it goes on, is finished, or its conversation went on without it.
    """
    state = await _asked(db, who, "select crm.resume_run(%s, %s)", (number, patience))
    if state is None:
        raise RunNotFound(show(number))
    if state != "resumed":
        why = {
            "finished": "It is finished: go on with `crm-mcp agents run … --continue`.",
            "superseded": "Its conversation has gone on since: go on with that by --continue.",
        }.get(state, f"It is {state} already.")
        raise Refusal("RUN_NOT_RESUMABLE", why, run=show(number))


async def _asked(db: Database, who: Principal, sql: str, params: tuple[object, ...]) -> Any:
    async with db.begin(who, ids.new_call()) as conn:
        return (await conn.exec_driver_sql(sql, params)).scalar_one()


def _first_words(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1] + "…"


def _json(value: object) -> str:
    return json.dumps(storable(value), ensure_ascii=False)
