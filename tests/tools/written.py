"""Texts of many kinds in the lab, each of which some role sees and another does not; and who finds which."""

from lab import LEA, LOU, LUX
from psycopg.types.json import Jsonb

from crm_mcp.crm.models import Activity, Article, Deal, Document, Issue, Note, Task

TOOL = "search_documents"
SAID = "zanzibarite"
"""A word that nobody else of the lab says."""
SEEN = {
    LEA: {"note", "hidden", "below", "task", "deal", "iss", "act", "doc", "org", "sales", "admin"},
    LOU: {"note", "hidden", "below", "task", "deal", "iss", "act", "doc", "org", "sales"},
    LUX: {"note", "iss", "act", "doc", "org"},
}
"""What each person of the lab finds of it."""


async def write(lab):
    """Return ids by what they are: a customer with a note, a deal with a note and a task, an issue, articles."""
    customer = await lab.customer(
        "Fjordblick Möbel GmbH", email="kontor@fjordblick.example", phone="+49 40 5550 1777"
    )
    number = int(customer[5:])
    (deal,) = await lab.add(Deal, {"name": f"Chairs of {SAID}", "status": "open", "customer_id": number})
    about = {"customer_id": number, "subject_type": "customers", "subject_id": number}
    on_deal = {"customer_id": number, "subject_type": "deals", "subject_id": deal}
    (note,) = await lab.add(Note, {**about, "body": f"The {SAID} veneer came loose after a week."})
    (hidden,) = await lab.add(Note, {**on_deal, "body": f"They would pay 9,000 for {SAID}."})
    (task,) = await lab.add(Task, {**on_deal, "title": f"Send a sample of {SAID}"})
    (below,) = await lab.add(
        Note,
        {"customer_id": number, "subject_type": "tasks", "subject_id": task, "body": f"A sample of {SAID} costs 12."},
    )
    (issue,) = await lab.add(
        Issue,
        {
            "customer_id": number,
            "title": f"Scratched {SAID}",
            "status": "open",
            "priority": "low",
            "opened_at": "2026-01-02T03:04:05+00:00",
            "description": "The lorry was wet.",
        },
    )
    call = {"kind": "call", "subject": f"About {SAID}", "happened_at": "2026-01-02T03:04:05+00:00"}
    (act,) = await lab.add(Activity, {**about, **call})
    (doc,) = await lab.add(Document, {**about, "title": f"Drawing of {SAID}", "description": "Sheet 4"})
    common = {"title": "Care", "body": f"# Care\n\n## Oil\nOil {SAID} yearly.\n\n## Wax\nNever wax it."}
    (everybody,) = await lab.add(Article, {**common, "tags": Jsonb(["care"]), "access": "org", "roles": Jsonb([])})
    (sold,) = await lab.add(
        Article,
        {
            "title": "Margins",
            "body": f"{SAID} earns 40 %.",
            "tags": Jsonb(["care", "money"]),
            "access": "roles",
            "roles": Jsonb(["sales"]),
        },
    )
    (secret,) = await lab.add(
        Article,
        {
            "title": "Supplier",
            "body": f"{SAID} comes from Lyon.",
            "tags": Jsonb([]),
            "access": "admin",
            "roles": Jsonb([]),
        },
    )
    return {
        "cust": customer,
        "deal": f"deal_{deal}",
        "note": f"note_{note}",
        "hidden": f"note_{hidden}",
        "below": f"note_{below}",
        "task": f"task_{task}",
        "iss": f"iss_{issue}",
        "act": f"act_{act}",
        "doc": f"doc_{doc}",
        "org": f"art_{everybody}",
        "sales": f"art_{sold}",
        "admin": f"art_{secret}",
    }


async def found(lab, query, email=LEA, **asked):
    told = await lab.ask(TOOL, {"query": query, "limit": 25, **asked}, email)
    assert "passages" in told, told
    return told["passages"]


def ids_of(passages):
    return {one["id"] for one in passages}
