"""The header of a report: what it says is checked when it is read."""

from datetime import date

import pytest

from crm_mcp.reports import definition
from crm_mcp.reports.header import read_file
from crm_mcp.reports.period import Period
from crm_mcp.warming import check_reports

GOOD = """-- title: T
-- description: D
-- roles: admin
-- period: this_month | When.
-- param: most integer = 3 | How many.
-- column: n integer total in days | N.
-- ids: orders
-- chart: bar n n
-- also: older
select 1 as n, array[1][1:20] as ids, 1 as id_count where %(most)s > 0 -- kept
"""


def test_a_header_is_read_whole(tmp_path):
    file = tmp_path / "some.sql"
    file.write_text(GOOD, encoding="utf-8")
    report = read_file(file)
    (column,) = report.columns
    assert (column.type, column.total, column.unit) == ("integer", True, "days")
    assert (
        report.formerly == ("older",)
        and report.ids == "orders"
        and report.sql == "select 1 as n, array[1][1:20] as ids, 1 as id_count where %(most)s > 0 -- kept"
    )
    assert report.chart == {"kind": "bar", "x": "n", "y": "n"}


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("-- column: n integer total in days | N.", "-- column: n float | N."),
        ("-- period: this_month | When.", "-- period: sometimes | When."),
        ("-- param: most integer = 3 | How many.", "-- param: most integer | How many."),
        ("-- chart: bar n n", "-- chart: cake n n"),
        ("-- ids: orders", "-- idz: orders"),
        ("-- ids: orders", "--ids: orders"),
    ],
)
def test_a_header_of_another_form_is_no_report(tmp_path, line, bad):
    file = tmp_path / "some.sql"
    file.write_text(GOOD.replace(line, bad), encoding="utf-8")
    with pytest.raises(ValueError, match=r"some\.sql"):
        read_file(file)


@pytest.mark.parametrize("report", definition.every().values(), ids=lambda report: report.name)
def test_a_statement_names_its_org_at_every_table_and_takes_only_what_it_declares(report):
    import re

    taken = set(re.findall(r"%\((\w+)\)s", report.sql))
    days, instants = ({"from", "to"}, {"since", "until"}) if report.period else (set(), set())
    own = {param.name for param in report.params}
    assert "org" in taken and own <= taken
    assert days <= taken or instants <= taken
    assert taken <= {"org", "zone", "currency", "now", "today"} | own | days | instants
    assert "now()" not in report.sql and "current_date" not in report.sql
    if report.chart:
        names = {column.name for column in report.columns}
        assert {report.chart["x"], report.chart["y"]} <= names


@pytest.mark.parametrize(
    ("default", "given", "since", "until"),
    [
        ("all", {}, None, None),
        ("this_month", {}, date(2024, 2, 1), date(2024, 2, 29)),
        ("last_month", {}, date(2024, 1, 1), date(2024, 1, 31)),
        ("90_days", {}, date(2023, 12, 2), date(2024, 2, 29)),
        ("all", {"days": 1}, date(2024, 2, 29), date(2024, 2, 29)),
        ("90_days", {"days": 0}, None, None),
        ("90_days", {"month": "2023-02"}, date(2023, 2, 1), date(2023, 2, 28)),
        ("90_days", {"year": 9999}, date(9999, 1, 1), date(9999, 12, 31)),
        ("90_days", {"month": None, "to": "2024-01-05"}, None, date(2024, 1, 5)),
    ],
)
def test_a_period_is_the_days_it_says(default, given, since, until):
    assert Period(default, "When.").days(given, date(2024, 2, 29)) == (since, until)


def test_a_wrong_header_ends_the_server_with_its_file_and_line(tmp_path, monkeypatch):
    (tmp_path / "some.sql").write_text(GOOD.replace("-- chart: bar n n", "-- chart: cake n n"), encoding="utf-8")
    monkeypatch.setattr(definition, "HERE", tmp_path)
    definition.every.cache_clear()
    try:
        with pytest.raises(SystemExit, match=r"some\.sql, line 8: 'cake n n'"):
            check_reports()
    finally:
        definition.every.cache_clear()
