"""Activities: contacts with a customer, on any record."""

from datetime import UTC, datetime
from typing import Literal

from .. import ids
from ..context import Write
from ..errors import Refusal
from . import asking, subjects
from .models import Activity, Contact
from .subjects import Subject

Kind = Literal["call", "meeting", "email", "visit", "other"]
Direction = Literal["in", "out"]
FIRST = datetime(1970, 1, 1, tzinfo=UTC)


async def log(
    ctx: Write,
    about: str,
    kind: Kind,
    subject: str,
    *,
    body: str | None = None,
    happened_at: datetime | None = None,
    direction: Direction | None = None,
    minutes: int | None = None,
    contact: str | None = None,
) -> tuple[Activity, Subject]:
    """Log what happened, now or before. About a contact, it was with that contact.

    Raises:
        Refusal: INVALID_ARGUMENT (a time in the future or before 1970, another customer's contact),
            CONTACT_NOT_FOUND, and those of `subjects.find`.
    """
    when = ctx.now if happened_at is None else _past(happened_at, ctx.now)
    on = await subjects.find(asking.within(ctx), ctx.principal, about)
    activity = Activity(
        org_id=ctx.principal.org,
        customer_id=on.customer,
        subject_type=on.table,
        subject_id=on.id,
        kind=kind,
        subject=subject,
        body=body,
        happened_at=when,
        direction=direction,
        minutes=minutes,
        contact_id=await _contact(ctx, contact, on),
    )
    ctx.session.add(activity)
    await ctx.session.flush()
    return activity, on


def _past(when: datetime, now: datetime) -> datetime:
    if when.tzinfo is None:
        hint = "happened_at: give the time with its zone, such as 2026-03-02T14:00:00+01:00."
    elif when > now:
        hint = "happened_at: lies in the future; for what is to be done use create_task."
    elif when < FIRST:
        hint = "happened_at: lies before 1970."
    else:
        return when.astimezone(UTC)
    raise Refusal("INVALID_ARGUMENT", hint, argument="happened_at")


async def _contact(ctx: Write, contact: str | None, on: Subject) -> int | None:
    if contact is None:
        return on.id if on.table == "contacts" else None
    found = await ctx.session.get(Contact, (ctx.principal.org, ids.parse("contacts", contact)))
    if found is None:
        raise subjects.not_found("contacts", contact)
    if on.customer is not None and found.customer_id != on.customer:
        owner = subjects.owner(found.customer_id)
        hint = f"contact: {contact} belongs to {owner}."
        raise Refusal("INVALID_ARGUMENT", hint, argument="contact")
    return found.id
