"""How much at risk an open way is: four factors, each with its impact, whose sum is the risk score of 0 to 1.

- inactivity, at most 0.35: none up to 7 days since the last sign of life, all from 30 days, in proportion between.
- time_in_stage, at most 0.25: none up to the stage's own median stay, all from twice that, in proportion between; not
  judged below five completed stays.
- falling_engagement, at most 0.20: the share by which activities of the last 30 days are fewer than of the 30 before;
  not judged where those were fewer than two.
- overdue_close_date, at most 0.20: 0.10 from the first day past the expected close, more in proportion up to 30 days.

A sign of life is an activity, a note or an e-mail with the record itself, its account or its contact, or a move; of what was
brought over counts when it happened, a note that does not say when not at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ..money import money_sql
from . import subjects
from .counting import counted
from .funnel import DEAL_BASE, ENOUGH_STAYS

QUIET, SILENT = 7, 30
"""Days without a sign of life from which it counts, and from which it counts in full."""
ENOUGH_ACTIVITIES = 2
INACTIVITY, STAGE, ENGAGEMENT, OVERDUE = Decimal("0.35"), Decimal("0.25"), Decimal("0.20"), Decimal("0.20")
"""The most that each factor adds."""
METHOD = (
    "Risk = sum of impacts: inactivity ≤0.35 (7–30 days), time in stage ≤0.25 (1–2 × the stage's median, n ≥5), "
    "falling engagement ≤0.20 (30 days against the 30 before), overdue close date ≤0.20. docs/methods.md."
)


def _with(row: str) -> str:
    return (
        f"({row}.subject_type, {row}.subject_id) in ((p.subject_type, p.subject_id), ('customers', p.account), "
        "('contacts', p.contact))"
    )


def facts(only: str) -> str:
    """Return the expressions `standing` and `facts` over `ways`, `visits` and `stays`: one row for each open way.

    `only` is a condition on the ways `p`. It needs %(now)s, %(today)s, %(currency)s and %(role)s.
    """
    active = f"""(select count(*) from crm.activities a where a.org_id = p.org_id and a.archived_at is null
     and ({_with("a")} or a.contact_id = p.contact) and a.happened_at > %(now)s::timestamptz"""
    return f"""standing as (select p.*, l.name as pipeline, l.kind as way_kind, s.name as stage, s.max_days,
   coalesce(d.customer_id, e.customer_id, p.customer_id) as account, coalesce(d.contact_id, case when p.subject_type = 'contacts' then p.subject_id end) as contact,
   d.expected_close_on, d.owner_id as deal_owner, d.probability as stated,
   case when p.subject_type = 'deals' then d.amount else p.amount end as worth,
   case when p.subject_type = 'deals' then d.currency else p.currency end as unit,
   case when p.subject_type = 'deals' then {DEAL_BASE} else coalesce(p.base_amount, case when p.currency = %(currency)s then p.amount end) end as base
   from ways p join meant l on l.id = p.pipeline_id join crm.pipeline_stages s on s.org_id = p.org_id and s.id = p.stage_id
   left join crm.deals d on p.subject_type = 'deals' and d.org_id = p.org_id and d.id = p.subject_id
   left join crm.leads e on p.subject_type = 'leads' and e.org_id = p.org_id and e.id = p.subject_id
   where p.closed_at is null and s.kind = 'active' and d.archived_at is null and e.archived_at is null and {only}),
 facts as (select p.*, {subjects.about_sql("p")} as record,
   floor(extract(epoch from %(now)s::timestamptz - p.entered_at) / 86400)::int as in_stage,
   coalesce(t.n, 0) as stays, t.median,
   floor(extract(epoch from %(now)s::timestamptz - greatest(p.entered_at,
     (select max(a.happened_at) from crm.activities a where a.org_id = p.org_id and a.archived_at is null
       and ({_with("a")} or a.contact_id = p.contact) and a.happened_at <= %(now)s::timestamptz),
     (select max(n.written_at) from crm.notes n where n.org_id = p.org_id and n.archived_at is null and {_with("n")}
       and n.written_at <= %(now)s::timestamptz),
     (select max(m.created_at) from crm.emails m where m.org_id = p.org_id and m.archived_at is null and {_with("m")}))) / 86400)::int as silent,
   {active} - interval '30 days' and a.happened_at <= %(now)s::timestamptz) as lately,
   {active} - interval '60 days' and a.happened_at <= %(now)s::timestamptz - interval '30 days') as before,
   %(today)s::date - p.expected_close_on as overdue
   from standing p left join stays t on t.stage_id = p.stage_id)"""


FACTS = f"""jsonb_build_object('place', 'pos_' || f.id, 'record', f.record, 'pipeline', f.pipeline, 'stage', f.stage, 'inStage', f.in_stage, 'stays', f.stays,
   'median', f.median, 'silent', f.silent, 'lately', f.lately, 'before', f.before, 'overdue', f.overdue, 'expectedCloseOn', f.expected_close_on,
   'followUpOn', f.next_follow_up_on, 'value', case when f.worth is not null then {money_sql("f.worth", "f.unit")} end,
   'base', f.base::text, 'worth', f.worth::text, 'currency', f.unit,
   'contact', (select jsonb_build_object('id', 'cont_' || c.id, 'name', c.name) from crm.contacts c
     where c.org_id = f.org_id and c.id = f.contact and c.archived_at is null))"""


@dataclass(frozen=True, slots=True)
class Risk:
    """A risk score with the factors that add to it, and what could not be judged and why."""

    score: Decimal
    factors: tuple[dict[str, Any], ...]
    unjudged: tuple[dict[str, str], ...]


def judge(facts: Mapping[str, Any]) -> Risk:
    """Return the risk of an open way from its facts."""
    factors: list[dict[str, Any]] = []
    unjudged: list[dict[str, str]] = []

    def add(name: str, impact: Decimal, text: str, **numbers: Any) -> None:
        exact = impact.quantize(Decimal("0.0001"), ROUND_HALF_UP)
        if exact > 0:
            factors.append({"factor": name, "impact": exact, "text": text, **numbers})

    silent = facts["silent"]
    add("inactivity", INACTIVITY * part(silent - QUIET, SILENT - QUIET), f"Nothing for {silent} days", days=silent)
    inside, stays = facts["inStage"], facts["stays"]
    if stays < ENOUGH_STAYS:
        why = f"{stays} completed stays in {facts['stage']}, {ENOUGH_STAYS} needed"
        unjudged.append({"factor": "time_in_stage", "because": why})
    else:
        median = Decimal(str(facts["median"]))
        usual = float(median.quantize(Decimal("0.1"), ROUND_HALF_UP))
        text = f"In {facts['stage']} for {counted(inside, 'day')} (median {usual}, n {stays})"
        over = part(inside - median, median) if median > 0 else Decimal(inside > 0)
        add("time_in_stage", STAGE * over, text, days=inside, medianDays=usual, n=stays)
    lately, before = facts["lately"], facts["before"]
    if before < ENOUGH_ACTIVITIES:
        why = f"{before} activities 30 to 60 days ago, {ENOUGH_ACTIVITIES} needed"
        unjudged.append({"factor": "falling_engagement", "because": why})
    else:
        text = f"Activities: {lately} in 30 days, {before} in the 30 before"
        add("falling_engagement", ENGAGEMENT * part(before - lately, before), text, last30=lately, before30=before)
    late = facts["overdue"]
    if late is None:
        unjudged.append({"factor": "overdue_close_date", "because": "no expected close date"})
    elif late > 0:
        text = f"Expected to close {counted(late, 'day')} ago"
        add("overdue_close_date", OVERDUE / 2 + OVERDUE / 2 * part(late, 30), text, days=late)
    score = sum((one["impact"] for one in factors), Decimal(0)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    factors.sort(key=lambda one: (-one["impact"], one["factor"]))
    shown = tuple(
        {**one, "impact": float(one["impact"].quantize(Decimal("0.001"), ROUND_HALF_UP))} for one in factors
    )
    return Risk(score, shown, tuple(unjudged))


def part(number: Decimal | int, whole: Decimal | int) -> Decimal:
    """Return a share held between 0 and 1."""
    return min(Decimal(1), max(Decimal(0), Decimal(number) / Decimal(whole)))
