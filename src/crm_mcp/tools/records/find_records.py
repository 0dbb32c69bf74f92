"""Records of one kind by what they hold, the latest changed first."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm import associations, custom_fields, one_pass, people, seeing, subjects, words
from crm_mcp.crm.custom_fields import PREFIX, Definition
from crm_mcp.crm.entities import ENTITIES, entity_of, lead_kind
from crm_mcp.crm.entity import Entity, Kind
from crm_mcp.crm.filters import ARCHIVED, SPECIAL, Filters, found, wrong
from crm_mcp.crm.terms import COMPACT, RecordView, Term, joins, shown_sql, terms_of
from crm_mcp.crm.words import COUNTED, Way
from crm_mcp.errors import Refusal
from crm_mcp.jsonvalue import is_array
from crm_mcp.principal import Agent, Principal
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, Values, tool

SORTED = frozenset({Kind.TEXT, Kind.NUMBER, Kind.DATE, Kind.INSTANT, Kind.FLAG, Kind.CHOICE})
MOST_FILTERS = 40
LONGEST_PLACE = 100
"""Characters of a text that it is sorted by: they stand in the cursor."""


class FindRecords(Args):
    entity: Text = Field(
        max_length=60,
        description="organizations, individuals, contacts, customers, deals, leads (or job, opportunity, …), projects, tasks, "
        "notes, documents, issues, products.",
    )
    query: Text | None = Field(None, min_length=1, max_length=300)
    filters: Values = Field(
        default_factory=dict[str, Any],
        description='Field → value, [any of], null, {"from","to"}, {"contains"} or {"not"}; days also "today", "-14d"; '
        'people also "me"; custom.<key>; not_updated_for_days, updated_since, archived, has, lacks (fields, tasks …).',
    )
    fields: tuple[Text, ...] | None = Field(None, max_length=60)
    sort: Text = Field("-updated_at", max_length=80, description="-field: descending.")
    limit: int = Field(20, ge=1, le=100)
    cursor: Text | None = Field(None, max_length=2000)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, as one statement: the SQL, its parameters, the tables that it names, who is meant."""

    entity: Entity
    sql: str
    params: Mapping[str, object]
    tables: frozenset[str]
    people: list[str]


@tool(
    title="Find records",
    toolset="records",
    roles=EVERYONE,
    effect=Effect.READ,
    agents={Agent.SALES, Agent.RESEARCH},
)
async def find_records(ctx: Read, args: FindRecords) -> Answer[list[RecordView]]:
    """Find records by words and by what fields hold, such as leads not updated for 14 days. Use when you need several, or
    an id; for a misspelt customer search_customers, for one whole get_record."""
    who, now = ctx.principal, datetime.now(UTC)
    own: Mapping[str, Definition] = {}
    if any(PREFIX in name for name in (*args.filters, *(args.fields or ()), args.sort, *_named(args.filters))):
        table = (await seeing.narrowed(ctx.one, who.role, lambda seen: _entity(args, seen))).table
        own = await custom_fields.defined(ctx.one, table)
    asked = ["find_records", args.model_dump(mode="json", exclude={"cursor", "limit"})]
    after = ctx.cursors.open(who, asked, args.cursor) if args.cursor else None

    def made(seen: Collection[str] | None) -> Question:
        return question(args, who, now, own, after, seen)

    asks = await seeing.narrowed(ctx.one, who.role, made)
    row = await ctx.one(asks.sql, **asks.params)
    assert row is not None
    rows, total, positions, seen, *meant = row
    if not asks.tables <= set(seen):
        made(seen)  # which refuses what the role may not see as it does what does not exist
    for text, persons in zip(asks.people, meant, strict=True):
        await people.one_of(ctx.one, text, persons)
    meta: dict[str, object] = {"entity": asks.entity.table, "total": total if total <= COUNTED else f"{COUNTED}+"}
    if total > COUNTED and (args.query is not None or args.filters):
        meta["hint"] = "More matched than are counted: add a filter or words."
    if not rows:
        meta["hint"] = "Nothing is so. Ask with fewer filters or words, or look at what there is without any."
    shown = Display(title=f"{meta['total']} {asks.entity.table}", subtitle=(args.query or "")[:60])
    return Answer(rows[: args.limit], shown, meta, after=ctx.page(asked, positions).after)


def question(
    args: FindRecords,
    who: Principal,
    now: datetime,
    own: Mapping[str, Definition],
    after: list[Any] | None,
    seen: Collection[str] | None,
) -> Question:
    """Return the statement that answers the arguments, for a role that sees some tables; None: all of them.

    Raises:
        Refusal: UNKNOWN_ENTITY, UNKNOWN_FIELD, UNKNOWN_CHOICE, INVALID_FILTER, INVALID_SORT, INVALID_ID.
    """
    entity = _entity(args, seen)
    part = lead_kind(args.entity)
    customs, params = custom_fields.terms(own)
    terms = {**terms_of(entity, part, seen), **customs}
    if len(args.filters) > MOST_FILTERS:
        raise wrong("filters", f"at most {MOST_FILTERS} of them")
    filters = Filters(who, now, terms, associations.of(entity.table, seen))
    filters.add(args.filters)
    for name in args.fields or ():
        found(name, terms, terms)
    names = [*COMPACT[entity.table], *(args.fields or ()), "updated_at"]
    where = [f"r.org_id = %(org)s and {subjects.visible_rows_sql(entity.table, 'r')}", *filters.where]
    if part is not None:
        where.append(f"r.kind = {filters.put(part, 'text')}")
    if args.query is not None:
        where.append(words.HELD)
    order, behind = _sorted(args.sort, terms, filters, after)
    condition, joined = "\n   and ".join(where), joins(entity, "r", part)
    source = f"crm.{entity.table} r{joined}"
    tables = [people.meant_sql(str(mark)) for mark in range(len(filters.people))]
    if args.query is None and not filters.held:
        way = Way(source, condition)
        ways, total = (way,), way.counted
        if args.filters:
            tables.append(one_pass.found(way))
            ways = one_pass.ways(entity.table, joined, way, by_change=order.sql == "r.updated_at")
            total = one_pass.TOTAL
    else:
        tables.append(words.FOUND)
        alone = part is None and not args.filters
        few, many = words.ways(entity.table, joined, condition)
        total = words.total(few, many, alone=alone)
        ways = (words.alone(few) if alone and order.sql == "r.updated_at" else few, many)
    page = "\n  union all ".join(
        f"""(select r.id, {order.sql} as place from {way.source}
  where {way.where}{behind} order by {order.by("r.id", order.sql)} limit %(most)s)"""
        for way in ways
    )
    tables.append(f"page as materialized ({page})")
    sql = f"""with {", ".join(tables)}
 select (select coalesce(jsonb_agg({shown_sql(entity, terms, names)} order by {order.by("p.id", "p.place")}), '[]')
   from page p join {source} on r.org_id = %(org)s and r.id = p.id),
  {total},
  (select coalesce(jsonb_agg(jsonb_build_array(p.place::text, p.id) order by {order.by("p.id", "p.place")}), '[]') from page p),
  {seeing.SEEN_JSON}{"".join(f", {people.listed_sql(str(mark))}" for mark in range(len(filters.people)))}"""
    named = {name.split(".")[0] for name in (*_named(args.filters), *(args.fields or ()))}
    refers = {term.table for name, term in terms.items() if name in named and term.table}
    refers |= {associations.TABLES[name] for name in named - terms.keys() if name in associations.TABLES}
    bound = {
        "role": who.role,
        "currency": who.currency,
        "query": args.query,
        "most": args.limit + 1,
        "kind": entity.table,
    }
    bound |= {"words": " ".join([args.query or "", *filters.held]), "live": ARCHIVED not in args.filters}
    return Question(
        entity, sql, {**params, **filters.params, **bound}, frozenset({entity.table} | refers), filters.people
    )


@dataclass(frozen=True, slots=True)
class Order:
    sql: str
    is_descending: bool
    is_never_empty: bool

    def by(self, number: str, value: str) -> str:
        """Return the ORDER BY; what is empty comes last either way."""
        way = "desc" if self.is_descending else "asc"
        last = "" if self.is_never_empty else " nulls last"
        return f"{value} {way}{last}, {number} {way}"


def _sorted(sort: str, terms: Mapping[str, Term], filters: Filters, after: list[Any] | None) -> tuple[Order, str]:
    """Return the order, and the condition that a row stands behind a position.

    Raises:
        Refusal: UNKNOWN_FIELD, INVALID_SORT.
    """
    name = sort.strip()
    is_descending = name.startswith("-")
    sortable = [known for known, term in terms.items() if term.kind in SORTED or known == "id"]
    term = found(name.removeprefix("-"), terms, sortable)
    if term.name not in sortable:
        raise Refusal("INVALID_SORT", f"Nothing is sorted by {term.name}.", field=term.name, known=sortable)
    sql = f"left(lower({term.sql}), {LONGEST_PLACE})" if term.kind is Kind.TEXT else term.sql
    order = Order(sql, is_descending, term.is_never_empty)
    if after is None:
        return order, ""
    place, number = after
    last = filters.put(number, "bigint")
    sign = "<" if is_descending else ">"
    if place is None:
        return order, f"\n   and {sql} is null and r.id {sign} {last}"
    value = filters.put(place, term.cast)
    if term.is_never_empty:
        return order, f"\n   and ({sql}, r.id) {sign} ({value}, {last})"
    return order, f"\n   and ({sql} {sign} {value} or ({sql} = {value} and r.id {sign} {last}) or {sql} is null)"


def _entity(args: FindRecords, seen: Collection[str] | None) -> Entity:
    return entity_of(args.entity) if seen is None else entity_of(args.entity, [t for t in ENTITIES if t in seen])


def _named(filters: Mapping[str, Any]) -> set[str]:
    """Return the fields that filters name, in `has` and `lacks` too."""
    named = set(filters) - set(SPECIAL)
    for special in ("has", "lacks"):
        said = filters.get(special, [])
        named |= {one for one in (said if is_array(said) else [said]) if isinstance(one, str)}
    return named
