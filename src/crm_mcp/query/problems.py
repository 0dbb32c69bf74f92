"""What Postgres says of a statement that was judged, in words that help to mend it; its own text never leaves."""

import difflib
import re
from collections.abc import Iterable

import psycopg

from ..errors import Refusal
from .grammar import Judged
from .relations import Relation

_IDENTIFIER = re.compile(r'"([^"]{1,63})"|column ((?:\w+\.)?\w{1,63})')
_SAID: dict[str, tuple[str, str]] = {
    "57014": ("QUERY_TOO_SLOW", "The query took too long and was stopped. Filter earlier, join on ids, or ask for a shorter period."),
    "53200": ("QUERY_TOO_LARGE", "The query needs more memory than it may have. Aggregate or filter before joining."),
    "53400": ("QUERY_TOO_LARGE", "The query needs more space than it may have. Aggregate or filter before joining or sorting."),
    "54000": ("QUERY_TOO_LARGE", "A value or the query is larger than can be handled. Ask for less at once."),
    "54001": ("QUERY_TOO_LARGE", "The query is nested too deeply. Ask for less at once."),
    "CRM20": ("QUERY_TOO_LARGE", "A row of the result is over 256 KB. Take fewer columns, or cut texts with left(…, 500)."),
    "22012": ("INVALID_SQL", "A division by zero: write nullif(divisor, 0)."),
    "22003": ("INVALID_SQL", "A number is out of range for its type. Cast to numeric."),
    "22008": ("INVALID_SQL", "A date lies outside what there is."),
    "22007": ("INVALID_SQL", "A text is no date or time. Write dates as date '2026-01-31'."),
    "22P02": ("INVALID_SQL", "A text cannot be read as the type that it is compared or cast to."),
    "22023": ("INVALID_SQL", "An argument of a function has a value that it does not take."),
    "2201B": ("INVALID_SQL", "A regular expression cannot be read."),
    "21000": ("INVALID_SQL", "A subquery gives more than one row where one is due. Add LIMIT 1 or an aggregate."),
    "42803": ("INVALID_SQL", "A column is neither in GROUP BY nor within an aggregate."),
    "42702": ("INVALID_SQL", "A column's name is in several tables. Write it with its table's alias."),
    "42883": ("INVALID_SQL", "A function or operator does not take these types. Cast the values, for example with ::numeric or ::date."),
    "42804": ("INVALID_SQL", "Types do not fit together. Cast one side."),
    "42P18": ("INVALID_SQL", "The type of a parameter is not clear. Write $1::text, $1::date or $1::numeric."),
    "42P08": ("INVALID_SQL", "A parameter is used as two types. Cast it, or give the value twice."),
    "42P02": ("INVALID_SQL", "A parameter has no value: give parameters one value for each of $1, $2 …"),
    "42P10": ("INVALID_SQL", "ORDER BY and SELECT DISTINCT must name the same expressions."),
    "42712": ("INVALID_SQL", "Two tables have the same alias."),
    "42601": ("INVALID_SQL", "The two sides of a UNION, or a list of columns, do not have the same number of columns."),
    "42P20": ("INVALID_SQL", "A window function stands where none may: put it into a subquery and filter outside."),
    "42P19": ("INVALID_SQL", "WITH RECURSIVE takes a first part, UNION or UNION ALL, and a part that names itself once."),
    "0A000": ("INVALID_SQL", "PostgreSQL does not do that in this place."),
}  # fmt: skip


_CHANGED = (
    "UNKNOWN_TABLE",
    "A table of the query was changed just now. get_schema lists what there is; ask again.",
)
"""A table of the org's own was taken away, or confined anew, between the judgement and the run."""


def refusal(problem: psycopg.Error, judged: Judged) -> Refusal | None:
    """Return what may be said of a statement that Postgres refused; None where it says nothing of the statement."""
    state = problem.sqlstate or ""
    if state in ("42703", "42P01"):
        return _unknown(problem, judged)
    if state == "42501":
        return Refusal(*_CHANGED)
    if state in _SAID:
        error, hint = _SAID[state]
        return Refusal(error, hint, **_where(problem, judged))
    if state.startswith(("22", "42", "54", "21", "0A")):
        return Refusal("INVALID_SQL", "PostgreSQL refuses the query as it stands.", **_where(problem, judged))
    return None


def _unknown(problem: psycopg.Error, judged: Judged) -> Refusal:
    """Name the columns nearest to one that is not there; only what the query itself wrote is repeated."""
    said = problem.diag.message_primary or ""
    if problem.sqlstate == "42P01" and any(f'"{one.schema}.{one.view}"' in said for one in judged.relations):
        return Refusal(*_CHANGED)
    found = _IDENTIFIER.search(said)
    name = (found[1] or found[2]) if found else ""
    bare = name.rsplit(".", 1)[-1]
    if bare.lower() == "org_id":
        return Refusal("UNKNOWN_COLUMN", "Leave org_id out: every row that a query sees is of your org.", column=name)
    if not bare or bare.lower() not in judged.sql.lower():
        return Refusal(
            "UNKNOWN_COLUMN", "A column or alias that the query names does not exist.", **_where(problem, judged)
        )
    tables = {relation.label: list(relation.columns) for relation in judged.relations}
    hint = f"There is no column or alias {name!r} there. get_schema describes the columns of each table."
    return Refusal(
        "UNKNOWN_COLUMN", hint, column=name, suggestions=_near(bare, judged.relations), columns=_few(tables)
    )


def _near(name: str, relations: Iterable[Relation]) -> list[str]:
    columns = {column: relation.label for relation in relations for column in relation.columns}
    near = difflib.get_close_matches(name.lower(), sorted(columns), 4, 0.5)
    near += [column for column in sorted(columns) if name.lower() in column and column not in near][:3]
    return [f"{columns[column]}.{column}" for column in near]


def _few(tables: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the columns of the tables where they are few enough to be read."""
    return tables if sum(map(len, tables.values())) <= 60 else {}


def _where(problem: psycopg.Error, judged: Judged) -> dict[str, object]:
    """Return the part of the query that Postgres points to."""
    try:
        at = int(problem.diag.statement_position or "") - 1
    except ValueError:
        return {}
    near = judged.sql[max(0, at) : at + 60]
    for schema in {relation.schema for relation in judged.relations}:
        near = near.replace(f"{schema}.", "")  # how the statement was written, not how it ran
    return {"near": near} if 0 <= at < len(judged.sql) else {}
