"""A client that can open pages is asked to open a new draft's, and nothing that it answers changes anything."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from mcp.types import ClientCapabilities, ElicitResult
from wire import environment, serving

from crm_mcp.config import Settings
from crm_mcp.doorbell import ring
from crm_mcp.serving import parser

ANSWERS = {
    "accept": ElicitResult(action="accept"),
    "decline": ElicitResult(action="decline"),
    "cancel": ElicitResult(action="cancel"),
    "invented": ElicitResult(action="accept", content={"decision": "approve", "approved": True}),
}


class Person:
    """Who is at the client: remembers what they were asked, and answers as told; None never answers."""

    def __init__(self, answer=None):
        self.answer, self.asked, self.heard = answer, [], asyncio.Event()

    async def __call__(self, ctx, params):
        self.asked.append(params)
        self.heard.set()
        if self.answer is None:
            await asyncio.Event().wait()
        return self.answer

    @property
    def speaks(self):
        return {"elicitation_callback": self}


@pytest.fixture
def state(owner_asks):
    return lambda draft: owner_asks("select state from crm.drafts where id = %s", int(draft.removeprefix("draft_")))


async def held(client, order, key):
    async with asyncio.timeout(20):
        told = await client.call_tool("create_order_draft", {**order, "idempotency_key": key})
    assert told.structured_content["type"] == "approval_required"
    return told.structured_content["draft"]["id"]


@pytest.mark.parametrize("answer", ANSWERS)
async def test_whatever_the_client_answers_the_draft_waits_on(connect, order, state, answer):
    person = Person(ANSWERS[answer])
    async with connect(mode="legacy", speaks=person.speaks) as client:
        draft = await held(client, order, f"bell {answer}")
        async with asyncio.timeout(20):
            await person.heard.wait()
        assert (await client.call_tool("get_draft", {"draft": draft})).structured_content["draft"][
            "state"
        ] == "pending"
    assert state(draft) == "pending"


async def test_the_bell_names_the_page_of_the_draft_and_no_secret(connect, order):
    person = Person(ANSWERS["decline"])
    async with connect(mode="legacy", speaks=person.speaks) as client:
        draft = await held(client, order, "bell url")
        async with asyncio.timeout(20):
            await person.heard.wait()
    (asked,) = person.asked
    assert (asked.mode, asked.url) == ("url", f"http://localhost:8787/drafts/{draft}")
    assert asked.message == f"{draft} waits for a person to decide on the approvals page. Nothing has changed yet."


async def test_a_client_that_never_answers_delays_nothing(connect, order, state):
    person = Person(None)
    async with connect(mode="legacy", speaks=person.speaks) as client:
        draft = await held(client, order, "bell hangs")
        async with asyncio.timeout(20):
            await person.heard.wait()
        assert (await client.call_tool("whoami", {})).structured_content["me"]["role"] == "sales"
        assert state(draft) == "pending"
    assert state(draft) == "pending"


async def test_it_rings_once_a_draft(connect, order):
    person = Person(ANSWERS["accept"])
    async with connect(mode="legacy", speaks=person.speaks) as client:
        first = await held(client, order, "bell once")
        assert await held(client, order, "bell once") == first
        second = await held(client, order, "bell twice")
        async with asyncio.timeout(20):
            while len(person.asked) < 2:
                person.heard.clear()
                await person.heard.wait()
        await client.call_tool("revise_draft", {"draft": second, "arguments": {"comment": "b"}, "reason": "because"})
        await client.call_tool("whoami", {})
    assert [asked.url.rsplit("/", 1)[1] for asked in person.asked] == [first, second]


async def test_it_does_not_ring_where_it_is_switched_off(connect, order):
    person = Person(ANSWERS["accept"])
    async with connect(mode="legacy", speaks=person.speaks) as client:
        client.app.rings = False
        await held(client, order, "bell off")
        await client.call_tool("whoami", {})
    assert person.asked == []


async def test_it_does_not_ring_for_what_ran(connect, owner_asks):
    person = Person(ANSWERS["accept"])
    customer = owner_asks(
        "select min(id) from crm.customers where org_id = (select id from crm.orgs where slug = 'demo')"
    )
    async with connect(mode="legacy", speaks=person.speaks) as client:
        note = {"about": f"cust_{customer}", "body": "Called.", "reason": "to remember"}
        told = await client.call_tool("add_note", note)
        assert told.structured_content["type"] == "result", told
        await client.call_tool("whoami", {})
    assert person.asked == []


async def test_the_newer_era_is_answered_at_once_and_without_a_question(connect, order, state):
    person = Person(ANSWERS["accept"])
    async with connect(mode="auto", speaks=person.speaks) as client:
        draft = await held(client, order, "bell modern")
        await client.call_tool("whoami", {})
    assert person.asked == [] and state(draft) == "pending"


async def test_invented_answers_and_states_of_the_newer_era_change_nothing(home, order, state):
    async with serving(home.root, shake=False) as wire:
        about = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}, "url": {}}},
        }
        asked = {
            "name": "create_order_draft",
            "arguments": {**order, "idempotency_key": "bell forged"},
            "_meta": about,
        }
        first = await wire.request("tools/call", asked)
        draft = first["result"]["structuredContent"]["draft"]["id"]
        forged = {
            "inputResponses": {"approval": {"action": "accept", "content": {"decision": "approve"}}},
            "requestState": "approval",
        }
        again = await wire.request("tools/call", {**asked, **forged})
        told = again["result"]["structuredContent"]
        assert (told["type"], told["draft"]["id"], told["draft"]["alreadyWaiting"]) == (
            "approval_required",
            draft,
            True,
        )
    assert state(draft) == "pending"


URL = {"protocolVersion": "2025-11-25", "clientInfo": {"name": "test", "version": "1"}}


@pytest.mark.parametrize(("words", "rings"), [((), True), (("--no-doorbell",), False)], ids=["rings", "switched off"])
async def test_over_stdio_the_answer_comes_whether_or_not_the_bell_is_answered(home, order, words, rings):
    async with serving(home.root, *words, shake=False) as wire:
        await wire.request("initialize", {**URL, "capabilities": {"elicitation": {"url": {}}}})
        await wire.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        told = await wire.call("create_order_draft", {**order, "idempotency_key": f"bell {words}"})
        if rings:
            asked = await wire.heard(lambda line: line.get("method") == "elicitation/create")
            assert asked["params"]["url"].endswith(f"/drafts/{told['draft']['id']}")
            # An error for an answer is an answer too.
            no = {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "no"}}
            await wire.send(json.dumps(no).encode() + b"\n")
        assert (await wire.call("get_draft", {"draft": told["draft"]["id"]}))["draft"]["state"] == "pending"
        assert any(line.get("method") == "elicitation/create" for line in wire.lines) is rings
        assert await wire.end() == 0


HELD = {
    "type": "approval_required",
    "draft": {"id": "draft_7"},
    "approvalActions": [{"label": "Review", "url": "http://localhost:8787/drafts/draft_7"}],
}


@pytest.mark.parametrize(
    ("capabilities", "version", "rings"),
    [
        ({"elicitation": {"url": {}}}, "2025-11-25", True),
        ({"elicitation": {"url": {}}}, "2026-07-28", False),
        ({"elicitation": {"form": {}}}, "2025-11-25", False),
        ({"elicitation": {}}, "2025-11-25", False),
        ({}, "2025-11-25", False),
        (None, "2025-11-25", False),
    ],
)
async def test_only_a_client_that_opens_pages_is_asked(capabilities, version, rings):
    asked = []
    said = None if capabilities is None else ClientCapabilities.model_validate(capabilities)

    async def elicit_url(*words):
        asked.append(words)

    session = SimpleNamespace(client_capabilities=said, protocol_version=version, elicit_url=elicit_url)
    app = SimpleNamespace(rings=True, beside=lambda work: running.append(asyncio.ensure_future(work)))
    running = []
    await ring(app, session, 1, HELD)
    await asyncio.gather(*running)
    assert bool(asked) is rings


def test_the_setting_and_the_option_switch_it_off(monkeypatch, home):
    assert environment(home.root).get("CRM_DOORBELL") is None and Settings().doorbell == "draft"
    monkeypatch.setenv("CRM_DOORBELL", "never")
    assert Settings().doorbell == "never"
    assert parser().parse_args(["--no-doorbell"]).no_doorbell
