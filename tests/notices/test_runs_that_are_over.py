"""Whoever left a run to the background is told that it is over, once, and nobody else; not a word of what it was about."""

import pytest
from shop import SECRET, TOLD

from crm_mcp.db import Database
from crm_mcp.delivery.server import Server
from crm_mcp.principal import Agent
from crm_mcp.runs import holding, opening
from crm_mcp.telling.webhook import Hook
from postbox import postbox


@pytest.fixture
async def over(shop, database_of):
    """Have a run of somebody's that ended; return its number."""
    agent: Database = database_of(shop.home.conninfo("crm_agent"))

    async def end(by="bob", state="finished", *, in_background=True, drafts=(), run=None):
        who = await shop.person(by)
        if run is None:
            opened = await opening.open_run(agent, who, f"needs it {SECRET}", in_background=in_background)
            run, hold = opened.run, opened.hold
        else:
            await opening.resume(agent, who, run)
            hold = None
        if hold is None:
            hold = (await holding.take(shop.worker, shop.org, run, opening.PATIENCE)).hold
        await hold.step(Agent.ORDER, [], done=1)
        await hold.end(state, f"needs it {SECRET}", result=SECRET, drafts=list(drafts))
        return run

    return end


def runs_told(shop):
    return shop.asked(
        "select run_id, channel, state from crm.notices where org_id = %s and occasion = 'run' order by id"
    )


@pytest.mark.parametrize(("state", "how"), [("finished", "has finished"), ("failed", "has failed")])
async def test_the_requester_is_told_by_title_and_link_alone(shop, box, receiver, over, state, how):
    shop.set(hook=Hook.of(receiver.url, "key"))
    run = await over(state=state, drafts=["draft_1", "draft_2"])
    await shop.tell()
    (mail,) = box.mails
    assert mail.rcpt_tos == [shop.at("bob")] and receiver.posts == []
    seen = box.read()
    assert seen["Subject"] == f"run_{run} of the order agent {how}"
    text = seen.get_content()
    assert (
        "2 drafts wait for approval." in text and "http://localhost:8787" in text and f"runs show run_{run}" in text
    )
    assert not any(word in text + seen["Subject"] for word in TOLD)
    await shop.tell()
    assert len(box.mails) == 1 and runs_told(shop) == [(run, "email", "sent")]


async def test_a_run_that_is_taken_up_again_is_told_of_again_when_it_ends(shop, box, over):
    run = await over(state="failed")
    await shop.tell()
    await over(run=run)
    await shop.tell()
    assert len(box.mails) == 2 and len(runs_told(shop)) == 2


async def test_of_a_run_at_a_terminal_and_of_a_cancelled_one_nobody_is_told(shop, box, over):
    await over(in_background=False)
    await over(state="cancelled")
    await shop.tell()
    assert box.mails == [] and runs_told(shop) == []


async def test_who_left_is_not_told_and_what_was_taken_up_meanwhile_is_moot(shop, box, over, database_of):
    run = await over(state="failed")
    await shop.post()
    await opening.resume(database_of(shop.home.conninfo("crm_agent")), await shop.person("bob"), run)
    await shop.tell()
    assert box.mails == [] and runs_told(shop) == [(run, "email", "moot")]
    await over("max")
    shop.change(
        "update crm.memberships set active = false where org_id = %s and user_id = (select id from crm.users where email = %s)",
        shop.org,
        shop.at("max"),
    )
    await shop.tell()
    assert box.mails == []


async def test_a_desktop_shows_it_to_whoever_sits_there(shop, over, monkeypatch):
    shown = []

    async def show(title, text):
        shown.append((title, text))

    monkeypatch.setattr("crm_mcp.telling.desktop.show", show)
    shop.set(desktop=frozenset({shop.at("bob")}))
    run = await over()
    await over("max")
    await shop.tell()
    assert shown == [(f"run_{run} of the order agent has finished", "No draft of it waits. http://localhost:8787")]


async def test_a_mail_server_that_is_away_gets_it_later(shop, over):
    async with postbox() as gone:
        port = gone.port
    shop.set(mail=Server("127.0.0.1", port, timeout=5))
    run = await over()
    await shop.tell()
    assert runs_told(shop) == [(run, "email", "queued")]
