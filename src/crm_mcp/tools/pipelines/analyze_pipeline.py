"""How a pipeline does: conversion, time in stage, drop-off, velocity and bottleneck, from its own moves."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm import funnel, verdicts
from crm_mcp.errors import Refusal
from crm_mcp.money import money_sql
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Args, Display, Effect, Text, View, tool

USUAL = 180
"""Days looked back on where none are named."""
SPAN = """span as (select %(from)s::date::timestamp at time zone %(zone)s as since,
   (%(to)s::date + 1)::timestamp at time zone %(zone)s as until,
   least((%(to)s::date + 1)::timestamp at time zone %(zone)s, %(now)s::timestamptz) as as_of)"""
DAYS = "extract(epoch from v.left_at - v.entered) / 86400"


def _handed(table: str, number: str) -> str:
    """Return the SQL of whether a record went from one owner to another on its way `e`."""
    return f"""exists (select from crm.changes c where c.org_id = %(org)s and c.tbl = {table} and (c.key ->> 'id')::bigint = {number}
     and c.op = 'U' and c.before ->> 'owner_id' is not null and c.after ? 'owner_id'
     and c.after ->> 'owner_id' is distinct from c.before ->> 'owner_id' and c.at between e.started and e.ended)"""


SQL = f"""with {funnel.MEANT}, {funnel.WAYS}, {funnel.VISITS}, {SPAN},
 seen as (select v.*, v.left_at is null or v.left_at >= s.until as is_last from visits v cross join span s
   where v.entered < s.until and (v.kind = 'active' or v.left_at is null or v.left_at >= s.until)),
 begun as (select way, subject_type, subject_id, min(entered) as started from visits group by way, subject_type, subject_id),
 cohort as (select b.subject_type, b.subject_id from begun b cross join span s group by b.subject_type, b.subject_id, s.since, s.until
   having min(b.started) >= s.since and min(b.started) < s.until),
 records as (select c.subject_type, c.subject_id, coalesce(bool_or(v.kind = 'won'), false) as won,
   coalesce(bool_or(v.kind = 'active' and v.is_last), false) as open, max(v.place) filter (where v.kind <> 'lost') as furthest
   from cohort c join seen v using (subject_type, subject_id) group by c.subject_type, c.subject_id),
 reached as (select distinct r.*, v.stage_id, v.place from records r join seen v using (subject_type, subject_id) where v.kind = 'active'),
 conversion as (select stage_id, count(*)::int as entered, (count(*) filter (where furthest > place))::int as advanced,
   (count(*) filter (where furthest = place and not won and not open))::int as dropped from reached group by stage_id),
 timing as (select v.stage_id, count(*)::int as n, percentile_cont(0.5) within group (order by {DAYS}) as median,
   percentile_cont(0.9) within group (order by {DAYS}) as p90
   from visits v cross join span s where v.kind = 'active' and v.left_at >= s.since and v.left_at < s.until group by v.stage_id),
 waiting as (select v.stage_id, count(*)::int as n,
   percentile_cont(0.5) within group (order by extract(epoch from s.as_of - v.entered) / 86400) as median
   from seen v cross join span s where v.kind = 'active' and v.is_last and v.entered < s.as_of group by v.stage_id),
 ended as (select v.way, v.kind, b.started, v.entered as ended, p.subject_type, p.subject_id, coalesce(d.owner_id, e.owner_id, p.owner_id) as owner_id,
   d.signed_on, {funnel.base_sql("p")} as base
   from seen v cross join span s join begun b using (way) join ways p on p.id = v.way
   left join crm.deals d on p.subject_type = 'deals' and d.org_id = p.org_id and d.id = p.subject_id
   left join crm.leads e on p.subject_type = 'leads' and e.org_id = p.org_id and e.id = p.subject_id
   where v.kind <> 'active' and v.is_last and v.entered >= s.since),
 cycles as (select greatest(0, coalesce(e.signed_on, (e.ended at time zone %(zone)s)::date) - (e.started at time zone %(zone)s)::date) as days,
   e.signed_on is not null as signed from ended e where e.kind = 'won'),
 handled as (select e.owner_id, extract(epoch from e.ended - e.started) / 86400 as days,
   {_handed("'pipeline_positions'", "e.way")} or {_handed("e.subject_type", "e.subject_id")} as transferred
   from ended e)
 select (select jsonb_build_object('id', 'pipe_' || l.id, 'name', l.name, 'kind', l.kind) from meant l limit 1), {funnel.NAMES},
  (select jsonb_agg(jsonb_build_object('stage', s.name, 'entered', coalesce(c.entered, 0), 'advanced', coalesce(c.advanced, 0),
     'dropped', coalesce(c.dropped, 0), 'stays', coalesce(t.n, 0), 'median', t.median, 'p90', t.p90, 'waiting', coalesce(w.n, 0),
     'waited', w.median, 'maxDays', s.max_days) order by s.position)
   from crm.pipeline_stages s join meant l on l.id = s.pipeline_id left join conversion c on c.stage_id = s.id
   left join timing t on t.stage_id = s.id left join waiting w on w.stage_id = s.id
   where s.org_id = %(org)s and s.kind = 'active' and (s.archived_at is null or c.entered > 0 or t.n > 0 or w.n > 0)),
  (select jsonb_build_object('records', count(*), 'won', count(*) filter (where won), 'open', count(*) filter (where open and not won)) from records),
  (select jsonb_build_object('won', count(*) filter (where kind = 'won'), 'lost', count(*) filter (where kind = 'lost'),
     'mean', avg(base) filter (where kind = 'won'), 'value', {money_sql("coalesce(sum(base) filter (where kind = 'won'), 0)", "%(currency)s::text")},
     'unconverted', count(*) filter (where kind = 'won' and base is null)) from ended),
  (select jsonb_build_object('n', count(*), 'signed', count(*) filter (where signed), 'mean', avg(days),
     'median', percentile_cont(0.5) within group (order by days), 'p90', percentile_cont(0.9) within group (order by days)) from cycles),
  (select jsonb_build_object('n', count(*) filter (where not transferred), 'transferred', count(*) filter (where transferred),
     'median', percentile_cont(0.5) within group (order by days) filter (where not transferred),
     'people', (select coalesce(jsonb_agg(jsonb_build_object('person', u.name, 'n', x.n, 'median', x.median) order by x.n desc, u.name), '[]')
       from (select owner_id, count(*)::int as n, percentile_cont(0.5) within group (order by days) as median from handled
         where not transferred and owner_id is not null group by owner_id order by n desc, owner_id limit 20) x join crm.users u on u.id = x.owner_id))
   from handled)"""


class AnalyzePipeline(Args):
    pipeline: Text = Field(max_length=100, description="pipe_…, name or kind.")
    from_day: date | None = Field(None, description=f"Default: {USUAL} days.")
    to_day: date | None = Field(None)


class AnalysisView(View):
    noun: ClassVar[str] = "analysis"
    nouns: ClassVar[str] = "analyses"

    pipeline: dict[str, str]
    period: dict[str, str]
    metrics: dict[str, Any]
    stages: list[dict[str, Any]]
    handleTime: dict[str, Any]
    insights: list[dict[str, Any]]
    suggestions: list[dict[str, Any]]


@tool(
    title="Analyze pipeline",
    toolset="pipelines",
    roles={Role.ADMIN, Role.SALES, Role.OPERATIONS},
    effect=Effect.READ,
    agents={Agent.ANALYTICS},
)
async def analyze_pipeline(ctx: Read, args: AnalyzePipeline) -> Answer[AnalysisView]:
    """Tell how a pipeline does: conversion, time in stage, drop-off, velocity, bottleneck. Use when asked why it stalls."""
    now = datetime.now(UTC)
    last = args.to_day or ctx.principal.day(now)
    first = args.from_day or last - timedelta(days=min(USUAL - 1, (last - date.min).days))
    if first > last:
        raise Refusal("INVALID_ARGUMENT", "to_day: the period ends before it begins.", argument="to_day")
    if last == date.max:
        raise Refusal("INVALID_ARGUMENT", "to_day: no day follows it.", argument="to_day")
    row = await ctx.one(
        SQL,
        **funnel.asked(args.pipeline),
        **{"from": first, "to": last, "zone": ctx.principal.timezone, "now": now, "currency": ctx.principal.currency},
    )
    assert row is not None
    found, names, stages, cohort, ended, cycles, handled = row
    if found is None:
        raise funnel.not_found(args.pipeline, names)
    told = verdicts.analysis(stages or [], cohort, ended, cycles, handled, ctx.principal.currency)
    view = {
        "pipeline": found,
        "period": {"from": first.isoformat(), "to": last.isoformat(), "zone": ctx.principal.timezone},
        **told,
    }
    return Answer(
        view,
        Display(title=found["name"], subtitle=f"{cohort['records']} records"),
        {"n": cohort["records"], "method": verdicts.METHOD},
    )
