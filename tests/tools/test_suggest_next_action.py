from datetime import date, timedelta
from decimal import Decimal

import pytest
from bureau import Bureau
from history import History, ago, day, is_unknown
from lab import LUX

from crm_mcp.crm import advice
from crm_mcp.crm.criteria import PROVEN, Judged
from crm_mcp.crm.models import Contact, Lead, Opportunity, Task
from crm_mcp.crm.risk import Risk


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
    assert first["do"] == "Move it from Lead to Demo."
    assert first["reason"] == "Nothing that Lead takes is missing; it has stood there for 2 days."
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


SITUATION = {
    "record": {"id": "deal_1", "name": "D"},
    "facts": {
        "followUpOn": None, "overdue": None, "expectedCloseOn": None, "silent": 0, "stage": "Lead", "pipeline": "Fair",
        "inStage": 0, "stays": 0, "median": None, "value": None, "contact": {"id": "cont_1", "name": "Ann"},
    },
    "risk": Risk(Decimal(0), (), ()),
    "judged": Judged(),
    "following": None,
    "tasks": (),
    "has_contact": True,
    "is_scored": True,
    "today": date(2026, 11, 30),
}  # fmt: skip


def advised(facts=None, **more):
    it = {**SITUATION, **more, "facts": {**SITUATION["facts"], **(facts or {})}}
    return [(one["action"], one["priority"], one["tool"]) for one in advice.actions(advice.Situation(**it))]


def test_where_nothing_is_due_it_says_to_look_again():
    assert advised() == [("look_again", "low", "create_task")]
    one = advice.actions(advice.Situation(**SITUATION))[0]
    why = "Nothing is due and nothing is missing; something happened within the last day."
    assert (one["timing"], one["reason"], one["arguments"]) == ("when convenient", why, {"about": "deal_1"})


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        ({"followUpOn": "2026-11-30"}, "follow_up"),
        ({"followUpOn": "2026-12-01"}, "look_again"),
        ({"overdue": 1}, "agree_new_close_date"),
        ({"overdue": 0}, "look_again"),
        ({"silent": 14}, "get_in_touch"),
        ({"silent": 13}, "look_again"),
    ],
)
def test_each_rule_begins_on_its_day(facts, action):
    assert [one[0] for one in advised(facts)] == [action]


@pytest.mark.parametrize(("score", "priority"), [("0.49", "medium"), ("0.5", "high")])
def test_silence_is_urgent_from_half_the_risk_on(score, priority):
    assert advised({"silent": 20}, risk=Risk(Decimal(score), (), ())) == [
        ("get_in_touch", priority, "send_email_draft")
    ]
    assert advised({"silent": 20}, has_contact=False)[0][2] == "create_task"


def test_only_the_first_overdue_task_is_told_and_one_without_a_day_is_none():
    tasks = (
        {"id": "task_1", "title": "Any", "dueOn": None},
        {"id": "task_2", "title": "Today", "dueOn": "2026-11-30"},
        {"id": "task_3", "title": "Late", "dueOn": "2026-11-29"},
        {"id": "task_4", "title": "Later", "dueOn": "2026-11-28"},
    )
    assert advised(tasks=tasks) == [("do_overdue_task", "high", "complete_task")]
    assert advised(tasks=tasks[:2]) == [("look_again", "low", "create_task")]


def test_nothing_is_moved_on_past_what_is_missing_or_where_no_stage_follows():
    assert advised(following="Offer") == [("move_on", "medium", "move_to_stage")]
    missing = Judged(missing=("a",), needs={})
    assert advised(following="Offer", judged=missing) == [("meet_criterion", "medium", "create_task")]
    assert advised(following="Offer", judged=Judged(fields=("source",))) == [
        ("fill_field", "medium", "propose_changes")
    ]


def test_the_urgent_comes_first_and_of_equals_the_earlier_rule():
    facts = {"followUpOn": "2026-11-01", "overdue": 3, "silent": 15}
    found = advised(facts, following="Offer", has_contact=False, is_scored=False)
    assert [one[0] for one in found] == [
        "follow_up", "agree_new_close_date", "get_in_touch", "move_on", "name_a_contact", "score",
    ]  # fmt: skip
    assert [one[1] for one in found] == ["high", "high", "medium", "medium", "medium", "low"]


@pytest.mark.parametrize(
    ("facts", "more", "do", "reason"),
    [
        (
            {},
            {"tasks": ({"id": "task_3", "title": "Call", "dueOn": "2026-11-29"},)},
            "Do the task 'Call', then mark it done.",
            "It was due on 2026-11-29, 1 day ago.",
        ),
        (
            {"followUpOn": "2026-11-27", "silent": 9},
            {},
            "Follow up with Ann and log what came of it.",
            "A follow-up was planned for 2026-11-27, 3 days ago; nothing has happened for 9 days.",
        ),
        (
            {"followUpOn": "2026-11-30", "silent": 1, "contact": None},
            {},
            "Follow up with D and log what came of it.",
            "A follow-up was planned for 2026-11-30, today; nothing has happened for 1 day.",
        ),
        (
            {"overdue": 7, "expectedCloseOn": "2026-11-23", "value": {"amount": "90.00", "currency": "EUR"}},
            {},
            "Ask Ann when it will be decided, and set expected_close_on to that day.",
            "It was expected to close on 2026-11-23, 7 days ago, and is open yet in Lead, worth EUR 90.00.",
        ),
        (
            {"silent": 23},
            {"risk": Risk(Decimal("0.49"), ({"text": "In Lead for 23 days (median 5.8, n 185)"},), ())},
            "Get in touch with Ann.",
            "Nothing has happened for 23 days; the risk is 0.49 of 1, chiefly: in Lead for 23 days (median 5.8, n 185).",
        ),
        (
            {},
            {"judged": Judged(missing=("demo_held",), needs={"demo_held": "state it, if it is so"})},
            "Find out whether demo_held is so, and state it in criteria_met when it moves on.",
            "Lead is not left without demo_held, and no record proves it.",
        ),
        (
            {},
            {"judged": Judged(missing=("budget",), needs={"budget": f"{PROVEN}budget_confirmed equals true"})},
            "Find out whether budget is so, and have the record show it: budget_confirmed equals true.",
            "Lead is not left without budget, and the record does not show it.",
        ),
        (
            {"inStage": 7, "stays": 5, "median": 5.77},
            {"following": "Demo"},
            "Move it from Lead to Demo.",
            "Nothing that Lead takes is missing; it has stood there for 7 days (median 5.8, n 5).",
        ),
        (
            {"inStage": 1, "stays": 4, "median": 5.77},
            {"following": "Demo"},
            "Move it from Lead to Demo.",
            "Nothing that Lead takes is missing; it has stood there for 1 day.",
        ),
    ],
)
def test_an_action_says_what_to_do_and_why_with_its_figures(facts, more, do, reason):
    it = {**SITUATION, **more, "facts": {**SITUATION["facts"], **facts}}
    first = advice.actions(advice.Situation(**it))[0]
    assert (first["do"], first["reason"]) == (do, reason)


async def test_a_task_that_is_done_or_archived_is_not_open(history, bureau):
    (deal,) = await history.deals({"way": [("Lead", 2)]})
    row = {"subject_type": "deals", "subject_id": int(deal[5:]), "assignee_id": bureau.people[bureau.boss]}
    await bureau.add(
        Task,
        {**row, "title": "Done", "status": "done", "completed_at": ago(1), "due_on": day(3)},
        {**row, "title": "Gone", "status": "open", "archived_at": ago(1), "due_on": day(3)},
    )
    found = await told(history, deal)
    assert found["openTasks"] == [] and "do_overdue_task" not in names(found)
