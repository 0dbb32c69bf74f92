"""A run in the background: done as its person with rights of now, ended when it should be, told to them alone."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from backstage import backstage
from hubs import SPECIALIST, TRIAGE
from standin import Call, Garbage

from crm_mcp.agents.conducting import next_try, settle
from crm_mcp.agents.journal import End, Outcome
from crm_mcp.agents.meter import ONCE_ENDED
from crm_mcp.delivery.tries import Again
from crm_mcp.principal import Agent
from crm_mcp.runs import opening
from crm_mcp.runs.following import follow
from crm_mcp.runs.holding import take

MAIL = "kim.lee@post.example"


@pytest.fixture(autouse=True)
def _no_runs_of_other_tests(home):
    yield
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("delete from crm.conversations")
        conn.execute("delete from jobs.procrastinate_jobs")
        conn.execute("delete from crm.token_reservations")


@pytest.fixture
def customer(owner_asks):
    return owner_asks(
        "select 'cust_' || min(c.id) from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'"
        " where c.archived_at is null"
    )


@pytest.fixture
def stage(home, database_of, tmp_path):
    return lambda agent, script, **more: backstage(home, database_of, tmp_path, agent, script, **more)


def note(customer, body):
    return Call("add_note", {"about": customer, "body": body, "reason": "They called."})


async def test_a_run_is_done_as_its_person_by_the_agent_that_triage_chose(stage, customer, owner_asks):
    def work(tools):
        (me,) = yield Call("whoami", {})
        (noted,) = yield note(customer, "Done in the background.")
        return f"{me['me']['email']} as {me['me']['agent']} wrote {noted['note']['id']} for {MAIL}."

    async with stage("customer", work) as scene:
        run = await scene.queued(f"Note that {MAIL} called")
        assert (await scene.shown(run))["state"] == "queued"
        shown = await scene.do(run)
        assert shown["state"] == "finished" and "[e-mail]" in shown["result"]
        assert "sam@demo.example as customer" not in shown["result"] and "as customer wrote note_" in shown["result"]
        assert (shown["currentAgent"], shown["attempts"], shown["drafts"]) == ("customer", 1, [])
        assert shown["tokensIn"] > 0 and shown["progress"]["done"] >= 5
        said = owner_asks("select body from crm.notes where body like 'Done in the background%%'")
        assert said == "Done in the background."
        agents = "select array_agg(distinct agent) from crm.audit_log where tool = 'add_note' and agent is not null and user_id = (select id from crm.users where email = 'sam@demo.example')"
        assert "customer" in owner_asks(agents)
        assert MAIL not in json.dumps(owner_asks("select jsonb_agg(to_jsonb(i)) from crm.conversation_items i"))
        again = await scene.do(run)
        assert again["attempts"] == 1, "what is over is over"


async def test_drafts_that_a_run_leaves_waiting_are_named(stage, customer):
    def work(tools):
        (held,) = yield Call("send_email_draft", {"to": [MAIL], "subject": "S", "body": "B", "reason": "They asked."})
        return f"{held['draft']['id']} waits."

    async with stage("customer", work) as scene:
        shown = await scene.do(await scene.queued("Write to Kim"))
        (draft,) = shown["drafts"]
        assert shown["state"] == "finished" and f"{draft} waits for approval" in shown["progress"]["message"]


async def test_a_follow_up_hears_what_was_said_before_and_the_agent_that_is_named_does_it(stage, customer):
    def work(tools):
        yield "Kim Lee owes 12 EUR."
        yield "I said so."
        return "never reached"

    async with stage("customer", work) as scene:
        first = await scene.queued("What does Kim owe?")
        await scene.do(first)
        second = await scene.queued("Are you sure?", after=first, agent=Agent.CUSTOMER)
        shown = await scene.do(second)
        assert shown["result"] == "I said so." and shown["conversation"] == (await scene.shown(first))["conversation"]
        newest = json.dumps(scene.stand_in.requests[-1]["messages"])
        assert "What does Kim owe?" in newest and "Kim Lee owes 12 EUR." in newest
        assert (
            newest.index("-----BEGIN UNTRUSTED CRM DATA")
            < newest.index("Kim Lee owes 12 EUR.")
            < newest.index("-----END UNTRUSTED CRM DATA")
        )
        assert not any(TRIAGE in json.dumps(request.get("system")) for request in scene.stand_in.requests[2:])


async def test_somebody_who_left_meanwhile_ends_the_run_with_a_reason(stage, customer, home, owner_asks):
    def leave(active):
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            conn.execute(
                "update crm.memberships m set active = %s from crm.users u where u.id = m.user_id and u.email = 'sam@demo.example'",
                (active,),
            )

    def work(tools):
        yield note(customer, "Before they left.")
        leave(False)
        yield note(customer, "After they left.")
        return "All done."

    try:
        async with stage("customer", work) as scene:
            run = await scene.queued("Note twice")
            org = (await scene.person()).org
            async with scene.background() as background:
                await background(org, run)
            row = owner_asks("select to_jsonb(r) from crm.agent_runs r where r.id = %s", run)
            assert (row["state"], row["error"]) == ("failed", "REFUSED") and "no longer a member" in row["message"]
            count = "select count(*) from crm.notes where body = %s"
            assert owner_asks(count, "Before they left.") == 1 and owner_asks(count, "After they left.") == 0
            leave(True)
            later = await scene.queued("Note again")
            leave(False)
            async with scene.background() as background:
                await background(org, later)
            row = owner_asks("select to_jsonb(r) from crm.agent_runs r where r.id = %s", later)
            assert (row["state"], row["error"], row["done"]) == ("failed", "REFUSED", 0)
    finally:
        leave(True)


async def test_a_cancelled_run_ends_with_its_step_says_what_it_did_and_goes_on_without_doing_it_twice(
    stage, customer, owner_asks
):
    def work(tools):
        yield note(customer, "The first of two.")
        cancelled.set()
        asked = note(customer, "The second of two.")
        while not (yield asked):
            pass
        return "Both are noted."

    cancelled, loop = asyncio.Event(), asyncio.get_running_loop()
    async with stage("customer", work) as scene:
        run = await scene.queued("Note twice")
        sam = await scene.person()
        real = cancelled.set

        def cancel():
            asyncio.run_coroutine_threadsafe(opening.cancel(scene.agent, sam, run), loop).result(30)
            real()

        cancelled.set = cancel
        shown = await scene.do(run)
        assert shown["state"] == "cancelled" and "what they did stands" in shown["progress"]["message"]
        count = "select count(*) from crm.notes where body = %s"
        assert (owner_asks(count, "The first of two."), owner_asks(count, "The second of two.")) == (1, 0)
        await opening.resume(scene.agent, sam, run)
        shown = await scene.do(run)
        assert (shown["state"], shown["result"]) == ("finished", "Both are noted.")
        assert (owner_asks(count, "The first of two."), owner_asks(count, "The second of two.")) == (1, 1)


async def test_a_model_that_is_away_is_asked_again_later_and_the_run_says_so(stage):
    def work(tools):
        yield Garbage(b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', 529)
        yield Garbage(b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', 529)
        return "I am back."

    away = {"customer": {"fallback": None}}
    async with stage("customer", work, use_cases=away) as scene:
        run = await scene.queued("Hello")
        with pytest.raises(Again) as caught:
            await scene.do(run)
        shown = await scene.shown(run)
        assert (shown["state"], shown["error"]) == ("waiting", "MODEL_AWAY")
        assert "No model answers; it is tried again at" in shown["progress"]["message"]
        assert caught.value.at > datetime.now(UTC)
        with pytest.raises(Again):
            await scene.do(run)
        make_due(scene, run)
        try:
            shown = await scene.do(run)
        except Again:
            make_due(scene, run)
            shown = await scene.do(run)
        assert (shown["state"], shown["result"]) == ("finished", "I am back.")


async def test_a_budget_that_a_killed_process_holds_is_waited_for_and_one_that_is_spent_is_not(stage):
    async with stage("customer", lambda tools: iter(())) as scene:
        org = (await scene.person()).org
        for why, state in ((f"No room. {ONCE_ENDED}", "waiting"), ("It is spent.", "failed")):
            run = await scene.queued("Hello")
            hold = (await take(scene.worker, org, run, timedelta(0))).hold
            at = await settle(hold, Outcome(end=End.OVER_BUDGET, why=why, currency="USD"), retries=True)
            shown = await scene.shown(run)
            assert (shown["state"], shown["error"], at is None) == (state, "OVER_BUDGET", state == "failed")


def make_due(scene, run):
    with psycopg.connect(scene.home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.agent_runs set next_attempt_at = now() - interval '1 second' where id = %s", (run,))


def test_the_waits_for_a_model_grow_with_the_time_it_is_away():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    waits = [
        next_try(start, start + timedelta(minutes=minutes)) - timedelta(minutes=minutes) - start
        for minutes in (0, 1, 10, 60, 600)
    ]
    assert waits == [timedelta(minutes=m) for m in (1, 1, 5, 30, 60)]


async def test_without_a_key_a_run_fails_and_says_which_setting_is_missing(stage):
    async with stage("customer", lambda tools: iter(()), key=None, use_cases={"triage": {"fallback": None}}) as scene:
        shown = await scene.do(await scene.queued("Hello"))
        assert (shown["state"], shown["error"]) == ("failed", "NO_KEY")
        assert "CRM_ANTHROPIC_KEY" in shown["progress"]["message"]


async def test_two_workers_at_one_run_do_it_once(stage, customer, owner_asks):
    def work(tools):
        while not (yield note(customer, "By one of two.")):
            pass
        return "Noted."

    async with stage("customer", work) as scene:
        run = await scene.queued("Note once")
        org = (await scene.person()).org
        async with scene.background(opening.PATIENCE) as background:
            done = await asyncio.gather(background(org, run), background(org, run), return_exceptions=True)
        assert sorted(type(one).__name__ for one in done) == ["Again", "NoneType"]
        shown = await scene.shown(run)
        assert (shown["state"], shown["attempts"]) == ("finished", 1)
        assert owner_asks("select count(*) from crm.notes where body = 'By one of two.'") == 1


async def test_who_watches_sees_each_change_until_the_end(stage, customer):
    def work(tools):
        yield note(customer, "While somebody looks on.")
        return "Noted."

    async with stage("customer", work) as scene:
        run = await scene.queued("Note it")
        sam = await scene.person()

        async def watching():
            return [
                (now["state"], now["progress"].get("message")) async for now in follow(scene.agent, sam, run, look=60)
            ]

        watcher = asyncio.create_task(watching())
        await scene.do(run)
        seen = await asyncio.wait_for(watcher, 30)
        states = [state for state, _ in seen]
        assert states[0] == "queued" and states[-1] == "finished" and "running" in states
        assert any(
            message for state, message in seen if state == "running"
        )  # what passed between two looks is not told


async def test_a_worker_that_stops_leaves_its_run_to_the_next(stage, customer, owner_asks):
    def work(tools):
        while not (yield note(customer, "Across two workers.")):
            pass
        asked.set()
        gate.wait(30)
        yield "ignored"
        return "Noted."

    import threading

    asked, gate = threading.Event(), threading.Event()
    async with stage("customer", work) as scene:
        run = await scene.queued("Note it")
        org = (await scene.person()).org
        async with scene.background() as background:
            going = asyncio.create_task(background(org, run))
            await asyncio.to_thread(asked.wait, 30)
            going.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going
        gate.set()
        shown = await scene.shown(run)
        assert (shown["state"], shown["error"]) == ("waiting", "INTERRUPTED")
        shown = await scene.do(run)
        assert shown["state"] == "finished", shown["progress"]
        assert owner_asks("select count(*) from crm.notes where body = 'Across two workers.'") == 1


def test_the_marks_of_the_agents_are_those_of_the_hub():
    assert set(SPECIALIST) == {agent.value for agent in Agent} - {"triage"}
