"""Quotes, reservations, tax by zone, invoices with lines, payments, credit notes, and the day the books are closed."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import Column, extend, numbered, run, table

revision = "0002"
down_revision = "0001"
SQL = Path(__file__).parent.parent / "sql"

EVERYONE = ("admin", "sales", "operations", "finance", "support")
TRADERS = ("admin", "sales", "operations", "finance")
MONEY = "numeric(19,4)"
CURRENCY = "text not null check (currency ~ '^[A-Z]{3}$')"
PERCENT = "numeric(6,3) not null default 0 check ({} between 0 and 100)"
IN_BASE = "gross_total in the org's base currency by the rate of that day; null: no rate."


def settings() -> Iterator[str]:
    yield from table(
        "org_settings",
        Column(
            "payment_terms_days",
            "int not null default 30 check (payment_terms_days between 0 and 365)",
            "Days until an invoice is due.",
        ),
        Column(
            "quote_valid_days",
            "int not null default 30 check (quote_valid_days between 1 and 365)",
            "Days a quote holds.",
        ),
        Column("books_closed_through", "date", "Nothing is posted on this day or before it; null: never closed."),
        Column("sender_name", "text check (length(sender_name) <= 200)", "Name that e-mails are sent under."),
        Column("sender_email", "text check (length(sender_email) <= 320)", "Address that e-mails are sent from."),
        Column(
            "service_hours",
            """jsonb not null default '{"urgent": [1, 8], "high": [4, 24], "normal": [24, 72], "low": [72, 240]}'""",
            "By priority of an issue: hours until a first answer is due, hours until it should be resolved.",
        ),
        prefix="set",
        roles=EVERYONE,
        description="How the org works: terms, closed books, sender, service levels. One row an org.",
        extra=("unique (org_id)",),
    )
    yield from table(
        "tax_rates",
        Column(
            "zone", "text not null check (zone ~ '^[a-z][a-z0-9_]{0,39}$')", "Tax zone, such as domestic or export."
        ),
        Column(
            "tax_class", "text not null check (tax_class ~ '^[a-z][a-z0-9_]{0,39}$')", "Tax class of the product."
        ),
        Column("rate", "numeric(6,3) not null check (rate between 0 and 100)", "Tax in per cent."),
        Column("valid_from", "date not null", "First day of the rate."),
        prefix="tax",
        roles=TRADERS,
        description="What tax a class of goods bears in a zone, from which day.",
        extra=("unique (org_id, zone, tax_class, valid_from)",),
    )


def sold() -> Iterator[str]:
    yield from extend(
        "customers",
        Column(
            "tax_zone",
            "text check (tax_zone ~ '^[a-z][a-z0-9_]{0,39}$')",
            "Tax zone, such as export; null: domestic.",
        ),
        Column("tax_number", "text check (length(tax_number) <= 50)", "VAT or tax number as written."),
        Column(
            "payment_terms_days",
            "int check (payment_terms_days between 0 and 365)",
            "Days until their invoices are due; null: the org's.",
        ),
    )
    yield from extend(
        "products",
        Column(
            "tax_class",
            "text not null default 'standard' check (tax_class ~ '^[a-z][a-z0-9_]{0,39}$')",
            "Tax class; a rate stated for it and the customer's zone comes before tax_rate.",
        ),
        Column(
            "warranty_months",
            "int not null default 0 check (warranty_months between 0 and 600)",
            "Months of warranty from shipping; 0: none.",
        ),
    )
    yield from table(
        "quotes",
        Column(
            "number",
            "text check (length(number) <= 200)",
            "Document number, drawn when a person approves; null before.",
        ),
        Column("customer_id", "bigint not null", "The account it is for."),
        Column(
            "status",
            "text not null default 'open' check (status in ('open', 'accepted', 'declined'))",
            "open (expired after valid_until), accepted: became an order, declined.",
        ),
        Column("currency", CURRENCY, "ISO 4217 code of every amount of the quote."),
        Column(
            "discount_percent", PERCENT.format("discount_percent"), "Discount on the whole, after the lines' own."
        ),
        Column("net_total", f"{MONEY} not null check (net_total >= 0)", "Sum of the lines' net amounts."),
        Column("tax_total", f"{MONEY} not null check (tax_total >= 0)", "Sum of the lines' tax."),
        Column(
            "gross_total", f"{MONEY} not null check (gross_total = net_total + tax_total)", "net_total + tax_total."
        ),
        Column("base_total", MONEY, IN_BASE),
        Column("quoted_at", "timestamptz not null", "When it was made."),
        Column("valid_until", "date not null", "Last day its prices hold, in the org's zone."),
        Column("decided_at", "timestamptz", "When the customer accepted or declined."),
        Column("lost_reason", "text check (length(lost_reason) <= 2000)", "Why it was declined."),
        Column("salesperson", "text", "Who made it, as written."),
        Column("comment", "text", "A remark on the quote."),
        prefix="quo",
        references={"customer_id": "customers"},
        roles=EVERYONE,
        aliases=("Quote", "quote"),
        description="Offers with fixed prices. A held quote is a draft and not here yet.",
    )
    yield from numbered("quotes", "quote", "QUO-")
    yield "create index quotes_of on crm.quotes(org_id, customer_id, quoted_at desc, id desc)"
    yield "create index quotes_made on crm.quotes(org_id, quoted_at desc, id desc)"
    yield from table(
        "quote_lines",
        *line("quote"),
        prefix="ql",
        references={"quote_id": "quotes", "product_id": "products"},
        roles=EVERYONE,
        description="The lines of quotes.",
        extra=("unique (org_id, quote_id, position)",),
    )
    yield from extend(
        "orders",
        Column(
            "discount_percent", PERCENT.format("discount_percent"), "Discount on the whole, after the lines' own."
        ),
        Column("quote_id", "bigint", "The quote it was made of."),
        Column("completed_at", "timestamptz", "When it was completed."),
        Column("cancelled_at", "timestamptz", "When it was cancelled."),
        Column("cancel_reason", "text check (length(cancel_reason) <= 2000)", "Why it was cancelled."),
        references={"quote_id": "quotes"},
    )
    yield "create unique index orders_quote on crm.orders(org_id, quote_id) where quote_id is not null and status <> 'cancelled'"
    yield from table(
        "stock_reservations",
        Column("product_id", "bigint not null", "The product."),
        Column("order_id", "bigint not null", "The order it is kept for."),
        Column("quantity", "int not null check (quantity > 0)", "Units kept."),
        Column("released_at", "timestamptz", "When it was shipped or given back; null: still kept."),
        prefix="rsv",
        references={"product_id": "products", "order_id": "orders"},
        roles=TRADERS,
        description="What confirmed orders keep from stock: available is stock less what is reserved.",
    )
    yield "create index reserved_of on crm.stock_reservations(org_id, product_id) include (quantity) where released_at is null"
    yield "create index reserved_for on crm.stock_reservations(org_id, order_id)"


def line(of: str) -> tuple[Column, ...]:
    """Return the columns of a line of a quote or an invoice; an order's line has had them from the start."""
    product = "bigint not null" if of == "quote" else "bigint"
    return (
        Column(f"{of}_id", "bigint not null", f"The {of}."),
        Column("product_id", product, "The product."),
        Column("position", "int not null check (position > 0)", "1, 2, 3 …"),
        Column("description", "text not null", "The product's name at the time."),
        Column("quantity", "int not null check (quantity > 0)", "Units."),
        Column(
            "unit_price",
            f"{MONEY} not null check (unit_price >= 0)",
            "Net price of one unit, in the document's currency.",
        ),
        Column("discount_percent", PERCENT.format("discount_percent"), "Discount on the line in per cent."),
        Column("tax_rate", "numeric(6,3) not null default 0", "Tax in per cent."),
        Column("net_amount", f"{MONEY} not null check (net_amount >= 0)", "quantity × unit_price less discounts."),
        Column("tax_amount", f"{MONEY} not null check (tax_amount >= 0)", "Tax on net_amount."),
    )


def billed() -> Iterator[str]:
    yield from extend(
        "invoices",
        Column("net_total", MONEY, "Sum of the lines' net amounts."),
        Column("tax_total", MONEY, "Sum of the lines' tax."),
        Column("base_total", MONEY, IN_BASE),
        Column(
            "credited_total",
            f"{MONEY} not null default 0 check (credited_total between 0 and gross_total)",
            "Taken back by credit notes.",
        ),
        Column(
            "open_total",
            f"{MONEY} generated always as (gross_total - paid_total - credited_total) stored",
            "",
            derived=True,
        ),
    )
    # what was invoiced before had no net: its order's, else all of it
    yield "alter table crm.invoices disable trigger user"
    yield """update crm.invoices i set net_total = o.net_total, tax_total = o.tax_total, base_total = o.base_total from crm.orders o
      where o.org_id = i.org_id and o.id = i.order_id and o.gross_total = i.gross_total and o.currency = i.currency"""
    yield """update crm.invoices i set net_total = i.gross_total, tax_total = 0,
      base_total = (select i.gross_total from crm.orgs g where g.id = i.org_id and g.base_currency = i.currency) where i.net_total is null"""
    yield "alter table crm.invoices enable trigger user"
    for column in ("net_total", "tax_total"):
        yield f"alter table crm.invoices alter column {column} set not null, add check ({column} >= 0)"
    yield "alter table crm.invoices add check (gross_total = net_total + tax_total)"
    yield "alter table crm.invoices alter column number drop not null"
    yield "alter table crm.invoices drop constraint invoices_org_id_number_key"
    yield "comment on column crm.invoices.number is 'Document number without gaps, drawn when a person approves.'"
    yield "comment on column crm.invoices.due_on is 'Payable by; overdue from the day after while anything is open.'"
    yield "drop index crm.invoices_open"
    yield "create index invoices_open on crm.invoices(org_id, customer_id, due_on) where open_total > 0"
    yield "create index invoices_of on crm.invoices(org_id, customer_id, issued_on desc, id desc)"
    yield "create index invoices_issued on crm.invoices(org_id, issued_on desc, id desc)"
    yield "create index invoices_order on crm.invoices(org_id, order_id)"
    yield from numbered("invoices", "invoice", "INV-")
    yield from table(
        "invoice_lines",
        *line("invoice"),
        Column("order_line_id", "bigint", "The order's line that is invoiced."),
        prefix="il",
        references={"invoice_id": "invoices", "product_id": "products", "order_line_id": "order_lines"},
        roles=TRADERS,
        description="The lines of invoices; invoices that were imported may have none.",
        extra=("unique (org_id, invoice_id, position)",),
    )
    yield "create index invoiced_of on crm.invoice_lines(org_id, order_line_id) where order_line_id is not null"
    yield from table(
        "credit_notes",
        Column(
            "number",
            "text check (length(number) <= 200)",
            "Document number without gaps, drawn when a person approves.",
        ),
        Column("invoice_id", "bigint not null", "The invoice it takes back, in whole or in part."),
        Column("customer_id", "bigint not null", "The account credited."),
        Column("currency", CURRENCY, "The invoice's."),
        Column("net_total", f"{MONEY} not null check (net_total >= 0)", "Net amount taken back."),
        Column("tax_total", f"{MONEY} not null check (tax_total >= 0)", "Tax taken back."),
        Column(
            "gross_total",
            f"{MONEY} not null check (gross_total > 0 and gross_total = net_total + tax_total)",
            "net_total + tax_total.",
        ),
        Column("base_total", MONEY, IN_BASE),
        Column("issued_on", "date not null", "Date of the credit note."),
        Column(
            "explanation",
            "text not null check (explanation <> '' and length(explanation) <= 2000)",
            "Why, as printed on it.",
        ),
        Column(
            "lines",
            "jsonb not null default '[]' check (jsonb_typeof(lines) = 'array')",
            "The invoice's lines taken back: position, quantity, net, tax; empty: an amount, or all that was left.",
        ),
        prefix="cn",
        references={"invoice_id": "invoices", "customer_id": "customers"},
        roles=TRADERS,
        description="What was taken back of invoices.",
    )
    yield from numbered("credit_notes", "credit_note", "CN-")
    yield "create index credits_of on crm.credit_notes(org_id, invoice_id)"
    yield from table(
        "payments",
        Column("customer_id", "bigint not null", "The account that paid."),
        Column("currency", CURRENCY, "ISO 4217 code of the amounts."),
        Column("amount", f"{MONEY} not null check (amount > 0)", "What was received."),
        Column("base_amount", MONEY, "amount in the org's base currency by the rate of that day; null: no rate."),
        Column(
            "allocated_total",
            f"{MONEY} not null default 0 check (allocated_total between 0 and amount)",
            "What of it paid invoices; the rest is on account.",
        ),
        Column("received_on", "date not null", "Day of receipt."),
        Column(
            "method",
            "text not null default 'transfer' check (method in ('transfer', 'card', 'cash', 'cheque', 'direct_debit', 'other'))",
            "How it was paid.",
        ),
        Column("reference", "text check (length(reference) <= 200)", "The bank's or the customer's reference."),
        prefix="pay",
        references={"customer_id": "customers"},
        roles=("admin", "sales", "operations", "finance"),
        aliases=("Payment", "payment"),
        description="Money received; archived where it was taken back.",
    )
    yield "create index payments_of on crm.payments(org_id, customer_id, received_on desc, id desc)"
    yield "create index payments_received on crm.payments(org_id, received_on desc, id desc)"
    yield from table(
        "payment_allocations",
        Column("payment_id", "bigint not null", "The payment."),
        Column("invoice_id", "bigint not null", "The invoice it pays, in whole or in part."),
        Column("amount", f"{MONEY} not null check (amount > 0)", "In the payment's and the invoice's currency."),
        prefix="alloc",
        references={"payment_id": "payments", "invoice_id": "invoices"},
        roles=("admin", "sales", "operations", "finance"),
        description="Which payment paid which invoice.",
        extra=("unique (org_id, payment_id, invoice_id)",),
    )
    yield "create index allocated_to on crm.payment_allocations(org_id, invoice_id)"


def numbers() -> Iterator[str]:
    yield "grant create on schema crm to crm_definer"
    yield "set role crm_definer"
    yield (SQL / "numbers.sql").read_text(encoding="utf-8")
    yield "reset role"
    yield "revoke create on schema crm from crm_definer"
    yield """insert into crm.number_series(org_id, kind, prefix, next)
      select org_id, 'invoice', 'INV-', max(substr(number, 5)::bigint) + 1 from crm.invoices
      where number ~ '^INV-[0-9]{1,15}$' group by org_id on conflict (org_id, kind) do nothing"""


def upgrade() -> None:
    run(settings(), numbers(), sold(), billed(), SQL / "books.sql")
    run(iter(["update crm.schema_state set revision = '0002', oldest_client = '0002'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
