"""The tables that can be queried, and what stands in each."""

import json
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm.custom_fields import LISTED
from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent, Role
from crm_mcp.query import hints
from crm_mcp.query.relations import VISIBLE, label, nearest
from crm_mcp.tool import Answer, Args, Display, Effect, Text, View, tool

TABLES = f"""select coalesce(jsonb_agg(jsonb_build_object('type', v.type, 'table', v.name, 'description', v.description,
  'aliases', v.aliases) order by v.type <> 'crm', v.type, v.name), '[]') from ({VISIBLE}) v"""
ONE = f"""select jsonb_build_object('type', v.type, 'table', v.name, 'description', v.description, 'hint', v.schema_hint,
   'columns', (select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'meaning', coalesce(nullif(v.schema_hint -> 'columns' ->> a.attname, ''), case v.type when 'crm' then %(known)s::jsonb ->> a.attname end))
      order by a.attnum)
     from pg_attribute a where a.attrelid = v.oid and a.attnum > 0 and not a.attisdropped),
   'customFields', nullif({LISTED.format(table="case v.type when 'crm' then v.name end")}, '[]')), {hints.MASKED}, {hints.OWN_MASKED}
 from ({VISIBLE}) v where v.type = %(type)s and v.name = %(table)s"""
MOST_SAID, SHORTEST, LINE = 6800, 20, 47
"""Characters that a list may take, that each description keeps, and that a table takes besides its name, group and description: a
list of names is worth more than its end."""
KNOWN = {
    "id": "Number; tools write it with a prefix.",
    "version": "Rises with each change.",
    "created_at": "When the row was made.",
    "updated_at": "When it last changed.",
    "created_by": "Person who made it: people.id.",
    "updated_by": "Person who changed it last: people.id.",
    "via_agent": "Agent that acted for that person.",
    "archived_at": "When it was archived; null: in use.",
    "custom_fields": "The org's own fields, by key.",
}
"""The meanings of columns that every table has."""


class GetSchema(Args):
    table: Text | None = Field(None, max_length=130, description="Its name or alias, or type.name.")
    search: Text | None = Field(None, max_length=80, description="Part of a name or description.")


class SchemaView(View):
    noun: ClassVar[str] = "schema"
    nouns: ClassVar[str] = "schemas"

    tables: list[dict[str, Any]] | None = None
    table: dict[str, Any] | None = None


@tool(
    title="Get schema",
    toolset="query",
    roles={Role.ADMIN, Role.FINANCE},
    effect=Effect.READ,
    agents={Agent.ANALYTICS},
)
async def get_schema(ctx: Read, args: GetSchema) -> Answer[SchemaView]:
    """Describe the tables of execute_crm_query; with a table its columns, values and examples. Use when writing a query."""
    row = await ctx.one(TABLES, role=ctx.principal.role)
    every: list[dict[str, Any]] = row[0] if row else []
    if args.table is None:
        sought = (args.search or "").lower()
        tables = [_line(one) for one in every if sought in f"{_label(one)} {one['description']}".lower()]
        hint = "" if tables else "No table is like that. Ask without search."
        names = sum(LINE + len(one["table"]) + len(one["group"]) for one in tables)
        if names + sum(len(one["description"]) for one in tables) > MOST_SAID:
            hint = "Descriptions are cut; ask with a table for all of it."
            room = max(SHORTEST, (MOST_SAID - names) // len(tables))
            tables = [one | {"description": _cut(one["description"], room)} for one in tables]
        meta: dict[str, object] = {"hint": hint} if hint else {}
        return Answer(SchemaView(tables=tables), Display(title=f"{len(tables)} tables"), meta)
    meant = _meant(args.table, every)
    asked = {"type": meant["type"], "table": meant["table"], "known": json.dumps(KNOWN)}
    found = await ctx.one(ONE, role=ctx.principal.role, **asked)
    if found is None:  # taken away between the two
        raise _unknown(args.table, every)
    told, masked, own_masked = found
    table = _told(told, hints.Sight([_label(one) for one in every], masked, own_masked))
    count = f"{len(table['columns'])} columns"
    return Answer(SchemaView(table=table), Display(title=f"{meant['type']}.{meant['table']}", subtitle=count))


def _label(one: dict[str, Any]) -> str:
    return label(one["type"], one["table"])


def _line(one: dict[str, Any]) -> dict[str, Any]:
    """Return a table as the list has it, its name as a query writes it: with its type, but for the CRM's own."""
    group = hints.group_of(one["type"], one["table"])
    return {"table": _label(one), "group": group, "description": one["description"]}


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _told(told: dict[str, Any], sight: hints.Sight) -> dict[str, Any]:
    """Return a table with its hints, the values of a column beside its meaning."""
    columns: list[dict[str, Any]] = told["columns"]
    names = [column["name"] for column in columns]
    kept: dict[str, Any] = told.pop("hint")
    type, table = told["type"], told["table"]
    hint = hints.shown(table, names, sight, type, kept if hints.is_own(type) else None)
    values = hint.pop("values", {})
    for column in columns:
        if column["meaning"] is None:
            del column["meaning"]
        if column["name"] in values:
            column["values"] = values[column["name"]]
    ids = {"id": kept["id"]} if "id" in kept else {}
    points = {column: f"{to}.id" for column, to in hints.relationships(kept, names, sight).items()}
    fields = {"customFields": told["customFields"]} if told["customFields"] else {}
    said = {"table": label(type, table), "type": type, "description": told["description"], **ids, "columns": columns}
    return said | ({"relationships": points} if points else {}) | fields | hint


def _meant(text: str, every: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the table that a name or an alias means, its type before it or not; without one it is the CRM's where that has it.

    Raises:
        Refusal: UNKNOWN_TABLE, naming the nearest.
    """
    asked = text.strip().lower()
    names: dict[str, dict[str, Any]] = {}
    for by_alias in (False, True):
        for one in every:  # the CRM's come first
            for name in one["aliases"] if by_alias else (one["table"],):
                names.setdefault(f"{one['type']}.{name.lower()}", one)
                names.setdefault(name.lower(), one)
    if asked not in names:
        raise _unknown(text, every)
    return names[asked]


def _unknown(text: str, every: list[dict[str, Any]]) -> Refusal:
    near = nearest(text.strip(), ((one["type"], name) for one in every for name in (one["table"], *one["aliases"])))
    said = dict.fromkeys(_label(_meant(one, every)) for one in near)
    return Refusal("UNKNOWN_TABLE", "get_schema without a table lists them.", table=text[:80], suggestions=list(said))
