"""What an agent may read by URI: the schema registry per role, the policy, a draft."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from .. import ids, policy
from ..context import Read
from ..crm import drafts
from ..crm.custom_fields import LISTED
from ..crm.rules import rules
from ..errors import Refusal
from ..query import hints

SCHEMA = """select coalesce(jsonb_agg(jsonb_build_object('type', type, 'table', table_name, 'description', description,
  'aliases', aliases) order by type, table_name), '[]') from crm.reasoning where %(role)s = any(roles)"""
TABLE = f"""select jsonb_build_object('type', type, 'table', table_name, 'description', description, 'aliases', aliases)
  || schema_hint || jsonb_strip_nulls(jsonb_build_object('customFields', nullif({LISTED.format(table="table_name")}, '[]'))),
  {hints.SEEN}, {hints.MASKED} from crm.reasoning where type = %(type)s and %(role)s = any(roles)
  and (table_name = %(table)s or %(table)s = any(aliases)) order by table_name = %(table)s desc limit 1"""
NAMES = """select coalesce(jsonb_agg(jsonb_build_array(type, table_name) order by type, table_name), '[]')
  from crm.reasoning where %(role)s = any(roles)"""
POLICY = policy.IN_FORCE.replace("%s", "%(org)s")
DRAFT = f"select {drafts.ROW} from {drafts.JOINED} where {drafts.MINE} and d.id = %(id)s"
LATELY = 50
DRAFTS = f"""with page as (select d.* from crm.drafts d where {drafts.MINE}
   and (d.state = 'pending' or d.decided_at > clock_timestamp() - interval '24 hours') order by d.id desc limit {LATELY})
 select coalesce(jsonb_agg({drafts.ROW} order by d.id desc), '[]') from {drafts.JOINED.replace("crm.drafts d", "page d")}"""

Reader = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Resource:
    """A URI (with {placeholders}: a template), what it is, and how it is read."""

    uri: str
    name: str
    description: str
    reader: Reader

    @property
    def is_template(self) -> bool:
        return "{" in self.uri

    def match(self, uri: str) -> dict[str, str] | None:
        shape = "".join(
            f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part)
            for part in re.split(r"({\w+})", self.uri)
        )
        found = re.fullmatch(shape, uri)
        return found.groupdict() if found else None


async def _schema(ctx: Read) -> Any:
    row = await ctx.one(SCHEMA, role=ctx.principal.role)
    return {
        "tables": row[0] if row else [],
        "insights": rules(ctx.principal.role),
        "ids": {v: k for k, v in ids.PREFIX.items()},
    }


async def _table(ctx: Read, type: str, table: str) -> Any:
    row = await ctx.one(TABLE, type=type, table=table, role=ctx.principal.role)
    if row is None:
        raise Refusal(
            "RESOURCE_NOT_FOUND", "crm://schema lists the tables.", uri=f"crm://schema/{type}/{table}"[:200]
        )
    told, seen, masked = row
    return _shown(told, ctx.principal.role, seen, masked)


def _shown(told: dict[str, Any], role: str, seen: list[str], masked: list[str]) -> dict[str, Any]:
    """Return a table as the registry describes it, with its hints and without the columns that are masked for the role."""
    masks: dict[str, list[str]] = told.pop("masked", {})
    hidden = {column for column, roles in masks.items() if role in roles}
    for part in ("columns", "relationships"):
        every: dict[str, str] = told.get(part, {})
        told[part] = {column: said for column, said in every.items() if column not in hidden}
    return told | (
        hints.shown(told["table"], ["id", *told["columns"]], seen, masked) if told["type"] == "crm" else {}
    )


async def _policy(ctx: Read) -> Any:
    row = await ctx.one(POLICY)
    now = policy.Policy.in_force(row)
    return {
        "version": now.version,
        "settings": now.settings(),
        "rules": [said._asdict() for said in policy.in_words(now, ctx.principal.currency)],
        "whoApproves": policy.approving_in_words(now, ctx.principal.currency),
        "approving": "Only a person can approve, on the approvals page; no tool and no answer of yours can.",
    }


async def _drafts(ctx: Read) -> Any:
    row = await ctx.one(DRAFTS, all=drafts.sees_all(ctx.principal), currency=ctx.principal.currency)
    return {"drafts": row[0] if row else []}


async def _draft(ctx: Read, id: str) -> Any:
    row = await ctx.one(
        DRAFT, id=ids.parse("drafts", id), all=drafts.sees_all(ctx.principal), currency=ctx.principal.currency
    )
    if row is None:
        raise drafts.not_found(id)
    return row[0]


RESOURCES = (
    Resource(
        "crm://schema", "Schema registry", "The tables you may know of, and how insights are computed.", _schema
    ),
    Resource(
        "crm://schema/{type}/{table}",
        "Table",
        "One table: columns, meanings, relationships, the org's own fields.",
        _table,
    ),
    Resource("crm://policy", "Policy", "What runs at once and what a person must approve.", _policy),
    Resource("crm://drafts", "Drafts", "Your drafts that wait, or were decided in the last 24 hours.", _drafts),
    Resource("crm://drafts/{id}", "Draft", "A draft's state, decision and result.", _draft),
)


def _is_storable(text: str) -> bool:
    return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


async def read(ctx: Read, uri: str) -> str:
    """Return a resource as JSON text.

    Raises:
        Refusal: RESOURCE_NOT_FOUND and those of the readers.
    """
    if not _is_storable(uri):
        raise Refusal("RESOURCE_NOT_FOUND", "A URI holds no control characters and no half characters.")
    for resource in RESOURCES:
        if (placeholders := resource.match(uri)) is not None:
            found = await resource.reader(ctx, **placeholders)
            return json.dumps(found, ensure_ascii=False, indent=1)
    raise Refusal(
        "RESOURCE_NOT_FOUND", "resources/list and resources/templates/list name what there is.", uri=uri[:200]
    )


async def complete(ctx: Read, argument: str, value: str, given: dict[str, str]) -> list[str]:
    """Return what a template's argument could be, by what is typed so far."""
    if not _is_storable(value):
        return []
    if argument == "id":
        row = await ctx.one(
            f"""select coalesce(jsonb_agg('draft_' || x.id), '[]') from (select d.id from crm.drafts d
                where {drafts.MINE} and 'draft_' || d.id like %(start)s || '%%' order by d.id desc limit 100) x""",
            start=value.replace("\\", "").replace("%", "").replace("_", "\\_"),
            all=drafts.sees_all(ctx.principal),
        )
        return list(row[0]) if row else []
    row = await ctx.one(NAMES, role=ctx.principal.role)
    pairs: list[list[str]] = row[0] if row else []
    if argument == "type":
        names = sorted({type for type, _ in pairs})
    else:
        names = [table for type, table in pairs if given.get("type") in (None, type)]
    return [name for name in names if name.startswith(value)][:100]
