import asyncio

import pytest
from lab import LEA, LUX

from crm_mcp.principal import Agent

ODD = "‏مرحبا <script>alert(1)</script> \u202eevil e\u0301 👩‍👩‍👧‍👦"


async def test_a_note_runs_at_once_as_written_and_is_recorded(lab, owner_asks):
    customer = await lab.customer("Noted")
    told = await lab.ask("add_note", {"about": customer, "body": ODD, "reason": "they said so"}, LUX)
    assert told["type"] == "result" and told["summary"] == "Done: add a note to Noted."
    number = int(told["note"]["id"].removeprefix("note_"))
    assert owner_asks("select body from crm.notes where id = %s", number) == ODD
    changed = "select jsonb_agg(op) from crm.changes where tbl = 'notes' and (key ->> 'id')::bigint = %s"
    assert owner_asks(changed, number) == ["I"]
    seen = await lab.ask("get_customer", {"customer": customer, "include": ["notes"]})
    assert [(n["text"], n["writtenBy"]) for n in seen["customer"]["notes"]] == [(ODD, "Lux Lehr")]


async def test_a_note_by_an_agent_bears_its_name(lab):
    customer = await lab.customer("Noted")
    await lab.ask("add_note", {"about": customer, "body": "x", "reason": "they said so"}, LEA, agent=Agent.SUPPORT)
    assert (await lab.ask("get_customer", {"customer": customer, "include": ["notes"]}))["customer"]["notes"][0][
        "viaAgent"
    ] == "support"


async def test_little_confidence_holds_a_note(lab):
    customer = await lab.customer("Noted")
    told = await lab.ask(
        "add_note", {"about": customer, "body": "maybe", "reason": "they said so", "confidence": 0.84}
    )
    assert told["type"] == "approval_required"


async def test_a_reason_that_says_nothing_is_refused(lab):
    customer = await lab.customer("Noted")
    told = await lab.ask("add_note", {"about": customer, "body": "x", "reason": "  ."})
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "reason")


@pytest.mark.parametrize("argument", ["body", "reason"])
@pytest.mark.parametrize(
    "blank",
    [" ", " \r\n\t\x0b", "\u00a0\u2003\u3000", "\u200b\u200d\u2060\ufeff", " \u00ad\u202e\u2800\u3164 ", "\ufe0f\u034f\u2028"],
)  # fmt: skip
async def test_words_that_nobody_sees_are_refused(lab, owner_asks, argument, blank):
    customer, before = await lab.customer("Noted"), owner_asks("select count(*) from crm.notes")
    asked = {"about": customer, "body": "x", "reason": "they said so", argument: blank}
    told = await lab.ask("add_note", asked)
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", argument)
    assert told["context"]["hint"] == f"{argument}: is blank."
    assert owner_asks("select count(*) from crm.notes") == before


@pytest.mark.parametrize("body", [" .", "\u200bx", "👍", "‏مرحبا"])
async def test_the_shortest_words_are_kept_as_written(lab, body):
    customer = await lab.customer("Noted")
    told = await lab.ask("add_note", {"about": customer, "body": body, "reason": "they said so"})
    assert told["note"]["text"] == body


@pytest.mark.parametrize("confidence", [True, False, "0.9", "1"])
async def test_a_confidence_that_is_no_number_is_refused(lab, confidence):
    customer = await lab.customer("Noted")
    told = await lab.ask(
        "add_note", {"about": customer, "body": "x", "reason": "they said so", "confidence": confidence}
    )
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "confidence")
    assert "valid number" in told["context"]["hint"]


@pytest.mark.parametrize(("confidence", "answered"), [(1, "result"), (1.0, "result"), (0, "approval_required")])
async def test_a_confidence_may_be_a_whole_number(lab, confidence, answered):
    customer = await lab.customer("Noted")
    told = await lab.ask(
        "add_note", {"about": customer, "body": "x", "reason": "they said so", "confidence": confidence}
    )
    assert told["type"] == answered


async def test_the_same_key_writes_one_note(lab, owner_asks):
    customer = await lab.customer("Noted")
    asked = {"about": customer, "body": "once", "reason": "they said so", "idempotency_key": "k1"}
    first, second = await lab.ask("add_note", asked), await lab.ask("add_note", asked)
    assert first["note"]["id"] == second["note"]["id"]


async def test_a_key_that_stood_for_another_note_is_refused(lab):
    customer = await lab.customer("Noted")
    asked = {"about": customer, "body": "first", "reason": "they said so", "idempotency_key": "k2"}
    await lab.ask("add_note", asked)
    told = await lab.ask("add_note", {**asked, "body": "second"})
    assert told["error"] == "IDEMPOTENCY_KEY_REUSED"


async def test_two_calls_at_once_under_one_key_write_one_note(lab, owner_asks):
    customer = await lab.customer("Noted")
    asked = {"about": customer, "body": "at once", "reason": "they said so", "idempotency_key": "k3"}
    answers = await asyncio.gather(*(lab.ask("add_note", asked) for _ in range(4)))
    assert len({answer["note"]["id"] for answer in answers}) == 1


async def test_a_repeated_call_says_so_and_where_the_principal_stands_now(lab):
    customer = await lab.customer("Noted")
    asked = {"about": customer, "body": "again", "reason": "they said so", "idempotency_key": "k4"}
    await lab.ask("add_note", asked)
    told = await lab.ask("add_note", asked)
    assert told["_meta"]["repeated"] is True
    assert told["note"]["text"] == "again"
