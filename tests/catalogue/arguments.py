"""Arguments of any tool, made from its input schema: valid ones, and where each id and each text stands in them."""

import copy
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

ID = re.compile(r"\b([a-z]+)_…")
"""An id argument says what it takes: cust_…"""
IN_PIPELINES = frozenset({"deal", "lead", "cont", "ind", "cust"})
ANY = "Any id"
"""How an argument says that it takes the id of any record that can be written about."""
EXAMPLES: Mapping[str, Any] = {
    "query": "a",
    "entity": "customers",
    "filters": {"name": {"not": None}},
    "fields": ["created_at"],
    "sort": "-updated_at",
    "key": "tried_here",
    "report": "top_customers",
    "reason": "a test asks",
    "body": "a test was here",
    "assignee": "me",
    "parameters": {},
    "amount": "12.50",
    "gross": "1.00",
    "currency": "EUR",
    "through": "2020-01-31",
    "to": ["somebody@elsewhere.example"],
    "cc": [],
    "settings": {"learning_mode": True},
    "attachments": [{"name": "a.txt", "text": "a test"}],
    "changes": [{"proposed_action": "create", "entity_type": "Organization", "data": {"name": "A test asks"}}],
    "arguments": {"comment": "a test revises"},
    "required_fields": ["value"],
    "exit_criteria": ["legal_check_passed"],
    "value": "10000.01",
    "archive": False,
    "name": "A way of the tests",
    "stages": [{"name": "First"}, {"name": "Second"}],
    "data": {"title": "CTO", "recent_news": ["They moved"]},
    "factors": {"fit": 50},
    "clear": [],
    "manual_score": 50,
    "reached": "won",
    "period": "this quarter",
    "min_score": 0.6,
    "table": "customers",
    "details": {"key_points": ["a test was here"]},
    "search": "order",
    "timezone": "Europe/Vienna",
    "locale": "de-AT",
    "reset": [],
    "tags": ["returns"],
    "access": "org",
    "apply": "get_quotes.status: out = open",
}
"""Values of arguments that no schema can suggest, by name."""
LEFT_OUT = frozenset(
    [
        "cursor",
        "idempotency_key",
        "confidence",
        "placed_from",
        "placed_to",
        "status",
        "state",
        "number",
        "lines",
        "issued_from",
        "issued_to",
        "issued_on",
        "due_from",
        "due_to",
        "due_on",
        "received_from",
        "received_to",
        "received_on",
        "on_account",
    ]
) | frozenset(
    {
        "pipeline",
        "stage",
        "from_stage",
        "due",
        "due_on",
        "due_from",
        "due_to",
        "happened_at",
        "overdue",
        "resolution",
        "skip",
        "entity",
        "columns",
        "choices",
        "roles",
        "entities",
    }
)
"""Arguments that narrow, so that broad arguments do without them."""
GOES_WITH: Mapping[str, str] = {"filters": "entity"}
"""Arguments that say nothing without another."""
EXCLUDED = re.compile(r"\bnot with (\w+)", re.IGNORECASE)
"""An argument says so that takes the place of another: not with quote."""
Path = tuple[str | int, ...]


class IdArgument(NamedTuple):
    path: Path
    prefix: str
    any: bool = False
    """Whether the ids of other kinds will do too."""
    kinds: frozenset[str] = frozenset()
    """The kinds whose ids will do."""


def resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference."""
    while "$ref" in schema:
        schema = {
            **root["$defs"][schema["$ref"].rpartition("/")[2]],
            **{k: v for k, v in schema.items() if k != "$ref"},
        }
    return schema


def valid(schema: dict[str, Any], ids: Mapping[str, str], root: dict[str, Any] | None = None, name: str = "") -> Any:
    """Return a value that asks for much; `ids` gives an existing id for each prefix."""
    root = root or schema
    schema = resolved(schema, root)
    if name in EXAMPLES:
        return copy.deepcopy(EXAMPLES[name])
    if found := ID.search(schema.get("description", "")):
        return ids[found[1]]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    options = schema.get("anyOf") or [schema]
    match next((o["type"] for o in options if "type" in o), "object"):
        case "object":
            properties, required = schema.get("properties", {}), schema.get("required", [])
            asked = {
                key
                for key, part in properties.items()
                if key in required or _is_asked(key, part.get("description", ""))
            }
            alone = {key for key, other in GOES_WITH.items() if other in properties and other not in asked}
            return {key: valid(part, ids, root, key) for key, part in properties.items() if key in asked - alone}
        case "array":
            items = resolved(schema["items"], root)
            return list(items["enum"]) if "enum" in items else [valid(items, ids, root)]
        case "integer":
            # A wait is a number of seconds, and a test has none.
            return 0 if name == "wait_seconds" else 2 if name == "quantity" else schema.get("maximum", 1)
        case "number":
            return options[0].get("minimum", 0)
        case "boolean":
            return True
        case "string" if any(option.get("format") == "date" for option in options):
            return str(date.today() + timedelta(days=7))
        case _:
            return "text"


def _is_asked(name: str, description: str) -> bool:
    """Say whether an optional argument is given: the first of two that exclude each other is."""
    return bool(EXCLUDED.search(description)) or (name not in LEFT_OUT and not ID.search(description))


def valid_with(schema: dict[str, Any], ids: Mapping[str, str], path: Path, value: object) -> Any:
    """Return a value that asks for much, with another value at a place, and without what that place excludes."""
    whole = valid(schema, ids)
    for key, part in schema["properties"].items():
        if (other := EXCLUDED.search(part.get("description", ""))) and other[1] == path[0]:
            whole.pop(key, None)
    if len(path) > 1 and path[0] not in whole:
        whole[path[0]] = valid(schema["properties"][path[0]], ids, schema, str(path[0]))
    return put(whole, path, value)


def positions(
    schema: dict[str, Any], kind: str, root: dict[str, Any] | None = None, path: Path = ()
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield where values of one JSON type stand, first items of arrays standing for all."""
    root = root or schema
    schema = resolved(schema, root)
    if any(option.get("type") == kind for option in schema.get("anyOf", [schema])):
        yield path, schema
    for key, part in schema.get("properties", {}).items():
        yield from positions(part, kind, root, (*path, key))
    if "items" in schema:
        yield from positions(schema["items"], kind, root, (*path, 0))


def id_arguments(schema: dict[str, Any]) -> list[IdArgument]:
    """Return where a tool takes an id, and of which kind."""
    texts = positions(schema, "string")
    return [
        IdArgument(path, prefix, ANY in part["description"], _kinds(part["description"]))
        for path, part in texts
        for prefix in ID.findall(part.get("description", ""))
    ]


def _kinds(description: str) -> frozenset[str]:
    """Return the kinds whose ids will do; a list that goes on (cont_… …) is of all that may stand in a pipeline."""
    return frozenset(ID.findall(description)) | (IN_PIPELINES if "_… …" in description else frozenset())


def put(arguments: Any, path: Path, value: object) -> Any:
    """Return arguments with another value at a place, which is made where it is missing."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        items = list(arguments) if arguments else []
        return [put(items[0] if items else None, rest, value), *items[1:]]
    return {**(arguments or {}), step: put((arguments or {}).get(step), rest, value)}


def leaves(value: Any) -> Iterator[Any]:
    """Yield every scalar in a JSON value."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def names(value: Any) -> Iterator[str]:
    """Yield every name in a JSON value, at whatever depth."""
    if isinstance(value, Mapping):
        yield from value
    if isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from names(part)
