"""The worker is killed around the send: nobody gets two copies that mail systems cannot tell apart."""

import asyncio
import os
import sys

import psycopg
import pytest

from crm_mcp.delivery import jobs
from crm_mcp.delivery.deliver import Post
from crm_mcp.delivery.server import Server


@pytest.fixture
async def queue(home, worker, box):
    """The queue in this process, as the worker after the one that was killed."""
    made = jobs.queue(home.conninfo("crm_worker"), Post(worker, Server("127.0.0.1", box.port, timeout=5)))
    async with made.open_async():
        yield made


async def killed_at(home, box, phase):
    """Run the worker until the server is at a phase, and kill it there."""
    box.hold = phase
    env = {**os.environ, "CRM_HOME": str(home.root), "CRM_SMTP_URL": f"smtp://127.0.0.1:{box.port}"}
    words = [sys.executable, "-m", "crm_mcp", "worker"]
    victim = await asyncio.create_subprocess_exec(*words, env=env, stdin=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(60):
            await box.held.wait()
    finally:
        victim.kill()
        await victim.wait()
    box.hold = None
    box.released.set()


async def finished(queue, outbox, email):
    """Take the dead worker's jobs over, as soon as Postgres has seen that it is gone."""
    async with asyncio.timeout(60):
        while True:
            await jobs.rescue(queue, after=0)
            await jobs.run(queue, wait=False)
            if outbox(email)["state"] in ("sent", "failed"):
                return outbox(email)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(("phase", "copies"), [("RCPT", 1), ("dot", 2)])
async def test_a_worker_killed_around_the_send_sends_at_most_a_second_copy_under_the_same_id(
    home, box, approved, outbox, queue, phase, copies
):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("delete from jobs.procrastinate_jobs")  # of e-mails that other tests approved
    email = await approved()
    await killed_at(home, box, phase)
    assert outbox(email)["state"] == ("sending" if phase == "dot" else "queued")
    row = await finished(queue, outbox, email)
    assert (row["state"], len(box.mails), len(set(box.message_ids))) == ("sent", copies, 1)
    assert len({mail.content for mail in box.mails}) == 1
