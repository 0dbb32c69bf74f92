"""Import issues: our own, and tickets and cases of other systems, whose companies become accounts."""

from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from ..crm.models import Contact, Customer, Issue, Order, Organization, Product, Record
from .desk import Desk, bring
from .finding import Found, People, find, people, words
from .kept import Pending, good, past, refuse_twins
from .links import Link, link
from .rows import Row
from .sheet import Sheet
from .work import Job

_ACCOUNTS = """select organization_id, min(customer_id) from crm.customer_parties
 where org_id = %s and organization_id is not null and archived_at is null group by organization_id"""
_CALLED = "select id, name from crm.organizations where org_id = %s"
_AT = "select id, customer_id, organization_id, name from crm.contacts where org_id = %s"


async def issues(conn: AsyncConnection, job: Job, sheet: Sheet) -> Desk:
    """Judge a file of issues; deadlines are those of the file."""
    header = sheet.mapped()
    refuse_twins(sheet.entries, "external_id", header.get("external_id", "id"))
    staff = await people(conn, job.who.org)
    if job.lenient:
        return await _tickets(conn, job, sheet, staff)
    named: dict[str, tuple[type[Record], Found]] = {}
    for name, model in (("customer", Customer), ("contact", Contact), ("order", Order), ("product", Product)):
        columns = [] if name in ("customer", "product") else ["customer_id"]
        named[name] = (model, await find(conn, job, model, words(sheet.entries, name), columns))
    rows: dict[str, Row] = {}
    for entry in good(sheet.entries):
        row: Row = {}
        for name, (_, found) in named.items():
            word = entry.values.get(name)
            hit = found.take(entry, word, header[name]) if word is not None else None
            row[f"{name}_id"] = hit.id if hit else None
            if hit and hit.values.get("customer_id", row["customer_id"]) != row["customer_id"]:
                entry.wrong.append(f"{header[name]} {word!r} is of another customer")
        row = {name: value for name, value in row.items() if name.removesuffix("_id") in header}
        rows[entry.values["external_id"]] = row
    return await bring(conn, job, sheet, Issue, rows, staff)


async def _tickets(conn: AsyncConnection, job: Job, sheet: Sheet, staff: People) -> Desk:
    """Judge tickets of another system: the organization that one is of becomes an account, where it is none yet."""
    links = await link(
        conn,
        job,
        sheet,
        {"contact": Link(Contact), "organization": Link(Organization, made=True), "customer": Link(Customer)},
    )
    accounts = {row[0]: row[1] for row in list[Any](await conn.exec_driver_sql(_ACCOUNTS, (job.who.org,)))}
    names = {row[0]: row[1] for row in list[Any](await conn.exec_driver_sql(_CALLED, (job.who.org,)))}
    at = {row[0]: (row[1], row[2], row[3]) for row in list[Any](await conn.exec_driver_sql(_AT, (job.who.org,)))}
    alone = {hit.id for one in (links.by_id["contact"], links.by_name["contact"]) for hit in one.hits.values()}
    made = await past(conn, job.who.org, job.plan.source, Customer, [f"contact:{one}" for one in alone])
    parties: dict[str, int | Pending] = {}
    rows: dict[str, Row] = {}
    for entry in good(sheet.entries):
        contact = links.take(entry, "contact")
        whose, firm, called = at.get(cast("int", contact), (None, None, None))
        party = links.take(entry, "organization")
        party = party if party is not None else firm
        customer = links.take(entry, "customer")
        customer = customer if customer is not None else accounts.get(cast("int", party))
        customer = customer if customer is not None or party is not None else whose
        if customer is None and party is not None:
            external = f"organization:{party.external if isinstance(party, Pending) else party}"
            name = (
                links.beside[Organization].fresh[party.external]["name"]
                if isinstance(party, Pending)
                else names[party]
            )
            customer = links.make(Customer, external, {"name": name, "kind": "organization"})
            parties[external] = party
        elif customer is None and contact is not None:
            external = f"contact:{contact}"
            there = made.known.get(external)
            customer = there.id if there else links.make(Customer, external, {"name": called, "kind": "person"})
        if customer is None:
            entry.wrong.append("names no company and no contact that is here")
        # a contact of another account cannot be the one of this issue
        contact = contact if whose is None or whose == customer else None
        rows[entry.values["external_id"]] = {"customer_id": customer, "contact_id": contact}
    work = await bring(conn, job, sheet, Issue, rows, staff, links)
    work.parties = parties
    return work
