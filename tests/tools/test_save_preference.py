import asyncio

import pytest
from lab import LEA, LOU, LUX

from crm_mcp.memory.applying import WISHABLE
from crm_mcp.principal import Agent

WHY = {"reason": "they said so"}


async def save(lab, text, email=LOU, served=None, **more):
    return await lab.ask("save_preference", {"text": text, **WHY, **more}, email, **(served or {}))


async def texts(lab, email=LOU, **asked):
    return [one["text"] for one in (await lab.ask("find_preferences", asked, email))["preferences"]]


async def test_it_is_remembered_at_once_and_whoami_tells_it_at_the_next_start(lab):
    told = await save(lab, "Sort orders by due date.")
    assert told["type"] == "result" and told["preference"]["confidence"] == 0.9
    assert "Sort orders by due date." in await texts(lab)
    me = await lab.ask("whoami", {}, LOU)
    assert f"Sort orders by due date. ({told['preference']['id']})" in me["_meta"]["preferences"]


async def test_it_is_its_persons_alone(lab):
    told = await save(lab, "Only Lou wants this.")
    number = told["preference"]["id"]
    assert "Only Lou wants this." not in await texts(lab, LEA)
    assert "preferences" not in (await lab.ask("whoami", {}, LUX))["_meta"] or "Only Lou" not in str(
        await lab.ask("whoami", {}, LUX)
    )
    refused = await lab.ask("delete_preference", {"preference": number, **WHY}, LEA)
    missing = await lab.ask("delete_preference", {"preference": "pref_999999", **WHY}, LEA)
    assert refused["error"] == missing["error"] == "PREFERENCE_NOT_FOUND"
    assert refused["context"]["hint"] == missing["context"]["hint"]


async def test_personal_data_is_left_out_and_that_is_said(lab, owner_asks):
    told = await save(lab, "Copy ann@mail.example on everything, card 4111 1111 1111 1111.")
    assert told["preference"]["text"] == "Copy [e-mail] on everything, card [card]."
    assert told["warnings"] == ["Left out, since personal data is not remembered: e-mail, card."]
    number = int(told["preference"]["id"][5:])
    kept = owner_asks("select content from crm.preferences where id = %s", number)
    recorded = owner_asks("select string_agg(after::text, '') from crm.changes where tbl = 'preferences'")
    assert "ann@mail" not in kept + recorded and "4111" not in kept + recorded


async def test_what_is_nothing_but_personal_data_is_refused(lab):
    assert (await save(lab, "ann@mail.example, +49 30 901820"))["error"] == "NOTHING_LEFT"


async def test_the_same_again_takes_its_place(lab):
    first = await save(lab, "Write dates as 30.11.", confidence=0.9)
    again = await save(lab, "WRITE DATES AS 30.11.", confidence=0.95)
    assert again["preference"]["id"] == first["preference"]["id"] and again["preference"]["confidence"] == 0.95
    assert [text for text in await texts(lab) if "30.11" in text] == ["WRITE DATES AS 30.11."]


async def test_an_agents_is_marked_as_an_agents(lab):
    told = await save(lab, "An agent noticed this.", LUX, {"agent": Agent.SETTINGS}, kind="pattern")
    assert told["preference"]["confidence"] == 0.5
    (found,) = [
        one
        for one in (await lab.ask("find_preferences", {"kind": "pattern"}, LUX))["preferences"]
        if one["text"] == "An agent noticed this."
    ]
    assert found["by"] == "settings agent"


async def test_little_confidence_waits_for_a_person(lab):
    assert (await save(lab, "Perhaps.", confidence=0.3))["type"] == "approval_required"


async def test_a_word_is_taken_as_it_is_meant_and_the_answer_says_so(lab, owner_asks):
    customer = await lab.customer("Wishing")
    from lab import ago

    sent = await lab.order(customer, "10", ago(1), "shipped")
    await lab.order(customer, "20", ago(2), "completed")
    asked = {"customer": customer, "status": "sent"}
    before = await lab.ask("get_orders", asked, LEA)
    assert before["error"] == "INVALID_ARGUMENT"
    apply = "get_orders.status: Sent = shipped"
    told = await save(lab, "By sent I mean shipped.", LEA, kind="correction", apply=apply)
    number = told["preference"]["id"]
    after = await lab.ask("get_orders", asked, LEA)
    assert [one["id"] for one in after["orders"]] == [sent]
    assert after["_meta"]["applied"] == [f"Sent means shipped, as you asked once ({number})."]
    counted = "select jsonb_build_array(u.uses, p.version) from crm.memory_uses u join crm.preferences p on p.id = u.record_id and u.kind = 'preference' where 'pref_' || p.id = %s"
    assert owner_asks(counted, number) == [1, 1]
    assert (await lab.ask("get_orders", asked, LOU))["error"] == "INVALID_ARGUMENT", "it is Lea's wish alone"
    plain = await lab.ask("get_orders", {"customer": customer, "status": "completed"}, LEA)
    assert len(plain["orders"]) == 1 and "applied" not in plain["_meta"]


async def test_a_default_stands_in_where_nothing_is_said(lab):
    customer = await lab.customer("Defaulted")
    from lab import ago

    for day in range(3):
        await lab.order(customer, "10", ago(day + 1))
    told = await save(lab, "Two orders at a time.", LUX, apply="get_orders.limit = 2")
    try:
        seen = await lab.ask("get_orders", {"customer": customer}, LUX)
        assert len(seen["orders"]) == 2 and "limit is 2" in seen["_meta"]["applied"][0]
        assert len((await lab.ask("get_orders", {"customer": customer, "limit": 3}, LUX))["orders"]) == 3
    finally:
        await lab.ask("delete_preference", {"preference": told["preference"]["id"], **WHY}, LUX)
    assert len((await lab.ask("get_orders", {"customer": customer}, LUX))["orders"]) == 3


async def test_what_no_longer_fits_is_left_out_and_said(lab):
    told = await save(
        lab,
        "A mistake.",
        LUX,
        apply="get_tasks.status: sleeping = no such",
    )
    refused = await lab.ask("get_tasks", {"status": "sleeping"}, LUX)
    assert refused["error"] == "INVALID_ARGUMENT"
    await lab.ask("delete_preference", {"preference": told["preference"]["id"], **WHY}, LUX)
    told = await save(lab, "Worse.", LUX, apply="get_tasks.status=no such")
    seen = await lab.ask("get_tasks", {}, LUX)
    assert seen["_meta"]["notApplied"] == [
        f"{told['preference']['id']} no longer fits; delete_preference forgets it."
    ]
    await lab.ask("delete_preference", {"preference": told["preference"]["id"], **WHY}, LUX)


@pytest.mark.parametrize(
    ("apply", "said"),
    [
        ("get_order.status = x", "can be about find_records"),
        ("record_payment.amount = 1", "can be about"),
        ("get_orders.customer = cust_1", "of get_orders it can be about limit, status"),
        ("get_orders.status: ann@mail.example = shipped", "holds personal data"),
        ("get_orders.status", "is of the shape"),
        ("get_orders.status = ", "is of the shape"),
        ("'; drop table crm.preferences; --", "is of the shape"),
        ("get_orders.status: " + "x" * 61 + " = shipped", "is of the shape"),
    ],
)
async def test_what_can_not_be_applied_is_named(lab, apply, said):
    refused = await save(lab, "Do this.", apply=apply)
    assert (refused["error"], refused["context"]["argument"]) == ("INVALID_ARGUMENT", "apply")
    assert said in refused["context"]["hint"]


def test_wishes_are_for_lists_that_there_are_and_never_for_a_write_or_a_record():
    from crm_mcp.catalog import rows

    for tool, arguments in WISHABLE.items():
        row = rows()[tool]
        assert row["effect"] == "read" and arguments <= row["wire"]["inputSchema"]["properties"].keys()
        assert not arguments & {"customer", "record", "query", "filters", "cursor"}


async def test_two_at_once_are_one(lab):
    apply = "get_quotes.status:out=open"
    both = await asyncio.gather(*(save(lab, f"Out is open, {n}.", apply=apply) for n in range(4)))
    assert all(
        one.get("type") == "result" or one.get("error") in ("CONFLICT", "BUSY", "DUPLICATE") for one in both
    ), both
    assert len([text for text in await texts(lab) if text.startswith("Out is open")]) == 1
