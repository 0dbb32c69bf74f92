"""A policy changes by a draft that an administrator approves, and another one where it loosens anything."""

import pytest
from township import STAFF

from crm_mcp.approvals.undo import propose as propose_undo
from crm_mcp.errors import Refusal
from crm_mcp.policy import in_words
from crm_mcp.policy_document import Policy
from crm_mcp.principal import Agent


async def test_proposing_changes_nothing_and_says_what_it_loosens(town):
    told = await town.ask("ann", "update_policy", settings={"learning_mode": True, "run_tables.issues": "run"})
    assert told["type"] == "approval_required"
    assert "learning_mode from no to yes; run_tables.issues from hold to run" in told["summary"]
    assert told["warnings"] == ["It loosens the policy: run_tables.issues from hold to run."]
    assert town.edition() == 1 and town.free() == set()


async def test_another_administrator_puts_it_into_force_and_the_edition_says_what_changed(town):
    await town.govern(run_tables__issues="run", deny_agents_above="60000.50")
    assert town.edition() == 2
    document, changes, made_by = town.one(
        "select document, changes, created_by from crm.policies where org_id = %s", town.org
    )
    assert document == Policy().document() | {
        "run_tables": Policy().document()["run_tables"] | {"issues": "run"},
        "deny_agents_above": "60000.5",
    }
    assert {"setting": "run_tables.issues", "before": "hold", "after": "run", "loosens": True} in changes
    assert made_by == (await town.who("ann")).user


@pytest.mark.parametrize("name", ["mel", "big"])
async def test_an_approver_who_is_no_administrator_may_not_approve_it(town, name):
    draft = await town.propose("ann", learning_mode="yes")
    shown = await town.show(name, draft)
    assert shown.may_not == "only an administrator may approve a change of the policy"
    with pytest.raises(Refusal) as no:
        await town.approve(name, draft, shown.hash)
    assert no.value.error == "NOT_AN_APPROVER"
    assert town.edition() == 1


LOOSER = {
    "learning_mode": "no",
    "hold_below_confidence": "0.8",
    "deny_agents_above": "50001",
    "approval_limit": "5001",
    "passkeys": "never",
    "solo": "yes",
    "run_tables.customers": "run",
    "agents.order": "hold",
    "stage_moves.max_value": "10001",
    "stage_moves.pipelines.Sales": "normal",
    "stage_moves.stages.Offer": "yes",
}
STRICTER = {
    "learning_mode": "yes",
    "hold_below_confidence": "0.9",
    "deny_agents_above": "49999",
    "approval_limit": "4999",
    "passkeys": "over_limit",
    "solo": "no",
    "run_tables.notes": "hold",
    "agents.order": "off",
    "stage_moves.max_value": "9999",
    "stage_moves.pipelines.Sales": "hold",
    "stage_moves.stages.Offer": "no",
}
START = STRICTER | {
    "hold_below_confidence": "",
    "deny_agents_above": "",
    "approval_limit": "",
    "stage_moves.max_value": "",
    "run_tables.notes": "",
}


async def test_each_setting_is_stricter_one_way_and_looser_the_other(town):
    await town.govern(**{key: value for key, value in START.items() if value and key != "solo"})
    for key, value in LOOSER.items():
        draft = await town.propose("ann", **{key: value})
        why = (await town.show("ann", draft)).may_not
        assert why and why.startswith("it loosens the policy, so another administrator"), key
        assert (await town.show("abe", draft)).may_not is None
    await town.govern(**LOOSER | {"solo": "no"})
    for key, value in STRICTER.items():
        if key != "solo":
            assert (await town.show("ann", await town.propose("ann", **{key: value}))).may_not is None, key


async def test_what_tightens_may_be_approved_by_who_proposed_it(town):
    assert (await town.approve("ann", await town.propose("ann", agents__order="hold"))).state == "approved"


async def test_one_looser_setting_among_stricter_ones_needs_another_person(town):
    draft = await town.propose("ann", learning_mode="yes", agents__order="off", run_tables__contacts="run")
    with pytest.raises(Refusal, match="NOT_AN_APPROVER"):
        await town.approve("ann", draft)
    assert (await town.approve("abe", draft)).state == "approved"


async def test_where_one_works_alone_one_approves_what_loosens_and_solo_mode_is_a_setting_on_record(another):
    alone = await another().settle(STAFF[:1])
    assert (await alone.approve("ann", await alone.propose("ann", solo="yes"))).state == "approved"
    assert alone.one("select solo from crm.orgs where id = %s", alone.org) == (True,)
    assert (await alone.approve("ann", await alone.propose("ann", run_tables__issues="run"))).state == "approved"
    assert (await alone.approve("ann", await alone.propose("ann", solo="no"))).state == "approved"
    assert alone.one("select solo from crm.orgs where id = %s", alone.org) == (False,)


async def test_solo_mode_of_a_team_takes_two_and_does_not_count_before_it_is_approved(town):
    draft = await town.propose("ann", solo="yes")
    with pytest.raises(Refusal, match="NOT_AN_APPROVER"):
        await town.approve("ann", draft)
    assert (await town.approve("abe", draft)).state == "approved"
    assert (await town.approve("ann", await town.propose("ann", run_tables__issues="run"))).state == "approved"


async def test_an_org_founded_solo_says_so_in_its_policy(another):
    solo = await another().settle(STAFF[:1], solo=True)
    (row,) = (await solo.show("ann", await solo.propose("ann", learning_mode="yes"))).changes
    assert row["after"]["document"]["solo"] is True


async def test_a_draft_is_stale_once_the_policy_moved(town):
    first, second = await town.propose("ann", learning_mode="yes"), await town.propose("ann", agents__order="off")
    seen = (await town.show("abe", second)).hash
    assert (await town.approve("abe", first)).state == "approved"
    assert (await town.approve("abe", second, seen)).state == "stale"
    assert town.edition() == 2


async def test_undo_goes_through_the_same_way(town):
    draft = await town.propose("ann", run_tables__issues="run")
    await town.approve("abe", draft)
    assert town.free() == {("issues", "I"), ("issues", "U")}
    back = f"draft_{await propose_undo(town.db, await town.who('ann'), int(draft[6:]), 'a mistake')}"
    assert town.edition() == 2
    with pytest.raises(Refusal, match="NOT_AN_APPROVER"):
        await town.approve("mel", back)
    assert (await town.approve("ann", back)).state == "approved"
    assert town.edition() == 3 and town.free() == set()
    again = f"draft_{await propose_undo(town.db, await town.who('ann'), int(back[6:]), 'it was right')}"
    with pytest.raises(Refusal, match="NOT_AN_APPROVER"):
        await town.approve("ann", again)
    with pytest.raises(Refusal, match="CHANGED_SINCE"):
        await propose_undo(town.db, await town.who("ann"), int(draft[6:]), "too late")


async def test_an_unknown_setting_or_value_is_refused_with_the_nearest(town):
    async def hint(**settings):
        said = {key.replace("__", "."): value for key, value in settings.items()}
        told = await town.ask("ann", "update_policy", settings=said)
        assert told["error"] == "INVALID_POLICY"
        return told["context"]["hint"]

    assert "Did you mean 'learning_mode'?" in await hint(learnin_mode="yes")
    assert "Did you mean 'agents.order'?" in await hint(agents__ordr="off")
    assert "Only these may run without a person" in await hint(run_tables__orders="run")
    assert "Did you mean 'hold'?" in await hint(agents__order="hodl")
    for key, value in {
        "hold_below_confidence": "1.01",
        "deny_agents_above": "-1",
        "approval_limit": "NaN",
        "stage_moves.max_value": True,
        "learning_mode": 1,
        "passkeys": "sometimes",
        "version": "7",
        "stage_moves.pipelines.": "hold",
        "agents": "off",
        "run_tables.customers.x": "run",
    }.items():
        await hint(**{key: value})
    same = await town.ask("ann", "update_policy", settings={"learning_mode": "no"})
    assert same["error"] == "NOTHING_TO_CHANGE"


@pytest.mark.parametrize("document", [[], {"learnin_mode": True}, {"agents": {"order": 1}}, {"run_tables": []}])
def test_a_document_of_wrong_names_or_types_is_refused(document):
    with pytest.raises(Refusal, match="INVALID_POLICY"):
        Policy.of(1, document)


async def test_nobody_but_an_administrator_in_person_is_shown_the_tool(town):
    for name, agent in (("sal", None), ("big", None), ("ann", Agent.SETTINGS), ("ann", Agent.ORDER)):
        async with town.connect(town.email(name), agent=agent) as client:
            assert "update_policy" not in {tool.name for tool in (await client.list_tools()).tools}


async def test_the_policy_is_told_in_the_words_of_its_rules(town):
    import json

    await town.govern(agents__order="hold", run_tables__issues="run")
    async with town.connect(town.email("sal")) as client:
        (read,) = (await client.read_resource("crm://policy")).contents
    told = json.loads(read.text)
    assert told["version"] == 2 and told["settings"]["agents.order"] == "hold"
    policy = Policy.of(2, town.one("select document from crm.policies where org_id = %s", town.org)[0])
    assert told["rules"] == [said._asdict() for said in in_words(policy, "EUR")]
    assert {"writes": "any write of an agent on hold (order)", "verdict": "HOLD"} in told["rules"]


# What becomes of a draft when the policy moves on while it waits


async def test_a_draft_whose_agent_is_switched_off_meanwhile_is_stale_with_the_reason(town):
    told = await town.order("sal", await town.customer(), "100", agent=Agent.ORDER)
    draft = told["draft"]["id"]
    seen = (await town.show("big", draft)).hash
    await town.govern(agents__order="off")
    outcome = await town.approve("big", draft, seen)
    assert outcome.state == "stale" and outcome.reason.startswith("DENIED: The order agent is switched off")


async def test_an_approver_who_saw_a_draft_under_another_policy_looks_again(town):
    draft = (await town.order("sal", await town.customer(), "100"))["draft"]["id"]
    seen = (await town.show("big", draft)).hash
    await town.govern(learning_mode="yes")
    with pytest.raises(Refusal, match="CHANGED_SINCE_SHOWN"):
        await town.approve("big", draft, seen)
    again = await town.show("big", draft)
    assert again.stale is None and again.verdict == "learning mode holds every write"
    assert (await town.approve("big", draft, again.hash)).state == "approved"
