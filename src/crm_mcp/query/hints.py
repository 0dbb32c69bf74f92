"""What the registry's descriptions leave out: what names a row, where words stand, what values mean, questions it answers.

S3, "Schema Hint Enhancements". It is the same for every org and is joined to the registry when asked, so it needs no migration.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .examples import EXAMPLES
from .values import VALUES

Group = Literal["crm", "finance", "analytics"]
"""crm: parties, goods and work with them; finance: what is owed and paid; analytics: how things came to be as they are."""

MASKED = """(select coalesce(jsonb_agg(distinct k.key), '[]') from crm.reasoning m, jsonb_each(m.schema_hint -> 'masked') k
  where m.type = 'crm' and k.value ? %(role)s::text)"""
"""The columns of any table that are masked for a role, as SQL that needs %(role)s."""
SEEN = """(select coalesce(jsonb_agg(s.table_name), '[]') from crm.reasoning s
  where s.type = 'crm' and %(role)s::text = any (s.roles))"""
"""The tables that a role sees, as SQL that needs %(role)s."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A table: its group, the columns that name a row and those that hold words.

    The row that `subject_type` and `subject_id` name is one of the tables in `subjects`.
    """

    group: Group
    key: tuple[str, ...]
    searchable: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()


def shown(table: str, columns: Collection[str], seen: Collection[str], masked: Collection[str]) -> dict[str, Any]:
    """Return the hints of a table to a role that sees these columns of it and these tables, and none of the masked columns."""
    if table not in HINTS:
        return {}
    hint = HINTS[table]
    values = {column: dict(meant) for column, meant in VALUES.get(table, {}).items() if column in columns}
    if hint.subjects and "subject_type" in columns:
        values["subject_type"] = {name: f"subject_id is {name}.id" for name in hint.subjects if name in seen}
    told: dict[str, Any] = {
        "group": hint.group,
        "keyFields": [column for column in hint.key if column in columns],
        "searchable": [column for column in hint.searchable if column in columns],
        "polymorphic": ["subject_type", "subject_id"] if "subject_type" in values else [],
        "values": values,
        "examples": [
            {"question": question, "query": query}
            for question, query in EXAMPLES.get(table, ())
            if _is_open(query, seen, masked)
        ],
    }
    return {name: said for name, said in told.items() if said}


def group_of(table: str) -> str | None:
    return HINTS[table].group if table in HINTS else None


def _is_open(query: str, seen: Collection[str], masked: Collection[str]) -> bool:
    """Say whether a query names only tables that are seen, and no column that is masked anywhere."""
    words = set(re.findall(r"[a-z_]+", query))
    return words.isdisjoint(masked) and words & HINTS.keys() <= set(seen)


_RECORDS = tuple(
    "customers contacts products quotes orders invoices payments issues tasks organizations individuals deals leads projects".split()
)
_ADDRESS = ("street", "city", "postal_code")

HINTS: Mapping[str, Hint] = {
    "activities": Hint("crm", ("subject", "happened_at"), ("subject", "body"), subjects=_RECORDS),
    "blobs": Hint("crm", ("name", "sha256"), ("name",)),
    "contacts": Hint("crm", ("name", "email"), ("name", "title", "email", "phone")),
    "credit_notes": Hint("finance", ("number",), ("number", "explanation")),
    "custom_field_definitions": Hint("crm", ("entity", "key"), ("label", "description")),
    "customer_parties": Hint("crm", ("customer_id", "organization_id", "individual_id"), ("part",)),
    "customers": Hint(
        "crm", ("name", "email"), ("name", "email", "phone", "domain", "segment", *_ADDRESS, "tax_number")
    ),
    "data_provenance": Hint("analytics", ("entity", "record_id", "field"), ("source",)),
    "deals": Hint("crm", ("name",), ("name", "source", "description", "lost_reason")),
    "documents": Hint("crm", ("title",), ("title", "description", "url"), subjects=_RECORDS),
    "email_attachments": Hint("crm", ("email_id", "position")),
    "emails": Hint("crm", ("message_id",), ("subject", "body", "from_address", "from_name"), subjects=_RECORDS),
    "exchange_rates": Hint("finance", ("currency", "valid_from")),
    "exports": Hint("analytics", ("name", "created_at"), ("name",)),
    "external_refs": Hint("analytics", ("source", "entity", "external_id"), ("external_id",)),
    "individuals": Hint(
        "crm", ("name", "email"), ("name", "title", "email", "phone", *_ADDRESS, "linkedin_url", "description")
    ),
    "invoice_lines": Hint("finance", ("invoice_id", "position"), ("description",)),
    "invoices": Hint("finance", ("number",), ("number",)),
    "issues": Hint("crm", ("title", "opened_at"), ("title", "description", "resolution")),
    "jobs": Hint("crm", ("lead_id", "role"), ("role", "seniority", "location", "url")),
    "leads": Hint("crm", ("name",), ("name", "source", "description", "lost_reason")),
    "notes": Hint("crm", ("subject_type", "subject_id", "created_at"), ("body",), subjects=_RECORDS),
    "opportunities": Hint("crm", ("lead_id",), ("need", "decision_maker", "timeline")),
    "order_lines": Hint("crm", ("order_id", "position"), ("description",)),
    "orders": Hint("crm", ("number",), ("number", "salesperson", "comment", "cancel_reason")),
    "org_settings": Hint("crm", ("id",), ("sender_name", "sender_email")),
    "organizations": Hint(
        "crm",
        ("name", "domain"),
        ("name", "domain", "website", "industry", "email", "phone", *_ADDRESS, "linkedin_url", "description"),
    ),
    "outbox": Hint("crm", ("email_id",), ("last_error",)),
    "partnerships": Hint("crm", ("lead_id",), ("type", "scope", "territory")),
    "payment_allocations": Hint("finance", ("payment_id", "invoice_id")),
    "payments": Hint("finance", ("reference", "received_on"), ("reference",)),
    "people": Hint("crm", ("name", "email"), ("name", "email")),
    "pipeline_positions": Hint(
        "analytics",
        ("pipeline_id", "subject_type", "subject_id"),
        ("override_reason",),
        subjects=("contacts", "individuals", "customers", "deals", "leads"),
    ),
    "pipeline_stages": Hint("analytics", ("pipeline_id", "name"), ("name", "description")),
    "pipelines": Hint("analytics", ("name",), ("name", "description")),
    "policies": Hint("analytics", ("edition",)),
    "products": Hint("crm", ("sku", "name"), ("sku", "name", "category")),
    "projects": Hint("crm", ("name",), ("name", "description")),
    "quote_lines": Hint("crm", ("quote_id", "position"), ("description",)),
    "quotes": Hint("crm", ("number",), ("number", "salesperson", "comment", "lost_reason")),
    "stage_transitions": Hint("analytics", ("position_id", "moved_at"), ("explanation",)),
    "stock_movements": Hint("crm", ("id",)),
    "stock_reservations": Hint("crm", ("product_id", "order_id")),
    "tasks": Hint("crm", ("title", "due_on"), ("title", "description", "outcome"), subjects=_RECORDS),
    "tax_rates": Hint("finance", ("zone", "tax_class", "valid_from")),
    "warranties": Hint("crm", ("customer_id", "product_id", "serial"), ("serial", "terms")),
}
