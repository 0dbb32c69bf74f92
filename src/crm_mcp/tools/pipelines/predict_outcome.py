"""Whether an open deal will be won, when, and what that is worth, by the org's own closed deals."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import funnel, odds, subjects
from crm_mcp.crm.counting import counted
from crm_mcp.crm.odds import Group
from crm_mcp.errors import Refusal
from crm_mcp.money import money
from crm_mcp.principal import Agent, Role
from crm_mcp.tool import Answer, Args, Display, Effect, Text, View, tool

ENOUGH_WON = 5
"""Won deals that took longer than this one has, from which its day is told."""
_MORE_CONTACT = "arrange a call or meeting: deals with more contact were won more often"
RECOMMENDED = {
    ("engagement", "none"): _MORE_CONTACT,
    ("engagement", "one or two"): _MORE_CONTACT,
    ("contact_named", "no"): "name the contact who decides: deals with one were won more often",
    ("returning_customer", "no"): "offer a reference: new customers were won less often",
    ("reached_stage", "yes"): "see what the stage still takes with suggest_next_action",
    ("large", "yes"): "agree on the scope: deals of this size were won less often",
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
SQL = f"""with asked as (select d.id, d.status, d.archived_at, p.id as way, p.pipeline_id, p.stage_id, p.entered_at, s.name as stage, l.name as pipeline
   from crm.deals d left join lateral (select p.* from crm.pipeline_positions p join crm.pipelines l on l.org_id = p.org_id and l.id = p.pipeline_id
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
    where a.entered_at is not null and days > extract(epoch from %(now)s::timestamptz - a.entered_at) / 86400)
  from deals d join asked a on a.id = d.id"""


class PredictOutcome(Args):
    record: Text = Field(max_length=60, description="deal_…, open")


class PredictionView(View):
    noun: ClassVar[str] = "prediction"
    nouns: ClassVar[str] = "predictions"

    record: dict[str, str]
    stage: str | None = None
    willConvert: bool
    probability: float
    interval: dict[str, float]
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
    """Tell the odds of an open deal, with expected close and value, from the org's closed deals. Use when asked whether it
    will be won; for what may slip use identify_at_risk_deals."""
    now = datetime.now(UTC)
    number = ids.parse("deals", args.record)
    row = await ctx.one(SQL, id=number, now=now, currency=ctx.principal.currency)
    if row is None:
        raise subjects.not_found("deals", args.record)
    record, status, is_archived, amount, currency, base, stage, pipeline, elapsed, levels, counted, took = row
    if status != "open" or is_archived:
        raise Refusal(
            "DEAL_CLOSED", "Only an open deal has an outcome to predict.", record=record["id"], status=status
        )
    groups = [Group({name: one[name] for name in odds.LEVELS}, one["won"], one["lost"]) for one in counted]
    # in a fixed order, so that sums of floats are the same each time
    groups.sort(key=lambda one: [str(one.levels[name]) for name in odds.LEVELS])
    won, lost = sum(one.won for one in groups), sum(one.lost for one in groups)
    if won + lost < odds.ENOUGH:
        hint = f"There are {won + lost} closed deals; from {odds.ENOUGH} on they foretell something. Use the stage's own probability."
        raise Refusal("INSUFFICIENT_HISTORY", hint, record=record["id"], closedDeals=won + lost, needed=odds.ENOUGH)
    found = odds.odds(groups, {name: levels[name] for name in odds.LEVELS})
    share = Decimal(str(round(found.probability, 3)))
    view: dict[str, Any] = {
        "record": record,
        "willConvert": share >= Decimal("0.5"),
        "probability": float(share),
        "interval": {"low": round(found.low, 3), "high": round(found.high, 3), "level": 0.95},
        "expectedClose": _close(ctx, now, elapsed, took),
        "factors": list(found.factors),
        "recommendations": [
            RECOMMENDED[level] for one in found.factors if one["impact"] < 0 and (level := (one["factor"], one["level"])) in RECOMMENDED
        ],
        "calibration": {
            "won": won, "lost": lost, "heldBackBy": found.hold, "brier": round(found.brier, 4),
            "brierOfWinRate": round(found.brier_of_rate, 4),
        },
    }  # fmt: skip
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


def _close(ctx: Read, now: datetime, elapsed: Any, took: dict[str, Any]) -> dict[str, Any]:
    """Return the day of closing if it is won: by what won deals that stayed longer than it has took from its stage on."""
    if elapsed is None:
        return {"because": "it is in no pipeline"}
    if took["n"] < ENOUGH_WON:
        return {
            "because": f"{counted(took['n'], 'won deal')} took longer from this stage on, {ENOUGH_WON} needed",
            "n": took["n"],
        }
    ahead = timedelta(days=float(took["median"]) - float(elapsed))
    return {"on": ctx.principal.day(now + ahead).isoformat(), "n": took["n"]}
