"""A draft of one's own, changed while it waits."""

from decimal import Decimal

import pytest
from drafting import held
from lab import LEA, LOU
from pydantic import ValidationError
from sale import decide

from crm_mcp.tools.drafts.revise_draft import ReviseDraft


async def revised(lab, draft, arguments, email=LOU, **served):
    return await lab.ask(
        "revise_draft", {"draft": draft, "arguments": arguments, "reason": "they called"}, email, **served
    )


async def test_what_is_approved_is_the_draft_as_it_was_revised(lab, executor, person, owner_asks):
    customer, product = await lab.customer("Buyer"), await lab.product("5", 10)
    lines = [{"product": product, "quantity": 1}]
    waits = await lab.ask("create_order_draft", {"customer": customer, "lines": lines, "reason": "asked"}, LOU)
    answer = await revised(lab, waits["draft"]["id"], {"lines": [{"product": product, "quantity": 3}]})
    assert (answer["draft"]["state"], answer["draft"]["version"]) == ("pending", 2)
    assert "EUR 15.00" in answer["summary"]
    outcome = await decide(executor, await person(LEA), waits)
    assert outcome.state == "approved"
    assert owner_asks(
        "select base_total from crm.orders where id = %s", int(outcome.result["record"]["id"][4:])
    ) == Decimal(15)


async def test_an_argument_is_left_out_by_null_and_the_others_stay(lab, owner_asks):
    draft = await held(lab, LOU, comment="ring twice")
    await revised(lab, draft, {"comment": None})
    kept = owner_asks("select args::jsonb from crm.drafts where id = %s", int(draft[6:]))
    assert kept["comment"] is None and kept["lines"][0]["quantity"] == 1


async def test_each_version_is_kept_with_who_ended_it_and_why(lab, owner_asks):
    draft = await held(lab, LOU, comment="one")
    await revised(lab, draft, {"comment": "two"})
    await revised(lab, draft, {"comment": "three"})
    told = owner_asks(
        "select jsonb_agg(jsonb_build_array(v.version, v.args::jsonb ->> 'comment', u.email, v.reason) order by v.version)"
        " from crm.draft_versions v join crm.users u on u.id = v.edited_by where v.draft_id = %s",
        int(draft[6:]),
    )
    assert told == [[1, "one", LOU, "they called"], [2, "two", LOU, "they called"]]


async def test_arguments_are_validated_as_in_the_call_itself(lab):
    draft = await held(lab, LOU)
    assert (await revised(lab, draft, {"colour": "red"}))["error"] == "INVALID_ARGUMENT"
    assert (await revised(lab, draft, {"lines": [{"product": "prod_1", "quantity": 0}]}))[
        "error"
    ] == "INVALID_ARGUMENT"
    assert (await revised(lab, draft, {"customer": "cust_999999999"}))["error"] == "CUSTOMER_NOT_FOUND"
    assert (await lab.ask("get_draft", {"draft": draft}, LOU))["draft"].get("version") is None


@pytest.mark.parametrize(
    "arguments",
    [{"comment": "\ud800"}, {"\udfff": 1}, {"lines": [{"product": {"x": "a\ud800"}}]}, {"comment": "a\0b"}],
)
def test_text_that_no_database_holds_is_refused_wherever_it_stands(arguments):
    """Past the client, which cannot put it into JSON: as a transport hands it over."""
    with pytest.raises(ValidationError, match=r"NUL character|half of a surrogate pair"):
        ReviseDraft.model_validate({"draft": "draft_1", "arguments": arguments, "reason": "they called"})


async def test_a_revision_that_changes_nothing_says_so(lab):
    draft = await held(lab, LOU, comment="as is")
    assert (await revised(lab, draft, {"comment": "as is"}))["error"] == "NOTHING_CHANGED"


async def test_two_drafts_do_not_become_one(lab):
    customer, product = await lab.customer("Twice"), await lab.product("5", 10)
    asked = {"customer": customer, "lines": [{"product": product, "quantity": 1}], "reason": "asked"}
    await lab.ask("create_order_draft", {**asked, "comment": "a"}, LOU)
    second = await lab.ask("create_order_draft", {**asked, "comment": "b"}, LOU)
    assert (await revised(lab, second["draft"]["id"], {"comment": "a"}))["error"] == "ALREADY_WAITING"


async def test_nobody_revises_what_is_not_theirs_or_was_decided(lab):
    draft = await held(lab, LEA)
    unknown = await revised(lab, "draft_999999999", {"comment": "x"})
    foreign = await revised(lab, draft, {"comment": "x"})
    assert unknown["error"] == foreign["error"] == "DRAFT_NOT_FOUND"
    mine = await held(lab, LOU, comment="gone")
    await lab.ask("discard_draft", {"draft": mine, "reason": "not wanted"}, LOU)
    assert (await revised(lab, mine, {"comment": "x"}))["error"] == "DRAFT_DECIDED"


async def test_an_agent_revises_its_own_drafts_alone(lab):
    draft = await held(lab, LOU)
    assert (await revised(lab, draft, {"comment": "x"}, agent="order"))["error"] == "DRAFT_NOT_FOUND"


async def test_a_call_repeated_under_its_key_finds_the_draft_as_it_was_revised(lab, owner_asks):
    customer, product = await lab.customer("Keyed"), await lab.product("5", 10)
    lines = [{"product": product, "quantity": 1}]
    asked = {"customer": customer, "lines": lines, "reason": "asked", "idempotency_key": f"key-{customer}"}
    first = await lab.ask("create_order_draft", asked, LOU)
    await revised(lab, first["draft"]["id"], {"comment": "changed"})
    again = await lab.ask("create_order_draft", asked, LOU)
    assert again["draft"]["id"] == first["draft"]["id"]
    assert again["draft"]["alreadyWaiting"] is True
    kept = owner_asks("select args::jsonb ->> 'comment' from crm.drafts where id = %s", int(first["draft"]["id"][6:]))
    assert kept == "changed"
