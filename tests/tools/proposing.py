"""Changes proposed in the lab, and decided as its people would on the page."""

from typing import Any

from lab import LEA, LOU, Lab
from sale import decide

from crm_mcp import ids
from crm_mcp.crm.entities import ENTITIES

RECORDS: dict[str, dict[str, Any]] = {
    "organizations": {"name": "Acme Ltd", "website": "https://www.acme.example", "employees": 40, "technologies": ["Postgres"]},
    "individuals": {"first_name": "Jane", "last_name": "Doe", "title": "CTO", "email": "jane@acme.example"},
    "contacts": {"name": "Jo Roe", "phone": "+44 20 7946 0000"},
    "customers": {"name": "Acme", "segment": "retail", "city": "Leeds"},
    "deals": {"name": "Desks for Acme", "amount": "1250.50", "currency": "EUR", "expected_close_on": "2026-12-31"},
    "leads": {"kind": "job", "name": "Head of Data", "salary_min": 90000, "currency": "EUR", "is_remote": True},
    "projects": {"name": "Roll-out", "status": "active", "starts_on": "2026-01-01", "due_on": "2026-03-01"},
    "tasks": {"title": "Call back", "priority": "high", "due_on": "2026-12-01"},
    "notes": {"body": "They moved house."},
    "documents": {"title": "Contract", "url": "https://acme.example/contract.pdf"},
    "issues": {"title": "Drawer sticks", "type": "complaint", "priority": "high"},
    "products": {"name": "Desk", "unit_price": "99.90", "currency": "EUR"},
}  # fmt: skip
"""Data of one record of each kind, without what it names and what must be its own."""
CHANGED: dict[str, dict[str, Any]] = {
    "organizations": {"employees": 41, "website": None},
    "individuals": {"title": "CEO", "email": None},
    "contacts": {"title": "Buyer", "phone": None},
    "customers": {"segment": None, "city": "York"},
    "deals": {"status": "won", "signed_on": "2026-11-01", "expected_close_on": None},
    "leads": {"status": "Interview", "salary_max": "95000", "is_remote": None},
    "projects": {"status": "done", "due_on": None},
    "tasks": {"title": "Call her back", "due_on": None},
    "notes": {"body": "They moved to Leeds."},
    "documents": {"title": "Contract of 2026", "url": None},
    "issues": {"priority": "urgent", "assignee": "me"},
    "products": {"unit_price": 89.5, "category": "office"},
}
"""What is then to be different."""


async def propose(lab: Lab, *changes: dict[str, Any], by: str = LOU, **more: Any) -> dict[str, Any]:
    """Propose changes as a person of the lab; an item's action and entity come first."""
    return await lab.ask("propose_changes", {"changes": list(changes), "reason": "a test asks", **more}, by)


def change(action: str, entity: str, **more: Any) -> dict[str, Any]:
    return {"proposed_action": action, "entity_type": entity, **more}


async def done(lab: Lab, executor: Any, person: Any, one: dict[str, Any], by: str = LOU) -> dict[str, Any]:
    """Propose one change and approve it where it is held; return its result: record and sentence."""
    told = await propose(lab, one, by=by)
    if told.get("type") == "result":
        return {"record": told["record"], "did": told["summary"]}
    assert told.get("type") == "approval_required", told
    outcome = await decide(executor, await person(LEA), told)
    assert outcome.state == "approved", outcome
    return outcome.result


async def subject(lab: Lab, entity: str, mark: str) -> dict[str, Any]:
    """Return data of a record of a kind, with a customer of its own where it needs one."""
    data = dict(RECORDS[entity])
    if entity == "products":
        data["sku"] = f"SKU-{mark}"
    if entity in ("contacts", "issues"):
        data["customer"] = await lab.customer(f"Owner {mark}")
    if entity == "notes":
        data["about"] = await lab.customer(f"Owner {mark}")
    return data


def writer(entity: str) -> str:
    """Return a person of the lab who may write records of a kind."""
    return LEA if entity in ("issues", "products") else LOU


def number(text: str) -> int:
    return int(text.partition("_")[2])


def table_of(text: str) -> str:
    return next(table for table in ENTITIES if ids.PREFIX[table] == text.partition("_")[0])
