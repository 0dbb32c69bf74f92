"""Whatever is sent to a tool: a structured no or a correct result, and nothing of our inside shown or broken.

The short form draws about 100 sets of arguments a tool; CRM_HOSTILE=2000 draws so many, anew each time, and puts every
string of the collections in every place.
"""

import json
import math
import os
import re
import string
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from arguments import EXAMPLES, ID, leaves, names, positions, resolved, valid_with
from asking import ADMIN, answer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from listed import FOR_AGENTS_ALONE, NAMES, WIRE

from crm_mcp import ids
from crm_mcp.app import App
from crm_mcp.call import call
from crm_mcp.principal import Agent

CAMPAIGN = int(os.environ.get("CRM_HOSTILE", "0"))
"""Sets of arguments a tool in the campaign form; 0: the short form."""
COUNT = CAMPAIGN or 80
INSIDE = re.compile(
    r'psycopg|sqlstate|DETAIL:|relation "|column "|\bcrm\.|Traceback|pg_catalog|asyncio|sqlalchemy|File "',
    re.IGNORECASE,
)
"""What only a driver, a statement or a stack says."""
ODD = (
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "x\udfff",
    "‮evil‬",
    "مرحبا שלום",
    "a​b⁠",
    "﷽" * 50,
    "e\u0301" * 20,
    "👩‍👩‍👧‍👦",
    "%",
    "_",
    "\\",
    "'; drop table crm.orders; --",
    "%(org)s",
    "{0.__class__}",
    "$1",
    "../../etc/passwd",
    "\r\n\t\x0b\x1b[31m",
    "x" * 100_000,
    "9" * 5_000,
    "null",
    "NaN",
    "cust_0",
    "cust_-1",
    "cust_1 ",
    "cust_１",
    "cust_999999999999999999",
    "cust_9999999999999999999",
    "CUST_1",
    "draft_1\n",
    "2026-02-30",
    "0001-01-01",
    "9999-12-31",
)
NUMBERS = (
    0, -0, 1, -1, 2**31 - 1, 2**31, -(2**31) - 1, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 10**400, 0.1, -0.5,
    1e-320, 1e308, math.nan, math.inf, -math.inf, True, False,
)  # fmt: skip


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


ANYTHING = st.one_of(
    st.sampled_from(ODD),
    st.sampled_from(NUMBERS),
    st.none(),
    st.just({}),
    st.just([]),
    st.sampled_from([5, 150]).map(nested),
    st.text(max_size=40),
    st.integers(),
    st.floats(),
    st.dictionaries(st.text(max_size=10), st.integers(), max_size=3),
    st.lists(st.text(max_size=5), max_size=3),
)


def near(
    schema: dict[str, Any], known: dict[str, str], root: dict[str, Any] | None = None, name: str = ""
) -> st.SearchStrategy[Any]:
    """Return values that a schema admits, or nearly: at its edges, and a little past them."""
    root = root or schema
    schema = resolved(schema, root)
    options = schema.get("anyOf", [schema])
    kinds = [option.get("type", "object") for option in options]
    if "enum" in schema:
        return st.sampled_from([*schema["enum"], "nonsense"])
    if "object" in kinds:
        return fields(schema, known, root)
    if "array" in kinds:
        item = near(schema["items"], known, root)
        most = schema.get("maxItems", 3)
        return st.one_of(st.lists(item, max_size=3), item.map(lambda one: [one] * (most + 1)))
    if "integer" in kinds or "number" in kinds:
        if name == "wait_seconds":
            return st.sampled_from([0, -1, 31, 2**63, "0", 0.0])
        edges = [schema[key] for key in ("minimum", "maximum", "exclusiveMinimum") if key in schema]
        return st.one_of(
            st.sampled_from([1, 2, 3, *edges, *(e + 1 for e in edges), *(e - 1 for e in edges)]),
            st.sampled_from(NUMBERS),
        )
    if "boolean" in kinds:
        return st.sampled_from([True, False, "true", 1, None])
    usual = [EXAMPLES.get(name, "text"), "x" * schema.get("maxLength", 300), "x" * (schema.get("maxLength", 300) + 1)]
    if found := ID.search(schema.get("description", "")):
        usual += [known[found[1]]] * 3
    return st.one_of(
        st.sampled_from([v for v in usual if isinstance(v, str)]),
        st.sampled_from(ODD),
        st.text(string.printable, max_size=30),
    )


def fields(schema: dict[str, Any], known: dict[str, str], root: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if not schema.get("properties"):
        words = st.sampled_from(["days", "most", "year", "nonsense", "\0", "\ud800"])
        return st.dictionaries(words, st.one_of(st.sampled_from(NUMBERS), ANYTHING), max_size=2)
    parts = {key: near(part, known, root, key) for key, part in schema["properties"].items()}
    required = {key: parts[key] for key in schema.get("required", [])}
    optional = {key: part for key, part in parts.items() if key not in required}
    right = st.fixed_dictionaries(required, optional=optional)
    spoiled = st.tuples(right, st.sampled_from(sorted(parts)), ANYTHING).map(lambda t: {**t[0], t[1]: t[2]})
    unknown = st.tuples(right, st.one_of(st.text(max_size=20), st.sampled_from(ODD)), ANYTHING).map(
        lambda t: {**t[0], t[1]: t[2]}
    )
    fewer = st.tuples(right, st.sampled_from(sorted(parts))).map(
        lambda t: {k: v for k, v in t[0].items() if k != t[1]}
    )
    return st.one_of(right, right, spoiled, unknown, fewer)


@contextmanager
def both(portal: BlockingPortal, connect: Callable[..., Any]) -> Generator[Callable[[str], Any]]:
    """Connect a person, and triage for what exists for it alone; return whose client calls a tool."""
    with (
        portal.wrap_async_context_manager(connect(ADMIN)) as person,
        portal.wrap_async_context_manager(connect(ADMIN, agent=Agent.TRIAGE)) as triage,
    ):
        yield lambda name: triage if name in FOR_AGENTS_ALONE else person


@pytest.fixture
def ask(connect: Callable[..., Any]) -> Generator[Callable[[str, Any], dict[str, Any]]]:
    """Ask as an administrator, from outside the event loop so that examples can shrink.

    The SDK's client cannot put everything into JSON (a lone surrogate as a key), so these go where a transport hands over.
    """
    with start_blocking_portal() as portal, both(portal, connect) as whose:
        yield lambda name, arguments: portal.call(handed, whose(name).app, name, arguments)


async def silent(done: float, total: float, message: str) -> None:
    pass


async def handed(app: App, name: str, arguments: Any) -> dict[str, Any]:
    told = await call(app, name, arguments, silent)
    json.dumps(told.body, ensure_ascii=False, allow_nan=False).encode()
    told.text().encode()
    return {"body": told.body, "error": told.is_error, "text": told.text()}


@pytest.fixture
def send(connect: Callable[..., Any]) -> Generator[Callable[[str, Any], dict[str, Any]]]:
    """Ask through a client, as an administrator."""
    with start_blocking_portal() as portal, both(portal, connect) as whose:
        yield lambda name, arguments: portal.call(answer, whose(name), name, arguments)


class Books:
    """What must not have moved: orders, approvals, and the audit's begun rows without an end."""

    def __init__(self, home: Any) -> None:
        self._conninfo = home.conninfo("crm_owner")
        self.before = self.read()

    def read(self) -> tuple[int, int, int]:
        with psycopg.connect(self._conninfo) as conn:
            row = conn.execute(
                """select (select count(*) from crm.orders), (select count(*) from crm.drafts where state = 'approved'),
                (select coalesce(max(id), 0) from crm.audit_log)"""
            ).fetchone()
            assert row is not None
            return row

    def unbalanced(self) -> list[Any]:
        with psycopg.connect(self._conninfo) as conn:
            return conn.execute(
                """select call_id, array_agg(phase order by id) from crm.audit_log where id > %s group by call_id
                having array_agg(phase order by id) not in (array['begun', 'ended'], array['begun', 'refused'], array['refused'])""",
                (self.before[2],),
            ).fetchall()

    def calls(self) -> int:
        with psycopg.connect(self._conninfo) as conn:
            row = conn.execute(
                "select count(distinct call_id) from crm.audit_log where id > %s and parent_call is null",
                (self.before[2],),
            ).fetchone()
            assert row is not None
            return row[0]


@pytest.fixture
def books(home: Any) -> Books:
    return Books(home)


RESULTS = {name: jsonschema.Draft202012Validator(wire["outputSchema"]) for name, wire in WIRE.items()}


def judge(name: str, arguments: Any, told: dict[str, Any]) -> None:
    """Hold one answer to what every answer must be."""
    if "code" in told:
        assert told["code"] == -32602, told
        shown = told["message"]
    elif "items" in told["body"]:
        RESULTS[name].validate(told["body"])
        for item in told["body"]["items"]:
            if item["type"] == "error":
                judge(name, arguments, {"error": True, "body": {key: item[key] for key in ("error", "context")}})
        return
    elif told["error"]:
        body = told["body"]
        assert set(body) == {"error", "context"}
        assert re.fullmatch(r"[A-Z][A-Z_]+", body["error"])
        assert body["error"] != "INTERNAL", body
        assert isinstance(body["context"]["hint"], str) and len(body["context"]["hint"]) > 10
        shown = json.dumps(body)
        assert len(shown) < 6_000, "an error repeats little of what was sent"
    else:
        RESULTS[name].validate(told["body"])
        return
    sent = " ".join(map(str, [*leaves(arguments), *names(arguments)]))
    assert INSIDE.search(sent) or not INSIDE.search(shown), shown


def leave_whole(ask: Callable[[str, Any], dict[str, Any]], books: Books) -> None:
    orders, approved, _ = books.read()
    assert (orders, approved) == books.before[:2]
    assert books.unbalanced() == []
    assert ask("whoami", {})["body"]["me"]["email"] == ADMIN


@pytest.mark.parametrize("name", NAMES)
def test_drawn_arguments_get_a_structured_answer(ask, books, world_ids, name):
    asked = 0

    @settings(
        max_examples=COUNT,
        derandomize=not CAMPAIGN,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(near(WIRE[name]["inputSchema"], world_ids))
    def one(arguments: Any) -> None:
        nonlocal asked
        asked += 1
        judge(name, arguments, ask(name, arguments))

    one()
    leave_whole(ask, books)
    assert books.calls() == asked + 1


SHARED = Path(__file__).parents[3] / "shared" / "data"
LISTS = (SHARED / "nasty_strings" / "blns.json", SHARED / "sql_injection")


@pytest.fixture
def nasty() -> list[str]:
    """Return the collections' strings, each once."""
    for there in LISTS:
        if not there.exists():
            pytest.skip(f"{there} is not here")
    strings: list[str] = json.loads(LISTS[0].read_text(encoding="utf-8"))
    for file in sorted(LISTS[1].glob("*.txt")):
        strings += [line for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return list(dict.fromkeys(strings))


PLACES = [
    (name, path)
    for name in NAMES
    for path, part in positions(WIRE[name]["inputSchema"], "string")
    if "enum" not in part
]


def test_every_collected_string_gets_a_structured_answer(send, books, world_ids, nasty):
    if CAMPAIGN:
        pairs = [(place, text) for place in PLACES for text in nasty]
    else:
        # Each string once, each place many times.
        pairs = [(PLACES[at % len(PLACES)], text) for at, text in enumerate(nasty)][:: max(1, len(nasty) // 300)]
    for (name, path), text in pairs:
        arguments = valid_with(WIRE[name]["inputSchema"], world_ids, path, text)
        judge(name, arguments, send(name, arguments))
    leave_whole(send, books)


@pytest.fixture
def world_ids(home: Any) -> dict[str, str]:
    """Return an id of the demo org for each prefix that has one."""
    found = {prefix: f"{prefix}_1" for prefix in ids.PREFIX.values()}
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        row = conn.execute("select id from crm.orgs where slug = 'demo'").fetchone()
        assert row is not None
        for table, prefix in ids.PREFIX.items():
            got = conn.execute(f"select min(id) from crm.{table} where org_id = %s", row).fetchone()  # type: ignore[arg-type]
            if got and got[0]:
                found[prefix] = f"{prefix}_{got[0]}"
        live = conn.execute(
            "select min(id) from crm.products where org_id = %s and not discontinued and currency = 'EUR'", row
        ).fetchone()
        assert live is not None
    return {**found, "prod": f"prod_{live[0]}"}


def test_the_judge_tells_our_inside_from_what_was_sent():
    def told(shown: str) -> dict[str, Any]:
        hint = f"There is no argument {shown}."
        return {"error": True, "body": {"error": "INVALID_ARGUMENT", "context": {"hint": hint}}}

    judge("calculate_pricing", {"lines": [{"drop table crm.orders": None}]}, told("drop table crm.orders"))
    with pytest.raises(AssertionError):
        judge("calculate_pricing", {"lines": [{"x": None}]}, told("crm.orders"))
