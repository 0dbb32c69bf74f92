"""The queue of runs: each is done by whichever worker does agents' work, beside the mail, and none is lost with its job."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from crm_mcp.delivery import jobs
from crm_mcp.delivery.deliver import Post
from crm_mcp.delivery.tries import Again
from crm_mcp.runs import opening
from crm_mcp.worker import SILENT, requeue, round_of_work

JOBS = "select count(*) from jobs.procrastinate_jobs where task_name = 'run_agent' and status = 'todo'"


@pytest.fixture
async def queue_of(home, worker_db):
    opened = []

    async def made(act):
        app = jobs.queue(home.conninfo("crm_worker"), Post(worker_db, None), None, act)
        await app.open_async()
        opened.append(app)
        return app

    yield made
    for app in opened:
        await app.close_async()


def aged(home, run, age="2 minutes"):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute(
            "update crm.agent_runs set queued_at = queued_at - %s::interval, beat_at = beat_at - %s::interval,"
            " next_attempt_at = next_attempt_at - %s::interval where id = %s",
            (age, age, age, run),
        )


async def test_a_queued_run_is_given_to_who_does_runs_and_to_nobody_who_does_mail(sam, queued, queue_of, owner_asks):
    done = []

    async def act(org, run):
        done.append((org, run))

    run, app = await queued(sam), await queue_of(act)
    await jobs.run(app, wait=False)
    assert done == [] and owner_asks(JOBS) == 1
    await jobs.run(app, wait=False, queues=(jobs.AGENTS,))
    assert done == [(sam.org, run)] and owner_asks(JOBS) == 0


async def test_a_run_that_is_put_off_stays_in_the_queue_until_it_is_due(sam, queued, queue_of, owner_asks):
    at = datetime.now(UTC) + timedelta(hours=1)

    async def act(org, run):
        raise Again(at)

    await queued(sam)
    await jobs.run(await queue_of(act), wait=False, queues=(jobs.AGENTS,))
    assert owner_asks("select scheduled_at from jobs.procrastinate_jobs where task_name = 'run_agent'") == at


@pytest.mark.parametrize("how", ["queued", "silent", "waiting"])
async def test_a_run_whose_job_was_lost_is_put_in_again_once(
    sam, queued, queue_of, take, worker_db, owner_asks, home, how
):
    run, app = await queued(sam), await queue_of(None)
    if how != "queued":
        held = await take(sam, run)
        if how == "waiting":
            await held.put_off(datetime.now(UTC), "The model is away.", "MODEL_AWAY")
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("delete from jobs.procrastinate_jobs")
    assert await requeue(worker_db, app) == 0, "its worker may only be slow"
    aged(home, run)
    for _ in range(3):
        assert await requeue(worker_db, app) == 1
    assert owner_asks(JOBS) == 1


async def test_a_round_ends_what_nobody_will_go_on_with(sam, agent_db, worker_db, queued, take, home):
    terminal = (await opening.open_run(agent_db, sam, "At a terminal")).run
    fresh = (await opening.open_run(agent_db, sam, "At another terminal")).run
    waits = await queued(sam)
    held = await take(sam, waits)
    await held.put_off(datetime.now(UTC) + timedelta(hours=1), "The model is away.", "MODEL_AWAY")
    silent = await queued(sam)
    await take(sam, silent)
    aged(home, terminal)
    aged(home, silent)
    aged(home, waits, "25 hours")
    await round_of_work(worker_db, None)
    states = {run: (await opening.run(agent_db, sam, run)) for run in (terminal, fresh, waits, silent)}
    assert [states[run]["state"] for run in (terminal, fresh, waits, silent)] == [
        "failed",
        "running",
        "failed",
        "running",
    ]
    assert (states[terminal]["error"], states[waits]["error"]) == ("INTERRUPTED", "GAVE_UP")
    await opening.resume(agent_db, sam, terminal)
    assert (await opening.run(agent_db, sam, terminal))["state"] == "queued"


def test_a_holder_is_taken_for_dead_after_as_long_everywhere():
    assert SILENT == opening.PATIENCE
