"""Stages that rows name become places in pipelines.

What is closed stands in the stage that ends the way as it ended, whatever stage it was in before. Of its history only
what the file says is kept: that it came there, when.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Pipeline, PipelinePosition, PipelineStage, StageTransition
from .kept import Upsert, good
from .rows import Row, add, change
from .sheet import Entry, Sheet
from .ways import Ending, Stage, Way, target
from .work import Job

_STANDS = """select distinct on (pipeline_id, subject_id) pipeline_id, subject_id, id, stage_id, entered_at
 from crm.pipeline_positions where org_id = %s and subject_type = %s and subject_id = any(%s) and archived_at is null
 order by pipeline_id, subject_id, closed_at is null desc, entered_at desc, id desc"""
Worth = Callable[[Entry], Row]


@dataclass(slots=True)
class Place:
    """Where a record is to stand; `was` is where it stands now: its position, stage and since when."""

    way: Way
    stage: Stage
    entry: Entry
    is_known: bool
    was: tuple[int, int, datetime] | None = None


@dataclass(slots=True)
class Places:
    """The places of a file's records, by their external ids."""

    job: Job
    ending: Ending
    ways: list[Way] = field(default_factory=list[Way])
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    known: dict[int, Row] = field(default_factory=dict[int, Row])
    worth: Worth = lambda _: {}

    @property
    def size(self) -> int:
        return len(self.places)

    @property
    def moved(self) -> set[str]:
        """The records that were there before and are placed or moved."""
        return {external for external, one in self.places.items() if one.is_known}

    def rows(self) -> dict[str, int]:
        made = [way for way in self.ways if way.id is None]
        return {
            "pipelines": len(made),
            "pipeline_stages": sum(len(way.stages) for way in made),
            "pipeline_positions": sum(one.was is None for one in self.places.values()),
            "stage_transitions": len(self.places),
        }

    def tell(self) -> None:
        """Tell of each pipeline whether it is the org's or made, with its stages, and how many are placed."""
        for way in self.ways:
            ends = {"active": "", "won": " (won)", "lost": " (lost)"}
            listed = ", ".join(f"{one.name}{ends[one.kind]}" for one in way.stages)
            what = f"a new pipeline: {listed}" if way.id is None else "the pipeline of that name here"
            moved = f", {way.moved} moved" if way.moved else ""
            self.job.told.ways.append(f"{way.name}, {what}; {way.placed} placed{moved}")

    async def write(self, session: AsyncSession, main: Upsert) -> None:
        """Make pipelines that are missing, then place and move; `main` has been written."""
        org = self.job.who.org
        await self._make(session, org)
        fresh: list[Row] = []
        transitions: list[Row] = []
        moves: list[Row] = []
        for external, one in self.places.items():
            record = main.ids[external]
            said = {**self.known.get(record, {}), **main.fresh.get(external, {}), **main.changed.get(external, {})}
            entered, closed = self._since(one, said)
            stands = {"stage_id": one.stage.id, "entered_at": entered, "closed_at": closed}
            if one.was is None:
                about = {"pipeline_id": one.way.id, "subject_type": main.model.__tablename__, "subject_id": record}
                whose = {"customer_id": said.get("customer_id"), "owner_id": said.get("owner_id")}
                fresh.append(about | stands | whose | self.worth(one.entry))
            else:
                moves.append({"id": one.was[0], **stands})
            transitions.append(self._transition(one, entered))
        numbers = iter(await add(session, PipelinePosition, org, fresh))
        await change(session, PipelinePosition, org, moves)
        for row in transitions:
            row["position_id"] = row["position_id"] or next(numbers)
        await add(session, StageTransition, org, transitions)

    async def _make(self, session: AsyncSession, org: int) -> None:
        made = [way for way in self.ways if way.id is None]
        rows: list[Row] = [{"name": way.name, "kind": "sales"} for way in made]
        for way, number in zip(made, await add(session, Pipeline, org, rows), strict=True):
            way.id = number
        steps = [(way, at, one) for way in made for at, one in enumerate(way.stages, 1)]
        rows = [
            {
                "pipeline_id": way.id,
                "name": one.name,
                "position": at,
                "kind": one.kind,
                "probability": one.probability,
            }
            for way, at, one in steps
        ]
        for (_, _, one), number in zip(steps, await add(session, PipelineStage, org, rows), strict=True):
            one.id = number

    def _since(self, one: Place, said: Row) -> tuple[datetime, datetime | None]:
        """Return when a record came to its stage, as far as its file says, and when its way ended."""
        now = self.job.now
        given = one.entry.values.get("stage_entered_at")
        if one.stage.kind == "active":
            return min(given or now, now), None
        closed = said.get(self.ending.closed_at) or given or now
        return min(closed, now), min(closed, now)

    def _transition(self, one: Place, entered: datetime) -> Row:
        title = self.job.plan.preset.title if self.job.plan.preset else self.job.plan.source
        return {
            "position_id": one.was[0] if one.was else None,
            "pipeline_id": one.way.id,
            "from_stage_id": one.was[1] if one.was else None,
            "to_stage_id": one.stage.id,
            "moved_at": entered,
            "seconds_in_stage": max(0, int((entered - one.was[2]).total_seconds())) if one.was else None,
            "explanation": f"As {title} has it.",
            "criteria_met": True,
        }


async def place(
    conn: AsyncConnection,
    job: Job,
    sheet: Sheet,
    main: Upsert,
    found: Mapping[str, Way],
    ending: Ending,
    worth: Worth,
) -> Places:
    """Say where each record that was taken in is to stand; what stands there already is left."""
    work = Places(job, ending, worth=worth)
    taken = [entry for entry in good(sheet.entries) if entry.values.get("stage") is not None] if found else []
    known = [main.ids[entry.values["external_id"]] for entry in taken if entry.values["external_id"] in main.ids]
    stands: dict[tuple[int, int], tuple[int, int, datetime]] = {}
    if known:
        table = main.model.__tablename__
        rows: list[Any] = list(await conn.exec_driver_sql(_STANDS, (job.who.org, table, known)))
        stands = {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}
        rows = list(
            await conn.exec_driver_sql(
                f"select id, {ending.closed_at}, customer_id, owner_id from crm.{table} "
                "where org_id = %s and id = any(%s)",
                (job.who.org, known),
            )
        )
        names = (ending.closed_at, "customer_id", "owner_id")
        work.known = {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}
    for entry in taken:
        external = entry.values["external_id"]
        way = found[(entry.values.get("pipeline") or "").strip().casefold()]
        stage = target(way, entry, ending)
        if stage is None:
            said = f"stage {entry.values['stage'].strip()!r} of the pipeline {way.name!r}"
            if job.lenient:
                job.told.unfound[said] += 1
            continue
        there = main.ids.get(external)
        was = stands.get((way.id, there)) if way.id is not None and there is not None else None
        if was is not None and was[1] == stage.id:
            continue
        work.places[external] = Place(way, stage, entry, there is not None, was)
        way.placed += was is None
        way.moved += was is not None
    placed = {id(one.way) for one in work.places.values()}
    work.ways = [way for way in {id(way): way for way in found.values()}.values() if id(way) in placed]
    work.tell()
    return work
