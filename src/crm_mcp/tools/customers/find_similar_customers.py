"""Customers like a customer, or leads like a lead: by attributes, each with what it contributes."""

from datetime import UTC, datetime
from statistics import median
from typing import Any, ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import likeness, missing, subjects
from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, View, tool

MOST = 10_000
"""Parties compared with, the newest first."""
BACK = 730
"""Days of orders that product mix and order volume are of."""
STATUSES = ("new", "contacted", "qualified", "interview", "proposal", "converted")
"""How far leads come, in order; lost ones got as far as their pipelines say."""
WAYS = f"""coalesce((select jsonb_agg(jsonb_build_array(d.status = 'won', greatest(0, coalesce(d.signed_on,
    (d.closed_at at time zone %(zone)s)::date) - (d.created_at at time zone %(zone)s)::date)) order by d.id) from crm.deals d
   where d.org_id = %(org)s and d.{{of}} and d.status in ('won', 'lost') and d.archived_at is null and 'deals' = any ({subjects.SEEN})), '[]')"""
"""The closed deals of a party: whether each was won, and the days from its making to its signature."""
ENOUGH = 5
"""Closed deals from which a win rate and a time to close are told."""
CUSTOMERS = f"""with base as (select c.* from crm.customers c where c.org_id = %(org)s and (c.id = %(id)s or c.archived_at is null)
   order by c.id = %(id)s desc, c.id desc limit {MOST + 1}),
 placed as (select o.customer_id, o.id, o.base_total, o.net_total, o.gross_total from crm.orders o where o.org_id = %(org)s and o.status <> 'cancelled'
   and o.placed_at > %(now)s::timestamptz - interval '{BACK} days' and o.placed_at <= %(now)s::timestamptz),
 volume as (select customer_id, sum(base_total) as total from placed group by customer_id),
 mix as (select x.customer_id, jsonb_object_agg(x.category, x.spent) as parts from (select o.customer_id, coalesce(r.category, 'other') as category,
     sum(case when o.gross_total > 0 then l.net_amount * o.base_total / o.gross_total else 0 end) as spent
   from placed o join crm.order_lines l on l.org_id = %(org)s and l.order_id = o.id
   join crm.products r on r.org_id = %(org)s and r.id = l.product_id where o.base_total is not null group by 1, 2) x
   where x.spent > 0 group by x.customer_id),
 firm as (select distinct on (p.customer_id) p.customer_id, g.industry, g.employees from crm.customer_parties p
   join crm.organizations g on g.org_id = p.org_id and g.id = p.organization_id and g.archived_at is null
   where p.org_id = %(org)s and p.archived_at is null order by p.customer_id, p.id)
 select coalesce(jsonb_agg(jsonb_build_array(c.id, c.name, exists (select from crm.orders o where o.org_id = c.org_id and o.customer_id = c.id
    and o.status <> 'cancelled'), jsonb_strip_nulls(jsonb_build_object('segment', c.segment, 'industry', f.industry, 'country', c.country,
    'size', f.employees, 'kind', c.kind, 'product_mix', m.parts, 'order_volume', v.total)), {WAYS.format(of="customer_id = c.id")}) order by c.id), '[]')
 from base c left join firm f on f.customer_id = c.id left join mix m on m.customer_id = c.id left join volume v on v.customer_id = c.id"""
LEADS = f"""with base as (select e.* from crm.leads e where e.org_id = %(org)s and 'leads' = any ({subjects.SEEN}) and (e.id = %(id)s or e.archived_at is null)
   order by e.id = %(id)s desc, e.id desc limit {MOST + 1})
 select coalesce(jsonb_agg(jsonb_build_array(e.id, e.name, case when %(reached)s::text = 'won' then e.status = 'converted' else
    coalesce(array_position(%(statuses)s::text[], e.status) >= array_position(%(statuses)s::text[], %(reached)s::text), false) end
    or exists (select from crm.pipeline_positions p join crm.stage_transitions t on t.org_id = p.org_id and t.position_id = p.id
     join crm.pipeline_stages s on s.org_id = t.org_id and s.id in (t.to_stage_id, t.from_stage_id)
     where p.org_id = e.org_id and p.subject_type = 'leads' and p.subject_id = e.id and p.archived_at is null
      and (lower(s.name) = %(reached)s::text or s.kind = %(reached)s::text)),
   jsonb_strip_nulls(jsonb_build_object('kind', e.kind, 'source', e.source, 'industry', g.industry, 'size', g.employees,
    'country', coalesce(g.country, c.country), 'role', j.role, 'seniority', j.seniority, 'location', j.location, 'remote', j.is_remote,
    'value', coalesce(j.salary_max, j.salary_min, o.amount))), {WAYS.format(of="lead_id = e.id")}) order by e.id), '[]')
 from base e left join crm.organizations g on g.org_id = e.org_id and g.id = e.organization_id
 left join crm.customers c on c.org_id = e.org_id and c.id = e.customer_id
 left join crm.jobs j on j.org_id = e.org_id and j.lead_id = e.id left join crm.opportunities o on o.org_id = e.org_id and o.lead_id = e.id"""


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
    row = await ctx.one(CUSTOMERS if table == "customers" else LEADS, **bound)
    assert row is not None
    found: list[list[Any]] = row[0]
    asked = next((one[3] for one in found if one[0] == number), None)
    if asked is None:
        raise missing.customer(args.record) if table == "customers" else subjects.not_found(table, args.record)
    weights = likeness.CUSTOMER if table == "customers" else likeness.LEAD
    others = [one for one in found if one[0] != number and (reached is None or one[2])]
    compared = [(*likeness.compare(asked, one[3], weights), one) for one in others]
    compared.sort(key=lambda one: (-one[0], one[2][0]))
    shown = [one for one in compared if one[0] > 0][: args.limit]
    told = [
        {
            "record": {"id": ids.show(table, one[0]), "name": one[1]},
            "similarity": similarity,
            "factors": [part for part in parts if part["contribution"] > 0],
            "deals": _closed(one[4]) if one[4] else None,
        }
        for similarity, parts, one in shown
    ]
    by = [name for name in weights if name in asked]
    meta: dict[str, Any] = {"n": len(others), "comparedBy": by, "method": likeness.METHOD}
    if history := _history([way for _, _, one in shown for way in one[4]]):
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
