"""What is sold: goods, offers, orders, invoices and payments."""

from collections.abc import Mapping

from .column import BASE, BUYER, CUSTOMER, STAMPS, TOTALS, Column, Export, lines, own, typed, with_lines

OF_TRADE: Mapping[str, Export] = {
    "products": Export(
        ("products",),
        (
            typed("id", "products", "r.id"),
            *own("sku", "name", "category", "unit"),
            *own("unit_price", sort="money"),
            *own("currency", sort="word"),
            *own("tax_rate", sort="number"),
            *own("tax_class", sort="word"),
            *own("warranty_months", "reorder_level", sort="number"),
            *own("discontinued", sort="flag"),
            *STAMPS,
        ),
        "crm.products r",
    ),
    "stock": Export(
        ("products", "stock_movements", "stock_reservations"),
        (
            typed("id", "products", "r.id"),
            *own("sku", "name"),
            *own("unit_price", sort="money"),
            *own("currency", sort="word"),
            Column("stock", "coalesce(m.units, 0)", "number"),
            Column("reserved", "coalesce(k.units, 0)", "number"),
            Column("available", "coalesce(m.units, 0) - coalesce(k.units, 0)", "number"),
            *own("reorder_level", sort="number"),
        ),
        """crm.products r
        left join (select product_id, sum(quantity) as units from crm.stock_movements
          where org_id = %(org)s and archived_at is null group by product_id) m on m.product_id = r.id
        left join (select product_id, sum(quantity) as units from crm.stock_reservations
          where org_id = %(org)s and released_at is null and archived_at is null group by product_id) k on k.product_id = r.id""",
    ),
    "quotes": Export(
        ("quotes", "quote_lines", "customers", "products"),
        (
            typed("id", "quotes", "r.id"),
            *own("number"),
            *BUYER,
            *own("status", sort="word"),
            *own("quoted_at", sort="time"),
            *own("valid_until", sort="day"),
            *own("decided_at", sort="time"),
            *own("lost_reason", "salesperson", "comment"),
            *TOTALS,
            Column("quote_discount_percent", "r.discount_percent", "number"),
            *STAMPS,
            *lines("quote_lines"),
        ),
        with_lines("quote"),
        "r.id, l.position",
    ),
    "orders": Export(
        ("orders", "order_lines", "customers", "products", "quotes"),
        (
            typed("id", "orders", "r.id"),
            *own("number"),
            *BUYER,
            *own("status", sort="word"),
            *own("placed_at", "shipped_at", "completed_at", "cancelled_at", sort="time"),
            *own("cancel_reason", "salesperson", "comment"),
            typed("quote_id", "quotes", "r.quote_id"),
            *TOTALS,
            Column("order_discount_percent", "r.discount_percent", "number"),
            *STAMPS,
            *lines("order_lines"),
        ),
        with_lines("order"),
        "r.id, l.position",
    ),
    "invoices": Export(
        ("invoices", "invoice_lines", "customers", "products", "orders"),
        (
            typed("id", "invoices", "r.id"),
            *own("number"),
            *BUYER,
            typed("order_id", "orders", "r.order_id"),
            Column("order_number", "o.number"),
            *own("issued_on", "due_on", sort="day"),
            *TOTALS,
            *own("paid_total", "credited_total", "open_total", sort="money"),
            *STAMPS,
            *lines("invoice_lines"),
        ),
        with_lines("invoice", "left join crm.orders o on o.org_id = r.org_id and o.id = r.order_id"),
        "r.id, l.position",
    ),
    "payments": Export(
        ("payments", "payment_allocations", "invoices", "customers"),
        (
            typed("id", "payments", "r.id"),
            *BUYER,
            *own("received_on", sort="day"),
            *own("amount", sort="money"),
            *own("currency", sort="word"),
            *own("base_amount", sort="base"),
            BASE,
            *own("method", sort="word"),
            *own("reference"),
            *own("allocated_total", sort="money"),
            *STAMPS,
            typed("invoice_id", "invoices", "l.invoice_id"),
            Column("invoice_number", "i.number"),
            Column("allocated_amount", "l.amount", "money"),
        ),
        f"""crm.payments r {CUSTOMER}
        left join crm.payment_allocations l on l.org_id = r.org_id and l.payment_id = r.id and l.archived_at is null
        left join crm.invoices i on i.org_id = l.org_id and i.id = l.invoice_id""",
        "r.id, l.id",
    ),
    "credit_notes": Export(
        ("credit_notes", "invoices", "customers"),
        (
            typed("id", "credit_notes", "r.id"),
            *own("number"),
            *BUYER,
            typed("invoice_id", "invoices", "r.invoice_id"),
            Column("invoice_number", "i.number"),
            *own("issued_on", sort="day"),
            *TOTALS,
            *own("explanation"),
            *STAMPS,
        ),
        f"crm.credit_notes r {CUSTOMER} join crm.invoices i on i.org_id = r.org_id and i.id = r.invoice_id",
    ),
}
