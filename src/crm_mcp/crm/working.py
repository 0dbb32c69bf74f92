"""Tasks, notes and issues as the generic tool writes them: through the functions that hold their invariants."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .. import ids
from ..context import Write
from ..errors import Refusal
from . import issues, notes, people, tasks
from .given import Given, wrong
from .issues import Change, Report
from .models import Issue, Task

Raw = Mapping[str, Any]


async def _make_task(ctx: Write, got: Given, raw: Raw) -> Any:
    values = got.values
    if values.pop("status", "open") != "open":
        raise wrong("status", "a new task is open")
    if values.get("outcome") is not None:
        raise wrong("outcome", "goes with a task that is done or cancelled")
    made = await tasks.create(
        ctx,
        _required(values, "title"),
        description=values.get("description"),
        due_on=values.get("due_on"),
        priority=values.get("priority") or "normal",
        assignee=raw.get("assignee") or raw.get("assignee_id") or people.ME,
        about=got.about,
    )
    got.warnings += made.warnings
    return made.task


async def _change_task(ctx: Write, row: Task, got: Given, raw: Raw) -> None:
    status, values = got.values.pop("status", row.status), got.values
    if status != row.status:
        if status == "open":
            raise Refusal("TASK_STATUS", f"It is {row.status}. Create a new task.", status=row.status)
        await tasks.complete(ctx, ids.show("tasks", row.id), status, values.pop("outcome", None))
    elif row.status == "open" and values.get("outcome") is not None:
        raise wrong("outcome", "goes with status done or cancelled")


async def _make_note(ctx: Write, got: Given, raw: Raw) -> Any:
    if got.about is None:
        raise wrong("about", "say what the note is about, such as org_12")
    note, _ = await notes.add(ctx, got.about, _required(got.values, "body"))
    return note


async def _make_issue(ctx: Write, got: Given, raw: Raw) -> Any:
    values = got.values
    if values.pop("status", "open") != "open":
        raise wrong("status", "a new issue is open")
    if values.get("resolution") is not None:
        raise wrong("resolution", "goes with status resolved")
    made = await issues.create(
        ctx,
        Report(
            customer=ids.show("customers", _required(values, "customer")),
            title=_required(values, "title"),
            description=values.get("description"),
            kind=values.get("type") or "problem",
            priority=values.get("priority") or "normal",
            contact=_shown("contacts", values.get("contact")),
            order=_shown("orders", values.get("order")),
            product=_shown("products", values.get("product")),
            assignee=raw.get("assignee") or raw.get("assignee_id"),
        ),
    )
    got.warnings += made.warnings
    return made.issue


async def _change_issue(ctx: Write, row: Issue, got: Given, raw: Raw) -> None:
    values = got.values
    for name in ("customer", "contact", "order", "product"):
        if name in values and values.pop(name) != getattr(row, f"{name}_id"):
            raise wrong(name, "stays as it was reported; report it anew")
    if "resolution" in values and values["resolution"] is None:
        raise wrong("resolution", "stays; a new status takes another")
    assignee = raw.get("assignee", raw.get("assignee_id"))
    change = Change(
        title=values.pop("title", None),
        description=values.get("description"),
        kind=values.pop("type", None),
        priority=values.pop("priority", None),
        assignee=issues.NOBODY if "assignee" in values and assignee is None else assignee,
        status=values.pop("status", None),
        resolution=values.pop("resolution", None),
    )
    values.pop("assignee", None)
    await issues.update(ctx, ids.show("issues", row.id), change)


def _required(values: Raw, name: str) -> Any:
    if values.get(name) is None:
        raise Refusal("INVALID_ARGUMENT", f"{name}: is missing.", argument=name, missing=[name])
    return values[name]


def _shown(table: str, number: int | None) -> str | None:
    return None if number is None else ids.show(table, number)


MAKERS: Mapping[str, Callable[[Write, Given, Raw], Awaitable[Any]]] = {
    "tasks": _make_task,
    "notes": _make_note,
    "issues": _make_issue,
}
"""How a record of an entity that has its own module is made."""
CHANGERS: Mapping[str, Callable[[Write, Any, Given, Raw], Awaitable[None]]] = {
    "tasks": _change_task,
    "issues": _change_issue,
}
"""What is changed through that module; it takes from what was given what it has dealt with."""
