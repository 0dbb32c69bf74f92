"""An org of a test's own: its policy may be changed without another test's noticing."""

import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg

from crm_mcp import auth
from crm_mcp.approvals.executor import Executor
from crm_mcp.approvals.held import Outcome, Shown
from crm_mcp.crm.models import Customer, ExchangeRate, Product
from crm_mcp.db import Database
from crm_mcp.demo.staff import Member, Org, found
from crm_mcp.embedded import Home
from crm_mcp.importing.batch import batch
from crm_mcp.importing.rows import add
from crm_mcp.principal import Principal

_TURN = itertools.count(1)
STAFF = (
    Member("ann", "Ann Adler", "admin", Decimal(1_000_000)),
    Member("abe", "Abe Arnold", "admin", Decimal(1_000_000)),
    Member("mel", "Mel Meyer", "sales", Decimal(5_000)),
    Member("big", "Big Boss", "sales", Decimal(200_000)),
    Member("sal", "Sal Smith", "sales"),
)


def bind(conn: psycopg.Connection[Any], town: "Town", name: str, **more: object) -> None:
    """Bind a login's transaction as the product does, to whoever it may be."""
    row = conn.execute("select token from crm.sign_in(%s, null, null)", (town.email(name),)).fetchone()
    assert row is not None
    for key, value in {"org_id": town.org, "token": row[0], "call_id": 77, **more}.items():
        conn.execute("select set_config(%s, %s, true)", (f"crm.{key}", str(value)))


class Town:
    """An org with two administrators, two approvers in sales (to 5,000 and 200,000) and a salesperson."""

    def __init__(self, home: Home, db: Database, connect: Callable[..., AbstractAsyncContextManager[Any]]) -> None:
        self.home, self.db, self.connect, self.executor = home, db, connect, Executor(db)
        self.slug = f"town-{next(_TURN)}"

    async def settle(self, staff: tuple[Member, ...] = STAFF, *, solo: bool = False) -> "Town":
        members = tuple(one._replace(email=self.email(one.email)) for one in staff)
        async with await psycopg.AsyncConnection[tuple[int]].connect(self.home.conninfo("crm_owner")) as conn:
            await found(conn, Org(self.slug, self.slug.title(), "EUR", "Europe/Berlin", members))
            await conn.execute("update crm.orgs set solo = %s where slug = %s", (solo, self.slug))
        self.org = int(self.one("select id from crm.orgs where slug = %s", self.slug)[0])
        return self

    def email(self, name: str) -> str:
        return f"{name}@{self.slug}.example"

    async def who(self, name: str) -> Principal:
        return await self.db.sign_in(auth.by_email(self.email(name)))

    def one(self, sql: str, *params: object) -> tuple[Any, ...]:
        with psycopg.connect(self.home.conninfo("crm_owner")) as conn:
            row = conn.execute(sql, params).fetchone()
        assert row is not None
        return row

    def change(self, sql: str, *params: object) -> None:
        """Change what no login may change: time passes, people come and go."""
        with psycopg.connect(self.home.conninfo("postgres")) as conn:
            conn.execute("set local session_replication_role = replica")
            conn.execute(sql, params)

    async def make(self, model: Any, **row: Any) -> int:
        async with batch(self.db, await self.who("ann"), "town", {}, "Set a test up.") as session:
            (number,) = await add(session, model, self.org, [row])
        return number

    async def customer(self, name: str = "Kunde") -> str:
        return f"cust_{await self.make(Customer, name=name)}"

    async def product(self, price: str = "100", currency: str = "EUR") -> str:
        sku = f"T-{datetime.now(UTC).timestamp()}"
        made = {
            "sku": sku,
            "name": "Thing",
            "unit_price": Decimal(price),
            "currency": currency,
            "tax_rate": Decimal(0),
        }
        return f"prod_{await self.make(Product, **made)}"

    async def rate(self, currency: str, rate: str) -> None:
        await self.make(ExchangeRate, currency=currency, valid_from=datetime(2020, 1, 1).date(), rate=Decimal(rate))

    async def ask(self, name: str, tool: str, agent: Any = None, **asked: Any) -> dict[str, Any]:
        """Call a tool as somebody; return its structured content."""
        async with self.connect(self.email(name), agent=agent) as client:
            return (await client.call_tool(tool, {"reason": "a test asks", **asked})).structured_content

    async def order(
        self, name: str, customer: str, price: str, *, agent: Any = None, currency: str = "EUR", **more: Any
    ) -> dict[str, Any]:
        """Ask for an order of one piece of a product of this price."""
        lines = [{"product": await self.product(price, currency), "quantity": 1}]
        return await self.ask(name, "create_order_draft", agent, customer=customer, lines=lines, **more)

    async def show(self, name: str, draft: str) -> Shown:
        shown = await self.executor.show(await self.who(name), int(draft[6:]))
        assert shown is not None
        return shown

    async def approve(self, name: str, draft: str, seen: str | None = None) -> Outcome:
        hash = seen or (await self.show(name, draft)).hash
        return await self.executor.approve(await self.who(name), int(draft[6:]), hash or "")

    async def propose(self, name: str = "ann", **settings: Any) -> str:
        """Propose settings, `__` standing for a dot; return the draft."""
        said = {key.replace("__", "."): value for key, value in settings.items()}
        told = await self.ask(name, "update_policy", settings=said)
        assert told.get("type") == "approval_required", told
        return str(told["draft"]["id"])

    async def govern(self, **settings: Any) -> None:
        """Have settings proposed and approved."""
        outcome = await self.approve("abe", await self.propose("ann", **settings))
        assert outcome.state == "approved", outcome

    def edition(self) -> int:
        return int(self.one("select coalesce(max(edition), 1) from crm.policies where org_id = %s", self.org)[0])

    def free(self) -> set[tuple[str, str]]:
        """The guard's own rows for this org."""
        with psycopg.connect(self.home.conninfo("crm_owner")) as conn:
            return set(conn.execute("select tbl, op::text from crm.free_writes where org_id = %s", (self.org,)))
