"""One run, one holder: whoever has the lease goes on with it, acts as its person with rights of now, and nobody else does."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from spoken import asked, called

from crm_mcp import auth
from crm_mcp.errors import Refusal, SignInFailed
from crm_mcp.principal import Agent
from crm_mcp.runs import holding, opening
from crm_mcp.runs.holding import LeaseLost

NOW, PATIENCE = timedelta(0), opening.PATIENCE


async def test_of_two_workers_that_take_a_run_at_once_one_has_it(worker_db, sam, queued):
    run = await queued(sam)
    found = await asyncio.gather(*(holding.take(worker_db, sam.org, run, PATIENCE) for _ in range(8)))
    held = [one for one in found if one.hold is not None]
    assert len(held) == 1 and held[0].attempt == 1
    assert all(one.later is not None and one.later > datetime.now(UTC) for one in found if one.hold is None)


async def test_a_silent_holder_is_taken_over_and_writes_nothing_more(worker_db, agent_db, sam, queued, take, kept_of):
    run = await queued(sam)
    first = await take(sam, run)
    await first.step(Agent.ORDER, [asked("Do it.")], done=1)
    second = await take(sam, run, NOW)
    for late in (
        first.beat(),
        first.step(Agent.ORDER, [called("add_note")]),
        first.end("finished", "Done."),
        first.put_off(datetime.now(UTC), "later", "MODEL_AWAY"),
        first.so_far(),
        first.keep_summary("x", "digest", run),
    ):
        with pytest.raises(LeaseLost):
            await late
    with pytest.raises(SignInFailed):
        await agent_db.sign_in(first.proof(Agent.ORDER))
    assert (await agent_db.sign_in(second.proof(Agent.ORDER))).email == sam.email
    so_far = await second.so_far()
    assert [item["content"]["parts"][0]["content"] for item in so_far["items"]] == ["Do it."]
    assert (so_far["request"], so_far["is_exact"], so_far["attempts"]) == ("Do it.", True, 2)
    assert len(kept_of(run)) == 1


async def test_a_run_signs_in_its_person_as_an_agent_and_with_rights_of_now(agent_db, home, sam, queued, take):
    held = await take(sam, await queued(sam))
    who = await agent_db.sign_in(held.proof(Agent.SUPPORT))
    assert (who.email, who.org, who.agent, who.role) == (sam.email, sam.org, Agent.SUPPORT, sam.role)
    member = "update crm.memberships set {} where org_id = %s and user_id = %s"
    try:
        with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
            conn.execute(member.format("role = 'support'"), (sam.org, sam.user))
            assert (await agent_db.sign_in(held.proof(Agent.SUPPORT))).role == "support"
            conn.execute(member.format("active = false"), (sam.org, sam.user))
            with pytest.raises(SignInFailed):
                await agent_db.sign_in(held.proof(Agent.SUPPORT))
    finally:
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            conn.execute(member.format("active = true, role = 'sales'"), (sam.org, sam.user))


@pytest.mark.parametrize("forged", ["lease", "run", "org", "no agent", "over"])
async def test_without_the_lease_of_a_run_that_goes_on_nobody_is_signed_in(
    agent_db, worker_db, sam, queued, take, forged
):
    held = await take(sam, await queued(sam))
    asked_for = [held.org, held.run, held.lease, "order"]
    match forged:
        case "lease":
            asked_for[2] = b"\0" * 32
        case "run":
            asked_for[1] = await queued(sam)
        case "org":
            asked_for[0] += 1
        case "no agent":
            asked_for[3] = None
        case _:
            await held.end("finished", "Done.")
    sql = "select count(*) from crm.sign_in_run(%s, %s, %s, %s)"
    assert await agent_db.unbound(sql, tuple(asked_for)) == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await worker_db.unbound(sql, tuple(asked_for))


async def test_a_run_asked_for_by_a_key_ends_with_the_key(agent_db, home, sam, take):
    key = "crm_key_of_a_run"
    proof = auth.by_key(key)
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        (number,) = conn.execute(
            "insert into crm.api_keys(digest, org_id, user_id, name, expires_at) values (sha256(%s), %s, %s, 'runs', now() + interval '1 day') returning id",
            (proof.key, sam.org, sam.user),
        ).fetchone()
        who = await agent_db.sign_in(proof)
        run = (await opening.open_run(agent_db, who, "Do it.", in_background=True)).run
        held = await take(sam, run)
        as_agent = await agent_db.sign_in(held.proof(Agent.ORDER))
        async with agent_db.begin(as_agent, 1) as tx:
            assert (await tx.exec_driver_sql("select (crm.bound()).agent")).scalar_one() == "order"
        conn.execute("update crm.api_keys set agent = 'support' where id = %s", (number,))
        assert (await agent_db.sign_in(held.proof(Agent.SUPPORT))).agent is Agent.SUPPORT
        with pytest.raises(SignInFailed):
            await agent_db.sign_in(held.proof(Agent.ORDER))
        conn.execute("update crm.api_keys set revoked_at = now() where id = %s", (number,))
        with pytest.raises(SignInFailed):
            await agent_db.sign_in(held.proof(Agent.SUPPORT))
        conn.execute("delete from crm.api_keys where id = %s", (number,))
        with pytest.raises(SignInFailed):
            await agent_db.sign_in(held.proof(Agent.SUPPORT))


async def test_a_run_that_goes_on_ends_by_its_next_step_when_it_is_cancelled(agent_db, sam, queued, take):
    held = await take(sam, await queued(sam))
    assert await held.step(Agent.ORDER, [asked("Do it.")], done=1, message="Calling get_orders") is False
    assert await opening.cancel(agent_db, sam, held.run) == "cancelling"
    assert (await opening.run(agent_db, sam, held.run))["cancelRequested"] is True
    assert await held.beat() is True
    assert await held.step(Agent.ORDER, [called("add_note")], done=2) is True
    await held.end("cancelled", "Stopped after 2 steps.", drafts=["draft_3"])
    shown = await opening.run(agent_db, sam, held.run)
    assert (shown["state"], shown["drafts"], shown["progress"]["done"]) == ("cancelled", ["draft_3"], 2)
    assert await opening.cancel(agent_db, sam, held.run) == "cancelled"


@pytest.mark.parametrize("how", ["queued", "waiting", "silent"])
async def test_a_run_that_nobody_is_at_is_cancelled_at_once_and_never_taken(
    agent_db, worker_db, sam, queued, take, how
):
    run = await queued(sam)
    if how != "queued":
        held = await take(sam, run)
        await held.step(Agent.ORDER, [asked("Do it.")], done=1)
        if how == "waiting":
            await held.put_off(datetime.now(UTC), "The model is away.", "MODEL_AWAY")
    assert await opening.cancel(agent_db, sam, run, NOW) == "cancelled"
    assert (await holding.take(worker_db, sam.org, run, NOW)).state == "cancelled"
    said = (await opening.run(agent_db, sam, run))["progress"]["message"]
    assert said == ("Cancelled before it began." if how == "queued" else "Cancelled after 1 finished steps.")


async def test_a_run_cancelled_between_its_holders_death_and_the_next_is_over(agent_db, worker_db, sam, queued, take):
    held = await take(sam, await queued(sam))
    assert await opening.cancel(agent_db, sam, held.run) == "cancelling"
    assert (await holding.take(worker_db, sam.org, held.run, NOW)).state == "cancelled"


async def test_what_waits_is_taken_when_it_is_due_and_waiting_costs_no_attempt(
    worker_db, agent_db, sam, queued, take
):
    run = await queued(sam)
    later = datetime.now(UTC) + timedelta(minutes=5)
    held = await take(sam, run)
    await held.put_off(later, "The model is away; it is tried again in 5 minutes.", "MODEL_AWAY")
    assert (await holding.take(worker_db, sam.org, run, NOW)).later == later
    shown = await opening.run(agent_db, sam, run)
    assert (shown["state"], shown["error"], shown["attempts"]) == ("waiting", "MODEL_AWAY", 0)
    assert "away" in shown["progress"]["message"]


async def test_a_run_that_kills_its_workers_is_given_up(agent_db, worker_db, sam, queued, take):
    run = await queued(sam)
    for _ in range(holding.ATTEMPTS):
        await take(sam, run, NOW)
    assert (await holding.take(worker_db, sam.org, run, NOW)).state == "failed"
    assert (await opening.run(agent_db, sam, run))["error"] == "GAVE_UP"


async def test_a_run_goes_on_after_it_was_cancelled_or_failed_and_not_after_it_finished(agent_db, sam, queued, take):
    run = await queued(sam)
    with pytest.raises(Refusal, match="RUN_NOT_RESUMABLE"):
        await opening.resume(agent_db, sam, run)
    held = await take(sam, run)
    await held.step(Agent.ORDER, [asked("Write to kim@post.example")], done=1, carry={"turns": 1})
    await held.end("failed", "No key.", error="NO_KEY")
    await opening.resume(agent_db, sam, run)
    shown = await opening.run(agent_db, sam, run)
    assert (shown["state"], shown["progress"]["done"]) == ("queued", 1) and "endedAt" not in shown
    again = await take(sam, run)
    so_far = await again.so_far()
    assert (so_far["is_exact"], so_far["carry"], so_far["current_agent"]) == (False, None, "order")
    assert so_far["items"][0]["content"]["parts"][0]["content"] == "Write to [e-mail]"
    await again.end("finished", "Done.")
    with pytest.raises(Refusal) as caught:
        await opening.resume(agent_db, sam, run)
    assert "is finished" in caught.value.hint


async def test_at_most_one_job_goes_on_with_a_run_however_often_it_is_resumed(
    agent_db, worker_db, sam, queued, owner_asks
):
    run = await queued(sam)
    await opening.cancel(agent_db, sam, run)
    done = await asyncio.gather(*(opening.resume(agent_db, sam, run) for _ in range(5)), return_exceptions=True)
    assert sum(one is None for one in done) == 1
    assert owner_asks("select count(*) from jobs.procrastinate_jobs where task_name = 'run_agent'") == 2
    taken = await asyncio.gather(*(holding.take(worker_db, sam.org, run, PATIENCE) for _ in range(2)))
    assert sum(one.hold is not None for one in taken) == 1


async def test_a_terminals_run_is_nobody_elses_to_take(worker_db, agent_db, sam):
    opened = await opening.open_run(agent_db, sam, "Do it.")
    assert (await holding.take(worker_db, sam.org, opened.run, NOW)).hold is None
    assert await opened.hold.beat() is False


@pytest.mark.parametrize("login", ["crm_agent", "crm_approver", "crm_query"])
async def test_the_worker_alone_takes_runs(home, sam, queued, login):
    run = await queued(sam)
    for call in (
        f"crm.take_run({run}, 'x', '0', 5)",
        "crm.due_runs('0')",
        "crm.end_stalled_runs('0', '0')",
        "crm.ended_runs(null)",
    ):
        with psycopg.connect(home.conninfo(login)) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(f"select {call}")
