"""Records of one kind as rows of a file: those that filters let through, of all that the principal may see."""

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..kinds.column import Column, Sort
from ..kinds.every import EXPORTS, KINDS, Kind, rows
from ..sheets.sheet import About
from ..sheets.source import Source, Statement
from . import asking, associations, custom_fields, people, seeing, subjects
from .asking import Ask
from .custom_fields import PREFIX, Definition
from .entities import ENTITIES, entity_of, lead_kind
from .entity import Kind as Holds
from .exports import MOST_ROWS
from .filters import ARCHIVED, Filters, unknown, wrong
from .terms import Term, joins, terms_of

MOST_FILTERS = 40
_HOLDS: Mapping[Sort, tuple[Holds, str]] = {
    "text": (Holds.TEXT, "text"),
    "word": (Holds.TEXT, "text"),
    "number": (Holds.NUMBER, "numeric"),
    "money": (Holds.NUMBER, "numeric"),
    "base": (Holds.NUMBER, "numeric"),
    "day": (Holds.DATE, "date"),
    "time": (Holds.INSTANT, "timestamptz"),
    "flag": (Holds.FLAG, "boolean"),
}
"""How a column of a file is filtered, and as what it is compared."""
_SORTS: Mapping[str, Sort] = {"number": "number", "boolean": "flag"}
"""How the org's own fields are written; all others as text."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A kind, with what narrows it: which leads, filters, columns; and who may see which tables."""

    kind: Kind
    part: str | None
    filters: Mapping[str, Any]
    columns: Sequence[str] | None
    seen: Collection[str]
    own: Mapping[str, Definition]


async def source(ctx: Write, entity: str, filters: Mapping[str, Any], columns: Sequence[str] | None) -> Source:
    """Return the records of a kind as rows: the columns that `crm-mcp export` writes, then the org's own fields.

    Filters are those of find_records; of kinds that it does not find, conditions on the columns.

    Raises:
        Refusal: UNKNOWN_ENTITY, UNKNOWN_FIELD, UNKNOWN_CHOICE, INVALID_FILTER, INVALID_ID, PERSON_NOT_FOUND,
            PERSON_AMBIGUOUS.
    """
    ask = asking.within(ctx)
    row = await ask(f"select {seeing.SEEN_JSON}", role=ctx.principal.role)
    seen: Collection[str] = row[0] if row else ()
    kind, part = _kind(entity, seen)
    own = await custom_fields.defined(ask, kind)
    return await _rows(ctx, ask, _Asked(kind, part, filters, columns, seen, own))


def _kind(entity: str, seen: Collection[str]) -> tuple[Kind, str | None]:
    """Return the kind that a name means, in whatever case and number, and which leads it narrows to.

    Raises:
        Refusal: UNKNOWN_ENTITY, the same for what there is not and what the role may not see whole.
    """
    there: list[Kind] = [kind for kind in KINDS if set(EXPORTS[kind].tables) <= set(seen)]
    word = entity.strip().lower()
    names: dict[str, Kind] = {ids.NOUN.get(kind, kind): kind for kind in there}
    names.update((kind, kind) for kind in there)
    if word in names:
        return names[word], None
    try:
        table = entity_of(entity, [kind for kind in there if kind in ENTITIES]).table
    except Refusal:
        near = difflib.get_close_matches(word[:60], names, 1, 0.5)
        hint = f"There is no entity {entity[:60]!r}." + (f" Did you mean {names[near[0]]!r}?" if near else "")
        raise Refusal("UNKNOWN_ENTITY", hint, known=there) from None
    return next(kind for kind in there if kind == table), lead_kind(entity)


async def _rows(ctx: Write, ask: Ask, asked: _Asked) -> Source:
    who = ctx.principal
    customs, bound = custom_fields.terms(asked.own)
    filters = _conditions(ctx, asked, customs)
    visible = subjects.visible_rows_sql(EXPORTS[asked.kind].tables[0], "r")
    found = rows(asked.kind, [], visible, *filters.where)
    chosen = _chosen([*found.columns, *_own(asked.own, customs)], asked.columns)
    params = {
        **found.params, **bound, **filters.params,
        "role": who.role, "currency": who.currency, "visible": list(asked.seen),
    }  # fmt: skip
    for mark, person in enumerate(filters.people):
        meant = await ask(f"with {people.meant_sql(str(mark))} select {people.listed_sql(str(mark))}", **params)
        await people.one_of(ask, person, meant[0] if meant else [])
    tables = ", ".join(people.meant_sql(str(mark)) for mark in range(len(filters.people)))
    begin = f"with {tables} select" if tables else "select"
    counted = await ask(f"{begin} count(*) from (select from {found.source} limit {MOST_ROWS + 1}) x", **params)
    assert counted is not None
    return Source(
        f"{asked.part + 's' if asked.part else asked.kind}_{who.day(ctx.now)}",
        asked.kind.replace("_", " ").capitalize(),
        {"entity": asked.part or asked.kind, "filters": dict(asked.filters), "columns": [one.name for one in chosen]},
        chosen,
        Statement(
            f"{begin} {', '.join(one.sql for one in chosen)} from {found.source} order by {found.order}", params
        ),
        _about(asked, chosen),
        counted[0],
    )


def _conditions(ctx: Write, asked: _Asked, customs: Mapping[str, Term]) -> Filters:
    """Return the filters as conditions on the row `r` of a kind.

    Raises:
        Refusal: those of `Filters.add`.
    """
    if len(asked.filters) > MOST_FILTERS:
        raise wrong("filters", f"at most {MOST_FILTERS} of them")
    entity = ENTITIES.get(asked.kind)
    if entity is None:
        filters = Filters(ctx.principal, ctx.now, _terms(EXPORTS[asked.kind].columns), {})
        filters.add(asked.filters)
        return filters
    terms = {**terms_of(entity, asked.part, asked.seen), **customs}
    filters = Filters(ctx.principal, ctx.now, terms, associations.of(entity.table, asked.seen))
    filters.add(asked.filters)
    if asked.part is not None:
        filters.where.append(f"r.kind = {filters.put(asked.part, 'text')}")
    # apart: what a field is to a filter names its own joins
    met = " and ".join(["r.org_id = %(org)s", *filters.where])
    filters.where[:] = [
        f"r.id in (select r.id from crm.{entity.table} r{joins(entity, 'r', asked.part)} where {met})"
    ]
    return filters


def _terms(columns: Sequence[Column]) -> Mapping[str, Term]:
    """Return columns as what is filtered by, and whether a row is archived."""
    found = {
        one.name: Term(one.name, _HOLDS[one.sort][0], f"({one.sql})", "null", _HOLDS[one.sort][1]) for one in columns
    }
    archived = Term(ARCHIVED, Holds.FLAG, "(r.archived_at is not null)", "null", "boolean", is_never_empty=True)
    return {**found, ARCHIVED: archived}


def _own(own: Mapping[str, Definition], terms: Mapping[str, Term]) -> list[Column]:
    return [
        Column(PREFIX + one.key, terms[PREFIX + one.key].sql, _SORTS.get(one.kind, "text")) for one in own.values()
    ]


def _chosen(there: Sequence[Column], names: Sequence[str] | None) -> list[Column]:
    """Return the columns that are named, all where none are; with an amount comes its currency.

    Raises:
        Refusal: UNKNOWN_FIELD, naming the nearest.
    """
    known = {one.name: one for one in there}
    if not names:
        return list(there)
    for name in names:
        if name not in known:
            raise unknown(name, list(known))
    chosen = [known[name] for name in dict.fromkeys(names)]
    currencies = {"money": "currency", "base": "base_currency"}
    with_them = [currencies[one.sort] for one in chosen if one.sort in currencies]
    return [
        *chosen,
        *(known[name] for name in dict.fromkeys(with_them) if name in known and known[name] not in chosen),
    ]


def _about(asked: _Asked, columns: Sequence[Column]) -> About:
    labels = {PREFIX + one.key: one.label for one in asked.own.values()}
    lines = [("Records", asked.kind + (f", {asked.part} only" if asked.part else ""))]
    if ARCHIVED not in asked.filters:
        lines.append(("Archived", "left out"))
    lines += [("Filter", f"{name}: {json.dumps(said, ensure_ascii=False)}") for name, said in asked.filters.items()]
    return [*lines, *(("Column", f"{one.name}: {labels[one.name]}") for one in columns if one.name in labels)]
