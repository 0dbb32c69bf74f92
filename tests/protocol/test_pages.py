"""The pages in the chat as clients of both eras are told of them, without a browser."""

import base64
import hashlib
import json
import re

import pytest
from mcp import Client
from mcp.client import advertise
from mcp.types import TextContent

from crm_mcp import auth
from crm_mcp.app import App
from crm_mcp.app import Client as Served
from crm_mcp.catalog import USUAL, VIEWS, Catalog, every_tool
from crm_mcp.principal import Role
from crm_mcp.resources.ui import card
from crm_mcp.resources.ui.document import HERE, VIEW_SCRIPTS, document
from crm_mcp.resources.ui.pages import LEADS_ON, PAGES, WHOLE
from crm_mcp.server import build_server
from crm_mcp.tool import Effect
from fences import unnumbered

ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])
SHOWS_PAGES = {"extensions": [advertise(card.EXTENSION, {"mimeTypes": [card.MIME_TYPE]})]}
SHOWN = {tool.name: tool for tool in every_tool() if tool.toolset == VIEWS}
CUSTOMER = """select 'cust_' || min(c.id) from crm.customers c join crm.orgs g on g.id = c.org_id and g.slug = 'demo'
 where c.archived_at is null"""


@pytest.fixture
def customer(owner_asks):
    return {"customer": owner_asks(CUSTOMER)}


@ERAS
@pytest.mark.parametrize("uri", PAGES)
async def test_reading_a_page_asks_no_database(mode, uri):
    async def database():
        raise AssertionError("the database was asked for")

    server = build_server(App(database, Catalog(), Served(auth.by_email("sam@demo.example", None, None)), str))
    async with Client(server, mode=mode) as client:
        (content,) = (await client.read_resource(uri)).contents
    assert (content.mime_type, content.meta) == (card.MIME_TYPE, {"ui": {"csp": {}, "prefersBorder": True}})
    assert content.text == document(uri)


@ERAS
async def test_the_pages_are_listed_with_their_kind(connect, mode):
    async with connect(mode=mode) as client:
        listed = {str(one.uri): one for one in (await client.list_resources()).resources}
    for uri, page in PAGES.items():
        assert (listed[uri].name, listed[uri].description) == (page.name, page.description)
        assert (listed[uri].mime_type, listed[uri].meta) == (
            card.MIME_TYPE,
            {"ui": {"csp": {}, "prefersBorder": True}},
        )


def test_each_page_is_named_by_one_tool_that_reads_and_no_agent_has_it():
    assert sorted(tool.page for tool in SHOWN.values()) == sorted(PAGES)
    for tool in SHOWN.values():
        assert tool.effect is Effect.READ and not tool.agents


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("show_customer", "get_customer"),
        ("show_order", "get_order"),
        ("show_pipeline", "get_pipelines"),
        ("show_report", "run_report"),
    ],
)
def test_a_page_is_for_the_roles_that_may_read_what_is_on_it(name, data):
    roles = {tool.name: tool.roles for tool in every_tool()}
    assert roles[name] == roles[data]


@ERAS
@pytest.mark.parametrize("role", ["ada", "sam", "olga", "fin", "sue"])
async def test_who_asks_for_nothing_is_listed_pages_only_where_the_client_shows_them(connect, mode, role):
    email = f"{role}@demo.example"
    async with (
        connect(email, mode=mode, usual=True) as plain,
        connect(email, mode=mode, speaks=SHOWS_PAGES, usual=True) as shows,
    ):
        without, with_pages = [[tool.name for tool in (await client.list_tools()).tools] for client in (plain, shows)]
    assert not set(without) & set(SHOWN)
    assert [name for name in with_pages if name not in SHOWN] == without
    assert {"show_customer", "show_order", "show_report"} <= set(with_pages)


@ERAS
async def test_who_asks_for_the_toolset_is_listed_it_whatever_the_client_shows(connect, mode):
    async with connect(mode=mode, toolsets=frozenset({VIEWS})) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == set(SHOWN)


def test_the_usual_days_have_the_pages_of_what_is_in_them():
    pipelines = {role for role in Role if "show_pipeline" not in USUAL[role].seldom} & SHOWN["show_pipeline"].roles
    assert pipelines == {role for role in Role if "pipelines" in USUAL[role].toolsets}


@ERAS
async def test_a_client_without_pages_that_calls_one_by_name_gets_the_whole_answer_as_text(connect, customer, mode):
    async with connect(mode=mode, usual=True) as plain, connect(mode=mode, speaks=SHOWS_PAGES, usual=True) as shows:
        told = [await client.call_tool("show_customer", customer) for client in (plain, shows)]
    assert told[0].structured_content == told[1].structured_content
    assert unnumbered(told[0].content[0].text) == unnumbered(told[1].content[0].text)
    assert WHOLE not in (told[0].meta or {}) and WHOLE in told[1].meta
    assert isinstance(told[0].content[0], TextContent)
    assert told[0].structured_content["customer"]["name"] in told[0].content[0].text


@ERAS
async def test_a_page_is_told_the_record_uncut_of_which_a_model_gets_its_budget(connect, mode):
    async with connect("ada@demo.example", mode=mode, speaks=SHOWS_PAGES) as client:
        told = await client.call_tool("show_report", {"report": "top_customers", "parameters": {"most": 100}})
    shown, whole = told.structured_content, told.meta[WHOLE]["record"]
    assert shown["_meta"]["leftOut"]["report.rows"] == len(whole["rows"]) - len(shown["report"]["rows"]) > 0
    assert shown["_meta"]["rows"] == len(whole["rows"])
    assert whole["totals"] == shown["report"]["totals"]


async def test_a_page_is_told_which_of_the_tools_it_knows_are_there_for_it(connect, customer):
    async def told(email, **narrowed):
        async with connect(email, speaks=SHOWS_PAGES, **narrowed) as client:
            return (await client.call_tool("show_customer", customer)).meta[WHOLE]["asks"]

    assert "get_invoices" in await told("fin@demo.example", usual=True)
    assert "get_pipelines" not in await told("fin@demo.example")
    assert "get_orders" not in await told("fin@demo.example", excluded=frozenset({"get_orders"}))
    assert {"get_pipelines", "suggest_next_action", *LEADS_ON} <= set(await told("sam@demo.example", usual=True))


def test_the_script_of_the_pages_asks_tools_that_read_and_those_alone():
    scripts = "".join((HERE / name).read_text(encoding="utf-8") for name in VIEW_SCRIPTS)
    (listed,) = re.findall(r"const TOOLS = new Set\(\[([^\]]+)\]\)", scripts)
    known = set(re.findall(r"'(\w+)'", listed))
    effects = {tool.name: tool.effect for tool in every_tool()}
    assert known == {*LEADS_ON, *(name for page in PAGES.values() for name in page.asks)}
    assert {effects[name] for name in known} == {Effect.READ}
    assert set(re.findall(r"ask\('(\w+)'", scripts)) <= known
    assert scripts.count("'tools/call'") == 1 and "ui/open-link" not in scripts


@pytest.mark.parametrize("uri", PAGES)
def test_a_page_allows_its_own_script_and_style_and_nothing_else(uri):
    page = document(uri)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    parts = [re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL) for tag in ("script", "style")]
    assert [len(found) for found in parts] == [1, 1]
    hashes = [base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode() for found in parts]
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert f'data-view="{uri.rpartition("/")[2]}"' in page and 'data-stage="loading"' in page


def test_the_pages_have_one_script_and_one_style():
    parts = {tuple(re.findall(r"<(?:script|style)>(.*?)</", document(uri), re.DOTALL)) for uri in PAGES}
    assert len(parts) == 1


@pytest.mark.parametrize("uri", PAGES)
def test_a_page_reaches_for_nothing_and_writes_no_markup(uri):
    page = document(uri).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://[\w.]|\bsrc=|\bhref=|@import|url\(\"|\bfetch\(|XMLHttpRequest|WebSocket", page)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser", page
    )
    assert not re.search(r"<[a-z][^>]*\s(on\w+|style)=", page)


def test_what_the_pages_carry_of_others_says_whose_it_is():
    charts = (HERE / "vendor" / "charts.js").read_text(encoding="utf-8")
    assert "Mike Bostock" in charts and "Permission to use, copy, modify, and/or distribute" in charts
    packages = json.loads((HERE.parents[3] / "tests" / "in_browser" / "package.json").read_text("utf-8"))
    for name in ("d3-scale", "d3-shape"):
        assert f"{name} {packages['dependencies'][name]}" in charts.splitlines()[1]
