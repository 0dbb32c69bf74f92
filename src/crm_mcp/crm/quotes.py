"""Quotes: offers whose prices hold for a while, and what becomes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import select

from .. import ids
from ..context import Write
from ..errors import Refusal
from . import missing, pricing
from .buyers import Buyer, buyer
from .models import Quote, QuoteLine
from .pricing import Line, Total
from .rates import in_base


@dataclass(frozen=True, slots=True)
class Made:
    quote: Quote
    buyer: Buyer
    total: Total
    warnings: list[str]


async def create(
    ctx: Write,
    customer: str,
    lines: Sequence[Line],
    discount_percent: Decimal,
    valid_until: date | None,
    comment: str | None,
) -> Made:
    """Make a quote: lines priced now, to hold through `valid_until` (else the org's usual days). Nothing is kept from stock.

    Raises:
        Refusal: CUSTOMER_NOT_FOUND, CUSTOMER_ARCHIVED, VALID_UNTIL_PAST, and those of `pricing.price`.
    """
    number = ids.parse("customers", customer)
    who, offers = await buyer(ctx, number, [ids.parse("products", line.product) for line in lines])
    day = ctx.principal.day(ctx.now)
    until = valid_until or day + timedelta(days=who.quote_valid_days)
    if until < day:
        raise Refusal("VALID_UNTIL_PAST", f"valid_until lies before today, {day}.", today=str(day))
    total = pricing.price(lines, offers, discount_percent)
    org = ctx.principal.org
    quote = Quote(
        org_id=org,
        customer_id=who.id,
        currency=total.currency,
        discount_percent=total.discount_percent,
        net_total=total.net,
        tax_total=total.tax,
        gross_total=total.gross,
        base_total=await in_base(ctx, total.gross, total.currency),
        quoted_at=ctx.now,
        valid_until=until,
        salesperson=ctx.principal.name,
        comment=comment,
        lines=[
            QuoteLine(org_id=org, position=position, **pricing.columns(line))
            for position, line in enumerate(total.lines, 1)
        ],
    )
    ctx.session.add(quote)
    await ctx.session.flush()
    return Made(quote, who, total, who.warnings(quote.base_total, ctx.principal.currency))


async def open_one(ctx: Write, quote: str) -> Quote:
    """Return a quote that can still be accepted, with its lines, locked until the call ends.

    Raises:
        Refusal: QUOTE_NOT_FOUND (another org's answers the same), QUOTE_DECIDED, QUOTE_EXPIRED.
    """
    found = await _undecided(ctx, quote)
    if found.valid_until < ctx.principal.day(ctx.now):
        hint = f"Its prices held through {found.valid_until}. Make a new one with create_quote_draft."
        raise Refusal("QUOTE_EXPIRED", hint, validUntil=str(found.valid_until))
    return found


async def decline(ctx: Write, quote: str, lost_reason: str) -> Quote:
    """Note that a customer declined a quote, and why.

    Raises:
        Refusal: QUOTE_NOT_FOUND, QUOTE_DECIDED.
    """
    found = await _undecided(ctx, quote)
    found.status, found.decided_at, found.lost_reason = "declined", ctx.now, lost_reason
    await ctx.session.flush()
    return found


def total_of(quote: Quote) -> Total:
    """Return a quote's lines and amounts as they were offered."""
    lines = [pricing.agreed(line) for line in quote.lines]
    return Total(tuple(lines), quote.currency, quote.discount_percent, quote.net_total, quote.tax_total)


async def _undecided(ctx: Write, quote: str) -> Quote:
    number, org = ids.parse("quotes", quote), ctx.principal.org
    found = await ctx.session.scalar(
        select(Quote)
        .where(Quote.org_id == org, Quote.id == number)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise missing.quote(quote)
    if found.status != "open":
        raise Refusal("QUOTE_DECIDED", f"The quote is {found.status} already.", status=found.status)
    await ctx.session.refresh(found, ["lines"])
    return found
