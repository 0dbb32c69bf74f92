"""Run an import: read and judge every row first, then write the good ones in one transaction."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from .. import ids
from ..db import Database
from ..errors import Refusal
from ..principal import Principal, Role
from . import about, bills, deals, goods, issues, leads, parties, receipts, records, sales, tariffs
from .batch import batch
from .field import Field
from .fields import BELOW, FIELDS, together
from .header import plain
from .plan import Kind, Plan, Rejected, Report
from .sheet import Sheet, read
from .values import How
from .work import Job, Work

_JUDGES: Mapping[Kind, Callable[..., Awaitable[Work]]] = {
    "customers": parties.customers,
    "organizations": records.organizations,
    "individuals": records.individuals,
    "contacts": parties.contacts,
    "leads": leads.leads,
    "deals": deals.deals,
    "projects": records.projects,
    "products": goods.products,
    "orders": sales.orders,
    "invoices": bills.invoices,
    "payments": receipts.payments,
    "issues": issues.issues,
    "tasks": about.tasks,
    "notes": about.notes,
    "activities": about.activities,
    "documents": about.documents,
    "tax_rates": tariffs.tax_rates,
    "exchange_rates": tariffs.exchange_rates,
}
_FINANCE = frozenset({Role.ADMIN, Role.FINANCE})
_SELLING = frozenset({Role.ADMIN, Role.SALES})
_KEEPERS: Mapping[Kind, frozenset[Role]] = {
    "invoices": _FINANCE,
    "payments": _FINANCE,
    "tax_rates": _FINANCE,
    "exchange_rates": _FINANCE,
    "issues": frozenset({Role.ADMIN, Role.OPERATIONS, Role.SUPPORT}),
    "organizations": _SELLING,
    "individuals": _SELLING,
    "leads": _SELLING,
    "deals": _SELLING,
    "projects": _SELLING | {Role.OPERATIONS},
}
"""Who writes records of a kind, where not everybody who may approve does."""
ALONE = "select pg_advisory_xact_lock(hashtextextended('crm.import.' || %s, 0))"
BY_INDEX = "set local enable_seqscan = off"
"""Postgres checks references by a plan that it keeps, made of a table as it was: one that was empty would be read whole for
each row that comes."""
Progress = Callable[[int, int], None]


async def run(db: Database, who: Principal, plan: Plan, *, dry_run: bool, progress: Progress) -> Report:
    """Import the good rows of a file, all of them or, when anything stops it, none.

    `db` connects as crm_approver. `progress` is told how much of how much is done, in parts of the whole work.

    Raises:
        Refusal: NOT_AN_APPROVER, ROLE_NOT_ALLOWED; UNKNOWN_FIELD, LINES_FILE_UNUSED, UNKNOWN_CURRENCY, SOURCE_MISSING; WRONG_DISCOUNTS; those of `sheet.read`.
    """
    check(who, plan)
    draft: int | None = None
    size = max(1, sum(file.stat().st_size for file in _files(plan) if file.exists()))
    sheets = read_files(plan, who, lambda done: progress(min(done, size), 2 * size))
    async with db.begin(who, ids.new_call()) as conn:
        await conn.exec_driver_sql("set transaction read only")
        job = Job(who, plan)
        work = await judge(conn, job, sheets)
    if not dry_run and work.size:
        judge_anew(sheets)
        about = {"file": str(plan.file), "sha256": digest(plan), "kind": plan.kind, "source": plan.source}
        async with batch(db, who, "import", about, f"Import {plan.kind} from {plan.file.name}.") as session:
            conn = await session.connection()
            await conn.exec_driver_sql(ALONE, (str(who.org),))
            job = Job(who, plan)
            work = await judge(conn, job, sheets)
            written = 0

            def done(rows: int) -> None:
                nonlocal written
                written += rows
                progress(size + size * min(written, work.size) // max(1, work.size), 2 * size)

            await work.write(session, done)
            draft = int(session.info["draft"])
    progress(2 * size, 2 * size)
    return report(job, sheets, work, dry_run=dry_run, draft=draft)


def check(who: Principal, plan: Plan) -> None:
    """See that somebody may import a kind, and that the plan makes sense.

    Raises:
        Refusal: NOT_AN_APPROVER, ROLE_NOT_ALLOWED; UNKNOWN_FIELD, LINES_FILE_UNUSED, UNKNOWN_CURRENCY, SOURCE_MISSING.
    """
    if not who.may_approve:
        raise Refusal("NOT_AN_APPROVER", f"{who.email} may not approve, so cannot bring in records. Use --user.")
    if who.role not in _KEEPERS.get(plan.kind, frozenset(Role)):
        keepers = " or ".join(sorted(_KEEPERS[plan.kind]))
        raise Refusal("ROLE_NOT_ALLOWED", f"{who.email} is {who.role}; only {keepers} may bring in {plan.kind}.")
    _check(plan)


def _files(plan: Plan) -> list[Path]:
    return [plan.file, plan.lines_file] if plan.lines_file else [plan.file]


def _fields(plan: Plan) -> list[tuple[Field, ...]]:
    """Return the fields of each file."""
    if plan.reading is not None:
        return [plan.reading.fields()]
    if plan.kind not in BELOW:
        return [FIELDS[plan.kind]]
    return [FIELDS[plan.kind], BELOW[plan.kind]] if plan.lines_file else [together(plan.kind)]


def _check(plan: Plan) -> None:
    known = [field.name for fields in _fields(plan) for field in fields]
    for name in plan.mapping:
        if name not in known:
            near = get_close_matches(name, known, 1) or known[:1]
            hint = f"{plan.kind} have no field {name!r}. The nearest is {near[0]!r}; all are {', '.join(known)}."
            raise Refusal("UNKNOWN_FIELD", hint, field=name[:100])
    if plan.lines_file and plan.kind not in BELOW:
        hint = f"Only {', '.join(BELOW)} have a file of lines, and {plan.kind} are imported here."
        raise Refusal("LINES_FILE_UNUSED", hint)
    if plan.currency is not None and not re.fullmatch("[A-Z]{3}", plan.currency):
        raise Refusal("UNKNOWN_CURRENCY", "Name the currency by its ISO 4217 code, such as EUR.")
    if not plan.source.strip() or len(plan.source) > 100:
        raise Refusal("SOURCE_MISSING", "Name the system that the ids come from with --source, such as northwind.")


def read_files(plan: Plan, who: Principal, done: Callable[[int], None]) -> list[Sheet]:
    how = How(ZoneInfo(who.timezone), plan.decimal, plan.discount_unit == "fraction")
    sheets: list[Sheet] = []
    before = 0
    for file, fields in zip(_files(plan), _fields(plan), strict=True):
        so_far = before
        sheets.append(read(file, fields, plan, how, lambda bytes_read, so_far=so_far: done(so_far + bytes_read)))
        before += file.stat().st_size
    if plan.discount_unit is None:
        _refuse_fractions(sheets[-1])
    return sheets


def _refuse_fractions(sheet: Sheet) -> None:
    """Ask where every discount is below 1: read as per cent, fifteen per cent would become 0.15."""
    if "discount" not in sheet.columns or "percent" in plain(sheet.mapped()["discount"]):
        return
    given = [entry.values["discount"] for entry in sheet.entries if entry.values.get("discount")]
    if given and max(given) <= 1:
        hint = (
            f"Every discount in {sheet.file.name} is at most 1. Say --discount-unit fraction if 0.15 means 15 per "
            "cent, or --discount-unit percent if it means 0.15 per cent."
        )
        raise Refusal("WRONG_DISCOUNTS", hint, column=sheet.mapped()["discount"])


async def judge(conn: AsyncConnection, job: Job, sheets: list[Sheet]) -> Work:
    return await _JUDGES[job.plan.kind](conn, job, *sheets)


def judge_anew(sheets: list[Sheet]) -> None:
    """Take back what an earlier judgement found wrong; what was wrong when the file was read stays."""
    for sheet in sheets:
        for entry in sheet.entries:
            del entry.wrong[entry.misread :]


def digest(plan: Plan) -> str:
    found = hashlib.sha256()
    for file in _files(plan):
        with file.open("rb") as raw:
            found.update(hashlib.file_digest(raw, "sha256").digest())
    return found.hexdigest()


def report(job: Job, sheets: list[Sheet], work: Work, *, dry_run: bool, draft: int | None = None) -> Report:
    """Return what an import did."""
    plan, counts = job.plan, work.counts
    main = sheets[0].entries
    is_flat = plan.kind in BELOW and plan.lines_file is None
    records = {entry.values.get("external_id") for entry in main} if is_flat else main
    told = Report(plan.kind, dry_run, len(records), counts.created, counts.updated, counts.unchanged)
    told.rows = {table: made for table, made in counts.rows.items() if made}
    told.strangers, told.unfound, told.beside = job.told.strangers, job.told.unfound, job.told.beside
    told.ways = job.told.ways
    told.draft = draft
    for sheet in sheets:
        told.mapped[sheet.file], told.ignored[sheet.file] = sheet.mapped(), sheet.ignored()
        told.shapes[sheet.file] = sheet.shape
        told.rejected += [
            Rejected(sheet.file, entry.line, "; ".join(entry.wrong), entry.cells)
            for entry in sheet.entries
            if entry.wrong
        ]
    return told
