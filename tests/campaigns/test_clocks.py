"""The clocks of the application are a day and an hour off, either way: the database's clock alone decides what is late."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from campaign_drafts import APPROVER
from campaign_processes import PATIENCE
from test_dependencies import hold

from crm_mcp import auth, log
from crm_mcp.approvals import held as held_calls
from crm_mcp.approvals.executor import Executor
from crm_mcp.db import Database
from crm_mcp.errors import refusal_for
from crm_mcp.worker import round_of_work

HOURS = (-25, 25)


def skew(hours: float) -> None:
    """Have every clock that Python reads in this process be off; Postgres keeps its own."""
    import time

    off, real = timedelta(hours=hours), time.time

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.fromtimestamp(real(), tz) + off

        @classmethod
        def utcnow(cls) -> datetime:
            raise AssertionError("a time without a zone")

    import sys

    for name, module in list(sys.modules.items()):
        if name.startswith(("crm_mcp", "psycopg", "sqlalchemy", "test_")):
            for attribute, value in list(vars(module).items()):
                if value is datetime:
                    setattr(module, attribute, Skewed)
    time.time = lambda: real() + off.total_seconds()


def elsewhere(pipe: Any, hours: float, home: Any, order: dict[str, Any] | None, draft: int | None, seen: str) -> None:
    """Draft, or approve, with the clocks off; say what came of it."""
    log.configure("error")
    skew(hours)
    pipe.send(asyncio.run(_draft(home, order) if order is not None else _approve(home, draft or 0, seen)))


async def _draft(home: Any, order: dict[str, Any]) -> int:
    return await hold(home, "create_order_draft", order)


async def _approve(home: Any, draft: int, seen: str) -> str:
    worker, approver = Database(home.conninfo("crm_worker")), Database(home.conninfo("crm_approver"))
    try:
        await round_of_work(worker, None)  # it would expire what its clock says is late
        who = await approver.sign_in(auth.by_email(APPROVER))
        try:
            return (await Executor(approver).approve(who, draft, seen)).state
        except Exception as problem:
            no = refusal_for(problem)
            return f"crashed {problem!r}" if no is None else f"refused {no.error}"
    finally:
        await worker.close()
        await approver.close()


def skewed(
    processes: Any, hours: float, home: Any, order: Any = None, draft: int | None = None, seen: str = ""
) -> Any:
    ours, theirs = processes.Pipe()
    child = processes.Process(target=elsewhere, args=(theirs, hours, home, order, draft, seen))
    child.start()
    theirs.close()
    assert ours.poll(PATIENCE), "it hangs"
    answer = ours.recv()
    child.join(PATIENCE)
    return answer


def left(desk: Any, draft: int) -> float:
    """Return the hours until a draft expires, by the database's clock."""
    row = desk.owner.execute(
        "select extract(epoch from expires_at - clock_timestamp())::float / 3600 from crm.drafts where id = %s",
        (draft,),
    ).fetchone()
    return float(row[0])


@pytest.mark.parametrize("hours", HOURS)
def test_a_draft_made_by_a_clock_that_is_off_lives_its_whole_day(home, processes, desk, hours):
    draft = skewed(processes, hours, home, order=desk.order())
    assert 23.9 < left(desk, draft) <= 24


@pytest.mark.parametrize("hours", HOURS)
def test_an_approver_whose_clock_is_off_approves_what_still_waits(home, processes, desk, hours):
    (draft,) = desk.drafts(1)
    (seen,) = desk.shown([draft])
    assert skewed(processes, hours, home, draft=draft, seen=seen) == "approved"
    assert desk.evidence([draft])[draft].orders == 1


@pytest.mark.parametrize("hours", HOURS)
def test_an_approver_whose_clock_is_off_approves_nothing_late(home, processes, desk, hours):
    (draft,) = desk.drafts(1)
    (seen,) = desk.shown([draft])
    desk.owner.execute("update crm.drafts set expires_at = clock_timestamp() where id = %s", (draft,))
    assert skewed(processes, hours, home, draft=draft, seen=seen) == "expired"
    assert desk.evidence([draft])[draft].orders == 0


def late_by_our_clock(held: Any) -> bool:
    """Planted: what is late is decided by the application's clock."""
    return held.state != "pending" or held.expires_at <= datetime.now(UTC)


def planted(pipe: Any, hours: float, home: Any, order: Any, draft: int | None, seen: str) -> None:
    held_calls.is_decided = late_by_our_clock
    elsewhere(pipe, hours, home, order, draft, seen)


def test_the_oracle_sees_an_approver_who_trusts_their_own_clock(home, processes, desk, monkeypatch):
    (draft,) = desk.drafts(1)
    (seen,) = desk.shown([draft])
    monkeypatch.setitem(globals(), "elsewhere", planted)
    told = skewed(processes, 25, home, draft=draft, seen=seen)
    assert (told, desk.evidence([draft])[draft].state) != ("approved", "approved")
