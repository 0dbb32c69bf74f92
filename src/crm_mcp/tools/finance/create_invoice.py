"""An invoice of an order, or of a part of it."""

from datetime import date
from typing import ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import invoices
from crm_mcp.crm.invoices import InvoiceLineView, Portion
from crm_mcp.money import Money, money, said
from crm_mcp.principal import Role
from crm_mcp.tool import Answer, Display, Effect, Text, View, WriteArgs, tool


class CreateInvoice(WriteArgs):
    order: Text = Field(max_length=60, description="ord_…")
    lines: tuple[Portion, ...] | None = Field(
        None, min_length=1, max_length=invoices.MOST_LINES, description="Default: all left."
    )
    issued_on: date | None = Field(None, description="Default: today.")
    due_on: date | None = Field(None, description="Default: by payment terms.")


class InvoiceView(View):
    noun: ClassVar[str] = "invoice"
    nouns: ClassVar[str] = "invoices"

    id: str
    number: str
    customer: dict[str, str]
    order: dict[str, str | None]
    issuedOn: date
    dueOn: date
    lines: list[InvoiceLineView]
    net: Money
    tax: Money
    gross: Money


@tool(title="Create invoice", toolset="finance", roles={Role.ADMIN, Role.FINANCE}, effect=Effect.WRITE)
async def create_invoice(ctx: Write, args: CreateInvoice) -> Answer[InvoiceView]:
    """Invoice an order, or units of its lines; what is invoiced already stays out. Use when goods are to be billed; to
    correct an invoice use create_credit_note."""
    issued = await invoices.create(ctx, args.order, args.lines, args.issued_on, args.due_on)
    invoice, order, customer, currency = issued.invoice, issued.order, issued.customer, issued.invoice.currency
    view = InvoiceView(
        id=ids.show("invoices", invoice.id),
        number=invoice.number or ids.UNDRAWN,
        customer={"id": ids.show("customers", customer.id), "name": customer.name},
        order={"id": ids.show("orders", order.id), "number": order.number},
        issuedOn=invoice.issued_on,
        dueOn=invoice.due_on,
        lines=[invoices.line_view(line, currency) for line in issued.lines],
        net=money(invoice.net_total, currency),
        tax=money(invoice.tax_total, currency),
        gross=money(invoice.gross_total, currency),
    )
    gross = said(invoice.gross_total, currency)
    part = "a part of " if invoice.gross_total < order.gross_total else ""
    did = (
        f"invoice {part}order {order.number or args.order} to {customer.name} over {gross}, "
        f"issued {invoice.issued_on}, due {invoice.due_on}"
    )
    display = Display(title=f"Invoice to {customer.name}", subtitle=gross)
    return Answer(view, display, did=did, warnings=issued.warnings)
