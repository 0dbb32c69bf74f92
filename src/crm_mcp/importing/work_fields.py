"""The fields of issues, tasks, notes, activities and documents, and the headers that other systems give them."""

from . import values
from .field import (
    CONTACT,
    CUSTOMER,
    DEAL,
    INDIVIDUAL,
    INVOICE,
    ISSUE,
    LEAD,
    LONG,
    ORDER,
    ORGANIZATION,
    PRODUCT,
    PROJECT,
    SHORT,
    Field,
    must,
)

_PRIORITY = Field(
    "priority", values.choice("low", "normal", "high", "urgent", medium="normal", critical="urgent"), "priority"
)
_ASSIGNEE = Field("assignee", values.text(320), "assignee_email assignee assigned_to owner_email")
ABOUT = (
    Field("customer", values.key, CUSTOMER),
    Field("order", values.key, ORDER),
    Field("invoice", values.key, INVOICE),
    Field("issue", values.key, ISSUE),
    Field("product", values.key, PRODUCT),
    Field("deal", values.key, DEAL),
    Field("lead", values.key, LEAD),
    Field("project", values.key, PROJECT),
    Field("organization", values.key, ORGANIZATION),
    Field("individual", values.key, INDIVIDUAL),
    *(Field(f"{name}_name", SHORT, named=False) for name in ("deal", "lead", "issue", "contact", "organization")),
    Field(
        "about_type",
        values.choice(
            "customers", "contacts", "products", "orders", "invoices", "payments", "issues", "tasks", "organizations",
            "individuals", "deals", "leads", "projects",
            customer="customers", contact="contacts", product="products", order="orders", invoice="invoices",
            payment="payments", issue="issues", task="tasks", organization="organizations", individual="individuals",
            deal="deals", lead="leads", project="projects",
        ),
        "subject_type about_type related_to_type",
    ),
    Field("about", values.key, "subject_id about related_to"),
    Field("beside", values.key, named=False),
)  # fmt: skip
"""By which a task, a note or an activity names what it is about."""
ISSUES = (
    must("external_id", values.key, f"{ISSUE} id"),
    must("customer", values.key, CUSTOMER),
    must("title", SHORT, "title subject summary"),
    must("opened_at", values.moment, "opened_at opened created_at reported_at date"),
    Field(
        "type",
        values.choice("question", "problem", "complaint", "return", "warranty", "request"),
        "issue_type type ticket_type",
    ),
    Field(
        "status",
        values.choice("open", "waiting", "resolved", "closed", new="open", pending="waiting", solved="resolved"),
        "issue_status status",
    ),
    _PRIORITY,
    Field("description", LONG, "description body details"),
    Field("contact", values.key, CONTACT),
    *(Field(name, values.key, named=False) for name in ("organization", "organization_name", "contact_name")),
    Field("order", values.key, ORDER),
    Field("product", values.key, PRODUCT),
    _ASSIGNEE,
    Field("respond_by", values.moment, "respond_by"),
    Field("resolve_by", values.moment, "resolve_by"),
    Field("responded_at", values.moment, "responded_at first_response_at"),
    Field("waiting_since", values.moment, "waiting_since"),
    Field("resolved_at", values.moment, "resolved_at solved_at"),
    Field("closed_at", values.moment, "closed_at"),
    Field("resolution", LONG, "resolution solution"),
    Field("warranty_until", values.day, "warranty_until"),
)
TASKS = (
    must("external_id", values.key, "task_id task_no id"),
    must("title", SHORT, "title subject summary task"),
    Field("description", LONG, "description body details"),
    Field(
        "status",
        values.choice("open", "done", "cancelled", completed="done", canceled="cancelled", closed="done"),
        "task_status status",
    ),
    _PRIORITY,
    Field("due_on", values.day, "due_on due_date due"),
    _ASSIGNEE,
    Field("completed_at", values.moment, "completed_at done_at"),
    Field("outcome", values.text(2000), "outcome result"),
    *ABOUT,
    Field("contact", values.key, CONTACT),
)
NOTES = (
    must("external_id", values.key, "note_id note_no id"),
    must("body", LONG, "body note text content"),
    Field("written_at", values.moment, "written_at noted_at date"),
    *ABOUT,
    Field("contact", values.key, CONTACT),
)
ACTIVITIES = (
    must("external_id", values.key, "activity_id activity_no id"),
    must(
        "kind", values.choice("call", "meeting", "email", "visit", "other", phone="call"), "activity_type kind type"
    ),
    must("subject", SHORT, "subject title summary"),
    must("happened_at", values.moment, "happened_at occurred_at date"),
    Field(
        "direction",
        values.choice("in", "out", inbound="in", outbound="out", incoming="in", outgoing="out"),
        "direction",
    ),
    Field("body", LONG, "body description notes"),
    Field("minutes", values.between(0, 100_000), "minutes duration_minutes duration"),
    *ABOUT,
    Field("contact", values.key, CONTACT),
)
DOCUMENTS = (
    must("external_id", values.key, "document_id document_no id"),
    must("title", SHORT, "title document_name file_name filename name"),
    Field("description", LONG, "description details"),
    Field("url", values.text(2000), "url link"),
    Field("media_type", values.text(200), "media_type mime_type content_type"),
    Field("file", values.key, "file_id", named=False),
    *ABOUT,
    Field("contact", values.key, CONTACT),
    Field("owner_name", SHORT, named=False),
    Field("is_latest", values.flag, named=False),
)
