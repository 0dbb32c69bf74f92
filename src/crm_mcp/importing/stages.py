"""Stages that rows name become places in pipelines: of the org where it has that pipeline, else made as the file has it.

What is closed stands in the stage that ends the way as it ended, whatever stage it was in before. Of its history only
what the file says is kept: that it came there, when.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Pipeline, PipelinePosition, PipelineStage, StageTransition
from .kept import Upsert, good
from .rows import Row, add, change
from .sheet import Entry, Sheet
from .work import Job

MOST = 30
"""Stages that a pipeline may have."""
Ends = Literal["active", "won", "lost"]
_PIPELINES = """select p.id, p.name, p.is_default and p.kind = 'sales', s.id, s.name, s.kind from crm.pipelines p
 join crm.pipeline_stages s on s.org_id = p.org_id and s.pipeline_id = p.id and s.archived_at is null
 where p.org_id = %s and p.archived_at is null order by p.id, s.position"""
_STANDS = """select distinct on (pipeline_id, subject_id) pipeline_id, subject_id, id, stage_id, entered_at
 from crm.pipeline_positions where org_id = %s and subject_type = %s and subject_id = any(%s) and archived_at is null
 order by pipeline_id, subject_id, closed_at is null desc, entered_at desc, id desc"""


@dataclass(slots=True)
class Stage:
    name: str
    kind: Ends
    probability: Decimal | None = None
    id: int | None = None


@dataclass(slots=True)
class Way:
    """A pipeline: one of the org, or one to be made."""

    name: str
    stages: list[Stage]
    id: int | None = None
    placed: int = 0
    moved: int = 0

    def named(self, name: str) -> Stage | None:
        return next((one for one in self.stages if one.name.casefold() == name.casefold()), None)

    def end(self, kind: Ends) -> Stage | None:
        return next((one for one in self.stages if one.kind == kind), None)


class Ending(NamedTuple):
    """How a kind of record ends: its status as the stage that it means, and what a pipeline of its own calls them."""

    statuses: Mapping[str, Ends]
    won: str
    closed_at: str
    suffix: str


DEALS = Ending({"won": "won", "lost": "lost"}, "Won", "closed_at", "")
LEADS = Ending({"converted": "won", "lost": "lost"}, "Converted", "converted_at", " leads")
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


async def ways(conn: AsyncConnection, job: Job, sheet: Sheet, ending: Ending) -> dict[str, Way]:
    """Return the pipelines that a file names, by what its rows call them in lower case.

    Where a stage alone says how a record stands, a stage of the org's own that ends the way decides that.
    """
    if "stage" not in sheet.columns:
        return {}
    here, default = await _here(conn, job)
    found: dict[str, Way] = {}
    by_name: dict[str, list[Entry]] = {}
    for entry in good(sheet.entries):
        if entry.values.get("stage") is not None:
            by_name.setdefault((entry.values.get("pipeline") or "").strip(), []).append(entry)
    alone = sheet.columns.get("status") == sheet.columns["stage"]
    for name, entries in by_name.items():
        called = name or _own_name(job, ending)
        way = here.get(called.casefold())
        if way is None and not name and default is not None and (not job.lenient or _fits(default, entries, ending)):
            way = default
        if way is None and job.lenient:
            way = here.setdefault(called.casefold(), _made(job, called, entries, ending, alone=alone))
        if way is None:
            for entry in entries:
                entry.wrong.append(f"{sheet.mapped()['pipeline']} {name!r}: there is no pipeline of that name")
            continue
        found[name.casefold()] = way
        for entry in entries if alone and way.id is not None else ():
            stage = way.named(entry.values["stage"].strip())
            if stage is not None and stage.kind != "active":
                entry.values["status"] = next(word for word, kind in ending.statuses.items() if kind == stage.kind)
    return found


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
        stage = _target(way, entry, ending)
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


async def _here(conn: AsyncConnection, job: Job) -> tuple[dict[str, Way], Way | None]:
    """Return the org's pipelines by their names, and the one that sales go by where none is named."""
    here: dict[str, Way] = {}
    default: Way | None = None
    rows: list[Any] = list(await conn.exec_driver_sql(_PIPELINES, (job.who.org,)))
    for number, name, is_default, stage, called, kind in rows:
        way = here.setdefault(name.casefold(), Way(name, [], number))
        way.stages.append(Stage(called, kind, id=stage))
        default = way if is_default else default
    return here, default


def _own_name(job: Job, ending: Ending) -> str:
    return (job.plan.preset.title if job.plan.preset else job.plan.source) + ending.suffix


def _kind(entry: Entry, ending: Ending) -> Ends:
    return ending.statuses.get(entry.values.get("status") or "", "active")


def _fits(way: Way, entries: Iterable[Entry], ending: Ending) -> bool:
    """Say whether a pipeline has every stage that open records are in."""
    return all(way.named(one.values["stage"].strip()) for one in entries if _kind(one, ending) == "active")


def _target(way: Way, entry: Entry, ending: Ending) -> Stage | None:
    kind = _kind(entry, ending)
    if kind != "active":
        return way.end(kind)
    stage = way.named(entry.values["stage"].strip())
    return stage if stage is not None and stage.kind == "active" else None


def _made(job: Job, name: str, entries: list[Entry], ending: Ending, *, alone: bool) -> Way:
    """Return a pipeline as a file has it: stages in the system's own order, else by probability, else as they come."""
    names: dict[str, str] = {}
    shares: dict[str, list[Decimal]] = {}
    ends: dict[Ends, str] = {}
    for entry in entries:
        called, kind = entry.values["stage"].strip(), _kind(entry, ending)
        if kind != "active":
            if alone:
                ends.setdefault(kind, called)
            continue
        names.setdefault(called.casefold(), called)
        if entry.values.get("probability") is not None:
            shares.setdefault(called.casefold(), []).append(entry.values["probability"])
    order = job.plan.preset.stages if job.plan.preset else ()
    usual = {one.casefold(): at for at, one in enumerate(order)}
    words = list(names)
    if all(word in usual for word in words):
        words.sort(key=lambda word: usual[word])
    elif all(word in shares for word in words):
        words.sort(key=lambda word: sum(shares[word]) / len(shares[word]))
    ends = {"won": ends.get("won", ending.won), "lost": ends.get("lost", "Lost")}
    words = [word for word in words if word not in {one.casefold() for one in ends.values()}][: MOST - 2]
    stages = [Stage(names[word], "active", _same(shares.get(word, []))) for word in words] or [
        Stage("Open", "active")
    ]
    return Way(
        name,
        [*stages, Stage(ends["won"], "won", Decimal(100)), Stage(ends["lost"], "lost", Decimal(0))],
    )


def _same(shares: list[Decimal]) -> Decimal | None:
    return shares[0] if shares and len(set(shares)) == 1 else None
