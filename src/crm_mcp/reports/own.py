"""Reports that an org added itself, as rows or as files: read by the same header, run under the guards of free-form SQL.

Their statements name tables as `execute_crm_query` does, and reach the database by no other way: judged on the grammar,
over the views of whoever asks, as the login crm_query. Their parameters are bound and never pasted.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg

from ..context import Read
from ..errors import Refusal
from ..log import logger
from ..principal import Principal, Role
from ..query import problems
from ..query.grammar import Judged, judge
from ..query.relations import REGISTERED, Relations, relations_of
from . import definition
from .header import HeaderInvalid, read, read_file
from .report import Column, Report

MOST_ROWS = 1000
"""Rows that an own report may have; the statement is cut there."""
_KEPT = """select coalesce(jsonb_agg(jsonb_build_object('name', r.name, 'definition', r.definition) order by r.name), '[]')
 from crm.reports r where r.org_id = %(org)s and r.archived_at is null"""
_NAMED = re.compile(r"%\((\w+)\)s")
NAME = re.compile(r"[a-z][a-z0-9_]{0,59}", re.ASCII)
_NUMBERS = frozenset({"numeric", "bigint", "integer", "smallint"})
_TYPES: Mapping[str, frozenset[str]] = {
    "text": frozenset({"text"}),
    "integer": frozenset({"bigint", "integer", "smallint"}),
    "date": frozenset({"date"}),
    "money": _NUMBERS,
    "amount": _NUMBERS,
    "percent": _NUMBERS,
}
"""Of a declared type, the types that a statement may give: no money is a float."""


def read_named(text: str, name: str, where: str) -> Report:
    """Read an own report.

    Raises:
        HeaderInvalid: also for the name of a report that comes with the program, or none that can be asked for.
    """
    if NAME.fullmatch(name) is None:
        raise HeaderInvalid(f"{where}: a report is named by small letters, digits and _, up to 60")
    if any(name in (one.name, *one.formerly) for one in definition.every().values()):
        raise HeaderInvalid(f"{where}: there is a report {name} already that comes with crm-mcp; choose another name")
    report = read(text, name, where, own=True)
    if "%(org)s" in report.template:
        raise HeaderInvalid(f"{where}: leave %(org)s out; every row that an own report sees is of its org")
    return report


def of_folder(folder: Path) -> tuple[Report, ...]:
    """Read a folder of own reports; each says by `org` whose it is.

    Raises:
        HeaderInvalid: naming the file and the line.
    """
    found: list[Report] = []
    for file in sorted(folder.glob("*.sql")):
        read_file(file, own=True)
        report = read_named(file.read_text(encoding="utf-8"), file.stem, file.name)
        if not report.orgs:
            raise HeaderInvalid(f"{file.name}, line 1: say whose report it is: -- org: slug")
        found.append(report)
    return tuple(found)


async def every(ctx: Read) -> Mapping[str, Report]:
    """Return the own reports of the principal's org that they may run, by name; a row comes before a file."""
    if ctx.query is None:
        return {}
    row = await ctx.one(_KEPT)
    rows: list[dict[str, str]] = row[0] if row else []
    kept = [found for one in rows if (found := _readable(one["name"], one["definition"]))]
    mine = [report for report in ctx.reports if ctx.principal.org_slug in report.orgs]
    return {report.name: report for report in (*mine, *kept) if ctx.principal.role in report.roles}


def _readable(name: str, text: str) -> Report | None:
    """Return a report that was kept; None, which the log says, where this program reads its header otherwise."""
    try:
        return read_named(text, name, name)
    except HeaderInvalid as bad:
        logger().warning("a kept report cannot be read", report=name, problem=str(bad)[:300])
        return None


def judged(sql: str, relations: Relations) -> tuple[Judged, Sequence[str]]:
    """Return a statement as it may run, and the names of its parameters in their order.

    Raises:
        Refusal: what the statement may not do.
    """
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    verdict = judge(_NAMED.sub(number, sql), relations)
    if verdict.parameters != len(names):
        raise Refusal("INVALID_SQL", "A parameter stands within quotes: write %(name)s without them.")
    return verdict, names


async def rows_of(ctx: Read, sql: str, bound: Mapping[str, object]) -> tuple[list[Mapping[str, Any]], bool, str]:
    """Return the rows of an own report, whether there were more, and the statement as it ran.

    Raises:
        Refusal: what the judge or Postgres says of it, in words of this program.
    """
    assert ctx.query is not None
    row = await ctx.one(REGISTERED, role=ctx.principal.role)
    verdict, names = judged(sql, relations_of(row[0] if row else []))
    try:
        found = await ctx.query(verdict.sql, [bound[name] for name in names], MOST_ROWS)
    except psycopg.Error as problem:
        said = problems.refusal(problem, verdict)
        if said is None:
            raise
        raise said from None
    columns = [name for name, _ in found.columns]
    return [dict(zip(columns, values, strict=True)) for values in found.rows], found.is_cut, verdict.sql


def statements(report: Report) -> Iterable[tuple[Report, str]]:
    """Yield the report as it is, with every filter, and grouped by whatever it can be, each with its statement."""
    yield report, report.sql
    if report.filters:
        yield report, report.statement(None, report.filters)
    for group in report.groups:
        yield report.grouped(group), report.statement(group, report.filters)


def refused_for(report: Report, role: Role, relations: Relations) -> list[str]:
    """Say why a role that the header names could not run the report."""
    said: list[str] = []
    for _, sql in statements(report):
        try:
            judged(sql, relations)
        except Refusal as no:
            said.append(f"{role}: {no.hint}")
    return list(dict.fromkeys(said))


def example(report: Report, name: str, who: Principal) -> object:
    """Return a value of a parameter's type, for a statement that is described and reads nothing."""
    given: dict[str, object] = {"zone": who.timezone, "currency": who.currency, "fiscal": 0}
    given |= {"today": date.min, "from": date.min, "to": date.max}
    given |= dict.fromkeys(("now", "since", "until"), datetime.now(UTC))
    given |= {param.name: param.default for param in report.params}
    sample: dict[str, object] = {"id": 1, "integer": 1, "date": date.min}
    given |= {one.name: sample.get(one.type.split()[0], "") for one in report.filters}
    return given[name]


def unlike(report: Report, columns: Sequence[tuple[str, str]]) -> list[str]:
    """Say what the columns of a statement and those of its header have not in common."""
    given, beside = dict(columns), {"ids", "id_count"} if report.ids else set[str]()
    said = [_unlike(column, given.get(column.name)) for column in report.columns]
    declared = {column.name for column in report.columns}
    said += [f"{name} is not declared: -- column: {name} …" for name in given if name not in declared | beside]
    said += [f"with `ids` the statement gives {name}" for name in sorted(beside - set(given))]
    return [one for one in said if one]


def _unlike(column: Column, kind: str | None) -> str:
    if kind is None:
        return f"the statement gives no {column.name}"
    if kind in _TYPES[column.type]:
        return ""
    hint = " (cast it with ::numeric)" if kind in ("double precision", "real") else ""
    return f"{column.name} is declared as {column.type} and is of type {kind}{hint}"
