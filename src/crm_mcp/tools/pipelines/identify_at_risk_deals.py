"""Open deals and other records on their way that may be lost, the most at risk first."""

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm import funnel, risk
from crm_mcp.money import money
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Args, Display, Effect, Text, View, tool

MOST = 5000
"""Open ways judged in one answer, those longest in their stage first."""
ACTIONS = {
    "inactivity": {"action": "get_in_touch", "tool": "send_email_draft"},
    "time_in_stage": {"action": "check_what_is_missing", "tool": "suggest_next_action"},
    "falling_engagement": {"action": "arrange_a_call", "tool": "create_task"},
    "overdue_close_date": {"action": "agree_a_new_date", "tool": "propose_changes"},
}
"""What may be done about each factor."""
SQL = f"""with {funnel.MEANT}, {funnel.WAYS}, {funnel.VISITS}, {funnel.STAYS},
 {risk.facts("(%(pipeline)s::bigint is not null or %(named)s::text is not null or p.subject_type = 'deals')")}
 select {funnel.NAMES}, (select count(*) from meant), (select count(*) from standing),
  (select coalesce(jsonb_agg({risk.FACTS} order by f.entered_at, f.id), '[]') from (select * from facts order by entered_at, id limit {MOST}) f),
  (select count(*) from crm.deals d where d.org_id = %(org)s and d.status = 'open' and d.archived_at is null
    and not exists (select from ways p where p.subject_type = 'deals' and p.subject_id = d.id and p.closed_at is null))"""


class IdentifyAtRiskDeals(Args):
    pipeline: Text | None = Field(None, max_length=100, description="Else deals of all.")
    risk_threshold: float = Field(0.5, ge=0, le=1)
    limit: int = Field(10, ge=1, le=50)


class AtRiskView(View):
    noun: ClassVar[str] = "atRisk"
    nouns: ClassVar[str] = "atRisk"

    record: dict[str, Any]
    pipeline: str
    stage: str
    riskScore: float
    factors: list[dict[str, Any]]
    notJudged: list[dict[str, str]] | None = None
    value: dict[str, str] | None = None
    contact: dict[str, str] | None = None
    suggestedActions: list[dict[str, str]]


@tool(
    title="Identify at-risk deals",
    toolset="pipelines",
    roles={Role.ADMIN, Role.SALES, Role.OPERATIONS},
    effect=Effect.READ,
    agents={Agent.SALES, Agent.ANALYTICS},
)
async def identify_at_risk_deals(ctx: Read, args: IdentifyAtRiskDeals) -> Answer[list[AtRiskView]]:
    """List open deals at risk with score, factors and value. Use when asked what may slip; for one's odds use
    predict_outcome."""
    now = datetime.now(UTC)
    row = await ctx.one(
        SQL,
        **funnel.asked(args.pipeline),
        now=now,
        today=ctx.principal.day(now),
        role=ctx.principal.role,
        currency=ctx.principal.currency,
    )
    assert row is not None
    names, ways, standing, found, outside = row
    if args.pipeline is not None and not ways:
        raise funnel.not_found(args.pipeline, names)
    judged = _once([(risk.judge(facts), facts) for facts in found])
    threshold = Decimal(str(args.risk_threshold))
    risky = [one for one in judged if one[0].score >= threshold]
    risky.sort(key=lambda one: (-one[0].score, -Decimal(one[1]["base"] or 0), int(one[1]["place"][4:])))
    meta: dict[str, Any] = {
        "totalAtRisk": len(risky),
        "judged": len(judged),
        "open": standing,
        **at_risk([facts for _, facts in risky], ctx.principal.currency),
        "method": risk.METHOD,
    }
    if args.pipeline is None:
        meta["dealsInNoPipeline"] = outside
    told = [_told(*one) for one in risky[: args.limit]]
    return Answer(told, Display(title=f"{len(risky)} at risk", subtitle=f"of {len(judged)} open"), meta)


def _once(judged: list[tuple[risk.Risk, dict[str, Any]]]) -> list[tuple[risk.Risk, dict[str, Any]]]:
    """Return each record once: in the pipeline in which it is most at risk."""
    kept: dict[str, tuple[risk.Risk, dict[str, Any]]] = {}
    for one in judged:
        name = one[1]["record"]["id"]
        if name not in kept or one[0].score > kept[name][0].score:
            kept[name] = one
    return list(kept.values())


def at_risk(found: list[dict[str, Any]], currency: str) -> dict[str, Any]:
    """Return the value at risk by currency and in base currency, and how many have no rate or no value."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in found:
        if one["worth"] is not None:
            sums[one["currency"]] += Decimal(one["worth"])
    base = sum((Decimal(one["base"]) for one in found if one["base"] is not None), Decimal(0))
    return {
        "valueAtRisk": [money(sums[unit], unit).model_dump() for unit in sorted(sums)],
        "valueAtRiskBase": money(base, currency).model_dump(),
        "withoutRate": sum(one["worth"] is not None and one["base"] is None for one in found),
        "withoutValue": sum(one["worth"] is None for one in found),
    }


def _told(judged: risk.Risk, facts: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "record": facts["record"],
        "pipeline": facts["pipeline"],
        "stage": facts["stage"],
        "riskScore": float(judged.score),
        "factors": list(judged.factors),
        "suggestedActions": [ACTIONS[one["factor"]] for one in judged.factors],
    }
    if judged.unjudged:
        told["notJudged"] = list(judged.unjudged)
    if facts["value"] is not None:
        told["value"] = facts["value"]
    if facts["contact"] is not None:
        told["contact"] = facts["contact"]
    return told
