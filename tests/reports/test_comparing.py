"""Reports compared, grouped and filtered: the same figures as those asked for one by one."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from crm_mcp.reports import buckets, definition
from crm_mcp.reports.comparing import MEASURES, span_before
from crm_mcp.reports.report import Asked, Report

ADA = "ada@demo.example"
REPORTS = definition.every()
WITH_PERIODS = sorted(name for name, report in REPORTS.items() if report.period)


async def _told(client, name, most=None, **parameters):
    """Return all rows of a report, whatever a result has room for, and the rest of what is told."""
    if any(param.most for param in REPORTS[name].params):
        parameters["most"] = most or 500
    rows = []
    while True:
        asked = {"report": name, "parameters": parameters, "skip": len(rows)}
        told = (await client.call_tool("run_report", asked)).structured_content
        assert "report" in told, told
        rows += told["report"]["rows"]
        if len(rows) >= told["_meta"]["rows"]:
            return {**told, **told["report"], "rows": rows}


def _key(report, row, since):
    """Name a row; a time by how many of its unit have passed since the period began."""
    parts = []
    for key in report.key:
        place = buckets.place_of(row[key.column]) if key.in_time else None
        parts.append(place.at - buckets.around(since, place.unit, 1) if place else row.get(key.column))
    return tuple(parts)


@pytest.mark.parametrize("way", ["previous", "last_year"])
@pytest.mark.parametrize("name", WITH_PERIODS)
async def test_each_row_is_beside_what_the_other_period_tells_alone(connect, name, way):
    report, today = REPORTS[name], date.today()
    until = today.replace(day=1) - timedelta(days=1)
    since = until.replace(day=1)
    async with connect(ADA) as client:
        period = {"from": since.isoformat(), "to": until.isoformat()}
        both = await _told(client, name, compare=way, **period)
        days = {end: both["compared"][end] for end in ("from", "to")}
        now, before = await _told(client, name, **period), await _told(client, name, **days)
    began = date.fromisoformat(days["from"])
    here = {_key(report, row, since): row for row in now["rows"]}
    there = {_key(report, row, began): row for row in before["rows"]}
    measured = [c.name for c in report.columns if c.type in MEASURES and c.name not in {k.column for k in report.key}]
    seen = {_key(report, row, since): row for row in both["rows"]}
    assert set(seen) == {*here, *there} and len(seen) == len(both["rows"])
    for key, row in seen.items():
        alone = "now" if key not in there else "before" if key not in here else None
        assert row.get("only") == alone
        for column in measured:
            if key in here:
                assert row.get(column) == here[key].get(column)
            if key in there:
                assert row["before"].get(column) == there[key].get(column)
            if row.get(column) is not None and row["before"].get(column) is not None:
                difference = Decimal(row[column]) - Decimal(row["before"][column])
                assert Decimal(row["change"][column]) == difference
                if column in row["percent"]:
                    share = 100 * difference / abs(Decimal(row["before"][column]))
                    assert abs(Decimal(row["percent"][column]) - share) <= Decimal("0.05")
    assert both["totals"] == now["totals"] and both["compared"]["totals"] == before["totals"]
    assert both["parameters"]["compare"] == way


async def test_the_first_of_both_periods_are_shown_with_what_they_truly_were(connect):
    asked = {"period": "last 12 months", "compare": "previous"}
    async with connect(ADA) as client:
        few = await _told(client, "top_customers", most=3, **asked)
        every = await _told(client, "top_customers", most=100, period="last 12 months")
        before = await _told(
            client, "top_customers", most=100, **{end: few["compared"][end] for end in ("from", "to")}
        )
    first = {row["id"] for row in (*every["rows"][:3], *before["rows"][:3])}
    assert {row["id"] for row in few["rows"]} == first and len(first) > 3
    known = {row["id"]: row["revenue"] for row in before["rows"]}
    assert all(row["before"]["revenue"] == known[row["id"]] for row in few["rows"] if row["id"] in known)
    rounded = sum(Decimal(row["revenue"]) for row in few["rows"])
    assert abs(Decimal(few["totals"]["revenue"]) - rounded) <= Decimal("0.01") * len(few["rows"])


def _asked(since, until):
    return Asked({}, {"from": since and date.fromisoformat(since), "to": until and date.fromisoformat(until)})


@pytest.mark.parametrize(
    ("since", "until", "way", "before"),
    [
        ("2024-03-01", "2024-03-31", "previous", ("2024-02-01", "2024-02-29")),
        ("2024-01-01", "2024-03-31", "previous", ("2023-10-01", "2023-12-31")),
        ("2024-01-01", "2024-12-31", "previous", ("2023-01-01", "2023-12-31")),
        ("2025-04-01", "2026-03-31", "previous", ("2024-04-01", "2025-03-31")),
        ("2024-03-01", "2024-03-30", "previous", ("2024-01-31", "2024-02-29")),
        ("2026-07-27", "2026-08-02", "previous", ("2026-07-20", "2026-07-26")),
        ("2024-02-29", "2024-02-29", "previous", ("2024-02-28", "2024-02-28")),
        ("2025-02-01", "2025-02-28", "last_year", ("2024-02-01", "2024-02-29")),
        ("2024-02-01", "2024-02-29", "last_year", ("2023-02-01", "2023-02-28")),
        ("2024-02-10", "2024-02-29", "last_year", ("2023-02-10", "2023-02-28")),
        ("2024-01-01", "2024-11-15", "last_year", ("2023-01-01", "2023-11-15")),
    ],
)
def test_a_period_is_compared_with_the_one_before_it(since, until, way, before):
    found = span_before(REPORTS["revenue_by_month"], _asked(since, until), way)
    assert found == tuple(map(date.fromisoformat, before))


@pytest.mark.parametrize(
    ("name", "parameters", "why"),
    [
        ("receivables_ageing", {"compare": "previous"}, "has no period"),
        ("stock_on_hand", {"compare": "last_year"}, "has no period"),
        ("revenue_by_month", {"compare": "previous"}, "All time"),
        ("revenue_by_month", {"compare": "previous", "from": "2024-01-01"}, "All time"),
        ("revenue_by_month", {"compare": "next", "year": 2024}, "previous"),
        ("revenue_by_month", {"compare": ["previous"], "year": 2024}, "previous"),
        ("revenue_by_month", {"compare": "previous", "from": "0001-01-01", "to": "0001-01-31"}, "calendar"),
        ("revenue_by_month", {"group_by": "product"}, "group_by is one of"),
        ("revenue_by_month", {"group_by": 7}, "group_by is one of"),
        ("order_pipeline", {"group_by": "month"}, "takes"),
        ("revenue_by_month", {"customer": "ord_7"}, "different kind"),
        ("revenue_by_month", {"customer": 7}, "must be a id"),
        ("revenue_by_month", {"status": "cancelled"}, "one of confirmed, shipped, completed"),
        ("revenue_by_month", {"in_currency": "EURO"}, "must be"),
        ("revenue_by_month", {"segment": {"a": 1}}, "must be a text"),
        ("revenue_by_month", {"segment": "a\0b"}, "contains a NUL"),
        ("revenue_by_month", {"row": {"nothing": 1}}, "row names one row"),
        ("revenue_by_month", {"ids": 20}, "row names one row"),
        ("revenue_by_month", {"row": {"month": "2026-01"}, "ids": -1}, "how many"),
        ("revenue_by_month", {"row": {"month": "2026-01"}, "year": 2026, "compare": "previous"}, "without compare"),
        ("stock_on_hand", {"row": {"id": "prod_1"}}, "takes"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_the_reason(connect, name, parameters, why):
    async with connect(ADA) as client:
        told = (await client.call_tool("run_report", {"report": name, "parameters": parameters})).structured_content
    assert told["error"] in ("INVALID_ARGUMENT", "INVALID_ID") and why in told["context"]["hint"]


GROUPED = sorted(name for name, report in REPORTS.items() if report.groups)
ADDED = {
    name: [c.name for c in REPORTS[name].columns if c.total and c.name not in ("customers",)] for name in GROUPED
}
APART = {"new_customers_by_month", "repeat_purchase_rate"}
"""Reports whose customers are counted once whatever they are grouped by."""


@pytest.mark.parametrize("name", GROUPED)
async def test_a_report_comes_to_the_same_however_it_is_grouped(connect, name):
    report = REPORTS[name]
    async with connect(ADA) as client:
        usual = await _told(client, name, days=0)
        for group in report.groups:
            told = await _told(client, name, days=0, group_by=group.name)
            assert {column: told["totals"][column] for column in ADDED[name]} == {
                column: usual["totals"][column] for column in ADDED[name]
            }
            names = [column["name"] for column in told["columns"]]
            assert group.name in names and len(told["rows"]) > 0
            assert all(group.name in row for row in told["rows"])
            if told.get("chart"):
                assert {told["chart"]["x"], told["chart"]["y"]} <= set(names)
            if group.is_time:
                labels = [row[group.name] for row in told["rows"]]
                assert all(buckets.place_of(label).unit == group.name for label in labels)
                assert name in ("discount_given", "payments_received") or labels == sorted(labels)


def _figures(row):
    return {name: value for name, value in row.items() if name != "ids"}


@pytest.mark.parametrize("name", sorted(name for name, report in REPORTS.items() if report.filters))
async def test_a_filter_of_what_a_row_is_named_by_leaves_that_row(connect, name):
    """What a report shows can be asked for again, and every filter there is runs."""
    report = REPORTS[name]
    everything = {"days": 0} if report.period else {}
    async with connect(ADA) as client:
        whole = await _told(client, name, **everything)
        for one in report.filters:
            value = {"id": "cust_1", "currency": "eur", "word": one.type.partition(" ")[2].split("/")[0]}
            kind, of = one.type.partition(" ")[::2]
            given = "prod_1" if of == "products" else value.get(kind, "(not stated)")
            told = await _told(client, name, **everything, **{one.name: given})
            assert len(told["rows"]) <= len(whole["rows"]) and told["parameters"][one.name] == given
        groups = {group.name for group in report.groups} | {key.column for key in report.key}
        for one in report.filters:
            if one.name not in groups or one.type != "text":
                continue
            grouped = {"group_by": one.name} if report.groups else {}
            row = (await _told(client, name, **everything, **grouped))["rows"][0]
            alone = await _told(client, name, **everything, **grouped, **{one.name: f" {row[one.name].upper()} "})
            assert _figures(row) in map(_figures, alone["rows"])
            assert {found[one.name] for found in alone["rows"]} == {row[one.name]}


async def test_a_customer_of_another_org_is_filtered_like_a_missing_one(connect, owner_asks):
    other = owner_asks(
        "select max(c.id) from crm.customers c join crm.orgs o on o.id = c.org_id where o.slug <> 'demo'"
    )
    own = owner_asks(
        "select max(o.customer_id) from crm.orders o join crm.orgs g on g.id = o.org_id where g.slug = 'demo'"
    )
    async with connect(ADA) as client:
        told = {n: await _told(client, "revenue_by_month", customer=f"cust_{n}") for n in (other, 10**15, own)}
    assert told[other]["rows"] == told[10**15]["rows"] == [] and told[own]["rows"]


HOSTILE = ["'; drop table crm.orders; --", "%(org)s", "{filters}", "\\", "$1", "' or true or '", "ＥＵＲ", "x" * 5000]


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_filter_is_a_value_and_never_a_part_of_the_statement(connect, text):
    async with connect(ADA) as client:
        told = await _told(client, "revenue_by_segment", days=0, segment=text, person=text)
    assert told["rows"] == [] and told["totals"]["orders"] == 0


@pytest.mark.parametrize("name", sorted(name for name, report in REPORTS.items() if report.ids))
async def test_every_id_behind_a_row_can_be_had(connect, name):
    report = REPORTS[name]
    everything = {"days": 0} if report.period else {}
    async with connect(ADA) as client:
        rows = (await _told(client, name, **everything))["rows"]
        row = max(rows, key=lambda row: row["idCount"])
        named, found = {key.column: row.get(key.column) for key in report.key}, []
        while len(found) < row["idCount"]:
            told = await _told(client, name, **everything, row=named, ids=len(found))
            (alone,) = told["rows"]
            assert alone["ids"], (name, len(found), row["idCount"])
            found += alone["ids"]
        assert len(set(found)) == len(found) == row["idCount"] > 0 and found[: len(row["ids"])] == row["ids"]
        assert "moreIds" not in told["_meta"]


async def test_a_result_says_how_the_other_ids_of_a_row_are_asked_for(connect):
    async with connect(ADA) as client:
        told = await _told(client, "order_pipeline", days=0)
    row = next(row for row in told["rows"] if row["idCount"] > 20)
    assert f'{{"row": {{"status": "{row["status"]}"}}, "ids": 20}}' in told["_meta"]["moreIds"]


def test_filters_of_one_name_take_the_same_form_everywhere():
    forms: dict[str, set[str]] = {}
    for report in REPORTS.values():
        for one in report.filters:
            forms.setdefault(one.name, set()).add(one.type)
    assert {name: kinds for name, kinds in forms.items() if len(kinds) > 1} == {}


def test_every_report_has_a_key_and_ids_where_its_rows_are_no_records_themselves():
    def is_record(report: Report) -> bool:
        return report.key[0].column == "id"

    assert [name for name, report in REPORTS.items() if not report.key] == []
    assert [name for name, report in REPORTS.items() if not report.ids and not is_record(report)] == []
