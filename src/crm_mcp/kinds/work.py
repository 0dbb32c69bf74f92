"""What is done: issues, tasks, notes, activities and documents."""

from collections.abc import Mapping

from .column import ASSIGNEE, BUYER, CUSTOMER, STAMPS, SUBJECT, Export, own, typed

OF_WORK: Mapping[str, Export] = {
    "issues": Export(
        ("issues", "customers", "contacts", "orders", "products"),
        (
            typed("id", "issues", "r.id"),
            *BUYER,
            *own("title"),
            *own("type", "status", "priority", sort="word"),
            *own("opened_at", sort="time"),
            *own("description"),
            typed("contact_id", "contacts", "r.contact_id"),
            typed("order_id", "orders", "r.order_id"),
            typed("product_id", "products", "r.product_id"),
            *ASSIGNEE,
            *own("respond_by", "resolve_by", "responded_at", "waiting_since", "resolved_at", sort="time"),
            *own("waited_seconds", sort="number"),
            *own("closed_at", sort="time"),
            *own("resolution"),
            *own("warranty_until", sort="day"),
            *STAMPS,
        ),
        f"crm.issues r {CUSTOMER}",
    ),
    "tasks": Export(
        ("tasks", "customers"),
        (
            typed("id", "tasks", "r.id"),
            *own("title", "description"),
            *own("status", "priority", sort="word"),
            *own("due_on", sort="day"),
            *ASSIGNEE,
            *own("completed_at", sort="time"),
            *own("outcome"),
            *SUBJECT,
            *STAMPS,
        ),
        f"crm.tasks r left {CUSTOMER}",
        about=True,
    ),
    "notes": Export(
        ("notes", "customers"),
        (typed("id", "notes", "r.id"), *own("body"), *own("written_at", sort="time"), *SUBJECT, *STAMPS),
        f"crm.notes r left {CUSTOMER}",
        about=True,
    ),
    "activities": Export(
        ("activities", "customers", "contacts"),
        (
            typed("id", "activities", "r.id"),
            *own("kind", sort="word"),
            *own("subject"),
            *own("happened_at", sort="time"),
            *own("direction", sort="word"),
            *own("body"),
            *own("minutes", sort="number"),
            typed("contact_id", "contacts", "r.contact_id"),
            *SUBJECT,
            *STAMPS,
        ),
        f"crm.activities r left {CUSTOMER}",
        about=True,
    ),
    "documents": Export(
        ("documents", "customers"),
        (
            typed("id", "documents", "r.id"),
            *own("title", "description", "url"),
            typed("file_id", "blobs", "r.blob_id"),
            *own("media_type", sort="word"),
            *SUBJECT,
            *STAMPS,
        ),
        f"crm.documents r left {CUSTOMER}",
        about=True,
    ),
}
