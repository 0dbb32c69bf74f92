"""However many calls, connections and processes reserve at once, no limit is ever exceeded, and none is left unused."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from crm_mcp.agents.meter import PostgresMeter, Reservation
from crm_mcp.embedded import Home
from crm_mcp.errors import Refusal

Made = Callable[..., Awaitable[PostgresMeter]]
Limit = Callable[..., None]
SPENDER = Path(__file__).with_name("spender.py")
PEOPLE = ("sam@demo.example", "olga@demo.example", "fin@demo.example", "sue@demo.example")


async def reserved(meter: PostgresMeter, tokens: int, money: Decimal) -> Reservation | None:
    try:
        return await meter.reserve("race", tokens, money)
    except Refusal as no:
        if no.error == "OVER_BUDGET":
            return None
        raise


async def test_calls_of_many_connections_at_once_hold_exactly_what_there_is(meter: Made, limit: Limit):
    limit("org", 1000)
    limit("user", 300, "100")
    meters = [await meter(email) for email in PEOPLE for _ in range(12)]
    held = [h for h in await asyncio.gather(*(reserved(one, 70, Decimal("0.01")) for one in meters)) if h]
    assert len(held) == 14  # of each person four make 280 of 300; of the org fourteen make 980 of 1,000


async def test_money_at_once_is_exact_too(meter: Made, limit: Limit):
    limit("org", money="1")
    meters = [await meter(email) for email in PEOPLE for _ in range(8)]
    held = [h for h in await asyncio.gather(*(reserved(one, 1, Decimal("0.07")) for one in meters)) if h]
    assert len(held) == 14


async def test_calls_of_one_request_at_once_share_its_limit(meter: Made):
    one = await meter()
    held = [h for h in await asyncio.gather(*(reserved(one, 3000, Decimal(0)) for _ in range(12))) if h]
    assert len(held) == 3


async def test_processes_that_spend_at_once_never_exceed_a_limit_and_use_it_up(
    home: Home, limit: Limit, root: psycopg.Connection[Any]
):
    limit("org", 1000)
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(SPENDER),
            home.conninfo("crm_agent"),
            email,
            "30",
            "15",
            stdout=asyncio.subprocess.PIPE,
        )
        for email in PEOPLE[:3]
    ]
    said = [(await one.communicate())[0] for one in started]
    assert [one.returncode for one in started] == [0, 0, 0]
    assert sum(map(int, said)) == 990
    days = root.execute(
        "select user_id = 0, sum(tokens), sum(money) from crm.budget_days group by 1 order by 1"
    ).fetchall()
    assert days == [(False, 990, Decimal("0.33")), (True, 990, Decimal("0.33"))]
    assert root.execute("select sum(tokens_in), sum(calls) from crm.model_usage").fetchone() == (990, 33)


async def test_what_a_killed_process_held_is_held_until_its_time_is_over_and_then_free(
    home: Home, limit: Limit, root: psycopg.Connection[Any], meter: Made
):
    limit("user", 1000)
    words = (sys.executable, str(SPENDER), home.conninfo("crm_agent"), PEOPLE[0], "1000", "0")
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    assert await process.stdout.readline() == b"held\n"
    process.kill()
    await process.wait()
    one = await meter(PEOPLE[0])
    assert await reserved(one, 1, Decimal(0)) is None
    root.execute("update crm.token_reservations set expires_at = expires_at - interval '15 minutes'")
    assert await reserved(one, 1000, Decimal(0))
