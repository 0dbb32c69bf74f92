"""A report as rows of a file: the figures that run_report shows, with its totals and its definition beside them."""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ..context import Read
from ..errors import Refusal
from ..kinds.column import Sort
from ..money import rounded, summed
from ..sheets.cells import Heading
from ..sheets.sheet import About
from ..sheets.source import Source
from .report import Column
from .running import Ran, run

BESIDE = ("compare", "row", "ids")
"""What run_report shows beside a report's rows, and a file has no columns for."""
_SORTS: Mapping[str, Sort] = {
    "text": "text", "integer": "number", "money": "base", "amount": "money", "date": "day", "percent": "number",
}  # fmt: skip
_BASE = Heading("base_currency", "word", "Currency of what is in base currency.")


async def source(ctx: Read, name: str, parameters: Mapping[str, Any]) -> Source:
    """Run a report of a name that the principal may run, and return all of its rows.

    Raises:
        Refusal: REPORT_NOT_FOUND, INVALID_ARGUMENT.
    """
    if (name_of := next((one for one in BESIDE if one in parameters), None)) is not None:
        hint = f"{name_of} is for run_report: export each period for itself."
        raise Refusal("INVALID_ARGUMENT", hint, argument=f"parameters.{name_of}")
    ran = await run(ctx, name, parameters)
    columns = ran.report.columns
    headings = [Heading(one.name, _SORTS[one.type], one.meaning) for one in columns]
    base = [ran.currency] if any(one.type == "money" for one in columns) else []
    rows = [[*_row(ran, row), *base] for row in ran.rows]
    shown = ran.asked.shown
    days = [str(shown[side]) for side in ("from", "to") if shown.get(side)] or [str(ctx.principal.day(ran.as_of))]
    return Source(
        "_".join([ran.report.name, *days]),
        ran.report.title,
        {"report": ran.report.name, "parameters": dict(parameters)},
        [*headings, _BASE] if base else headings,
        rows,
        [*_about(ran), *(("Column", f"{one.name}: {one.meaning}") for one in headings)],
        len(rows),
    )


def _row(ran: Ran, row: Mapping[str, Any]) -> list[Any]:
    own = row.get("currency") or ran.currency
    return [_value(one, row[one.name], ran.currency if one.type == "money" else own) for one in ran.report.columns]


def _value(column: Column, value: Any, currency: str) -> Any:
    """Return a value rounded as run_report rounds it."""
    if value is None:
        return None
    match column.type:
        case "money" | "amount":
            return rounded(summed(Decimal(value)), currency)
        case "percent":
            return Decimal(value).quantize(Decimal("0.1"), ROUND_HALF_UP)
        case "date":
            return date.fromisoformat(value)
        case "text":
            return str(value)
        case _:
            return value


def _about(ran: Ran) -> About:
    report = ran.report
    lines = [("Report", report.title), ("What it is", report.description)]
    if report.period is not None:
        lines.append(("Period", f"{ran.span or 'all time'}. {report.period.meaning}"))
    lines += [
        ("Parameter", f"{name} = {value}")
        for name, value in ran.asked.shown.items()
        if name not in ("from", "to") and value is not None
    ]
    lines += [("Base currency", ran.currency), *(("Total", said) for said in _totals(ran))]
    return [*lines, *(("Definition", note) for note in ran.notes)]


def _totals(ran: Ran) -> Iterator[str]:
    types = {one.name: one.type for one in ran.report.columns}
    for name, total in ran.totals().items():
        match types[name]:
            case "amount":
                yield from (f"{name}: {currency} {amount}" for currency, amount in total.items())
            case "money":
                yield f"{name}: {ran.currency} {total}"
            case _:
                yield f"{name}: {total}"
