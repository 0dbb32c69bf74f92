"""Records that stand twice, and their merging proposed (S3, use case 4)."""

from collections.abc import Collection
from typing import Any, Literal

from pydantic import Field

from .. import ids
from ..context import Read
from ..crm import duplicates
from ..crm.duplicate_search import Group
from . import completing
from .prompt import Brief, PromptArgs, prompt
from .saying import DRAFTS

LARGEST = 20_000
"""Records that are compared while a client waits for a prompt: a few seconds."""
KINDS = ("organizations", "individuals", "contacts", "customers")


class DataHygiene(PromptArgs):
    entity: Literal["organizations", "individuals", "contacts", "customers"] = Field(
        "organizations", description="organizations, individuals, contacts or customers; organizations."
    )
    most: int = Field(10, ge=1, le=20, description="Groups to go through; 10.")


@prompt(
    title="Clean up duplicates",
    calls={"get_record", "propose_changes"},
    reads={"find_duplicates"},
    also={"find_duplicates"},
    completes={"entity": completing.among(KINDS), "most": completing.among(("5", "10", "20"))},
)
async def data_hygiene(ctx: Read, args: DataHygiene, can: Collection[str]) -> Brief:
    """Go through organizations or people that seem to stand twice in the CRM and propose merging those that do."""
    row = await ctx.one(
        f"""select count(*) from (select from crm.{args.entity} t where t.org_id = %(org)s and t.archived_at is null limit {LARGEST + 1}) x"""
    )
    assert row is not None
    if row[0] > LARGEST:
        return _too_many(args, can)
    found = await duplicates.find(ctx, args.entity)
    groups = list(found.groups)
    facts = {
        "entity": args.entity,
        "recordsRead": found.read,
        "groups": len(groups),
        "sure": sum(group.sure for group in groups),
        "duplicates": [_told(args.entity, group) for group in groups[: args.most]],
    }
    if not groups:
        return Brief(
            f"None of the {found.read} {args.entity} seems to stand twice.",
            ("Say so; there is nothing to merge.",),
            "one sentence, and that the other kinds can be looked through likewise.",
            facts,
        )
    return Brief(
        f"Clean up {args.entity} that stand twice: {len(groups)} groups of likely duplicates, of which the {min(len(groups), args.most)} surest are to be gone through.",
        (
            "Read the facts: each group with its records, what speaks for and against their being one, and the survivor.",
            "More groups: find_duplicates with the cursor it gives."
            if "find_duplicates" in can and len(groups) > args.most
            else None,
            *_proposing(args.entity),
        ),
        _RESULT,
        facts,
        (DRAFTS,),
    )


_RESULT = (
    "a table: group, survivor, merged into it, score, what decided it, draft id; the groups you left alone with the reason; how "
    "many groups are left to go through."
)


def _proposing(entity: str) -> tuple[str, ...]:
    return (
        "For a group that is not sure call get_record on each of its records: the same address, owner or deals speak for one, a "
        "differing tax number, branch, given name or birth for two. A group and its subsidiary are two. Where it stays open, leave it.",
        "Choose the survivor: the one suggested, unless another is plainly the better kept. Where records contradict in a field, name "
        "the value to keep and why.",
        f"Call propose_changes once: each change proposed_action merge, entity_type {entity}, id the survivor, duplicates the others, "
        "data only for a value that is to win against the survivor's; confidence as sure as you are; reason what decided it. At most 20 in a "
        "call.",
    )


def _told(entity: str, group: Group) -> dict[str, Any]:
    told = duplicates.told(group)
    return {
        "records": [{**one, "id": ids.show(entity, one["id"])} for one in told["records"]],
        "survivor": ids.show(entity, group.ids[0]),
        "score": round(group.score, 3),
        "sure": group.sure,
        "why": [f"{field}: {left} / {right} ({what})" for field, left, right, what, _ in told["why"]],
    }


def _too_many(args: DataHygiene, can: Collection[str]) -> Brief:
    facts = {"entity": args.entity, "moreThan": LARGEST}
    goal = f"Clean up {args.entity} that stand twice. There are more than {LARGEST}, too many to compare here."
    if "find_duplicates" not in can:
        return Brief(
            goal,
            ("Say that the tool for it is not in the list served to this client.",),
            "that the CRM's tool for duplicates has to be served for this (crm-mcp serve --toolsets all), and nothing else.",
            facts,
        )
    first = (
        f"Call find_duplicates (entity {args.entity}, limit {args.most}); it takes a while and says how far it is."
    )
    return Brief(goal, (first, *_proposing(args.entity)), _RESULT, facts, (DRAFTS,))
