"""The tables that can be queried, and what stands in each."""

import difflib
import json
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm.custom_fields import LISTED
from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent, Role
from crm_mcp.query import hints
from crm_mcp.query.relations import VISIBLE
from crm_mcp.tool import Answer, Args, Display, Effect, Text, View, tool

TABLES = f"""select coalesce(jsonb_agg(jsonb_build_object('table', v.name, 'description', v.description, 'aliases', v.aliases)
  order by v.name), '[]') from ({VISIBLE}) v"""
ONE = f"""select jsonb_build_object('table', v.name, 'description', v.description, 'id', v.schema_hint ->> 'id',
   'columns', (select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'meaning', coalesce(v.schema_hint -> 'columns' ->> a.attname, %(known)s::jsonb ->> a.attname)) order by a.attnum)
     from pg_attribute a where a.attrelid = v.oid and a.attnum > 0 and not a.attisdropped),
   'relationships', (select jsonb_object_agg(k.key, k.value || '.id') from jsonb_each_text(v.schema_hint -> 'relationships') k
     where v.columns ? k.key),
   'masked', {hints.MASKED},
   'customFields', nullif({LISTED.format(table="v.name")}, '[]'))
 from ({VISIBLE}) v where v.name = %(table)s"""
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
    table: Text | None = Field(None, max_length=80, description="Its name or alias.")
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
        tables = [_line(one) for one in every if sought in f"{one['table']} {one['description']}".lower()]
        hint = {"hint": "No table is like that. Ask without search."} if not tables else {}
        return Answer(SchemaView(tables=tables), Display(title=f"{len(tables)} tables"), hint)
    name = _meant(args.table, every)
    found = await ctx.one(ONE, role=ctx.principal.role, table=name, known=json.dumps(KNOWN))
    assert found is not None
    table = _hinted(found[0], [one["table"] for one in every])
    return Answer(SchemaView(table=table), Display(title=f"crm.{name}", subtitle=f"{len(table['columns'])} columns"))


def _line(one: dict[str, Any]) -> dict[str, Any]:
    group = hints.group_of(one["table"])
    return {"table": one["table"], "description": one["description"]} | ({"group": group} if group else {})


def _hinted(table: dict[str, Any], seen: list[str]) -> dict[str, Any]:
    """Return a table with its hints, the values of a column beside its meaning."""
    columns: list[dict[str, Any]] = table["columns"]
    hint = hints.shown(table["table"], [column["name"] for column in columns], seen, table.pop("masked"))
    values = hint.pop("values", {})
    for column in columns:
        if column["name"] in values:
            column["values"] = values[column["name"]]
    return table | hint


def _meant(text: str, every: list[dict[str, Any]]) -> str:
    """Return the table that a name or an alias means, its type before it or not.

    Raises:
        Refusal: UNKNOWN_TABLE, naming the nearest.
    """
    asked = text.strip().lower().removeprefix("crm.")
    names = {alias.lower(): one["table"] for one in every for alias in one["aliases"]}
    names |= {one["table"]: one["table"] for one in every}
    if asked in names:
        return str(names[asked])
    near = list(dict.fromkeys(names[found] for found in difflib.get_close_matches(asked, sorted(names), 4, 0.5)))
    raise Refusal("UNKNOWN_TABLE", "get_schema without a table lists them.", table=text[:80], suggestions=near)
