"""Over HTTP, in both protocol eras: waiting for a decision, being told of it, and the doorbell."""

import asyncio
import json
import uuid

import psycopg
import pytest
from mcp import MCPError
from mcp.client.subscriptions import ResourceUpdated
from mcp.types import ElicitResult, ResourceUpdatedNotification
from remote_server import asked, client_of, headed, revoke, until

from crm_mcp.remote import limits

LIST = "crm://drafts"
BOTH = pytest.mark.parametrize("mode", ["auto", "legacy"])
HANDSHAKE = pytest.mark.filterwarnings("ignore:resources/.*subscribe is removed")
"""Clients of the handshake era go on asking this way; the SDK warns whoever writes a new one."""
OTTO = ("otto@other.example", "other")
LETTER = {"to": ["kim@post.example"], "subject": "Ahoy", "body": uuid.uuid4().hex, "reason": "they asked"}
"""Of this file alone: who asks for what waits already has no new draft."""


@pytest.fixture
def listening(home):
    """Return how many connections to the database listen for news of drafts."""

    def count():
        with psycopg.connect(home.conninfo("postgres")) as root:
            sql = "select count(*) from pg_stat_activity where query = 'listen crm_drafts' and state = 'idle'"
            return root.execute(sql).fetchone()[0]

    return count


@pytest.fixture
def decided(executor, person):
    """Have Mia reject a draft."""

    async def decide(draft):
        await executor.reject(await person("mia@demo.example"), int(draft.rpartition("_")[2]), "No.")

    return decide


async def called(client, tool, **arguments):
    return (await client.call_tool(tool, arguments)).structured_content


async def drafted(client, order):
    told = await called(client, "create_order_draft", **order, comment=uuid.uuid4().hex)
    return told["draft"]["id"]


class Heard:
    """What a client of the handshake era is told of resources, in order."""

    def __init__(self):
        self.uris = asyncio.Queue()

    async def __call__(self, message):
        if isinstance(message, ResourceUpdatedNotification):
            self.uris.put_nowait(str(message.params.uri))

    async def next(self):
        return await asyncio.wait_for(self.uris.get(), 60)


async def told_next(stream):
    return await asyncio.wait_for(anext(stream), 60)


class Waiting:
    """Calls that wait for a decision, once they are under way."""

    def __init__(self, client, draft, number=1):
        self._client, self._draft, self._number = client, draft, number

    async def _wait(self, begun):
        async def progress(done, total, message):
            begun.set()

        arguments = {"draft": self._draft, "wait_seconds": 30}
        return (await self._client.call_tool("get_draft", arguments, progress_callback=progress)).structured_content

    async def __aenter__(self):
        begun = [asyncio.Event() for _ in range(self._number)]
        self.calls = [asyncio.create_task(self._wait(one)) for one in begun]
        async with asyncio.timeout(60):
            await asyncio.gather(*[one.wait() for one in begun])
        return self.calls

    async def __aexit__(self, *_):
        for call in self.calls:
            call.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)


@BOTH
async def test_while_as_many_wait_as_may_others_are_answered_and_the_decision_answers_all(
    server, key_of, order, decided, mode, listening
):
    before = listening()
    async with client_of(server, key_of(), mode) as client:
        draft = await drafted(client, order)
        async with Waiting(client, draft, limits.WAITS) as waits:
            at_once = await called(client, "get_draft", draft=draft, wait_seconds=30)
            assert at_once["draft"]["state"] == "pending"
            assert (await called(client, "whoami"))["me"]["email"] == "sam@demo.example"
            assert not any(wait.done() for wait in waits)
            await decided(draft)
            assert {(await wait)["draft"]["state"] for wait in waits} == {"rejected"}
    await until(lambda: listening() == before)


@BOTH
async def test_a_client_that_goes_leaves_no_wait_behind(server, key_of, order, mode, listening, owner_asks):
    before, last = listening(), owner_asks("select max(id) from crm.audit_log")
    async with client_of(server, key_of(), mode) as client:
        draft = await drafted(client, order)
        async with Waiting(client, draft, 3):
            await until(lambda: listening() == before + 1)
        await until(lambda: listening() == before)
        cancelled = (
            "select count(*) from crm.audit_log where id > %s and tool = 'get_draft' and outcome = 'CANCELLED'"
        )
        await until(lambda: owner_asks(cancelled, last) == 3)


async def test_a_decision_reaches_the_stream_of_who_may_see_it_and_nobody_elses(server, key_of, order, decided):
    async with (
        client_of(server, key_of()) as sam,
        client_of(server, key_of(*OTTO)) as otto,
        client_of(server, key_of("sue@demo.example")) as sue,
        client_of(server, key_of("ada@demo.example")) as ada,
    ):
        uri = f"{LIST}/{await drafted(sam, order)}"
        asked_for = [uri, LIST]
        async with (
            sam.listen(resource_subscriptions=asked_for) as sams,
            otto.listen(resource_subscriptions=asked_for) as ottos,
            sue.listen(resource_subscriptions=asked_for) as sues,
            ada.listen(resource_subscriptions=asked_for) as adas,
        ):
            assert sams.honored.resource_subscriptions == adas.honored.resource_subscriptions == asked_for
            assert ottos.honored.resource_subscriptions == sues.honored.resource_subscriptions == [LIST]
            await decided(uri)
            for stream in (sams, adas):
                assert [await told_next(stream), await told_next(stream)] == [
                    ResourceUpdated(uri),
                    ResourceUpdated(LIST),
                ]
            # What they hear first is what comes later, and is their own.
            for client, stream in ((sue, sues), (otto, ottos)):
                assert (await called(client, "send_email_draft", **LETTER))["type"] == "approval_required"
                assert await told_next(stream) == ResourceUpdated(LIST)
            assert (await called(sam, "get_draft", draft=uri.rpartition("/")[2]))["draft"]["state"] == "rejected"
            for stream in (ottos, sues):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0):
                        await anext(stream)


@HANDSHAKE
async def test_a_decision_reaches_the_session_of_who_may_see_it_and_nobody_elses(server, key_of, order, decided):
    heard = {name: Heard() for name in ("sam", "otto", "sue")}
    async with (
        client_of(server, key_of(), "legacy", message_handler=heard["sam"]) as sam,
        client_of(server, key_of(*OTTO), "legacy", message_handler=heard["otto"]) as otto,
        client_of(server, key_of("sue@demo.example"), "legacy", message_handler=heard["sue"]) as sue,
    ):
        uri = f"{LIST}/{await drafted(sam, order)}"
        for client in (otto, sue):
            with pytest.raises(MCPError, match="DRAFT_NOT_FOUND"):
                await client.subscribe_resource(uri)
            await client.subscribe_resource(LIST)
        await sam.subscribe_resource(uri)
        await decided(uri)
        assert await heard["sam"].next() == uri
        for client, name in ((otto, "otto"), (sue, "sue")):
            assert (await called(client, "send_email_draft", **LETTER | {"subject": "Hey"}))["draft"]
            assert await heard[name].next() == LIST
            assert heard[name].uris.empty()
        await sam.subscribe_resource(LIST)
        await sam.unsubscribe_resource(uri)
        await called(sam, "send_email_draft", **LETTER)
        assert await heard["sam"].next() == LIST


async def test_a_stream_that_breaks_off_listens_no_more(server, key_of, order, listening, http):
    before, key = listening(), key_of()
    async with client_of(server, key) as client:
        draft = await drafted(client, order)
    wants = asked("subscriptions/listen", {"notifications": {"resourceSubscriptions": [f"{LIST}/{draft}"]}})
    for _ in range(3):
        async with http.stream("POST", server.url, json=wants, headers=headed(key, "subscriptions/listen")) as stream:
            assert "acknowledged" in await anext(stream.aiter_text())
            assert listening() == before + 1
        await until(lambda: listening() == before)


@HANDSHAKE
async def test_a_session_that_ends_and_a_key_that_does_listen_no_more(server, home, key_of, order, listening):
    before, key = listening(), key_of()
    async with client_of(server, key, "legacy") as client:
        await client.subscribe_resource(LIST)
        assert listening() == before + 1
    await until(lambda: listening() == before)
    async with client_of(server, key, "legacy") as client:
        await client.subscribe_resource(LIST)
        assert listening() == before + 1
        revoke(home, key)
        with pytest.raises(MCPError):
            await client.call_tool("whoami", {})
        await until(lambda: listening() == before)


class Person:
    """Who is at the client: remembers what they were asked."""

    def __init__(self):
        self.asked = asyncio.Queue()

    async def __call__(self, ctx, params):
        self.asked.put_nowait(params)
        return ElicitResult(action="decline")


async def test_the_doorbell_opens_the_page_and_bears_no_secret(server, key_of, order, owner_asks):
    person, key = Person(), key_of()
    async with client_of(server, key, "legacy", elicitation_callback=person) as client:
        told = await called(client, "create_order_draft", **order, comment=uuid.uuid4().hex)
        draft = told["draft"]["id"]
        rung = await asyncio.wait_for(person.asked.get(), 60)
        assert (rung.mode, rung.url) == ("url", told["approvalActions"][0]["url"])
        assert rung.url == f"http://localhost:8787/drafts/{draft}"
        assert key not in json.dumps(rung.model_dump(mode="json"))
        await called(client, "whoami")
        assert person.asked.empty()
    assert owner_asks("select state from crm.drafts where id = %s", int(draft[6:])) == "pending"


async def test_the_doorbell_reaches_a_client_that_listens_to_nothing_but_its_answers(server, key_of, order, http):
    headers = {"accept": "application/json, text/event-stream", "authorization": f"Bearer {key_of()}"}

    async def send(method, params, number=None):
        body = {"jsonrpc": "2.0", "method": method, "params": params, **({"id": number} if number else {})}
        return await http.post(server.url, json=body, headers=headers)

    hello = {"protocolVersion": "2025-11-25", "clientInfo": {"name": "plain", "version": "1"}}
    opened = await send("initialize", {**hello, "capabilities": {"elicitation": {"url": {}}}}, 1)
    headers["mcp-session-id"] = opened.headers["mcp-session-id"]
    await send("notifications/initialized", {})
    call = {"name": "create_order_draft", "arguments": {**order, "comment": uuid.uuid4().hex}}
    told = await send("tools/call", call, 2)
    lines = [json.loads(line[5:]) for line in told.text.splitlines() if line.startswith("data:") and len(line) > 6]
    bell, answer = lines
    assert (bell["method"], answer["id"]) == ("elicitation/create", 2)
    assert bell["params"]["url"] == answer["result"]["structuredContent"]["approvalActions"][0]["url"]
    # Its answer, even one that pretends to decide, is taken and changes nothing.
    forged = {"jsonrpc": "2.0", "id": bell["id"], "result": {"action": "accept", "content": {"decision": "approve"}}}
    assert (await http.post(server.url, json=forged, headers=headers)).status_code == 202
    draft = answer["result"]["structuredContent"]["draft"]["id"]
    looked = await send("tools/call", {"name": "get_draft", "arguments": {"draft": draft}}, 3)
    assert '"state":"pending"' in looked.text.replace(" ", "")


async def test_nobody_is_rung_for_in_the_stateless_era(server, key_of, order):
    person = Person()
    async with client_of(server, key_of(), "auto", elicitation_callback=person) as client:
        await drafted(client, order)
        await called(client, "whoami")
    assert person.asked.empty()
