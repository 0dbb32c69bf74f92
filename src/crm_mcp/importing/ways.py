"""The pipelines that rows name: the org's own of that name, else one that is made as the file has it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from .kept import good
from .sheet import Entry, Sheet
from .work import Job

MOST = 30
"""Stages that a pipeline may have."""
Ends = Literal["active", "won", "lost"]
_PIPELINES = """select p.id, p.name, p.is_default and p.kind = 'sales', s.id, s.name, s.kind from crm.pipelines p
 join crm.pipeline_stages s on s.org_id = p.org_id and s.pipeline_id = p.id and s.archived_at is null
 where p.org_id = %s and p.archived_at is null order by p.id, s.position"""


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


def target(way: Way, entry: Entry, ending: Ending) -> Stage | None:
    kind = _kind(entry, ending)
    if kind != "active":
        return way.end(kind)
    stage = way.named(entry.values["stage"].strip())
    return stage if stage is not None and stage.kind == "active" else None


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
