"""What a principal's list of tools costs a model, at four characters a token; run as a script it prints a table."""

import json
from decimal import Decimal
from typing import Any

from crm_mcp.catalog import Catalog, Narrowing
from crm_mcp.principal import Agent, Principal, Role

PERSON, AGENT = 5_000, 2_500
"""The most that a person's list may cost, and an agent's (DESIGN 12)."""


def somebody(role: Role, agent: Agent | None = None) -> Principal:
    """Return a principal that no database knows, for questions to the catalog alone."""
    return Principal(
        1, "org", "Org", "EUR", "UTC", 1, "Some Body", "some@body.example", role, True, Decimal(0), False, 1, agent
    )


def cost(tools: list[dict[str, Any]]) -> int:
    """Return the tokens of name, description and input schema of wire forms."""
    text = [{key: tool[key] for key in ("name", "description", "inputSchema")} for tool in tools]
    return len(json.dumps(text, ensure_ascii=False, separators=(",", ":"))) // 4


def costs(narrowing: Narrowing = Narrowing(usual=True)) -> list[tuple[str, int, int, int]]:  # noqa: B008 a tuple of constants
    """Return who, how many tools, their tokens, the most allowed: each role, and each agent at its widest."""
    catalog = Catalog(narrowing)
    rows: list[tuple[str, int, int, int]] = []
    for role in Role:
        seen = catalog.visible_to(somebody(role))
        rows.append((role.value, len(seen), cost(seen), PERSON))
    for agent in Agent:
        seen = max((catalog.visible_to(somebody(role, agent)) for role in Role), key=cost)
        rows.append((f"{agent.value} agent", len(seen), cost(seen), AGENT))
    return rows


def table() -> str:
    """Return the costs as text."""
    lines = [f"{'who':<18}{'tools':>6}{'tokens':>8}{'most':>8}"]
    return "\n".join(lines + [f"{who:<18}{tools:>6}{tokens:>8}{most:>8}" for who, tools, tokens, most in costs()])


if __name__ == "__main__":
    print(table())
