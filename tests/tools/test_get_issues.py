from datetime import timedelta

import pytest
from lab import LEA, LOU, LUX, ago, today
from supporting import ODD, issue

from crm_mcp.crm.models import Contact, Issue
from crm_mcp.crm.rules import rules
from crm_mcp.principal import Role

SECOND = 1 / 86400


@pytest.fixture
async def customer(lab):
    return await lab.customer("Asker")


async def one(lab, number, email=LUX):
    told = await lab.ask("get_issues", {"issue": number}, email)
    return told["issues"][0], told["_meta"]


def ids(told):
    return [found["id"] for found in told["issues"]]


@pytest.mark.parametrize(
    ("left", "state"),
    [(21, "ok"), (20.1, "ok"), (19.9, "at risk"), (0.1, "at risk"), (-0.1, "breached"), (-50, "breached")],
)
@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("waited", [0, 200])
async def test_the_clock_turns_at_a_fifth_of_the_time_and_at_its_end(lab, customer, left, state, answered, waited):
    """Times are in hours of a hundred; time that the clock stood still adds to none of them."""
    due, opened = ago(-left / 24), ago((100 - left + (waited if answered else 0)) / 24)
    row = {
        "opened_at": opened,
        "resolve_by": due,
        "respond_by": opened,
        "responded_at": opened,
        "waited_seconds": waited * 3600,
    }
    if not answered:
        row |= {"respond_by": due, "resolve_by": ago(-1000), "responded_at": None}
    told, meta = await one(lab, await issue(lab, customer, **row))
    assert told["slaState"] == meta["slaState"] == state
    if left > 0:
        assert meta["hoursLeft"] == pytest.approx(left, abs=0.1) and "hoursOver" not in meta
    else:
        assert meta["hoursOver"] == pytest.approx(-left, abs=0.1) and "hoursLeft" not in meta


@pytest.mark.parametrize(("since", "state"), [(1, "at risk"), (-1, "breached")])
async def test_a_waiting_issue_is_judged_by_when_it_began_to_wait(lab, customer, since, state):
    due = ago(5)
    row = {"opened_at": ago(9), "responded_at": ago(9), "resolve_by": due, "status": "waiting"}
    row["waiting_since"] = due - timedelta(seconds=since)
    assert (await one(lab, await issue(lab, customer, **row)))[1]["slaState"] == state


@pytest.mark.parametrize("status", ["resolved", "closed"])
@pytest.mark.parametrize(("early", "state"), [(0, "ok"), (1, "ok"), (-1, "breached")])
async def test_a_resolved_issue_is_judged_by_when_it_was_resolved(lab, customer, status, early, state):
    due = ago(5)
    row = {"opened_at": ago(9), "respond_by": ago(8), "resolve_by": due, "status": status}
    row["resolved_at"] = due - timedelta(seconds=early)
    meta = (await one(lab, await issue(lab, customer, **row)))[1]
    assert meta["slaState"] == state and "hoursLeft" not in meta
    assert not any("nswer" in action or "esolve" in action for action in meta["suggestedNextActions"])


async def test_an_issue_without_a_clock_has_no_state(lab, customer):
    told, meta = await one(lab, await issue(lab, customer))
    assert "slaState" not in told and "slaState" not in meta


@pytest.mark.parametrize(("days", "repeated"), [(90 - SECOND * 60, True), (90 + SECOND * 60, False)])
async def test_an_issue_is_repeated_within_ninety_days(lab, customer, days, repeated):
    product = int((await lab.product("5"))[5:])
    before = await issue(lab, customer, product_id=product, opened_at=ago(10 + days), status="closed")
    number = await issue(lab, customer, product_id=product, opened_at=ago(10))
    await issue(lab, await lab.customer("Other"), product_id=product, opened_at=ago(11))
    await issue(lab, customer, opened_at=ago(11))
    meta = (await one(lab, number))[1]
    assert meta["repeatedIssue"] is repeated
    assert any(before in action for action in meta["suggestedNextActions"]) is repeated
    assert (await one(lab, before))[1]["repeatedIssue"] is False


@pytest.mark.parametrize(("days", "covered"), [(0, True), (-1, False), (None, False)])
async def test_a_warranty_covers_its_last_day_in_the_orgs_zone(lab, customer, days, covered):
    until = None if days is None else today() + timedelta(days=days)
    number = await issue(lab, customer, opened_at=ago(0), warranty_until=until, type="warranty")
    meta = (await one(lab, number))[1]
    assert meta["underWarranty"] is covered
    assert any("under warranty" in action for action in meta["suggestedNextActions"]) is covered


async def test_one_issue_comes_with_all_that_belongs_to_it(lab, customer):
    (contact,) = await lab.add(Contact, {"customer_id": int(customer[5:]), "name": "Cora", "email": "c@c.example"})
    product = await lab.product("5")
    order = await lab.order(customer, "5", ago(3), product=product)
    number = await issue(
        lab,
        customer,
        title=ODD,
        description=ODD,
        contact_id=contact,
        order_id=int(order[4:]),
        product_id=int(product[5:]),
    )
    why = {"about": number, "reason": "they asked"}
    await lab.ask("add_note", {**why, "body": "wet floor"}, LUX)
    await lab.ask("log_activity", {**why, "kind": "call", "subject": "They rang", "direction": "in"}, LUX)
    await lab.ask("create_task", {**why, "title": "Send a plumber", "assignee": "lou"}, LUX)
    told, meta = await one(lab, number, LOU)
    assert told["title"] == told["description"] == ODD
    assert told["customer"] == {"id": customer, "name": "Asker"}
    assert (told["contact"]["name"], told["order"]["id"], told["product"]["id"]) == ("Cora", order, product)
    assert [(note["text"], note["writtenBy"]) for note in told["notes"]] == [("wet floor", "Lux Lehr")]
    assert [(act["subject"], act["direction"]) for act in told["activities"]] == [("They rang", "in")]
    assert [(task["title"], task["assignee"]) for task in told["tasks"]] == [("Send a plumber", "Lou Lind")]
    assert meta["suggestedNextActions"] == ["Assign it: nobody works on it"]
    assert set(meta) - {"waiting", "decided", "suspicious", "suspiciousHint"} <= set(rules(Role.ADMIN))


async def test_filters_narrow_and_the_counts_are_of_all_that_is_found(lab, customer):
    mine = {"customer": customer}
    lux = await assigned(lab, customer, "lux", title="Pump 100% broken", priority="urgent", resolve_by=ago(1))
    lou = await assigned(lab, customer, "lou", title="Noise", description="The PUMP hums", status="waiting")
    done = await issue(lab, customer, title="Bill", status="resolved", type="question", opened_at=ago(9))
    archived = await issue(lab, customer, archived_at=ago(1))
    for asked, found in (
        ({}, {lux, lou, done}),
        ({"status": "unresolved"}, {lux, lou}),
        ({"status": "resolved"}, {done}),
        ({"priority": "urgent"}, {lux}),
        ({"type": "question"}, {done}),
        ({"assignee": "me"}, {lux}),
        ({"assignee": "Lou Lind"}, {lou}),
        ({"assignee": "nobody"}, {done}),
        ({"overdue": True}, {lux}),
        ({"query": "pump"}, {lux, lou}),
        ({"query": "pump hums"}, {lou}),
        ({"query": "100%"}, {lux}),
        ({"query": "1_0"}, set()),
    ):
        told = await lab.ask("get_issues", {**mine, **asked}, LUX)
        assert set(ids(told)) == found, asked
        assert told["_meta"]["total"] == len(found)
        assert archived not in found
    meta = (await lab.ask("get_issues", {**mine, "limit": 1}, LUX))["_meta"]
    assert meta["byPriority"] == {"urgent": 1, "normal": 2}
    assert meta["byStatus"] == {"open": 1, "waiting": 1, "resolved": 1}
    assert meta["bySlaState"] == {"breached": 1}


@pytest.mark.parametrize(
    ("title", "asked"),
    [
        ("Straße 12-b: leckt", "straße 12-B"),
        ("Überlauf/Pumpe", "lauf/pu"),
        ("Kaffee\u0301 kalt", "kaffee\u0301"),
        ("a.b@c.example", "b@c.exa"),
        ("İZMİR yok", "yok"),
        ("xx", "xx"),
    ],
)
async def test_words_are_found_as_they_are_written_wherever_they_stand(lab, customer, title, asked):
    found = await issue(lab, customer, title=title, description="zzz quer")
    other = await issue(lab, customer, title="Else")
    told = await lab.ask("get_issues", {"customer": customer, "query": f"{asked} QUER"}, LUX)
    assert ids(told) == [found] != [other]


async def test_words_that_many_issues_hold_are_found_through_the_list(lab, customer):
    rows = [
        {"title": f"Verbreitet {at}", "customer_id": int(customer[5:]), "opened_at": ago(at + 1)} for at in range(400)
    ]
    made = await lab.add(Issue, *[{"type": "problem", "status": "open", "priority": "normal", **row} for row in rows])
    told = await lab.ask("get_issues", {"customer": customer, "query": "verbreitet", "limit": 5}, LUX)
    assert told["_meta"]["total"] == 400
    assert ids(told) == [f"iss_{number}" for number in made[:5]]


async def assigned(lab, customer, email, **row):
    async with lab.connect(f"{email}@lab.example") as client:
        who = await client.app.principal()
    return await issue(lab, customer, assignee_id=who.user, **row)


async def test_a_walk_with_cursors_has_no_gap_and_no_repeat(lab, customer):
    at = ago(3)
    numbers = [await issue(lab, customer, opened_at=at + timedelta(days=max(0, turn - 2))) for turn in range(5)]
    seen, asked = [], {"customer": customer, "limit": 2}
    async with lab.connect(LEA) as client:
        for _ in range(3):
            told = (await client.call_tool("get_issues", asked)).structured_content
            seen += ids(told)
            asked["cursor"] = told["_meta"].get("nextCursor")
    assert seen == [numbers[4], numbers[3], numbers[2], numbers[1], numbers[0]]
    assert asked["cursor"] is None


@pytest.mark.parametrize(
    ("named", "error"), [("nobody we know", "PERSON_NOT_FOUND"), ("", "PERSON_NOT_FOUND"), ("l", "PERSON_AMBIGUOUS")]
)
async def test_a_person_that_is_not_one_is_refused(lab, named, error):
    assert (await lab.ask("get_issues", {"assignee": named}))["error"] == error


async def test_a_missing_or_archived_issue_is_not_found(lab, customer):
    for number in ("iss_999999999", await issue(lab, customer, archived_at=ago(1))):
        assert (await lab.ask("get_issues", {"issue": number}))["error"] == "ISSUE_NOT_FOUND"
