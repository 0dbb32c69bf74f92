"""What runs beside the server: the approvals page, its worker, the drafts and the audit they look after."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from ...approvals.whereabouts import Whereabouts
from ...config import Settings
from ...db import Database
from ...sink import last_head
from ...worker import TICK, last_round
from ..local import ensure_page
from ..session import conninfo, run
from .finding import Finding, ok, problem, skipped

SOON = timedelta(hours=2)
UNSEALED = timedelta(days=1)
_WAITING = """select count(*), count(*) filter (where expires_at < clock_timestamp() + %s) from crm.drafts
 where org_id = %s and state = 'pending' and expires_at > clock_timestamp()"""
_SEALED = """select max(at) filter (where seq is not null), min(at) filter (where seq is null) from crm.audit_log
 where org_id = %s"""
_UNKEPT = "select min(at) from crm.audit_log where org_id = %s and seq > %s"
_PROBLEMS = "select count(*) from crm.verify_audit(%s, decode(%s, 'hex'))"


def _each(known: Settings, ask: Callable[[int], tuple[str, tuple[object, ...]]]) -> list[tuple[Any, ...]]:
    """Ask one row of every org as the worker's login."""

    async def all_of_them() -> list[tuple[Any, ...]]:
        db = Database(conninfo(known, "crm_worker") + patience(known), size=1)
        try:
            rows = [await db.definer(org, *ask(org)) for org in await db.orgs()]
            return [row for row in rows if row is not None]
        finally:
            await db.close()

    return run(all_of_them())


def patience(known: Settings) -> str:
    return " options='-c statement_timeout=10000'" if known.is_embedded else ""


def has_worker(known: Settings) -> bool:
    return known.is_embedded or known.worker_url is not None


def page(known: Settings) -> Finding:
    """People can reach the page where drafts are decided."""
    here = Whereabouts.read(known.home)
    if here.answers():
        return ok(f"it answers at {known.approvals_url or here.origin}")
    if known.approvals_url:
        return skipped(f"it is configured elsewhere ({known.approvals_url}); look there")
    waiting = sum(row[0] for row in _each(known, _waiting)) if has_worker(known) else 0
    said = "it does not run" + (f", and {waiting} draft(s) wait for somebody to decide" if waiting else "")
    return Finding(
        "problem" if waiting else "attention",
        said,
        "Run `crm-mcp up`, or `crm-mcp open --user EMAIL`.",
        lambda: f"started it at {ensure_page(known)}",
    )


def worker(known: Settings) -> Finding:
    """The worker makes its rounds while the page runs, and the audit gets sealed."""
    if not has_worker(known):
        return skipped("CRM_WORKER_URL is not set here")
    last = last_round(known.home)
    rows = _each(known, lambda org: (_SEALED, (org,)))
    sealed = max((row[0] for row in rows if row[0]), default=None)
    said = f"last round {when(last)}; last audit row sealed of {when(sealed)}"
    fix = "Stop `crm-mcp up` and start it again: the worker belongs to it."
    alive = max((moment for moment in (last, _page_began(known.home)) if moment), default=None)
    if Whereabouts.read(known.home).answers() and (alive is None or _now() - alive > timedelta(seconds=4 * TICK)):
        return problem(f"the page runs and the worker does not: {said}", fix)
    waits = min((row[1] for row in rows if row[1]), default=None)
    if waits is not None and _now() - waits > UNSEALED:
        return problem(f"audit rows since {when(waits)} are not sealed; {said}", "Run `crm-mcp audit verify`.")
    return ok(said)


def audit(known: Settings) -> Finding:
    """The chain of every org is whole, and its heads reach the place outside the database."""
    if not has_worker(known):
        return skipped("CRM_WORKER_URL is not set here")
    if (unkept := _unkept(known)) is not None:
        return unkept
    try:
        rows = _each(known, lambda org: (_PROBLEMS, last_head(known.audit_sink, org)))
    except psycopg.errors.QueryCanceled:
        return skipped("too long to check in ten seconds; run `crm-mcp audit verify`")
    wrong = sum(row[0] for row in rows)
    if wrong:
        return problem(f"{wrong} row(s) were edited, moved or deleted", "Run `crm-mcp audit verify` to see which.")
    return ok(f"whole in {len(rows)} org(s)")


def _unkept(known: Settings) -> Finding | None:
    """Say what keeps heads from being kept where CRM_AUDIT_SINK says; None where nothing does, or none is set."""
    sink = known.audit_sink
    if sink is None:
        return None
    fix = "Make CRM_AUDIT_SINK a file that crm-mcp may write: without it a cut-off end of the audit cannot be found."
    there = sink if sink.exists() else sink.parent
    if sink.is_dir() or not os.access(there, os.W_OK if sink.exists() else os.W_OK | os.X_OK):
        return problem(f"its heads cannot be kept in {sink}", fix)
    rows = _each(known, lambda org: (_UNKEPT, (org, last_head(sink, org)[0])))
    since = min((row[0] for row in rows if row[0]), default=None)
    if since is not None and _now() - since > UNSEALED:
        return problem(f"heads since {when(since)} were not kept in {sink}", "Look at what the worker logs; " + fix)
    return None


def drafts(known: Settings) -> Finding:
    """Nobody's draft is about to expire unseen."""
    if not has_worker(known):
        return skipped("CRM_WORKER_URL is not set here")
    rows = _each(known, _waiting)
    waiting, soon = (sum(row[place] for row in rows) for place in (0, 1))
    if soon:
        return Finding(
            "attention", f"{soon} of {waiting} draft(s) expire within two hours", "Decide them: `crm-mcp open`."
        )
    return ok(f"{waiting} draft(s) wait")


def _page_began(home: Path) -> datetime | None:
    """When the page last started; a worker's first round takes a moment more."""
    file = home / "approvals.json"
    return datetime.fromtimestamp(file.stat().st_mtime, UTC) if file.exists() else None


def _waiting(org: int) -> tuple[str, tuple[object, ...]]:
    return _WAITING, (SOON, org)


def _now() -> datetime:
    return datetime.now(UTC)


def when(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else "never"
