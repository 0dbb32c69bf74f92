"""A principal makes so many calls a minute, whichever process serves them; what is refused says when to go on."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from mcp import MCPError

from crm_mcp import rates as module
from crm_mcp.audit import Call
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.errors import DatabaseUnavailable
from crm_mcp.principal import Agent, Principal
from crm_mcp.rates import RateLimited, Rates

Signed = Callable[..., Awaitable[Principal]]
Root = psycopg.Connection[Any]
NOON = "2031-03-04 12:00:00+00"


class Asked:
    """The database, counting how often it is asked."""

    def __init__(self, db: Database) -> None:
        self._db, self.leases = db, 0

    async def definer(self, org: int, statement: str, params: tuple[object, ...] = ()) -> Any:
        self.leases += 1
        return await self._db.definer(org, statement, params)

    async def alone(self, org: int, *statements: Any, durable: bool = True) -> None:
        await self._db.alone(org, *statements, durable=durable)


@pytest.fixture
async def made(agent_db: Database) -> AsyncGenerator[Callable[..., Rates]]:
    """Make the rates of one process; what they still do ends with the test."""
    every: list[Rates] = []

    def rates(per_minute: int, of_agents: int = 300) -> Rates:
        every.append(Rates(per_minute, of_agents))
        return every[-1]

    yield rates
    for one in every:
        await one.close()


async def let_through(rates: Rates, db: Any, who: Principal, calls: int) -> int:
    """Make calls one after the other; return how many were let through."""
    through = 0
    for _ in range(calls):
        try:
            await rates.take(db, Call(who, "get_customer", {}))
        except RateLimited:
            continue
        through += 1
    return through


async def test_calls_within_the_limit_wait_for_no_batch_but_one_in_many(
    made: Any, agent_db: Database, signed: Signed
):
    db = Asked(agent_db)
    assert await let_through(made(600), db, await signed(), 300) == 300
    assert db.leases < 20


async def test_a_first_call_is_let_through_before_the_database_is_asked(
    made: Any, signed: Signed, monkeypatch: pytest.MonkeyPatch
):
    class Silent:
        async def definer(self, *_: object) -> None:
            await asyncio.Event().wait()

        async def alone(self, *_: object, **__: object) -> None: ...

    assert await let_through(made(600), Silent(), await signed(), 60) == 60


async def test_a_database_that_is_away_is_said_once_what_was_lent_is_used_up_and_forgotten_once_it_is_back(
    made: Any, agent_db: Database, signed: Signed
):
    class Away:
        async def definer(self, *_: object) -> None:
            raise DatabaseUnavailable

        async def alone(self, *_: object, **__: object) -> None: ...

    rates, who = made(100), await signed()
    call = Call(who, "get_customer", {})
    for _ in range(10):
        await rates.take(Away(), call)
    with pytest.raises(DatabaseUnavailable):
        await rates.take(Away(), call)
    assert await let_through(rates, agent_db, who, 20) == 20


async def test_more_calls_than_a_minutes_are_refused_with_the_seconds_to_wait(
    made: Any, agent_db: Database, signed: Signed
):
    rates, who = made(20), await signed()
    assert 20 <= await let_through(rates, agent_db, who, 60) <= 22
    with pytest.raises(RateLimited) as no:
        await rates.take(agent_db, Call(who, "get_customer", {}))
    assert no.value.context["retryAfter"] in (1, 2, 3)
    assert no.value.hint.startswith("More than 20 calls a minute. Nothing was done. Go on in ")


async def test_processes_share_what_there_is_and_what_one_lent_is_paid_back(
    made: Any, agent_db: Database, signed: Signed, root: Root
):
    who = await signed()
    through = [await let_through(made(100), agent_db, who, 100) for _ in range(6)]
    left = root.execute("select remaining from crm.call_rates").fetchone()
    assert left is not None
    refilled = sum(through) - (100 - left[0])
    assert sum(through) <= 100 + 6 * 10
    assert 0 <= refilled < 30, "what was let through is accounted for, but for what the seconds of this test refilled"


async def test_who_asks_while_another_process_takes_the_last_calls_gets_none(home: Home, root: Root, signed: Signed):
    who = await signed()
    lease = f"select granted from crm.lease_calls({who.org}, {who.user}, '', 0, 60, 60)"
    waiting = (
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%%crm.lease_calls%%'"
    )
    connect = psycopg.AsyncConnection.connect
    async with await connect(home.conninfo("crm_agent")) as one, await connect(home.conninfo("crm_agent")) as other:
        for conn in (one, other):
            await conn.execute(f"select set_config('crm.org_id', '{who.org}', false)")
            await conn.commit()
        await (await one.execute(lease.replace("60, 60", "0, 60"))).fetchone()
        await one.commit()
        assert await (await one.execute(lease)).fetchone() == (60,)
        asking = asyncio.create_task(other.execute(lease))
        while root.execute(waiting).fetchone() == (0,):
            await asyncio.sleep(0)
        await one.commit()
        assert await (await asking).fetchone() in [(0,), (1,)]


async def test_each_person_and_each_of_their_agents_has_calls_of_their_own_and_agents_fewer(
    made: Any, agent_db: Database, signed: Signed
):
    rates = made(40, 10)
    assert 10 <= await let_through(rates, agent_db, await signed(agent=Agent.SALES), 40) <= 12
    assert 10 <= await let_through(rates, agent_db, await signed(agent=Agent.ORDER), 40) <= 12
    assert await let_through(rates, agent_db, await signed(), 40) == 40
    assert await let_through(rates, agent_db, await signed("olga@demo.example"), 40) == 40


async def test_a_minute_later_there_are_calls_again(
    made: Any, agent_db: Database, signed: Signed, root: Root, monkeypatch: pytest.MonkeyPatch
):
    rates, who = made(20), await signed()
    await let_through(rates, agent_db, who, 60)
    later = module.monotonic() + 60
    monkeypatch.setattr(module, "monotonic", lambda: later)
    root.execute("update crm.call_rates set at = at - interval '1 minute'")
    assert await let_through(rates, agent_db, who, 15) == 15


def leased(root: Root, at: str, used: int, wanted: int) -> tuple[int, int]:
    root.execute("select set_config('crm.org_id', (select id::text from crm.orgs where slug = 'demo'), false)")
    row = root.execute(
        "select l.granted, l.wait from crm.orgs o join crm.users u on u.email = 'sam@demo.example',"
        " crm.lease_calls_at(o.id, u.id, '', %s, %s, 60, %s) l where o.slug = 'demo'",
        (used, wanted, at),
    ).fetchone()
    assert row is not None
    return row


def test_calls_come_back_evenly_by_the_databases_clock_and_never_more_than_a_minutes(root: Root):
    assert leased(root, NOON, 0, 60) == (60, 0)
    assert leased(root, NOON, 0, 1) == (0, 1)
    assert leased(root, "2031-03-04 12:00:05+00", 0, 60) == (5, 0)
    assert leased(root, "2031-03-04 12:59:00+00", 0, 600) == (60, 0)


def test_what_was_lent_is_paid_back_before_there_is_more_and_a_clock_that_goes_back_gives_nothing(root: Root):
    leased(root, NOON, 0, 60)
    assert leased(root, NOON, 10, 1) == (0, 11)
    assert leased(root, "2031-03-04 12:00:10+00", 0, 1) == (0, 1)
    assert leased(root, "2031-03-04 12:00:11+00", 0, 1) == (1, 0)
    assert leased(root, NOON, 0, 1) == (0, 1)
    assert leased(root, "2031-03-04 12:00:11+00", 0, 1) == (0, 1)


@pytest.fixture
def limited(connect: Any, made: Any) -> Any:
    """Serve a person whose process lets so many calls through."""

    @asynccontextmanager
    async def client(per_minute: int, **more: Any) -> AsyncGenerator[Any]:
        async with connect(**more) as connected:
            connected.app.rates = made(per_minute)
            yield connected

    return client


REFUSED = "select count(*) from crm.audit_log where outcome = 'RATE_LIMITED'"


async def test_a_client_over_its_limit_hears_so_and_a_flood_leaves_two_audit_rows(limited: Any, owner_asks: Any):
    before = owner_asks(REFUSED)
    async with limited(5) as client:
        answers = [await client.call_tool("whoami", {}) for _ in range(40)]
        refused = [a.structured_content for a in answers if a.is_error]
        assert len(refused) >= 30
        assert refused[0]["error"] == "RATE_LIMITED"
        assert refused[0]["context"]["retryAfter"] >= 1
        with pytest.raises(MCPError, match="RATE_LIMITED"):
            await client.read_resource("crm://policy")
        assert owner_asks(REFUSED) == before + 1
        await client.app.rates.close()
    assert owner_asks(REFUSED) == before + 2
    last = owner_asks(
        "select payload::jsonb from crm.audit_log where outcome = 'RATE_LIMITED' order by id desc limit 1"
    )
    assert last == {"refusedCalls": len(refused)}


async def test_a_tool_that_is_not_there_is_counted_like_any_other(limited: Any):
    async with limited(5) as client:
        for _ in range(20):
            try:
                answer = await client.call_tool("no_such_tool", {})
            except MCPError:
                continue
            assert answer.structured_content["error"] == "RATE_LIMITED"
            return
    raise AssertionError("never refused")


async def test_a_decision_of_a_person_is_never_limited(limited: Any, executor: Any, person: Any, owner_asks: Any):
    mia = await person("mia@demo.example")
    customer = owner_asks(
        "select 'cust_' || c.id from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo' where c.name = 'John Smith'"
    )
    product = owner_asks(
        "select 'prod_' || p.id from crm.products p join crm.orgs o on o.id = p.org_id and o.slug = 'demo'"
        " where not p.discontinued and p.currency = 'EUR' order by p.unit_price limit 1"
    )
    asked = {"customer": customer, "lines": [{"product": product, "quantity": 5}], "reason": "they asked"}
    async with limited(5) as client:
        held = await client.call_tool("create_order_draft", asked)
        draft = int(held.structured_content["draft"]["id"].removeprefix("draft_"))
        while not (await client.call_tool("whoami", {})).is_error:
            pass
        shown = await executor.show(mia, draft)
        assert (await executor.approve(mia, draft, shown.hash)).state == "approved"
