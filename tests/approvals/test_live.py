"""Live updates: an open page hears which drafts moved, only those it may see, only while its session lasts."""

import asyncio
import contextlib

import pytest

from browser import ORIGIN
from crm_mcp.approvals import live
from crm_mcp.approvals.live import Live
from crm_mcp.approvals.web import build_page
from crm_mcp.news import News


@pytest.fixture
async def told(home, approver, monkeypatch):
    """The page with news; beats follow at once, so that an end is seen without waiting."""
    monkeypatch.setattr(live, "_BATCH", 0)
    async with News(home.conninfo("crm_approver")) as news:
        streams = Live(approver, news, beat=0.05)
        yield build_page(approver, origin=ORIGIN, live=streams), streams
        streams.close()


@pytest.fixture
def page(told):
    return told[0]


class Stream:
    """One stream as a browser reads it, straight from the application."""

    def __init__(self, app, browser):
        self._app, self._left = app, asyncio.Event()
        cookie = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
        headers = [(b"host", b"localhost:8787"), (b"cookie", cookie.encode())]
        self._scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": "/news", "raw_path": b"/news", "query_string": b"", "headers": headers,
            "client": ("127.0.0.1", 1), "server": ("localhost", 8787), "root_path": "",
        }  # fmt: skip
        self._sent: asyncio.Queue[dict] = asyncio.Queue()

    async def __aenter__(self):
        self._task = asyncio.create_task(self._app(self._scope, self._receive, self._sent.put))
        self.status = (await self._next())["status"]
        return self

    async def __aexit__(self, *_):
        self._left.set()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _receive(self):
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _next(self):
        return await asyncio.wait_for(self._sent.get(), 20)

    async def event(self):
        """Return the next event's data; None once the stream has ended."""
        while True:
            message = await self._next()
            said = message.get("body", b"").decode()
            if said.startswith("event: drafts\n"):
                return said.split("data: ")[1].strip()
            if not message.get("more_body"):
                return None

    def leave(self):
        self._left.set()

    async def ended(self):
        await asyncio.wait_for(self._task, 20)


async def test_an_open_page_hears_what_was_drafted_revised_and_decided(page, signed_in, drafted, executor, person):
    mia = await signed_in()
    async with Stream(page, mia) as stream:
        assert await stream.event() == "all"
        draft = await drafted()
        assert await stream.event() == draft
        await executor.edit(await person("ada@demo.example"), int(draft[6:]), 1, {"comment": "new"}, "so")
        assert await stream.event() == draft
        await mia.press(draft, "reject", reason="no")
        assert await stream.event() == draft


async def test_nobody_hears_of_drafts_they_may_not_see(page, signed_in, drafted):
    sam, otto = await signed_in("sam@demo.example"), await signed_in("otto@other.example")
    async with Stream(page, sam) as his, Stream(page, otto) as theirs:
        assert (await his.event(), await theirs.event()) == ("all", "all")
        await drafted("mia@demo.example")
        own = await drafted()
        assert await his.event() == own
        assert theirs._sent.empty() or "draft_" not in str(theirs._sent._queue)


async def test_a_stream_needs_a_session_and_ends_with_it(page, signed_in, browsers, drafted):
    async with Stream(page, browsers()) as nobody:
        assert nobody.status == 401
    mia = await signed_in()
    async with Stream(page, mia) as stream:
        assert await stream.event() == "all"
        token = (await mia.form(await drafted()))["csrf"]
        await mia.post("/logout", {"csrf": token})
        while (said := await stream.event()) is not None:
            assert said.startswith("draft_")
        await stream.ended()


async def test_a_session_has_few_streams_and_gets_them_back(told, signed_in):
    page, streams = told
    mia = await signed_in()
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(Stream(page, mia)) for _ in range(live.STREAMS)]
        for stream in opened:
            assert await stream.event() == "all"
        async with Stream(page, mia) as fifth:
            assert fifth.status == 429
        opened[0].leave()
        await opened[0].ended()
        async with Stream(page, mia) as again:
            assert again.status == 200
            assert await again.event() == "all"
    assert not streams._open


async def test_a_page_that_stops_ends_its_streams(told, signed_in):
    page, streams = told
    async with Stream(page, await signed_in()) as stream:
        assert await stream.event() == "all"
        streams.close()
        assert await stream.event() is None
        await stream.ended()


async def test_a_page_without_news_says_so(approver, browsers, link):
    quiet = browsers(build_page(approver, origin=ORIGIN))
    await quiet.use(await link())
    assert (await quiet.get("/news")).status_code == 204


async def test_how_a_draft_stands_is_told_without_running_it(signed_in, drafted):
    mia, sam, olga = await signed_in(), await signed_in("sam@demo.example"), await signed_in("olga@demo.example")
    draft = await drafted()
    assert (await sam.get(f"/drafts/{draft}/standing")).json() == {"state": "pending", "version": 1, "by": None}
    await mia.press(draft, "reject", reason="no")
    assert (await mia.get(f"/drafts/{draft}/standing")).json() == {
        "state": "rejected",
        "version": 1,
        "by": "Mia Moreau",
    }
    assert (await olga.get(f"/drafts/{draft}/standing")).status_code == 404
