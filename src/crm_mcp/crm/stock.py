"""Stock: a ledger of movements, and what confirmed orders keep of it; available is the one less the other."""

from collections.abc import Mapping

from sqlalchemy import func, select

from ..context import Write
from .models import Order, StockMovement, StockReservation


async def reserve(ctx: Write, order: Order, wanted: Mapping[int, int], *, is_new: bool = False) -> None:
    """Keep units of products for an order, as many as `wanted` says in all: more is added, less is given back.

    Stock is not asked: a shortage is the buyer's to solve, and the preview names it.
    """
    org = ctx.principal.org
    kept = {} if is_new else {r.product_id: r for r in await _kept(ctx, order)}
    for product, units in wanted.items():
        if product in kept and kept[product].quantity == units:
            del kept[product]
            continue
        if product in kept:
            kept.pop(product).released_at = ctx.now
        ctx.session.add(StockReservation(org_id=org, product_id=product, order_id=order.id, quantity=units))
    for left in kept.values():
        left.released_at = ctx.now
    await ctx.session.flush()


async def release(ctx: Write, order: Order) -> None:
    """Give back what is kept for an order."""
    for reservation in await _kept(ctx, order):
        reservation.released_at = ctx.now
    await ctx.session.flush()


async def ship(ctx: Write, order: Order, sent: Mapping[int, int]) -> None:
    """Move an order's units out of stock, less what had moved out for it before, and give back what was kept."""
    org = ctx.principal.org
    moved = await ctx.session.execute(
        select(StockMovement.product_id, func.sum(StockMovement.quantity))
        .where(StockMovement.org_id == org, StockMovement.order_id == order.id)
        .group_by(StockMovement.product_id)
    )
    out = {product: -int(units) for product, units in moved.all()}
    for product, units in sent.items():
        if (missing := units - out.get(product, 0)) != 0:
            ctx.session.add(
                StockMovement(org_id=org, product_id=product, quantity=-missing, kind="order", order_id=order.id)
            )
    await release(ctx, order)


async def _kept(ctx: Write, order: Order) -> list[StockReservation]:
    found = await ctx.session.scalars(
        select(StockReservation)
        .where(
            StockReservation.org_id == ctx.principal.org,
            StockReservation.order_id == order.id,
            StockReservation.released_at.is_(None),
        )
        .order_by(StockReservation.id)
        .with_for_update()
    )
    return list(found)
