"""Orders and quotes as the tools that write them show them."""

from typing import ClassVar

from .. import ids
from ..money import Money, money
from ..tool import View
from . import pricing
from .buyers import Buyer
from .models import Order, Quote
from .pricing import LineView, Total


class OrderView(View):
    noun: ClassVar[str] = "order"
    nouns: ClassVar[str] = "orders"

    id: str
    number: str
    customer: dict[str, str]
    status: str
    lines: list[LineView]
    discountPercent: str | None = None
    net: Money
    tax: Money
    gross: Money
    quote: str | None = None
    issue: str | None = None
    comment: str | None = None
    cancelReason: str | None = None


class QuoteView(View):
    noun: ClassVar[str] = "quote"
    nouns: ClassVar[str] = "quotes"

    id: str
    number: str
    customer: dict[str, str]
    status: str
    validUntil: str
    lines: list[LineView]
    discountPercent: str | None = None
    net: Money
    tax: Money
    gross: Money
    comment: str | None = None


def order_view(order: Order, customer: dict[str, str], total: Total) -> OrderView:
    return OrderView(
        id=ids.show("orders", order.id),
        number=order.number or ids.UNDRAWN,
        customer=customer,
        status=order.status,
        lines=[pricing.line_view(line, total.currency) for line in total.lines],
        discountPercent=_discount(total),
        net=money(total.net, total.currency),
        tax=money(total.tax, total.currency),
        gross=money(total.gross, total.currency),
        quote=None if order.quote_id is None else ids.show("quotes", order.quote_id),
        issue=None if order.issue_id is None else ids.show("issues", order.issue_id),
        comment=order.comment,
        cancelReason=order.cancel_reason,
    )


def quote_view(quote: Quote, buyer: Buyer, total: Total) -> QuoteView:
    return QuoteView(
        id=ids.show("quotes", quote.id),
        number=quote.number or ids.UNDRAWN,
        customer=buyer.shown,
        status=quote.status,
        validUntil=quote.valid_until.isoformat(),
        lines=[pricing.line_view(line, total.currency) for line in total.lines],
        discountPercent=_discount(total),
        net=money(total.net, total.currency),
        tax=money(total.tax, total.currency),
        gross=money(total.gross, total.currency),
        comment=quote.comment,
    )


def _discount(total: Total) -> str | None:
    return f"{total.discount_percent.normalize():f}" if total.discount_percent else None
