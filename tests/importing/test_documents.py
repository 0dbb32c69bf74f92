"""Documents come over as what they are called, where they lie and what they are about; files are in no export."""

from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.importing import foreign
from crm_mcp.importing.values import How
from crm_mcp.importing.whole import Whole, bring_over, plans
from orgs import Desk, sit_down

SLUGS = count(1)
KEPT = """select d.title, d.url, d.media_type, d.description, d.subject_type, d.customer_id is null from crm.documents d
 where d.org_id = %s order by d.id"""


@pytest.fixture
async def desk(home: Home, approver: Database, tmp_path: Path) -> Desk:
    return await sit_down(home, approver, tmp_path, f"papers{next(SLUGS)}")


async def bring(desk: Desk, **files: str) -> Whole:
    paths = [desk.write(f"{name}.csv", text) for name, text in files.items()]
    return await bring_over(desk.db, desk.who, plans(paths), wanted=lambda _: True)


async def test_a_document_is_where_it_lies_and_about_what_it_names(desk: Desk) -> None:
    await desk.bring("customers", "id,name\nc1,Acme\n")

    report = await desk.bring(
        "documents",
        "id,title,url,media_type,customer_id,file_id\n1,Terms,https://x.example/t,application/pdf,c1,\n2,Loose,,,,blob_7\n",
    )

    assert report.rejected == []
    assert desk.ask(KEPT) == [
        ("Terms", "https://x.example/t", "application/pdf", None, "customers", False),
        ("Loose", None, None, None, None, True),
    ]
    assert list(report.unfound.values()) == [1]


async def test_attachments_of_salesforce_come_with_their_parents(desk: Desk) -> None:
    accounts = '"Id","Name","BillingCity"\n001D000000IqhSL,Größe,Köln\n'
    attachments = (
        '"Id","ParentId","Name","ContentType","Owner.Name"\n'
        "00PD000000AbCdE,001D000000IqhSLIAZ,offer.pdf,application/pdf,Ida\n00PD000000AbCdF,0WOD000000AbCdF,lost.txt,text/plain,\n"
    )

    whole = await bring(desk, accounts=accounts, attachments=attachments)

    assert [one.kind for one in whole.plans] == ["organizations", "documents"]
    assert desk.ask(KEPT) == [
        ("offer.pdf", None, "application/pdf", "Owner in Salesforce: Ida", "organizations", True),
        ("lost.txt", None, "text/plain", None, None, True),
    ]


async def test_of_a_file_of_salesforce_the_latest_version_comes(desk: Desk) -> None:
    versions = (
        '"Id","ContentDocumentId","IsLatest","ContentUrl","Title","PathOnClient","FileExtension","FirstPublishLocationId"\n'
        "068D000000AbCdE,069D000000AbCdE,0,,Plan,plan.docx,docx,\n068D000000AbCdF,069D000000AbCdE,1,https://x.example/p,Plan,plan.pdf,pdf,\n"
    )

    whole = await bring(desk, versions=versions)

    assert [(one.line, one.reason) for one in whole.reports[0].rejected] == [
        (2, "is an older version of a file; the latest has a row of its own")
    ]
    assert [row[:3] for row in desk.ask(KEPT)] == [("Plan", "https://x.example/p", "application/pdf")]


async def test_files_of_hubspot_and_pipedrive_are_about_their_deals(desk: Desk) -> None:
    hubspot = "File ID,File name,File URL,Extension,Associated Deal IDs\n77,offer,https://h.example/77,PDF,9001\n"
    deals = "Record ID,Deal Name,Deal owner\n9001,Retrofit,\n"
    pipedrive = "File - ID,File - Name,File - URL,File - Deal\n5,scan,https://p.example/5,Retrofit\n"

    await bring(desk, deals=deals, files=hubspot, more=pipedrive)

    assert [row[:5] for row in desk.ask(KEPT)] == [
        ("offer", "https://h.example/77", "application/pdf", None, "deals"),
        ("scan", "https://p.example/5", None, None, "deals"),
    ]


@pytest.mark.parametrize(
    ("cell", "read"), [("PDF", "application/pdf"), ("plan.png", "image/png"), ("text/csv", "text/csv"), ("?", None)]
)
def test_the_end_of_a_name_says_the_media_type(cell: str, read: str | None) -> None:
    assert foreign.media(cell, How(ZoneInfo("UTC"))) == read
