"""Redis dies, hangs, refuses and comes back under a server that goes on answering and says what it works without."""

import asyncio
import signal
from contextlib import suppress

import pytest
from walking import actions, call, kept, page, told

from crm_mcp.working import keeping
from crm_mcp.working.keeping import PART, Breaker
from crm_mcp.working.memory import Memory, StoreAway, Whose
from crm_mcp.working.redis import RedisStore

SAM = "sam@demo.example"


@pytest.fixture
def customers(owner_asks):
    owner_asks("with gone as (delete from crm.working_memory returning 1) select count(*) from gone")
    return owner_asks(
        "select jsonb_agg('cust_' || id order by id) from (select c.id from crm.customers c join crm.orgs o on o.id = c.org_id"
        " where o.slug = 'demo' and c.archived_at is null order by c.id limit 8) c"
    )


@pytest.fixture(autouse=True)
def _asked_again_soon(monkeypatch):
    monkeypatch.setattr(keeping, "PAUSE", 0.05)
    monkeypatch.setattr(keeping, "EVERY", 0.01)


async def until(client, is_degraded, seconds=30):
    """Call until an answer says, or does not say, that something is away; return it."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await call(client, "whoami")
            assert answer["type"] == "result", answer
            if (PART in answer["_meta"].get("degraded", {})) is is_degraded:
                return answer
            await told(client)


async def test_killed_and_started_again_under_calls_nothing_fails_and_nobody_restarts(serve, valkey, customers):
    answers, is_over = [], asyncio.Event()

    async def keep_asking(client, customer):
        while not is_over.is_set():
            answers.append(await call(client, "get_customer", customer=customer))
            assert page(await told(client)) in customers

    async def some_more():
        enough = len(answers) + 8
        while len(answers) < enough:
            await told(first)

    url = valkey.url()
    async with serve(SAM, url) as first, serve(SAM, url) as other, serve("sue@demo.example", url) as busy:
        asking = [asyncio.create_task(keep_asking(busy, customer)) for customer in customers[1:5]]
        await until(first, False)
        await some_more()
        valkey.kill()
        away = await until(first, True)
        assert away["_meta"]["degraded"][PART] == keeping.INSTEAD
        await some_more()
        await call(first, "get_customer", customer=customers[6])
        await kept(first)
        assert page(await told(other)) == customers[6]  # by way of Postgres
        await asyncio.to_thread(valkey.start_again)
        assert "degraded" not in (await until(first, False))["_meta"]
        await some_more()
        await call(first, "get_customer", customer=customers[7])
        await kept(first)
        assert any(key.endswith(":page") for key in valkey.holds())
        await until(other, False)
        assert page(await told(other)) in (customers[0], customers[7])
        is_over.set()
        await asyncio.gather(*asking)
    assert all(answer["type"] == "result" for answer in answers) and len(answers) >= 24


async def test_what_was_kept_before_during_and_after_an_outage_is_told_as_one(serve, valkey, customers):
    async with serve(SAM, valkey.url()) as first:
        await call(first, "get_customer", customer=customers[0])
        await kept(first)
        valkey.signal(signal.SIGSTOP)
        await call(first, "search_customers", query="a")
        await kept(first)
        valkey.signal(signal.SIGCONT)
        await until(first, False)
        await call(first, "add_note", about=customers[1], body="x", reason="a test asks")
        await kept(first)
    async with serve(SAM, valkey.url()) as second:
        context = await told(second)
        assert page(context) == customers[0] and set(actions(context)) == {
            "get_customer",
            "search_customers",
            "add_note",
        }


async def test_a_server_that_hangs_is_given_up_and_while_it_hangs_asked_seldom(serve, valkey, customers, monkeypatch):
    monkeypatch.setattr(keeping, "PAUSE", 60)
    async with serve(SAM, valkey.url()) as client:
        await until(client, False)
        await call(client, "get_customer", customer=customers[0])
        valkey.signal(signal.SIGSTOP)
        try:
            tried = []
            asks = client.app.working.store.of
            client.app.working.store.of = lambda many: tried.append(many) or asks(many)
            async with asyncio.timeout(20):
                first = await asyncio.gather(*(told(client) for _ in range(8)))
                then = [await told(client) for _ in range(20)]
            assert all(page(one) == customers[0] for one in [*first, *then])
            assert 1 <= len(tried) <= 8
            assert then[-1]["degraded"] == {PART: keeping.INSTEAD}
        finally:
            valkey.signal(signal.SIGCONT)


async def test_a_wrong_password_is_an_absence_and_no_word_of_it_is_said(serve, valkey, customers, capfd):
    async with serve(SAM, valkey.url("wrong-secret")) as client:
        await call(client, "get_customer", customer=customers[0])
        away = await until(client, True)
        assert page(await told(client)) == customers[0]
        await kept(client)
    async with serve(SAM) as another:
        assert page(await told(another)) == customers[0]
    assert "wrong-secret" not in str(away) + "".join(capfd.readouterr())


async def test_what_is_being_sent_to_a_server_that_hangs_when_the_process_ends_is_kept_in_postgres(
    serve, valkey, customers, monkeypatch
):
    async with serve(SAM, valkey.url()) as client:
        sends, sending = RedisStore.add, asyncio.Event()

        async def hangs(store, parts):
            sending.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(RedisStore, "add", hangs)
        await call(client, "get_customer", customer=customers[3])
        async with asyncio.timeout(30):
            await sending.wait()
        monkeypatch.setattr(RedisStore, "add", sends)
    async with serve(SAM) as another:
        assert page(await told(another)) == customers[3]


async def test_a_breaker_lets_one_try_in_each_pause_and_all_once_one_succeeded():
    now = [100.0]
    breaker = Breaker(clock=lambda: now[0])
    assert breaker.lets() and breaker.lets()
    breaker.failed()
    assert not breaker.lets()
    now[0] += keeping.PAUSE
    assert [breaker.lets() for _ in range(3)] == [True, False, False]
    now[0] += keeping.PAUSE
    assert breaker.lets()
    breaker.succeeded()
    assert breaker.lets() and breaker.lets()


async def test_its_own_patience_bounds_every_errand_with_a_server_that_hangs(valkey):
    store = RedisStore(valkey.url())
    valkey.signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(30):
            for errand in (store.of([Whose(1, 1)]), store.add({Whose(1, 1): Memory()}), store.about()):
                with suppress(StoreAway):
                    await errand
            with pytest.raises(StoreAway):
                await store.about()
    finally:
        valkey.signal(signal.SIGCONT)
        await store.close()
