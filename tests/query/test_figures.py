"""What analytic statements give is right: the same figures are worked out in Python of the rows that the owner reads."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.rows import namedtuple_row
from test_grammar import STATEMENTS

BY_QUESTION = dict(STATEMENTS)
ZONE = ZoneInfo("Europe/Berlin")
CENT = Decimal("0.01")


@pytest.fixture
def rows_of(home):
    """Return what reads rows of the demo org as the owner, times in the org's zone."""
    with psycopg.connect(home.conninfo("crm_owner"), row_factory=namedtuple_row) as conn:
        org, zone = conn.execute("select id, timezone from crm.orgs where slug = 'demo'").fetchone()
        assert zone == ZONE.key
        conn.execute("select set_config('timezone', %s, false)", (zone,))
        yield lambda table: conn.execute(
            f"select * from crm.{table} where org_id = %s order by id", (org,)
        ).fetchall()


@pytest.fixture
def figures(connect):
    async def ask(question: str) -> list[list[object]]:
        asked = {"query": BY_QUESTION[question], "reasoning": question, "limit": 1000}
        async with connect("ada@demo.example", toolsets=frozenset({"query"})) as client:
            app = client.app
            found = None
            run = app.queries.run

            async def kept(*args: object) -> object:
                nonlocal found
                found = await run(*args)
                return found

            app.queries.run = kept
            try:
                told = (await client.call_tool("execute_crm_query", asked)).structured_content
            finally:
                del app.queries.run
        assert "error" not in told, told
        assert found is not None and not found.is_cut
        return [list(row) for row in found.rows]

    return ask


@pytest.fixture
def sold(rows_of):
    return [one for one in rows_of("orders") if one.status != "cancelled"]


def month(day) -> date:
    return day.astimezone(ZONE).date().replace(day=1)


def rounded(value: Decimal, places: Decimal = CENT) -> Decimal:
    return value.quantize(places, ROUND_HALF_UP)


def percentile(values: Iterable[Decimal], at: Decimal) -> Decimal:
    """Return a percentile between the two nearest values, as percentile_cont does (SQL:2011, 10.9)."""
    ordered = sorted(values)
    place = at * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


async def test_cohorts(figures, sold):
    first: dict[int, date] = {}
    for one in sold:
        first[one.customer_id] = min(first.get(one.customer_id, date.max), month(one.placed_at))
    active, size = defaultdict(set), defaultdict(int)
    for cohort in first.values():
        size[cohort] += 1
    for one in sold:
        cohort, now = first[one.customer_id], month(one.placed_at)
        active[cohort, (now.year - cohort.year) * 12 + now.month - cohort.month].add(one.customer_id)
    due = [
        [
            cohort.isoformat(),
            size[cohort],
            after,
            len(who),
            str(rounded(Decimal(100 * len(who)) / size[cohort], Decimal("0.1"))),
        ]
        for (cohort, after), who in sorted(active.items())
    ]
    assert (
        await figures(
            "Of the customers whose first order was in a month, how many ordered again in each month after it?"
        )
        == due
    )


async def test_classes_by_share_of_revenue(figures, sold):
    spent = defaultdict(Decimal)
    for one in sold:
        spent[one.customer_id] += one.base_total
    whole, running = sum(spent.values()), Decimal(0)
    classes = {name: [0, Decimal(0)] for name in "ABC"}
    for _, revenue in sorted(spent.items(), key=lambda pair: (-pair[1], pair[0])):
        running += revenue
        name = "A" if running / whole <= Decimal("0.8") else "B" if running / whole <= Decimal("0.95") else "C"
        classes[name][0] += 1
        classes[name][1] += revenue
    due = [[n, many, sum_, rounded(100 * sum_ / whole, Decimal("0.1"))] for n, (many, sum_) in classes.items()]
    told = await figures("Which customers are A, B and C by their share of revenue?")
    assert [[n, many, Decimal(sum_), Decimal(percent)] for n, many, sum_, percent in told] == due


async def test_moving_averages_and_growth_against_the_year_before(figures, sold):
    months = defaultdict(Decimal)
    for one in sold:
        months[month(one.placed_at)] += one.base_total
    ordered = sorted(months)
    told = await figures("What is the moving average of three months beside each month?")
    due = []
    for at, day in enumerate(ordered):
        last = [months[one] for one in ordered[max(0, at - 2) : at + 1]]
        due.append((day.isoformat(), months[day], rounded(sum(last) / len(last))))
    assert [(one[0], Decimal(one[1]), Decimal(one[2])) for one in told] == due
    told = await figures("How did each month grow against the same month of the year before?")
    grown = 0
    for (day, revenue, before, growth), own in zip(told, ordered, strict=True):
        earlier = months.get(own.replace(year=own.year - 1))
        assert (day, Decimal(revenue)) == (own.isoformat(), months[own])
        assert (before is None) == (earlier is None)
        if earlier is not None:
            grown += 1
            assert Decimal(growth) == rounded(100 * (months[own] - earlier) / earlier, Decimal("0.1"))
    assert grown >= 10


async def test_ageing(figures, rows_of, owner_asks):
    today = owner_asks("select (now() at time zone 'Europe/Berlin')::date")
    due = defaultdict(lambda: [0, Decimal(0)])
    for one in rows_of("invoices"):
        owed = one.gross_total - one.paid_total - one.credited_total
        if owed > 0:
            late = (today - one.due_on).days
            age = (
                "not due"
                if late <= 0
                else next(
                    (n for most, n in ((30, "1 to 30"), (60, "31 to 60"), (90, "61 to 90")) if late <= most),
                    "over 90",
                )
            )
            due[age, one.currency][0] += 1
            due[age, one.currency][1] += owed
    told = await figures("How old is what is owed?")
    assert {(age, currency): [many, Decimal(owed)] for age, currency, many, owed in told} == due


async def test_percentiles_of_segments(figures, sold, rows_of):
    segments = {one.id: one.segment for one in rows_of("customers")}
    values = defaultdict(list)
    for one in sold:
        values[segments[one.customer_id]].append(one.base_total)
    told = await figures("What are the median and the ninth decile of an order in each segment?")
    assert len(told) == len(values) > 3
    for segment, many, median, p90 in told:
        assert many == len(values[segment])
        assert median == pytest.approx(float(percentile(values[segment], Decimal("0.5"))))
        assert p90 == pytest.approx(float(percentile(values[segment], Decimal("0.9"))))


async def test_runs_of_days(figures, rows_of):
    days = sorted({one.placed_at.astimezone(ZONE).date() for one in rows_of("orders")})
    runs: list[list[date]] = []
    for day in days:
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    due = sorted(
        ([run[0].isoformat(), run[-1].isoformat(), len(run)] for run in runs if len(run) > 1),
        key=lambda run: (-run[2], run[0]),
    )
    assert await figures("Which runs of days had an order each, and how long did they last?") == due[:10]
    gaps = sorted(((a.isoformat(), b.isoformat(), (b - a).days - 1) for a, b in pairwise(days) if (b - a).days > 1), key=lambda gap: (-gap[2], gap[0]))  # fmt: skip
    assert await figures("What were the longest gaps without an order?") == [list(gap) for gap in gaps[:5]]


async def test_the_best_of_each_category(figures, rows_of):
    products = {one.id: one for one in rows_of("products")}
    revenue = defaultdict(Decimal)
    for line in rows_of("order_lines"):
        revenue[line.product_id] += line.net_amount
    due = []
    for category in sorted({one.category for one in products.values() if one.category}):
        best = sorted(
            (-revenue[id], id) for id, one in products.items() if one.category == category and id in revenue
        )
        due += [[category, products[id].name, -minus] for minus, id in best[:3]]
    told = await figures("What are the three best products of each category?")
    assert [[category, name, Decimal(sum_)] for category, name, sum_ in told] == due


async def test_sums_of_grouping_sets(figures, sold, rows_of):
    customers = {one.id: one for one in rows_of("customers")}
    due = defaultdict(Decimal)
    for one in sold:
        segment, country = customers[one.customer_id].segment, customers[one.customer_id].country
        for key in ((segment, country, 0, 0), (segment, None, 0, 1), (None, country, 1, 0), (None, None, 1, 1)):
            due[key] += one.base_total
    told = await figures("What is the revenue by segment and country, each alone, and in all?")
    assert {tuple(one[:4]): Decimal(one[4]) for one in told} == due
