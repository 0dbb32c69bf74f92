"""The tools there are, from their snapshot; a tool's module is imported on its first call."""

import functools
import importlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .errors import Refusal, UnknownTool
from .jsonvalue import is_array, is_object
from .principal import Principal, Role
from .tasks import LONG
from .tool import CARD, Effect, Tool

HERE = Path(__file__).parent
SNAPSHOT = HERE / "catalog.json"
"""The wire surface: generated, compared by a test, served without importing a tool."""


CORE = frozenset({"account", "customers", "reports", "work", "drafts", "memory"})
"""The toolsets of everybody's day."""


QUERYING = frozenset({"execute_crm_query"})
"""Tools that there are only where free-form SQL can be judged and run."""


VIEWS = "show"
"""The toolset whose answers are pages: in the usual list only for clients that show them."""


class Day(NamedTuple):
    """What a person's list holds when nothing else is asked for: toolsets, less what is called for seldom."""

    toolsets: frozenset[str]
    seldom: frozenset[str] = frozenset()

    def holds(self, row: dict[str, Any]) -> bool:
        return row["toolset"] in self.toolsets and row["wire"]["name"] not in self.seldom


_KNOWN = frozenset({"find_preferences", "delete_preference", "save_memory", "find_notes_on"})
"""whoami tells what is known of a person as it is, get_customer what was noted last."""
_TRADE = frozenset({"calculate_pricing", "update_order", "get_quotes", "decline_quote"})
USUAL: Mapping[Role, Day] = {
    Role.ADMIN: Day(
        CORE | {"orders", "email", "records", "pipelines", "search", VIEWS},
        _TRADE
        | _KNOWN
        | {
            "create_pipeline",
            "update_pipeline",
            "add_to_pipeline",
            "move_to_stage",
            "score_contact",
            "enrich_contact",
        }
        | {"predict_outcome", "suggest_next_action", "find_similar_customers", "find_duplicates"}
        | {"get_order", "log_activity", "forecast_deals"},
    ),
    Role.SALES: Day(
        CORE | {"orders", "email", "records", "pipelines", "search", VIEWS},
        _TRADE
        | _KNOWN
        | {"create_pipeline", "update_pipeline", "score_contact", "enrich_contact", "find_duplicates"}
        | {"predict_outcome", "find_similar_customers", "forecast_deals"}
        | {"get_order", "get_tasks", "complete_task", "log_activity", "create_export"},
    ),
    Role.OPERATIONS: Day(
        CORE | {"orders", "support", "search", VIEWS}, _TRADE - {"update_order"} | _KNOWN | {"show_pipeline"}
    ),
    Role.FINANCE: Day(CORE | {"orders", "email", "finance", VIEWS}, _KNOWN | {"calculate_pricing"}),
    Role.SUPPORT: Day(CORE | {"orders", "email", "support", "search", VIEWS}, _KNOWN - {"find_notes_on"}),
}
"""A model pays for every tool it could call; `--toolsets all` shows the rest."""


class Narrowing(NamedTuple):
    """What a client asked to see less of. Narrowing never widens; read-only always wins.

    `usual` leaves a person the toolsets of their role's day; an agent's tools are few as they are.
    """

    toolsets: frozenset[str] | None = None
    tools: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()
    read_only: bool = False
    usual: bool = False

    def admits(self, row: dict[str, Any], who: Principal) -> bool:
        name = row["wire"]["name"]
        if name in self.excluded or (self.read_only and row["effect"] != Effect.READ):
            return False
        if self.toolsets is None and self.tools is None:
            return not self.usual or who.agent is not None or USUAL[who.role].holds(row)
        return name in (self.tools or ()) or row["toolset"] in (self.toolsets or ())


class Catalog:
    """The tools of the snapshot, less what the client narrowed away."""

    def __init__(self, narrowing: Narrowing = Narrowing()) -> None:  # noqa: B008 a tuple of constants
        self._rows = rows()
        self._narrowing = narrowing
        self._loaded: dict[str, Tool] = {}

    def visible_to(self, who: Principal, *, shows_pages: bool = True) -> list[dict[str, Any]]:
        """Return the wire form of what a principal may see, in a fixed order.

        To a client that shows no pages the usual list leaves out the tools that are for them. That spares its model
        words and hides nothing: what is answered stands alone, and whoever may call them still may.
        """
        spared = VIEWS if self._narrowing.usual and who.agent is None and not shows_pages else None
        return [row["wire"] for row in self._rows.values() if row["toolset"] != spared and self._shows(row, who)]

    def listed(self, who: Principal) -> frozenset[str]:
        """Return the names of the tools that a principal sees."""
        return frozenset(name for name, row in self._rows.items() if self._shows(row, who))

    def permits(self, name: str, who: Principal) -> bool:
        """Say whether a principal may call a tool by role, agent and what the client excluded, usual list or not."""
        row = self._rows.get(name)
        return row is not None and _may_see(row, who) and self._narrowing._replace(usual=False).admits(row, who)

    def find(self, name: str, who: Principal) -> Tool:
        """Return a tool the principal may call.

        Raises:
            UnknownTool: there is none, or it is not theirs: the two answer alike.
        """
        row = self._rows.get(name)
        if row is None or not self._shows(row, who):
            raise UnknownTool(name)
        if name not in self._loaded:
            self._loaded[name] = load(name, row["toolset"])
        return self._loaded[name]

    def _shows(self, row: dict[str, Any], who: Principal) -> bool:
        return _may_see(row, who) and self._narrowing.admits(row, who)


def _may_see(row: dict[str, Any], who: Principal) -> bool:
    is_theirs = row.get("persons", True) if who.agent is None else who.agent in row["agents"]
    return who.role in row["roles"] and is_theirs


@functools.cache
def rows() -> Mapping[str, dict[str, Any]]:
    """Return the snapshot's rows by the tools' names."""
    snapshot: list[dict[str, Any]] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    return {row["wire"]["name"]: row for row in snapshot}


def tool_of(name: str, version: int, requester: Principal) -> Tool:
    """Return the tool of a held call, for whoever asked for it.

    Raises:
        Refusal: TOOL_CHANGED, REQUESTER_LOST_ACCESS.
    """
    row = rows().get(name)
    if row is None or row["version"] != version:
        raise Refusal("TOOL_CHANGED", "The tool has changed since this was drafted. Draft it again.")
    if not _may_see(row, requester):
        raise Refusal("REQUESTER_LOST_ACCESS", "Whoever drafted this may no longer do it.")
    return load(name, row["toolset"])


def load(name: str, toolset: str) -> Tool:
    """Import a tool from its file."""
    found = getattr(importlib.import_module(f"crm_mcp.tools.{toolset}.{name}"), name)
    assert isinstance(found, Tool)
    return found


def every_tool() -> Iterable[Tool]:
    """Import every tool, by toolset and name."""
    for file in sorted(HERE.glob("tools/*/*.py")):
        if file.stem != "__init__":
            yield load(file.stem, file.parent.name)


def describe(tool: Tool) -> dict[str, Any]:
    """Return a tool's row of the snapshot: who sees it, and its wire form.

    What may be held names the card, and what has a page its page, under the key of the extension and under that of
    older hosts.
    """
    writes = tool.effect is not Effect.READ
    hints = {
        "title": tool.title,
        "readOnlyHint": not writes,
        "destructiveHint": tool.effect is Effect.DELETE,
        "idempotentHint": tool.effect is not Effect.NOTE,
        "openWorldHint": False,
    }
    page = CARD if writes else tool.page
    shown = {"_meta": {"ui": {"resourceUri": page}, "ui/resourceUri": page}} if page else {}
    return {
        "toolset": tool.toolset,
        "roles": sorted(tool.roles),
        "agents": sorted(tool.agents),
        **({} if tool.persons else {"persons": False}),
        "effect": tool.effect,
        "version": tool.version,
        "wire": {
            "name": tool.name,
            "title": tool.title,
            "description": tool.description,
            "inputSchema": _input(tool),
            "outputSchema": _output(tool),
            "annotations": hints,
            **({"execution": {"taskSupport": "optional"}} if tool.name in LONG else {}),
            **shown,
        },
    }


def _input(tool: Tool) -> dict[str, Any]:
    """Return the schema of a tool's arguments; that nothing else is taken is said once, at the root.

    What a part is for, its argument says."""
    schema = _slim(tool.args.model_json_schema())
    schema.pop("description", None)
    for inner in schema.get("$defs", {}).values():
        inner.pop("additionalProperties", None)
        inner.pop("description", None)
    return schema


def _output(tool: Tool) -> dict[str, Any]:
    """Return a schema with a root object and no root alternatives: some clients drop the whole list over those."""
    record = tool.view.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions = record.pop("$defs", {})
    shape = {"type": "array", "items": record} if tool.many else record
    kinds = ["result"] if tool.effect is Effect.READ else ["result", "approval_required"]
    properties: dict[str, Any] = {
        "type": {"enum": kinds},
        tool.noun: shape,
        "_meta": {"type": "object"},
        "_display": {"type": "object"},
    }
    if tool.effect is not Effect.READ:
        properties |= {
            "summary": {"type": "string"},
            "action": {"type": "string"},
            "draft": {"type": "object"},
            "warnings": {"type": "array", "items": {"type": "string"}},
            "approvalActions": {"type": "array", "items": {"type": "object"}},
        }
    if tool.each is not None:
        properties |= {"items": {"type": "array", "items": {"type": "object"}}, "group": {"type": "string"}}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if definitions:
        schema["$defs"] = definitions
    return _slim(schema)


def _says_nothing(default: object) -> bool:
    """Say whether a default is what leaving the argument out means anyway."""
    return default is None or default is False or default == [] or default in (0, "0")


FAR = 1000
"""From here on a whole number's bound is none that a caller would meet by chance."""


def _bounds_nothing(key: str, bound: object, kind: object) -> bool:
    """Say whether a bound tells a caller nothing: of a share or per cent, of a count that it is one, or far away."""
    match key:
        case "minimum":
            return kind == "number" or (kind == "integer" and bound in (0, 1))
        case "exclusiveMinimum":
            return kind == "integer" and bound == 0
        case "maximum":
            return kind == "number" or (isinstance(bound, int) and bound > FAR)
        case _:
            return False


def _slim(schema: Any) -> Any:
    """Drop what costs a model tokens and tells it nothing: titles, lengths, bounds that nobody meets, defaults of nothing,
    none, zero or no, a pattern that words describe, a null alternative of an optional, that an object is open.

    A text that is too long is refused with the length it may have, a number out of bounds with the bound.
    """
    if is_array(schema):
        return [_slim(part) for part in schema]
    if not is_object(schema):
        return schema
    slim: dict[str, Any] = {}
    for key, value in schema.items():
        if (key == "title" and isinstance(value, str)) or (key == "default" and _says_nothing(value)):
            continue
        if key in ("maxLength", "minLength", "maxItems", "minItems", "maxProperties") and isinstance(value, int):
            continue
        if _bounds_nothing(key, value, schema.get("type")):
            continue
        if key == "pattern" and "description" in schema:
            continue
        if key == "additionalProperties" and value is True:
            continue
        if key in ("properties", "$defs"):
            slim[key] = {name: _slim(part) for name, part in value.items()}
        else:
            slim[str(key)] = _slim(value)
    options = slim.get("anyOf")
    if is_array(options):
        rest = [option for option in options if option != {"type": "null"}]
        if len(rest) == 1 and len(options) == 2:
            del slim["anyOf"]
            slim = {**rest[0], **slim}
    return slim


def write_snapshot() -> None:
    """Write the snapshot anew; `make catalog` calls it after a tool has changed."""
    rows = [describe(tool) for tool in every_tool()]
    SNAPSHOT.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_snapshot()
