"""What to do next for a record in a pipeline, from its stage, what is missing, silence, tasks and risk."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import advice, criteria, funnel, moving, risk, subjects
from crm_mcp.crm.criteria import IN_PIPELINES
from crm_mcp.crm.models import PipelineStage
from crm_mcp.crm.subjects import Subject
from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Args, Display, Effect, Text, View, tool

ALTERNATIVES = 5
METHOD = "Fixed rules in a fixed order over stage, criteria, silence, tasks and risk. docs/methods.md."
SQL = f"""with {funnel.MEANT}, {funnel.WAYS}, {funnel.VISITS}, {funnel.STAYS},
 {risk.facts("p.subject_type = %(table)s::text and p.subject_id = %(record)s::bigint")},
 due as (select 'task_' || t.id as id, t.title, t.due_on as "dueOn" from crm.tasks t where t.org_id = %(org)s and t.archived_at is null
   and t.status = 'open' and (t.subject_type, t.subject_id) = (%(table)s::text, %(record)s::bigint) and {subjects.task_visible_sql("t")}
   order by t.due_on nulls last, t.id limit 20)
 select f.pipeline, {risk.FACTS}, f.account, f.worth::text, coalesce(f.manual_score, f.score)::text, f.factors, f.stage_id,
  (select jsonb_agg(jsonb_build_object('id', s.id, 'name', s.name, 'position', s.position, 'kind', s.kind, 'can_skip', s.can_skip,
    'next_stages', s.next_stages, 'exit_criteria', s.exit_criteria, 'required_fields', s.required_fields, 'suggestions', s.suggestions)
    order by s.position) from crm.pipeline_stages s where s.org_id = %(org)s and s.pipeline_id = f.pipeline_id and s.archived_at is null),
  (select coalesce(jsonb_agg(to_jsonb(d) order by d."dueOn" nulls last, d.id), '[]') from due d),
  (select jsonb_agg(distinct x.pipeline) from facts x)
 from facts f order by f.entered_at, f.id limit 1"""


class SuggestNextAction(Args):
    record: Text = Field(max_length=60, description="deal_…, lead_…, cont_… …")
    pipeline: Text | None = Field(None, max_length=100, description="If it is in several.")


class SuggestionView(View):
    noun: ClassVar[str] = "suggestion"
    nouns: ClassVar[str] = "suggestions"

    record: dict[str, Any]
    pipeline: str
    stage: str
    primaryAction: dict[str, Any]
    alternativeActions: list[dict[str, Any]]
    missing: list[str]
    riskScore: float
    factors: list[dict[str, Any]]
    stageSuggestions: list[str]
    openTasks: list[dict[str, Any]]


@tool(
    title="Suggest next action",
    toolset="pipelines",
    roles={Role.ADMIN, Role.SALES, Role.OPERATIONS},
    effect=Effect.READ,
    agents={Agent.SALES, Agent.RESEARCH},
)
async def suggest_next_action(ctx: Read, args: SuggestNextAction) -> Answer[SuggestionView]:
    """Suggest what to do next for a record in a pipeline, and when. Use when asked what to do about it."""
    table, number = subjects.parse(args.record)
    if table not in IN_PIPELINES:
        hint = f"This is the id of a different kind ({ids.NOUN[table]}); in pipelines stand cont_…, ind_…, cust_…, deal_…, lead_…."
        raise Refusal("INVALID_ID", hint, given=args.record[:60])
    now = datetime.now(UTC)
    today = ctx.principal.day(now)
    row = await ctx.one(
        SQL,
        **funnel.asked(args.pipeline),
        table=table,
        record=number,
        now=now,
        today=today,
        role=ctx.principal.role,
        currency=ctx.principal.currency,
    )
    if row is None:
        subject = await subjects.find(ctx.one, ctx.principal, args.record)
        hint = f"{subject.name} is not on its way in {args.pipeline or 'a pipeline'}. Add it with add_to_pipeline."
        raise Refusal("NOT_IN_PIPELINE", hint, record=args.record[:60])
    _, facts, account, worth, score, factors, stage_id, stages, tasks, ways = row
    if len(ways) > 1:
        raise Refusal(
            "PIPELINE_AMBIGUOUS", "It is in several pipelines; say in which.", record=args.record[:60], pipelines=ways
        )
    subject = Subject(table, number, account, facts["record"]["name"])
    found = await criteria.evidence(ctx.one, subject)
    fields = dict(found.fields)
    if found.amount is None:
        fields[criteria.VALUE] = None if worth is None else Decimal(worth)
    evidence = replace(found, fields=fields, score=None if score is None else Decimal(score), factors=factors)
    stage = next(one for one in stages if one["id"] == stage_id)
    judged = evidence.judge(stage["exit_criteria"], stage["required_fields"], ())
    judgement = risk.judge(facts)
    it = advice.Situation(
        facts["record"],
        facts,
        judgement,
        judged,
        _following(stages, stage_id),
        tasks,
        "contact" in found.has or table in ("contacts", "individuals"),
        score is not None,
        today,
    )
    first, *others = advice.actions(it)
    view: dict[str, Any] = {
        "record": facts["record"],
        "pipeline": facts["pipeline"],
        "stage": facts["stage"],
        "primaryAction": first,
        "alternativeActions": others[:ALTERNATIVES],
        "missing": [*judged.missing, *judged.fields],
        "riskScore": float(judgement.score),
        "factors": list(judgement.factors),
        "stageSuggestions": stage["suggestions"],
        "openTasks": tasks[:5],
    }
    return Answer(
        view, Display(title=facts["record"]["name"], subtitle=first["action"].replace("_", " ")), {"method": METHOD}
    )


def _following(stages: list[dict[str, Any]], stage_id: int) -> str | None:
    """Return the stage that comes next, as moves allow."""
    kept = ("id", "name", "position", "kind", "can_skip", "next_stages")
    made = [PipelineStage(**{name: one[name] for name in kept}) for one in stages]
    now = next(one for one in made if one.id == stage_id)
    ahead = (one for one in moving.follow_from(now, made) if one.position > now.position and one.kind != "lost")
    return next((one.name for one in ahead), None)
