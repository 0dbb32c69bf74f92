"""What open deals may bring: weighted, best, committed and worst, by month and currency."""

import calendar
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm import funnel
from crm_mcp.errors import Refusal
from crm_mcp.money import money
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Args, Display, Effect, Text, View, tool

ENOUGH = 10
"""Closed deals that reached a stage, from which its own win rate counts."""
COMMITTED = Decimal("0.8")
MONTHS = 24
"""The longest period, in months."""
METHOD = (
    f"Open deals by month of expected close × probability: as stated on the deal, else (won+1)/(n+2) of closed deals that "
    f"reached its stage (n ≥{ENOUGH}), else the stage's configured one. worst = won already; committed adds open ones from "
    "80 %; weighted adds all by probability; best adds all. docs/methods.md."
)
SQL = f"""with meant as (select * from crm.pipelines l where l.org_id = %(org)s),
 {funnel.WAYS}, {funnel.VISITS},
 reached as (select distinct v.stage_id, d.id, d.status from visits v join crm.deals d on v.subject_type = 'deals' and d.org_id = %(org)s
   and d.id = v.subject_id where d.status <> 'open' and d.archived_at is null),
 rates as (select stage_id, count(*)::int as n, (count(*) filter (where status = 'won'))::int as won from reached group by stage_id),
 open as (select d.id, d.currency, d.amount, {funnel.DEAL_BASE} as base, d.probability as stated, r.n, r.won, s.probability as configured,
   case when d.expected_close_on is null then 'undated' when d.expected_close_on < %(today)s::date then 'overdue'
     else to_char(d.expected_close_on, 'YYYY-MM') end as bucket
   from crm.deals d left join lateral (select p.stage_id from ways p join meant l on l.id = p.pipeline_id
     where p.subject_type = 'deals' and p.subject_id = d.id and p.closed_at is null
     order by l.kind = 'sales' desc, p.entered_at desc, p.id desc limit 1) p on true
   left join crm.pipeline_stages s on s.org_id = d.org_id and s.id = p.stage_id left join rates r on r.stage_id = p.stage_id
   where d.org_id = %(org)s and d.status = 'open' and d.archived_at is null
     and (d.expected_close_on is null or d.expected_close_on < %(today)s::date or d.expected_close_on between %(from)s and %(to)s)),
 sums as (select bucket, currency, stated, n, won, configured, count(*)::int as deals, sum(amount)::text as amount, sum(base)::text as base,
   (count(*) filter (where amount is not null and base is null))::int as unconverted, (count(*) filter (where amount is null))::int as unvalued
   from open group by bucket, currency, stated, n, won, configured),
 closed as (select to_char(coalesce(d.signed_on, (d.closed_at at time zone %(zone)s)::date), 'YYYY-MM') as bucket, d.currency,
   count(*)::int as deals, sum(d.amount)::text as amount, sum({funnel.DEAL_BASE})::text as base,
   (count(*) filter (where d.amount is not null and {funnel.DEAL_BASE} is null))::int as unconverted
   from crm.deals d where d.org_id = %(org)s and d.status = 'won' and d.archived_at is null
     and coalesce(d.signed_on, (d.closed_at at time zone %(zone)s)::date) between %(from)s and %(to)s group by 1, 2)
 select (select coalesce(jsonb_agg(to_jsonb(s) order by s.bucket, s.currency, s.stated, s.n, s.won, s.configured), '[]') from sums s),
  (select coalesce(jsonb_agg(to_jsonb(c) order by c.bucket, c.currency), '[]') from closed c)"""
_PERIOD = re.compile(r"(\d{4})(?:-(?:(0[1-9]|1[0-2])|[Qq]([1-4])))?", re.ASCII)
_AHEAD = re.compile(r"next (\d{1,2}) months?", re.ASCII)


class ForecastDeals(Args):
    period: Text = Field(
        "this quarter",
        max_length=20,
        description="YYYY, YYYY-MM, YYYY-Qn, this or next quarter, next 6 months.",
    )


class ForecastView(View):
    noun: ClassVar[str] = "forecast"
    nouns: ClassVar[str] = "forecasts"

    period: dict[str, str]
    months: list[dict[str, Any]]
    overdue: list[dict[str, Any]]
    undated: list[dict[str, Any]]
    base: dict[str, Any]


@tool(
    title="Forecast deals",
    toolset="pipelines",
    roles={Role.ADMIN, Role.SALES, Role.OPERATIONS},
    effect=Effect.READ,
    agents={Agent.ANALYTICS},
)
async def forecast_deals(ctx: Read, args: ForecastDeals) -> Answer[ForecastView]:
    """Forecast open deals by month and currency: weighted, best, worst, committed. Use when asked what will come in; for
    what came in use run_report."""
    today = ctx.principal.day(datetime.now(UTC))
    first, last = days(args.period, today)
    named = {"from": first, "to": last, "today": today}
    row = await ctx.one(SQL, **named, zone=ctx.principal.timezone, currency=ctx.principal.currency)
    assert row is not None
    open_deals, won = row
    buckets: defaultdict[str, defaultdict[str, _Sums]] = defaultdict(lambda: defaultdict(_Sums))
    whole, sources = _Sums(), defaultdict[str, int](int)
    for one in won:
        for sums, amount in _each(buckets, whole, one):
            sums.add_won(one, amount)
    for one in open_deals:
        odds, source = probability(one)
        sources[source] += one["deals"]
        # an open deal whose day has passed, or that has none, is told apart: nothing says that it closes in the period
        for sums, amount in _each(buckets, whole if one["bucket"][0].isdigit() else None, one):
            sums.add_open(one, amount, odds)
    months = [name for name in sorted(buckets) if name[0].isdigit()]
    view = {
        "period": {"from": first.isoformat(), "to": last.isoformat()},
        "months": [{"month": month, "currencies": _told(buckets[month])} for month in months],
        "overdue": _told(buckets["overdue"]),
        "undated": _told(buckets["undated"]),
        "base": whole.told(ctx.principal.currency),
    }
    meta = {"n": sum(sources.values()), "probabilityFrom": dict(sorted(sources.items())), "method": METHOD}
    return Answer(view, Display(title=f"Forecast {args.period}", subtitle=f"{meta['n']} open deals"), meta)


class _Sums:
    """Sums of one currency, exact until they are told."""

    def __init__(self) -> None:
        self.worst = self.committed = self.weighted = self.best = Decimal(0)
        self.open = self.won = self.unweighted = self.unvalued = self.unconverted = 0

    def add_won(self, one: dict[str, Any], amount: Decimal) -> None:
        self.won += one["deals"]
        self.unconverted += one["unconverted"]
        for name in ("worst", "committed", "weighted", "best"):
            setattr(self, name, getattr(self, name) + amount)

    def add_open(self, one: dict[str, Any], amount: Decimal, odds: Decimal | None) -> None:
        self.open += one["deals"]
        self.unvalued += one["unvalued"]
        self.unconverted += one["unconverted"]
        self.unweighted += one["deals"] if odds is None else 0
        self.best += amount
        self.weighted += amount * (odds or 0)
        self.committed += amount if odds is not None and odds >= COMMITTED else 0

    def told(self, currency: str) -> dict[str, Any]:
        sums = {
            name: money(getattr(self, name), currency).model_dump()
            for name in ("worst", "committed", "weighted", "best")
        }
        counts = {"open": self.open, "won": self.won}
        gaps = {
            "withoutProbability": self.unweighted,
            "withoutValue": self.unvalued,
            "withoutRate": self.unconverted,
        }
        return {**sums, **counts, **{name: count for name, count in gaps.items() if count}}


def _each(
    buckets: defaultdict[str, defaultdict[str, _Sums]], whole: _Sums | None, one: dict[str, Any]
) -> Iterable[tuple[_Sums, Decimal]]:
    yield buckets[one["bucket"]][one["currency"] or ""], Decimal(one["amount"] or 0)
    if whole is not None:
        yield whole, Decimal(one["base"] or 0)


def _told(currencies: dict[str, _Sums]) -> list[dict[str, Any]]:
    return [
        {"currency": unit, **_without_rates(sums.told(unit))}
        if unit
        else {"open": sums.open, "won": sums.won, "withoutValue": sums.unvalued}
        for unit, sums in sorted(currencies.items())
    ]


def _without_rates(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name != "withoutRate"}


def probability(one: dict[str, Any]) -> tuple[Decimal | None, str]:
    """Return the probability of a deal, 0 to 1, and where it is from: stated, history, configured, none."""
    if one["stated"] is not None:
        return Decimal(str(one["stated"])) / 100, "stated"
    if one["n"] is not None and one["n"] >= ENOUGH:
        return Decimal(one["won"] + 1) / Decimal(one["n"] + 2), "history"
    if one["configured"] is not None:
        return Decimal(str(one["configured"])) / 100, "configured"
    return None, "none"


def days(period: str, today: date) -> tuple[date, date]:
    """Return the first and last day of whole months, in the org's zone.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    text = period.strip().lower().replace("_", " ")
    quarter = today.year * 12 + (today.month - 1) // 3 * 3
    if text in ("this quarter", "next quarter"):
        start, length = quarter + (3 if text == "next quarter" else 0), 3
    elif (ahead := _AHEAD.fullmatch(text)) and 1 <= int(ahead[1]) <= MONTHS:
        start, length = today.year * 12 + today.month - 1, int(ahead[1])
    elif (named := _PERIOD.fullmatch(text)) and 1 <= int(named[1]) <= 9998:
        month = int(named[2] or 0) - 1 if named[2] else (int(named[3]) - 1) * 3 if named[3] else 0
        start, length = int(named[1]) * 12 + month, 1 if named[2] else 3 if named[3] else 12
    else:
        hint = f"period: YYYY, YYYY-MM, YYYY-Qn, this quarter, next quarter or next 1 to {MONTHS} months."
        raise Refusal("INVALID_ARGUMENT", hint, argument="period")
    end = start + length - 1
    return date(start // 12, start % 12 + 1, 1), date(
        end // 12, end % 12 + 1, calendar.monthrange(end // 12, end % 12 + 1)[1]
    )
