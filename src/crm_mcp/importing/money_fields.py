"""The fields of invoices, payments and rates, and the headers that other systems give them."""

from . import values
from .field import CUSTOMER, INVOICE, ORDER, PAYMENT, PRODUCT, SHORT, Field, must

INVOICES = (
    must("external_id", values.key, f"{INVOICE} id"),
    Field("number", values.key, "number invoice_number invoice_no"),
    Field("customer", values.key, CUSTOMER),
    Field("order", values.key, ORDER),
    must("issued_on", values.day, "issued_on invoice_date issue_date issued date"),
    Field("due_on", values.day, "due_on due_date due payable_by"),
    Field("currency", values.currency, "currency currency_code"),
    Field("net_total", values.amount, "net_total subtotal total_net net"),
    Field("tax_total", values.amount, "tax_total total_tax vat_total tax vat"),
    Field("gross_total", values.amount, "gross_total total total_amount invoice_total amount_due"),
)
INVOICE_LINES = (
    must("invoice", values.key, INVOICE),
    Field("product", values.key, PRODUCT),
    Field("description", SHORT, "description product_name text"),
    must("quantity", values.units, "quantity qty units"),
    must("unit_price", values.amount, "unit_price price net_price"),
    Field("discount", values.discount, "discount_percent discount"),
    Field("tax_rate", values.percent, "tax_rate vat_rate tax vat"),
    Field("net_amount", values.amount, "net_amount line_net"),
    Field("tax_amount", values.amount, "tax_amount line_tax"),
)
PAYMENTS = (
    must("external_id", values.key, f"{PAYMENT} id"),
    Field("customer", values.key, CUSTOMER),
    must("received_on", values.day, "received_on payment_date paid_on paid_at received date value_date"),
    must("amount", values.amount, "amount payment_amount amount_paid paid total"),
    Field("currency", values.currency, "currency currency_code"),
    Field(
        "method",
        values.choice(
            "transfer",
            "card",
            "cash",
            "cheque",
            "direct_debit",
            "other",
            **{"bank transfer": "transfer", "wire": "transfer", "sepa": "transfer", "credit card": "card"},
            **{"check": "cheque", "direct debit": "direct_debit"},
        ),
        "method payment_method",
    ),
    Field("reference", values.text(200), "reference bank_reference memo purpose"),
)
ALLOCATIONS = (
    must("payment", values.key, PAYMENT),
    must("invoice", values.key, INVOICE),
    must("allocated", values.amount, "allocated_amount amount_allocated applied_amount applied amount"),
)
TAX_RATES = (
    must("zone", values.label, "tax_zone area"),
    must("tax_class", values.label, "class tax_category"),
    must("rate", values.percent, "tax_rate vat_rate percent"),
    must("valid_from", values.day, "from start_date date"),
)
EXCHANGE_RATES = (
    must("currency", values.currency, "currency_code code"),
    must("valid_from", values.day, "date from start_date"),
    must("rate", values.rate, "exchange_rate"),
)
