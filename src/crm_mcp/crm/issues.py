"""Issues: what customers report; their invariants, their clock and every write."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Literal, TypeVar

from sqlalchemy import or_, select

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..tool import View
from . import asking, missing, people, subjects, warranties
from .models import Contact, Customer, Issue, Order, OrderLine, OrgSettings, Product

Kind = Literal["question", "problem", "complaint", "return", "warranty", "request"]
Priority = Literal["low", "normal", "high", "urgent"]
Status = Literal["open", "waiting", "resolved", "closed"]
NEXT: Mapping[str, tuple[Status, ...]] = {
    "open": ("waiting", "resolved"),
    "waiting": ("open", "resolved"),
    "resolved": ("closed", "open"),
    "closed": (),
}
"""The states that an issue may go to from each."""
SERVICE_HOURS: Mapping[str, Sequence[float]] = {
    "urgent": (1, 8),
    "high": (4, 24),
    "normal": (24, 72),
    "low": (72, 240),
}
"""Hours to a first answer and to the resolution where the org states none: the default of org_settings."""
NOBODY = "nobody"
Owned = TypeVar("Owned", Contact, Order)
_WORD = re.compile(r"\w{3,}")


class IssueView(View):
    noun: ClassVar[str] = "issue"
    nouns: ClassVar[str] = "issues"

    id: str
    title: str
    status: str
    priority: str
    type: str
    customer: dict[str, str]
    openedAt: datetime
    slaState: str | None = None
    assignee: str | None = None
    respondBy: datetime | None = None
    resolveBy: datetime | None = None
    respondedAt: datetime | None = None
    waitingSince: datetime | None = None
    resolvedAt: datetime | None = None
    closedAt: datetime | None = None
    warrantyUntil: date | None = None
    description: str | None = None
    resolution: str | None = None
    contact: dict[str, str] | None = None
    order: dict[str, str] | None = None
    product: dict[str, str] | None = None
    notes: list[dict[str, Any]] | None = None
    activities: list[dict[str, Any]] | None = None
    tasks: list[dict[str, Any]] | None = None


@dataclass(slots=True)
class Reported:
    """An issue as a write leaves it: what it names, and what whoever approves should know."""

    issue: Issue
    customer: Customer
    assignee: str | None = None
    contact: Contact | None = None
    order: Order | None = None
    product: Product | None = None
    warnings: list[str] = field(default_factory=list[str])

    @property
    def view(self) -> IssueView:
        i = self.issue
        return IssueView(
            id=ids.show("issues", i.id),
            title=i.title,
            status=i.status,
            priority=i.priority,
            type=i.type,
            customer=_named("customers", self.customer.id, self.customer.name),
            openedAt=i.opened_at,
            assignee=self.assignee,
            respondBy=i.respond_by,
            resolveBy=i.resolve_by,
            respondedAt=i.responded_at,
            waitingSince=i.waiting_since,
            resolvedAt=i.resolved_at,
            closedAt=i.closed_at,
            warrantyUntil=i.warranty_until,
            description=i.description,
            resolution=i.resolution,
            contact=_named("contacts", self.contact.id, self.contact.name) if self.contact else None,
            order=_named("orders", self.order.id, self.order.number or "") if self.order else None,
            product=_named("products", self.product.id, self.product.name) if self.product else None,
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What a customer reports, with typed ids as a tool is given them."""

    customer: str
    title: str
    description: str | None = None
    kind: Kind = "problem"
    priority: Priority = "normal"
    contact: str | None = None
    order: str | None = None
    product: str | None = None
    assignee: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different; None leaves a field as it is."""

    title: str | None = None
    description: str | None = None
    kind: Kind | None = None
    priority: Priority | None = None
    assignee: str | None = None
    status: Status | None = None
    resolution: str | None = None
    responded: bool = False


async def create(ctx: Write, report: Report) -> Reported:
    """Open an issue: its clock set by priority, its warranty found by the product or the order.

    Raises:
        Refusal: CUSTOMER_NOT_FOUND, CONTACT_NOT_FOUND, ORDER_NOT_FOUND, PRODUCT_NOT_FOUND; INVALID_ARGUMENT, where a
            contact, an order or a product is not of the customer or the order; those of `people.find`.
    """
    buyer = await ctx.session.get(Customer, (ctx.principal.org, ids.parse("customers", report.customer)))
    if buyer is None:
        raise missing.customer(report.customer)
    made = Reported(Issue(org_id=ctx.principal.org, customer_id=buyer.id), buyer)
    made.contact = await _of(ctx, Contact, "contacts", report.contact, buyer)
    made.order = await _of(ctx, Order, "orders", report.order, buyer)
    made.product = await _product(ctx, report.product, made)
    issue = made.issue
    if report.assignee is not None:
        person = await people.find(asking.within(ctx), ctx.principal, report.assignee)
        issue.assignee_id, made.assignee = person
    issue.title, issue.description = report.title, report.description
    issue.type, issue.priority, issue.status = report.kind, report.priority, "open"
    issue.opened_at, issue.waited_seconds = ctx.now, 0
    issue.contact_id = made.contact.id if made.contact else None
    issue.order_id = made.order.id if made.order else None
    issue.product_id = made.product.id if made.product else None
    await _set_clock(ctx, issue)
    await _check_warranty(ctx, made)
    await _warn_of_similar(ctx, made)
    if buyer.archived_at is not None:
        made.warnings.append(f"{report.customer} is archived.")
    ctx.session.add(issue)
    await ctx.session.flush()
    return made


async def update(ctx: Write, text: str, change: Change) -> tuple[Reported, list[str]]:
    """Change an issue; return it with what changed, as phrases: none where everything was so already.

    Raises:
        Refusal: ISSUE_NOT_FOUND; ISSUE_STATUS, naming what is possible; INVALID_ARGUMENT, for a resolution that is
            missing or goes with no status; those of `people.find`.
    """
    issue = await _locked(ctx, text)
    said: list[str] = []
    _set_text(issue, change, said)
    await _assign(ctx, issue, change, said)
    if change.responded and issue.responded_at is None:
        issue.responded_at = ctx.now
        said.append("note the first answer")
    was = issue.status
    if change.status is not None and change.status != was:
        _move(ctx, text, issue, change.status, change.resolution)
        said.append(f"status {was} to {issue.status}")
    elif change.resolution is not None and change.resolution != issue.resolution:
        if was != "resolved" or not change.resolution.strip():
            hint = 'resolution: goes with status "resolved", and says something.'
            raise Refusal("INVALID_ARGUMENT", hint, argument="resolution")
        issue.resolution = change.resolution
        said.append("resolution")
    if change.priority is not None and change.priority != issue.priority:
        said.append(f"priority {issue.priority} to {change.priority}")
        issue.priority = change.priority
        await _set_clock(ctx, issue)
    if said and was == "closed":
        raise _illegal(text, issue)
    await ctx.session.flush()
    return await _known(ctx, issue), said


def _set_text(issue: Issue, change: Change, said: list[str]) -> None:
    if change.title is not None and change.title != issue.title:
        issue.title = change.title
        said.append(f"title to {change.title}")
    if change.description is not None and change.description != issue.description:
        issue.description = change.description
        said.append("description")
    if change.kind is not None and change.kind != issue.type:
        said.append(f"type {issue.type} to {change.kind}")
        issue.type = change.kind


async def _assign(ctx: Write, issue: Issue, change: Change, said: list[str]) -> None:
    if change.assignee is None:
        return
    if change.assignee.strip().casefold() == NOBODY:
        if issue.assignee_id is not None:
            issue.assignee_id = None
            said.append("assign it to nobody")
        return
    person = await people.find(asking.within(ctx), ctx.principal, change.assignee)
    if person.id != issue.assignee_id:
        issue.assignee_id = person.id
        said.append(f"assign it to {person.name}")


def _move(ctx: Write, text: str, issue: Issue, to: Status, resolution: str | None) -> None:
    """Move an issue on; its clock stands still while it waits and while it is resolved."""
    if to not in NEXT[issue.status]:
        raise _illegal(text, issue)
    if to == "resolved" and not (resolution or "").strip():
        hint = "resolution: say how it was resolved; the customer may be told."
        raise Refusal("INVALID_ARGUMENT", hint, argument="resolution")
    if to != "resolved" and resolution is not None:
        raise Refusal("INVALID_ARGUMENT", 'resolution: goes with status "resolved".', argument="resolution")
    if to != "closed" and (since := issue.waiting_since or issue.resolved_at) is not None:
        _stood_still(issue, since, ctx.now)
    issue.status = to
    issue.waiting_since = ctx.now if to == "waiting" else None
    if to in ("waiting", "resolved") and issue.responded_at is None:
        # one asks a customer back, or tells them of the solution, by answering
        issue.responded_at = ctx.now
    if to == "resolved":
        issue.resolved_at, issue.resolution = ctx.now, resolution
    elif to == "open":
        issue.resolved_at = None
    elif to == "closed":
        issue.closed_at = ctx.now


def _stood_still(issue: Issue, since: datetime, now: datetime) -> None:
    seconds = max(0, int((now - since).total_seconds()))
    issue.waited_seconds += seconds
    if issue.resolve_by is not None:
        issue.resolve_by += timedelta(seconds=seconds)


def _illegal(text: str, issue: Issue) -> Refusal:
    possible = NEXT[issue.status]
    if not possible:
        hint = f"{text} is closed, which is final. Report it as a new issue with create_issue."
    else:
        hint = f"{text} is {issue.status}; from there it can become {' or '.join(possible)}."
    return Refusal("ISSUE_STATUS", hint, status=issue.status, possible=list(possible))


async def _set_clock(ctx: Write, issue: Issue) -> None:
    """Set what is due by the priority, from when it was opened, less the time that the clock stood still."""
    stated = await ctx.session.scalar(
        select(OrgSettings.service_hours).where(
            OrgSettings.org_id == ctx.principal.org, OrgSettings.archived_at.is_(None)
        )
    )
    answer, resolution = {**SERVICE_HOURS, **(stated or {})}[issue.priority]
    issue.respond_by = issue.opened_at + timedelta(hours=float(answer))
    issue.resolve_by = issue.opened_at + timedelta(hours=float(resolution), seconds=issue.waited_seconds)


async def _of(ctx: Write, model: type[Owned], table: str, text: str | None, buyer: Customer) -> Owned | None:
    if text is None:
        return None
    found = await ctx.session.get(model, (ctx.principal.org, ids.parse(table, text)))
    if found is None:
        raise subjects.not_found(table, text)
    if found.customer_id != buyer.id:
        noun = ids.NOUN[table]
        hint = f"{noun}: {text} belongs to {subjects.owner(found.customer_id)}."
        raise Refusal("INVALID_ARGUMENT", hint, argument=noun)
    return found


async def _product(ctx: Write, text: str | None, made: Reported) -> Product | None:
    """Return the product given; else the order's, where it has one alone."""
    org, within = ctx.principal.org, list[Product]()
    if made.order is not None:
        lines = select(OrderLine.product_id).where(OrderLine.org_id == org, OrderLine.order_id == made.order.id)
        asked = select(Product).where(Product.org_id == org, Product.id.in_(lines)).order_by(Product.id)
        within = list(await ctx.session.scalars(asked))
    if text is None:
        if len(within) > 1:
            names = ", ".join(f"{ids.show('products', p.id)} {p.name}" for p in within[:5])
            made.warnings.append(f"The order holds several products, so no warranty was looked up: {names}.")
        return within[0] if len(within) == 1 else None
    found = await ctx.session.get(Product, (org, ids.parse("products", text)))
    if found is None:
        raise subjects.not_found("products", text)
    if made.order is not None and found.id not in {p.id for p in within}:
        offered = [{"id": ids.show("products", p.id), "name": p.name} for p in within[:5]]
        hint = "product: is not in that order; name one of its products, or leave the order out."
        raise Refusal("INVALID_ARGUMENT", hint, argument="product", suggestions=offered)
    return found


async def _check_warranty(ctx: Write, made: Reported) -> None:
    issue, today = made.issue, ctx.principal.day(ctx.now)
    if issue.product_id is not None:
        issue.warranty_until = await warranties.until(ctx, issue.customer_id, issue.product_id, issue.order_id, today)
    if issue.type != "warranty":
        return
    if issue.product_id is None:
        made.warnings.append("No product is named, so the warranty could not be looked up.")
    elif issue.warranty_until is None:
        made.warnings.append("No warranty was found: no shipped order of the product with one, and none agreed.")
    elif issue.warranty_until < today:
        made.warnings.append(f"The warranty ended on {issue.warranty_until}.")


async def _warn_of_similar(ctx: Write, made: Reported) -> None:
    """Warn of open issues of the customer with the same product, or whose titles have the same words."""
    org, issue, words = ctx.principal.org, made.issue, _words(made.issue.title)
    unresolved = (
        select(Issue)
        .where(
            Issue.org_id == org,
            Issue.customer_id == issue.customer_id,
            or_(Issue.status == "open", Issue.status == "waiting"),
            Issue.archived_at.is_(None),
        )
        .order_by(Issue.id.desc())
        .limit(200)
    )
    alike = [
        other
        for other in await ctx.session.scalars(unresolved)
        if (issue.product_id is not None and other.product_id == issue.product_id)
        or (words and words == _words(other.title))
    ]
    made.warnings += [f"A similar issue is open: {ids.show('issues', one.id)} {one.title}" for one in alike[:3]]


def _words(title: str) -> frozenset[str]:
    """Return a title's words of three letters and more, whatever their case, accents and order."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", title) if not unicodedata.combining(c))
    return frozenset(_WORD.findall(bare.casefold()))


async def _locked(ctx: Write, text: str) -> Issue:
    number = ids.parse("issues", text)
    asked = select(Issue).where(Issue.org_id == ctx.principal.org, Issue.id == number, Issue.archived_at.is_(None))
    found = (await ctx.session.scalars(asked.with_for_update())).one_or_none()
    if found is None:
        raise not_found(text)
    return found


async def _known(ctx: Write, issue: Issue) -> Reported:
    """Return an issue with the records it names."""
    org = ctx.principal.org
    buyer = await ctx.session.get_one(Customer, (org, issue.customer_id))
    row = await asking.within(ctx)("select name from crm.users where id = %(id)s", id=issue.assignee_id)
    return Reported(
        issue,
        buyer,
        row[0] if row else None,
        None if issue.contact_id is None else await ctx.session.get(Contact, (org, issue.contact_id)),
        None if issue.order_id is None else await ctx.session.get(Order, (org, issue.order_id)),
        None if issue.product_id is None else await ctx.session.get(Product, (org, issue.product_id)),
    )


def not_found(text: str) -> Refusal:
    hint = "get_issues lists issues by customer, status, priority and words."
    return Refusal("ISSUE_NOT_FOUND", hint, searchedId=text[:60])


def _named(table: str, number: int, name: str) -> dict[str, str]:
    return {"id": ids.show(table, number), "name": name}
