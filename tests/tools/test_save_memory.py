import asyncio
import json

import pytest
from lab import LEA, LOU, LUX, NIA

from crm_mcp.memory.kinds import DETAILS

WHY = {"reason": "they said so"}
PII = {
    "e-mail": "ann@mail.example",
    "IBAN": "DE89 3704 0044 0532 0130 00",
    "card": "4111 1111 1111 1111",
    "SSN": "536-90-4399",
    "IP address": "192.168.10.4",
    "phone": "+49 30 901820",
}


async def remember(lab, about, text, kind="lead_interaction", email=LOU, **more):
    asked = {"kind": kind, "text": text, **WHY, **more}
    return await lab.ask("save_memory", asked if about is None else {"about": about, **asked}, email)


async def noted(lab, about, email=LOU, **asked):
    found = await lab.ask("find_notes_on", {"about": about, **asked}, email)
    assert "notes" in found, found
    return found["notes"]


async def test_a_demo_is_remembered_for_a_year_with_its_fields(lab, owner_asks):
    lead = await lab.customer("Automators")
    told = await remember(
        lab,
        lead,
        "Demonstrated enterprise features. Impressed with automation.",
        details={"interaction_type": "demo", "outcome": "positive", "next_steps": ["Send pricing"]},
    )
    assert told["type"] == "result", told
    assert told["memory"]["about"] == {"id": lead, "name": "Automators"}
    (one,) = await noted(lab, lead, LUX)
    assert one["details"] == {"interaction_type": "demo", "outcome": "positive", "next_steps": ["Send pricing"]}
    assert (one["kind"], one["source"], one["confidence"], one["by"]) == (
        "lead_interaction",
        "person",
        0.9,
        "Lou Lind",
    )
    days = "select round(extract(epoch from expires_at - clock_timestamp()) / 86400) from crm.learnings where 'mem_' || id = %s"
    assert owner_asks(days, told["memory"]["id"]) == 365


@pytest.mark.parametrize(
    ("kind", "kept", "hours"),
    [
        ("chat_conversation", "short", 1),
        ("email_thread", "medium", 30 * 24),
        ("lead_interaction", "long", 365 * 24),
        ("meeting_summary", "long", 365 * 24),
    ],
)
async def test_each_kind_is_kept_as_long_as_it_is_of_use(lab, owner_asks, kind, kept, hours):
    told = await remember(lab, await lab.customer(f"Kept {kind}"), "Something.", kind)
    assert told["memory"]["retention"] == kept
    left = "select round(extract(epoch from expires_at - clock_timestamp()) / 3600) from crm.learnings where 'mem_' || id = %s"
    assert owner_asks(left, told["memory"]["id"]) == hours


async def test_what_came_of_a_campaign_is_kept_for_good_and_needs_no_record(lab, owner_asks):
    told = await remember(lab, None, "Mails on Tuesdays did best.", "campaign_result", details={"campaign": "Spring"})
    assert told["memory"]["retention"] == "permanent"
    end = "select expires_at is null from crm.learnings where 'mem_' || id = %s"
    assert owner_asks(end, told["memory"]["id"]) is True


async def test_a_memory_may_be_kept_shorter(lab):
    told = await remember(lab, await lab.customer("Shorter"), "For now.", retention="short")
    assert told["memory"]["retention"] == "short"


@pytest.mark.parametrize("kind", sorted(DETAILS))
async def test_fields_of_another_kind_are_refused_and_those_there_are_named(lab, kind):
    needed = {"campaign": "Spring"} if kind == "campaign_result" else {}
    refused = await remember(
        lab, await lab.customer(f"Fields {kind}"), "x", kind, details={"shoe_size": 44, **needed}
    )
    assert (refused["error"], refused["context"]["argument"]) == ("INVALID_ARGUMENT", "details.shoe_size")
    assert "There is no argument 'shoe_size'" in refused["context"]["hint"]
    assert refused["context"]["fields"] == list(DETAILS[kind].model_fields)


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("lead_interaction", {"key_points": ["x"] * 11}),
        ("lead_interaction", {"next_steps": ["x" * 301]}),
        ("lead_interaction", {"outcome": "splendid"}),
        ("meeting_summary", {"held_on": "yesterday"}),
        ("campaign_result", {"campaign": "a", "reached": -1}),
        ("campaign_result", {}),
        ("email_thread", {"awaiting": {"us": True}}),
    ],
)
async def test_fields_are_bounded(lab, kind, details):
    refused = await remember(lab, await lab.customer("Bounded"), "x", kind, details=details)
    assert refused["error"] == "INVALID_ARGUMENT" and refused["context"]["argument"].startswith("details."), refused


async def test_what_is_of_a_record_names_it(lab):
    refused = await remember(lab, None, "Somebody called.")
    assert (refused["error"], refused["context"]["argument"]) == ("INVALID_ARGUMENT", "about")
    assert (await remember(lab, "cust_999999999", "x"))["error"] == "CUSTOMER_NOT_FOUND"


def full(model):
    """Return every field of a kind that holds words, each with every kind of personal data."""
    everything = "; ".join(PII.values())
    filled = {}
    for name, field in model.model_fields.items():
        if "Literal" in str(field.annotation) or "date" in str(field.annotation) or "int" in str(field.annotation):
            continue
        filled[name] = [f"Point: {everything}"] if "list" in str(field.annotation) else f"Word: {everything}"
    return filled


@pytest.mark.parametrize("kind", sorted(DETAILS))
async def test_personal_data_in_no_field_is_kept_recorded_embedded_or_told(lab, owner_asks, kind):
    customer = await lab.customer(f"Private {kind}")
    everything = "; ".join(PII.values())
    told = await remember(lab, customer, f"Reach them: {everything}.", kind, details=full(DETAILS[kind]))
    assert told["memory"]["redacted"] == list(PII), told
    assert told["warnings"] == [f"Left out, since personal data is not remembered: {', '.join(PII)}."]
    number = int(told["memory"]["id"][4:])
    kept = owner_asks(
        "select content || data::text || redacted::text || contains_pii::text from crm.learnings where id = %s",
        number,
    )
    recorded = owner_asks(
        "select string_agg(after::text, '') from crm.changes where tbl = 'learnings' and (key ->> 'id')::bigint = %s",
        number,
    )
    found = json.dumps(await noted(lab, customer))
    for value in PII.values():
        assert value not in kept + recorded + found + json.dumps(told)
    assert "true" in kept and "content" not in json.loads(recorded)


async def test_a_national_number_is_personal_data_where_the_org_is(lab):
    """The lab is on Kiritimati: +686."""
    told = await remember(lab, await lab.customer("Islanders"), "Ring +686 73012345 for the harbour.")
    assert told["memory"]["text"] == "Ring [phone] for the harbour."


async def test_what_is_nothing_but_personal_data_is_refused(lab):
    assert (await remember(lab, await lab.customer("Nothing"), "ann@mail.example"))["error"] == "NOTHING_LEFT"


async def test_the_same_once_more_is_the_one_there_is(lab):
    customer = await lab.customer("Twice")
    both = await asyncio.gather(
        *(remember(lab, customer, "They like tea.", idempotency_key=f"t{n}") for n in range(3))
    )
    assert len({one["memory"]["id"] for one in both if one["type"] == "result"}) == 1
    assert len(await noted(lab, customer)) == 1


async def test_a_chat_is_its_persons_alone_and_other_memories_are_of_whoever_sees_the_record(lab):
    customer = await lab.customer("Shared")
    chat = await remember(lab, customer, "We talked about lunch.", "chat_conversation")
    await remember(lab, customer, "They want blue ones.")
    assert {one["text"] for one in await noted(lab, customer)} == {"We talked about lunch.", "They want blue ones."}
    for other in (LEA, LUX, NIA):
        assert [one["text"] for one in await noted(lab, customer, other)] == ["They want blue ones."]
    refused = await lab.ask("delete_preference", {"preference": chat["memory"]["id"], **WHY}, LEA)
    missing = await lab.ask("delete_preference", {"preference": "mem_999999", **WHY}, LEA)
    assert refused["error"] == missing["error"] == "MEMORY_NOT_FOUND"
    assert refused["context"]["hint"] == missing["context"]["hint"]


async def test_what_is_about_a_record_that_a_role_does_not_see_does_not_exist_for_it(lab):
    from crm_mcp.crm.models import Deal

    customer = await lab.customer("With a deal")
    (number,) = await lab.add(Deal, {"customer_id": int(customer[5:]), "name": "Big"})
    told = await remember(lab, f"deal_{number}", "They will sign.")
    assert told["type"] == "result", told
    assert [one["about"]["id"] for one in await noted(lab, customer)] == [f"deal_{number}"]
    assert await noted(lab, customer, LUX) == []
    assert (await lab.ask("find_notes_on", {"about": f"deal_{number}"}, LUX))["error"] == "DEAL_NOT_FOUND"
    asked = {"preference": told["memory"]["id"], **WHY}
    assert (await lab.ask("delete_preference", asked, LUX))["error"] == "MEMORY_NOT_FOUND"


async def test_another_org_has_none_of_it(lab):
    customer = await lab.customer("Ours alone")
    told = await remember(lab, customer, "Ours.")
    other = "ada@demo.example"
    refused = await lab.ask("delete_preference", {"preference": told["memory"]["id"], **WHY}, other)
    assert refused["error"] == "MEMORY_NOT_FOUND"
    assert (await lab.ask("find_notes_on", {"about": customer}, other)).get("notes", []) == []


async def test_free_form_queries_tell_that_memories_are_there_and_neither_what_they_say_nor_of_another_persons_chats(
    lab,
):
    customer = await lab.customer("Queried")
    await remember(lab, customer, "We talked.", "chat_conversation")
    await remember(lab, customer, "They pay early.")

    async def ask(query, email):
        asked = {"query": query, "reasoning": "What is there?"}
        return await lab.ask("execute_crm_query", asked, email, toolsets=frozenset({"query"}))

    told = await ask(f"select kind, source from learnings where customer_id = {customer[5:]}", LEA)
    assert told["result"]["rows"] == [["lead_interaction", "person"]]
    for column in ("content", "data"):
        assert "error" in await ask(f"select {column} from learnings", LEA)


async def test_memories_go_with_the_record_into_which_theirs_is_merged(lab, executor, person):
    into, other = await lab.customer("Survivor"), await lab.customer("Duplicate")
    await remember(lab, other, "They like mint.")
    change = {"proposed_action": "merge", "entity_type": "customers", "id": into, "duplicates": [other]}
    held = await lab.ask("propose_changes", {"changes": [change], **WHY}, LEA)
    assert held["type"] == "approval_required" and "1 memory" in held["summary"], held
    lea, draft = await person(LEA), int(held["draft"]["id"][6:])
    assert (await executor.approve(lea, draft, (await executor.show(lea, draft)).hash)).state == "approved"
    assert [one["text"] for one in await noted(lab, into)] == ["They like mint."]


async def test_its_maker_or_an_administrator_deletes_it_and_undo_brings_it_back_to_whoever_did(lab):
    customer = await lab.customer("Deleted")
    told = await remember(lab, customer, "Wrong.")
    asked = {"preference": told["memory"]["id"], **WHY}
    assert (await lab.ask("delete_preference", asked, LUX))["error"] == "MEMORY_NOT_FOUND"
    gone = await lab.ask("delete_preference", asked, LEA)
    assert gone["_display"]["badge"] == "forgotten" and await noted(lab, customer) == []
    nobody = await lab.ask("undo_change", {"change": gone["_meta"]["change"], **WHY}, NIA)
    assert nobody["error"] == "CHANGE_NOT_FOUND"
    assert (await lab.ask("undo_change", {"change": gone["_meta"]["change"], **WHY}, LEA))["type"] == "result"
    assert [one["text"] for one in await noted(lab, customer)] == ["Wrong."]
    undone = await lab.ask("undo_change", {"change": told["_meta"]["change"], **WHY}, LOU)
    assert undone["type"] == "result" and await noted(lab, customer) == []


async def test_what_is_unsure_waits_and_shows_its_approver_what_it_says(lab, executor, person):
    customer = await lab.customer("Unsure")
    held = await remember(lab, customer, "They may leave.", confidence=0.4)
    assert held["type"] == "approval_required" and await noted(lab, customer) == []
    number = int(held["draft"]["id"][6:])
    shown = await executor.show(await person(LEA), number)
    assert shown.shown["record"]["text"] == "They may leave."
    assert (await executor.approve(await person(LEA), number, shown.hash)).state == "approved"
    assert [one["text"] for one in await noted(lab, customer)] == ["They may leave."]
