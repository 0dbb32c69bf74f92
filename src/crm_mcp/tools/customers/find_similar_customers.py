"""Customers like a customer, or leads like a lead: by attributes, each with what it contributes."""

from datetime import UTC, datetime
from statistics import median
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import likeness, missing, subjects
from crm_mcp.crm.comparables import CUSTOMERS, LEADS, STATUSES
from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, View, tool

ENOUGH = 5
"""Closed deals from which a win rate and a time to close are told."""


class FindSimilarCustomers(Args):
    record: Text = Field(max_length=60, description="cust_… or lead_…")
    reached: Text | None = Field(None, max_length=100, description="won; of leads also a status or stage: interview.")
    limit: int = Field(5, ge=1, le=50)


class SimilarView(View):
    noun: ClassVar[str] = "similar"
    nouns: ClassVar[str] = "similar"

    record: dict[str, str]
    similarity: float
    factors: list[dict[str, Any]]
    deals: dict[str, int] | None = Field(None, description="Its closed deals.")


@tool(
    title="Find similar customers",
    toolset="customers",
    roles=EVERYONE,
    effect=Effect.READ,
    agents={Agent.RESEARCH},
)
async def find_similar_customers(ctx: Read, args: FindSimilarCustomers) -> Answer[list[SimilarView]]:
    """Find customers like one, or leads like a lead. Use when asked for more like this; for twins use find_duplicates."""
    table, number = subjects.parse(args.record)
    if table not in ("customers", "leads"):
        hint = f"This is the id of a different kind ({ids.NOUN[table]}); similar are found to cust_… and lead_…."
        raise Refusal("INVALID_ID", hint, given=args.record[:60])
    reached = None if args.reached is None else args.reached.strip().lower()
    if table == "customers" and reached not in (None, "won"):
        raise Refusal(
            "INVALID_ARGUMENT", "reached: of customers only won, which is that they ordered.", argument="reached"
        )
    who = ctx.principal
    bound: dict[str, Any] = {"id": number, "now": datetime.now(UTC), "role": who.role, "zone": who.timezone}
    if table == "leads":
        bound |= {"reached": reached, "statuses": list(STATUSES)}
    else:
        bound["won"] = reached is not None
    row = await ctx.one(CUSTOMERS if table == "customers" else LEADS, **bound)
    assert row is not None
    found: list[list[Any]] = row[0]
    asked = next((one[2] for one in found if one[0] == number), None)
    if asked is None:
        raise missing.customer(args.record) if table == "customers" else subjects.not_found(table, args.record)
    weights = likeness.CUSTOMER if table == "customers" else likeness.LEAD
    others = [one for one in found if one[0] != number]
    compared = [(likeness.similarity(asked, one[2], weights), one) for one in others]
    compared.sort(key=lambda one: (-one[0], one[1][0]))
    shown = [one for one in compared if one[0] > 0][: args.limit]
    told = [
        {
            "record": {"id": ids.show(table, one[0]), "name": one[1]},
            "similarity": similarity,
            "factors": [part for part in likeness.compare(asked, one[2], weights)[1] if part["contribution"] > 0],
            "deals": _closed(one[3]) if one[3] else None,
        }
        for similarity, one in shown
    ]
    by = [name for name in weights if name in asked]
    meta: dict[str, Any] = {"n": len(others), "comparedBy": by, "method": likeness.METHOD}
    if history := _history([way for _, one in shown for way in one[3]]):
        meta["history"] = history
    return Answer(told, Display(title=f"{len(told)} similar"), meta)


def _closed(ways: list[list[Any]]) -> dict[str, int]:
    won = sum(bool(way[0]) for way in ways)
    return {"won": won, "lost": len(ways) - won}


def _history(ways: list[list[Any]]) -> dict[str, Any] | None:
    """Return how deals of the ones shown ended; None where there are none.

    Days run from a deal's making to its signature (`signed_on`), else to the day it was closed.
    """
    if not ways:
        return None
    closed, days = _closed(ways), [way[1] for way in ways if way[0]]
    if len(ways) < ENOUGH:
        return {**closed, "because": f"{ENOUGH} closed deals are needed to tell a win rate"}
    share = round(closed["won"] / len(ways), 3)
    insight = f"Of {len(ways)} closed deals of those shown, {closed['won']} were won"
    if days:
        insight += f"; won ones were signed after {median(days):g} days by the median"
    return {
        **closed,
        "winProbability": share,
        "medianDaysToClose": float(median(days)) if days else None,
        "insight": f"{insight}.",
    }
