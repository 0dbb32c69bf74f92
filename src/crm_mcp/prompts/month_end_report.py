"""A month's figures, checked, with what is still to be done before its books are closed."""

import calendar
import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from ..context import Read
from ..money import money, money_sql
from ..reports import definition
from ..reports.report import Report
from . import completing
from .prompt import Brief, PromptArgs, prompt
from .saying import DRAFTS

REPORT = "month_end"
BESIDE = f"""(select s.books_closed_through from crm.org_settings s where s.org_id = %(org)s),
 (select jsonb_build_object('shippedWithoutInvoice', (select count(*) from crm.orders o where o.org_id = %(org)s and o.archived_at is null
     and o.status in ('shipped', 'completed') and (o.placed_at at time zone %(zone)s)::date <= %(to)s::date
     and not exists (select from crm.invoices i where i.org_id = o.org_id and i.order_id = o.id and i.archived_at is null)),
   'overdueInvoices', (select count(*) from crm.invoices i where i.org_id = %(org)s and i.archived_at is null and i.open_total > 0 and i.due_on < %(today)s::date)))
 || jsonb_build_object('onAccount', (select coalesce(jsonb_agg({money_sql("x.left", "x.currency")} order by x.currency), '[]') from (select p.currency,
     sum(p.amount - p.allocated_total) as left from crm.payments p where p.org_id = %(org)s and p.archived_at is null and p.received_on <= %(to)s::date
     and p.amount > p.allocated_total group by p.currency) x))"""


def _month(text: str) -> str:
    if re.fullmatch("[12][0-9]{3}-(0[1-9]|1[0-2])", text) is None:
        raise ValueError("is no month; give YYYY-MM")
    return text


class MonthEndReport(PromptArgs):
    month: Annotated[str, AfterValidator(_month)] | None = Field(None, description="YYYY-MM; default: last month.")


@prompt(
    title="Report a month end",
    calls={"run_report"},
    also={
        "list_reports",
        "get_invoices",
        "get_payments",
        "get_orders",
        "close_books",
        "create_invoice",
        "record_payment",
    },
    reports={REPORT},
    completes={"month": completing.months},
)
async def month_end_report(ctx: Read, args: MonthEndReport, can: Collection[str]) -> Brief:
    """Report a month: invoiced, credited, received, still open, checked; and what is left to do before the books close."""
    who, now = ctx.principal, datetime.now(UTC)
    today = who.day(now)
    month = args.month or (today.replace(day=1) - timedelta(days=1)).isoformat()[:7]
    report = definition.named(REPORT, who.role)
    assert report is not None  # else the prompt is not theirs
    asked = report.values({"month": month}, today)
    row = await ctx.one(
        f"""select (select coalesce(jsonb_agg(to_jsonb(r)), '[]')::text from ({report.sql}) r), {BESIDE}""",
        zone=who.timezone,
        currency=who.currency,
        now=now,
        today=today,
        **asked.bound,
    )
    assert row is not None
    rows, closed, beside = json.loads(row[0], parse_float=Decimal), row[1], row[2]
    last = _last_day(month)
    facts: dict[str, Any] = {
        "month": month,
        "booksClosedThrough": closed and closed.isoformat(),
        "figures": [_shown(report, one, who.currency) for one in rows],
        "baseCurrency": who.currency,
        "toLookAt": beside,
        "notes": list(report.notes),
    }
    return Brief(
        f"Report {month} to the person you work for: the figures, whether they hold, and what is left to do."
        + (
            ""
            if last < today
            else f" The month is not over: today is {today.isoformat()}, so the figures are those so far."
        ),
        (
            "Read the facts: the report month_end as it stands, a row a currency, and what there is to look at beside it.",
            f'Call run_report (month_end, parameters {{"month": "{month}"}}) only if the facts were left out or something changed since.',
            "Check every row: open_before + invoiced - credited - settled = open_after. unconverted above 0 means documents without an "
            "exchange rate, which are in no base amount: name how many.",
            f'Compare with the month before: run_report (month_end, parameters {{"month": "{_before(month)}"}}). Name changes of more than a '
            "fifth and, where the tools show it, what they come from.",
            "Where shippedWithoutInvoice is above 0 find them"
            + (" with get_orders (status shipped or completed)" if "get_orders" in can else "")
            + " and list them."
            + (" Offer to draft their invoices with create_invoice." if "create_invoice" in can else "")
            if beside["shippedWithoutInvoice"]
            else None,
            "Where onAccount is not empty, money waits to be put against invoices"
            + (": list it with get_payments (on_account true)." if "get_payments" in can else ".")
            + (" Offer to allocate it with record_payment." if "record_payment" in can else "")
            if beside["onAccount"]
            else None,
            "List the largest overdue invoices with get_invoices (status overdue)."
            if beside["overdueInvoices"] and "get_invoices" in can
            else None,
            f"The books are closed through {closed.isoformat()}: nothing of {month} can be posted any more."
            if closed is not None and closed >= last
            else f"Only when the person says that the month is done, draft close_books (through {last.isoformat()})."
            if "close_books" in can and last < today
            else None,
        ),
        f"a page on {month}: a table of the figures by currency and in base currency, as stated; the check of each row; changes against "
        "the month before; what is to be done before the books close, each with its id; what you drafted.",
        facts,
        (DRAFTS,),
    )


def _last_day(month: str) -> date:
    year, number = int(month[:4]), int(month[5:])
    return date(year, number, calendar.monthrange(year, number)[1])


def _before(month: str) -> str:
    at = int(month[:4]) * 12 + int(month[5:]) - 2
    return f"{at // 12:04}-{at % 12 + 1:02}"


def _shown(report: Report, row: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Return a row with its amounts as text: in the row's currency, or in base currency."""
    units = {"amount": row["currency"], "money": base}
    return {
        column.name: money(Decimal(row[column.name]), units[column.type]).amount
        if column.type in units and row[column.name] is not None
        else row[column.name]
        for column in report.columns
    }
