"""Stages of an export become places in pipelines: the org's own, or one made as the file has it, gone with the undo."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from crm_mcp.crm.models import Base
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.importing.undo import undo
from crm_mcp.importing.whole import Whole, bring_over, plans
from orgs import Desk, sit_down

SLUGS = count(1)
HUBSPOT = "Record ID,Deal Name,Pipeline,Deal Stage,Amount,Close Date,Deal probability,Date entered current stage\n"
STANDS = """select d.name, p.name, s.name, x.entered_at::date::text, x.closed_at is not null from crm.pipeline_positions x
 join crm.pipelines p on p.org_id = x.org_id and p.id = x.pipeline_id
 join crm.pipeline_stages s on s.org_id = x.org_id and s.id = x.stage_id
 join crm.{} d on d.org_id = x.org_id and d.id = x.subject_id
 where x.org_id = %s order by d.id"""


@pytest.fixture
async def desk(home: Home, approver: Database, tmp_path: Path) -> Desk:
    desk = await sit_down(home, approver, tmp_path, f"stages{next(SLUGS)}")
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("select crm.default_pipelines(%s)", (desk.who.org,))
    return desk


async def bring(
    desk: Desk, name: str, text: str, wanted: Callable[[Whole], bool] | None = lambda _: True, **how: Any
) -> Whole:
    return await bring_over(desk.db, desk.who, plans([desk.write(name, text)], **how), wanted=wanted)


def stands(desk: Desk, table: str = "deals") -> list[tuple[Any, ...]]:
    return desk.ask(STANDS.format(table))  # type: ignore[arg-type]


def stages(desk: Desk, pipeline: str) -> list[tuple[Any, ...]]:
    return desk.ask(
        """select s.name, s.kind, s.probability::text from crm.pipeline_stages s join crm.pipelines p
        on p.org_id = s.org_id and p.id = s.pipeline_id where p.org_id = %s and p.name = '"""  # type: ignore[arg-type]
        + pipeline
        + "' order by s.position"
    )


def counts(desk: Desk) -> dict[str, int]:
    tables = sorted(table.name for table in Base.metadata.tables.values())
    return {name: desk.ask(f"select count(*) from crm.{name} where org_id = %s")[0][0] for name in tables}  # type: ignore[arg-type]


async def test_a_pipeline_that_the_org_lacks_is_made_in_the_systems_order_and_undone_with_the_rest(
    desk: Desk,
) -> None:
    before = counts(desk)
    text = HUBSPOT + (
        "1,A,Direct,Contract Sent,,2026-12-01,0.9,2026-05-04 10:00\n"
        "2,B,Direct,Appointment Scheduled,,2026-12-01,0.2,\n"
        "3,C,Direct,Closed Won,5,2026-05-06 12:00,1,2026-05-06 12:00\n"
    )

    whole = await bring(desk, "deals.csv", text)

    assert whole.reports[0].ways == [
        "Direct, a new pipeline: Appointment Scheduled, Contract Sent, Closed Won (won), Lost (lost); 3 placed"
    ]
    assert whole.reports[0].rows["pipeline_positions"] == 3
    assert stages(desk, "Direct") == [
        ("Appointment Scheduled", "active", "20.00"),
        ("Contract Sent", "active", "90.00"),
        ("Closed Won", "won", "100.00"),
        ("Lost", "lost", "0.00"),
    ]
    today = desk.ask("select min(created_at)::date::text from crm.deals where org_id = %s")[0][0]
    assert stands(desk) == [
        ("A", "Direct", "Contract Sent", "2026-05-04", False),
        ("B", "Direct", "Appointment Scheduled", today, False),
        ("C", "Direct", "Closed Won", "2026-05-06", True),
    ]
    assert (
        desk.ask(
            "select from_stage_id, explanation, criteria_met from crm.stage_transitions where org_id = %s order by id"
        )
        == [(None, "As HubSpot has it.", True)] * 3
    )

    await undo(desk.db, desk.who, whole.draft or 0)

    assert counts(desk) == before


async def test_a_plan_alone_makes_no_pipeline(desk: Desk) -> None:
    before = counts(desk)

    whole = await bring(desk, "deals.csv", HUBSPOT + "1,A,Direct,Contract Sent,,,,\n", wanted=None)

    assert "a new pipeline: Contract Sent" in whole.reports[0].ways[0]
    assert counts(desk) == before


async def test_a_pipeline_of_that_name_is_used_and_what_is_closed_stands_where_it_ends(desk: Desk) -> None:
    text = HUBSPOT + (
        "1,A,sales,qualified,,,,\n"
        "2,B,sales,Closed Won,,2026-05-06,,\n"
        "3,C,sales,Customer,,2026-05-06,,\n"
        "4,D,sales,Nowhere,,,,\n"
    )

    whole = await bring(desk, "deals.csv", text)

    assert whole.reports[0].ways == ["Sales, the pipeline of that name here; 3 placed"]
    assert whole.reports[0].unfound == {"stage 'Nowhere' of the pipeline 'Sales'": 1}
    assert [row[:3] for row in stands(desk)] == [
        ("A", "Sales", "Qualified"),
        ("B", "Sales", "Customer"),
        ("C", "Sales", "Customer"),
    ]
    assert desk.ask("select name, status from crm.deals where org_id = %s order by id") == [
        ("A", "open"),
        ("B", "won"),
        ("C", "won"),
        ("D", "open"),
    ]


async def test_a_deal_that_moved_on_moves_on_and_one_that_did_not_stays(desk: Desk) -> None:
    await bring(
        desk, "deals.csv", HUBSPOT + "1,A,Sales,Lead,,,,2026-05-01 12:00\n2,B,Sales,Lead,,,,2026-05-01 12:00\n"
    )
    before = counts(desk)
    text = HUBSPOT + "1,A,Sales,Proposal,,,,2026-05-03 12:00\n2,B,Sales,Lead,,,,2026-05-01 12:00\n"

    again = await bring(desk, "deals.csv", text)

    assert (again.reports[0].updated, again.reports[0].unchanged) == (1, 1)
    assert [row[1] for row in again.reports[0].becomes] == ["updated", "unchanged"]
    assert [row[:4] for row in stands(desk)] == [
        ("A", "Sales", "Proposal", "2026-05-03"),
        ("B", "Sales", "Lead", "2026-05-01"),
    ]
    assert desk.ask(
        "select seconds_in_stage from crm.stage_transitions where org_id = %s and from_stage_id is not null"
    ) == [(172800,)]

    await undo(desk.db, desk.who, again.draft or 0)

    assert [row[2] for row in stands(desk)] == ["Lead", "Lead"]
    assert counts(desk)["stage_transitions"] == before["stage_transitions"]


async def test_a_won_deal_of_pipedrive_stands_as_won_whatever_stage_it_was_in(desk: Desk) -> None:
    text = (
        "Deal - ID,Deal - Title,Deal - Status,Deal - Stage,Deal - Pipeline,Deal - Won time,Deal - Last stage change\n"
        "1,A,Open,Proposal Made,Pipeline,,2026-05-02 08:00\n2,B,Won,Contact Made,Pipeline,2026-05-07 09:00,2026-05-01 08:00\n"
        "3,C,Open,Contact Made,Pipeline,,\n"
    )

    await bring(desk, "deals.csv", text)

    assert [row[0] for row in stages(desk, "Pipeline")] == ["Contact Made", "Proposal Made", "Won", "Lost"]
    assert [row[2:] for row in stands(desk)][:2] == [
        ("Proposal Made", "2026-05-02", False),
        ("Won", "2026-05-07", True),
    ]


async def test_without_a_pipeline_the_one_for_sales_counts_where_it_has_the_stages(desk: Desk) -> None:
    header = '"Opportunity ID","Opportunity Name","Stage","Close Date"\n'

    await bring(desk, "a.csv", header + "006D000000LmNoP,A,Proposal,2026-12-31\n")
    await bring(desk, "b.csv", header + "006D000000LmNoQ,B,Perception Analysis,2026-12-31\n")

    assert [row[:3] for row in stands(desk)] == [
        ("A", "Sales", "Proposal"),
        ("B", "Salesforce", "Perception Analysis"),
    ]


async def test_leads_stand_where_their_status_says(desk: Desk) -> None:
    text = (
        '"Lead ID","Last Name","Company / Account","Lead Status"\n'
        "00QD000000AbCdE,Ida,Ström,Working - Contacted\n00QD000000AbCdF,Bo,Ek,Closed - Converted\n"
    )

    whole = await bring(desk, "leads.csv", text)

    assert whole.reports[0].ways == [
        "Salesforce leads, a new pipeline: Working - Contacted, Closed - Converted (won), Lost (lost); 2 placed"
    ]
    assert [row[:3] for row in stands(desk, "leads")] == [
        ("Ida, Ström", "Salesforce leads", "Working - Contacted"),
        ("Bo, Ek", "Salesforce leads", "Closed - Converted"),
    ]


async def test_a_file_of_ones_own_makes_no_pipeline(desk: Desk) -> None:
    mapping = {"stage": "at", "pipeline": "way"}

    report = await desk.bring("deals", "id,name,at,way\n1,A,Demo,Sales\n2,B,Demo,\n3,C,Demo,Other\n", mapping=mapping)

    assert [row[:3] for row in stands(desk)] == [("A", "Sales", "Demo"), ("B", "Sales", "Demo")]
    assert [one.reason for one in report.rejected] == ["way 'Other': there is no pipeline of that name"]


async def test_what_is_brought_over_is_a_sign_of_life_when_it_happened_and_not_on_the_day_it_came(
    desk: Desk, connect: Callable[..., Any]
) -> None:
    def day(ago: int) -> str:
        return (datetime.now(UTC) - timedelta(days=ago, hours=12)).strftime("%Y-%m-%d %H:%M")

    deals = "Record ID,Deal Name,Pipeline,Deal Stage,Date entered current stage,Last Modified Date\n" + (
        f"1,Noted,Direct,Contract Sent,{day(50)},{day(2)}\n2,Undated,Direct,Contract Sent,{day(50)},{day(2)}\n"
    )
    touched = (
        "Record ID,Deal Name,Pipeline,Deal Stage,Last Modified Date\n" + f"3,Touched,Direct,Contract Sent,{day(33)}\n"
    )
    notes = "Record ID,Activity date,Note body,Associated Deal IDs\n" + (
        f"61,{day(20)},Wants a visit,1\n62,{day(25)},Asked for a list,1\n63,,Some day,2\n"
    )
    for name, text in (("deals.csv", deals), ("touched.csv", touched), ("notes.csv", notes)):
        whole = await bring(desk, name, text)
        assert [one.rejected for one in whole.reports] == [[]]

    (email,) = desk.ask(f"select email from crm.users where id = {desk.who.user} and %s > 0")[0]
    async with connect(email) as client:
        asked = {"pipeline": "Direct", "risk_threshold": 0, "limit": 50}
        told = (await client.call_tool("identify_at_risk_deals", asked)).structured_content["atRisk"]
        (note,) = (await client.call_tool("find_records", {"entity": "notes", "query": "visit"})).structured_content[
            "records"
        ]
    silent = {
        one["record"]["name"]: factor["days"]
        for one in told
        for factor in one["factors"]
        if factor["factor"] == "inactivity"
    }
    assert silent == {"Noted": 20, "Undated": 50, "Touched": 33}
    (zone,) = desk.ask("select timezone from crm.orgs where id = %s")[0]
    assert f"{datetime.fromisoformat(note['written_at']).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" == day(20)
