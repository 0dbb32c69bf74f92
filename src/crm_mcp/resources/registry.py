"""What an agent may read by URI: the schema registry per role, the policy, a draft, where its person is."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from .. import ids, policy
from ..catalog import Catalog
from ..context import Read
from ..crm import drafts, me
from ..crm.custom_fields import LISTED
from ..crm.rules import rules
from ..errors import Refusal
from ..invisible import in_sight
from ..query import hints
from ..query.relations import VISIBLE
from ..suspicious import finding
from . import skills

SCHEMA = f"""select coalesce(jsonb_agg(jsonb_build_object('type', v.type, 'table', v.name, 'description', v.description,
  'aliases', v.aliases) order by v.type <> 'crm', v.type, v.name), '[]') from ({VISIBLE}) v"""
TABLE = f"""select jsonb_build_object('type', v.type, 'table', v.name, 'description', v.description, 'aliases', v.aliases)
  || v.schema_hint || jsonb_strip_nulls(jsonb_build_object('customFields',
    nullif({LISTED.format(table="case v.type when 'crm' then v.name end")}, '[]'))),
  {hints.SEEN}, {hints.MASKED}, {hints.OWN_MASKED} from ({VISIBLE}) v where v.type = %(type)s
  and (v.name = %(table)s or %(table)s = any(v.aliases)) order by v.name = %(table)s desc limit 1"""
TYPE = f"""select coalesce(jsonb_agg(jsonb_build_object('type', v.type, 'table', v.name, 'description', v.description) || v.schema_hint
   order by v.name), '[]'), {hints.SEEN}, {hints.MASKED}, {hints.OWN_MASKED} from ({VISIBLE}) v where v.type = %(type)s"""
NAMES = f"""select coalesce(jsonb_agg(jsonb_build_array(v.type, v.name) order by v.type <> 'crm', v.type, v.name), '[]') from ({VISIBLE}) v"""
POLICY = policy.IN_FORCE.replace("%s", "%(org)s")
DRAFT = f"select {drafts.ROW} from {drafts.JOINED} where {drafts.MINE} and d.id = %(id)s"
LATELY = 50
DRAFTS = f"""with page as (select d.* from crm.drafts d where {drafts.MINE}
   and (d.state = 'pending' or d.decided_at > clock_timestamp() - interval '24 hours') order by d.id desc limit {LATELY})
 select coalesce(jsonb_agg({drafts.ROW} order by d.id desc), '[]') from {drafts.JOINED.replace("crm.drafts d", "page d")}"""

_IN_SHORT = ("keyFields", "relationships", "polymorphic", "searchable", "embeddingFields")
"""The hints that tell how tables hang together; what columns and values mean is in each table's own resource."""

Reader = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Resource:
    """A URI (with {placeholders}: a template), what it is, and how it is read."""

    uri: str
    name: str
    description: str
    reader: Reader
    by_catalog: bool = False
    """Whether the reader asks what the client's catalog holds, too."""

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
    tables: list[dict[str, Any]] = row[0] if row else []
    return {
        "tables": [one | {"group": hints.group_of(one["type"], one["table"])} for one in tables],
        "insights": rules(ctx.principal.role),
        "ids": {v: k for k, v in ids.PREFIX.items()},
    }


async def _type(ctx: Read, type: str) -> Any:
    """S3's schema context of one type: what an agent is told before it plans a query."""
    row = await ctx.one(TYPE, type=type, role=ctx.principal.role)
    if row is None or not row[0]:
        raise Refusal("RESOURCE_NOT_FOUND", "crm://schema lists the tables.", uri=f"crm://schema/{type}"[:200])
    tables, seen, masked, own_masked = row
    sight = hints.Sight(seen, masked, own_masked)
    every = [_shown(told, ctx.principal.role, sight) for told in tables]
    return {
        "type": type,
        "tables": [
            {
                "table": one["table"],
                "description": one["description"],
                "hints": {name: one[name] for name in _IN_SHORT if one.get(name)},
            }
            for one in every
        ],
    }


async def _table(ctx: Read, type: str, table: str) -> Any:
    row = await ctx.one(TABLE, type=type, table=table, role=ctx.principal.role)
    if row is None:
        raise Refusal(
            "RESOURCE_NOT_FOUND", "crm://schema lists the tables.", uri=f"crm://schema/{type}/{table}"[:200]
        )
    told, seen, masked, own_masked = row
    return _shown(told, ctx.principal.role, hints.Sight(seen, masked, own_masked))


def _shown(told: dict[str, Any], role: str, sight: hints.Sight) -> dict[str, Any]:
    """Return a table as the registry describes it, with its hints and without the columns that are masked for the role."""
    masks: dict[str, list[str]] = told.get("masked", {})
    columns = {column: meaning for column, meaning in told["columns"].items() if role not in masks.get(column, ())}
    own = told if hints.is_own(told["type"]) else None
    hint = hints.shown(told["table"], ["id", *columns], sight, told["type"], own)
    points = hints.relationships(told, ["id", *columns], sight)
    kept = {
        name: told[name] for name in ("type", "table", "description", "aliases", "id", "customFields") if name in told
    }
    return kept | {"columns": columns, "relationships": points} | hint


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


async def _me(ctx: Read) -> Any:
    """S0's memory injection: the user context in 500 tokens, what was learnt in 300."""
    now = await me.look(ctx)
    left_out = {"leftOut": {"learnings": now.learnings_left_out}} if now.learnings_left_out else {}
    return {
        "note": me.NOTE,
        "context": me.context(now),
        "learnings": list(now.learnt.lines),
        **left_out,
    } | ctx.degraded.meta()


RESOURCES = (
    Resource(
        "crm://schema", "Schema registry", "The tables you may know of, and how insights are computed.", _schema
    ),
    Resource(
        "crm://schema/{type}",
        "Type",
        "The tables of one type, and how they hang together: context for planning a query.",
        _type,
    ),
    Resource(
        "crm://schema/{type}/{table}",
        "Table",
        "One table: columns, meanings, relationships, the org's own fields.",
        _table,
    ),
    Resource("crm://policy", "Policy", "What runs at once and what a person must approve.", _policy),
    Resource("crm://drafts", "Drafts", "Your drafts that wait, or were decided in the last 24 hours.", _drafts),
    Resource(
        "crm://context/me",
        "Where I am",
        "Who you act for, the record and customer they looked at last, what they did within the hour, what waits, and how "
        "they want things.",
        _me,
    ),
    Resource("crm://drafts/{id}", "Draft", "A draft's state, decision and result.", _draft),
    Resource("crm://skills", "Skills", "Pieces of work your tools are enough for.", skills.listed, by_catalog=True),
    Resource(
        "crm://skills/{name}",
        "Skill",
        "How a piece of work is done: its tools, examples, and its limits by the policy in force.",
        skills.shown,
        by_catalog=True,
    ),
)


def _is_storable(text: str) -> bool:
    return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


async def read(ctx: Read, catalog: Catalog, uri: str) -> str:
    """Return a resource as JSON text, what nobody sees in it as escapes; `_meta` points at what looks suspicious.

    Raises:
        Refusal: RESOURCE_NOT_FOUND and those of the readers.
    """
    if not _is_storable(uri):
        raise Refusal("RESOURCE_NOT_FOUND", "A URI holds no control characters and no half characters.")
    for resource in RESOURCES:
        if (placeholders := resource.match(uri)) is not None:
            asked = (ctx, catalog) if resource.by_catalog else (ctx,)
            found = await resource.reader(*asked, **placeholders)
            if marks := finding.marks(found, json.dumps(found, ensure_ascii=False)):
                found = {"_meta": marks, **found}
            return in_sight(json.dumps(found, ensure_ascii=False, indent=1))
    raise Refusal(
        "RESOURCE_NOT_FOUND", "resources/list and resources/templates/list name what there is.", uri=uri[:200]
    )


async def complete(ctx: Read, catalog: Catalog, argument: str, value: str, given: dict[str, str]) -> list[str]:
    """Return what a template's argument could be, by what is typed so far."""
    if not _is_storable(value):
        return []
    if argument == "name":
        return [name for name in skills.names(ctx, catalog) if name.startswith(value)]
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
