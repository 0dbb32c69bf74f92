"""Issues, tasks, notes and activities that are brought in, each on its record."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from crm_mcp.db import Database
from crm_mcp.embedded import Home
from orgs import Desk, sit_down

SLUGS = count(1)
ISSUES = """ticket_id,customer,title,date,priority,status,type,assignee,order,sku
T1,anna@alfa.example,Wobbles,2024-01-02,medium,pending,complaint,BOSS@{slug}.example,ORD-9,CH
T2,B,Asks,2024-01-03T10:00:00Z,,,,,,
"""


@pytest.fixture
async def desk(home: Home, approver: Database, tmp_path: Path) -> Desk:
    made = await sit_down(home, approver, tmp_path, f"work{next(SLUGS)}")
    await made.bring("customers", "id,name,email\nA,Alfa,Anna@Alfa.example\nB,Beta,\n")
    await made.bring("products", "id,sku,name,price\n1,CH,Chair,10\n")
    await made.bring(
        "orders", "id,number,customer,date\n9,ORD-9,A,2024-01-01\n", lines="order,product,quantity,price\n9,1,2,10\n"
    )
    return made


async def reasons(desk: Desk, kind: Any, text: str) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for one in (await desk.bring(kind, text)).rejected]


async def test_issues_come_with_whom_what_and_who_works_on_them(desk: Desk) -> None:
    text = ISSUES.format(slug=desk.who.org_slug)

    report = await desk.bring("issues", text)

    assert (report.created, report.rejected) == (2, [])
    assert desk.ask(
        """select title, status, priority, type, assignee_id is not null, order_id is not null, product_id is not null
        from crm.issues where org_id = %s order by id"""
    ) == [
        ("Wobbles", "waiting", "normal", "complaint", True, True, True),
        ("Asks", "open", "normal", "problem", False, False, False),
    ]
    assert (await desk.bring("issues", text)).unchanged == 2
    assert (await desk.bring("issues", text.replace("Asks", "Asked"))).updated == 1


async def test_an_assignee_who_is_nobody_is_rejected_with_the_nearest(desk: Desk) -> None:
    found = await reasons(desk, "issues", ISSUES.format(slug=f"{desk.who.org_slug}x"))

    assert found == [
        (2, f"assignee 'BOSS@{desk.who.org_slug}x.example' is nobody in this org; the nearest is {desk.who.email}")
    ]
    assert desk.count("issues") == [1]


async def test_an_issue_on_another_customers_order_is_rejected(desk: Desk) -> None:
    assert await reasons(desk, "issues", "id,customer,order,title,date\n1,B,9,X,2024-01-01\n") == [
        (2, "order '9' is of another customer")
    ]


async def test_notes_are_on_what_they_name(desk: Desk) -> None:
    await desk.bring("issues", ISSUES.format(slug=desk.who.org_slug))
    text = (
        "id,note,customer,order,ticket,product,about_type,about\n"
        "1,on a customer,A,,,,,\n2,on an order,A,ORD-9,,,,\n3,on an issue,,,T2,,,\n4,on a product,,,,CH,,\n"
        "5,on an issue too,,,,,issue,T1\n"
    )

    report = await desk.bring("notes", text)

    assert report.rejected == []
    assert desk.ask(
        """select n.body, n.subject_type, c.name from crm.notes n left join crm.customers c
        on c.org_id = n.org_id and c.id = n.customer_id where n.org_id = %s order by n.id"""
    ) == [
        ("on a customer", "customers", "Alfa"),
        ("on an order", "orders", "Alfa"),
        ("on an issue", "issues", "Beta"),
        ("on a product", "products", None),
        ("on an issue too", "issues", "Alfa"),
    ]
    assert (await desk.bring("notes", text)).unchanged == 5


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,x,,,,", "names nothing that it is about"),
        ("1,x,B,9,,", "customer 'B' is not whose orders it is about"),
        ("1,x,,9,CH,", "names order and product; keep what it is about"),
        ("1,x,,,,T9", "about is filled, but not what kind of record it is (about_type)"),
        ("1,x,,8,,", "order '8': no order was imported from old by that id or has that number; import it first"),
        ("1,,A,,,", "body is empty"),
    ],
)
async def test_a_note_that_is_about_nothing_known_is_rejected(desk: Desk, row: str, reason: str) -> None:
    header = "id,body,customer,order,product,about,about_type"

    assert await reasons(desk, "notes", f"{header}\n{row},\n") == [(2, reason)]
    assert desk.count("notes") == [0]


async def test_an_address_of_two_customers_names_neither(desk: Desk) -> None:
    await desk.bring("customers", "id,name,email\nC,Alfa too,anna@alfa.example\n")

    assert await reasons(desk, "notes", "id,body,customer\n1,x,anna@alfa.example\n") == [
        (2, "customer 'anna@alfa.example' is the e-mail address of several customers; use the id")
    ]


async def test_tasks_and_activities_come_in_and_stay_when_brought_again(desk: Desk) -> None:
    tasks = "id,title,due_date,status,order\n1,Call,2024-02-01,completed,ORD-9\n2,Tidy up,,,\n"
    calls = "id,type,subject,date,customer,minutes,direction\n1,phone,About chairs,2024-01-05 10:00,B,12,inbound\n"

    assert (await desk.bring("tasks", tasks)).created == 2
    assert (await desk.bring("activities", calls)).created == 1
    assert (await desk.bring("tasks", tasks)).unchanged == 2
    assert (await desk.bring("activities", calls)).unchanged == 1
    assert desk.ask("select title, status, subject_type from crm.tasks where org_id = %s order by id") == [
        ("Call", "done", "orders"),
        ("Tidy up", "open", None),
    ]
    assert desk.ask("select kind, subject, direction, subject_type from crm.activities where org_id = %s") == [
        ("call", "About chairs", "in", "customers")
    ]
