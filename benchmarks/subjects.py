"""What is measured: each subject adds its seconds to a sheet, a few at a time, so that all can take turns."""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from crm_mcp.approvals.executor import Executor
from crm_mcp.embedded import Home
from crm_mcp.principal import Principal

from .floor import BareQuery
from .wire import HANDSHAKE, STATELESS, Served, bare, crm

SELLER = "sam@demo.example"
APPROVER = "ada@demo.example"
ORG = "demo"
WIDTH = 8
"""Calls in flight at once."""

Sheet = defaultdict[str, list[float]]
"""Subject → seconds, or calls a second where the subject's name says so."""


@dataclass(slots=True)
class Material:
    """What calls are made of: customers (id, name) and cheap products of the demo org, in an order of chance."""

    org: int
    customers: list[tuple[int, str]]
    products: list[int]
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    _quantities: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def customer(self) -> int:
        return self.chance.choice(self.customers)[0]

    def name(self) -> str:
        return self.chance.choice(self.customers)[1]

    def order(self) -> dict[str, Any]:
        """Return the arguments of an order that no other call has asked for."""
        line = {"product": f"prod_{self.chance.choice(self.products)}", "quantity": 1 + next(self._quantities) % 40}
        key = f"bench {self.chance.random()}"
        return {
            "customer": f"cust_{self.customer()}",
            "lines": [line],
            "reason": "measured",
            "idempotency_key": key,
        }


def material(home: Home) -> Material:
    """Read what the demo org has."""
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        (org,) = conn.execute("select id from crm.orgs where slug = %s", (ORG,)).fetchone() or (0,)
        customers = conn.execute(
            "select id, name from crm.customers where org_id = %s and archived_at is null order by id", (org,)
        ).fetchall()
        products = conn.execute(
            "select id from crm.products where org_id = %s and not discontinued and currency = 'EUR'"
            " order by unit_price limit 20",
            (org,),
        ).fetchall()
    return Material(org, customers, [row[0] for row in products])


def spawn(sheet: Sheet, name: str, command: list[str], env: Mapping[str, str]) -> None:
    """Start a server in each era, until tools/list is answered."""
    for era, said in ((HANDSHAKE, "handshake"), (STATELESS, "2026-07-28")):
        with Served(command, env, era) as served:
            sheet[f"{name} spawn → tools/list, {said}"].append(served.list_tools())


class Crm:
    """A crm-mcp server as a client starts it, and a bare one's counterparts of the same calls."""

    def __init__(self, name: str, env: Mapping[str, str], stuff: Material) -> None:
        self.name, self.env, self._stuff = name, env, stuff
        self.served = Served(crm(SELLER), env)
        self.served.ask("tools/list", {})

    def reads(self, sheet: Sheet, times: int) -> None:
        for _ in range(times):
            took, _ = self.served.call("get_customer", {"customer": f"cust_{self._stuff.customer()}"})
            sheet[f"{self.name} get_customer"].append(took)
        for _ in range(times):
            took, _ = self.served.call("search_customers", {"query": self._stuff.name()})
            sheet[f"{self.name} search_customers"].append(took)

    def holds(self, sheet: Sheet, times: int) -> None:
        """Hold orders; each is discarded, unmeasured, before the next, so that never more than one waits."""
        for _ in range(times):
            took, held = self.served.call("create_order_draft", self._stuff.order())
            sheet[f"{self.name} create_order_draft, held"].append(took)
            self.discard(held)

    def notes(self, sheet: Sheet, times: int) -> None:
        for turn in range(times):
            args = {"about": f"cust_{self._stuff.customer()}", "body": f"measured {turn}", "reason": "measured"}
            sheet[f"{self.name} add_note, run"].append(self.served.call("add_note", args)[0])

    def at_once(self, sheet: Sheet, times: int) -> None:
        calls = [{"customer": f"cust_{self._stuff.customer()}"} for _ in range(times)]
        sheet[f"{self.name} get_customer, {WIDTH} at once"].append(self.served.at_once("get_customer", calls, WIDTH))

    def draft(self) -> int:
        """Hold an order, unmeasured, for somebody to decide."""
        held = self.served.call("create_order_draft", self._stuff.order())[1]
        return int(held["structuredContent"]["draft"]["id"].removeprefix("draft_"))

    def discard(self, held: dict[str, Any]) -> None:
        self.served.call("discard_draft", {"draft": held["structuredContent"]["draft"]["id"], "reason": "measured"})


class Bare:
    """The bare server's echo."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.served = Served(bare(), env)

    def echoes(self, sheet: Sheet, times: int) -> None:
        for _ in range(times):
            sheet["bare echo"].append(self.served.call("echo", {"text": "hello"})[0])

    def at_once(self, sheet: Sheet, times: int) -> None:
        sheet[f"bare echo, {WIDTH} at once"].append(self.served.at_once("echo", [{"text": "hello"}] * times, WIDTH))


def queries(sheet: Sheet, query: BareQuery, stuff: Material, times: int) -> None:
    for _ in range(times):
        sheet["bare query"].append(query.ask(stuff.customer()))


async def approvals(sheet: Sheet, executor: Executor, who: Principal, drafts: list[int], clock: Any) -> None:
    """Show and approve drafts as the page does."""
    for draft in drafts:
        began = clock()
        shown = await executor.show(who, draft)
        sheet["Executor.show"].append(clock() - began)
        assert shown is not None and shown.hash is not None
        began = clock()
        outcome = await executor.approve(who, draft, shown.hash)
        sheet["Executor.approve"].append(clock() - began)
        assert outcome.state == "approved"
