"""People of the demo org at work: each at an MCP client over stdio, or at the approvals page over HTTP."""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client

from browser import Browser, hidden, text
from crm_mcp.approvals.links import make_login_link
from crm_mcp.config import quiet_environment
from crm_mcp.db import Database
from crm_mcp.embedded import Home

PAGE = 20
"""Rows that fit a result; of more, some would be left out."""
ENDED, REFUSED = "ended", "refused"
_AUDITED = """select u.email, l.tool, array_agg(l.phase order by l.id)
 from crm.audit_log l join crm.users u on u.id = l.user_id
 where l.id > %s group by u.email, l.tool, l.call_id"""


class Workday:
    """A day of some people. `calls` counts what each did, by the last row that the audit must have of it."""

    def __init__(self, home: Home, approver: Database, origin: str, folder: Path) -> None:
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self.home, self._approver, self._origin, self._folder = home, approver, origin, folder
        self._before = self.asked("select coalesce(max(id), 0) from crm.audit_log")[0][0]

    @asynccontextmanager
    async def clients(self, *names: str, toolsets: str | None = None) -> AsyncGenerator[list["Colleague"]]:
        """Serve people, each by a process of their own; with no `toolsets` they see what is usual for their role.

        `sam/research` is the research agent that acts for Sam; an agent has its own tools.
        """
        async with AsyncExitStack() as stack:
            log = stack.enter_context((self._folder / "servers.log").open("a"))
            served: list[Colleague] = []
            for name in names:
                person, _, agent = name.partition("/")
                words = ["-m", "crm_mcp", "serve", "--user", f"{person}@demo.example"]
                words += ["--agent", agent] if agent else ["--toolsets", toolsets] if toolsets else []
                server = StdioServerParameters(
                    command=sys.executable, args=words, env=quiet_environment(self.home.root)
                )
                client = await stack.enter_async_context(Client(stdio_client(server, errlog=log)))
                served.append(Colleague(self, f"{person}@demo.example", client))
            yield served

    @asynccontextmanager
    async def at_the_page(self, name: str) -> AsyncGenerator["Approver"]:
        """Sign a person in by a one-time link."""
        browser, email = Browser(origin=self._origin), f"{name}@demo.example"
        try:
            answer = await browser.use(await make_login_link(self._approver, email, "demo", self._origin))
            assert answer.status_code == 303, answer.text
            self.calls[email, "page_sign_in", ENDED] += 1
            yield Approver(self, email, browser)
        finally:
            await browser.client.aclose()

    def asked(self, sql: LiteralString, *params: object) -> list[Any]:
        """Ask as the owner, who sees every org."""
        with psycopg.connect(self.home.conninfo("crm_owner")) as conn:
            return conn.execute(sql, params).fetchall()

    def audited(self) -> Counter[tuple[str, str, str]]:
        """Return what the audit has of the day: calls that began and ended, or were refused.

        To be asked once the clients are gone: the last row of a read is written a moment after its answer.
        """
        found: Counter[tuple[str, str, str]] = Counter()
        for email, tool, phases in self.asked(_AUDITED, self._before):
            whole = phases in (["begun", ENDED], ["begun", REFUSED], [REFUSED])
            found[email, tool, phases[-1] if whole else str(phases)] += 1
        return found

    def problems_of_the_audit(self) -> list[Any]:
        with psycopg.connect(self.home.conninfo("crm_worker")) as conn:
            conn.execute("select set_config('crm.org_id', (select id::text from crm.orgs where slug = 'demo'), true)")
            conn.execute("select crm.seal_audit()")
            return conn.execute("select * from crm.verify_audit(null, null)").fetchall()


class Colleague:
    """A person at a client."""

    def __init__(self, day: Workday, email: str, client: Client) -> None:
        self._day, self.email, self._client = day, email, client

    async def asks(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Have a call answered; return the answer."""
        result = await self._client.call_tool(tool, arguments)
        self._day.calls[self.email, tool, ENDED] += 1
        assert not result.is_error, result.structured_content
        return result.structured_content  # type: ignore[return-value]

    async def does(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Write what runs at once; return what was made."""
        told = await self.asks(tool, **{"reason": "part of the day", **arguments})
        assert told["type"] == "result", told
        return told

    async def drafts(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Write what waits for a person; return the answer, which says so."""
        told = await self.asks(tool, **{"reason": "part of the day", **arguments})
        assert told["type"] == "approval_required" and told["draft"]["state"] == "pending", told
        return told

    async def is_refused(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Have a call refused; return the error."""
        result = await self._client.call_tool(tool, arguments)
        self._day.calls[self.email, tool, REFUSED] += 1
        assert result.is_error, result.structured_content
        return result.structured_content  # type: ignore[return-value]

    async def does_each(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Write several items, each decided alone; return the answer, with what became of each in `items`."""
        result = await self._client.call_tool(tool, {"reason": "part of the day", **arguments})
        told: dict[str, Any] = result.structured_content
        self._day.calls[self.email, tool, ENDED] += 1
        for item in told["items"]:
            self._day.calls[self.email, tool, REFUSED if item["type"] == "error" else ENDED] += 1
        return told

    async def outcome(self, held: dict[str, Any]) -> dict[str, Any]:
        """Ask what became of a held call."""
        return (await self.asks("get_draft", draft=held["draft"]["id"], wait_seconds=5))["draft"]

    async def all(self, tool: str, noun: str | None = None, **arguments: Any) -> list[dict[str, Any]]:
        """Read a listing to its end, page by page."""
        found, more = [], {}
        while True:
            told = await self.asks(tool, limit=PAGE, **arguments, **more)
            found += told[noun or tool.removeprefix("get_")]
            assert "leftOut" not in told["_meta"], told["_meta"]
            if "nextCursor" not in told["_meta"]:
                assert len(found) == told["_meta"]["total"]
                return found
            more = {"cursor": told["_meta"]["nextCursor"]}

    async def finds_no(self, *tools: str) -> None:
        """For this person a tool does not exist: not listed, and answered as one that nobody has."""
        listed = {tool.name for tool in (await self._client.list_tools()).tools}
        nobodys = await self._unknown("make_coffee")
        for tool in tools:
            assert tool not in listed
            assert await self._unknown(tool) == nobodys

    async def _unknown(self, tool: str) -> tuple[int, str, Any]:
        try:
            result = await self._client.call_tool(tool, {})
        except MCPError as no:
            self._day.calls[self.email, tool, REFUSED] += 1
            return no.error.code, no.error.message.replace(tool, "…"), no.error.data
        raise AssertionError(f"{tool} answered {result.structured_content}")


class Office:
    """One working day for a file of tests: the same people at the same clients, until `close`."""

    def __init__(self, day: Workday, colleagues: dict[str, Colleague], over: asyncio.Event) -> None:
        self.day, self._colleagues, self._over = day, colleagues, over
        self.closing: asyncio.Task[None] | None = None

    def __getitem__(self, name: str) -> Colleague:
        return self._colleagues[name]

    async def close(self) -> None:
        """Send everybody home: what the audit has of them is whole then."""
        self._over.set()
        if self.closing is not None:
            await self.closing


class Approver:
    """A person at the approvals page, in a browser that goes where an answer's links lead."""

    def __init__(self, day: Workday, email: str, browser: Browser) -> None:
        self._day, self.email, self._browser = day, email, browser

    async def reads(self, held: dict[str, Any]) -> str:
        """Open what an answer links to; return what the page says."""
        (review,) = [action["url"] for action in held["approvalActions"] if action["label"] == "Review"]
        assert review.startswith(self._browser.origin)
        shown = await self._browser.get(urlsplit(review).path)
        assert shown.status_code == 200, shown.text
        return text(shown.text)

    async def approves(self, *held: dict[str, Any]) -> list[str]:
        """Read each and press Approve; return what the pages said before."""
        read: list[str] = []
        for one in held:
            read.append(await self.reads(one))
            done = await self._browser.follow(await self._browser.press(one["draft"]["id"]))
            self._day.calls[self.email, "approve", ENDED] += 1
            assert "You approved this" in text(done.text), text(done.text)
        return read

    async def may_not_approve(self, held: dict[str, Any]) -> str:
        """Press Approve all the same; return what the page says then."""
        answer = await self._browser.press(held["draft"]["id"])
        self._day.calls[self.email, "approve", REFUSED] += 1
        assert answer.status_code == 403 and "Nothing was done." in text(answer.text), answer.text
        assert re.search(r"<button[^>]* disabled[^>]*>Approve", answer.text)
        return text(answer.text)

    async def rejects(self, held: dict[str, Any], reason: str) -> None:
        await self.reads(held)
        done = await self._browser.follow(await self._browser.press(held["draft"]["id"], "reject", reason=reason))
        self._day.calls[self.email, "reject", ENDED] += 1
        assert "You rejected this" in text(done.text), text(done.text)

    async def opens_group(self, answer: dict[str, Any]) -> "Group":
        """Open the page on which all that came of one call is decided."""
        (review,) = [action["url"] for action in answer["approvalActions"] if action["label"] == "Review all"]
        assert review.startswith(self._browser.origin)
        return await self._opened(urlsplit(review).path)

    async def opens_letters(self, held: dict[str, Any]) -> "Group":
        """Open the page of a run of e-mails by one of them."""
        return await self._opened(f"/drafts/{held['draft']['id']}/group")

    async def _opened(self, path: str) -> "Group":
        shown = await self._browser.get(path)
        assert shown.status_code == 200, shown.text
        return Group(self._day, self.email, self._browser, path, shown.text)


class Group:
    """A page on which several drafts stand: one is decided at a time, or all of them once their number is confirmed."""

    def __init__(self, day: Workday, email: str, browser: Browser, path: str, html: str) -> None:
        self._day, self._email, self._browser, self._path, self._html = day, email, browser, path, html
        self.says = text(html)

    async def approves(self, draft: str) -> None:
        done = await self._browser.follow(await self._sends(f"/drafts/{draft}/approve"))
        self._day.calls[self._email, "approve", ENDED] += 1
        self._html, self.says = done.text, text(done.text)

    async def rejects(self, draft: str, reason: str) -> None:
        done = await self._browser.follow(await self._sends(f"/drafts/{draft}/reject", reason=reason))
        self._day.calls[self._email, "reject", ENDED] += 1
        self._html, self.says = done.text, text(done.text)

    async def miscounts(self, count: int) -> None:
        """Press Approve all with a number that is not theirs: nothing is decided."""
        answer = await self._sends(self._all(), count=str(count))
        assert answer.status_code == 422, answer.text

    async def approves_all(self, count: int) -> str:
        answer = await self._sends(self._all(), count=str(count))
        self._day.calls[self._email, "approve", ENDED] += count
        assert answer.status_code == 200, answer.text
        return text(answer.text)

    def _all(self) -> str:
        return f"{self._path}/approve" if self._path.startswith("/groups/") else self._path

    async def _sends(self, action: str, **fields: str) -> Any:
        _, _, after = self._html.partition(f'action="{action}"')
        assert after, f"no form for {action}"
        return await self._browser.post(action, {**hidden(after.partition("</form>")[0]), **fields})
