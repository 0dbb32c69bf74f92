from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from lab import LAB, LEA, LUX, ago, today
from supporting import ODD, carried_out, issue

from crm_mcp import auth
from crm_mcp.crm.issues import SERVICE_HOURS
from crm_mcp.crm.models import Contact, Order, OrderLine, Warranty
from crm_mcp.importing.batch import batch

REPORT = {"title": "The pump leaks", "reason": "they rang"}


def months_before(day, months):
    """Return the day so many months before, the last of its month where there is no such day."""
    whole = day.year * 12 + day.month - 1 - months
    last = (date(whole // 12 + (whole % 12 == 11), (whole + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return date(whole // 12, whole % 12 + 1, min(day.day, last))


def parsed(text):
    return datetime.fromisoformat(text)


@pytest.fixture
async def customer(lab):
    return await lab.customer("Reporter")


@pytest.fixture
def opened(lab, executor, person):
    async def through_approval(**asked):
        return await carried_out(lab, executor, person, "create_issue", {**REPORT, **asked})

    return through_approval


async def shipped(lab, approver, customer, product, day, status="shipped"):
    """Make an order that left at noon of a day in the lab's zone."""
    order = await lab.order(customer, "5", ago(1), "confirmed", product)
    when = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(LAB.timezone))
    who = await approver.sign_in(auth.by_email(LEA))
    async with batch(approver, who, "lab", {}, "Ship it.") as session:
        row = await session.get_one(Order, (who.org, int(order[4:])))
        row.shipped_at, row.status = when, status
    return order


async def test_the_default_hours_are_the_tables(owner_asks):
    stated = """select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
      where d.adrelid = 'crm.org_settings'::regclass and a.attname = 'service_hours'"""
    text = owner_asks(stated).rpartition("::")[0].strip("'")
    assert owner_asks("select %s::jsonb", text) == {key: list(hours) for key, hours in SERVICE_HOURS.items()}


@pytest.mark.parametrize("priority", list(SERVICE_HOURS))
async def test_an_issue_is_held_and_its_clock_runs_from_when_it_was_reported(customer, opened, priority):
    made = await opened(customer=customer, priority=priority, description="all over", assignee="lux")
    assert made["held"]["summary"] == (
        f"Nothing has changed yet. It would open the {priority} issue The pump leaks for Reporter."
    )
    told = made["issue"]
    start = parsed(told["openedAt"])
    answer, resolution = SERVICE_HOURS[priority]
    assert parsed(told["respondBy"]) == start + timedelta(hours=answer)
    assert parsed(told["resolveBy"]) == start + timedelta(hours=resolution)
    assert (told["status"], told["type"], told["assignee"], told["description"]) == (
        "open",
        "problem",
        "Lux Lehr",
        "all over",
    )
    assert made["meta"]["slaState"] == "ok"


async def test_the_orgs_own_hours_come_first(lab, home, customer, opened):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        org = conn.execute("select id from crm.orgs where slug = 'lab'").fetchone()[0]
        conn.execute("alter table crm.changes disable trigger guard")
        conn.execute("select set_config('crm.call_id', '1', true), set_config('crm.org_id', %s, true)", (str(org),))
        conn.execute(
            """insert into crm.org_settings(org_id, service_hours) values (%s, '{"urgent": [0.5, 2]}')
             on conflict (org_id) do update set service_hours = excluded.service_hours""",
            (org,),
        )
        conn.execute("alter table crm.changes enable trigger guard")
    try:
        made = (await opened(customer=customer, priority="urgent"))["issue"]
        assert parsed(made["respondBy"]) - parsed(made["openedAt"]) == timedelta(minutes=30)
        normal = (await opened(customer=customer))["issue"]
        assert parsed(normal["respondBy"]) - parsed(normal["openedAt"]) == timedelta(hours=24)
    finally:
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            conn.execute("alter table crm.changes disable trigger guard")
            conn.execute(
                "select set_config('crm.call_id', '1', true), set_config('crm.org_id', %s, true)", (str(org),)
            )
            conn.execute("delete from crm.org_settings where org_id = %s", (org,))
            conn.execute("alter table crm.changes enable trigger guard")


@pytest.mark.parametrize(("over", "covered"), [(0, True), (1, False)])
async def test_a_warranty_ends_its_months_after_shipping_in_the_orgs_zone(
    lab, approver, customer, opened, over, covered
):
    product = await lab.product("5", warranty_months=12)
    day = months_before(today(), 12) - timedelta(days=over)
    order = await shipped(lab, approver, customer, product, day)
    made = await opened(customer=customer, order=order, type="warranty")
    last = date.fromisoformat(made["issue"]["warrantyUntil"])
    assert made["issue"]["product"]["id"] == product
    assert (last >= today()) is covered
    assert made["meta"]["underWarranty"] is covered
    assert made["held"].get("warnings", []) == ([] if covered else [f"The warranty ended on {last}."])


async def test_without_an_order_the_latest_shipped_one_counts_and_a_cancelled_one_does_not(
    lab, approver, customer, opened
):
    product = await lab.product("5", warranty_months=24)
    for days, status in ((400, "shipped"), (100, "completed"), (5, "cancelled")):
        await shipped(lab, approver, customer, product, today() - timedelta(days=days), status)
    await lab.order(customer, "5", ago(1), "confirmed", product)
    await shipped(lab, approver, await lab.customer("Another"), product, today())
    until = date.fromisoformat((await opened(customer=customer, product=product))["issue"]["warrantyUntil"])
    assert months_before(until, 24) in {today() - timedelta(days=100 + slack) for slack in range(4)}


@pytest.mark.parametrize(("starts", "found"), [(0, True), (1, False)])
async def test_a_warranty_of_its_own_counts_once_it_has_begun(lab, customer, opened, starts, found):
    product = await lab.product("5")
    row = {"customer_id": int(customer[5:]), "product_id": int(product[5:])}
    ends = today() + timedelta(days=900)
    await lab.add(Warranty, {**row, "starts_on": today() + timedelta(days=starts), "ends_on": ends})
    await lab.add(Warranty, {**row, "starts_on": today(), "ends_on": ends + timedelta(days=9), "archived_at": ago(1)})
    made = (await opened(customer=customer, product=product))["issue"]
    assert made.get("warrantyUntil") == (ends.isoformat() if found else None)


async def test_a_warranty_issue_without_a_warranty_is_allowed_with_a_warning(lab, customer):
    product = await lab.product("5")
    asked = {**REPORT, "customer": customer, "type": "warranty"}
    told = await lab.ask("create_issue", {**asked, "product": product})
    assert told["type"] == "approval_required" and "No warranty was found" in told["warnings"][0]
    told = await lab.ask("create_issue", asked)
    assert "No product is named" in told["warnings"][0]


async def test_an_order_of_several_products_asks_which(lab, customer):
    first, second = await lab.product("5", warranty_months=9), await lab.product("6", warranty_months=9)
    order = await lab.order(customer, "5", ago(1), "shipped", first)
    line = {
        "order_id": int(order[4:]),
        "product_id": int(second[5:]),
        "position": 2,
        "description": "x",
        "quantity": 1,
    }
    await lab.add(OrderLine, {**line, "unit_price": 5, "net_amount": 5, "tax_amount": 0})
    told = await lab.ask("create_issue", {**REPORT, "customer": customer, "order": order})
    assert first in told["warnings"][0] and second in told["warnings"][0]


async def test_a_similar_open_issue_is_pointed_out(lab, customer):
    product = await lab.product("5")
    same = await issue(lab, customer, title="Something else", product_id=int(product[5:]))
    words = await issue(lab, customer, title="LEAKS: the Pump?", status="waiting")
    await issue(lab, customer, title="The pump leaks", status="resolved")
    await issue(lab, await lab.customer("Other"), title="The pump leaks")
    told = await lab.ask("create_issue", {**REPORT, "customer": customer, "product": product})
    assert told["warnings"] == [
        f"A similar issue is open: {words} LEAKS: the Pump?",
        f"A similar issue is open: {same} Something else",
    ]


async def test_another_customers_order_or_contact_and_a_product_beside_the_order_are_refused(lab, customer):
    other, product = await lab.customer("Other"), await lab.product("5")
    (contact,) = await lab.add(Contact, {"customer_id": int(other[5:]), "name": "Otto"})
    order = await lab.order(customer, "5", ago(1), "shipped", await lab.product("7"))
    for more, argument in (
        ({"order": await lab.order(other, "5", ago(1))}, "order"),
        ({"contact": f"cont_{contact}"}, "contact"),
        ({"order": order, "product": product}, "product"),
    ):
        told = await lab.ask("create_issue", {**REPORT, "customer": customer, **more})
        assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", argument)
    for more in ({"customer": "cust_999999999"}, {"order": "ord_999999999"}, {"product": "prod_999999999"}):
        told = await lab.ask("create_issue", {**REPORT, "customer": customer, **more})
        assert told["error"].endswith("_NOT_FOUND")


async def test_a_hostile_title_is_kept_and_shown_as_data(lab, customer, opened, owner_asks):
    made = await opened(customer=customer, title=ODD)
    assert made["issue"]["title"] == ODD
    assert owner_asks("select title from crm.issues where id = %s", int(made["issue"]["id"][4:])) == ODD
    assert made["held"]["summary"] == f"Nothing has changed yet. It would open the normal issue {ODD} for Reporter."


@pytest.mark.parametrize("title", ["", "\u200b\u200d", " \t", "x" * 401])
async def test_a_title_that_nobody_can_read_is_refused(lab, customer, title):
    told = await lab.ask("create_issue", {**REPORT, "customer": customer, "title": title}, LUX)
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "title")
