"""Import leads, each with the part that only its kind has, and with whom it names."""

from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from ..crm import models
from ..crm.models import Customer, Individual, Lead, Organization, Record
from .kept import Known, Past, Upsert, good, past
from .links import Link, Links
from .places import Worth, place
from .rates import stated
from .records import Records, judge
from .rows import Row
from .sheet import Entry, Sheet
from .ways import LEADS, ways
from .work import Job

_PARTS: dict[str, tuple[type[models.LeadPart], tuple[str, ...]]] = {
    "job": (
        models.Job,
        (
            "role", "seniority", "location", "is_remote", "salary_min", "salary_max", "currency", "url", "posted_on",
            "closes_on",
        ),
    ),
    "opportunity": (
        models.Opportunity,
        ("amount", "currency", "expected_close_on", "need", "budget_confirmed", "decision_maker", "timeline"),
    ),
    "partnership": (models.Partnership, ("type", "scope", "territory", "starts_on", "ends_on")),
}  # fmt: skip
"""What only one kind of lead has."""
_AT = {"partnership": {"type": "partnership_type"}}
"""Columns that a file calls otherwise."""


async def leads(conn: AsyncConnection, job: Job, sheet: Sheet) -> Records:
    """Judge a file of leads; a row without a kind is an opportunity, and whom it names alone becomes an individual."""
    header = sheet.mapped()
    links = {
        "organization": Link(Organization, made=True), "individual": Link(Individual, made=True),
        "customer": Link(Customer),
    }  # fmt: skip
    pipelines = await ways(conn, job, sheet, LEADS)
    people_of = await _people_of(conn, job, sheet)
    for entry in sheet.entries:
        given = entry.values
        given["kind"] = given.get("kind") or "opportunity"
        full = " ".join(filter(None, (given.get("person_first"), given.get("person_last")))) or given.get(
            "person_name"
        )
        given["person"] = full or given.get("person_email")
        if given.get("name") is None and job.lenient:
            # a lead of Salesforce is a person of a company, and has no line of its own
            given["name"] = ", ".join(filter(None, (given["person"], given.get("organization_name")))) or None
        _in_order(entry, "salary_min", "salary_max")
        _in_order(entry, "starts_on", "ends_on")

    def person(entry: Entry, row: Row, known: Known | None, found: Links) -> None:
        row["kind"] = entry.values["kind"]
        if known is not None and known.values["kind"] != row["kind"]:
            entry.wrong.append(f"was a {known.values['kind']} before; a lead keeps its kind")
        if row.get("individual_id") is None and entry.values["person"] is not None:
            external = f"lead:{entry.values['external_id']}"
            there = people_of.known.get(external)
            made = {
                "name": entry.values["person"],
                "first_name": entry.values.get("person_first"),
                "last_name": entry.values.get("person_last"),
                "email": entry.values.get("person_email"),
                "phone": entry.values.get("person_phone"),
                "title": entry.values.get("person_title"),
            }
            row["individual_id"] = there.id if there else found.make(Individual, external, made)

    work = await judge(conn, job, sheet, Lead, links, person, ("kind", "status"))
    await _parts(conn, job, sheet, work, header)
    if pipelines:
        worth = await _worth(conn, job)
        work.places = await place(conn, job, sheet, work.main, pipelines, LEADS, worth)
    work.count()
    return work


async def _worth(conn: AsyncConnection, job: Job) -> Worth:
    """Return what says a lead's worth in its place."""
    rates = await stated(conn, job.who)

    def worth(entry: Entry) -> Row:
        amount = entry.values.get("amount")
        unit = entry.values.get("currency") or job.plan.currency or job.who.currency
        if amount is None:
            return {"amount": None, "currency": None, "base_amount": None}
        return {"amount": amount, "currency": unit, "base_amount": rates.in_base(amount, unit, job.now)}

    return worth


async def _people_of(conn: AsyncConnection, job: Job, sheet: Sheet) -> Past:
    """Return the individuals who were made of leads before."""
    wanted = [f"lead:{entry.values.get('external_id')}" for entry in sheet.entries] if job.lenient else []
    return await past(conn, job.who.org, job.plan.source, Individual, wanted) if wanted else Past({}, {})


def _in_order(entry: Entry, least: str, most: str) -> None:
    a, b = entry.values.get(least), entry.values.get(most)
    if a is not None and b is not None and b < a:
        entry.wrong.append(
            f"{most} {b} is before {least} {a}" if least.endswith("_on") else f"{most} is below {least}"
        )


async def _parts(conn: AsyncConnection, job: Job, sheet: Sheet, work: Records, header: dict[str, str]) -> None:
    """Take in what only one kind of lead has."""
    taken = [entry for entry in good(sheet.entries) if entry.values["external_id"] in work.main.fresh | work.main.ids]
    for kind, (model, columns) in _PARTS.items():
        theirs = {name: _AT.get(kind, {}).get(name, name) for name in columns}
        mine = [entry for entry in taken if entry.values["kind"] == kind]
        read = [name for name, other in theirs.items() if other in header]
        if {"amount", "salary_min", "salary_max"} & set(read) and "currency" not in read:
            read.append("currency")
        part = Upsert(model, referred=False)
        known = await _known_parts(conn, job.who.org, model, read, list(work.main.ids.values()) if mine else [])
        for entry in mine:
            external = entry.values["external_id"]
            row: Row = {name: entry.values.get(theirs[name]) for name in read}
            if row.get("currency") is None and any(row.get(name) for name in ("amount", "salary_min", "salary_max")):
                row["currency"] = job.plan.currency or job.who.currency
            there = known.get(work.main.ids[external]) if external in work.main.ids else None
            if there is None:
                part.fresh[external] = {"lead_id": None, **row}
            elif row:
                part.bring(external, row, there)
        work.parts.append(part)


async def _known_parts(
    conn: AsyncConnection, org: int, model: type[Record], columns: list[str], leads: list[int]
) -> dict[int, Known]:
    if not leads:
        return {}
    names = ["lead_id", "id", *columns]
    found = await conn.exec_driver_sql(
        f"select {', '.join(names)} from {cast('Table', model.__table__).fullname} where org_id = %s and lead_id = any(%s)",
        (org, leads),
    )
    rows: list[Any] = list(found)
    return {row[0]: Known(0, row[1], {}, dict(zip(columns, row[2:], strict=True))) for row in rows}
