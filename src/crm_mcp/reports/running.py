"""A report run for a principal: every row as the statement gave it, and rows and totals in their wire form."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from .. import ids
from ..context import Read
from ..errors import Refusal
from ..jsonvalue import is_object
from ..money import money, summed
from . import comparing, definition, fiscal, paging, period
from .comparing import Pair, Pairing, Row, Span
from .paging import Page, Whole
from .report import Asked, Column, Report

IDS_OF_A_ROW = 250
"""Ids that are shown where a single row is asked for."""
MOST_COMPARED = 10_000
"""Rows of a period that are compared with another's."""
_STARTS = "select s.fiscal_year_start from crm.org_settings s where s.org_id = %(org)s"


@dataclass(frozen=True, slots=True)
class Beside:
    """Another period's rows beside a report's: which days, and what is beside what."""

    span: Span
    pairing: Pairing
    pairs: Sequence[Pair]


@dataclass(frozen=True, slots=True)
class Ran:
    """A report's rows: exact, in the statement's order; `currency` is the org's base currency.

    `sql` is the statement as it ran. `beside` is there where it was compared, `whole` where `rows` are a page of all.
    """

    report: Report
    asked: Asked
    rows: Sequence[Row]
    currency: str
    as_of: datetime
    sql: str = ""
    beside: Beside | None = None
    notes: Sequence[str] = field(default=())
    whole: Whole | None = None

    @property
    def count(self) -> int:
        """How many rows there are, whether or not all are here."""
        return len(self.rows) if self.whole is None else self.whole.rows

    @property
    def columns(self) -> list[dict[str, str]]:
        """What the columns are: name, type, meaning, and a unit where there is one."""
        return [_described(column) for column in self.report.columns]

    @property
    def span(self) -> str:
        """The period in words, empty where the report has none."""
        since, until = self.asked.shown.get("from"), self.asked.shown.get("to")
        named = f"{said}, " if (said := self.asked.shown.get("fiscal")) else ""
        return f"{named}{since or 'the first'} to {until or 'the last'}" if since or until else ""

    def shown(self, row: Row, most_ids: int) -> dict[str, Any]:
        """Return a row in its wire form, with so many of the ids behind it."""
        own = row.get("currency", self.currency)
        shown = {c.name: _shown(c, row[c.name], own, self.currency) for c in self.report.columns}
        if self.report.ids is not None:
            numbers: list[int] = row["ids"] or []
            shown["ids"] = [ids.show(self.report.ids, number) for number in numbers[:most_ids]]
            shown["idCount"] = row["id_count"]
        return shown

    def all_shown(self, most_ids: int) -> list[dict[str, Any]]:
        """Return the rows in their wire form; where it was compared, each with what was before and how it differs."""
        if self.beside is None:
            return [self.shown(row, most_ids) for row in self.rows]
        return [self._compared(pair, most_ids) for pair in self.beside.pairs]

    def _compared(self, pair: Pair, most_ids: int) -> dict[str, Any]:
        assert self.beside is not None
        now, before = pair
        if now is None:
            assert before is not None
            now = comparing.nothing_of(self.report, self.beside.pairing.now_of(before), before)
        other = before if before is not None else comparing.nothing_of(self.report, {}, now)
        shown, was = self.shown(now, most_ids), self.shown(other, 0)
        measured = comparing.measures(self.report)
        only = {"only": "now"} if before is None else {"only": "before"} if pair.now is None else {}
        keys = [key.column for key in self.report.key if key.in_time and before is not None]
        figures = {name: was[name] for name in (*keys, *(column.name for column in measured))}
        return {**shown, **only, "before": figures, **comparing.changes(measured, shown, was)}

    def totals(self) -> dict[str, Any]:
        """Add up before rounding, so that a total is exact and not the sum of rounded rows; amounts by currency."""
        return self._totals(self.whole or paging.of_rows(self.rows, self.report.columns))

    def compared(self) -> dict[str, Any] | None:
        """Return the other period: its days, its totals, and how those of this one differ from them."""
        if self.beside is None:
            return None
        others = [pair.before for pair in self.beside.pairs if pair.before is not None]
        before = self._totals(paging.of_rows(others, self.report.columns))
        added = [column for column in self.report.columns if column.total]
        since, until = self.beside.span
        return {
            "from": since,
            "to": until,
            "totals": before,
            **comparing.changes(added, self.totals(), before),
        }

    def _totals(self, whole: Whole) -> dict[str, Any]:
        return {c.name: self._total(c, whole.sums[c.name]) for c in self.report.columns if c.total}

    def _total(self, column: Column, sums: Mapping[str | None, Decimal]) -> Any:
        if column.type == "amount":
            by = sorted((currency, added) for currency, added in sums.items() if currency is not None)
            return {currency: money(summed(added), currency).amount for currency, added in by}
        added = sums[None]
        return money(summed(added), self.currency).amount if column.type == "money" else int(added)


async def run(ctx: Read, name: str, parameters: Mapping[str, Any], page: Page | None = None) -> Ran:
    """Run a report of a name that the principal may run; of a page, where it can be, only those rows are read.

    The rows of an own report, of a comparison, of one row's ids, and those grouped otherwise than usual are all read.

    Raises:
        Refusal: REPORT_NOT_FOUND, INVALID_ARGUMENT.
    """
    report = await _found(ctx, name)
    now, zone = datetime.now(UTC), ctx.principal.timezone
    today = now.astimezone(ZoneInfo(zone)).date()
    starts = await _fiscal_start(ctx, parameters)
    asked = report.values(parameters, today, starts or 1)
    asking = _Asking(ctx, report, asked, now, today, starts or 1)
    way = parameters.get("compare")
    some_ids = _ids_wanted(report.grouped(asked.group), parameters)
    if way is None:
        ran = await asking.alone(some_ids, page)
    else:
        ran = await asking.beside(comparing.span_before(report, asked, way))
        ran = _saying(ran, compare=way)
    return ran if starts is None else _fiscally(ran, starts)


async def _found(ctx: Read, name: str) -> Report:
    """Return the report of a name: one that comes with the program, else one of the org's own."""
    role = ctx.principal.role
    report = definition.named(name, role)
    if report is not None:
        return report
    own = await every_own(ctx)
    if name in own:
        return own[name]
    names = [*(known for known, r in definition.every().items() if role in r.roles), *own]
    raise Refusal(
        "REPORT_NOT_FOUND",
        "list_reports names the reports you may run.",
        searchedId=name,
        suggestions=difflib.get_close_matches(name, names, 3, 0.3),
    )


async def every_own(ctx: Read) -> Mapping[str, Report]:
    """Return the own reports of the principal's org; what judges them is imported only where free-form SQL can run."""
    if ctx.query is None:
        return {}
    from . import own

    return await own.every(ctx)


async def _fiscal_start(ctx: Read, parameters: Mapping[str, Any]) -> int | None:
    """Return the month in which the org's fiscal year begins, where anything is asked for by it."""
    said = [parameters.get("period"), parameters.get("group_by")]
    if not any(isinstance(one, str) and fiscal.is_meant(one.replace("_", " ")) for one in said):
        return None
    row = await ctx.one(_STARTS)
    return row[0] if row else 1


def _fiscally(ran: Ran, starts: int) -> Ran:
    """Return what ran, saying by which fiscal year."""
    since, until = ran.asked.shown.get("from"), ran.asked.shown.get("to")
    named = fiscal.named((since, until), starts) if isinstance(since, date) and isinstance(until, date) else ""
    return replace(_saying(ran, **({"fiscal": named} if named else {})), notes=(*ran.notes, fiscal.rule(starts)))


def _saying(ran: Ran, **more: object) -> Ran:
    """Return what ran, with more of what was asked for."""
    return replace(ran, asked=replace(ran.asked, shown={**ran.asked.shown, **more}))


def _ids_wanted(report: Report, parameters: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return which ids of a row are asked for, from one number to another; None for the first few of each.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    row, passed = parameters.get("row"), parameters.get("ids")
    if row is None and passed is None:
        return None
    if not is_object(row) or not row or not set(row) <= {column.name for column in report.columns}:
        named = " and ".join(key.column for key in report.key)
        hint = f"row names one row by its {named}, as the result shows it; ids with it, how many to pass over."
        raise Refusal("INVALID_ARGUMENT", hint, argument="parameters.row")
    if parameters.get("compare") is not None:
        raise Refusal("INVALID_ARGUMENT", "Ask for one row's ids without compare.", argument="parameters.row")
    if passed is not None and (not isinstance(passed, int) or isinstance(passed, bool) or not 0 <= passed < 10**9):
        raise Refusal("INVALID_ARGUMENT", "ids: how many of the row's ids to pass over.", argument="parameters.ids")
    first = (passed or 0) + 1
    return first, first + IDS_OF_A_ROW - 1


@dataclass(frozen=True, slots=True)
class _Asking:
    """Asks the database for the rows of one report."""

    ctx: Read
    report: Report
    asked: Asked
    now: datetime
    today: date
    starts: int

    async def alone(self, some_ids: tuple[int, int] | None, page: Page | None) -> Ran:
        sql = self.report.statement(self.asked.group, self.asked.filters, some_ids)
        if page is not None and some_ids is None and not self.report.own and self._is_in_order():
            report = self.report.grouped(self.asked.group)
            row = await self.ctx.long(paging.statement(sql, report.columns, page), **self._bound())
            rows, whole = paging.read(row or (), report.columns)
            return replace(self._ran(rows, _Got([rows], sql)), whole=whole)
        got = await self._rows([(sql, {})])
        return self._ran(self._ordered(got.rows[0]), got)

    async def beside(self, span: Span) -> Ran:
        """Return the rows of both periods, as of one moment; those that are first in either where only some are wanted."""
        sql = self.report.statement(self.asked.group, self.asked.filters)
        most: dict[str, object] = {p.name: MOST_COMPARED for p in self.report.params if p.most is not None}
        got = await self._rows([(sql, most), (sql, {**most, "from": span[0], "to": span[1]})])
        rows, others = got.rows
        ran = self._ran(self._ordered(rows), got)
        shown = self.asked.shown
        pairing = Pairing(ran.report, (shown["from"], shown["to"]), span, self.starts)  # type: ignore[arg-type]
        pairs = pairing.pairs(ran.rows, others)
        if most:
            limit = min(int(str(shown[name])) for name in most)
            firsts = {id(row) for row in (*ran.rows[:limit], *others[:limit])}
            pairs = [pair for pair in pairs if {id(pair.now), id(pair.before)} & firsts]
        kept = [pair.now for pair in pairs if pair.now is not None]
        is_cut = most and max(len(rows), len(others)) >= MOST_COMPARED
        notes = (f"Only the first {MOST_COMPARED} rows of each period were compared.",) if is_cut else ()
        return replace(ran, rows=kept, beside=Beside(span, pairing, pairs), notes=(*ran.notes, *notes))

    async def _rows(self, asked: Sequence[tuple[str, Mapping[str, object]]]) -> "_Got":
        """Ask for the rows of statements, each with what it binds otherwise."""
        bound = self._bound()
        asked = [(sql, self._days(more)) for sql, more in asked]
        if not self.report.own:
            return await self._at_once(asked, bound)
        from .own import MOST_ROWS, rows_of

        found: list[tuple[list[Row], bool, str]] = [
            await rows_of(self.ctx, sql, {**bound, **more}) for sql, more in asked
        ]
        is_cut = any(one[1] for one in found)
        notes = (f"There are more rows: only the first {MOST_ROWS} were read, and added up.",) if is_cut else ()
        return _Got([one[0] for one in found], found[0][2], notes)

    def _bound(self) -> Mapping[str, object]:
        who = self.ctx.principal
        given = {"zone": who.timezone, "currency": who.currency, "now": self.now, "today": self.today}
        return {**given, "fiscal": fiscal.offset(self.starts), **self._days(self.asked.bound)}

    def _days(self, bound: Mapping[str, object]) -> Mapping[str, object]:
        """Return what is bound with the instants at which its days begin and end."""
        if "from" not in bound:
            return bound
        zone = ZoneInfo(self.ctx.principal.timezone)
        return {**bound, "since": period.begins(bound["from"], zone), "until": period.ends(bound["to"], zone)}

    async def _at_once(
        self, asked: Sequence[tuple[str, Mapping[str, object]]], bound: Mapping[str, object]
    ) -> "_Got":
        """Ask in one round trip, all as of one moment; what one statement binds otherwise goes by a name of its own."""
        parts: list[str] = []
        every = dict(bound)
        for number, (sql, more) in enumerate(asked):
            for name, value in more.items():
                every[f"{name}_{number}"] = value
                sql = sql.replace(f"%({name})s", f"%({name}_{number})s")
            parts.append(f"(select coalesce(jsonb_agg(to_jsonb(r)), '[]')::text from ({sql}) r)")
        row = await self.ctx.long(f"select {', '.join(parts)}", **every)
        return _Got([json.loads(text, parse_float=Decimal) for text in row or ()], asked[0][0])

    def _is_in_order(self) -> bool:
        """Say whether the statement's own order is the report's."""
        return self.asked.group is None or self.asked.group == self.report.usual

    def _ordered(self, rows: list[Row]) -> list[Row]:
        """Return rows that are grouped otherwise than usual in an order of their own: by time, or the largest first."""
        group = self.asked.group
        if group is None or self._is_in_order():
            return rows
        if group.is_time:
            return sorted(rows, key=lambda row: row[group.name] or "")
        if self.report.usual is not None and self.report.usual.is_time:
            added = [column for column in self.report.columns if column.total]
            of = next((column.name for column in added if column.type != "integer"), added[0].name)
            return sorted(rows, key=lambda row: -Decimal(row[of] or 0))
        return rows

    def _ran(self, rows: Sequence[Row], got: "_Got") -> Ran:
        report = self.report.grouped(self.asked.group)
        notes = (*report.notes, *got.notes)
        return Ran(report, self.asked, rows, self.ctx.principal.currency, self.now, got.sql.strip(), notes=notes)


@dataclass(frozen=True, slots=True)
class _Got:
    """The rows of each statement, the first one's SQL as it ran, and what is to be said of the rows."""

    rows: Sequence[list[Row]]
    sql: str
    notes: Sequence[str] = ()


def _described(column: Column) -> dict[str, str]:
    unit = {"unit": column.unit} if column.unit else {}
    return {"name": column.name, "type": column.type, **unit, "meaning": column.meaning}


def _shown(column: Column, value: Any, currency: str, base: str) -> Any:
    """Return a value in its wire form; an `amount` is in the row's currency, `money` in the base's."""
    match column.type:
        case "money" if value is not None:
            return money(summed(Decimal(value)), base).amount
        case "amount" if value is not None:
            return money(summed(Decimal(value)), currency).amount
        case "percent" if value is not None:
            return f"{Decimal(value):.1f}"
        case _:
            return value
