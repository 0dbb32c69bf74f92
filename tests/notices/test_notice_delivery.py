"""What becomes of a notice whose carrier refuses, stalls, breaks off, or dies in the middle."""

import asyncio
import os
import sys

import psycopg
import pytest
from shop import run_queue

from crm_mcp.delivery import jobs
from crm_mcp.delivery.deliver import Post
from crm_mcp.delivery.server import Server
from crm_mcp.telling import webhook
from crm_mcp.telling.send import send
from crm_mcp.telling.webhook import Hook


@pytest.fixture
async def hooked(shop, receiver):
    """A draft to be told of by the webhook; nothing was sent yet."""
    shop.set(hook=Hook.of(receiver.url, "key"))
    await shop.draft(worth=600)
    shop.older()
    shop.later(0)
    await shop.post()


def step(shop):
    return shop.asked("select state, attempts, last_error from crm.notices where org_id = %s")[0]


async def until_over(shop):
    waits = []
    while isinstance(told := (await shop.send())[0], float):
        waits.append(told)
        shop.later(told)
    return waits, told


async def test_a_webhook_that_fails_for_now_gets_it_again_under_the_same_id(shop, receiver, hooked):
    receiver.codes = [503, 429, 500]
    assert await until_over(shop) == ([1.0, 2.0, 5.0], "sent")
    assert len({headers["webhook-id"] for headers, _ in receiver.posts}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in receiver.posts}) == 4
    assert step(shop) == ("sent", 4, None)


async def test_a_webhook_that_never_takes_it_is_given_up(shop, receiver, hooked):
    receiver.codes = [503] * 20
    waits, told = await until_over(shop)
    assert (waits, told) == ([1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0], "failed")
    assert step(shop) == ("failed", 10, "The webhook answered 503.")


@pytest.mark.parametrize("code", [400, 401, 404, 410])
async def test_a_refusal_for_good_is_not_repeated(shop, receiver, hooked, code):
    receiver.codes = [code]
    assert await shop.send() == ["failed"]
    assert step(shop) == ("failed", 1, f"The webhook answered {code}.")
    assert await shop.post() == 0


async def test_a_redirect_is_not_followed(shop, receiver, hooked):
    receiver.codes, receiver.extra = [307, 200], f"Location: {receiver.url}/elsewhere\r\n"
    assert await shop.send() == ["failed"]
    assert len(receiver.posts) == 1


async def test_a_webhook_that_says_nothing_is_left_after_a_while(shop, receiver, hooked, monkeypatch):
    monkeypatch.setattr(webhook, "PATIENCE", 0.2)
    receiver.hang = True
    assert await shop.send() == [1.0]
    assert step(shop) == ("queued", 1, "The webhook did not answer in time.")


async def test_where_nobody_listens_it_is_tried_again_and_the_address_is_not_told(shop, hooked):
    shop.set(hook=Hook.of("http://127.0.0.1:9/hush", "key"))
    assert await shop.send() == [1.0]
    assert step(shop) == ("queued", 1, "The webhook could not be reached.")


async def test_an_address_that_the_mail_server_refuses_is_said_with_the_notice(shop, box):
    await shop.draft(worth=600)
    box.say[shop.at("ann")] = "550 no such user"
    assert await shop.tell() == ["failed"]
    assert step(shop) == ("failed", 1, f"{shop.at('ann')}: The mail server said 550 no such user.")


async def test_nobody_gets_a_third_copy_of_an_email(shop, box):
    await shop.draft(worth=600)
    box.drop = "dot"
    shop.later(0)
    assert await shop.tell() == [1.0]
    assert (await until_over(shop))[1] == "failed"
    assert len(box.mails) == 2


async def test_a_desktop_that_was_left_in_the_middle_is_not_bothered_again(shop):
    shop.set(desktop=frozenset({shop.at("ann")}))
    await shop.draft(worth=600)
    shop.older()
    await shop.post()
    shop.change("update crm.notices set state = 'sending' where org_id = %s", shop.org)
    assert await shop.send() == ["failed"]


async def killed_at(shop, box, phase):
    """Run the worker until the mail server is at a phase, and kill it there."""
    box.hold = phase
    more = {
        "CRM_HOME": str(shop.home.root),
        "CRM_SMTP_URL": f"smtp://127.0.0.1:{box.port}",
        "CRM_NOTICE_FROM": "crm@shop.example",
    }
    words = [sys.executable, "-m", "crm_mcp", "worker"]
    victim = await asyncio.create_subprocess_exec(
        *words, env={**os.environ, **more}, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            await box.held.wait()
    finally:
        victim.kill()
        await victim.wait()
    box.hold = None
    box.released.set()


@pytest.mark.parametrize(("phase", "copies"), [("RCPT", 1), ("dot", 2)])
async def test_a_worker_killed_around_the_send_tells_once_or_twice_under_the_same_id(shop, box, phase, copies):
    with psycopg.connect(shop.home.conninfo("crm_owner")) as conn:
        conn.execute("delete from jobs.procrastinate_jobs")  # of other tests' orgs
        conn.execute("delete from crm.conversations where org_id <> %s", (shop.org,))
        conn.execute("alter table crm.personal_settings disable trigger user")
        conn.execute(
            "delete from crm.personal_settings where org_id <> %s", (shop.org,)
        )  # who wants decisions mailed
        conn.execute("alter table crm.personal_settings enable trigger user")
        conn.execute(
            "update crm.drafts set state = 'discarded' where state = 'pending' and org_id <> %s", (shop.org,)
        )
    await shop.draft(worth=600)
    shop.older()
    await killed_at(shop, box, phase)
    assert step(shop)[0] == ("sending" if phase == "dot" else "queued")
    queue = jobs.queue(
        shop.home.conninfo("crm_worker"),
        Post(shop.worker, Server("127.0.0.1", box.port, timeout=5)),
        lambda org, message: send(shop.office, org, message),
    )
    async with queue.open_async(), asyncio.timeout(60):
        while step(shop)[0] != "sent":
            await jobs.rescue(queue, after=0)
            await jobs.run(queue, wait=False)
            await asyncio.sleep(0.05)
    assert (len(box.mails), len(set(box.message_ids))) == (copies, 1)
    assert len({mail.content for mail in box.mails}) == 1
    assert len(shop.notices()) == 1


async def test_a_job_of_a_message_that_is_over_does_nothing(shop, box):
    await shop.draft(worth=600)
    shop.older()
    await shop.post()
    await run_queue(shop)
    (message,) = shop.asked("select message from crm.notices where org_id = %s")[0]
    assert await send(shop.office, shop.org, message) == "sent"
    assert await send(shop.office, shop.org, 5) == "gone"
    assert len(box.mails) == 1
