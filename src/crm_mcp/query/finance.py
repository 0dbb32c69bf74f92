"""The type finance (S3): what was billed, credited and paid, as accounts are read."""

from .typed import Typed

_ROLES = ("admin", "sales", "operations", "finance")
_CUSTOMER = {"customer_id": "The account.", "customer": "Its name."}
_CURRENCY = "ISO 4217, of the row's amounts."
_BASE = "In the org's base currency, by the rate stored with it; null without a rate."

_LEDGER = """select i.issued_on, 'invoice', i.id, i.number, i.customer_id, c.name, i.currency, i.gross_total, i.base_total
 from {invoices} i join {customers} c on c.id = i.customer_id where i.archived_at is null
union all
select n.issued_on, 'credit_note', n.id, n.number, n.customer_id, c.name, n.currency, -n.gross_total, -n.base_total
 from {credit_notes} n join {customers} c on c.id = n.customer_id where n.archived_at is null
union all
select p.received_on, 'payment', p.id, p.reference, p.customer_id, c.name, p.currency, -p.amount, -p.base_amount
 from {payments} p join {customers} c on c.id = p.customer_id where p.archived_at is null"""

FINANCE = (
    Typed(
        "finance",
        "invoices",
        "Customer invoices with what is open of each and since when.",
        """select i.id, i.number, i.customer_id, c.name, i.order_id, i.issued_on, i.due_on, i.currency, i.net_total, i.tax_total,
  i.gross_total, i.credited_total, i.paid_total, o.open, case when i.gross_total > 0 then o.open * i.base_total / i.gross_total end,
  case when o.open > 0 and i.due_on < current_date then 'overdue' when o.open > 0 then 'open'
   when i.paid_total = 0 and i.credited_total > 0 then 'credited' else 'settled' end,
  case when o.open > 0 then greatest(current_date - i.due_on, 0) else 0 end
 from {invoices} i join {customers} c on c.id = i.customer_id
 cross join lateral (select i.gross_total - i.paid_total - i.credited_total as open) o where i.archived_at is null""",
        {
            "id": "Number: invoices.id.",
            "number": "The invoice's own number.",
            **_CUSTOMER,
            "order_id": "The order that it bills.",
            "issued_on": "Its date.",
            "due_on": "Payable by.",
            "currency": _CURRENCY,
            "net_total": "Without tax.",
            "tax_total": "Tax.",
            "gross_total": "Net and tax.",
            "credited_total": "Taken back by credit notes.",
            "paid_total": "Received for it.",
            "open_amount": "Gross less credited and paid.",
            "open_base": "The open amount " + _BASE[0].lower() + _BASE[1:],
            "status": "Where it stands today, in the org's zone.",
            "days_overdue": "Days since it was due, while anything is open; else 0.",
        },
        _ROLES,
        ("number",),
        ("Invoice",),
        {"customer_id": "customers", "order_id": "orders", "id": "invoices"},
        ("number", "customer"),
        values={
            "status": {
                "open": "not due yet, or due today",
                "overdue": "due before today and not settled",
                "settled": "nothing is open any more",
                "credited": "taken back whole, nothing was paid",
            }
        },
        examples=(
            (
                "Who owes what for longer than 60 days?",
                "select customer, currency, sum(open_amount) as open, max(days_overdue) as days from finance.invoices "
                "where days_overdue > 60 group by customer, currency order by open desc",
            ),
            (
                "What falls due in the next two weeks?",
                "select due_on, currency, sum(open_amount) as due from finance.invoices where open_amount > 0 "
                "and due_on between current_date and current_date + 14 group by due_on, currency order by due_on",
            ),
        ),
    ),
    Typed(
        "finance",
        "payments",
        "Payment records with the invoices that they settle and what is left of each.",
        """select p.id, p.received_on, p.customer_id, c.name, p.method, p.reference, p.currency, p.amount, p.base_amount,
  p.allocated_total, p.amount - p.allocated_total, a.numbers
 from {payments} p join {customers} c on c.id = p.customer_id
 left join lateral (select string_agg(i.number, ', ' order by i.number) as numbers from {payment_allocations} x
  join {invoices} i on i.id = x.invoice_id where x.payment_id = p.id and x.archived_at is null) a on true
 where p.archived_at is null""",
        {
            "id": "Number: payments.id.",
            "received_on": "The day that it came in.",
            **_CUSTOMER,
            "method": "How they paid: transfer, card, cash, cheque, direct_debit, other.",
            "reference": "What the payer wrote.",
            "currency": _CURRENCY,
            "amount": "What came in.",
            "base_amount": _BASE,
            "allocated_total": "Set against invoices.",
            "on_account": "Not set against any invoice yet.",
            "invoices": "Numbers of the invoices, with commas between; null: none.",
        },
        _ROLES,
        ("reference", "received_on"),
        ("Payment",),
        {"customer_id": "customers", "id": "payments"},
        ("reference", "customer", "invoices"),
        examples=(
            (
                "What came in each month, by method?",
                "select date_trunc('month', received_on)::date as month, method, currency, sum(amount) as received "
                "from finance.payments group by 1, 2, 3 order by 1, 2, 3",
            ),
        ),
    ),
    Typed(
        "finance",
        "credit_notes",
        "Credit notes with the invoice that each takes back from.",
        """select n.id, n.number, n.issued_on, n.customer_id, c.name, n.invoice_id, i.number, n.currency, n.net_total, n.tax_total,
  n.gross_total, n.base_total, n.explanation
 from {credit_notes} n join {customers} c on c.id = n.customer_id join {invoices} i on i.id = n.invoice_id where n.archived_at is null""",
        {
            "id": "Number: credit_notes.id.",
            "number": "The credit note's own number.",
            "issued_on": "Its date.",
            **_CUSTOMER,
            "invoice_id": "The invoice that it takes back from.",
            "invoice": "That invoice's number.",
            "currency": _CURRENCY,
            "net_total": "Without tax.",
            "tax_total": "Tax.",
            "gross_total": "Net and tax.",
            "base_total": "Gross " + _BASE[0].lower() + _BASE[1:],
            "explanation": "Why.",
        },
        _ROLES,
        ("number",),
        ("CreditNote",),
        {"customer_id": "customers", "invoice_id": "invoices", "id": "credit_notes"},
        ("number", "customer", "explanation"),
        ("explanation",),
        examples=(
            (
                "Which customers had most taken back?",
                "select customer, currency, count(*), sum(gross_total) as credited from finance.credit_notes "
                "group by customer, currency order by credited desc limit 10",
            ),
        ),
    ),
    Typed(
        "finance",
        "ledger",
        "Each document and payment that changes what a customer owes: a statement of account when ordered by day.",
        _LEDGER,
        {
            "booked_on": "The day of the document or payment.",
            "kind": "What it is.",
            "record_id": "Its id in invoices, credit_notes or payments.",
            "number": "The document's number, or the payment's reference.",
            **_CUSTOMER,
            "currency": _CURRENCY,
            "amount": "Gross: above zero they owe more, below zero less.",
            "base_amount": "The amount " + _BASE[0].lower() + _BASE[1:],
        },
        _ROLES,
        ("kind", "number"),
        ("Entry",),
        {"customer_id": "customers"},
        ("number", "customer"),
        values={
            "kind": {
                "invoice": "we billed; record_id is invoices.id",
                "credit_note": "we took back; record_id is credit_notes.id",
                "payment": "they paid; record_id is payments.id",
            }
        },
        examples=(
            (
                "What is the statement of account of one customer?",
                "select booked_on, kind, number, currency, amount, sum(amount) over (partition by currency order by booked_on, kind, record_id) "
                "as balance from finance.ledger where customer_id = 1 order by currency, booked_on, kind, record_id",
            ),
            (
                "What did customers owe at the end of each month?",
                "select month, currency, sum(sum(change)) over (partition by currency order by month) as owed from (select "
                "date_trunc('month', booked_on)::date as month, currency, sum(amount) as change from finance.ledger group by 1, 2) m "
                "group by month, currency order by month, currency",
            ),
        ),
    ),
    Typed(
        "finance",
        "balances",
        "What each customer was billed, paid and owes, each currency for itself.",
        f"""select l.customer_id, l.customer, l.currency, coalesce(sum(l.amount) filter (where l.kind = 'invoice'), 0),
  coalesce(-sum(l.amount) filter (where l.kind = 'credit_note'), 0), coalesce(-sum(l.amount) filter (where l.kind = 'payment'), 0),
  sum(l.amount), coalesce(o.overdue, 0), o.since
 from ({_LEDGER}) l(booked_on, kind, record_id, number, customer_id, customer, currency, amount, base_amount)
 left join (select i.customer_id, i.currency, sum(i.gross_total - i.paid_total - i.credited_total) as overdue, min(i.due_on) as since
  from {{invoices}} i where i.archived_at is null and i.due_on < current_date and i.gross_total > i.paid_total + i.credited_total
  group by 1, 2) o on o.customer_id = l.customer_id and o.currency = l.currency
 group by l.customer_id, l.customer, l.currency, o.overdue, o.since""",
        {
            **_CUSTOMER,
            "currency": _CURRENCY,
            "invoiced": "Gross of all invoices.",
            "credited": "Gross of all credit notes.",
            "paid": "All payments, those on account too.",
            "balance": "Invoiced less credited and paid: above zero they owe it, below zero it is theirs.",
            "overdue": "Open on invoices that were due before today; what is on account is not set off.",
            "overdue_since": "The earliest due day of those; null: none is overdue.",
        },
        _ROLES,
        ("customer", "currency"),
        ("Balance",),
        {"customer_id": "customers"},
        ("customer",),
        examples=(
            (
                "Who owes us most?",
                "select customer, currency, balance, overdue from finance.balances where balance > 0 order by balance desc limit 10",
            ),
        ),
    ),
)
