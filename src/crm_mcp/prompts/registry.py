"""The prompts there are, from their snapshot: who sees which, what one says, what its arguments could be."""

import functools
import importlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..catalog import Catalog
from ..context import Read
from ..principal import Principal, Role
from .prompt import Offer, Prompt, UnknownPrompt, is_storable
from .saying import Said, said

SNAPSHOT = Path(__file__).parent / "prompts.json"
"""Generated, compared by a test, listed without importing a prompt."""
LONGEST = 300
"""Characters of what is typed that are looked at."""
ORDER = (
    "start_work",
    "prepare_for_meeting",
    "pipeline_review",
    "follow_up_stale_leads",
    "find_similar_opportunities",
    "enrich_contacts",
    "overdue_follow_ups",
    "month_end_report",
    "data_hygiene",
)
"""The prompts as they are listed; each is a module of its name."""


@functools.cache
def rows() -> Mapping[str, dict[str, Any]]:
    """Return the snapshot's rows by the prompts' names, in the order in which they are listed."""
    snapshot: list[dict[str, Any]] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    return {row["wire"]["name"]: row for row in snapshot}


def visible_to(who: Principal, catalog: Catalog) -> list[dict[str, Any]]:
    """Return the wire form of the prompts that a principal may use, in a fixed order."""
    return [row["wire"] for row in rows().values() if _shows(row, who, catalog)]


def _shows(row: Mapping[str, Any], who: Principal, catalog: Catalog) -> bool:
    return (
        who.role in row["roles"]
        and catalog.listed(who).issuperset(row["calls"])
        and all(catalog.permits(tool, who) for tool in row["reads"])
    )


def find(name: str, who: Principal, catalog: Catalog) -> Prompt:
    """Return a prompt that a principal may use.

    Raises:
        UnknownPrompt: there is none, or it is not theirs: the two answer alike.
    """
    row = rows().get(name)
    if row is None or not _shows(row, who, catalog):
        raise UnknownPrompt(name)
    return load(name)


async def get(ctx: Read, catalog: Catalog, name: str, raw: Mapping[str, str]) -> Said:
    """Return what a prompt says to a principal, with arguments as a client sent them.

    Raises:
        Refusal: UNKNOWN_PROMPT, INVALID_ARGUMENT, INVALID_ID, and …_NOT_FOUND of what an argument names.
    """
    found = find(name, ctx.principal, catalog)
    args = found.parse(raw)
    brief = await found.makes(ctx, args, catalog.listed(ctx.principal))
    return said(found, brief)


async def complete(
    ctx: Read, catalog: Catalog, name: str, argument: str, typed: str, given: Mapping[str, str]
) -> Offer:
    """Return what a prompt's argument could be; nothing where it has no such argument, or anything would do.

    Raises:
        UnknownPrompt: as `find`.
    """
    completes = find(name, ctx.principal, catalog).completes.get(argument)
    if completes is None or not all(map(is_storable, [typed, *given.values()])):
        return Offer([], 0)
    return await completes(ctx, typed[:LONGEST], {key: text[:LONGEST] for key, text in given.items()})


def load(name: str) -> Prompt:
    """Import a prompt from its file."""
    found = getattr(importlib.import_module(f"{__package__}.{name}"), name)
    assert isinstance(found, Prompt)
    return found


def every() -> Iterable[Prompt]:
    """Import every prompt, in the order in which they are listed."""
    return map(load, ORDER)


def describe(prompt: Prompt) -> dict[str, Any]:
    """Return a prompt's row of the snapshot: what it needs, which roles may run its reports, and its wire form."""
    from ..reports import definition

    arguments = [
        {"name": name, "description": field.description, "required": field.is_required()}
        for name, field in prompt.args.model_fields.items()
    ]
    return {
        "calls": sorted(prompt.calls),
        "reads": sorted(prompt.reads),
        "also": sorted(prompt.also),
        "roles": sorted(role for role in Role if all(definition.named(name, role) for name in prompt.reports)),
        "wire": {
            "name": prompt.name,
            "title": prompt.title,
            "description": prompt.description,
            "arguments": arguments,
        },
    }


def write_snapshot() -> None:
    """Write the snapshot anew; `make catalog` calls it after a prompt has changed."""
    rows = [describe(prompt) for prompt in every()]
    SNAPSHOT.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_snapshot()
