"""Bring over many files as one import: in the order in which they name one another, shown whole before it is kept."""

import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from .. import ids
from ..crm.models import CustomField
from ..db import Database
from ..errors import Refusal
from ..principal import Principal
from .batch import batch
from .desk import Desk
from .header import found as found_in
from .kept import Upsert
from .parties import Parties
from .plan import KINDS, Kind, Plan, Report
from .preset import Preset
from .presets import hubspot, pipedrive, salesforce
from .records import Records
from .rows import add
from .run import ALONE, BY_INDEX, check, digest, judge, read_files, report
from .sheet import Sheet, header_of, own_fields
from .twins import Twin, twins
from .work import Job, Work

PRESETS: Mapping[str, Preset] = {one.PRESET.name: one.PRESET for one in (hubspot, salesforce, pipedrive)}
Progress = Callable[[int, int], None]
_PARTIES = frozenset({"organizations", "individuals", "contacts", "customers"})


class _NotKept(Exception):
    """What was shown is not wanted."""


@dataclass(slots=True)
class Whole:
    """What an import of many files does: a report a file, in the order they were taken; what may stand twice."""

    plans: Sequence[Plan]
    reports: list[Report] = field(default_factory=list[Report])
    twins: list[Twin] = field(default_factory=list[Twin])
    twins_by: str = ""
    """How likely duplicates were looked for."""
    draft: int | None = None
    """The import's id, by which it is undone; None where nothing was kept."""


def plans(files: Iterable[Path], forced: str | None = None, source: str | None = None, **options: Any) -> list[Plan]:
    """Return a plan for each file, those first that others name; folders stand for their CSV files.

    A file is known by its header, of the system `forced` where one is named; one of ours by its name, as
    `crm-mcp export` gives it.

    Raises:
        Refusal: UNKNOWN_FILE naming the nearest, NO_FILES, and those of reading a header.
    """
    found: list[Plan] = []
    every = [one for file in files for one in (sorted(file.glob("*.csv")) if file.is_dir() else [file])]
    every = [one for one in every if not one.name.endswith(".rejected.csv")]
    if not every:
        raise Refusal("NO_FILES", "There is no CSV file to import.")
    for file in every:
        header = header_of(file, options.get("encoding", "utf-8"))
        presets = [PRESETS[forced]] if forced else list(PRESETS.values())
        known = [(one, reading) for one in presets if (reading := one.reading(header)) is not None]
        if known:
            preset, reading = max(known, key=lambda one: len(found_in(one[1].fields(), header)))
            found.append(Plan(reading.kind, file, source or preset.name, preset=preset, reading=reading, **options))
        elif file.stem in KINDS and forced is None:
            found.append(Plan(file.stem, file, source or "csv", **options))
        else:
            systems = PRESETS[forced].title if forced else ", ".join(one.title for one in PRESETS.values())
            hint = (
                f"{file.name} is no export of {systems} that is known here; its columns are {', '.join(header[:8])}. "
                f"Import it as one kind: crm-mcp import KIND {file.name}, with --map for its columns."
            )
            raise Refusal("UNKNOWN_FILE", hint, header=[name[:100] for name in header[:50]])
    return sorted(found, key=lambda one: KINDS.index(one.kind))


async def bring_over(
    db: Database,
    who: Principal,
    plans: Sequence[Plan],
    *,
    wanted: Callable[[Whole], bool] | None,
    progress: Progress = lambda done, total: None,
) -> Whole:
    """Import files as one: all good rows of all, or nothing.

    Everything is written in one transaction, then `wanted` is asked whether to keep it: what it is shown is what is
    kept. None keeps nothing and leaves no trace. `db` connects as crm_approver.

    Raises:
        Refusal: those of `run.check` and `sheet.read`.
    """
    for plan in plans:
        check(who, plan)
    whole = Whole(plans)
    total = 2 * sum(one.file.stat().st_size for one in plans) or 1
    read: list[list[Sheet]] = []
    before = 0
    for plan in plans:
        so_far = before
        read.append(read_files(plan, who, lambda done, so_far=so_far: progress(so_far + done, total)))
        before += plan.file.stat().st_size
    try:
        async with _transaction(db, who, plans, keep=wanted is not None) as (session, call):
            conn = await session.connection()
            await conn.exec_driver_sql(ALONE, (str(who.org),))
            # somebody looks at what was written before it is kept
            await conn.exec_driver_sql("set local idle_in_transaction_session_timeout = '10min'")
            await conn.exec_driver_sql("set local statement_timeout = 0")
            await conn.exec_driver_sql(BY_INDEX)
            lines: dict[tuple[str, int], str] = {}
            for plan, sheets in zip(plans, read, strict=True):
                if plan.keep:
                    await _define(session, who, plan, sheets[0])
                job = Job(who, plan)
                work = await judge(conn, job, sheets)
                await work.write(session, lambda rows: None)
                told = report(job, sheets, work, dry_run=wanted is None)
                main = _main(work, plan.kind)
                told.becomes = _becomes(sheets[0], main, work.beside if isinstance(work, Records) else set())
                if main is not None:
                    table = main.model.__tablename__
                    where = {one.values.get("external_id"): one.line for one in sheets[0].entries}
                    lines |= {(table, main.ids[key]): f"{plan.file.name}, line {where[key]}" for key in main.fresh}
                whole.reports.append(told)
                before += plan.file.stat().st_size
                progress(before, total)
            if any(one.kind in _PARTIES for one in plans):
                whole.twins, whole.twins_by = await twins(conn, who.org, call, lines)
            if wanted is None or not wanted(whole):
                raise _NotKept
            whole.draft = int(session.info["draft"])
    except _NotKept:
        whole.draft = None
    return whole


@asynccontextmanager
async def _transaction(
    db: Database, who: Principal, plans: Sequence[Plan], *, keep: bool
) -> AsyncGenerator[tuple[AsyncSession, int]]:
    """Yield a session that is kept as one import, or is in any case undone."""
    if not keep:
        call = ids.new_call()
        async with (
            db.begin(who, call) as conn,
            AsyncSession(
                bind=conn, join_transaction_mode="create_savepoint", expire_on_commit=False, autoflush=False
            ) as session,
        ):
            yield session, call
        return
    sha = hashlib.sha256("".join(map(digest, plans)).encode()).hexdigest()
    about = {
        "file": ", ".join(one.file.name for one in plans),
        "sha256": sha,
        "kind": ", ".join(dict.fromkeys(one.kind for one in plans)),
        "source": ", ".join(dict.fromkeys(one.source for one in plans)),
    }
    systems = ", ".join(dict.fromkeys(one.preset.title if one.preset else one.source for one in plans))
    said = f"Bring over {len(plans)} files from {systems}."
    async with batch(db, who, "import", about, said) as session:
        yield session, int(session.info["call"])


async def _define(session: AsyncSession, who: Principal, plan: Plan, sheet: Sheet) -> None:
    """Declare the org's own fields that a file brings, and take from it those the org has as something else."""
    wanted = own_fields(sheet.shape.header, sheet.columns)
    conn = await session.connection()
    found = await conn.exec_driver_sql(
        "select key, kind from crm.custom_field_definitions where org_id = %s and entity = %s", (who.org, plan.kind)
    )
    rows: list[Any] = list(found)
    known: dict[str, str] = {row[0]: row[1] for row in rows}
    fresh = [
        {"entity": plan.kind, "key": key, "label": label, "kind": "text"}
        for key, (_, label) in wanted.items()
        if key not in known and any(entry.kept and key in entry.kept for entry in sheet.entries)
    ]
    await add(session, CustomField, who.org, fresh)
    if typed := {key for key, kind in known.items() if kind != "text"} & set(wanted):
        for entry in sheet.entries:
            entry.kept = {key: value for key, value in (entry.kept or {}).items() if key not in typed}


def _main(work: Work, kind: Kind) -> Upsert | None:
    match work:
        case Records():
            return work.main
        case Desk():
            return work.records
        case Parties():
            return work.contacts if kind == "contacts" else work.customers
        case _:
            return None


def _becomes(sheet: Sheet, main: Upsert | None, beside: set[str]) -> list[tuple[int, str, str]]:
    """Return what becomes of each row: its line, what happens, what it is called."""
    told: list[tuple[int, str, str]] = []
    for entry in sheet.entries:
        given, key = entry.values, entry.values.get("external_id")
        what = (
            "rejected"
            if entry.wrong
            else "created"
            if main is None or key in main.fresh
            else "updated"
            if key in main.changed or key in beside
            else "unchanged"
        )
        called = given.get("name") or given.get("title") or given.get("body") or given.get("subject") or key or ""
        told.append((entry.line, what, str(called)[:80]))
    return told
