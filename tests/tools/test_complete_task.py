import pytest
from lab import LOU, LUX, ago

from crm_mcp.crm.models import Task

DONE = {"reason": "it happened"}


@pytest.fixture
async def task(lab):
    return (await lab.ask("create_task", {"title": "Ring them", "reason": "they asked"}, LUX))["task"]["id"]


@pytest.mark.parametrize(("status", "did"), [("done", "complete"), ("cancelled", "cancel")])
async def test_a_task_ends_at_once_with_its_outcome(lab, task, owner_asks, status, did):
    told = await lab.ask("complete_task", {"task": task, "status": status, "outcome": "They agreed", **DONE}, LOU)
    assert told["summary"] == f"Done: {did} the task Ring them."
    assert (told["task"]["status"], told["task"]["outcome"]) == (status, "They agreed")
    stored = "select jsonb_build_array(status, completed_at is not null) from crm.tasks where id = %s"
    assert owner_asks(stored, int(task[5:])) == [status, True]


async def test_a_task_that_is_done_says_so_and_keeps_its_outcome(lab, task):
    await lab.ask("complete_task", {"task": task, "outcome": "first", **DONE})
    told = await lab.ask("complete_task", {"task": task, "outcome": "second", **DONE})
    assert told["summary"] == "Done: change nothing: the task Ring them is done already."
    assert told["task"]["outcome"] == "first"


async def test_a_task_that_ended_the_other_way_is_refused(lab, task):
    await lab.ask("complete_task", {"task": task, "status": "cancelled", **DONE})
    told = await lab.ask("complete_task", {"task": task, **DONE})
    assert (told["error"], told["context"]["status"]) == ("TASK_STATUS", "cancelled")
    assert "create_task" in told["context"]["hint"]


async def test_an_archived_or_missing_task_is_not_found(lab):
    (number,) = await lab.add(Task, {"title": "Old", "archived_at": ago(1)})
    for given in (f"task_{number}", "task_999999999"):
        assert (await lab.ask("complete_task", {"task": given, **DONE}))["error"] == "TASK_NOT_FOUND"
