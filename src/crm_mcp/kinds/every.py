"""What can be taken out into a file: of each kind its columns, where they come from, and which tables a role must see for it."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast, get_args

from .column import Column, Export
from .parties import OF_PARTIES
from .trade import OF_TRADE
from .work import OF_WORK

Kind = Literal[
    "customers", "organizations", "individuals", "contacts", "leads", "deals", "projects", "products", "stock",
    "quotes", "orders", "invoices", "payments", "credit_notes", "issues", "tasks", "notes", "activities", "documents",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
EXPORTS = cast(Mapping[Kind, Export], {**OF_PARTIES, **OF_TRADE, **OF_WORK})


class Rows(NamedTuple):
    """Rows of a kind in SQL: the columns, what stands from FROM to WHERE, the order; and what it is asked with."""

    columns: list[Column]
    source: str
    order: str
    params: dict[str, object]


def rows(kind: Kind, sources: Sequence[str], *conditions: str) -> Rows:
    """Return the rows of a kind, `r` and what is joined to it, that meet all conditions; needs %(org)s and %(visible)s.

    `sources` are the other systems whose ids it shows.
    """
    export = EXPORTS[kind]
    first, *rest = export.columns
    foreign = [Column(f"external_id_of_{source}", f"x.e{at}") for at, source in enumerate(sources)]
    where = ["r.org_id = %(org)s", *conditions]
    if export.about:
        where.append("(r.subject_type is null or r.subject_type = any(%(visible)s))")
    return Rows(
        [first, *foreign, *rest],
        f"{export.source}{_foreign(export.tables[0], len(sources))} where {' and '.join(where)}",
        export.order,
        {f"source{at}": source for at, source in enumerate(sources)},
    )


def statement(kind: Kind, sources: Sequence[str]) -> tuple[str, list[Column], dict[str, object]]:
    """Return the statement that reads a kind, its columns, and the names of other systems whose ids it shows."""
    columns, source, order, params = rows(kind, sources)
    return f"select {', '.join(one.sql for one in columns)} from {source} order by {order}", columns, params


def _foreign(entity: str, count: int) -> str:
    if not count:
        return ""
    # one pass over the references: a record's are not found by an index
    each = ", ".join(
        f"string_agg(external_id, ' ' order by id) filter (where source = %(source{at})s) as e{at}"
        for at in range(count)
    )
    return (
        f" left join (select record_id, {each} from crm.external_refs where org_id = %(org)s and entity = '{entity}' "
        "group by record_id) x on x.record_id = r.id"
    )
