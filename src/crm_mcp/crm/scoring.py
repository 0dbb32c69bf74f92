"""Scores of records in pipelines: factors of 0 to 100, weighed as the pipeline says, with a person's own score beside.

The score is the mean of the factors that are known, by the pipeline's weights. Where engagement is not given it is
counted from the record's own activities of the last 90 days: a meeting or visit 25, what came in 20, a call 15, other
contact 10, each half that after 30 days; at most 100. A person's own score counts in place of the computed one, which is
kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from .. import ids
from ..context import Write
from ..errors import Refusal
from . import asking, positions
from .positions import Standing

FACTORS = ("engagement", "fit", "intent", "timing")
Clearable = Literal["manual_score", "next_follow_up_on"]
_ENGAGED = """select least(100, coalesce(sum((case when a.kind in ('meeting', 'visit') then 25 when a.direction = 'in' then 20
   when a.kind = 'call' then 15 else 10 end) * case when a.happened_at >= %(now)s::timestamptz - interval '30 days' then 1 else 0.5 end), 0)),
  count(*)
 from crm.activities a where a.org_id = %(org)s and a.archived_at is null
  and ((a.subject_type, a.subject_id) = (%(table)s::text, %(id)s::bigint) or (%(table)s = 'contacts' and a.contact_id = %(id)s))
  and a.happened_at > %(now)s::timestamptz - interval '90 days' and a.happened_at <= %(now)s::timestamptz"""


@dataclass(frozen=True, slots=True)
class Scored:
    """A score as it is now, before whatever it was before; in words what changed."""

    standing: Standing
    before: Decimal | None
    engagement: int | None
    did: str


async def score(
    ctx: Write,
    record: str,
    factors: Mapping[str, float],
    reasons: Sequence[str],
    *,
    pipeline: str | None = None,
    confidence: float | None = None,
    manual_score: float | None = None,
    override_reason: str | None = None,
    next_follow_up_on: date | None = None,
    risk_factors: Sequence[str] | None = None,
    clear: Sequence[Clearable] = (),
) -> Scored:
    """Score a record in a pipeline; what is not given stays as it was.

    Raises:
        Refusal: those of `positions.standing`; PERSONS_ONLY, INVALID_ARGUMENT.
    """
    who = ctx.principal
    if (manual_score is not None or "manual_score" in clear) and who.agent is not None:
        hint = "A manual score is a person's own; give factors, and the score follows from them."
        raise Refusal("PERSONS_ONLY", hint, argument="manual_score")
    if manual_score is not None and not override_reason:
        hint = "override_reason: say why the manual score counts instead."
        raise Refusal("INVALID_ARGUMENT", hint, argument="override_reason")
    it = await positions.standing(ctx, record, pipeline)
    place, did = it.position, list[str]()
    before = effective(place.score, place.manual_score)
    engagement: int | None = None
    if (
        factors
        or reasons
        or (manual_score is None and risk_factors is None and next_follow_up_on is None and not clear)
    ):
        known = {name: _exact(factors[name]) for name in FACTORS if name in factors}
        if "engagement" not in known:
            row = await asking.within(ctx)(_ENGAGED, now=ctx.now, table=it.subject.table, id=it.subject.id)
            assert row is not None
            known["engagement"], engagement = Decimal(row[0]), int(row[1])
        place.score = overall(known, it.pipeline.weights)
        place.factors = {name: float(known[name]) for name in FACTORS if name in known}
        place.reasons = list(reasons)
        place.score_confidence = None if confidence is None else Decimal(str(confidence))
        place.scored_at = ctx.now
        did.append(f"score {it.subject.name} {place.score}")
    if "manual_score" in clear:
        place.manual_score = place.override_reason = None
        did.append(f"let the computed score of {it.subject.name} count again")
    elif manual_score is not None:
        place.manual_score, place.override_reason = _exact(manual_score), override_reason
        did.append(f"score {it.subject.name} {place.manual_score} by hand")
    if next_follow_up_on is not None or "next_follow_up_on" in clear:
        due = place.next_follow_up_on = next_follow_up_on
        did.append(f"follow up on {due}" if due else "plan no follow-up")
    if risk_factors is not None:
        place.risk_factors = list(risk_factors)
        did.append(f"note {len(risk_factors)} risks")
    await ctx.session.flush()
    return Scored(it, before, engagement, f"{'; '.join(did)} in {it.pipeline.name}")


def overall(factors: Mapping[str, Decimal], weights: Mapping[str, Any]) -> Decimal:
    """Return the weighted mean of the factors there are; of equal weight where the pipeline gives none."""
    shares = {name: Decimal(str(weights.get(name, 0))) for name in factors}
    whole = sum(shares.values())
    if not whole:
        shares, whole = dict.fromkeys(factors, Decimal(1)), Decimal(len(factors))
    return (sum(factors[name] * share for name, share in shares.items()) / whole).quantize(
        Decimal("0.01"), ROUND_HALF_UP
    )


def effective(score: Decimal | None, manual: Decimal | None) -> Decimal | None:
    """Return the score that counts: a person's own before the computed one."""
    return score if manual is None else manual


def _exact(number: Any) -> Decimal:
    return Decimal(str(number)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def shown(it: Standing) -> dict[str, str]:
    return {"id": ids.show("pipelines", it.pipeline.id), "name": it.pipeline.name}
