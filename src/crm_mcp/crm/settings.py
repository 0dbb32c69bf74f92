"""How the org works: terms, closed books."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from ..context import Write
from ..errors import Refusal
from .models import OrgSettings

SERVICE_HOURS = {"urgent": [1, 8], "high": [4, 24], "normal": [24, 72], "low": [72, 240]}


@dataclass(frozen=True, slots=True)
class Closing:
    """Through which day the books were closed before, and are now."""

    before: date | None
    now: date


async def of(ctx: Write) -> OrgSettings:
    """Return the org's settings; where it has no row, the defaults, not yet stored."""
    return await _stored(ctx) or _default(ctx)


async def close_books(ctx: Write, through: date) -> Closing:
    """Close the books through a day, or reopen them where the day is earlier than before.

    The row is locked here; Postgres keeps closing and postings that are under way from overtaking each other.

    Raises:
        Refusal: FUTURE_DAY.
    """
    not_future(ctx, through, "The books close at the latest through {today}, the org's day.")
    row = await _stored(ctx, lock=True)
    if row is None:
        row = _default(ctx)
        ctx.session.add(row)
    before = row.books_closed_through
    row.books_closed_through = through
    await ctx.session.flush()
    return Closing(before, through)


def not_future(ctx: Write, day: date, hint: str = "Date it {today} or before, in the org's zone.") -> None:
    """Refuse a day that has not begun in the org's zone.

    Raises:
        Refusal: FUTURE_DAY.
    """
    if day > (now := ctx.principal.day(ctx.now)):
        raise Refusal("FUTURE_DAY", hint.format(today=now.isoformat()), given=day.isoformat())


async def postable(ctx: Write, day: date) -> None:
    """Refuse a day that nothing can be posted on; Postgres refuses closed days again, whoever asks.

    Raises:
        Refusal: FUTURE_DAY, BOOKS_CLOSED.
    """
    not_future(ctx, day)
    closed = (await of(ctx)).books_closed_through
    if closed is not None and day <= closed:
        hint = f"The books are closed through {closed}. Date it later, or have close_books reopen them."
        raise Refusal("BOOKS_CLOSED", hint, given=day.isoformat(), closedThrough=closed.isoformat())


async def _stored(ctx: Write, lock: bool = False) -> OrgSettings | None:
    asked = select(OrgSettings).where(OrgSettings.org_id == ctx.principal.org)
    return await ctx.session.scalar(asked.with_for_update() if lock else asked)


def _default(ctx: Write) -> OrgSettings:
    return OrgSettings(
        org_id=ctx.principal.org, payment_terms_days=30, quote_valid_days=30, service_hours=dict(SERVICE_HOURS)
    )
