"""The card as clients of both eras are told of it, without a browser."""

import base64
import hashlib
import json
import re

import pytest
from mcp import Client, MCPError
from mcp.client import advertise
from mcp.server import apps
from wire import serving

from crm_mcp import auth
from crm_mcp.app import App
from crm_mcp.app import Client as Served
from crm_mcp.catalog import SNAPSHOT, Catalog, every_tool
from crm_mcp.resources.ui import card
from crm_mcp.resources.ui.document import HERE, SCRIPTS, document
from crm_mcp.resources.ui.form import form_of
from crm_mcp.server import build_server
from crm_mcp.tool import Effect
from fences import unnumbered

ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])
SHOWS_CARDS = {"extensions": [advertise(card.EXTENSION, {"mimeTypes": [card.MIME_TYPE]})]}
MAIL = {
    "to": ["somebody@elsewhere.example"],
    "subject": "Your desks",
    "body": "They leave on Thursday.\n" * 400,
    "attachments": [{"name": "a.txt", "text": "secret of the attachment"}],
    "reason": "they asked",
}


@pytest.fixture
def unconnected():
    """A server whose database nobody can reach."""

    async def database():
        raise AssertionError("the database was asked for")

    proof = Served(auth.by_email("sam@demo.example", None, None))
    return build_server(App(database, Catalog(), proof, lambda: "http://localhost:8787"))


async def test_the_newer_era_is_told_of_the_extension(unconnected):
    async with Client(unconnected, mode="auto") as client:
        assert client.server_capabilities.extensions[card.EXTENSION] == {}


async def test_a_handshake_tells_of_the_extension(home):
    async with serving(home.root, shake=False) as wire:
        assert (await wire.shake())["capabilities"]["extensions"][card.EXTENSION] == {}


def test_the_names_written_out_are_the_sdks():
    assert (card.EXTENSION, card.MIME_TYPE) == (apps.EXTENSION_ID, apps.APP_MIME_TYPE)


@ERAS
async def test_reading_the_card_asks_no_database(unconnected, mode):
    async with Client(unconnected, mode=mode) as client:
        (content,) = (await client.read_resource(card.URI)).contents
    assert (content.mime_type, content.meta) == (card.MIME_TYPE, {"ui": {"csp": {}, "prefersBorder": True}})
    assert content.text == document()


@ERAS
async def test_the_card_is_listed_with_its_kind(connect, mode):
    async with connect(mode=mode) as client:
        (listed,) = [one for one in (await client.list_resources()).resources if str(one.uri) == card.URI]
    assert (listed.mime_type, listed.meta) == (card.MIME_TYPE, {"ui": {"csp": {}, "prefersBorder": True}})


@ERAS
async def test_what_may_be_held_names_the_card_and_what_reads_its_page_if_any(connect, mode):
    pages = {tool.name: tool.page if tool.effect is Effect.READ else card.URI for tool in every_tool()}
    async with connect("ada@demo.example", mode=mode) as client:
        tools = (await client.list_tools()).tools
    assert {tool.name: tool.meta for tool in tools} == {
        tool.name: uri and {"ui": {"resourceUri": uri}, "ui/resourceUri": uri}
        for tool in tools
        for uri in [pages[tool.name]]
    }


def test_the_snapshot_says_the_same_of_every_tool():
    rows = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    named = {row["wire"]["name"]: row["wire"]["_meta"]["ui/resourceUri"] for row in rows if "_meta" in row["wire"]}
    assert {name for name, uri in named.items() if uri == card.URI} == {
        row["wire"]["name"] for row in rows if row["effect"] != "read"
    }


@ERAS
async def test_a_client_without_cards_gets_exactly_text_with_links(connect, order, mode):
    async with connect(mode=mode) as plain, connect(mode=mode, speaks=SHOWS_CARDS) as shows:
        told = await plain.call_tool("create_order_draft", {**order, "idempotency_key": f"plain-{mode}"})
        draft = told.structured_content["draft"]["id"]
        assert f'url: "http://localhost:8787/drafts/{draft}"' in told.content[0].text
        seen = [await client.call_tool("get_draft", {"draft": draft}) for client in (plain, shows)]
    assert seen[0].structured_content == seen[1].structured_content
    assert unnumbered(seen[0].content[0].text) == unnumbered(seen[1].content[0].text)
    assert card.DETAILS not in (seen[0].meta or {}) and card.DETAILS in seen[1].meta
    assert "arguments" not in seen[0].structured_content["draft"]


@ERAS
async def test_the_card_is_told_all_of_a_draft_that_a_models_budget_would_cut(connect, mode):
    async with connect(mode=mode, speaks=SHOWS_CARDS) as client:
        held = await client.call_tool("send_email_draft", {**MAIL, "idempotency_key": f"all-{mode}"})
        draft = held.structured_content["draft"]["id"]
        told = (await client.call_tool("get_draft", {"draft": draft})).meta[card.DETAILS]
    assert told["letter"]["body"].strip() == MAIL["body"].strip()
    assert told["letter"]["to"][0]["address"] == "somebody@elsewhere.example"
    assert told["why"] == "they asked" and told["mayDiscard"] is True
    form = {field["name"]: field for field in told["form"]}
    assert list(form) == ["to", "cc", "subject", "body"]
    assert form["body"]["kind"] == "long" and form["body"]["value"] == MAIL["body"]
    assert "secret of the attachment" not in json.dumps(told)


async def test_an_administrator_sees_anothers_draft_without_the_means_to_edit_it(connect, order):
    async with connect() as sam, connect("ada@demo.example", speaks=SHOWS_CARDS) as ada:
        held = await sam.call_tool("create_order_draft", {**order, "idempotency_key": "of sam"})
        told = await ada.call_tool("get_draft", {"draft": held.structured_content["draft"]["id"]})
    assert "record" in told.meta[card.DETAILS]
    assert "form" not in told.meta[card.DETAILS] and told.meta[card.DETAILS]["mayDiscard"] is False


async def test_who_may_not_revise_gets_no_form(connect, order):
    async with connect(speaks=SHOWS_CARDS, excluded=frozenset({"revise_draft", "discard_draft"})) as client:
        held = await client.call_tool("create_order_draft", {**order, "idempotency_key": "no form"})
        told = await client.call_tool("get_draft", {"draft": held.structured_content["draft"]["id"]})
    assert "form" not in told.meta[card.DETAILS] and told.meta[card.DETAILS]["mayDiscard"] is False


@ERAS
@pytest.mark.parametrize("name", ["decide_draft", "approve_draft", "approve", "reject_draft"])
async def test_no_tool_decides_whatever_a_card_asks_for(connect, order, owner_asks, mode, name):
    async with connect("ada@demo.example", mode=mode, speaks=SHOWS_CARDS) as client:
        held = await client.call_tool("create_order_draft", {**order, "idempotency_key": f"{mode} {name}"})
        draft = held.structured_content["draft"]["id"]
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool(name, {"draft": draft, "decision": "approve", "nonce": "x"})
    assert owner_asks("select state from crm.drafts where id = %s", int(draft[6:])) == "pending"


def test_the_card_knows_three_tools_and_none_that_decides():
    scripts = "".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    assert set(re.findall(r"call\('(\w+)'", scripts)) == {"get_draft", "revise_draft", "discard_draft"}
    assert scripts.count("'tools/call'") == 1


def test_the_document_allows_its_own_script_and_style_and_nothing_else():
    page = document()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    parts = [re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL) for tag in ("script", "style")]
    assert [len(found) for found in parts] == [1, 1]
    hashes = [base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode() for found in parts]
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_the_document_reaches_for_nothing_and_writes_no_markup():
    page = document()
    assert not re.search(r"https?://[\w.]|\bsrc=|\bhref=|@import|url\(\"|fetch\(|XMLHttpRequest|WebSocket", page)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|DOMParser", page)
    assert not re.search(r"<[a-z][^>]*\son\w+=", page)


@pytest.mark.parametrize(
    "tool", [tool for tool in every_tool() if tool.effect is not Effect.READ], ids=lambda t: t.name
)
def test_the_form_of_every_write_has_only_fields_a_person_can_fill_in(tool):
    kinds = {"text", "long", "whole", "number", "flag", "date", "choice", "list", "rows"}
    fields = form_of(tool.args, {})
    assert {field["kind"] for field in fields} <= kinds
    assert not {"reason", "confidence", "idempotency_key"} & {field["name"] for field in fields}
    assert not [field for field in fields if "_…" in field.get("hint", "")]
    json.dumps(fields)
