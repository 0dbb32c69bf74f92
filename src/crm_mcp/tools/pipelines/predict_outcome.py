"""Whether an open deal, or another record on its way through a pipeline, will be won, when, and what that is worth."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import funnel, odds, subjects
from crm_mcp.crm.criteria import IN_PIPELINES
from crm_mcp.crm.odds import Group
from crm_mcp.errors import Refusal
from crm_mcp.money import money
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Args, Display, Effect, Text, View, tool

ENOUGH_WON = 5
"""Won ones that took longer than this one has, from which its day is told."""
_MORE_CONTACT = "arrange a call or meeting: those with more contact were won more often"
RECOMMENDED = {
    ("engagement", "none"): _MORE_CONTACT,
    ("engagement", "one or two"): _MORE_CONTACT,
    ("contact_named", "no"): "name the contact who decides: those with one were won more often",
    ("returning_customer", "no"): "offer a reference: new customers were won less often",
    ("reached_stage", "yes"): "see what the stage still takes with suggest_next_action",
    ("large", "yes"): "agree on the scope: those of this size were won less often",
}
"""What may be done where a level of a factor went along with losing; of other levels nothing is to be done."""
BEGAN = "coalesce(b.started, d.created_at)"
LEVELS = f"""case when exists (select from asked a where a.way is not null) and b.way is not null then
     case when exists (select from visits v join asked a on a.stage_id = v.stage_id where v.way = b.way) then 'yes' else 'no' end end as reached_stage,
   case (select least(3, count(*)) from crm.activities x where x.org_id = d.org_id and x.archived_at is null
      and ((x.subject_type = 'deals' and x.subject_id = d.id) or (x.subject_type = 'customers' and x.subject_id = d.customer_id)
        or (x.subject_type = 'contacts' and x.subject_id = d.contact_id) or x.contact_id = d.contact_id)
      and x.happened_at > coalesce(d.closed_at, %(now)s::timestamptz) - interval '30 days' and x.happened_at <= coalesce(d.closed_at, %(now)s::timestamptz))
     when 0 then 'none' when 3 then 'three or more' else 'one or two' end as engagement,
   case when d.customer_id is not null then case when exists (select from crm.orders o where o.org_id = d.org_id and o.customer_id = d.customer_id
      and o.status <> 'cancelled' and o.placed_at < {BEGAN}) then 'yes' else 'no' end end as returning_customer,
   case when d.contact_id is null then 'no' else 'yes' end as contact_named,
   case when m.median is null or d.base is null then null when d.base > m.median then 'yes' else 'no' end as large"""
NAMES = ", ".join(odds.LEVELS)
CHOSEN = f"chosen{funnel.MEANT.removeprefix('meant')}"
"""The pipelines that are meant, of which the record is in one or none."""
DEALS = f"""with {CHOSEN}, asked as (select d.id, d.status, d.archived_at, p.id as way, p.pipeline_id, p.stage_id, p.entered_at, s.name as stage, l.name as pipeline
   from crm.deals d left join lateral (select p.* from crm.pipeline_positions p join chosen l on l.id = p.pipeline_id
     where p.org_id = d.org_id and p.subject_type = 'deals' and p.subject_id = d.id and p.closed_at is null and p.archived_at is null
     order by l.kind = 'sales' desc, p.entered_at desc, p.id desc limit 1) p on true
   left join crm.pipeline_stages s on s.org_id = d.org_id and s.id = p.stage_id
   left join crm.pipelines l on l.org_id = d.org_id and l.id = p.pipeline_id
   where d.org_id = %(org)s and d.id = %(id)s),
 meant as (select l.* from crm.pipelines l join asked a on l.id = a.pipeline_id where l.org_id = %(org)s), {funnel.WAYS}, {funnel.VISITS},
 begun as (select distinct on (v.subject_id) v.way, v.subject_id, min(v.entered) as started from visits v where v.subject_type = 'deals'
   group by v.way, v.subject_id order by v.subject_id, min(v.entered) desc, v.way desc),
 deals as (select d.*, {funnel.DEAL_BASE} as base from crm.deals d where d.org_id = %(org)s and (d.id = %(id)s
   or d.status <> 'open' and d.archived_at is null)),
 middle as (select percentile_cont(0.5) within group (order by base) as median from deals where status <> 'open'),
 judged as (select d.id, d.status, {LEVELS} from deals d left join begun b on b.subject_id = d.id cross join middle m),
 groups as (select {NAMES}, (count(*) filter (where status = 'won'))::int as won, (count(*) filter (where status = 'lost'))::int as lost
   from judged where status <> 'open' group by {NAMES}),
 took as (select extract(epoch from d.closed_at - v.entered) / 86400 as days from deals d join begun b on b.subject_id = d.id
   join lateral (select max(v.entered) as entered from visits v join asked a on a.stage_id = v.stage_id where v.way = b.way) v on v.entered is not null
   where d.status = 'won' and d.closed_at >= v.entered)
 select jsonb_build_object('id', 'deal_' || d.id, 'name', d.name), d.status, a.archived_at is not null, d.amount::text, d.currency, d.base::text,
  a.stage, a.pipeline, extract(epoch from %(now)s::timestamptz - a.entered_at) / 86400,
  (select to_jsonb(j) - 'id' - 'status' from judged j where j.id = d.id), (select coalesce(jsonb_agg(to_jsonb(g)), '[]') from groups g),
  (select jsonb_build_object('n', count(*), 'median', percentile_cont(0.5) within group (order by days)) from took
    where a.entered_at is not null and days > extract(epoch from %(now)s::timestamptz - a.entered_at) / 86400),
  1, '[]'::jsonb
  from deals d join asked a on a.id = d.id"""
WAYS = f"""with {CHOSEN}, asked as (select p.*, s.name as stage, l.name as pipeline from crm.pipeline_positions p join chosen l on l.id = p.pipeline_id
   join crm.pipeline_stages s on s.org_id = p.org_id and s.id = p.stage_id
   where p.org_id = %(org)s and p.subject_type = %(table)s and p.subject_id = %(id)s and p.closed_at is null and p.archived_at is null
     and s.kind = 'active'),
 meant as (select l.* from crm.pipelines l where l.org_id = %(org)s and l.id in (select a.pipeline_id from asked a)), {funnel.WAYS}, {funnel.VISITS},
 begun as (select v.way, min(v.entered) as started from visits v group by v.way),
 cases as (select p.id, p.subject_id, p.closed_at, b.started, s.kind as status, coalesce(e.customer_id, p.customer_id) as customer_id, {funnel.base_sql("p")} as base,
    case when p.subject_type = 'contacts' then p.subject_id end as contact_id,
    case when p.subject_type = 'leads' then case when e.individual_id is null then 'no' else 'yes' end end as named
   from ways p join begun b on b.way = p.id join crm.pipeline_stages s on s.org_id = p.org_id and s.id = p.stage_id
   left join crm.leads e on p.subject_type = 'leads' and e.org_id = p.org_id and e.id = p.subject_id
   where p.subject_type = %(table)s and (s.kind <> 'active' or p.id in (select a.id from asked a))),
 middle as (select percentile_cont(0.5) within group (order by base) as median from cases where status <> 'active'),
 judged as (select c.id, c.status,
   case when exists (select from visits v join asked a on a.stage_id = v.stage_id where v.way = c.id) then 'yes' else 'no' end as reached_stage,
   case (select least(3, count(*)) from crm.activities x where x.org_id = %(org)s and x.archived_at is null
      and ((x.subject_type, x.subject_id) in ((%(table)s::text, c.subject_id), ('customers', c.customer_id)) or x.contact_id = c.contact_id)
      and x.happened_at > coalesce(c.closed_at, %(now)s::timestamptz) - interval '30 days' and x.happened_at <= coalesce(c.closed_at, %(now)s::timestamptz))
     when 0 then 'none' when 3 then 'three or more' else 'one or two' end as engagement,
   case when c.customer_id is not null then case when exists (select from crm.orders o where o.org_id = %(org)s and o.customer_id = c.customer_id
      and o.status <> 'cancelled' and o.placed_at < c.started) then 'yes' else 'no' end end as returning_customer,
   c.named as contact_named,
   case when m.median is null or c.base is null then null when c.base > m.median then 'yes' else 'no' end as large
   from cases c cross join middle m),
 groups as (select {NAMES}, (count(*) filter (where status = 'won'))::int as won, (count(*) filter (where status = 'lost'))::int as lost
   from judged where status <> 'active' group by {NAMES}),
 took as (select extract(epoch from c.closed_at - v.entered) / 86400 as days from cases c
   join lateral (select max(v.entered) as entered from visits v join asked a on a.stage_id = v.stage_id where v.way = c.id) v on v.entered is not null
   where c.status = 'won' and c.closed_at >= v.entered)
 select {subjects.about_sql("a")}, 'open', false, a.amount::text, a.currency, {funnel.base_sql("a")}::text,
  a.stage, a.pipeline, extract(epoch from %(now)s::timestamptz - a.entered_at) / 86400,
  (select to_jsonb(j) - 'id' - 'status' from judged j where j.id = a.id), (select coalesce(jsonb_agg(to_jsonb(g)), '[]') from groups g),
  (select jsonb_build_object('n', count(*), 'median', percentile_cont(0.5) within group (order by days)) from took
    where days > extract(epoch from %(now)s::timestamptz - a.entered_at) / 86400),
  (select count(*) from asked), (select jsonb_agg(x.pipeline order by x.pipeline) from asked x)
  from asked a order by a.id limit 1"""


class PredictOutcome(Args):
    record: Text = Field(max_length=60, description="deal_…, open; lead_…, cont_… … in a pipeline.")
    pipeline: Text | None = Field(None, max_length=100, description="If it is in several.")


class PredictionView(View):
    noun: ClassVar[str] = "prediction"
    nouns: ClassVar[str] = "predictions"

    record: dict[str, str]
    stage: str | None = None
    willConvert: bool
    probability: float
    interval: dict[str, float]
    confidence: float
    expectedCloseDate: str | None = None
    expectedClose: dict[str, Any]
    expectedValue: dict[str, str] | None = None
    expectedValueBase: dict[str, str] | None = None
    factors: list[dict[str, Any]]
    recommendations: list[str]
    calibration: dict[str, Any]


@tool(
    title="Predict outcome",
    toolset="pipelines",
    roles={Role.ADMIN, Role.SALES, Role.OPERATIONS},
    effect=Effect.READ,
    agents={Agent.ANALYTICS},
)
async def predict_outcome(ctx: Read, args: PredictOutcome) -> Answer[PredictionView]:
    """Tell the odds of an open deal, or of another record in a pipeline, with expected close and value, from what was won
    and lost before. Use when asked whether it will be won; for what may slip use identify_at_risk_deals."""
    now = datetime.now(UTC)
    table, number = subjects.parse(args.record)
    if table not in IN_PIPELINES:
        hint = f"This is the id of a different kind ({ids.NOUN[table]}); in pipelines stand cont_…, ind_…, cust_…, deal_…, lead_…."
        raise Refusal("INVALID_ID", hint, given=args.record[:60])
    bound: dict[str, Any] = {
        **funnel.asked(args.pipeline),
        "id": number,
        "now": now,
        "currency": ctx.principal.currency,
    }
    if table == "deals":
        row = await ctx.one(DEALS, **bound)
    else:
        row = await ctx.one(WAYS, **bound, table=table, role=ctx.principal.role)
    if row is None or (row[7] is None and args.pipeline is not None):
        subject = await subjects.find(ctx.one, ctx.principal, args.record)
        hint = f"{subject.name} is not on its way in {args.pipeline or 'a pipeline'}. Add it with add_to_pipeline."
        raise Refusal("NOT_IN_PIPELINE", hint, record=args.record[:60])
    (
        record,
        status,
        is_archived,
        amount,
        currency,
        base,
        stage,
        pipeline,
        elapsed,
        levels,
        counted,
        took,
        many,
        ways,
    ) = row
    if many > 1:
        hint = "It is in several pipelines; say in which."
        raise Refusal("PIPELINE_AMBIGUOUS", hint, record=args.record[:60], pipelines=ways)
    if status != "open" or is_archived:
        raise Refusal(
            "DEAL_CLOSED", "Only an open deal has an outcome to predict.", record=record["id"], status=status
        )
    groups = [Group({name: one[name] for name in odds.LEVELS}, one["won"], one["lost"]) for one in counted]
    # in a fixed order, so that sums of floats are the same each time
    groups.sort(key=lambda one: [str(one.levels[name]) for name in odds.LEVELS])
    won, lost = sum(one.won for one in groups), sum(one.lost for one in groups)
    if won + lost < odds.ENOUGH:
        raise _too_little(record["id"], None if table == "deals" else (ids.NOUN[table], pipeline), won, lost)
    found = odds.odds(groups, {name: levels[name] for name in odds.LEVELS})
    share = Decimal(str(round(found.probability, 3)))
    close = _close(ctx, now, elapsed, took)
    view: dict[str, Any] = {
        "record": record,
        "willConvert": share >= Decimal("0.5"),
        "probability": float(share),
        "interval": {"low": round(found.low, 3), "high": round(found.high, 3), "level": 0.95},
        "confidence": round(1 - (round(found.high, 3) - round(found.low, 3)), 3),
        "expectedClose": close,
        "factors": list(found.factors),
        "recommendations": [
            RECOMMENDED[level] for one in found.factors if one["impact"] < 0 and (level := (one["factor"], one["level"])) in RECOMMENDED
        ],
        "calibration": {
            "won": won, "lost": lost, "heldBackBy": found.hold, "brier": round(found.brier, 4),
            "brierOfWinRate": round(found.brier_of_rate, 4),
        },
    }  # fmt: skip
    if "on" in close:
        view["expectedCloseDate"] = close["on"]
    if stage is not None:
        view["stage"] = f"{pipeline}: {stage}"
    if amount is not None:
        view["expectedValue"] = money(Decimal(amount) * share, currency).model_dump()
    if base is not None:
        view["expectedValueBase"] = money(Decimal(base) * share, ctx.principal.currency).model_dump()
    return Answer(
        view,
        Display(title=record["name"], subtitle=f"{share:.0%} likely to be won"),
        {"n": won + lost, "method": odds.METHOD},
    )


def _too_little(record: str, of: tuple[str, str] | None, won: int, lost: int) -> Refusal:
    counts: dict[str, Any] = {"won": won, "lost": lost, "needed": odds.ENOUGH}
    if of is None:
        what = f"There are {won + lost} closed deals"
        counts["closedDeals"] = won + lost
    else:
        what = f"There are {won + lost} ended ways of the kind {of[0]} in {of[1]}"
        counts["endedWays"] = won + lost
    hint = f"{what}; from {odds.ENOUGH} on they foretell something. Use the stage's own probability."
    return Refusal("INSUFFICIENT_HISTORY", hint, record=record, **counts)


def _close(ctx: Read, now: datetime, elapsed: Any, took: dict[str, Any]) -> dict[str, Any]:
    """Return the day of closing if it is won: by what won deals that stayed longer than it has took from its stage on."""
    if elapsed is None:
        return {"because": "it is in no pipeline"}
    if took["n"] < ENOUGH_WON:
        return {
            "because": f"{took['n']} of those won took longer from this stage on, {ENOUGH_WON} needed",
            "n": took["n"],
        }
    ahead = timedelta(days=float(took["median"]) - float(elapsed))
    return {"on": ctx.principal.day(now + ahead).isoformat(), "n": took["n"]}
