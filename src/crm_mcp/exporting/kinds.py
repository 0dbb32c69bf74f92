"""What can be exported: of each kind its columns, where they come from, and which tables a role must see for it."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from .. import ids

Kind = Literal[
    "customers", "organizations", "individuals", "contacts", "leads", "deals", "projects", "products", "stock",
    "quotes", "orders", "invoices", "payments", "credit_notes", "issues", "tasks", "notes", "activities", "documents",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
Sort = Literal["text", "word", "number", "money", "base", "day", "time", "flag"]
"""How a value is written: `text` is people's own words, a `word` is one of ours; money is in the row's `currency`, base in
its `base_currency`."""


class Column(NamedTuple):
    """A column of the file: its header, the SQL it comes from, how it is written."""

    name: str
    sql: str
    sort: Sort = "text"


class Export(NamedTuple):
    """One kind: rows of `source`, the first of `tables` as `r`; `about` rows show where their subject's table does."""

    tables: tuple[str, ...]
    columns: tuple[Column, ...]
    source: str
    order: str = "r.id"
    about: bool = False


def _id(name: str, table: str, sql: str) -> Column:
    return Column(name, f"'{ids.PREFIX[table]}_' || {sql}", "word")


def _own(*names: str, sort: Sort = "text", of: str = "r") -> tuple[Column, ...]:
    return tuple(Column(name, f"{of}.{name}", sort) for name in names)


_STAMPS = (
    *_own("created_at", "updated_at", "archived_at", sort="time"),
    Column("created_by_email", "(select u.email from crm.users u where u.id = r.created_by)"),
)
_BUYER = (_id("customer_id", "customers", "r.customer_id"), Column("customer_name", "c.name"))
_CUSTOMER = "join crm.customers c on c.org_id = r.org_id and c.id = r.customer_id"
_PARTIES = (
    *_BUYER,
    _id("organization_id", "organizations", "r.organization_id"),
    Column("organization_name", "f.name"),
)
_PARTY = f"left {_CUSTOMER} left join crm.organizations f on f.org_id = r.org_id and f.id = r.organization_id"
_PLACE = _own("street", "city", "region", "postal_code", "country")
_OWNER = Column("owner_email", "(select u.email from crm.users u where u.id = r.owner_id)")
_BASE = Column("base_currency", "(select g.base_currency from crm.orgs g where g.id = r.org_id)", "word")
_TOTALS = (
    Column("currency", "r.currency", "word"),
    *_own("net_total", "tax_total", "gross_total", sort="money"),
    *_own("base_total", sort="base"),
    _BASE,
)
_ASSIGNEE = (
    Column("assignee_email", "(select u.email from crm.users u where u.id = r.assignee_id)"),
    Column("assignee_name", "(select u.name from crm.users u where u.id = r.assignee_id)"),
)
_SUBJECT = (
    Column("subject_type", "r.subject_type", "word"),
    Column(
        "subject_id",
        "case r.subject_type "
        + " ".join(f"when '{table}' then '{prefix}_'" for table, prefix in ids.PREFIX.items())
        + " end || r.subject_id",
        "word",
    ),
    _id("customer_id", "customers", "r.customer_id"),
    Column("customer_name", "c.name"),
)


def _lines(table: str) -> tuple[Column, ...]:
    return (
        _id("line_id", table, "l.id"),
        Column("position", "l.position", "number"),
        _id("product_id", "products", "l.product_id"),
        Column("sku", "p.sku"),
        Column("description", "l.description"),
        *_own("quantity", sort="number", of="l"),
        *_own("unit_price", sort="money", of="l"),
        *_own("discount_percent", "tax_rate", sort="number", of="l"),
        *_own("net_amount", "tax_amount", sort="money", of="l"),
    )


def _with_lines(of: str, more: str = "") -> str:
    return (
        f"crm.{of}s r {_CUSTOMER} left join crm.{of}_lines l on l.org_id = r.org_id and l.{of}_id = r.id "
        f"left join crm.products p on p.org_id = l.org_id and p.id = l.product_id {more}"
    )


EXPORTS: Mapping[Kind, Export] = {
    "customers": Export(
        ("customers",),
        (
            _id("id", "customers", "r.id"),
            *_own("name"),
            *_own("kind", sort="word"),
            *_own("email", "phone", "domain", "segment", "street", "city", "region", "postal_code", "country"),
            _OWNER,
            Column("owner_name", "(select u.name from crm.users u where u.id = r.owner_id)"),
            *_own("credit_limit", sort="money"),
            Column("currency", "g.base_currency", "word"),
            *_own("tax_zone", sort="word"),
            *_own("tax_number"),
            *_own("payment_terms_days", sort="number"),
            *_STAMPS,
        ),
        "crm.customers r join crm.orgs g on g.id = r.org_id",
    ),
    "organizations": Export(
        ("organizations",),
        (
            _id("id", "organizations", "r.id"),
            *_own("name", "domain", "website", "industry"),
            *_own("employees", sort="number"),
            *_own("email", "phone"),
            *_PLACE,
            *_own("linkedin_url"),
            Column(
                "technologies",
                "(select string_agg(t.value, ';' order by t.at) from jsonb_array_elements_text(r.technologies) "
                "with ordinality t(value, at))",
            ),
            *_own("description"),
            _OWNER,
            *_STAMPS,
        ),
        "crm.organizations r",
    ),
    "individuals": Export(
        ("individuals",),
        (
            _id("id", "individuals", "r.id"),
            *_own("name", "first_name", "last_name", "title", "email", "phone"),
            *_PLACE,
            *_own("linkedin_url", "description"),
            _OWNER,
            *_STAMPS,
        ),
        "crm.individuals r",
    ),
    "contacts": Export(
        ("contacts", "customers", "organizations", "individuals"),
        (
            _id("id", "contacts", "r.id"),
            *_PARTIES,
            _id("individual_id", "individuals", "r.individual_id"),
            *_own("name", "title", "email", "phone", "linkedin_url"),
            *_STAMPS,
        ),
        f"crm.contacts r {_PARTY}",
    ),
    "leads": Export(
        ("leads", "jobs", "opportunities", "partnerships", "customers", "organizations", "individuals"),
        (
            _id("id", "leads", "r.id"),
            *_own("kind", sort="word"),
            *_own("name"),
            *_own("status", sort="word"),
            *_own("source", "description"),
            *_PARTIES,
            _id("individual_id", "individuals", "r.individual_id"),
            _OWNER,
            *_own("contacted_at", "converted_at", sort="time"),
            *_own("lost_reason"),
            *_own("role", "seniority", "location", of="j"),
            *_own("is_remote", sort="flag", of="j"),
            *_own("salary_min", "salary_max", sort="money", of="j"),
            *_own("amount", sort="money", of="o"),
            Column("currency", "coalesce(j.currency, o.currency)", "word"),
            *_own("url", of="j"),
            *_own("posted_on", "closes_on", sort="day", of="j"),
            *_own("expected_close_on", sort="day", of="o"),
            *_own("need", of="o"),
            *_own("budget_confirmed", sort="flag", of="o"),
            *_own("decision_maker", "timeline", of="o"),
            Column("partnership_type", "p.type"),
            *_own("scope", "territory", of="p"),
            *_own("starts_on", "ends_on", sort="day", of="p"),
            *_STAMPS,
        ),
        f"""crm.leads r {_PARTY} left join crm.jobs j on j.org_id = r.org_id and j.lead_id = r.id
        left join crm.opportunities o on o.org_id = r.org_id and o.lead_id = r.id
        left join crm.partnerships p on p.org_id = r.org_id and p.lead_id = r.id""",
    ),
    "deals": Export(
        ("deals", "customers", "organizations", "contacts", "leads"),
        (
            _id("id", "deals", "r.id"),
            *_own("name"),
            *_own("status", sort="word"),
            *_own("amount", sort="money"),
            *_own("currency", sort="word"),
            *_own("probability", sort="number"),
            *_own("expected_close_on", sort="day"),
            *_own("closed_at", sort="time"),
            *_own("signed_on", sort="day"),
            *_own("lost_reason", "source", "description"),
            *_PARTIES,
            _id("contact_id", "contacts", "r.contact_id"),
            _id("lead_id", "leads", "r.lead_id"),
            _OWNER,
            *_STAMPS,
        ),
        f"crm.deals r {_PARTY}",
    ),
    "projects": Export(
        ("projects", "customers", "organizations", "deals"),
        (
            _id("id", "projects", "r.id"),
            *_own("name"),
            *_own("status", sort="word"),
            *_own("description"),
            *_PARTIES,
            _id("deal_id", "deals", "r.deal_id"),
            _OWNER,
            *_own("starts_on", "due_on", sort="day"),
            *_own("completed_at", sort="time"),
            *_STAMPS,
        ),
        f"crm.projects r {_PARTY}",
    ),
    "products": Export(
        ("products",),
        (
            _id("id", "products", "r.id"),
            *_own("sku", "name", "category", "unit"),
            *_own("unit_price", sort="money"),
            *_own("currency", sort="word"),
            *_own("tax_rate", sort="number"),
            *_own("tax_class", sort="word"),
            *_own("warranty_months", "reorder_level", sort="number"),
            *_own("discontinued", sort="flag"),
            *_STAMPS,
        ),
        "crm.products r",
    ),
    "stock": Export(
        ("products", "stock_movements", "stock_reservations"),
        (
            _id("id", "products", "r.id"),
            *_own("sku", "name"),
            *_own("unit_price", sort="money"),
            *_own("currency", sort="word"),
            Column("stock", "coalesce(m.units, 0)", "number"),
            Column("reserved", "coalesce(k.units, 0)", "number"),
            Column("available", "coalesce(m.units, 0) - coalesce(k.units, 0)", "number"),
            *_own("reorder_level", sort="number"),
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
            _id("id", "quotes", "r.id"),
            *_own("number"),
            *_BUYER,
            *_own("status", sort="word"),
            *_own("quoted_at", sort="time"),
            *_own("valid_until", sort="day"),
            *_own("decided_at", sort="time"),
            *_own("lost_reason", "salesperson", "comment"),
            *_TOTALS,
            Column("quote_discount_percent", "r.discount_percent", "number"),
            *_STAMPS,
            *_lines("quote_lines"),
        ),
        _with_lines("quote"),
        "r.id, l.position",
    ),
    "orders": Export(
        ("orders", "order_lines", "customers", "products", "quotes"),
        (
            _id("id", "orders", "r.id"),
            *_own("number"),
            *_BUYER,
            *_own("status", sort="word"),
            *_own("placed_at", "shipped_at", "completed_at", "cancelled_at", sort="time"),
            *_own("cancel_reason", "salesperson", "comment"),
            _id("quote_id", "quotes", "r.quote_id"),
            *_TOTALS,
            Column("order_discount_percent", "r.discount_percent", "number"),
            *_STAMPS,
            *_lines("order_lines"),
        ),
        _with_lines("order"),
        "r.id, l.position",
    ),
    "invoices": Export(
        ("invoices", "invoice_lines", "customers", "products", "orders"),
        (
            _id("id", "invoices", "r.id"),
            *_own("number"),
            *_BUYER,
            _id("order_id", "orders", "r.order_id"),
            Column("order_number", "o.number"),
            *_own("issued_on", "due_on", sort="day"),
            *_TOTALS,
            *_own("paid_total", "credited_total", "open_total", sort="money"),
            *_STAMPS,
            *_lines("invoice_lines"),
        ),
        _with_lines("invoice", "left join crm.orders o on o.org_id = r.org_id and o.id = r.order_id"),
        "r.id, l.position",
    ),
    "payments": Export(
        ("payments", "payment_allocations", "invoices", "customers"),
        (
            _id("id", "payments", "r.id"),
            *_BUYER,
            *_own("received_on", sort="day"),
            *_own("amount", sort="money"),
            *_own("currency", sort="word"),
            *_own("base_amount", sort="base"),
            _BASE,
            *_own("method", sort="word"),
            *_own("reference"),
            *_own("allocated_total", sort="money"),
            *_STAMPS,
            _id("invoice_id", "invoices", "l.invoice_id"),
            Column("invoice_number", "i.number"),
            Column("allocated_amount", "l.amount", "money"),
        ),
        f"""crm.payments r {_CUSTOMER}
        left join crm.payment_allocations l on l.org_id = r.org_id and l.payment_id = r.id and l.archived_at is null
        left join crm.invoices i on i.org_id = l.org_id and i.id = l.invoice_id""",
        "r.id, l.id",
    ),
    "credit_notes": Export(
        ("credit_notes", "invoices", "customers"),
        (
            _id("id", "credit_notes", "r.id"),
            *_own("number"),
            *_BUYER,
            _id("invoice_id", "invoices", "r.invoice_id"),
            Column("invoice_number", "i.number"),
            *_own("issued_on", sort="day"),
            *_TOTALS,
            *_own("explanation"),
            *_STAMPS,
        ),
        f"crm.credit_notes r {_CUSTOMER} join crm.invoices i on i.org_id = r.org_id and i.id = r.invoice_id",
    ),
    "issues": Export(
        ("issues", "customers", "contacts", "orders", "products"),
        (
            _id("id", "issues", "r.id"),
            *_BUYER,
            *_own("title"),
            *_own("type", "status", "priority", sort="word"),
            *_own("opened_at", sort="time"),
            *_own("description"),
            _id("contact_id", "contacts", "r.contact_id"),
            _id("order_id", "orders", "r.order_id"),
            _id("product_id", "products", "r.product_id"),
            *_ASSIGNEE,
            *_own("respond_by", "resolve_by", "responded_at", "waiting_since", "resolved_at", sort="time"),
            *_own("waited_seconds", sort="number"),
            *_own("closed_at", sort="time"),
            *_own("resolution"),
            *_own("warranty_until", sort="day"),
            *_STAMPS,
        ),
        f"crm.issues r {_CUSTOMER}",
    ),
    "tasks": Export(
        ("tasks", "customers"),
        (
            _id("id", "tasks", "r.id"),
            *_own("title", "description"),
            *_own("status", "priority", sort="word"),
            *_own("due_on", sort="day"),
            *_ASSIGNEE,
            *_own("completed_at", sort="time"),
            *_own("outcome"),
            *_SUBJECT,
            *_STAMPS,
        ),
        f"crm.tasks r left {_CUSTOMER}",
        about=True,
    ),
    "notes": Export(
        ("notes", "customers"),
        (_id("id", "notes", "r.id"), *_own("body"), *_own("written_at", sort="time"), *_SUBJECT, *_STAMPS),
        f"crm.notes r left {_CUSTOMER}",
        about=True,
    ),
    "activities": Export(
        ("activities", "customers", "contacts"),
        (
            _id("id", "activities", "r.id"),
            *_own("kind", sort="word"),
            *_own("subject"),
            *_own("happened_at", sort="time"),
            *_own("direction", sort="word"),
            *_own("body"),
            *_own("minutes", sort="number"),
            _id("contact_id", "contacts", "r.contact_id"),
            *_SUBJECT,
            *_STAMPS,
        ),
        f"crm.activities r left {_CUSTOMER}",
        about=True,
    ),
    "documents": Export(
        ("documents", "customers"),
        (
            _id("id", "documents", "r.id"),
            *_own("title", "description", "url"),
            _id("file_id", "blobs", "r.blob_id"),
            *_own("media_type", sort="word"),
            *_SUBJECT,
            *_STAMPS,
        ),
        f"crm.documents r left {_CUSTOMER}",
        about=True,
    ),
}


def statement(kind: Kind, sources: Sequence[str]) -> tuple[str, list[Column], dict[str, object]]:
    """Return the statement that reads a kind, its columns, and the names of other systems whose ids it shows."""
    export = EXPORTS[kind]
    first, *rest = export.columns
    foreign = [Column(f"external_id_of_{source}", f"x.e{at}") for at, source in enumerate(sources)]
    columns = [first, *foreign, *rest]
    joined = f"{export.source}{_foreign(export.tables[0], len(sources))} where r.org_id = %(org)s"
    if export.about:
        joined += " and (r.subject_type is null or r.subject_type = any(%(visible)s))"
    sql = f"select {', '.join(one.sql for one in columns)} from {joined} order by {export.order}"
    return sql, columns, {f"source{at}": source for at, source in enumerate(sources)}


def _foreign(entity: str, count: int) -> str:
    if not count:
        return ""
    # one pass over the references: a record's are not found by an index
    each = ", ".join(
        f"string_agg(external_id, ' ' order by id) filter (where source = %(source{at})s) as e{at}"
        for at in range(count)
    )
    return (
        f" left join (select record_id, {each} from crm.external_refs where org_id = %(org)s and entity = '{entity}' "
        "group by record_id) x on x.record_id = r.id"
    )
