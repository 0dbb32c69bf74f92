"""The hub in tests: a scripted model over HTTP, the real server in this process or as a subprocess, a meter that counts."""

import json
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from standin import Call, Script, StandIn

from crm_mcp.agents.hub import Hub
from crm_mcp.agents.journal import Kept, Outcome
from crm_mcp.agents.meter import Reservation, Spent
from crm_mcp.agents.plan import load
from crm_mcp.agents.providers import Providers
from crm_mcp.agents.triage import Request
from crm_mcp.config import Settings
from crm_mcp.money import Money
from crm_mcp.principal import Agent

TRIAGE = "You route requests"
SPECIALIST: Mapping[str, str] = {
    "customer": "You are the customer specialist",
    "order": "You are the order specialist",
    "analytics": "You are the analyst",
    "support": "You are the support specialist",
    "settings": "You are the settings specialist",
    "sales": "You are the sales specialist",
    "research": "You are the research specialist",
}
"""What each one's system prompt says, by which the stand-in knows it."""


class Tally:
    """A meter without limits that remembers what it was asked."""

    def __init__(self) -> None:
        self.reserved: list[tuple[str, int, Money | Decimal]] = []
        self.settled: list[tuple[str, int, int, str]] = []

    async def reserve(self, use_case: str, tokens: int, money: Money | Decimal) -> Reservation:
        self.reserved.append((use_case, tokens, money))
        return Reservation(len(self.reserved), use_case, tokens, Decimal(0), "USD")

    async def settle(
        self, reservation: Reservation, tokens_in: int, tokens_out: int, money: Money | Decimal, *, model: str = ""
    ) -> Spent:
        self.settled.append((reservation.use_case, tokens_in, tokens_out, model))
        return Spent(tokens_in, tokens_out, Decimal(0), "USD")


def handoff(agent: str, intent: str = "what was asked", **more: Any) -> Call:
    """The one call that triage makes."""
    return Call("handoff_to_agent", {"agent": agent, "userIntent": intent, "handoffReason": "It is theirs.", **more})


def hands_to(agent: str, **more: Any) -> Callable[[list[str]], Script]:
    def triage(tools: list[str]) -> Script:
        yield handoff(agent, **more)
        return "never reached"

    return triage


def plan_at(folder: Path, url: str, **use_cases: Mapping[str, Any]) -> Path:
    """Write a file of ours that points the providers to a stand-in, without retries; JSON is YAML."""
    file = folder / "agents.yaml"
    providers = {
        "anthropic": {"base_url": url, "retries": 0},
        "openai-compatible": {"base_url": url + "/v1", "retries": 0},
    }
    file.write_text(json.dumps({"providers": providers, "use_cases": use_cases}))
    return file


class Bench:
    """Runs requests through the hub against a stand-in."""

    def __init__(self, connect: Any, folder: Path) -> None:
        self._connect, self._folder = connect, folder
        self.journal, self.meter = Kept(), Tally()
        self.requests: list[dict[str, Any]] = []

    async def run(
        self,
        text: str | Request,
        scripts: Mapping[str, Callable[[list[str]], Script]],
        email: str = "sam@demo.example",
        *,
        agent: Agent | None = None,
        key: str | None = "a-key",
        use_cases: Mapping[str, Mapping[str, Any]] | None = None,
        point: Any = None,
        ends: threading.Event | None = None,
    ) -> Outcome:
        """Run it; `ends` lets a model that keeps silent answer after all, once nobody waits for it."""
        stand_in = StandIn(scripts)
        with stand_in as url:
            plan = load(plan_at(self._folder, url, **(use_cases or {})), self._folder).plan
            settings = Settings(anthropic_key=key)  # type: ignore[arg-type]
            async with Providers(plan, settings) as providers:
                hub = Hub(plan, providers, self.meter, lambda one: self._connect(email, agent=one), self.journal)
                request = Request(text) if isinstance(text, str) else text
                if point is not None:
                    outcome = await hub.go_on(request, point)
                else:
                    outcome = await hub.run(request, agent=agent)
            if ends is not None:
                ends.set()
        assert stand_in.problems == []
        self.requests = stand_in.requests
        return outcome

    def told(self, kind: str) -> list[Mapping[str, Any]]:
        """Return what was told of one kind."""
        return [event.about for event in self.journal.events if event.kind == kind]

    def tools_of(self, mark: str) -> list[list[str]]:
        """Return the names of the tools of each request of a model with this prompt."""
        mine = [request for request in self.requests if mark in json.dumps(request.get("system", ""))]
        return [[tool["name"] for tool in request.get("tools", [])] for request in mine]
