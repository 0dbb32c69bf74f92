from datetime import timedelta
from decimal import Decimal

import pytest
from bureau import Bureau
from history import History, day, is_unknown
from lab import LUX

from crm_mcp.crm.models import Contact, Lead, Opportunity, Task


@pytest.fixture
async def history(bureau):
    criteria = [{"name": "has_budget_confirmed"}, {"name": "reference_called"}]
    return await History(bureau).open(
        Demo={"exit_criteria": criteria, "required_fields": ["source"]}, Lead={"suggestions": ["Call them"]}
    )


async def told(history, record, **more):
    return (await history.ask("suggest_next_action", record=record, **more))["suggestion"]


def names(told):
    return [one["action"] for one in (told["primaryAction"], *told["alternativeActions"])]


async def person(history):
    (customer,) = await history.bureau.buyers("Acme")
    return (await history.bureau.add(Contact, {"name": "P", "customer_id": customer}))[0]


async def test_where_nothing_is_missing_it_is_to_be_moved_on(history):
    (deal,) = await history.deals(
        {"way": [("Lead", 2)], "contact_id": await person(history), "place": {"score": Decimal(50)}}
    )
    found = await told(history, deal)
    first = found["primaryAction"]
    assert (first["action"], first["tool"], first["arguments"]["to_stage"]) == ("move_on", "move_to_stage", "Demo")
    assert first["reason"] == "Nothing that Lead takes is missing."
    assert (found["alternativeActions"], found["stageSuggestions"], found["missing"]) == ([], ["Call them"], [])


async def test_each_missing_criterion_and_field_is_an_action_of_its_own(history):
    (deal,) = await history.deals({"way": [("Demo", 2)], "contact_id": await person(history)})
    found = await told(history, deal)
    assert found["missing"] == ["has_budget_confirmed", "reference_called", "source"]
    assert names(found) == ["meet_criterion", "meet_criterion", "fill_field", "score"]
    assert found["primaryAction"]["arguments"]["criterion"] == "has_budget_confirmed"


async def test_what_the_record_proves_is_not_missing(history, bureau):
    (lead,) = await bureau.add(Lead, {"kind": "opportunity", "name": "Shop", "status": "qualified", "source": "fair"})
    await bureau.add(Opportunity, {"lead_id": lead, "budget_confirmed": True})
    await history.walk([("leads", lead, [("Demo", 2)], {})])
    found = await told(history, f"lead_{lead}")
    assert found["missing"] == ["reference_called"]


async def test_an_overdue_task_comes_before_a_follow_up_and_both_before_a_past_date(history, bureau):
    (deal,) = await history.deals(
        {
            "way": [("Lead", 2)],
            "expected_close_on": day(1),
            "contact_id": await person(history),
            "place": {"next_follow_up_on": day(0)},
        }
    )
    row = {"subject_type": "deals", "subject_id": int(deal[5:]), "assignee_id": bureau.people[bureau.boss]}
    await bureau.add(Task, {**row, "title": "Send it", "due_on": day(1)}, {**row, "title": "Later", "due_on": day(0)})
    found = await told(history, deal)
    assert names(found) == ["do_overdue_task", "follow_up", "agree_new_close_date", "move_on", "score"]
    assert found["primaryAction"]["tool"] == "complete_task"
    assert [task["title"] for task in found["openTasks"]] == ["Send it", "Later"]
    assert (found["primaryAction"]["priority"], found["primaryAction"]["timing"]) == ("high", "today")


async def test_what_is_due_today_or_tomorrow_is_not_overdue(history, bureau):
    (deal,) = await history.deals(
        {
            "way": [("Lead", 2)],
            "expected_close_on": day(0),
            "place": {"next_follow_up_on": day(0) + timedelta(days=1)},
        }
    )
    row = {"subject_type": "deals", "subject_id": int(deal[5:]), "assignee_id": bureau.people[bureau.boss]}
    await bureau.add(Task, {**row, "title": "Today", "due_on": day(0)})
    assert names(await told(history, deal)) == ["move_on", "name_a_contact", "score"]


async def test_silence_of_fourteen_days_asks_for_contact_and_at_high_risk_first(history):
    who = await person(history)
    near, far, risky = await history.deals(
        {"way": [("Lead", 13.5)], "contact_id": who},
        {"way": [("Lead", 14.5)], "contact_id": who},
        {"way": [("Lead", 40)], "contact_id": who, "expected_close_on": day(40)},
    )
    assert "get_in_touch" not in names(await told(history, near))
    found = await told(history, far)
    assert (found["primaryAction"]["action"], found["primaryAction"]["priority"]) == ("get_in_touch", "medium")
    found = await told(history, risky)
    touch = next(
        one for one in (found["primaryAction"], *found["alternativeActions"]) if one["action"] == "get_in_touch"
    )
    assert (touch["priority"], touch["tool"], found["riskScore"]) == ("high", "send_email_draft", 0.55)


async def test_in_several_pipelines_it_asks_which(history, bureau):
    second = await History(bureau).open(name="Second")
    (deal,) = await history.deals([("Lead", 2)])
    await second.walk([("deals", int(deal[5:]), [("Lead", 1)], {})])
    found = await history.ask("suggest_next_action", record=deal)
    assert (found["error"], found["context"]["pipelines"]) == ("PIPELINE_AMBIGUOUS", ["Fair", "Second"])
    assert (await told(history, deal, pipeline="second"))["pipeline"] == "Second"


async def test_what_is_on_no_way_is_said_to_be(history):
    (loose, done) = await history.deals({"way": []}, [("Lead", 9), ("Won", 3)])
    for deal in (loose, done):
        assert (await history.ask("suggest_next_action", record=deal))["error"] == "NOT_IN_PIPELINE"
    assert (await history.ask("suggest_next_action", record="ord_1"))["error"] == "INVALID_ID"


async def test_another_orgs_record_is_as_if_it_were_not(history, home, approver, connect):
    other = Bureau(approver, connect)
    await other.open(home.conninfo("crm_owner"))
    (their,) = await (await History(other).open()).deals([("Lead", 9)])
    assert (await history.ask("suggest_next_action", record=their))["error"] == "DEAL_NOT_FOUND"


async def test_support_is_suggested_nothing(lab):
    assert await is_unknown(lab, LUX, "suggest_next_action", {"record": "deal_1"})
