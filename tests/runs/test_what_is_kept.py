"""Personal data is taken out before a word is kept; what was said exactly goes with the end of its run, the rest after 30 days."""

import json

import psycopg
import pytest
from spoken import answered, asked, called, said

from crm_mcp.principal import Agent
from crm_mcp.runs import opening
from crm_mcp.runs.redacting import kept
from crm_mcp.worker import round_of_work

MAIL, CARD, PHONE = "kim.lee@post.example", "4111 1111 1111 1111", "+49 30 901820"
PRIVATE = (MAIL, CARD, PHONE)


def test_personal_data_is_taken_out_of_every_text_of_a_message():
    message = called(
        "send_email_draft", to=[MAIL], body={"a": [f"Call {PHONE}", {MAIL: CARD}]}, card=4111111111111111
    )
    one = kept(message)
    assert not any(text in json.dumps(one.content) for text in (*PRIVATE, "4111111111111111"))
    assert one.redacted == ("e-mail", "card", "phone")
    assert one.exact == message
    (part,) = one.content["parts"]
    assert (part["tool_name"], part["tool_call_id"], part["args"]["to"]) == (
        "send_email_draft",
        "call_1",
        ["[e-mail]"],
    )


def test_arguments_that_came_as_text_stay_json():
    message = called("x")
    message["parts"][0]["args"] = json.dumps({"card": 4111111111111111, "to": MAIL})
    (part,) = kept(message).content["parts"]
    assert json.loads(part["args"]) == {"card": "[card]", "to": "[e-mail]"}
    message["parts"][0]["args"] = f'{{"to": {MAIL}'
    (part,) = kept(message).content["parts"]
    assert part["args"] == '{"to": [e-mail]'


def test_the_programs_instructions_are_not_kept():
    message = asked("Hello")
    message["parts"].insert(0, {"part_kind": "system-prompt", "content": "You are."})
    one = kept(message)
    assert "You are" not in json.dumps([one.content, one.exact])
    assert [part["part_kind"] for part in one.content["parts"]] == ["user-prompt"]


async def test_while_a_run_goes_on_it_is_kept_as_it_was_said_and_afterwards_without_personal_data(
    agent_db, sam, owner_asks, kept_of
):
    request = f"Write to {MAIL}, card {CARD}"
    opened = await opening.open_run(agent_db, sam, request)
    row = "select to_jsonb(r) from crm.agent_runs r where r.id = %s"
    assert owner_asks(row, opened.run)["exact"] == request
    assert owner_asks(row, opened.run)["asked"] == "Write to [e-mail], card [card]"
    await opened.hold.step(
        Agent.CUSTOMER,
        [asked(request), called("get_customer", customer=MAIL), answered("get_customer", {"phone": PHONE})],
        carry={"handoff": {"userIntent": request}},
    )
    assert [item["redacted"] for item in kept_of(opened.run)] == [["e-mail", "card"], ["e-mail"], ["phone"]]
    assert MAIL in str(kept_of(opened.run)[0]["exact"]) and MAIL not in str(kept_of(opened.run)[0]["content"])
    await opened.hold.end("finished", f"Told {MAIL}", result=f"I wrote to {MAIL}.")
    everything = json.dumps(
        [
            owner_asks("select jsonb_agg(to_jsonb(x)) from crm.agent_runs x"),
            owner_asks("select jsonb_agg(to_jsonb(x)) from crm.conversations x"),
            kept_of(opened.run),
        ]
    )
    assert not any(text in everything for text in PRIVATE)
    assert (await opening.run(agent_db, sam, opened.run))["result"] == "I wrote to [e-mail]."


@pytest.mark.parametrize("end", ["cancel", "fail", "stall"])
async def test_however_a_run_ends_what_was_said_exactly_goes(
    agent_db, worker_db, sam, kept_of, owner_asks, home, end
):
    opened = await opening.open_run(agent_db, sam, f"Write to {MAIL}")
    await opened.hold.step(Agent.CUSTOMER, [asked(f"Write to {MAIL}")])
    if end == "fail":
        await opened.hold.end("failed", "No.", error="NO_KEY")
    else:
        silent(home, opened.run)
        if end == "cancel":
            assert await opening.cancel(agent_db, sam, opened.run) == "cancelled"
        else:
            await round_of_work(worker_db, None)
    assert owner_asks("select exact from crm.agent_runs where id = %s", opened.run) is None
    assert [item["exact"] for item in kept_of(opened.run)] == [None]


def silent(home, run, age="2 minutes"):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.agent_runs set beat_at = beat_at - %s::interval where id = %s", (age, run))


async def test_what_was_said_is_only_ever_added_to(home, sam, finished):
    run = await finished(sam, "Once")
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        for change in ("content = '{}'", "exact = '{}'", "position = 9", "run_id = run_id + 1"):
            with pytest.raises(psycopg.Error) as caught:
                conn.execute(f"update crm.conversation_items set {change} where run_id = {run}")
            assert caught.value.sqlstate == "42501"


async def test_a_conversation_goes_thirty_days_after_somebody_spoke_in_it_last(
    agent_db, worker_db, home, owner_asks, signed_in, finished, queued
):
    sam, olga = await signed_in("sam"), await signed_in("olga")
    old, young, theirs, live = (
        await finished(sam, "Old"),
        await finished(sam, "Young"),
        await finished(olga, "Theirs, old"),
        await queued(sam, "Still to be done"),
    )
    ages = {old: "30 days 1 minute", young: "29 days 23 hours", theirs: "31 days", live: "40 days"}
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        for run, age in ages.items():
            conn.execute(
                "update crm.conversations c set active_at = clock_timestamp() - %s::interval from crm.agent_runs r"
                " where r.id = %s and r.org_id = c.org_id and r.conversation_id = c.id",
                (age, run),
            )
    await round_of_work(worker_db, None)
    left = "select array_agg(id order by id) from crm.agent_runs"
    assert owner_asks(left) == [young, live]
    assert owner_asks("select count(*) from crm.conversation_items where run_id = any (%s)", [old, theirs]) == 0
    assert [run["run"] for run in await opening.runs(agent_db, sam)] == [live, young]


async def test_a_follow_up_keeps_a_conversation_alive(worker_db, home, owner_asks, sam, finished):
    first = await finished(sam, "First")
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.conversations set active_at = clock_timestamp() - interval '29 days'")
    await finished(sam, "Then", after=first)
    assert owner_asks("select active_at > clock_timestamp() - interval '1 minute' from crm.conversations")
    assert owner_asks("select count(*) from crm.conversations") == 1


async def test_conversations_leave_no_trace_in_the_record_of_changes(owner_asks, sam, finished):
    before = owner_asks("select count(*) from crm.changes")
    await finished(sam, "Only talk", "Only talk.", said("x"))
    assert owner_asks("select count(*) from crm.changes") == before
