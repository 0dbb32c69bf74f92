"""One record with all its fields, what belongs to it, where its values came from and how it changed, in one statement."""

from collections.abc import Collection, Mapping
from typing import Literal

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import associations, custom_fields, history, seeing, subjects
from crm_mcp.crm.entities import ENTITIES, entity_of
from crm_mcp.crm.entity import Entity
from crm_mcp.crm.filters import unknown
from crm_mcp.crm.models import Mergeable
from crm_mcp.crm.terms import COMPACT, STAMPS, RecordView, joins, shown_sql, terms_of
from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, tool

Include = Literal[
    "contacts",
    "deals",
    "leads",
    "projects",
    "tasks",
    "notes",
    "documents",
    "activities",
    "issues",
    "orders",
    "parties",
    "positions",
    "provenance",
    "history",
]
MOST = 10
"""Records of one association that are shown."""
_KINDS = {ids.PREFIX[table]: table for table in ENTITIES}
_POSITION = """jsonb_build_object('id', 'pos_' || x.id, 'pipeline', (select jsonb_build_object('id', 'pipe_' || p.id, 'name', p.name)
   from crm.pipelines p where p.org_id = %(org)s and p.id = x.pipeline_id),
  'stage', (select jsonb_build_object('id', 'stage_' || s.id, 'name', s.name, 'kind', s.kind)
   from crm.pipeline_stages s where s.org_id = %(org)s and s.id = x.stage_id),
  'entered_at', x.entered_at, 'closed_at', x.closed_at, 'score', trim_scale(coalesce(x.manual_score, x.score))::text,
  'score_is_manual', nullif(x.manual_score is not null, false), 'next_follow_up_on', x.next_follow_up_on,
  'owner', (select u.name from crm.users u where u.id = x.owner_id))"""
_PARTY = f"""jsonb_build_object('customer', {subjects.named_sql("customers", "x.customer_id")},
  'organization', {subjects.named_sql("organizations", "x.organization_id")},
  'individual', {subjects.named_sql("individuals", "x.individual_id")}, 'part', x.part)"""
_ORDER = """jsonb_build_object('id', 'ord_' || x.id, 'number', x.number, 'status', x.status,
  'total', crm.money(x.gross_total, x.currency), 'placed_at', x.placed_at)"""
_ACTIVITY = f"""jsonb_build_object('id', 'act_' || x.id, 'kind', x.kind, 'direction', x.direction, 'subject', x.subject,
  'happened_at', x.happened_at, 'about', {subjects.about_sql("x")})"""
_OTHERS: Mapping[str, tuple[str, str]] = {
    "positions": (_POSITION, "x.closed_at is not null, x.id desc"),
    "parties": (_PARTY, "x.id"),
    "orders": (_ORDER, "x.placed_at desc, x.id desc"),
    "activities": (_ACTIVITY, "x.happened_at desc, x.id desc"),
}
"""What is no entity: how a row `x` is shown, and its order."""


class GetRecord(Args):
    id: Text = Field(max_length=60, description="Any id that find_records returns: cust_…")
    entity: Text | None = Field(None, max_length=60, description="Needed with a bare number.")
    include: tuple[Include, ...] = Field((), max_length=20)


@tool(
    title="Get record",
    toolset="records",
    roles=EVERYONE,
    effect=Effect.READ,
    agents={Agent.SALES, Agent.RESEARCH},
)
async def get_record(ctx: Read, args: GetRecord) -> Answer[RecordView]:
    """Show one record that find_records finds: every filled field, and what belongs to it. Use when you have its id;
    provenance: where each value came from; history: who changed what. For a customer's insights use get_customer."""
    who = ctx.principal

    def made(seen: Collection[str] | None) -> tuple[Entity, int]:
        entity, number = _meant(args, seen)
        known = [*associations.of(entity.table), "provenance", "history"]
        for name in args.include:
            if name not in known:
                raise unknown(name, known)
        return entity, number

    entity, number = await seeing.narrowed(ctx.one, who.role, made)
    sql = statement(entity, args.include)
    row = await ctx.one(sql, id=number, role=who.role, currency=who.currency)
    if row is None:
        made(await _seen(ctx))
        raise not_found(entity, args.id)
    record, seen, touched, stated, changes = row
    more = [name for name in args.include if len(record.get(name, ())) > MOST]
    for name in more:
        del record[name][MOST:]
    if touched is not None:
        record["provenance"] = history.provenance(entity, record, touched, stated)
    if changes is not None:
        record["history"] = history.told(entity, seen, changes)
    meta: dict[str, object] = {"entity": entity.table}
    if more:
        meta["more"] = more
        meta["hint"] = f"There is more of {', '.join(more)}: ask find_records for them."
    badge = "archived" if "archived_at" in record else record.get("status")
    return Answer(record, Display(title=str(record[entity.title])[:120], subtitle=entity.noun, badge=badge), meta)


def statement(entity: Entity, include: Collection[str]) -> str:
    """Return the statement of one record: the record, the tables that the role sees, what touched its fields and what
    was stated of them, its changes."""
    terms = terms_of(entity)
    names = [name for name in terms if name not in STAMPS]
    record = shown_sql(entity, terms, [*names, "created_at", "created_by", "updated_at", "updated_by", "via_agent"])
    own = custom_fields.SHOWN.format(row="r", table=entity.table)
    around = associations.of(entity.table)
    parts = [f"'version', r.version, 'custom', {own}"]
    if issubclass(entity.model, Mergeable):
        parts.append(f"'merged_into', '{ids.PREFIX[entity.table]}_' || r.merged_into")
    parts += [f"'{name}', {_associated(name, around[name])}" for name in sorted(set(include)) if name in around]
    is_told, is_stated = "history" in include, "provenance" in include
    return f"""select {record} || jsonb_strip_nulls(jsonb_build_object({", ".join(parts)})), {seeing.SEEN_JSON},
  {history.touched_sql(entity) if is_stated else "null"}, {history.stated_sql(entity) if is_stated else "null"},
  {history.changes_sql(entity) if is_told else "null"}
 from crm.{entity.table} r{joins(entity)}
 where r.org_id = %(org)s and r.id = %(id)s and {subjects.visible_rows_sql(entity.table, "r")}"""


def _associated(name: str, condition: str) -> str:
    table = associations.TABLES[name]
    if name in _OTHERS:
        row, order = _OTHERS[name]
        row, source = f"jsonb_strip_nulls({row})", f"crm.{table} x"
    else:
        entity = ENTITIES[table]
        row = shown_sql(entity, terms_of(entity, row="x"), COMPACT[table], "x")
        source = f"crm.{table} x"
        order = (
            "x.status = 'open' desc, x.due_on nulls last, x.id"
            if table == "tasks"
            else "x.updated_at desc, x.id desc"
        )
    return f"""case when '{table}' = any ({subjects.SEEN}) then (select coalesce(jsonb_agg(one order by at), '[]') from (select {row} as one,
   row_number() over (order by {order}) as at from {source} where {condition} order by {order} limit {MOST + 1}) y) end"""


def _meant(args: GetRecord, seen: Collection[str] | None) -> tuple[Entity, int]:
    """Return the kind of record and the number that are meant.

    Raises:
        Refusal: INVALID_ID, UNKNOWN_ENTITY.
    """
    there = [table for table in ENTITIES if seen is None or table in seen]
    entity = None if args.entity is None else entity_of(args.entity, there)
    text = args.id.strip()
    if entity is not None:
        is_bare = text.isascii() and text.isdigit()
        return entity, ids.parse(entity.table, ids.show(entity.table, int(text[:20])) if is_bare else text)
    table = _KINDS.get(text.partition("_")[0], "customers")
    table = table if table in there else "customers"
    try:
        return ENTITIES[table], ids.parse(table, text)
    except Refusal as bad:
        others = ", ".join(f"{prefix}_…" for prefix, kind in _KINDS.items() if kind in there and kind != "customers")
        raise Refusal(bad.error, f"{bad.hint} These kinds will do too: {others}.", **bad.context) from None


async def _seen(ctx: Read) -> Collection[str]:
    row = await ctx.one(f"select {seeing.SEEN_JSON}", role=ctx.principal.role)
    return row[0] if row else ()


def not_found(entity: Entity, given: str) -> Refusal:
    hint = f"There is no such {entity.noun}. Find the id with find_records."
    return Refusal(f"{entity.noun.upper()}_NOT_FOUND", hint, searchedId=given[:60])
