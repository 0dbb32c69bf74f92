"""Fiscal years: which days they are, how they are said, and that a result says by which it went."""

from asyncio import to_thread
from datetime import date

import pytest
from click.testing import CliRunner

from crm_mcp.cli import main
from crm_mcp.errors import Refusal
from crm_mcp.reports import fiscal
from crm_mcp.reports.period import Period

TODAY = date(2026, 11, 30)


@pytest.mark.parametrize(
    ("starts", "said", "since", "until"),
    [
        (10, "FY2026", "2025-10-01", "2026-09-30"),
        (10, "this fiscal year", "2026-10-01", "2027-09-30"),
        (10, "last fiscal quarter", "2026-07-01", "2026-09-30"),
        (10, "FQ1", "2026-10-01", "2026-12-31"),
        (4, "Last Fiscal Year", "2025-04-01", "2026-03-31"),
        (4, "FY26", "2025-04-01", "2026-03-31"),
        (4, "FQ3", "2026-10-01", "2026-12-31"),
        (4, "fq4 2026", "2026-01-01", "2026-03-31"),
        (4, "FY2026-Q4", "2026-01-01", "2026-03-31"),
        (4, "fiscal year to date", "2026-04-01", "2026-11-30"),
        (4, "fiscal quarter to date", "2026-10-01", "2026-11-30"),
        (4, "FY2025/FY2026", "2024-04-01", "2026-03-31"),
        (12, "FY2026", "2025-12-01", "2026-11-30"),
        (2, "FY2024-Q1", "2023-02-01", "2023-04-30"),
        (1, "FY2026", "2026-01-01", "2026-12-31"),
        (1, "fiscal quarter", "2026-10-01", "2026-12-31"),
    ],
)
def test_a_fiscal_period_is_named_by_the_calendar_year_it_ends_in(starts, said, since, until):
    days = Period("all", "When.").days({"period": said}, TODAY, starts)
    assert days == (date.fromisoformat(since), date.fromisoformat(until))
    assert all(fiscal.is_meant(part) for part in said.split("/"))


@pytest.mark.parametrize(
    "said", ["FY", "FY0000", "FQ5", "FY2026-Q5", "fiscal", "fiscal month", "FY12345", "last fiscal"]
)
def test_what_is_no_fiscal_period_is_refused(said):
    with pytest.raises(Refusal):
        Period("all", "When.").days({"period": said}, TODAY, 4)


@pytest.mark.parametrize("starts", range(1, 13))
def test_every_day_is_in_the_quarter_that_bears_its_name(starts):
    for month in range(1, 13):
        day = date(2026, month, 28)
        since, until = fiscal.relative("this fiscal quarter", day, starts)
        assert since <= day <= until
        said = fiscal.named((since, until), starts)
        assert fiscal.written(said.lower(), date(1990, 1, 1), starts) == (since, until)


async def test_an_org_whose_fiscal_year_begins_in_april(crm_home, connect, owner_asks):
    settings = (
        "select fiscal_year_start from crm.org_settings s join crm.orgs o on o.id = s.org_id where o.slug = 'demo'"
    )

    async def told(**parameters):
        async with connect("ada@demo.example") as client:
            asked = {"report": "revenue_by_month", "parameters": parameters}
            return (await client.call_tool("run_report", asked)).structured_content

    assert (await told(period="FY2026"))["report"]["parameters"]["from"] == "2026-01-01"
    no = await to_thread(crm_home, "fiscal-year", "--org", "demo", "--user", "sam@demo.example", "4")
    assert no.exit_code == 1 and "no administrator" in no.output
    done = await to_thread(crm_home, "fiscal-year", "--org", "demo", "--user", "ada@demo.example", "4")
    assert done.exit_code == 0 and "April" in done.output and owner_asks(settings) == 4
    try:
        report = await told(period="FY2026", group_by="fiscal_quarter")
        assert report["report"]["parameters"] == {
            "from": "2025-04-01", "to": "2026-03-31", "group_by": "fiscal_quarter", "fiscal": "FY2026",
        }  # fmt: skip
        assert "begins in April" in report["report"]["notes"][-1]
        assert report["_display"]["subtitle"].startswith("FY2026, 2025-04-01 to 2026-03-31")
        assert {row["fiscal_quarter"] for row in report["report"]["rows"]} <= {f"FY2026-Q{n}" for n in range(1, 5)}
        kept = "select after ->> 'fiscal_year_start' from crm.changes where tbl = 'org_settings' order by id desc limit 1"
        audited = "select count(*) from crm.audit_log where tool = 'fiscal_year' and phase = 'ended'"
        assert owner_asks(kept) == "4" and owner_asks(audited) == 1
        assert owner_asks("select count(*) from crm.free_writes where tbl = 'org_settings'") == 0
    finally:
        await to_thread(crm_home, "fiscal-year", "--org", "demo", "--user", "ada@demo.example", "1")


def test_an_org_is_made_with_its_fiscal_year(crm_home, owner_asks):
    words = (
        "--org",
        "Fisc",
        "--slug",
        "fisc",
        "--admin",
        "a@fisc.example",
        "--name",
        "A",
        "--fiscal-year-start",
        "7",
    )
    assert crm_home("init", *words).exit_code == 0
    asked = (
        "select fiscal_year_start from crm.org_settings s join crm.orgs o on o.id = s.org_id where o.slug = 'fisc'"
    )
    assert owner_asks(asked) == 7


@pytest.fixture
def crm_home(home, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(home.root))
    monkeypatch.setenv("CRM_OPEN_BROWSER", "never")
    return lambda *words: CliRunner().invoke(main, list(words))
