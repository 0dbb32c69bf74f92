"""Records by filters alone, looked through once: where few match, page and total come from the same rows."""

from .words import ALONE, COUNTED, Way

TOTAL = "(select count(*) from found f)"
_FEW, _MANY = "not (select m.so from much m)", "(select m.so from much m)"


def found(way: Way) -> str:
    """Return common table expressions: at most 10,001 of the rows that a way leads to, and whether there are more."""
    return f"""found as materialized (select r.id as record, r.updated_at as changed from {way.source} where {way.where} limit {COUNTED + 1}),
 much as materialized (select count(*) > {COUNTED} as so from found f)"""


def ways(table: str, joined: str, way: Way, *, by_change: bool) -> tuple[Way, Way]:
    """Return two ways to a page of these rows, of which only one finds anything: those found, or the list itself.

    Where many match, a page is soon met in the list's own order. `by_change`: it is sorted by when they changed.
    """
    source = ALONE if by_change else f"found f join crm.{table} r on r.org_id = %(org)s and r.id = f.record{joined}"
    return Way(source, _FEW), Way(way.source, f"{_MANY} and {way.where}")
