"""The campaigns' desk: it makes drafts as the seller's server would, and sees as the owner what became of them."""

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

import psycopg
from mcp import Client

from crm_mcp import auth
from crm_mcp.app import App
from crm_mcp.app import Client as Served
from crm_mcp.approvals.executor import Executor
from crm_mcp.approvals.held import Outcome
from crm_mcp.catalog import Catalog
from crm_mcp.crm.models import StockMovement
from crm_mcp.db import Database
from crm_mcp.importing.batch import batch
from crm_mcp.importing.rows import add
from crm_mcp.server import build_server

SELLER, APPROVER = "sam@demo.example", "ada@demo.example"
PLENTY = 1_000_000
"""Units that no campaign orders."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What Postgres holds of one draft: its state, and the orders and stock movements made under it."""

    draft: int
    state: str
    orders: int
    moved: int
    wanted: int
    version: int = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """One draft whole: its row, what was kept of its earlier versions, and the phases of its edits in the audit."""

    row: dict[str, Any]
    kept: list[dict[str, Any]]
    edits: list[list[str]]


class Desk:
    """One loop, one served seller, one executor, one owner's connection, kept for the session."""

    def __init__(self, home: Any) -> None:
        self._runner = asyncio.Runner()
        self._home = home
        self.owner = psycopg.connect(home.conninfo("crm_owner"), autocommit=True)
        (self.org,) = self._one("select id from crm.orgs where slug = 'demo'")
        (self.approver,) = self._one("select id from crm.users where email = %s", APPROVER)
        (self.seller,) = self._one("select id from crm.users where email = %s", SELLER)
        self.customers = [
            row[0]
            for row in self.owner.execute(
                "select id from crm.customers where org_id = %s and archived_at is null order by id", (self.org,)
            )
        ]
        (self.product,) = self._one(
            "select id from crm.products where org_id = %s and not discontinued and currency = 'EUR' order by unit_price limit 1",
            self.org,
        )
        self._turns = itertools.count(1)
        self._runner.run(self._receive(PLENTY))

    async def _receive(self, quantity: int) -> None:
        """Put goods into stock: an order that falls short warns, and a warning that others cause voids what was shown."""
        db = Database(self._home.conninfo("crm_approver"))
        try:
            who = await db.sign_in(auth.by_email(APPROVER))
            async with batch(db, who, "campaign", {}, "Stock for a campaign.") as session:
                row = {"product_id": self.product, "quantity": quantity, "kind": "opening"}
                await add(session, StockMovement, who.org, [row])
        finally:
            await db.close()

    def reopen(self) -> None:
        """Connect anew, after the database was restarted."""
        self.owner.close()
        self.owner = psycopg.connect(self._home.conninfo("crm_owner"), autocommit=True)

    def close(self) -> None:
        self.owner.close()
        self._runner.close()

    def _one(self, sql: Any, *params: object) -> Any:
        return self.owner.execute(sql, params).fetchone()

    def order(self) -> dict[str, Any]:
        """Return the arguments of an order that nobody else asks for."""
        turn = next(self._turns)
        return {
            "customer": f"cust_{self.customers[turn % len(self.customers)]}",
            "lines": [{"product": f"prod_{self.product}", "quantity": 1 + turn % 5}],
            "reason": "a campaign",
            "idempotency_key": f"campaign {turn} {id(self)}",
        }

    def drafts(self, many: int) -> list[int]:
        return self.held(SELLER, [("create_order_draft", self.order()) for _ in range(many)])

    def held(self, email: str, calls: list[tuple[str, dict[str, Any]]]) -> list[int]:
        """Have a person's server make calls that are held; return the drafts."""
        return self._runner.run(self._held(email, calls))

    async def _held(self, email: str, calls: list[tuple[str, dict[str, Any]]]) -> list[int]:
        async def database() -> Database:
            return Database(self._home.conninfo("crm_agent"))

        app = App(database, Catalog(), Served(auth.by_email(email), None), lambda: "http://localhost:8787")
        made: list[int] = []
        try:
            async with Client(build_server(app)) as client:
                for tool, arguments in calls:
                    body = (await client.call_tool(tool, arguments)).structured_content
                    assert body is not None and body["type"] == "approval_required", body
                    made.append(int(body["draft"]["id"].removeprefix("draft_")))
        finally:
            await app.close()
        return made

    def shown(self, drafts: list[int]) -> list[str]:
        """Return the hashes an approver was shown."""
        return self._runner.run(self._shown(drafts))

    async def _shown(self, drafts: list[int]) -> list[str]:
        db = Database(self._home.conninfo("crm_approver"))
        try:
            who, executor = await db.sign_in(auth.by_email(APPROVER)), Executor(db)
            found = [await executor.show(who, draft) for draft in drafts]
        finally:
            await db.close()
        hashes = [one.hash for one in found if one is not None and one.hash is not None]
        assert len(hashes) == len(drafts)
        return hashes

    def approve(self, draft: int, seen: str) -> Outcome:
        return self._runner.run(self._approve(draft, seen))

    async def _approve(self, draft: int, seen: str) -> Outcome:
        db = Database(self._home.conninfo("crm_approver"))
        try:
            return await Executor(db).approve(await db.sign_in(auth.by_email(APPROVER)), draft, seen)
        finally:
            await db.close()

    def standing(self, draft: int, tool: str = "edit_draft") -> Standing:
        row, kept = self._one(
            """select to_jsonb(d), (select coalesce(jsonb_agg(to_jsonb(v) order by v.version), '[]') from crm.draft_versions v
               where v.org_id = d.org_id and v.draft_id = d.id) from crm.drafts d where d.org_id = %s and d.id = %s""",
            self.org,
            draft,
        )
        return Standing(row, kept, self.audit(draft, tool))

    def comments(self, draft: int) -> list[str | None]:
        """Return what the orders made under a draft have as their comment."""
        rows = self.owner.execute(
            """select o.comment from crm.orders o where o.org_id = %s and o.id in (
               select (c.key ->> 'id')::bigint from crm.changes c where c.org_id = o.org_id and c.draft_id = %s and c.tbl = 'orders')""",
            (self.org, draft),
        )
        return [row[0] for row in rows]

    def evidence(self, drafts: list[int]) -> dict[int, Evidence]:
        rows = self.owner.execute(
            """select d.id, d.state,
             (select count(*) from crm.orders o where o.org_id = d.org_id and o.id in (
                select (c.key ->> 'id')::bigint from crm.changes c where c.org_id = d.org_id and c.draft_id = d.id and c.tbl = 'orders')),
             (select coalesce(sum(s.quantity), 0) from crm.stock_reservations s where s.org_id = d.org_id and s.id in (
                select (c.key ->> 'id')::bigint from crm.changes c where c.org_id = d.org_id and c.draft_id = d.id and c.tbl = 'stock_reservations')),
             (d.args::jsonb -> 'lines' -> 0 ->> 'quantity')::int, d.version
             from crm.drafts d where d.org_id = %s and d.id = any(%s)""",
            (self.org, drafts),
        )
        return {row[0]: Evidence(*row) for row in rows}

    def totals(self) -> tuple[int, int]:
        """Return the org's orders, and the units they keep from stock, below zero."""
        orders, stock = self._one(
            "select (select count(*) from crm.orders where org_id = %s),"
            " (select -sum(quantity) from crm.stock_reservations where org_id = %s and released_at is null)",
            self.org,
            self.org,
        )
        return orders, stock

    def wait_for(self, drafts: list[int]) -> None:
        """Come back when nobody holds these drafts: Postgres has seen that whoever did is dead."""
        self.owner.execute("select from crm.drafts where org_id = %s and id = any(%s) for update", (self.org, drafts))

    def locked(self, drafts: list[int]) -> list[int]:
        """Return the drafts whose row somebody still holds."""
        free = self.owner.execute(
            "select id from crm.drafts where org_id = %s and id = any(%s) for update skip locked", (self.org, drafts)
        ).fetchall()
        return sorted(set(drafts) - {row[0] for row in free})

    def audit(self, draft: int, tool: str) -> list[list[str]]:
        """Return the phases that each call about a draft left in the audit, oldest call first.

        What comes from the chat is about a draft by its arguments, until it has ended.
        """
        rows = self.owner.execute(
            """select array_agg(phase order by id) from crm.audit_log where org_id = %(org)s and tool = %(tool)s and call_id in (
                select call_id from crm.audit_log where org_id = %(org)s and (draft_id = %(draft)s or payload like %(named)s))
               group by call_id order by min(id)""",
            {"org": self.org, "tool": tool, "draft": draft, "named": f'%"draft": "draft_{draft}"%'},
        )
        return [row[0] for row in rows]

    def audit_problems(self) -> list[Any]:
        """Seal the audit and return what its verification finds."""
        with psycopg.connect(self._home.conninfo("crm_worker")) as conn:
            conn.execute("select set_config('crm.org_id', %s, true)", (str(self.org),))
            while (conn.execute("select sealed from crm.seal_audit()").fetchone() or (0,))[0]:
                pass
            return conn.execute("select * from crm.verify_audit(null, null)").fetchall()

    def withdraw_all(self) -> None:
        """Leave no draft waiting for the tests that follow."""
        if not self.owner.closed:
            self.owner.execute(
                "update crm.drafts set state = 'discarded' where org_id = %s and state = 'pending' and reason = 'a campaign'",
                (self.org,),
            )


def problems(evidence: Evidence, said: list[tuple[str, str, bool]]) -> list[str]:
    """Return what is wrong about a raced draft; `said` holds each racer's action, told state, and whether it won."""
    found: list[str] = []
    edits = sum(won for action, _, won in said if action == "edit")
    if evidence.state == "pending" and not edits:
        found.append("still pending")
    if evidence.version != 1 + edits:
        found.append(f"version {evidence.version} after {edits} edits")
    if evidence.state == "approved" and edits:
        found.append("approved as nobody was shown it")
    due = 1 if evidence.state == "approved" else 0
    if evidence.orders != due:
        found.append(f"{evidence.orders} orders for a draft that is {evidence.state}")
    if evidence.moved != due * evidence.wanted:
        found.append(f"{evidence.moved} units moved, {due * evidence.wanted} due")
    winners = [state for action, state, won in said if won and action != "edit"]
    if len(winners) != (0 if evidence.state in ("expired", "pending") else 1):
        found.append(f"{len(winners)} winners of a draft that is {evidence.state}")
    told = {state for _, state, _ in said if state != "silent"}
    if edits:  # what they were shown is no more, which they are told
        told -= {"refused CHANGED_SINCE_SHOWN"}
    if told - {evidence.state}:
        found.append(f"told {sorted(told)}, is {evidence.state}")
    return [f"draft {evidence.draft}: {problem}" for problem in found]


MADE_BY_AN_EDIT = frozenset({"version", "args", "effects_key", "changes", "shown", "clock", "expires_at", "editors"})
"""What of a draft an edit of its comment replaces; another column moves with none."""


def halves(
    before: Standing, after: Standing, editor: int, comment: str, audited: list[list[str]] | None = None
) -> list[str]:
    """Return what is wrong about a draft whose editor was killed: it is neither what it was nor the new one, whole.

    `audited` are the phases that its edits left in the audit, where they are not those of one.
    """
    moved = {name for name, value in after.row.items() if value != before.row[name]}
    if audited is None:
        audited = [["begun"]] if after.row["version"] == before.row["version"] else [["begun", "ended"]]
    audit = [] if after.edits == audited else [f"audited as {after.edits}"]
    if after.row["version"] == before.row["version"]:
        found = [f"{name} moved without a version" for name in sorted(moved)]
        found += [f"{len(after.kept)} versions kept"] if after.kept else []
        return found + audit
    found = [f"{name} did not move" for name in sorted(MADE_BY_AN_EDIT - moved)]
    found += [f"{name} moved" for name in sorted(moved - MADE_BY_AN_EDIT)]
    if (after.row["version"], after.row["editors"]) != (2, [editor]) or comment not in after.row["args"]:
        found.append("it is not the new version")
    was = ("version", "args", "shown", "summary", "amount")
    if [[one[name] for name in was] for one in after.kept] != [[before.row[name] for name in was]]:
        found.append("what it was is not kept")
    return found + audit
