import json
from datetime import timedelta
from decimal import Decimal

import pytest
from lab import LEA, LOU, LUX, ago, today

from crm_mcp.crm import insights, rules
from crm_mcp.crm.models import Activity, Customer, Invoice, Issue, Quote
from crm_mcp.principal import Role


@pytest.mark.parametrize(("late", "overdue"), [(0, False), (1, True)])
async def test_an_invoice_is_overdue_from_the_day_after_it_fell_due(lab, late, overdue):
    customer = await lab.customer("Edge")
    await lab.invoice(customer, today() - timedelta(days=late))
    told = await lab.ask("get_customer", {"customer": customer})
    assert told["_meta"]["hasOverdueInvoices"] is overdue
    assert (told["_display"].get("badge") == "overdue") is overdue
    if overdue:
        assert "EUR 100.00 open, 1 days overdue" in told["_meta"]["suggestedNextActions"][0]


async def test_a_paid_invoice_is_never_overdue(lab):
    customer = await lab.customer("Payer")
    await lab.invoice(customer, today() - timedelta(days=90), "100", "100")
    assert (await lab.ask("get_customer", {"customer": customer}))["_meta"]["hasOverdueInvoices"] is False


@pytest.mark.parametrize(
    ("orders", "churn"),
    [((), None), ((180.1,), "low"), ((181.1,), "medium"), ((365.1,), "medium"), ((366.1,), "high"),
     ((50.1, 31.1, 12.1), "low"), ((70.1, 50.1, 30.1), "low"), ((71.1, 51.1, 31.1), "medium"), ((100.1, 80.1, 60.1), "medium"), ((101.1, 81.1, 61.1), "high"),
     ((200.1, 100.1), "low"), ((226.1, 126.1), "medium"), ((301.2, 201.1), "high")],
)  # fmt: skip
async def test_churn_is_judged_by_the_customers_own_rhythm(lab, orders, churn):
    customer = await lab.customer("Churner")
    for days in orders:
        await lab.order(customer, "10", ago(days))
    await lab.order(customer, "10", ago(1), "cancelled")
    assert (await lab.ask("get_customer", {"customer": customer}))["_meta"].get("churnRisk") == churn


@pytest.mark.parametrize(
    ("gross", "value"), [("9999.99", "low"), ("10000.00", "medium"), ("49999.99", "medium"), ("50000.00", "high")]
)
async def test_lifetime_value_turns_at_its_edges(lab, gross, value):
    customer = await lab.customer("Valued")
    await lab.order(customer, gross, ago(3))
    await lab.order(customer, "99999", ago(2), "cancelled")
    told = await lab.ask("get_customer", {"customer": customer})
    assert told["_meta"]["lifetimeValue"] == value
    assert told["customer"]["summary"]["revenue"] == {"amount": gross, "currency": "EUR"}


async def test_silence_and_urgent_issues_suggest_what_to_do(lab):
    customer = await lab.customer("Silent")
    number = int(customer[5:])
    await lab.add(Activity, {"customer_id": number, "kind": "call", "subject": "x", "happened_at": ago(91.1)})
    await lab.add(
        Issue, {"customer_id": number, "title": "Leak", "status": "open", "priority": "urgent", "opened_at": ago(1)}
    )
    meta = (await lab.ask("get_customer", {"customer": customer}))["_meta"]
    assert meta["daysSinceLastContact"] == 91
    assert meta["suggestedNextActions"] == ["Look at 1 urgent open issue(s)", "Get in touch: no contact for 91 days"]


@pytest.mark.parametrize(
    ("owed", "ordered", "percent", "over"),
    [("100.00", "0", 10, False), ("600.00", "399.99", 99, False), ("600.00", "400.00", 100, False), ("600.00", "400.01", 100, True)],
)  # fmt: skip
async def test_credit_used_is_open_invoices_and_orders_not_yet_invoiced(bureau, owed, ordered, percent, over):
    (number,) = await bureau.add(Customer, {"name": "Limited", "credit_limit": Decimal(1000)})
    await bureau.invoices(
        {"customer": number, "issued": today(), "gross": owed},
        {"customer": number, "issued": today(), "gross": "70.00", "paid": "70.00"},
        {"customer": number, "issued": today(), "gross": "70.00", "currency": "USD", "base": None},
    )
    row = {"customer": number, "placed": ago(1), "net": ordered}
    (_, _, _, shipped, invoiced) = await bureau.orders(
        {**row, "status": "confirmed"},
        {**row, "net": "500", "status": "completed"},
        {**row, "net": "500", "status": "cancelled"},
        {**row, "net": "0", "status": "shipped"},
        {**row, "net": "500", "status": "shipped"},
    )
    assert shipped
    paid = {
        "customer_id": number,
        "order_id": invoiced,
        "currency": "EUR",
        "net_total": Decimal(500),
        "tax_total": Decimal(0),
    }
    await bureau.add(
        Invoice,
        {**paid, "gross_total": Decimal(500), "paid_total": Decimal(500), "issued_on": today(), "due_on": today()},
    )
    meta = (await bureau.ask("get_customer", {"customer": f"cust_{number}"}))["_meta"]
    used = str((Decimal(owed) + Decimal(ordered)).quantize(Decimal("0.01")))
    assert meta["creditUsed"] == {
        "used": {"amount": used, "currency": "EUR"},
        "limit": {"amount": "1000.00", "currency": "EUR"},
        "percent": percent,
    }
    assert (f"Check the credit limit: {used} of EUR 1000.00 used" in meta["suggestedNextActions"]) is over


async def test_without_a_limit_no_credit_is_told(lab):
    customer = await lab.customer("Unlimited")
    await lab.invoice(customer, today())
    assert "creditUsed" not in (await lab.ask("get_customer", {"customer": customer}))["_meta"]


async def test_a_quote_is_open_through_its_last_day_and_followed_up_from_a_week_before(lab):
    customer = await lab.customer("Quoted")
    row = {
        "customer_id": int(customer[5:]), "currency": "EUR", "net_total": Decimal(1), "tax_total": Decimal(0),
        "gross_total": Decimal(1), "quoted_at": ago(3), "status": "open",
    }  # fmt: skip

    async def told(*quotes):
        await lab.add(Quote, *({**row, "valid_until": today() + timedelta(days=n), "status": s} for n, s in quotes))
        meta = (await lab.ask("get_customer", {"customer": customer}))["_meta"]
        return meta["openQuotes"], meta["suggestedNextActions"]

    assert await told((-1, "open"), (3, "declined"), (3, "accepted"), (8, "open")) == (1, [])
    count, (followed,) = await told((7, "open"))
    assert count == 2 and followed.endswith(f"valid until {today() + timedelta(days=7)}")
    count, (followed,) = await told((0, "open"))
    assert count == 3 and followed.endswith(f"valid until {today()}")


async def test_open_issues_are_counted_and_late_ones_suggested(lab):
    customer = await lab.customer("Troubled")
    row = {"customer_id": int(customer[5:]), "title": "x", "priority": "high", "opened_at": ago(3), "type": "problem"}
    await lab.add(
        Issue,
        {**row, "status": "open", "resolve_by": ago(0.1)},
        {**row, "status": "open", "resolve_by": ago(-0.1)},
        {**row, "status": "waiting", "resolve_by": ago(0.1)},
        {**row, "status": "resolved", "resolve_by": ago(0.1)},
        {**row, "status": "closed", "resolve_by": ago(0.1)},
    )
    meta = (await lab.ask("get_customer", {"customer": customer}))["_meta"]
    assert meta["openIssues"] == 3
    assert meta["suggestedNextActions"] == ["Resolve 1 issue(s) past their time"]


@pytest.mark.parametrize(("days", "suggested"), [(90.9, False), (91.1, True)])
async def test_silence_suggests_a_call_after_ninety_days(lab, days, suggested):
    customer = await lab.customer("Quiet")
    about = {"customer_id": int(customer[5:]), "kind": "call", "subject": "x"}
    await lab.add(
        Activity, {**about, "happened_at": ago(days), "archived_at": None}, {**about, "happened_at": ago(1), "archived_at": ago(0)}
    )  # fmt: skip
    meta = (await lab.ask("get_customer", {"customer": customer}))["_meta"]
    assert meta["daysSinceLastContact"] == int(days)
    assert bool(meta["suggestedNextActions"]) is suggested


async def test_who_may_not_read_invoices_is_told_nothing_that_follows_from_them(lab):
    plain, owing = await lab.customer("Plain"), await lab.customer("Owing", credit_limit=Decimal(10))
    await lab.invoice(owing, today() - timedelta(days=5))
    told = [await lab.ask("get_customer", {"customer": customer}, LUX) for customer in (plain, owing)]
    assert told[0]["_meta"] == told[1]["_meta"] and told[0]["_display"].keys() == told[1]["_display"].keys()
    assert told[1]["_display"].get("badge") is None
    assert told[1]["_meta"].keys() == {"lifetimeValue", "openQuotes", "openIssues", "suggestedNextActions"}
    seller = await lab.ask("get_customer", {"customer": owing}, LOU)
    assert seller["_meta"]["hasOverdueInvoices"] and seller["_meta"]["creditUsed"]["percent"] == 1000
    assert len(seller["_meta"]["suggestedNextActions"]) == 2


@pytest.mark.parametrize(("email", "role"), [(LEA, Role.ADMIN), (LUX, Role.SUPPORT)])
async def test_every_insight_that_is_told_has_its_rule_and_every_rule_its_insight(lab, email, role):
    customer = await lab.customer("Known", credit_limit=Decimal(10))
    await lab.order(customer, "5", ago(1))
    await lab.add(Activity, {"customer_id": int(customer[5:]), "kind": "call", "subject": "x", "happened_at": ago(1)})
    meta = (await lab.ask("get_customer", {"customer": customer}, email))["_meta"]
    assert set(meta) - {"waiting", "decided"} == set(insights.rules(role)), "beside what stands of drafts"


@pytest.mark.parametrize("role", Role)
def test_only_who_may_read_invoices_has_rules_and_statements_of_them(role):
    finance = role in insights.FINANCE
    assert finance is (role is not Role.SUPPORT)
    assert ("invoice" in str(insights.rules(role))) is finance
    assert ("crm.invoices" in insights.facts(role)) is finance


@pytest.mark.parametrize("email", [LEA, LUX])
async def test_the_schema_registry_shows_the_rules_of_the_role(lab, email):
    async with lab.connect(email) as client:
        found = json.loads((await client.read_resource("crm://schema")).contents[0].text)
    assert found["insights"] == rules.rules(Role.ADMIN if email == LEA else Role.SUPPORT)


async def test_only_what_is_included_comes(lab):
    customer = await lab.customer("Plain", city="Sète")
    told = (await lab.ask("get_customer", {"customer": customer, "include": ["address"]}))["customer"]
    assert set(told) == {"id", "name", "kind", "address"}
    assert told["address"] == {"city": "Sète"}
