"""What an amount is worth in the org's base currency, by stated rates."""

from decimal import Decimal

from sqlalchemy import select

from ..context import Write
from ..money import rounded
from .models import ExchangeRate


async def in_base(ctx: Write, amount: Decimal, currency: str) -> Decimal | None:
    """Return an amount in the org's base currency by the latest rate stated by the call's day; None without one."""
    base = ctx.principal.currency
    if currency == base:
        return amount
    rate = await ctx.session.scalar(
        select(ExchangeRate.rate)
        .where(
            ExchangeRate.org_id == ctx.principal.org,
            ExchangeRate.currency == currency,
            ExchangeRate.valid_from <= ctx.now.date(),
        )
        .order_by(ExchangeRate.valid_from.desc())
        .limit(1)
    )
    return None if rate is None else rounded(amount * rate, base)
