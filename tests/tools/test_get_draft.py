import asyncio

import pytest
from drafting import held
from lab import LEA, LOU

from crm_mcp import waiting
from crm_mcp.news import News
from crm_mcp.tools.drafts import get_draft


@pytest.fixture
def decided(executor, person):
    """Have Lea reject a draft."""

    async def decide(draft):
        await executor.reject(await person(LEA), int(draft[6:]), "No.")

    return decide


class Waiting:
    """A call of a client that waits for a decision, under way once this is entered."""

    def __init__(self, client, draft, seconds=30):
        self._arguments, self._client = {"draft": draft, "wait_seconds": seconds}, client
        self._reported, self._reports = asyncio.Event(), 0

    async def _progress(self, done, total, message):
        self._reports += 1
        if self._reports >= 2:  # it listens by then
            self._reported.set()

    async def __aenter__(self):
        call = self._client.call_tool("get_draft", self._arguments, progress_callback=self._progress)
        self.call = asyncio.create_task(call)
        async with asyncio.timeout(20):
            await self._reported.wait()
        return self.call

    async def __aexit__(self, *_):
        self.call.cancel()
        await asyncio.gather(self.call, return_exceptions=True)


def followers(client):
    return client.app._db.news()._followers


async def test_a_draft_that_waits_says_where_it_is_decided(lab):
    draft = await held(lab)
    told = await lab.ask("get_draft", {"draft": draft})
    assert (told["draft"]["state"], told["draft"]["requestedBy"]) == ("pending", "Lea Lang")
    assert told["_meta"]["reviewUrl"].endswith(f"/drafts/{draft}")


async def test_waiting_ends_with_the_decision_and_reports_progress(lab, executor, person):
    draft = await held(lab, LOU)
    said, first = [], asyncio.Event()

    async def progress(done, total, message):
        said.append(message)
        first.set()

    async with lab.connect(LOU, mode="legacy") as client:
        waiting = asyncio.create_task(
            client.call_tool("get_draft", {"draft": draft, "wait_seconds": 30}, progress_callback=progress)
        )
        async with asyncio.timeout(20):
            await first.wait()
        lea = await person(LEA)
        await executor.approve(lea, int(draft[6:]), (await executor.show(lea, int(draft[6:]))).hash)
        told = (await waiting).structured_content
    assert told["draft"]["state"] == "approved"
    assert told["draft"]["result"].startswith("ord_")
    assert told["draft"]["decidedBy"] == "Lea Lang"
    assert set(said) == {"waiting for a person to decide"}


async def test_an_administrator_sees_a_colleagues_draft_and_the_colleague_not_theirs(lab):
    mine, theirs = await held(lab, LEA), await held(lab, LOU)
    assert (await lab.ask("get_draft", {"draft": theirs}, LEA))["draft"]["requestedBy"] == "Lou Lind"
    assert (await lab.ask("get_draft", {"draft": mine}, LOU))["error"] == "DRAFT_NOT_FOUND"


async def test_a_decision_ends_the_wait_for_it_before_an_older_wait_for_another(lab, decided, monkeypatch):
    monkeypatch.setattr(get_draft, "BEAT", 3600)
    other, mine = await held(lab, LOU, "other"), await held(lab, LOU, "mine")
    async with lab.connect(LOU) as client, Waiting(client, other) as older, Waiting(client, mine) as wait:
        await decided(mine)
        done, _ = await asyncio.wait({older, wait}, return_when=asyncio.FIRST_COMPLETED)
        assert done == {wait}
        assert wait.result().structured_content["draft"]["state"] == "rejected"
        await decided(other)
        assert (await older).structured_content["draft"]["state"] == "rejected"
        assert followers(client) == {}


async def test_more_calls_wait_than_there_are_connections_and_another_is_answered(lab, decided, monkeypatch):
    monkeypatch.setattr(get_draft, "BEAT", 3600)
    draft = await held(lab, LOU)
    async with lab.connect(LOU) as client, Waiting(client, draft) as first:
        waits = [Waiting(client, draft) for _ in range(7)]
        calls = [first, *[await wait.__aenter__() for wait in waits]]
        assert (await client.call_tool("whoami", {})).structured_content["me"]["email"] == LOU
        assert not any(call.done() for call in calls)
        await decided(draft)
        assert {(await call).structured_content["draft"]["state"] for call in calls} == {"rejected"}


async def test_one_wait_too_many_is_answered_as_things_are(lab, monkeypatch):
    monkeypatch.setattr(waiting.Waits.__init__, "__defaults__", (1,))
    draft = await held(lab, LOU)
    async with lab.connect(LOU) as client:
        for _ in range(2):  # and the place is given back
            async with Waiting(client, draft) as first:
                at_once = await client.call_tool("get_draft", {"draft": draft, "wait_seconds": 30})
                assert at_once.structured_content["draft"]["state"] == "pending" and not first.done()
            async with asyncio.timeout(20):
                while followers(client):
                    await asyncio.sleep(0)


async def test_a_cancelled_wait_listens_no_more(lab):
    draft = await held(lab, LOU)
    async with lab.connect(LOU) as client:
        async with Waiting(client, draft):
            assert followers(client)
        async with asyncio.timeout(20):
            while followers(client):
                await asyncio.sleep(0)
        assert (await client.call_tool("whoami", {})).structured_content["me"]["email"] == LOU


async def test_a_wait_that_hears_no_news_looks_now_and_again(lab, decided, monkeypatch):
    async def hears_nothing(news):
        await asyncio.Event().wait()

    monkeypatch.setattr(News, "_listen", hears_nothing)
    monkeypatch.setattr(get_draft, "BEAT", 0.05)
    draft = await held(lab, LOU)
    async with lab.connect(LOU) as client, Waiting(client, draft) as wait:
        await decided(draft)
        assert (await wait).structured_content["draft"]["state"] == "rejected"
