"""The connection of writes: answers in order, an error that leaves it clean, a cancelled call that costs it."""

import asyncio
from contextlib import asynccontextmanager

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from crm_mcp.pipelined import later, together
from crm_mcp.pools import Pools

PUT = "insert into pg_temp.kept(body) values (%s)"
PUT_AND_SAY = PUT + " returning body"
SLEEP = "select pg_sleep(60)"


@pytest.fixture
async def engine(home):
    """Return the engine of writes as the product makes it, with one connection on which a table of its own exists."""
    pools = Pools(home.conninfo("postgres"), 1, None)
    engine = await pools.engine()
    async with engine.connect() as conn:
        await conn.exec_driver_sql("create temp table kept(at serial, body text unique)")
    yield engine
    await pools.close()


@asynccontextmanager
async def transaction(engine):
    async with engine.connect() as conn, conn.begin():
        await together(conn, ("begin", ()))
        yield conn


async def under(conn):
    return (await conn.get_raw_connection()).driver_connection


async def process(conn):
    return (await under(conn)).info.backend_pid


async def kept(engine):
    async with engine.connect() as conn:
        return list((await conn.exec_driver_sql("select body from kept order by at")).scalars())


async def is_clean(engine, pid):
    """Say whether the engine hands out the connection of before, in no transaction and with nothing that waits."""
    async with engine.connect() as conn:
        driver = await under(conn)
        status = driver.info.transaction_status
        return driver.info.backend_pid == pid and status == TransactionStatus.IDLE and driver.waiting == []


async def test_answers_come_in_the_order_of_the_questions_and_only_from_those_that_have_some(engine):
    async with transaction(engine) as conn:
        await later(conn, (PUT, ("first",)))
        told = await together(
            conn,
            ("select body from kept", ()),
            (PUT, ("second",)),
            ("select body from kept order by at desc", ()),
            ("select 1 where false", ()),
            (PUT_AND_SAY, ("third",)),
        )
        assert told == [[("first",)], [("second",), ("first",)], [], [("third",)]]
    assert await kept(engine) == ["first", "second", "third"]


async def test_what_waits_travels_in_its_turn_with_the_next_question_or_with_the_commit(engine):
    async with transaction(engine) as conn:
        await later(conn, (PUT, ("one",)), (PUT, ("two",)))
        assert (await under(conn)).waiting
        told = await conn.exec_driver_sql("select body from kept order by at")
        assert list(told.scalars()) == ["one", "two"] and not (await under(conn)).waiting
        await later(conn, (PUT, ("three",)))
    assert await kept(engine) == ["one", "two", "three"]


async def test_a_savepoint_undoes_what_came_after_it_and_nothing_else(engine):
    async with transaction(engine) as conn:
        await together(conn, (PUT, ("before",)))
        async with AsyncSession(bind=conn, join_transaction_mode="create_savepoint") as session:
            await session.execute(text("insert into kept(body) values ('undone')"))
            assert list(await session.scalars(text("select count(*) from kept"))) == [2]
            await session.rollback()
            await session.execute(text("insert into kept(body) values ('done')"))
            await session.commit()
        await together(conn, (PUT, ("after",)))
    assert await kept(engine) == ["before", "done", "after"]


async def test_statements_stay_prepared_across_savepoints(engine):
    async with transaction(engine) as conn:
        for _ in range(4):
            async with AsyncSession(bind=conn, join_transaction_mode="create_savepoint") as session:
                await session.execute(text("select 'again' from kept"))
                await session.rollback()
        asked = "select count(*) from pg_prepared_statements where starts_with(statement, 'select ''again''')"
        assert (await conn.exec_driver_sql(asked)).scalar() == 1


async def test_an_error_in_the_middle_stops_what_follows_undoes_what_went_before_and_leaves_the_connection_clean(
    engine,
):
    async with engine.connect() as conn:
        pid = await process(conn)
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with transaction(engine) as conn:
            await together(conn, (PUT, ("before",)), ("select 1 / 0", ()), (PUT, ("after",)), ("select 2", ()))
    assert await is_clean(engine, pid)
    assert await kept(engine) == []


@pytest.mark.parametrize("end", ["question", "commit"])
async def test_the_error_of_what_waited_comes_with_what_it_travelled_with_and_nothing_is_kept(engine, end):
    async with engine.connect() as conn:
        pid = await process(conn)

    async def work():
        async with transaction(engine) as conn:
            await together(conn, (PUT, ("twice",)))
            await later(conn, (PUT, ("twice",)))
            if end == "question":
                await conn.exec_driver_sql("select 1")
                pytest.fail("the question was answered")

    with pytest.raises((DBAPIError, psycopg.errors.UniqueViolation), match="duplicate key"):
        await work()
    assert await is_clean(engine, pid)
    assert await kept(engine) == []


async def test_a_rollback_forgets_what_waited(engine):
    async def work():
        async with transaction(engine) as conn:
            await together(conn, (PUT, ("undone",)))
            await later(conn, (PUT, ("never sent",)))
            raise LookupError

    with pytest.raises(LookupError):
        await work()
    async with transaction(engine) as conn:
        await together(conn, (PUT, ("kept",)))
    assert await kept(engine) == ["kept"]


@pytest.mark.parametrize("way", ["together", "one by one", "committing"])
async def test_a_call_cancelled_in_the_middle_leaves_no_connection_that_answers_late(engine, home, way):
    under_way = asyncio.Event()

    async def work():
        async with transaction(engine) as conn:
            await together(conn, (PUT, ("undone",)))
            pids.append(await process(conn))
            under_way.set()
            if way == "together":
                await together(conn, (SLEEP, ()), ("select 1", ()))
            elif way == "one by one":
                await conn.exec_driver_sql(SLEEP)
            else:
                await later(conn, (SLEEP, ()))

    pids = []
    task = asyncio.create_task(work())
    await under_way.wait()
    with psycopg.connect(home.conninfo("postgres"), autocommit=True) as root:

        def state(pid):
            row = root.execute("select state, query from pg_stat_activity where pid = %s", (pid,)).fetchone()
            return row and row[0]

        async with asyncio.timeout(20):
            while not root.execute(
                "select 1 from pg_stat_activity where pid = %s and wait_event = 'PgSleep'", (pids[0],)
            ).fetchone():
                await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Its transaction is over, whether or not its connection lives on.
        async with asyncio.timeout(20):
            while state(pids[0]) not in (None, "idle"):
                await asyncio.sleep(0)
    async with engine.connect() as conn:
        driver = await under(conn)
        assert (driver.info.transaction_status, driver.waiting) == (TransactionStatus.IDLE, [])
        assert (await conn.exec_driver_sql("select 42")).scalar() == 42
        if driver.info.backend_pid == pids[0]:
            assert (await conn.exec_driver_sql("select count(*) from kept")).scalar() == 0
