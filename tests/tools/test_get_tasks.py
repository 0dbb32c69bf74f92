from datetime import timedelta

import pytest
from lab import LEA, LOU, LUX, ago, today

from crm_mcp.crm.models import Task


@pytest.fixture
async def desk(lab):
    """A customer with tasks of several people, due around today."""
    customer = await lab.customer("Desk")

    async def give(title, email=LEA, **more):
        asked = {"title": title, "about": customer, "reason": "they asked", "assignee": email, **more}
        return (await lab.ask("create_task", asked))["task"]["id"]

    lab.give, lab.desk = give, customer
    return lab


def titles(told):
    return [task["title"] for task in told["tasks"]]


async def test_ones_own_open_tasks_are_the_default_the_next_due_first(desk):
    own = "Own" + desk.desk
    await desk.give(f"{own} undated", LUX)
    await desk.give(f"{own} later", LUX, due_on="2031-01-01")
    await desk.give(f"{own} sooner", LUX, due_on="2030-01-01")
    done = await desk.give(f"{own} done", LUX)
    await desk.ask("complete_task", {"task": done, "reason": "done"})
    await desk.give(f"{own} of another", LOU)
    told = await desk.ask("get_tasks", {"limit": 100}, LUX)
    assert [t for t in titles(told) if t.startswith(own)] == [f"{own} sooner", f"{own} later", f"{own} undated"]


async def test_a_customers_tasks_are_everybodys(desk):
    order = await desk.order(desk.desk, "5", ago(1))
    await desk.give("of lea")
    await desk.give("of lou", LOU)
    await desk.ask("create_task", {"title": "on the order", "about": order, "reason": "they asked"}, LUX)
    assert titles(await desk.ask("get_tasks", {"customer": desk.desk})) == ["of lea", "of lou", "on the order"]
    told = await desk.ask("get_tasks", {"about": order})
    assert titles(told) == ["on the order"]
    assert told["tasks"][0]["customer"] == {"id": desk.desk, "name": "Desk"}
    assert titles(await desk.ask("get_tasks", {"customer": desk.desk, "assignee": "lou"})) == ["of lou"]
    assert titles(await desk.ask("get_tasks", {"customer": desk.desk, "assignee": "me"}, LUX)) == ["on the order"]


async def test_due_days_are_those_of_the_orgs_zone(desk):
    now = today()
    monday = now - timedelta(days=now.weekday())
    days = {
        "yesterday": now - timedelta(days=1),
        "today": now,
        "tomorrow": now + timedelta(days=1),
        "sunday before": monday - timedelta(days=1),
        "monday": monday,
        "sunday": monday + timedelta(days=6),
        "monday after": monday + timedelta(days=7),
    }
    for name, day in days.items():
        await desk.give(name, due_on=day.isoformat())
    await desk.give("undated")
    week = (monday, monday + timedelta(days=6))
    for asked, (first, last) in {
        "overdue": (None, now - timedelta(days=1)),
        "today": (now, now),
        "this_week": week,
    }.items():
        told = await desk.ask("get_tasks", {"customer": desk.desk, "due": asked})
        wanted = {name for name, day in days.items() if (first is None or day >= first) and day <= last}
        assert set(titles(told)) == wanted, asked
        assert all(task.get("overdue", False) is (task["dueOn"] < now.isoformat()) for task in told["tasks"])
    given = {"customer": desk.desk, "due_from": now.isoformat(), "due_to": now.isoformat()}
    told = await desk.ask("get_tasks", given)
    assert set(titles(told)) == {name for name, day in days.items() if day == now}


@pytest.mark.parametrize(
    "asked", [{"due": "today", "due_from": "2026-01-01"}, {"due": "overdue", "status": "done"}], ids=str
)
async def test_dates_that_contradict_are_refused(lab, asked):
    told = await lab.ask("get_tasks", asked)
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "due")


async def test_a_walk_with_cursors_has_no_gap_and_no_repeat(desk):
    for turn in range(5):
        await desk.give(f"same day {turn}", due_on="2030-01-01")
    for turn in range(2):
        await desk.give(f"undated {turn}")
    seen, asked = [], {"customer": desk.desk, "limit": 2}
    async with desk.connect(LEA) as client:
        for _ in range(4):
            told = (await client.call_tool("get_tasks", asked)).structured_content
            assert told["_meta"]["total"] == 7
            seen += titles(told)
            asked["cursor"] = told["_meta"].get("nextCursor")
    assert seen == [f"same day {turn}" for turn in range(5)] + ["undated 0", "undated 1"]
    assert asked["cursor"] is None


async def test_states_filter_and_archived_tasks_do_not_show(desk):
    done = await desk.give("done")
    await desk.ask("complete_task", {"task": done, "reason": "done"})
    await desk.give("open")
    number = int(desk.desk[5:])
    archived = {"title": "archived", "customer_id": number, "subject_type": "customers", "subject_id": number}
    await desk.add(Task, {**archived, "archived_at": ago(1)})
    for status, seen in (("open", ["open"]), ("done", ["done"]), ("cancelled", []), ("all", ["done", "open"])):
        assert titles(await desk.ask("get_tasks", {"customer": desk.desk, "status": status})) == seen


@pytest.mark.parametrize(
    ("named", "error"), [("nobody we know", "PERSON_NOT_FOUND"), ("", "PERSON_NOT_FOUND"), ("l", "PERSON_AMBIGUOUS")]
)
async def test_a_person_that_is_not_one_is_refused(lab, named, error):
    assert (await lab.ask("get_tasks", {"assignee": named}))["error"] == error
