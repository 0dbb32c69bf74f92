"""Short typed ids (S0): a number behind a prefix, so that an order's id is never taken for a customer's."""

import os
import re
import time

from .errors import Refusal

PREFIX = {
    "customers": "cust",
    "contacts": "cont",
    "products": "prod",
    "stock_movements": "stk",
    "orders": "ord",
    "order_lines": "line",
    "invoices": "inv",
    "exchange_rates": "rate",
    "issues": "iss",
    "activities": "act",
    "notes": "note",
    "external_refs": "ref",
    "drafts": "draft",
    "changes": "chg",
    "quotes": "quo",
    "quote_lines": "ql",
    "stock_reservations": "rsv",
    "invoice_lines": "il",
    "credit_notes": "cn",
    "payments": "pay",
    "payment_allocations": "alloc",
    "tax_rates": "tax",
    "org_settings": "set",
    "tasks": "task",
    "warranties": "war",
    "emails": "email",
    "email_attachments": "att",
    "blobs": "blob",
    "outbox": "out",
    "policies": "pol",
    "organizations": "org",
    "individuals": "ind",
    "customer_parties": "part",
    "leads": "lead",
    "jobs": "job",
    "opportunities": "opp",
    "partnerships": "prt",
    "deals": "deal",
    "projects": "proj",
    "documents": "doc",
    "custom_field_definitions": "cfd",
    "data_provenance": "prov",
    "pipelines": "pipe",
    "pipeline_stages": "stage",
    "pipeline_positions": "pos",
    "stage_transitions": "move",
    "reports": "rep",
    "exports": "exp",
    "preferences": "pref",
    "personal_settings": "pset",
    "learnings": "mem",
    "articles": "art",
}
NOUN = {
    "customers": "customer",
    "contacts": "contact",
    "products": "product",
    "orders": "order",
    "notes": "note",
    "order_lines": "order line",
    "stock_movements": "stock movement",
    "drafts": "draft",
    "changes": "change",
    "issues": "issue",
    "activities": "activity",
    "invoices": "invoice",
    "exchange_rates": "exchange rate",
    "external_refs": "reference",
    "quotes": "quote",
    "quote_lines": "quote line",
    "stock_reservations": "stock reservation",
    "invoice_lines": "invoice line",
    "credit_notes": "credit note",
    "payments": "payment",
    "payment_allocations": "allocation",
    "tax_rates": "tax rate",
    "org_settings": "settings",
    "tasks": "task",
    "warranties": "warranty",
    "emails": "e-mail",
    "email_attachments": "attachment",
    "blobs": "file",
    "outbox": "delivery",
    "policies": "edition of the policy",
    "organizations": "organization",
    "individuals": "individual",
    "customer_parties": "party of an account",
    "leads": "lead",
    "jobs": "job",
    "opportunities": "opportunity",
    "partnerships": "partnership",
    "deals": "deal",
    "projects": "project",
    "documents": "document",
    "custom_field_definitions": "custom field",
    "data_provenance": "provenance",
    "pipelines": "pipeline",
    "pipeline_stages": "stage",
    "pipeline_positions": "position",
    "stage_transitions": "move",
    "reports": "report",
    "exports": "export",
    "preferences": "preference",
    "personal_settings": "personal settings",
    "learnings": "memory",
    "articles": "article",
}
UNDRAWN = "(drawn at approval)"
"""What stands for a document number before a person has approved."""
_KIND = {prefix: kind for kind, prefix in PREFIX.items()}
_SHAPE = re.compile(r"([a-z]{2,5})_([1-9]\d{0,17})", re.ASCII)


def parse(kind: str, text: str) -> int:
    """Return the number in an id of one kind of record.

    Raises:
        Refusal: INVALID_ID, naming what was given and what is due.
    """
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise Refusal("INVALID_ID", f"Give an id like {PREFIX[kind]}_123, as tools return it.", given=text[:60])
    if shape[1] != PREFIX[kind]:
        was = NOUN.get(_KIND.get(shape[1], ""), "other record")
        raise Refusal(
            "INVALID_ID",
            f"This is the id of a different kind ({was}); a {NOUN[kind]} id looks like {PREFIX[kind]}_123.",
            given=text[:60],
        )
    return int(shape[2])


def is_id(text: str) -> bool:
    """Say whether a text has the form of an id of whatever kind."""
    return _SHAPE.fullmatch(text) is not None


def noun(text: str) -> str:
    """Return what an id is of, such as `customer`; `record` where no kind has its prefix."""
    return NOUN.get(_KIND.get(text.partition("_")[0], ""), "record")


def show(kind: str, number: int) -> str:
    """Return the id as tools show it."""
    return f"{PREFIX[kind]}_{number}"


def new_call() -> int:
    """Return a 63-bit call id of time and chance: named before the database has seen the call, sorted by time."""
    return (time.time_ns() // 1_000_000 << 21) | (int.from_bytes(os.urandom(3)) >> 3)
