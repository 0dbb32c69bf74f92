"""Records that stand for one and the same party."""

from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import duplicates
from crm_mcp.crm.duplicate_search import Group
from crm_mcp.crm.entities import entity_of
from crm_mcp.errors import Refusal
from crm_mcp.matching.matcher import LIKELY
from crm_mcp.matching.text import fold
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, View, tool

MERGE = (
    "To merge, call propose_changes with proposed_action merge, the survivor and the others; a person approves it. "
    "A group that is not sure wants a look at its records first."
)
KEPT = "it has the most fields filled in, the oldest first"


class FindDuplicates(Args):
    entity: Text = Field(max_length=40, description="organizations, individuals, contacts, customers.")
    query: Text | None = Field(None, max_length=200, description="Part of a name or e-mail that a group has.")
    min_score: float = Field(LIKELY, ge=0.3, le=1)
    limit: int = Field(10, ge=1, le=50)
    cursor: Text | None = Field(None, max_length=300)


class Compared(BaseModel):
    """What a field says: left and right as written, and by how many bits it speaks for one record."""

    field: str
    left: str
    right: str
    what: str
    weight: float


class DuplicateView(View):
    noun: ClassVar[str] = "duplicate"
    nouns: ClassVar[str] = "duplicates"

    records: list[dict[str, Any]]
    score: float
    sure: bool
    why: list[Compared]
    survivor: str


@tool(
    title="Find duplicates",
    toolset="records",
    roles=EVERYONE,
    effect=Effect.READ,
    agents={Agent.RESEARCH},
)
async def find_duplicates(ctx: Read, args: FindDuplicates) -> Answer[list[DuplicateView]]:
    """Find organizations, individuals, contacts or customers that stand twice, the surest first, with why and which
    one to keep. Use when records are to be cleaned up; to look one up use search_customers."""
    entity = entity_of(args.entity)
    if entity.table not in duplicates.COMPARED:
        hint = f"Duplicates are found among {', '.join(duplicates.COMPARED)}, not {entity.table}."
        raise Refusal("NOT_COMPARED", hint, argument="entity", known=list(duplicates.COMPARED))
    question = ["find_duplicates", entity.table, args.query, args.min_score]
    after = ctx.cursors.open(ctx.principal, question, args.cursor) if args.cursor else None
    found = await duplicates.find(ctx, entity.table, args.min_score)
    groups = duplicates.filtered(found.groups, _says(args.query)) if args.query else list(found.groups)
    total, sure = len(groups), sum(group.sure for group in groups)
    if after is not None:
        groups = [group for group in groups if _position(group) > after]
    page = groups[: args.limit]
    meta: dict[str, object] = {"total": total, "sure": sure, "recordsRead": found.read, "survivorRule": KEPT}
    if found.left_out:
        meta["pairsNotCompared"] = found.left_out
    if page:
        meta["toMerge"] = MERGE
    views = [_view(entity.table, group) for group in page]
    display = Display(title=f"{total} groups of likely duplicates", subtitle=f"{entity.table}; {sure} sure")
    positions = ctx.page(question, [_position(group) for group in groups[: args.limit + 1]])
    return Answer(views, display, meta, after=positions.after)


def _view(table: str, group: Group) -> DuplicateView:
    told = duplicates.told(group)
    return DuplicateView(
        records=[{**one, "id": ids.show(table, one["id"])} for one in told["records"]],
        score=round(group.score, 3),
        sure=group.sure,
        why=[
            Compared(field=field, left=left, right=right, what=what, weight=weight)
            for field, left, right, what, weight in told["why"]
        ],
        survivor=ids.show(table, group.ids[0]),
    )


def _position(group: Group) -> list[float]:
    """Return the place of a group in the list, and its records: what has changed since moves no other group."""
    return [-group.score, *group.ids]


def _says(query: str) -> Callable[[str], bool]:
    """Return whether a record's text has all words of a query."""
    sought = fold(query).split()
    return lambda said: all(word in said for word in sought)
