"""What Postgres says of a statement that was judged, in words that help to mend it; its own text never leaves."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

import psycopg

from ..errors import Refusal
from .cursor import place_in
from .functions import FUNCTIONS, OPERATORS
from .grammar import Judged
from .relations import Relation
from .said import SAID, SHAPES, TYPES, closer

_QUOTED = re.compile(r'"([^"]{1,63})"')
_PLAIN = re.compile(r"column ((?:\w+\.)?\w{1,63})")
_OPERATOR = re.compile(r"operator does not exist: (?:([\w\[\] ]+) )?([^\w\s]+) ([\w\[\] ]+)")
_FUNCTION = re.compile(r"function (?:pg_catalog\.)?(\w+)\(([\w\[\], ]*)\)")
_AN_ID = re.compile(r"[a-z]{2,12}_\d+")
_WORDS = {"~~": "LIKE", "!~~": "NOT LIKE", "~~*": "ILIKE", "!~~*": "NOT ILIKE"}
_NEAR = 60
_FEW = 60


_CHANGED = (
    "UNKNOWN_TABLE",
    "A table of the query was changed just now. get_schema lists what there is; ask again.",
)
"""A table of the org's own was taken away, or confined anew, between the judgement and the run."""


def refusal(problem: psycopg.Error, judged: Judged, given: Sequence[object] = ()) -> Refusal | None:
    """Return what may be said of a statement that Postgres refused; None where it says nothing of the statement.

    `given` are the values of its parameters.
    """
    state, message = problem.sqlstate or "", problem.diag.message_primary or ""
    where = _where(problem, judged)
    if state == "42703":
        return _unknown_column(message, judged, where)
    if state == "42501" or (
        state == "42P01" and any(f'"{one.schema}.{one.view}"' in message for one in judged.relations)
    ):
        return Refusal(*_CHANGED)
    if state == "42P01":
        return _unknown_range(message, judged, where)
    if state not in SAID:
        if state.startswith(("22", "42", "54", "21", "0A")):
            hint = "PostgreSQL refuses the query as it stands. Try its parts one by one, or write it more simply."
            return Refusal("INVALID_SQL", hint, **where)
        return None
    error, hint = SAID[state]
    hint = closer(state, message) or hint
    match state:
        case "42702" | "42803":
            where |= _column_meant(message, judged)
        case "42883":
            hint = _types(message, judged) or hint
        case "22P02":
            hint = _unreadable(hint, judged, given)
        case _:
            pass
    return Refusal(error, hint, **where)


def _unknown_column(message: str, judged: Judged, where: Mapping[str, object]) -> Refusal:
    """Name the columns nearest to one that is not there; only what the query itself wrote is repeated."""
    name = _written(message, judged)
    table, _, bare = name.rpartition(".")
    if bare.lower() == "org_id":
        return Refusal("UNKNOWN_COLUMN", "Leave org_id out: every row that a query sees is of your org.", column=name)
    if not bare:
        return Refusal("UNKNOWN_COLUMN", "A column or alias that the query names does not exist.", **where)
    relations = [judged.ranges[table]] if table in judged.ranges else judged.relations
    columns = {column for relation in relations for column in relation.columns}
    if bare in judged.named and not table:
        hint = f"{bare!r} is an alias of SELECT: WHERE, HAVING, ON, OVER and other columns do not see it. Repeat the expression, or select from a subquery."
    elif bare != bare.lower() and bare.lower() in columns:
        hint = f"In double quotes letters stay as they are: write {bare.lower()}."
    elif f'"{bare}"' in judged.sql and not table:
        hint = (
            f"Double quotes are for names, and there is no column {bare!r}. A text stands in single quotes: '{bare}'."
        )
    else:
        hint = f"There is no column or alias {name!r} there. get_schema describes the columns of each table."
    near = [] if bare in judged.named else _near(bare, relations, judged)
    return Refusal("UNKNOWN_COLUMN", hint, column=name, suggestions=near, columns=_few(relations))


def _unknown_range(message: str, judged: Judged, where: Mapping[str, object]) -> Refusal:
    """Name the tables that a statement reads, where it takes a column from one that is not there."""
    name = _written(message, judged)
    seen = [alias if alias == one.name else f"{alias} ({one.label})" for alias, one in judged.ranges.items()]
    if not name:
        return Refusal(
            "UNKNOWN_COLUMN", "A table's alias that the query names is not in its FROM.", tables=seen, **where
        )
    called = [alias for alias, one in judged.ranges.items() if name in (one.name, one.view) and alias != name]
    if name in judged.ranges:
        hint = f"{name!r} is not seen there: ON sees what stands before it, a subquery in FROM only after LATERAL."
    elif any(name in one.columns for one in judged.relations):
        hint = f"{name!r} is a column, not a table. Of JSON take a value with {name} ->> 'key'."
    elif called:
        hint = f"{name!r} goes by its alias there: write {called[0]}."
    else:
        hint = f"No table goes by {name!r} there. Join it, or write the alias of one that is."
    return Refusal("UNKNOWN_COLUMN", hint, column=name, tables=seen, **where)


def _written(message: str, judged: Judged) -> str:
    """Return the name that Postgres speaks of where the query wrote it, else nothing."""
    found = _QUOTED.search(message) or _PLAIN.search(message)
    name = found[1] if found else ""
    for relation in judged.relations:
        name = name.removeprefix(f"{relation.schema}.")
    bare = name.rsplit(".", 1)[-1]
    return name if bare and bare.lower() in judged.sql.lower() else ""


def _near(name: str, relations: Iterable[Relation], judged: Judged) -> list[str]:
    columns: dict[str, list[str]] = {}
    for relation in relations:
        for column in relation.columns:
            columns.setdefault(column, []).append(f"{relation.label}.{column}")
    own = [f"{one.label}.id" for one in relations if "id" in one.columns and name.lower() in _ids_of(one.name)]
    near = difflib.get_close_matches(name.lower(), sorted(columns), 4, 0.5)
    near += [column for column in sorted(columns) if len(name) > 2 and name.lower() in column and column not in near][
        :3
    ]
    selected = difflib.get_close_matches(name, sorted(judged.named - {name}), 1, 0.6)
    return own + [full for column in near for full in columns[column] if full not in own][:6] + selected


def _ids_of(table: str) -> tuple[str, ...]:
    singular = f"{table[:-3]}y" if table.endswith("ies") else table.removesuffix("s")
    return f"{singular}_id", f"{table}_id"


def _few(relations: Iterable[Relation]) -> dict[str, list[str]]:
    """Return the columns of the tables where they are few enough to be read."""
    tables = {relation.label: list(relation.columns) for relation in relations}
    return tables if sum(map(len, tables.values())) <= _FEW else {}


def _column_meant(message: str, judged: Judged) -> dict[str, object]:
    """Name a column that is in several tables, or in no GROUP BY."""
    name = _written(message, judged)
    bare = name.rsplit(".", 1)[-1]
    tables = [alias for alias, one in judged.ranges.items() if bare in one.columns]
    if not tables:
        return {}
    meant: dict[str, object] = {"column": name}
    if len(tables) > 1:
        meant["suggestions"] = [f"{alias}.{bare}" for alias in tables]
    return meant


def _types(message: str, judged: Judged) -> str | None:
    """Say which types a function or an operator does not take, and how it is written."""
    about = " A parameter is of its JSON value's type: $1::text makes it a text." if judged.parameters else ""
    if found := _OPERATOR.match(message):
        left, operator, right = found.groups()
        if operator in OPERATORS and {left or "text", right} <= TYPES:
            if "timestamp" in (left or "") and right == "integer":
                return f"To a time add or subtract an interval: a {operator} interval '1 day'."
            said = _WORDS.get(operator, operator)
            sides = " ".join(filter(None, (left, said, right))).replace("unknown", "a text in quotes")
            return f"There is no {sides}. Cast one side, for example ::numeric, ::date or ::text.{about}"
    if (found := _FUNCTION.match(message)) and (name := found[1]) in FUNCTIONS:
        types = [one.strip() for one in found[2].split(",") if one.strip()]
        shape = (
            f" Write {SHAPES[name]}." if name in SHAPES else " Cast the values, or look at their number and order."
        )
        if set(types) <= TYPES:
            said = ", ".join(types).replace("unknown", "a text in quotes") or "nothing"
            return f"{name}() does not take {said}.{shape}{about}"
    return None


def _unreadable(hint: str, judged: Judged, given: Sequence[object]) -> str:
    texts = [one for one in given if isinstance(one, str)]
    if any(_AN_ID.fullmatch(one) for one in texts) or re.search(rf"'{_AN_ID.pattern}'", judged.sql):
        return f"{hint} Ids are plain numbers here: 12, not cust_12."
    return f"{hint} The value of a parameter may be meant." if texts else hint


def _where(problem: psycopg.Error, judged: Judged) -> dict[str, object]:
    """Return the part of the query that Postgres points to, as it was written."""
    at = place_in(judged.sql, problem.diag.statement_position)
    if at is None:
        return {}
    near = judged.sql[at:]
    for schema in {"pg_catalog", *(relation.schema for relation in judged.relations)}:
        near = near.replace(f"{schema}.", "")
    return {"near": near[:_NEAR]}
