"""A kind's columns: the header of each, the SQL it comes from, how it is written; and those that several kinds share."""

from typing import Literal, NamedTuple

from .. import ids

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


def typed(name: str, table: str, sql: str) -> Column:
    return Column(name, f"'{ids.PREFIX[table]}_' || {sql}", "word")


def own(*names: str, sort: Sort = "text", of: str = "r") -> tuple[Column, ...]:
    return tuple(Column(name, f"{of}.{name}", sort) for name in names)


STAMPS = (
    *own("created_at", "updated_at", "archived_at", sort="time"),
    Column("created_by_email", "(select u.email from crm.users u where u.id = r.created_by)"),
)
BUYER = (typed("customer_id", "customers", "r.customer_id"), Column("customer_name", "c.name"))
CUSTOMER = "join crm.customers c on c.org_id = r.org_id and c.id = r.customer_id"
PARTIES = (
    *BUYER,
    typed("organization_id", "organizations", "r.organization_id"),
    Column("organization_name", "f.name"),
)
PARTY = f"left {CUSTOMER} left join crm.organizations f on f.org_id = r.org_id and f.id = r.organization_id"
PLACE = own("street", "city", "region", "postal_code", "country")
OWNER = Column("owner_email", "(select u.email from crm.users u where u.id = r.owner_id)")
BASE = Column("base_currency", "(select g.base_currency from crm.orgs g where g.id = r.org_id)", "word")
TOTALS = (
    Column("currency", "r.currency", "word"),
    *own("net_total", "tax_total", "gross_total", sort="money"),
    *own("base_total", sort="base"),
    BASE,
)
ASSIGNEE = (
    Column("assignee_email", "(select u.email from crm.users u where u.id = r.assignee_id)"),
    Column("assignee_name", "(select u.name from crm.users u where u.id = r.assignee_id)"),
)
SUBJECT = (
    Column("subject_type", "r.subject_type", "word"),
    Column(
        "subject_id",
        "case r.subject_type "
        + " ".join(f"when '{table}' then '{prefix}_'" for table, prefix in ids.PREFIX.items())
        + " end || r.subject_id",
        "word",
    ),
    typed("customer_id", "customers", "r.customer_id"),
    Column("customer_name", "c.name"),
)


def lines(table: str) -> tuple[Column, ...]:
    return (
        typed("line_id", table, "l.id"),
        Column("position", "l.position", "number"),
        typed("product_id", "products", "l.product_id"),
        Column("sku", "p.sku"),
        Column("description", "l.description"),
        *own("quantity", sort="number", of="l"),
        *own("unit_price", sort="money", of="l"),
        *own("discount_percent", "tax_rate", sort="number", of="l"),
        *own("net_amount", "tax_amount", sort="money", of="l"),
    )


def with_lines(of: str, more: str = "") -> str:
    return (
        f"crm.{of}s r {CUSTOMER} left join crm.{of}_lines l on l.org_id = r.org_id and l.{of}_id = r.id "
        f"left join crm.products p on p.org_id = l.org_id and p.id = l.product_id {more}"
    )
