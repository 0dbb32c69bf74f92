"""Where records stand in pipelines, each place with all that belongs to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..money import Money, money
from ..tool import View
from . import asking, criteria, pipelines, subjects
from .criteria import IN_PIPELINES, Evidence, Judged
from .models import Pipeline, PipelinePosition, PipelineStage
from .subjects import Subject

ALONE = "select pg_advisory_xact_lock(hashtextextended(concat_ws('.', 'position', %(org)s::bigint, %(table)s::text, %(id)s::bigint), 0)) is null"
STANDS = """select p.id, l.name, p.closed_at is null from crm.pipeline_positions p
 join crm.pipelines l on l.org_id = p.org_id and l.id = p.pipeline_id
 where p.org_id = %(org)s and p.subject_type = %(table)s and p.subject_id = %(id)s and p.archived_at is null
  and (%(pipeline)s::bigint is null or p.pipeline_id = %(pipeline)s) order by p.closed_at is null desc, p.closed_at desc, p.id desc"""

_BACK = """select l.name, l.archived_at is not null, s.name, s.archived_at is not null, p.subject_type, coalesce(%(subject)s::bigint, p.subject_id),
  p.closed_at, p.archived_at, l.id
 from crm.pipeline_positions p join crm.pipelines l on l.org_id = p.org_id and l.id = p.pipeline_id
 join crm.pipeline_stages s on s.org_id = p.org_id and s.id = coalesce(%(stage)s::bigint, p.stage_id)
 where p.org_id = %(org)s and p.id = %(place)s for key share of l"""
_ANOTHER = """select p.id from crm.pipeline_positions p where p.org_id = %(org)s and p.pipeline_id = %(pipeline)s and p.id <> %(place)s
  and p.subject_type = %(table)s and p.subject_id = %(id)s and p.closed_at is null and p.archived_at is null limit 1"""


class PositionView(View):
    noun: ClassVar[str] = "position"
    nouns: ClassVar[str] = "positions"

    id: str
    record: dict[str, str]
    pipeline: dict[str, str]
    stage: str
    was: str | None = None
    value: Money | None = None
    closed: bool | None = None
    criteria: dict[str, list[str]] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A record's place in a pipeline, with all that belongs to it."""

    position: PipelinePosition
    pipeline: Pipeline
    stages: Sequence[PipelineStage]
    evidence: Evidence

    @property
    def subject(self) -> Subject:
        return self.evidence.subject

    @property
    def stage(self) -> PipelineStage:
        return next(stage for stage in self.stages if stage.id == self.position.stage_id)


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a move: from where (None: it was added), to where; in words, with what an approver should know."""

    standing: Standing
    was: PipelineStage | None
    judged: Judged
    did: str
    warnings: tuple[str, ...] = ()

    @property
    def view(self) -> PositionView:
        it = self.standing
        value = worth(it)
        return PositionView(
            id=ids.show("pipeline_positions", it.position.id),
            record=it.subject.shown,
            pipeline={"id": ids.show("pipelines", it.pipeline.id), "name": it.pipeline.name},
            stage=it.stage.name,
            was=None if self.was is None else self.was.name,
            value=None if value is None else money(*value),
            closed=True if it.position.closed_at is not None else None,
            criteria=self.judged.document() or None,
        )


def worth(it: Standing) -> tuple[Decimal, str] | None:
    of_deal = it.subject.table == "deals"
    amount, currency = (
        (it.evidence.amount, it.evidence.currency) if of_deal else (it.position.amount, it.position.currency)
    )
    return None if amount is None or currency is None else (amount, currency)


async def record(ctx: Write, text: str) -> Subject:
    """Return a record that may stand in a pipeline.

    Raises:
        Refusal: INVALID_ID, …_NOT_FOUND.
    """
    table, _ = subjects.parse(text)
    if table not in IN_PIPELINES:
        kinds = ", ".join(f"{ids.PREFIX[kind]}_…" for kind in IN_PIPELINES)
        hint = f"This is the id of a different kind ({ids.NOUN[table]}); in pipelines stand {kinds}."
        raise Refusal("INVALID_ID", hint, given=text[:60])
    return await subjects.find(asking.within(ctx), ctx.principal, text)


async def standing(ctx: Write, text: str, pipeline: str | None = None) -> Standing:
    """Return where a record stands, locked: in the pipeline named, or in the only one that it is in.

    Raises:
        Refusal: those of `record`, PIPELINE_NOT_FOUND, NOT_IN_PIPELINE, PIPELINE_AMBIGUOUS, MOVED_MEANWHILE.
    """
    subject = await record(ctx, text)
    ask = asking.within(ctx)
    named = None if pipeline is None else await pipelines.find(ctx, pipeline)
    conn = await ctx.session.connection()
    asked: dict[str, Any] = {
        "org": ctx.principal.org,
        "table": subject.table,
        "id": subject.id,
        "pipeline": None if named is None else named.id,
    }
    rows: list[Any] = list((await conn.exec_driver_sql(STANDS, asked)).all())
    open_ones = [row for row in rows if row[2]] or rows
    names = list(dict.fromkeys(row[1] for row in open_ones))
    if not rows:
        where = "no pipeline" if named is None else f"not in the pipeline {named.name}"
        hint = (
            f"{subject.name} is in {where}. Add it with add_to_pipeline."
            if named is None
            else (f"{subject.name} is {where}. Add it with add_to_pipeline.")
        )
        raise Refusal("NOT_IN_PIPELINE", hint, record=text[:60])
    if len(names) > 1:
        hint = "It is in several pipelines; say in which."
        raise Refusal("PIPELINE_AMBIGUOUS", hint, record=text[:60], pipelines=names)
    position = await ctx.session.get(
        PipelinePosition,
        (ctx.principal.org, open_ones[0][0]),
        with_for_update=True,
        populate_existing=True,
    )
    assert position is not None
    if position.archived_at is not None or position.subject_id != subject.id:
        # taken back, or merged into another record, while this waited for the lock
        raise Refusal(
            "MOVED_MEANWHILE", f"{subject.name} stands there no more. Look again, then decide.", record=text[:60]
        )
    return await _standing(ctx, position, await criteria.evidence(ask, subject))


async def _standing(ctx: Write, position: PipelinePosition, found: Evidence) -> Standing:
    pipeline = await pipelines.find(ctx, ids.show("pipelines", position.pipeline_id))
    stages = await pipelines.stages_of(ctx, pipeline)
    if all(stage.id != position.stage_id for stage in stages):
        # only what is closed may stand in a stage that was archived
        gone = await ctx.session.get(PipelineStage, (ctx.principal.org, position.stage_id))
        assert gone is not None
        stages = [*stages, gone]
    score = position.score if position.manual_score is None else position.manual_score
    fields = dict(found.fields)
    if found.amount is None:
        fields[criteria.VALUE] = position.amount
    return Standing(
        position,
        pipeline,
        stages,
        Evidence(
            found.subject,
            fields,
            found.has,
            found.amount,
            found.currency,
            found.is_archived,
            score,
            position.factors,
        ),
    )


async def back(ctx: Write, place: int, values: Mapping[str, Any]) -> None:
    """See that a place can stand again where an undo is about to set it: `values` are its columns by then.

    Raises:
        Refusal: PIPELINE_ARCHIVED, STAGE_ARCHIVED, ALREADY_IN_PIPELINE.
    """
    ask = asking.within(ctx)
    now = await ask(_BACK, place=place, stage=values.get("stage_id"), subject=values.get("subject_id"))
    assert now is not None
    pipeline, is_gone, stage, is_archived, table, number, closed_at, archived_at, way = now
    if values.get("closed_at", closed_at) is not None or values.get("archived_at", archived_at) is not None:
        return
    about = {"record": ids.show(table, number), "pipeline": pipeline}
    if is_gone:
        raise Refusal("PIPELINE_ARCHIVED", "Its pipeline is archived by now; nothing goes back into it.", **about)
    if is_archived:
        hint = f"The stage {stage} is archived by now. Move it to another with move_to_stage."
        raise Refusal("STAGE_ARCHIVED", hint, **about, stage=stage)
    await ask(ALONE, table=table, id=number)
    if await ask(_ANOTHER, table=table, id=number, pipeline=way, place=place) is not None:
        hint = (
            f"It has begun {pipeline} anew since, and stands there once at a time. Move that on with move_to_stage."
        )
        raise Refusal("ALREADY_IN_PIPELINE", hint, **about)
