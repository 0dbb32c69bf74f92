"""The demo as it stands in Postgres."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import date
from typing import Any

import psycopg
import pytest

from crm_mcp import auth, demo
from crm_mcp.crm.models import Note
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.importing.batch import batch
from crm_mcp.importing.rows import add

TODAY = date(2026, 11, 21)


@pytest.fixture
async def loaded(home: Home, approver: Database) -> AsyncGenerator[psycopg.AsyncConnection[Any]]:
    """Two loads at once, of which one has to make the demo and the other to find it made."""
    twin = Database(home.conninfo("crm_approver"))
    await asyncio.gather(*(demo.load(home.conninfo("crm_owner"), db, TODAY) for db in (approver, twin)))
    await twin.close()
    async with await psycopg.AsyncConnection[Any].connect(home.conninfo("crm_owner")) as owner:
        yield owner


async def counts(owner: psycopg.AsyncConnection[Any], slug: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for table in ("customers", "contacts", "products", "orders", "order_lines", "invoices", "notes", "changes"):
        row = await (
            await owner.execute(
                f"select count(*) from crm.{table} t join crm.orgs o on o.id = t.org_id where o.slug = %s", (slug,)
            )
        ).fetchone()
        found[table] = row[0]
    return found


async def column(owner: psycopg.AsyncConnection[Any], question: str) -> list[Any]:
    return [row[0] for row in await (await owner.execute(question)).fetchall()]


async def test_two_loads_at_once_make_each_org_once_with_every_row_recorded(
    loaded: psycopg.AsyncConnection[Any],
) -> None:
    demo_counts, other_counts = await counts(loaded, "demo"), await counts(loaded, "other")

    assert (demo_counts["customers"], demo_counts["products"], demo_counts["orders"]) == (240, 60, 900)
    assert (other_counts["customers"], other_counts["orders"]) == (40, 100)
    assert demo_counts["notes"] == 181
    tables = """customers contacts products stock_movements stock_reservations quotes quote_lines orders order_lines invoices
        invoice_lines credit_notes payments payment_allocations tax_rates org_settings exchange_rates issues tasks
        activities notes organizations individuals customer_parties deals leads jobs opportunities partnerships pipelines pipeline_stages
        pipeline_positions stage_transitions articles"""
    rows = sum([(await column(loaded, f"select count(*) from crm.{table}"))[0] for table in tables.split()])
    assert demo_counts["changes"] + other_counts["changes"] == rows


async def test_leads_deals_and_notes_are_as_old_as_their_story(loaded: psycopg.AsyncConnection[Any]) -> None:
    for table in ("leads", "deals", "notes"):
        young = f"select count(*) from crm.{table} where created_at >= '{TODAY}' or updated_at < created_at"
        assert await column(loaded, young) == [0]
    stale = """select count(*) from crm.leads l join crm.orgs o on o.id = l.org_id where o.slug = 'demo'
        and l.status in ('new', 'contacted', 'qualified') and l.updated_at < date '2026-11-21' - 14"""
    assert (await column(loaded, stale))[0] >= 5
    held = "select tgname from pg_trigger where tgrelid in ('crm.leads'::regclass, 'crm.deals'::regclass, 'crm.notes'::regclass) and tgenabled <> 'O'"
    assert await column(loaded, held) == []


async def test_what_people_write_later_is_not_aged(
    home: Home, approver: Database, loaded: psycopg.AsyncConnection[Any]
) -> None:
    who = await approver.sign_in(auth.by_email("otto@other.example", "other"))
    async with batch(approver, who, "import", {}, "Bring in what somebody wrote.") as session:
        (customer,) = await column(loaded, f"select min(customer_id) from crm.activities where org_id = {who.org}")
        row = {"customer_id": customer, "body": "Called.", "subject_type": "customers", "subject_id": customer}
        (note,) = await add(session, Note, who.org, [row])
    await demo.load(home.conninfo("crm_owner"), approver, TODAY)
    assert await column(loaded, f"select created_at > now() - interval '1 day' from crm.notes where id = {note}") == [
        True
    ]


async def test_loading_again_changes_nothing(
    home: Home, approver: Database, loaded: psycopg.AsyncConnection[Any]
) -> None:
    before = await counts(loaded, "demo"), await counts(loaded, "other")

    await demo.load(home.conninfo("crm_owner"), approver, date(2027, 3, 1))

    assert (await counts(loaded, "demo"), await counts(loaded, "other")) == before


async def test_totals_equal_their_lines_in_the_database(loaded: psycopg.AsyncConnection[Any]) -> None:
    wrong = await column(
        loaded,
        """
        select o.id from crm.orders o join crm.order_lines l on l.org_id = o.org_id and l.order_id = o.id
        group by o.org_id, o.id
        having o.net_total <> sum(l.net_amount) or o.tax_total <> sum(l.tax_amount)
            or o.gross_total <> o.net_total + o.tax_total or o.gross_total <> round(o.gross_total, 2)""",
    )

    assert wrong == []
    assert (
        await column(
            loaded,
            "select id from crm.orders o where not exists (select from crm.order_lines l "
            "where l.org_id = o.org_id and l.order_id = o.id)",
        )
        == []
    )


@pytest.mark.parametrize(
    "wrong",
    [
        """select i.id from crm.invoices i left join crm.payment_allocations a on a.org_id = i.org_id and a.invoice_id = i.id
        group by i.org_id, i.id having coalesce(sum(a.amount), 0) <> i.paid_total""",
        """select p.id from crm.payments p left join crm.payment_allocations a on a.org_id = p.org_id and a.payment_id = p.id
        group by p.org_id, p.id having coalesce(sum(a.amount), 0) <> p.allocated_total""",
        """select i.id from crm.invoices i left join crm.credit_notes n on n.org_id = i.org_id and n.invoice_id = i.id
        group by i.org_id, i.id having coalesce(sum(n.gross_total), 0) <> i.credited_total""",
        """select i.id from crm.invoices i left join crm.invoice_lines l on l.org_id = i.org_id and l.invoice_id = i.id
        group by i.org_id, i.id having coalesce(sum(l.net_amount), 0) <> i.net_total or coalesce(sum(l.tax_amount), 0) <> i.tax_total""",
        """select l.id from crm.invoice_lines l join crm.invoices i on i.org_id = l.org_id and i.id = l.invoice_id
        join crm.order_lines o on o.org_id = l.org_id and o.id = l.order_line_id
        where o.order_id <> i.order_id or o.product_id <> l.product_id or o.quantity <> l.quantity""",
        """select l.id from crm.order_lines l join crm.orders o on o.org_id = l.org_id and o.id = l.order_id
        left join crm.stock_reservations r on r.org_id = o.org_id and r.order_id = o.id and r.product_id = l.product_id
        where (o.status = 'confirmed' and r.quantity is distinct from l.quantity) or (o.status <> 'confirmed' and r.id is not null)""",
        """select q.id from crm.quotes q left join crm.orders o on o.org_id = q.org_id and o.quote_id = q.id
        where (q.status = 'accepted') <> (o.id is not null) or o.customer_id <> q.customer_id or o.gross_total <> q.gross_total""",
    ],
)
async def test_documents_agree_with_each_other(loaded: psycopg.AsyncConnection[Any], wrong: str) -> None:
    assert await column(loaded, wrong) == []


async def test_orders_are_numbered_in_the_order_of_their_dates(loaded: psycopg.AsyncConnection[Any]) -> None:
    numbers = await column(
        loaded,
        """select o.number from crm.orders o join crm.orgs g on g.id = o.org_id
        where g.slug = 'demo' order by o.placed_at, o.id""",
    )

    assert numbers == [f"ORD-{at:05}" for at in range(1, 901)]


async def test_each_person_has_their_role_and_limit(approver: Database, loaded: psycopg.AsyncConnection[Any]) -> None:
    seen = {}
    for name in ("ada", "mia", "sam", "olga", "fin", "sue"):
        who = await approver.sign_in(auth.by_email(f"{name}@demo.example"))
        seen[name] = (who.role.value, who.may_approve, int(who.approval_limit))

    assert seen == {
        "ada": ("admin", True, 1_000_000),
        "mia": ("sales", True, 50_000),
        "sam": ("sales", False, 0),
        "olga": ("operations", False, 0),
        "fin": ("finance", True, 5_000),
        "sue": ("support", False, 0),
    }
    chiefs = await column(
        loaded,
        """select c.email from crm.memberships m join crm.users u on u.id = m.user_id
        join crm.users c on c.id = m.reports_to where u.email = 'sam@demo.example'""",
    )
    assert chiefs == ["mia@demo.example"]


async def test_nobody_of_the_demo_sees_the_neighbours_rows(
    home: Home, approver: Database, loaded: psycopg.AsyncConnection[Any]
) -> None:
    ada = await approver.sign_in(auth.by_email("ada@demo.example"))
    async with await psycopg.AsyncConnection[Any].connect(home.conninfo("crm_agent")) as agent:
        await agent.execute(f"set crm.org_id = '{ada.org}'")
        assert await column(agent, "select count(*) from crm.customers") == [240]


async def test_the_load_is_an_audited_draft_that_its_loader_approved(loaded: psycopg.AsyncConnection[Any]) -> None:
    assert await column(loaded, "select state from crm.drafts where tool = 'demo'") == ["approved", "approved"]
    assert await column(loaded, "select count(*) from crm.audit_log where tool = 'demo'") == [4]


async def test_deals_and_leads_tell_the_same_as_their_ways_through_the_pipelines(
    loaded: psycopg.AsyncConnection[Any],
) -> None:
    for wrong in (
        """select d.id from crm.deals d join crm.pipeline_positions p on p.org_id = d.org_id and p.subject_type = 'deals' and p.subject_id = d.id
         join crm.pipeline_stages s on s.org_id = p.org_id and s.id = p.stage_id
         where d.status <> case s.kind when 'active' then 'open' else s.kind end or d.closed_at is distinct from p.closed_at""",
        """select p.id from crm.pipeline_positions p left join lateral (select t.* from crm.stage_transitions t where t.org_id = p.org_id
          and t.position_id = p.id order by t.moved_at desc, t.id desc limit 1) t on true
         where t.to_stage_id is distinct from p.stage_id or t.moved_at <> p.entered_at""",
        """select t.id from crm.stage_transitions t join lateral (select b.to_stage_id, b.moved_at from crm.stage_transitions b
          where b.org_id = t.org_id and b.position_id = t.position_id and b.id < t.id order by b.id desc limit 1) b on true
         where b.to_stage_id <> t.from_stage_id or floor(extract(epoch from t.moved_at - b.moved_at)) <> t.seconds_in_stage""",
        "select id from crm.stage_transitions where moved_at > '2026-11-21'",
    ):
        assert await column(loaded, wrong) == []
    closed = await column(
        loaded,
        """select count(*) from crm.deals d join crm.orgs o on o.id = d.org_id where o.slug = 'demo' and d.closed_at is not null""",
    )
    assert closed[0] >= 60
