"""Orders: their invariants and every write."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from sqlalchemy import select

from .. import ids
from ..context import Write
from ..money import rounded
from . import customers, pricing
from .models import Customer, ExchangeRate, Order, OrderLine, Product, StockMovement
from .pricing import Line, Offer, Total


@dataclass(frozen=True, slots=True)
class Placed:
    order: Order
    customer: Customer
    total: Total


async def create(ctx: Write, customer: str, lines: Sequence[Line], comment: str | None) -> Placed:
    """Place an order: lines priced now, stock moved out through the ledger.

    The order's number is drawn by Postgres when a person approves. Stock may go below zero: a shortage is the
    buyer's to solve, and the preview names it.

    Raises:
        Refusal: CUSTOMER_NOT_FOUND, CUSTOMER_ARCHIVED, and those of `pricing.price`.
    """
    buyer, known = await _buyer_and_offers(ctx, customer, lines)
    total = pricing.price(lines, known)
    org = ctx.principal.org
    order = Order(
        org_id=org,
        customer_id=buyer.id,
        currency=total.currency,
        net_total=total.net,
        tax_total=total.tax,
        gross_total=total.gross,
        base_total=await in_base(ctx, total.gross, total.currency),
        placed_at=ctx.now,
        comment=comment,
        lines=[
            OrderLine(
                org_id=org,
                product_id=line.offer.id,
                position=position,
                description=line.offer.name,
                quantity=line.quantity,
                unit_price=line.offer.unit_price,
                discount_percent=line.discount_percent,
                tax_rate=line.offer.tax_rate,
                net_amount=line.net,
                tax_amount=line.tax,
            )
            for position, line in enumerate(total.lines, 1)
        ],
    )
    ctx.session.add(order)
    await ctx.session.flush()
    ctx.session.add_all(
        StockMovement(org_id=org, product_id=line.offer.id, quantity=-line.quantity, kind="order", order_id=order.id)
        for line in total.lines
    )
    await ctx.session.flush()
    return Placed(order, buyer, total)


async def _buyer_and_offers(ctx: Write, customer: str, lines: Sequence[Line]) -> tuple[Customer, dict[int, Offer]]:
    """Read in one statement who buys, and what is known of the products that are not archived, by their number."""
    number, org = ids.parse("customers", customer), ctx.principal.org
    products = {ids.parse("products", line.product) for line in lines}
    offered = (Product.org_id == org) & Product.id.in_(products) & Product.archived_at.is_(None)
    found = await ctx.session.execute(
        select(Customer, Product).outerjoin(Product, offered).where(Customer.org_id == org, Customer.id == number)
    )
    rows = cast("Sequence[tuple[Customer, Product | None]]", found.all())
    buyer = customers.able_to_order(rows[0][0] if rows else None, customer)
    known = [p for _, p in rows if p is not None]
    return buyer, {p.id: Offer(p.id, p.name, p.unit_price, p.currency, p.tax_rate, p.discontinued, 0) for p in known}


async def in_base(ctx: Write, amount: Decimal, currency: str) -> Decimal | None:
    """Return an amount in the org's base currency by the latest stated rate; None where there is none."""
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
