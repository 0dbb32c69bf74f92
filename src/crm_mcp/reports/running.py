"""A report run for a principal: every row as the statement gave it, and rows and totals in their wire form."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from .. import ids
from ..context import Read
from ..errors import Refusal
from ..money import money, summed
from . import definition
from .definition import Asked, Column, Report


@dataclass(frozen=True, slots=True)
class Ran:
    """A report's rows: exact, in the statement's order; `currency` is the org's base currency."""

    report: Report
    asked: Asked
    rows: Sequence[Mapping[str, Any]]
    currency: str
    as_of: datetime

    @property
    def columns(self) -> list[dict[str, str]]:
        """What the columns are: name, type, meaning, and a unit where there is one."""
        return [_described(column) for column in self.report.columns]

    @property
    def span(self) -> str:
        """The period in words, empty where the report has none."""
        since, until = self.asked.shown.get("from"), self.asked.shown.get("to")
        return f"{since or 'the first'} to {until or 'the last'}" if since or until else ""

    def shown(self, row: Mapping[str, Any], most_ids: int) -> dict[str, Any]:
        """Return a row in its wire form, with so many of the ids behind it."""
        own = row.get("currency", self.currency)
        shown = {c.name: _shown(c, row[c.name], own, self.currency) for c in self.report.columns}
        if self.report.ids is not None:
            numbers: list[int] = row["ids"] or []
            shown["ids"] = [ids.show(self.report.ids, number) for number in numbers[:most_ids]]
            shown["idCount"] = row["id_count"]
        return shown

    def totals(self) -> dict[str, Any]:
        """Add up before rounding, so that a total is exact and not the sum of rounded rows; amounts by currency."""
        return {column.name: self._total(column) for column in self.report.columns if column.total}

    def _total(self, column: Column) -> Any:
        if column.type == "amount":
            by = {currency: Decimal(0) for currency in sorted({row["currency"] for row in self.rows})}
            for row in self.rows:
                by[row["currency"]] += Decimal(row[column.name] or 0)
            return {currency: money(summed(added), currency).amount for currency, added in by.items()}
        added = sum((Decimal(row[column.name] or 0) for row in self.rows), Decimal(0))
        return money(summed(added), self.currency).amount if column.type == "money" else int(added)


async def run(ctx: Read, name: str, parameters: Mapping[str, Any]) -> Ran:
    """Run a report of a name that the principal may run.

    Raises:
        Refusal: REPORT_NOT_FOUND, INVALID_ARGUMENT.
    """
    report = definition.named(name, ctx.principal.role)
    if report is None:
        names = [known for known, r in definition.every().items() if ctx.principal.role in r.roles]
        raise Refusal(
            "REPORT_NOT_FOUND",
            "list_reports names the reports you may run.",
            searchedId=name,
            suggestions=difflib.get_close_matches(name, names, 3, 0.3),
        )
    now, zone, currency = datetime.now(UTC), ctx.principal.timezone, ctx.principal.currency
    today = now.astimezone(ZoneInfo(zone)).date()
    asked = report.values(parameters, today)
    row = await ctx.one(
        f"select coalesce(jsonb_agg(to_jsonb(r)), '[]')::text from ({report.sql}) r",
        zone=zone,
        currency=currency,
        now=now,
        today=today,
        **asked.bound,
    )
    rows: list[dict[str, Any]] = json.loads(row[0], parse_float=Decimal) if row else []
    return Ran(report, asked, rows, currency, now)


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
