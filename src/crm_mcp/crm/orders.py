"""Orders: their invariants and every write."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select

from .. import ids
from ..context import Write
from ..errors import Refusal
from . import missing, pricing, quotes, stock
from .buyers import Buyer, buyer
from .models import Invoice, Issue, Order, OrderLine
from .pricing import Line, Offer, Priced, Total
from .rates import in_base

MOVES: Mapping[str, tuple[str, ...]] = {
    "confirmed": ("shipped", "completed", "cancelled"),
    "shipped": ("completed",),
    "completed": (),
    "cancelled": (),
}
"""Where an order may go from each status."""
FREE = Decimal(100)


@dataclass(frozen=True, slots=True)
class Placed:
    order: Order
    buyer: Buyer
    total: Total
    warnings: list[str]


async def create(
    ctx: Write,
    customer: str,
    lines: Sequence[Line],
    comment: str | None,
    discount_percent: Decimal = Decimal(0),
    issue: str | None = None,
) -> Placed:
    """Place an order: lines priced now, units kept from stock.

    With `issue` it replaces goods under that issue's warranty, and costs nothing. The order's number is drawn by
    Postgres when a person approves. Stock may run short: that is the seller's to solve, and a warning names it.

    Raises:
        Refusal: CUSTOMER_NOT_FOUND, CUSTOMER_ARCHIVED, ISSUE_NOT_FOUND, NOT_UNDER_WARRANTY, and those of `pricing.price`.
    """
    number = ids.parse("customers", customer)
    who, offers = await buyer(ctx, number, [ids.parse("products", line.product) for line in lines])
    covered = None if issue is None else await _under_warranty(ctx, issue, number, lines)
    if covered is not None:
        lines = [line.model_copy(update={"discount_percent": FREE}) for line in lines]
    total = pricing.price(lines, offers, discount_percent)
    order = await _place(ctx, who, total, comment, issue_id=None if covered is None else covered.id)
    short = _short(total.lines, offers)
    return Placed(order, who, total, [*who.warnings(order.base_total, ctx.principal.currency), *short])


async def accept(ctx: Write, quote: str, comment: str | None) -> Placed:
    """Place the order of an open quote, at the quote's prices; the quote is accepted by it.

    Raises:
        Refusal: QUOTE_NOT_FOUND, QUOTE_DECIDED, QUOTE_EXPIRED, CUSTOMER_ARCHIVED, PRODUCT_DISCONTINUED.
    """
    offered = await quotes.open_one(ctx, quote)
    who, offers = await buyer(ctx, offered.customer_id, [line.product_id for line in offered.lines])
    for line in offered.lines:
        if (offer := offers.get(line.product_id)) is None or offer.discontinued:
            hint = f"{line.description} is no longer sold. Make a new quote without it."
            raise Refusal("PRODUCT_DISCONTINUED", hint, product=ids.show("products", line.product_id))
    total = quotes.total_of(offered)
    offered.status, offered.decided_at = "accepted", ctx.now
    order = await _place(ctx, who, total, comment or offered.comment, quote_id=offered.id)
    short = _short(total.lines, offers)
    return Placed(order, who, total, [*who.warnings(order.base_total, ctx.principal.currency), *short])


async def _place(
    ctx: Write,
    who: Buyer,
    total: Total,
    comment: str | None,
    *,
    quote_id: int | None = None,
    issue_id: int | None = None,
) -> Order:
    org = ctx.principal.org
    order = Order(
        org_id=org,
        customer_id=who.id,
        currency=total.currency,
        discount_percent=total.discount_percent,
        net_total=total.net,
        tax_total=total.tax,
        gross_total=total.gross,
        base_total=await in_base(ctx, total.gross, total.currency),
        placed_at=ctx.now,
        salesperson=ctx.principal.name,
        comment=comment,
        quote_id=quote_id,
        issue_id=issue_id,
        lines=[line_of(org, line, position) for position, line in enumerate(total.lines, 1)],
    )
    ctx.session.add(order)
    await ctx.session.flush()
    await stock.reserve(ctx, order, units(total.lines), is_new=True)
    return order


def line_of(org: int, line: Priced, position: int) -> OrderLine:
    """Return a priced line as a row of its order."""
    return OrderLine(org_id=org, position=position, **pricing.columns(line))


def units(lines: Iterable[Priced | OrderLine]) -> dict[int, int]:
    """Return how many units of each product lines hold."""
    held: Counter[int] = Counter()
    for line in lines:
        held[line.product if isinstance(line, Priced) else line.product_id] += line.quantity
    return dict(held)


async def one(ctx: Write, order: str) -> Order:
    """Return an order with its lines, locked until the call ends.

    Raises:
        Refusal: ORDER_NOT_FOUND (another org's answers the same).
    """
    number, org = ids.parse("orders", order), ctx.principal.org
    found = await ctx.session.scalar(
        select(Order)
        .where(Order.org_id == org, Order.id == number)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise missing.order(order)
    await ctx.session.refresh(found, ["lines"])
    return found


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of an order; None: as it is. `lines` are those that change, quantity 0 takes one out."""

    status: str | None = None
    lines: Mapping[int, tuple[int, Decimal | None]] | None = None
    discount_percent: Decimal | None = None
    comment: str | None = None
    cancel_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    order: Order
    buyer: str
    total: Total
    did: list[str]
    warnings: list[str]


async def update(ctx: Write, order: str, change: Change) -> Changed:
    """Change an order's lines while it is confirmed, then move it along: shipping moves stock, cancelling gives it back.

    A line keeps the price it was agreed at; a new one is priced now.

    Raises:
        Refusal: ORDER_NOT_FOUND, ORDER_STATUS (naming where it may go), ORDER_INVOICED, CANCEL_REASON_MISSING,
            NOTHING_LEFT, and those of `pricing.price`.
    """
    found = await one(ctx, order)
    wanted = change.lines or {}
    who, offers = await buyer(ctx, found.customer_id, [*wanted, *(line.product_id for line in found.lines)])
    before, did = found.base_total or Decimal(0), list[str]()
    now = total_of(found)
    if wanted or change.discount_percent is not None:
        await _may_change(ctx, found)
        now = _changed(found, now, wanted, change.discount_percent, offers)
        did += await _rewrite(ctx, found, now)
    if change.comment is not None and change.comment != found.comment:
        found.comment = change.comment
        did.append("change the comment")
    warnings = _short(now.lines, _less_own(offers, found)) if did or change.status == "shipped" else []
    if change.status is not None and change.status != found.status:
        did.append(await _move(ctx, found, change.status, change.cancel_reason))
        if change.status == "cancelled":
            warnings = []
    await ctx.session.flush()
    if (more := (found.base_total or Decimal(0)) - before) > 0:
        warnings = [*who.warnings(more, ctx.principal.currency), *warnings]
    return Changed(found, who.name, now, did, warnings)


def total_of(order: Order) -> Total:
    """Return an order's lines and amounts as they were agreed."""
    lines = [pricing.agreed(line) for line in order.lines]
    return Total(tuple(lines), order.currency, order.discount_percent, order.net_total, order.tax_total)


def _changed(
    order: Order,
    now: Total,
    wanted: Mapping[int, tuple[int, Decimal | None]],
    discount_percent: Decimal | None,
    offers: Mapping[int, Offer],
) -> Total:
    """Return the lines as they are to be, agreed prices kept."""
    whole = now.discount_percent if discount_percent is None else discount_percent
    lines: list[Priced] = []
    currencies = [order.currency]
    left = dict(wanted)
    for line in now.lines:
        quantity, discount = left.pop(line.product, (line.quantity, None))
        if quantity == 0:
            continue
        own = line.discount_percent if discount is None else discount
        lines.append(
            pricing.line(
                line.product, line.name, quantity, line.unit_price, own, whole, line.tax_rate, order.currency
            )
        )
    for product, (quantity, discount) in left.items():
        shown = ids.show("products", product)
        if quantity == 0:
            raise Refusal("LINE_NOT_FOUND", f"The order has no line of {shown}.", product=shown)
        asked = Line(product=shown, quantity=quantity, discount_percent=discount or Decimal(0))
        fresh = pricing.price([asked], offers, whole)
        lines += fresh.lines
        currencies.append(fresh.currency)
    if not lines:
        raise Refusal("NOTHING_LEFT", "No line would be left. To give the order up, set status to cancelled.")
    return pricing.total(lines, currencies, whole)


async def _rewrite(ctx: Write, order: Order, now: Total) -> list[str]:
    """Write lines and totals where they differ; return what was done."""
    was = total_of(order)
    if was == now:
        return []
    org = ctx.principal.org
    old = {line.product_id: line for line in order.lines}
    position = max((line.position for line in order.lines), default=0)
    for line in now.lines:
        row = old.pop(line.product, None)
        if row is None:
            position += 1
            order.lines.append(line_of(org, line, position))
            continue
        row.quantity, row.discount_percent = line.quantity, line.discount_percent
        row.net_amount, row.tax_amount = line.net, line.tax
    for gone in old.values():
        await ctx.session.delete(gone)
    order.discount_percent = now.discount_percent
    order.net_total, order.tax_total, order.gross_total = now.net, now.tax, now.gross
    order.base_total = await in_base(ctx, now.gross, now.currency)
    await ctx.session.flush()
    await stock.reserve(ctx, order, units(now.lines))
    return [_difference(was, now)]


def _difference(was: Total, now: Total) -> str:
    before, after = {p.product: p for p in was.lines}, {p.product: p for p in now.lines}
    said: list[str] = []
    for product, line in after.items():
        if product not in before:
            said.append(f"add {line.quantity} × {line.name}")
        elif (old := before[product]).quantity != line.quantity:
            said.append(f"change {line.name} from {old.quantity} to {line.quantity}")
        elif old.discount_percent != line.discount_percent:
            said.append(f"give {line.discount_percent.normalize():f} % on {line.name}")
    said += [f"take out {line.name}" for product, line in before.items() if product not in after]
    if was.discount_percent != now.discount_percent:
        said.append(f"give {now.discount_percent.normalize():f} % on the whole")
    return ", ".join(said[:5]) + (f" and {len(said) - 5} more" if len(said) > 5 else "")


async def _move(ctx: Write, order: Order, status: str, reason: str | None) -> str:
    allowed = MOVES[order.status]
    if status not in allowed:
        options = f"it may become {' or '.join(allowed)}" if allowed else "it stays so"
        remedy = " Goods that have left come back with an issue and a credit note." if status == "cancelled" else ""
        raise Refusal(
            "ORDER_STATUS",
            f"The order is {order.status}; {options}.{remedy}",
            status=order.status,
            allowed=list(allowed),
        )
    if status == "cancelled":
        if not reason:
            raise Refusal("CANCEL_REASON_MISSING", "Say in cancel_reason why the order is cancelled.")
        if invoices := await _invoices(ctx, order):
            hint = f"It is invoiced by {', '.join(invoices)}. Credit that first with create_credit_note."
            raise Refusal("ORDER_INVOICED", hint, invoices=invoices)
        await stock.release(ctx, order)
        order.status, order.cancelled_at, order.cancel_reason = "cancelled", ctx.now, reason
        return "cancel the order"
    if order.status == "confirmed":
        await stock.ship(ctx, order, units(order.lines))
        order.shipped_at = ctx.now
    if status == "completed":
        order.completed_at = ctx.now
    order.status = status
    return {"shipped": "mark the order as shipped", "completed": "mark the order as completed"}[status]


async def _may_change(ctx: Write, order: Order) -> None:
    if order.status != "confirmed":
        hint = f"The order is {order.status}; lines and discount change only while it is confirmed."
        raise Refusal("ORDER_STATUS", hint, status=order.status, allowed=list(MOVES[order.status]))
    if invoices := await _invoices(ctx, order):
        hint = f"It is invoiced by {', '.join(invoices)}. Credit that first with create_credit_note."
        raise Refusal("ORDER_INVOICED", hint, invoices=invoices)


async def _invoices(ctx: Write, order: Order) -> list[str]:
    """Return the invoices of an order of which anything stands."""
    found = await ctx.session.scalars(
        select(Invoice.number)
        .where(
            Invoice.org_id == ctx.principal.org,
            Invoice.order_id == order.id,
            Invoice.archived_at.is_(None),
            Invoice.credited_total < Invoice.gross_total,
        )
        .order_by(Invoice.id)
    )
    return [number or ids.UNDRAWN for number in found]


async def _under_warranty(ctx: Write, issue: str, customer: int, lines: Sequence[Line]) -> Issue:
    found = await ctx.session.get(Issue, (ctx.principal.org, ids.parse("issues", issue)))
    if found is None or found.customer_id != customer:
        raise Refusal("ISSUE_NOT_FOUND", "This customer has no such issue; see get_issues.", searchedId=issue[:60])
    if found.warranty_until is None or found.warranty_until < found.opened_at.date():
        raise Refusal(
            "NOT_UNDER_WARRANTY", "The issue is not under warranty: order without issue, at the usual price."
        )
    product = None if found.product_id is None else ids.show("products", found.product_id)
    if any(line.product != product for line in lines):
        hint = f"Only {product} is under this issue's warranty; order anything else apart."
        raise Refusal("NOT_UNDER_WARRANTY", hint, product=product)
    return found


def _short(lines: Sequence[Priced], offers: Mapping[int, Offer]) -> list[str]:
    return [
        f"Only {max(0, offer.available)} of {offer.name} available: {missing} missing."
        for offer, missing in pricing.shortages(lines, offers)
    ]


def _less_own(offers: Mapping[int, Offer], order: Order) -> dict[int, Offer]:
    """Return offers with what the order itself keeps counted as available to it."""
    own = units(order.lines) if order.status == "confirmed" else {}
    return {
        number: Offer(
            o.id, o.name, o.unit_price, o.currency, o.tax_rate, o.discontinued, o.available + own.get(number, 0)
        )
        for number, o in offers.items()
    }
