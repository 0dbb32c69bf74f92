"""What the history of pipelines says, as common table expressions over which analytics are told; docs/methods.md has the rules.

A way is a record's passage through a pipeline (`pipeline_positions`); a visit is its stay in one stage. Visits come from
the moves that were kept; where a way was brought in without its first ones, from what its first move or the way itself
says.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from .. import ids
from . import pipelines
from .criteria import IN_PIPELINES

ENOUGH_STAYS = 5
"""Completed stays in a stage from which its median is told."""
MEANT = """meant as (select * from crm.pipelines l where l.org_id = %(org)s and l.archived_at is null
   and (%(pipeline)s::bigint is null or l.id = %(pipeline)s)
   and (%(named)s::text is null or lower(l.name) = lower(%(named)s) or (l.kind = lower(%(named)s) and l.is_default
     and not exists (select from crm.pipelines o where o.org_id = l.org_id and o.archived_at is null and lower(o.name) = lower(%(named)s)))))"""
"""The pipelines meant: by %(pipeline)s, a number, or %(named)s, a name or the kind whose default is meant; else all."""
NAMES = """(select coalesce(jsonb_agg(x.name), '[]') from (select o.name from crm.pipelines o where o.org_id = %(org)s
   and o.archived_at is null order by o.name limit 50) x)"""
_ARCHIVED = "\n".join(
    f"when '{table}' then exists (select from crm.{table} s where s.org_id = p.org_id and s.id = p.subject_id and s.archived_at is not null)"
    for table in IN_PIPELINES
)
WAYS = f"""ways as (select p.* from meant l join crm.pipeline_positions p on p.org_id = l.org_id and p.pipeline_id = l.id
   where p.org_id = %(org)s and p.archived_at is null and not case p.subject_type {_ARCHIVED} end)"""
"""The ways in the pipelines meant, without those of records that are archived."""
VISITS = """moves as (select t.position_id, t.id as turn, t.from_stage_id, t.to_stage_id, t.moved_at, t.seconds_in_stage,
   row_number() over (partition by t.position_id order by t.moved_at, t.id) as nth
   from ways w join crm.stage_transitions t on t.org_id = %(org)s and t.position_id = w.id and t.archived_at is null),
 entries as (select position_id, to_stage_id as stage_id, moved_at as entered, turn from moves
   union all select position_id, from_stage_id, moved_at - make_interval(secs => coalesce(seconds_in_stage, 0)), 0
   from moves where nth = 1 and from_stage_id is not null
   union all select w.id, w.stage_id, w.entered_at, 0 from ways w where not exists (select from moves m where m.position_id = w.id)),
 visits as (select w.id as way, w.pipeline_id, w.subject_type, w.subject_id, e.stage_id, s.kind, s.position as place, e.entered,
   lead(e.entered) over (partition by w.id order by e.entered, e.turn) as left_at
   from entries e join ways w on w.id = e.position_id
   join crm.pipeline_stages s on s.org_id = %(org)s and s.id = e.stage_id)"""
"""The visits of `ways`: which stage, from when, until when; null: it is there yet."""
STAYS = """stays as (select v.stage_id, count(*)::int as n,
   percentile_cont(0.5) within group (order by extract(epoch from v.left_at - v.entered)) / 86400 as median
   from visits v where v.kind = 'active' and v.left_at is not null group by v.stage_id)"""
"""Of each active stage, how many stays ended and their median in days; what is there yet is no completed stay."""
DEAL_BASE = "coalesce(d.base_amount, case when d.currency = %(currency)s then d.amount end)"
"""What a deal `d` is worth in base currency, null where no rate says so."""


def asked(pipeline: str | None) -> dict[str, Any]:
    """Return how a pipeline's id, name or kind is bound in `MEANT`.

    Raises:
        Refusal: INVALID_ID, for the id of something else.
    """
    is_number = pipeline is not None and ids.is_id(pipeline)
    return {
        "pipeline": ids.parse("pipelines", pipeline or "") if is_number else None,
        "named": None if is_number or pipeline is None else pipeline.strip(),
    }


def base_sql(way: str) -> str:
    """Return the SQL of what a way is worth in base currency: as its deal says, else as its place says."""
    return f"""case when {way}.subject_type = 'deals' then (select {DEAL_BASE} from crm.deals d where d.org_id = {way}.org_id
    and d.id = {way}.subject_id) else coalesce({way}.base_amount, case when {way}.currency = %(currency)s then {way}.amount end) end"""


def rounded(number: Any, places: int = 2) -> float:
    """Round half up, so that the same history says the same."""
    return float(Decimal(str(number)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def share(part: int, whole: int) -> float | None:
    """Return a share to three places; None of nothing."""
    return rounded(Decimal(part) / whole, 3) if whole else None


not_found = pipelines.not_found
