"""What leads that went well have in common, and new ones like them (S3, use case 1)."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from ..context import Read
from ..crm import subjects
from ..crm.comparables import STATUSES, THAT_CAME
from ..errors import Refusal
from ..ids import show
from . import completing, naming
from .prompt import Brief, Named, PromptArgs, prompt
from .saying import DRAFTS, WEB

EXAMPLES = 10
"""Leads in the facts."""
COMMON = 5
"""Values of one attribute in the facts."""
WON = "won"
KINDS = ("job", "opportunity", "partnership")


class FindSimilarOpportunities(PromptArgs):
    lead: Named | None = Field(
        None, description="Like this one: lead_… or its name; default: like all that came so far."
    )
    kind: Named | None = Field(
        None, description="job, opportunity or partnership; default: that of the lead, else all."
    )
    reached: Named = Field("interview", description="How far they came: a status, a stage or won; interview.")
    most: int = Field(5, ge=1, le=20, description="New leads to propose; 5.")


@prompt(
    title="Find similar opportunities",
    calls={"find_records", "propose_changes"},
    reads={"find_similar_customers"},
    also={"find_similar_customers", "get_record"},
    completes={
        "lead": completing.records("leads"),
        "kind": completing.among(KINDS),
        "reached": completing.stages(*STATUSES, WON),
        "most": completing.among(("5", "10", "20")),
    },
)
async def find_similar_opportunities(ctx: Read, args: FindSimilarOpportunities, can: Collection[str]) -> Brief:
    """Find out what leads that got far have in common, search the web for more like them, and propose those."""
    lead = None if args.lead is None else (await naming.record(ctx, "lead", args.lead, ("leads",)))[1]
    reached = args.reached.strip().lower()
    kind = None if args.kind is None else args.kind.strip().lower()
    if kind is not None and kind not in KINDS:
        raise Refusal("INVALID_ARGUMENT", f"kind: one of {', '.join(KINDS)}.", argument="kind")
    row = await ctx.one(
        THAT_CAME,
        id=lead or 0,
        kind=kind,
        role=ctx.principal.role,
        reached=reached,
        statuses=list(STATUSES),
    )
    assert row is not None
    like, looked_at, came = row
    if lead is not None and like is None:
        raise subjects.not_found("leads", show("leads", lead))
    if like is not None and kind not in (None, like[2]["kind"]):
        hint = f"kind: {show('leads', like[0])} is of kind {like[2]['kind']}; name another lead, or leave kind out."
        raise Refusal("INVALID_ARGUMENT", hint, argument="kind")
    if not came and reached not in (*STATUSES, WON):
        await _see_that_there_is(ctx, reached)
    facts = {
        "asked": {
            "kind": like[2]["kind"] if like else kind,
            "reached": reached,
            "today": ctx.principal.day(datetime.now(UTC)).isoformat(),
        },
        "like": like and _told(like),
        "compared": looked_at,
        "cameSoFar": len(came),
        "patterns": _patterns([one[2] for one in came]),
        "examples": [_told(one) for one in sorted(came, key=lambda one: -one[0])[:EXAMPLES]],
    }
    if not came:
        return Brief(
            "No lead has come as far as was asked, so there is no pattern to search by.",
            ("Call find_records (entity leads, fields status) to see how far leads have come.",),
            "that nothing came so far, how far leads do come, and which of those to take as the measure instead. Propose nothing.",
            facts,
        )
    this = show("leads", lead) if lead else None
    similar = (
        f"Call find_similar_customers ({this}, with reached as in the facts) for the leads most like it, and why."
    )
    return Brief(
        f"Find up to {args.most} new opportunities like "
        + (f"{this}, and like " if this else "")
        + "the leads in the facts that came as far as was asked, and propose them as leads.",
        (
            "Read the facts: patterns counts how often each attribute occurs among the leads that came so far. Name the two or "
            "three that tell them apart; an attribute that nearly all or hardly any have tells nothing.",
            similar if this and "find_similar_customers" in can else None,
            "Call get_record on two examples for what the attributes do not say (notes, role, need)."
            if "get_record" in can
            else None,
            "Search the web for openings, tenders or companies that fit those attributes and are open now.",
            "For each find call find_records (entity leads, then organizations, query its name): leave out what the CRM has, and "
            "take the id of an organization that it has.",
            "Call propose_changes once with what is left: each change proposed_action create, entity_type Job, Opportunity or Partnership "
            "as the examples are, data with name, source and what the page says, link_to the organization's id, source the page's "
            "address, confidence as sure as you are. Where the organization is not there yet, propose it too, as Organization.",
        ),
        "the pattern in two sentences with its counts; a table of what you propose: name, organization, what fits and what does "
        "not, source, draft id; and what you left out because the CRM has it.",
        facts,
        (WEB, DRAFTS),
    )


async def _see_that_there_is(ctx: Read, reached: str) -> None:
    """Refuse a stage that the org has not.

    Raises:
        Refusal: STAGE_NOT_FOUND.
    """
    offer = await completing.stages()(ctx, reached, {})
    if reached not in [name.lower() for name in offer.values]:
        hint = f"There is no such status or stage; statuses are {', '.join(STATUSES)}, and won."
        raise Refusal("STAGE_NOT_FOUND", hint, argument="reached", searchedId=reached[:60], stages=offer.values[:20])


def _told(row: Sequence[Any]) -> dict[str, Any]:
    return {"id": show("leads", row[0]), "name": row[1], **row[2]}


def _patterns(attributes: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return how often the commonest values of each attribute occur; amounts and sizes are no names to count."""
    counted: dict[str, Counter[str]] = {}
    for one in attributes:
        for name, value in one.items():
            if name not in ("value", "size"):
                counted.setdefault(name, Counter())[str(value)] += 1
    return {
        name: [
            {"value": value, "leads": n}
            for value, n in sorted(counter.most_common(COMMON), key=lambda it: (-it[1], it[0]))
        ]
        for name, counter in sorted(counted.items())
    }
