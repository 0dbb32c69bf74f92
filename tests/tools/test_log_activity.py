from datetime import UTC, datetime, timedelta

import pytest
from lab import LEA, LUX, ago
from supporting import ODD

from crm_mcp.crm.models import Activity, Contact

CALL = {"kind": "call", "subject": "Their new site", "reason": "we spoke"}


async def test_a_call_is_logged_at_once_and_counts_as_contact(lab):
    customer = await lab.customer("Called")
    before = (await lab.ask("get_customer", {"customer": customer}))["_meta"]
    assert "daysSinceLastContact" not in before
    told = await lab.ask("log_activity", {**CALL, "about": customer, "direction": "in", "minutes": 12}, LUX)
    assert told["summary"] == "Done: log a call on Called: Their new site."
    assert (told["activity"]["direction"], told["activity"]["minutes"]) == ("in", 12)
    assert (await lab.ask("get_customer", {"customer": customer}))["_meta"]["daysSinceLastContact"] == 0


async def test_an_activity_on_an_order_is_one_with_its_customer(lab):
    customer = await lab.customer("Ordered")
    order = await lab.order(customer, "5", ago(3))
    when = (datetime.now(UTC) - timedelta(days=5, hours=1)).isoformat()
    await lab.ask("log_activity", {**CALL, "about": order, "happened_at": when, "subject": ODD})
    seen = await lab.ask("get_customer", {"customer": customer, "include": ["activity"]})
    assert seen["_meta"]["daysSinceLastContact"] == 5
    (activity,) = seen["customer"]["activity"]
    assert activity["subject"] == ODD and activity["about"]["id"] == order


async def test_archived_activities_neither_show_nor_count(lab):
    customer = await lab.customer("Archived")
    row = {"customer_id": int(customer[5:]), "kind": "call", "subject": "x"}
    await lab.add(Activity, {**row, "happened_at": ago(40.1)})
    await lab.add(Activity, {**row, "happened_at": ago(2), "archived_at": ago(1)})
    seen = await lab.ask("get_customer", {"customer": customer, "include": ["activity"]})
    assert seen["_meta"]["daysSinceLastContact"] == 40
    assert len(seen["customer"]["activity"]) == 1


@pytest.mark.parametrize(
    "when",
    [
        pytest.param((datetime.now(UTC) + timedelta(days=1)).isoformat(), id="tomorrow"),
        "9999-12-31T23:59:59+00:00",
        "1969-12-31T23:59:59+00:00",
        "0001-01-01T00:00:00+14:00",
        "2026-03-02T14:00:00",
        "yesterday",
    ],
)
async def test_a_time_that_cannot_be_is_refused(lab, when):
    customer = await lab.customer("Timed")
    told = await lab.ask("log_activity", {**CALL, "about": customer, "happened_at": when})
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "happened_at")


async def test_the_first_second_of_1970_is_taken(lab):
    customer = await lab.customer("Epoch")
    told = await lab.ask("log_activity", {**CALL, "about": customer, "happened_at": "1970-01-01T01:00:00+01:00"})
    assert told["activity"]["happenedAt"].startswith("1970-01-01T00:00:00")


async def test_a_contact_must_be_the_customers(lab):
    customer, other = await lab.customer("Mine"), await lab.customer("Other")
    (mine,) = await lab.add(Contact, {"customer_id": int(customer[5:]), "name": "Cora"})
    (theirs,) = await lab.add(Contact, {"customer_id": int(other[5:]), "name": "Otto"})
    told = await lab.ask("log_activity", {**CALL, "about": customer, "contact": f"cont_{mine}"})
    assert told["activity"]["contact"] == f"cont_{mine}"
    told = await lab.ask("log_activity", {**CALL, "about": customer, "contact": f"cont_{theirs}"})
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "contact")
    assert (await lab.ask("log_activity", {**CALL, "about": f"cont_{mine}"}, LEA))["activity"][
        "contact"
    ] == f"cont_{mine}"
    told = await lab.ask("log_activity", {**CALL, "about": customer, "contact": "cont_999999999"})
    assert told["error"] == "CONTACT_NOT_FOUND"
