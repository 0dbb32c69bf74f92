"""A day of the demo org, through the real protocol and the real page: what `crm-mcp demo` shows."""

import json
import re
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

import httpx2
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client

from ..approvals.links import make_login_link
from ..config import Settings, quiet_environment
from ..db import Database
from ..errors import Refusal
from ..reaching import server_entry

Say = Callable[[str], None]
SELLER, MANAGER, SUPPORTER, FINANCE = (
    "sam@demo.example",
    "mia@demo.example",
    "sue@demo.example",
    "fin@demo.example",
)
PROMPTS = (
    "Who is John Smith, and is anything overdue?",
    "Draft an order for him: two of our cheapest chairs.",
    "What is waiting for approval?",
    "Which customers brought the most revenue in the last year?",
    "Which deals are at risk, and whom should I write to first?",
)
_FIELD = re.compile(r'name="(csrf|hash)" value="([^"]+)"')


class DemoFailed(Refusal):
    """The day did not go as it must; what differed is said."""

    def __init__(self, what: str) -> None:
        super().__init__("DEMO_FAILED", what)


async def tour(approver: Database, page: str, known: Settings, say: Say) -> None:
    """Play the day and say each step; `approver` connects as crm_approver, `page` is where the page answers.

    Raises:
        DemoFailed: the report did not change by exactly the approved order.
    """
    home = known.home
    with (home / "demo.log").open("w", encoding="utf-8") as log:
        await _support_sees_less(home, log, say)
        async with _client(home, FINANCE, log) as fin:
            before = await _revenue(fin)
        say(f"\n3. fin@demo.example (finance) runs revenue_by_month: EUR {before:,} net in all.")
        async with _client(home, SELLER, log) as sam:
            draft = await _sam_drafts(sam, say)
            async with _client(home, FINANCE, log) as fin:
                unchanged = await _revenue(fin)
            if unchanged != before:
                raise DemoFailed(f"a held order changed revenue from {before} to {unchanged}")
            say(f"\n5. The report still says EUR {unchanged:,}.")
            await _mia_approves(approver, page, draft, say)
            told = (await _call(sam, "get_draft", draft=draft, wait_seconds=5))["draft"]
            say(
                f"\n7. Sam's client asks get_draft: {told['state']} by {told['decidedBy']}, it became {told['result']}."
            )
        async with _client(home, FINANCE, log) as fin:
            after = await _revenue(fin)
            order = (await _call(fin, "get_order", order=told["result"]))["order"]
    net = Decimal(order["net"]["amount"])
    say(f"\n8. The report now says EUR {after:,}: EUR {after - before:,} more, the order's net is EUR {net:,}.")
    if after - before != net:
        raise DemoFailed(f"the report changed by {after - before}, the order is {net}")
    _what_next(known, page, say)


async def _support_sees_less(home: Path, log: TextIO, say: Say) -> None:
    async with _client(home, SUPPORTER, log) as sue:
        names = [tool.name for tool in (await sue.list_tools()).tools]
        say(
            f"\n1. sue@demo.example (support) connects over stdio and sees {len(names)} tools:\n   {', '.join(names)}"
        )
        try:
            await sue.call_tool("create_order_draft", {})
        except MCPError as problem:
            say(f"   create_order_draft is not for support: {problem}")
        found = await _call(sue, "search_customers", query="jon smiht")
        first = found["customers"][0]
        say(f"\n2. She searches “jon smiht” and finds {first['name']} ({first['id']}, {first['matchReason']}).")


async def _sam_drafts(sam: Client, say: Say) -> str:
    names = [tool.name for tool in (await sam.list_tools()).tools]
    customer = (await _call(sam, "search_customers", query="John Smith"))["customers"][0]["id"]
    known = await _call(sam, "get_customer", customer=customer)
    chair = (await _call(sam, "search_products", query="chair", limit=1))["products"][0]
    say(f"\n4. sam@demo.example (sales) sees {len(names)} tools, reads {known['customer']['name']}:")
    say(f"   {json.dumps(known['_meta'], ensure_ascii=False)}")
    lines = [{"product": chair["id"], "quantity": 3}]
    held = await _call(sam, "create_order_draft", customer=customer, lines=lines, reason="He asked on the phone.")
    say(f"   and drafts an order. The answer is {held['type']}, {held['draft']['id']}:\n   {held['summary']}")
    return held["draft"]["id"]


async def _mia_approves(approver: Database, page: str, draft: str, say: Say) -> None:
    """Sign in by a one-time link and press Approve, as a browser would."""
    link = await make_login_link(approver, MANAGER, "demo", page, then=f"/drafts/{draft}")
    secret = link.removeprefix(f"{page}/login/").partition("?")[0]
    async with httpx2.AsyncClient(base_url=page, headers={"Origin": page}, follow_redirects=True) as browser:
        shown = await browser.post("/login", data={"secret": secret, "next": f"/drafts/{draft}"})
        fields = dict(_FIELD.findall(shown.text))
        if "hash" not in fields:
            raise DemoFailed("the page did not offer the draft for approval")
        done = await browser.post(f"/drafts/{draft}/approve", data=fields)
    made = re.findall(r'<span class="noun">New order</span> <b>(?:<bdi>)?([^<]+)', done.text)
    if done.status_code != 200 or not made:
        raise DemoFailed(f"the page answered {done.status_code} to the approval")
    say(f"\n6. mia@demo.example (sales manager) opens {page}/drafts/{draft}, sees what it would do, approves.")
    say(f"   The page says: done, new order {made[0]}.")


async def _revenue(fin: Client) -> Decimal:
    report = await _call(fin, "run_report", report="revenue_by_month")
    return Decimal(report["report"]["totals"]["revenue"])


@asynccontextmanager
async def _client(home: Path, user: str, log: TextIO) -> AsyncGenerator[Client]:
    """A real MCP client of a real server process over stdio."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "crm_mcp", "serve", "--user", user],
        env=quiet_environment(home),
    )
    try:
        async with Client(stdio_client(server, errlog=log)) as client:
            yield client
    except BaseExceptionGroup as several:
        # the client's task groups wrap whatever went wrong inside
        failed, _ = several.split(DemoFailed)
        while isinstance(failed, BaseExceptionGroup):
            failed = failed.exceptions[0]
        raise failed or several from None


async def _call(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    try:
        result = await client.call_tool(name, arguments)
    except MCPError as refused:
        raise DemoFailed(f"{name} answered {refused}") from None
    body: dict[str, Any] = result.structured_content
    if result.is_error:
        raise DemoFailed(f"{name} answered {body}")
    return body


def _what_next(known: Settings, page: str, say: Say) -> None:
    entry = {"mcpServers": {"crm": server_entry(["--user", SELLER], known.chosen_home)}}
    say(
        "\nNow you. Put this into your client's configuration, or run: crm-mcp install claude-desktop --user "
        + SELLER
    )
    say(json.dumps(entry, indent=2))
    say(f"Approve at {page}: run `crm-mcp open --user {MANAGER}`. Then paste:")
    for prompt in PROMPTS:
        say(f"  - {prompt}")
