from datetime import timedelta

import pytest
from lab import ago, today

from crm_mcp.crm.models import Activity, Issue


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


async def test_only_what_is_included_comes(lab):
    customer = await lab.customer("Plain", city="Sète")
    told = (await lab.ask("get_customer", {"customer": customer, "include": ["address"]}))["customer"]
    assert set(told) == {"id", "name", "kind", "address"}
    assert told["address"] == {"city": "Sète"}
