"""What follows from a record's fields, and must fit: the invariants of each kind of record that has no module of its own."""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from ..context import Write
from ..errors import Refusal
from . import rates
from .given import Given, exact, host, wrong
from .models import Contact, Customer, Deal, Individual, Job, Lead, LeadPart, Organization, Product, Project, Record

MAILBOXES = frozenset({
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "ymail.com",
    "icloud.com", "me.com", "mac.com", "aol.com", "gmx.de", "gmx.net", "gmx.com", "gmx.at", "gmx.ch", "web.de",
    "t-online.de", "freenet.de", "proton.me", "protonmail.com", "mail.com", "mail.ru", "yandex.ru", "yandex.com",
    "qq.com", "163.com", "126.com", "orange.fr", "free.fr", "laposte.net", "libero.it", "wp.pl", "zoho.com",
    "yahoo.co.uk", "yahoo.de", "yahoo.fr", "hotmail.co.uk", "hotmail.fr", "outlook.de", "hotmail.de",
})  # fmt: skip
"""Domains where anybody has a mailbox, so that they say nothing of an organization."""
Before = Mapping[str, Any]
"""Columns as they were; nothing of a new record."""


async def settle(ctx: Write, row: Record, part: LeadPart | None, given: Given, before: Before) -> None:
    """Set what follows from the fields of a new or changed record.

    Raises:
        Refusal: INVALID_ARGUMENT, where they do not fit together.
    """
    rule = _RULES.get(type(row))
    if rule is not None:
        await rule(ctx, row, given, before)
    if part is not None:
        _part(part, given)


async def _organization(ctx: Write, row: Any, given: Given, before: Before) -> None:
    if row.domain is None and "domain" not in given.values and {"website", "email"} & set(given.values):
        row.domain = _domain(getattr(row, "website", None), row.email)


async def _customer(ctx: Write, row: Customer, given: Given, before: Before) -> None:
    if row.kind != "person":
        await _organization(ctx, row, given, before)


def _domain(website: str | None, email: str | None) -> str | None:
    found = host(website) if website else None
    if found is None and email:
        found = host(email.rpartition("@")[2])
        found = None if found in MAILBOXES else found
    return found


async def _individual(ctx: Write, row: Individual, given: Given, before: Before) -> None:
    """Compose the name of its parts, unless it was given or is another than theirs."""
    parts = _composed(row.first_name, row.last_name)
    if (
        "name" not in given.values
        and parts
        and (not before or before["name"] == _composed(before["first_name"], before["last_name"]))
    ):
        row.name = parts


def _composed(first: str | None, last: str | None) -> str:
    return " ".join(part for part in (first, last) if part)


async def _contact(ctx: Write, row: Contact, given: Given, before: Before) -> None:
    if row.customer_id is None and row.organization_id is None and row.individual_id is None:
        hint = "A contact belongs to somebody: give a customer, an organization or an individual."
        raise Refusal("INVALID_ARGUMENT", hint, argument="customer")


async def _deal(ctx: Write, row: Deal, given: Given, before: Before) -> None:
    if "amount" in given.values and given.values["amount"] is None:
        row.currency = None
    if row.amount is None and row.currency is not None:
        if given.values.get("currency") is None:
            raise wrong("currency", "is cleared with the amount")
        raise wrong("amount", "is missing: a currency alone says nothing")
    _priced(row.amount, row.currency, "amount")
    if row.amount is None or row.currency is None:
        row.base_amount = None
    elif not before or (row.amount, row.currency) != (before["amount"], before["currency"]):
        row.base_amount = await rates.in_base(ctx, row.amount, row.currency)
        if row.base_amount is None:
            given.warnings.append(
                f"No rate from {row.currency} is stated, so its value in {ctx.principal.currency} is unknown."
            )
    was = before.get("status", "open")
    if row.status == "open":
        row.closed_at = None
        if was != "open" and "signed_on" not in given.values:
            row.signed_on = None
    elif was == "open" or row.closed_at is None:
        row.closed_at = ctx.now
    if row.status == "won" and row.signed_on is None:
        given.warnings.append("signed_on is empty: the sales cycle counts to the signature.")
    if row.status != "won" and given.values.get("signed_on") is not None:
        raise wrong("signed_on", "goes with status won")


async def _lead(ctx: Write, row: Lead, given: Given, before: Before) -> None:
    if row.status != "converted":
        row.converted_at = None
    elif before.get("status") != "converted":
        row.converted_at = ctx.now
    if before and row.kind != before["kind"]:
        raise wrong("kind", "stays as it is; make a new lead")


def _part(part: LeadPart, given: Given) -> None:
    values: dict[str, Any] = {column.name: getattr(part, column.name) for column in part.__table__.columns}
    money = ("salary_min", "salary_max") if isinstance(part, Job) else ("amount",)
    for name in money:
        if name in values:
            _priced(values[name], values["currency"], name)
    _in_order(values, ("salary_min", "salary_max"), ("starts_on", "ends_on"), ("posted_on", "closes_on"))


async def _project(ctx: Write, row: Project, given: Given, before: Before) -> None:
    if row.status != "done":
        row.completed_at = None
    elif before.get("status") != "done":
        row.completed_at = ctx.now
    _in_order({"starts_on": row.starts_on, "due_on": row.due_on}, ("starts_on", "due_on"))


async def _product(ctx: Write, row: Any, given: Given, before: Before) -> None:
    _priced(row.unit_price, row.currency, "unit_price")
    if row.sku is not None and row.sku != before.get("sku"):
        with ctx.session.no_autoflush:
            same = select(Product.id).where(Product.org_id == ctx.principal.org, Product.sku == row.sku)
            taken = await ctx.session.scalar(same)
        if taken is not None:
            raise wrong("sku", f"prod_{taken} has it already")


def _priced(amount: Decimal | None, currency: str | None, name: str) -> None:
    if amount is None:
        return
    if currency is None:
        raise wrong("currency", f"say which that of {name} is, such as EUR")
    exact(name, amount, currency)


def _in_order(values: Mapping[str, Any], *pairs: tuple[str, str]) -> None:
    for first, last in pairs:
        if values.get(first) is not None and values.get(last) is not None and values[last] < values[first]:
            raise wrong(last, f"comes before {first}" if last.endswith("_on") else f"is below {first}")


_RULES: Mapping[type[Record], Callable[[Write, Any, Given, Before], Awaitable[None]]] = {
    Organization: _organization,
    Customer: _customer,
    Individual: _individual,
    Contact: _contact,
    Deal: _deal,
    Lead: _lead,
    Project: _project,
    Product: _product,
}
