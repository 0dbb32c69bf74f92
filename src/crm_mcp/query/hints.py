"""What the registry's descriptions leave out: what names a row, where words stand, what values mean, questions it answers.

S3, "Schema Hint Enhancements". It is the same for every org and is joined to the registry when asked, so it needs no migration.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .analytics import ANALYTICS
from .examples import EXAMPLES
from .finance import FINANCE
from .relations import CRM, VISIBLE
from .typed import Typed
from .values import VALUES

Group = Literal["crm", "finance", "analytics"]
"""crm: parties, goods and work with them; finance: what is owed and paid; analytics: how things came to be as they are."""
SHIPPED = ("crm", "finance", "analytics")
"""The types that ship with the product; every other is an org's own."""
TYPED: Mapping[tuple[str, str], Typed] = {(one.type, one.name): one for one in (*FINANCE, *ANALYTICS)}

MASKED = """(select coalesce(jsonb_agg(distinct k.key), '[]') from crm.reasoning m, jsonb_each(m.schema_hint -> 'masked') k
  where m.type = 'crm' and k.value ? %(role)s::text)"""
"""The columns of any table of the CRM that are masked for a role, as SQL that needs %(role)s."""
OWN_MASKED = """(select coalesce(jsonb_agg(distinct k.key), '[]') from crm.own_tables m, jsonb_each(m.hint -> 'masked') k
  where m.org_id = %(org)s and k.value ? %(role)s::text)"""
"""The same of the org's own tables; it needs %(org)s as well."""
SEEN = f"""(select coalesce(jsonb_agg(case s.type when 'crm' then s.name else s.type || '.' || s.name end), '[]') from ({VISIBLE}) s)"""
"""The tables that a role sees, as a query writes them, as SQL that needs %(role)s and %(org)s."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A table: its group, the columns that name a row, those that hold words, and of these the ones worth embedding.

    The row that `subject_type` and `subject_id` name is one of the tables in `subjects`.
    """

    group: Group
    key: tuple[str, ...]
    searchable: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()

    @property
    def embedding(self) -> tuple[str, ...]:
        return tuple(column for column in self.searchable if column in _LONG)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a role of an org sees: tables, as a query writes them; and the columns it does not, of the CRM's and its own."""

    tables: Collection[str]
    masked: Collection[str] = ()
    own_masked: Collection[str] = ()


def shown(
    table: str, columns: Collection[str], sight: Sight, type: str = CRM, own: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the hints of a table to a role that sees these columns of it; `own` is what an administrator said of it."""
    if own is not None:
        told = _own(type, columns, sight, own)
    elif (type, table) in TYPED:
        told = _typed(TYPED[type, table], columns, sight)
    elif type == CRM and table in HINTS:
        told = _crm(table, columns, sight)
    else:
        told = {}
    return {name: said for name, said in told.items() if said}


def is_own(type: str) -> bool:
    """Say whether a type is none that ships with the product."""
    return type not in SHIPPED


def relationships(hint: Mapping[str, Any], columns: Collection[str], sight: Sight) -> dict[str, str]:
    """Return the columns, of those that are seen, which hold ids of rows of tables that are seen, with these tables."""
    every: Mapping[str, str] = hint.get("relationships", {})
    return {column: table for column, table in every.items() if column in columns and table in sight.tables}


def group_of(type: str, table: str) -> str:
    """Return what a table is grouped under: its type, and one of the CRM's what it is about."""
    return HINTS[table].group if type == CRM and table in HINTS else type


def _crm(table: str, columns: Collection[str], sight: Sight) -> dict[str, Any]:
    hint = HINTS[table]
    values = {column: dict(meant) for column, meant in VALUES.get(table, {}).items() if column in columns}
    if hint.subjects and "subject_type" in columns:
        values["subject_type"] = {name: f"subject_id is {name}.id" for name in hint.subjects if name in sight.tables}
    return {
        "group": hint.group,
        "keyFields": _of(hint.key, columns),
        "searchable": _of(hint.searchable, columns),
        "embeddingFields": _of(hint.embedding, columns),
        "polymorphic": ["subject_type", "subject_id"] if "subject_type" in values else [],
        "values": values,
        "examples": _examples(EXAMPLES.get(table, ()), sight),
    }


def _typed(hint: Typed, columns: Collection[str], sight: Sight) -> dict[str, Any]:
    return {
        "group": hint.type,
        "keyFields": _of(hint.key, columns),
        "searchable": _of(hint.searchable, columns),
        "embeddingFields": _of(hint.embedding, columns),
        "values": {column: dict(meant) for column, meant in hint.values.items() if column in columns},
        "examples": _examples(hint.examples, sight),
    }


def _own(type: str, columns: Collection[str], sight: Sight, said: Mapping[str, Any]) -> dict[str, Any]:
    polymorphic = said.get("polymorphic", [])
    return {
        "group": type,
        **{name: _of(said.get(name, ()), columns) for name in ("keyFields", "searchable", "embeddingFields")},
        "polymorphic": polymorphic if set(polymorphic) <= set(columns) else [],
        "values": {column: meant for column, meant in said.get("values", {}).items() if column in columns},
        "examples": [
            {"question": one["question"], "query": one["query"]}
            for one in said.get("examples", ())
            if set(one["reads"]) <= set(sight.tables)
            and not any(column.lower() in one["query"].lower() for column in (*sight.masked, *sight.own_masked))
        ],
    }


def _of(named: Collection[str], columns: Collection[str]) -> list[str]:
    return [column for column in named if column in columns]


def _examples(asked: Collection[tuple[str, str]], sight: Sight) -> list[dict[str, str]]:
    return [{"question": question, "query": query} for question, query in asked if _is_open(query, sight)]


def _is_open(query: str, sight: Sight) -> bool:
    """Say whether a query names only tables that are seen, and no column that is masked anywhere."""
    typed = {f"{type}.{name}" for type, name in TYPED if f"{type}.{name}" in query}
    words = set(re.findall(r"[a-z_]+", re.sub(r"\b(?:finance|analytics)\.\w+", "", query)))
    return words.isdisjoint(sight.masked) and (words & HINTS.keys()) | typed <= set(sight.tables)


_RECORDS = tuple(
    "customers contacts products quotes orders invoices payments issues tasks organizations individuals deals leads projects".split()
)
_ADDRESS = ("street", "city", "postal_code")
_LONG = frozenset("description body resolution explanation outcome need lost_reason comment scope terms".split())
"""Columns that hold sentences rather than names."""

HINTS: Mapping[str, Hint] = {
    "activities": Hint("crm", ("subject", "happened_at"), ("subject", "body"), subjects=_RECORDS),
    "articles": Hint("crm", ("title", "source"), ("title", "body", "source")),
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
    "personal_settings": Hint("analytics", ("user_id",)),
    "preferences": Hint("analytics", ("kind", "content"), ("content",)),
    "learnings": Hint("analytics", ("kind", "created_at"), subjects=_RECORDS),
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
    "reports": Hint("analytics", ("name",), ("name", "definition")),
    "stage_transitions": Hint("analytics", ("position_id", "moved_at"), ("explanation",)),
    "stock_movements": Hint("crm", ("id",)),
    "stock_reservations": Hint("crm", ("product_id", "order_id")),
    "tasks": Hint("crm", ("title", "due_on"), ("title", "description", "outcome"), subjects=_RECORDS),
    "tax_rates": Hint("finance", ("zone", "tax_class", "valid_from")),
    "warranties": Hint("crm", ("customer_id", "product_id", "serial"), ("serial", "terms")),
}
