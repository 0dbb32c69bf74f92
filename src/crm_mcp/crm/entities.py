"""The kinds of records that the generic tools find, show and change, under every name that S2 and S3 give them."""

import difflib
from collections.abc import Collection, Mapping

from ..errors import Refusal
from ..principal import Role
from . import models
from .entity import Entity

SELLERS = frozenset({Role.ADMIN, Role.SALES})
EVERYONE = frozenset(Role)

_ALL = (
    Entity(
        "organizations", "organization", models.Organization, "name", ("name", "domain", "email", "city", "industry"),
        SELLERS, aliases=("company", "companies"), required=("name",),
    ),
    Entity(
        "individuals", "individual", models.Individual, "name", ("name", "email", "title", "city"),
        SELLERS, aliases=("person", "people"), required=("name",),
    ),
    Entity(
        "contacts", "contact", models.Contact, "name", ("name", "email", "title"), SELLERS, required=("name",),
    ),
    Entity(
        "customers", "customer", models.Customer, "name", ("name", "email", "domain", "city"), SELLERS,
        aliases=("account",), required=("name",), fixed=("credit_limit", "tax_zone", "payment_terms_days"),
        choices={"kind": ("organization", "person")},
    ),
    Entity(
        "deals", "deal", models.Deal, "name", ("name", "description", "source"), SELLERS, required=("name",),
        fixed=("base_amount", "closed_at"), choices={"status": ("open", "won", "lost")},
    ),
    Entity(
        "leads", "lead", models.Lead, "name", ("name", "description", "source"), SELLERS, required=("kind", "name"),
        fixed=("converted_at",),
        choices={
            "kind": ("job", "opportunity", "partnership"),
            "status": ("new", "contacted", "qualified", "interview", "proposal", "converted", "lost"),
        },
        parts={"job": models.Job, "opportunity": models.Opportunity, "partnership": models.Partnership},
    ),
    Entity(
        "projects", "project", models.Project, "name", ("name", "description"), SELLERS | {Role.OPERATIONS},
        required=("name",), fixed=("completed_at",),
        choices={"status": ("planned", "active", "on_hold", "done", "cancelled")},
    ),
    Entity(
        "tasks", "task", models.Task, "title", ("title", "description"), EVERYONE, required=("title",),
        fixed=("completed_at", "customer_id"), about=True,
        choices={"status": ("open", "done", "cancelled"), "priority": ("low", "normal", "high", "urgent")},
    ),
    Entity("notes", "note", models.Note, "body", ("body",), EVERYONE, required=("body",), fixed=("customer_id", "written_at"), about=True),
    Entity(
        "documents", "document", models.Document, "title", ("title", "description"), EVERYONE, required=("title",),
        fixed=("blob_id", "customer_id"), about=True,
    ),
    Entity(
        "issues", "issue", models.Issue, "title", ("title", "description"),
        frozenset({Role.ADMIN, Role.OPERATIONS, Role.SUPPORT}), required=("title", "customer_id"),
        fixed=(
            "opened_at", "respond_by", "resolve_by", "responded_at", "waiting_since", "waited_seconds", "resolved_at",
            "closed_at", "warranty_until",
        ),
        choices={
            "status": ("open", "waiting", "resolved", "closed"),
            "priority": ("low", "normal", "high", "urgent"),
            "type": ("question", "problem", "complaint", "return", "warranty", "request"),
        },
    ),
    Entity(
        "products", "product", models.Product, "name", ("name", "sku", "category"), frozenset({Role.ADMIN}),
        required=("sku", "name", "unit_price", "currency"),
    ),
)  # fmt: skip
ENTITIES: Mapping[str, Entity] = {entity.table: entity for entity in _ALL}
_NAMES = {name: entity for entity in _ALL for name in (entity.table, entity.noun, *entity.aliases)} | dict.fromkeys(
    ("job", "jobs", "opportunity", "opportunities", "partnership", "partnerships"), ENTITIES["leads"]
)


def entity_of(name: str, among: Collection[str] = ENTITIES.keys()) -> Entity:
    """Return the kind of record that a name means, in whatever case and number: Account, individuals, Opportunity.

    `among` are the tables that there are for whoever asks.

    Raises:
        Refusal: UNKNOWN_ENTITY, naming the nearest.
    """
    word = name.strip().lower()
    names = {known: entity for known, entity in _NAMES.items() if entity.table in among}
    found = names.get(word) or names.get(word.removesuffix("s"))
    if found is None:
        near = difflib.get_close_matches(word[:60], names, 1, 0.5)
        hint = f"There is no entity {name[:60]!r}." + (f" Did you mean {names[near[0]].table!r}?" if near else "")
        raise Refusal("UNKNOWN_ENTITY", hint, known=[table for table in ENTITIES if table in among])
    return found


def lead_kind(name: str) -> str | None:
    """Return the kind of lead that an entity's name narrows to, if it does: Job, opportunities."""
    word = {"opportunities": "opportunity"}.get(name.strip().lower(), name.strip().lower().removesuffix("s"))
    return word if word in ENTITIES["leads"].parts else None
