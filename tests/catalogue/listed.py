"""The catalog's rows as the tests go through them."""

import json
from typing import Any

from tokens import somebody

from crm_mcp.catalog import SNAPSHOT
from crm_mcp.principal import Agent, Principal, Role

ROWS: list[dict[str, Any]] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
NAMES: list[str] = [row["wire"]["name"] for row in ROWS]
FOR_AGENTS_ALONE = frozenset(row["wire"]["name"] for row in ROWS if not row.get("persons", True))
"""Tools that do not exist for people."""
WIRE: dict[str, dict[str, Any]] = {row["wire"]["name"]: row["wire"] for row in ROWS}
PEOPLE = {
    "admin": "ada@demo.example",
    "sales": "sam@demo.example",
    "operations": "olga@demo.example",
    "finance": "fin@demo.example",
    "support": "sue@demo.example",
}


def principals() -> list[Principal]:
    """Return every role alone and with every agent."""
    return [somebody(role, agent) for role in Role for agent in (None, *Agent)]
