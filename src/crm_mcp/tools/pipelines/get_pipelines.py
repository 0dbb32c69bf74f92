"""Pipelines with their stages, counts and value; the records in one; where one record stands and how it came there."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import criteria, pipelines, subjects
from crm_mcp.crm.criteria import IN_PIPELINES
from crm_mcp.errors import Refusal
from crm_mcp.money import money_sql
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Args, Display, Effect, Text, View, tool

MOST = 50
"""Pipelines, and moves of one record, that are told of."""
WORTH = """case when p.subject_type = 'deals' then (select jsonb_build_array(d.amount, d.currency) from crm.deals d
   where d.org_id = p.org_id and d.id = p.subject_id and d.amount is not null)
  when p.amount is not null then jsonb_build_array(p.amount, p.currency) end"""
"""The amount and currency of a place `p`."""
STANDS = "(p.closed_at is null or s.kind <> 'active') and p.archived_at is null"
"""Whether a place `p` counts in its stage `s`."""
CRITERIA = """jsonb_build_object('id', 'stage_' || s.id, 'probability', s.probability, 'minDays', s.min_days, 'maxDays', s.max_days,
  'description', s.description, 'exitCriteria', nullif(s.exit_criteria, '[]'), 'requiredFields', nullif(s.required_fields, '[]'),
  'canSkip', nullif(s.can_skip, false), 'nextStages', s.next_stages, 'automation', s.automation)"""
STAGES = f"""(select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', s.name, 'kind', nullif(s.kind, 'active'),
   'count', coalesce(c.count, 0), 'value', c.value) || case when %(detail)s then {CRITERIA} else '{{}}' end) order by s.position), '[]')
  from crm.pipeline_stages s left join counted c on c.stage_id = s.id
  where s.org_id = l.org_id and s.pipeline_id = l.id and s.archived_at is null)"""
WAYS = """ways as (select * from crm.pipelines l where l.org_id = %(org)s and l.archived_at is null
   and (%(pipeline)s::bigint is null or l.id = %(pipeline)s)
   and (%(its_stage)s::bigint is null or l.id = (select s.pipeline_id from crm.pipeline_stages s
     where s.org_id = %(org)s and s.id = %(its_stage)s and s.archived_at is null))
   and (%(named)s::text is null or lower(l.name) = lower(%(named)s) or (l.kind = lower(%(named)s) and l.is_default
     and not exists (select from crm.pipelines o where o.org_id = l.org_id and o.archived_at is null and lower(o.name) = lower(%(named)s))))
   and (%(record)s::bigint is null or exists (select from crm.pipeline_positions p where p.org_id = l.org_id and p.pipeline_id = l.id
     and p.subject_type = %(table)s::text and p.subject_id = %(record)s and p.archived_at is null))
   order by l.is_default desc, l.name limit 51),
 worth as (select p.stage_id, w ->> 1 as currency, sum((w ->> 0)::numeric) as amount, count(*) as count
   from ways l join crm.pipeline_positions p on p.org_id = l.org_id and p.pipeline_id = l.id
   join crm.pipeline_stages s on s.org_id = p.org_id and s.id = p.stage_id cross join lateral (select {worth} as w) x
   where {stands} group by p.stage_id, w ->> 1),
 counted as (select stage_id, sum(count)::int as count, jsonb_agg({money} order by currency) filter (where currency is not null) as value
   from worth group by stage_id)"""
PLACE = f"""jsonb_strip_nulls(jsonb_build_object('id', 'pos_' || p.id, 'record', {subjects.about_sql("p")}, 'stage', s.name,
  'since', p.entered_at, 'daysInStage', case when p.closed_at is null then floor(extract(epoch from %(now)s::timestamptz - p.entered_at) / 86400)::int end,
  'closedAt', p.closed_at, 'value', (select {money_sql("(w ->> 0)::numeric", "w ->> 1")} from (select {WORTH} as w) x where w is not null),
  'score', coalesce(p.manual_score, p.score), 'followUpOn', p.next_follow_up_on, 'risks', nullif(p.risk_factors, '[]'),
  'owner', (select u.name from crm.users u where u.id = p.owner_id)))"""
FILTER = f"""p.org_id = %(org)s and p.pipeline_id = (select min(id) from ways) and {STANDS} and {subjects.visible_sql("p")}
   and (%(stage)s::text is null and p.closed_at is null or 'stage_' || s.id = %(stage)s or lower(s.name) = lower(%(stage)s))"""
JOINED = "crm.pipeline_positions p join crm.pipeline_stages s on s.org_id = p.org_id and s.id = p.stage_id"
HISTORY = """(select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(m))), '[]') from (select t.moved_at as "movedAt", f.name as "from",
   g.name as "to", round(t.seconds_in_stage / 86400.0, 1) as "daysBefore", u.name as by, t.via_agent as "viaAgent", t.explanation,
   nullif(t.criteria, '{}') as criteria from crm.stage_transitions t join crm.pipeline_positions p on p.org_id = t.org_id and p.id = t.position_id
   left join crm.pipeline_stages f on f.org_id = t.org_id and f.id = t.from_stage_id
   join crm.pipeline_stages g on g.org_id = t.org_id and g.id = t.to_stage_id left join crm.users u on u.id = t.created_by
   where t.org_id = l.org_id and t.pipeline_id = l.id and t.archived_at is null and p.subject_type = %(table)s::text and p.subject_id = %(record)s
   order by t.moved_at desc, t.id desc limit 50) m)"""
OF_RECORD = f"""'positions', case when %(record)s::bigint is not null then (select jsonb_agg({PLACE} order by p.id desc) from {JOINED}
   where p.org_id = l.org_id and p.pipeline_id = l.id and p.subject_type = %(table)s::text and p.subject_id = %(record)s
   and p.archived_at is null) end,
  'history', case when %(history)s and %(record)s::bigint is not null then {HISTORY} end"""
ROW = f"""jsonb_strip_nulls(jsonb_build_object('id', 'pipe_' || l.id, 'name', l.name, 'kind', l.kind, 'description', l.description,
  'isDefault', nullif(l.is_default, false), 'automation', nullif(l.automation, true),
  'stages', case when %(record)s::bigint is null then {STAGES} end, {OF_RECORD}))"""
HEAD = "with " + WAYS.format(worth=WORTH, stands=STANDS, money=money_sql("amount", "currency"))
SQL = f"""{HEAD}
 select (select coalesce(jsonb_agg({ROW} order by l.is_default desc, l.name), '[]') from ways l),
  (select coalesce(jsonb_agg(x.name), '[]') from (select o.name from crm.pipelines o where o.org_id = %(org)s and o.archived_at is null
    order by o.name limit {MOST}) x)"""
LIST = f"""{HEAD}, page as (select p.*, s.name as stage_name from {JOINED} where {FILTER}
   and (%(after_at)s::timestamptz is null or (p.entered_at, p.id) > (%(after_at)s::timestamptz, %(after_id)s::bigint))
   order by p.entered_at, p.id limit %(most)s)
 select (select coalesce(jsonb_agg({ROW} order by l.is_default desc, l.name), '[]') from ways l),
  (select coalesce(jsonb_agg(x.name), '[]') from (select o.name from crm.pipelines o where o.org_id = %(org)s and o.archived_at is null
    order by o.name limit {MOST}) x),
  (select coalesce(jsonb_agg({PLACE} order by p.entered_at, p.id), '[]') from page p join crm.pipeline_stages s on s.org_id = p.org_id and s.id = p.stage_id),
  (select coalesce(jsonb_agg(jsonb_build_array(p.entered_at, p.id) order by p.entered_at, p.id), '[]') from page p),
  (select count(*) from {JOINED} where {FILTER})"""


class GetPipelines(Args):
    pipeline: Text | None = Field(None, max_length=100, description="pipe_…, its name, or a kind: its default.")
    stage: Text | None = Field(None, max_length=100)
    record: Text | None = Field(None, max_length=60, description="Where it stands: deal_…, cont_… …")
    records: bool = Field(False, description="Lists those of pipe_….")
    include: tuple[Literal["criteria", "history"], ...] = Field((), max_length=2, description="history: of record.")
    limit: int = Field(20, ge=1, le=50)
    cursor: Text | None = Field(None, max_length=300)


class PipelineRow(View):
    noun: ClassVar[str] = "pipeline"
    nouns: ClassVar[str] = "pipelines"

    id: str
    name: str
    kind: str
    description: str | None = None
    isDefault: bool | None = None
    automation: bool | None = None
    stages: list[dict[str, Any]] | None = None
    records: list[dict[str, Any]] | None = Field(None, description="The longest in their stage first.")
    positions: list[dict[str, Any]] | None = None
    history: list[dict[str, Any]] | None = None


@tool(
    title="Get pipelines",
    toolset="pipelines",
    roles={Role.ADMIN, Role.SALES, Role.OPERATIONS},
    effect=Effect.READ,
    agents={Agent.SALES, Agent.RESEARCH, Agent.ANALYTICS},
)
async def get_pipelines(ctx: Read, args: GetPipelines) -> Answer[list[PipelineRow]]:
    """Show pipelines with stages, counts and value; the records in one or in a stage; or where one record stands and how
    it came there. Use when you need a stage's records or criteria; to judge one use analyze_pipeline."""
    table, record = _record(args.record)
    lists = args.records or args.stage is not None
    its_stage = ids.parse("pipeline_stages", args.stage) if args.stage is not None and ids.is_id(args.stage) else None
    if lists and args.pipeline is None and its_stage is None:
        raise Refusal("INVALID_ARGUMENT", "pipeline: say whose records.", argument="pipeline")
    if lists and record is not None:
        raise Refusal("INVALID_ARGUMENT", "record: not with stage or records.", argument="record")
    question = ["get_pipelines", args.model_dump(mode="json", exclude={"cursor", "limit"})]
    after = ctx.cursors.open(ctx.principal, question, args.cursor) if args.cursor else [None, None]
    is_number = args.pipeline is not None and ids.is_id(args.pipeline)
    row = await ctx.one(
        LIST if lists else SQL,
        pipeline=ids.parse("pipelines", args.pipeline or "") if is_number else None,
        named=None if is_number or args.pipeline is None else args.pipeline.strip(),
        stage=args.stage,
        its_stage=its_stage,
        table=table,
        record=record,
        role=ctx.principal.role,
        detail="criteria" in args.include,
        history="history" in args.include,
        now=datetime.now(UTC),
        after_at=after[0],
        after_id=after[1],
        most=args.limit + 1,
    )
    assert row is not None
    found: list[dict[str, Any]] = row[0]
    if its_stage is not None and not found:
        raise _no_stage(args.stage or "")
    if args.pipeline is not None and not found:
        if record is not None:
            return Answer([], Display(title="In no such pipeline"))
        raise pipelines.not_found(args.pipeline, row[1])
    for one in found:
        for stage in one.get("stages") or ():
            if "exitCriteria" in stage:
                stage["exitCriteria"] = [_criterion(given) for given in stage["exitCriteria"]]
    if record is not None and not found:
        await subjects.find(ctx.one, ctx.principal, args.record or "")
    if not lists:
        return Answer(found[:MOST], Display(title=f"{len(found)} pipelines"))
    _, _, records, positions, total = row
    if args.stage is not None:
        _stage(found[0], args.stage, records, total)
    found[0]["records"] = records[: args.limit]
    page = ctx.page(question, positions)
    return Answer(
        found[:1], Display(title=found[0]["name"], subtitle=f"{total} records"), {"total": total},
        after=page.after, listed=_listed,
    )  # fmt: skip


def _listed(found: Any) -> Sequence[Any]:
    return found[0]["records"]


def _record(text: str | None) -> tuple[str | None, int | None]:
    if text is None:
        return None, None
    table, number = subjects.parse(text)
    if table not in IN_PIPELINES:
        hint = f"This is the id of a different kind ({ids.NOUN[table]}); in pipelines stand cont_…, ind_…, cust_…, deal_…, lead_…."
        raise Refusal("INVALID_ID", hint, given=text[:60])
    return table, number


def _criterion(given: dict[str, Any]) -> str:
    check = given.get("check")
    return f"{given['name']} ({criteria.in_words(check)})" if check else str(given["name"])


def _stage(pipeline: dict[str, Any], text: str, records: list[Any], total: int) -> None:
    """Refuse a stage that the pipeline has not.

    Raises:
        Refusal: STAGE_NOT_FOUND.
    """
    names = [str(stage["name"]) for stage in pipeline["stages"]]
    if (
        total == 0
        and text.strip().casefold() not in [name.casefold() for name in names]
        and not text.startswith("stage_")
    ):
        raise _no_stage(text, stages=names)


def _no_stage(text: str, **known: list[str]) -> Refusal:
    hint = "There is no such stage, or not in this pipeline."
    return Refusal("STAGE_NOT_FOUND", hint, argument="stage", searchedId=text[:60], **known)
