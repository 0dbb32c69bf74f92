"""What is remembered of one call: its tool, the ids that it answered with, the record it showed, the customer it was about."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from .. import ids
from ..jsonvalue import is_array, is_object
from ..tool import Effect, Tool
from .memory import MOST_IDS, Act, Memory, Place

UNTOLD = frozenset({"account", "memory", "drafts", "settings"})
"""Toolsets whose reads are no step of anybody's work; what they change is remembered all the same."""
NAMED = ("customer", "about", "record")
"""Arguments that name a customer."""


def noted(tool: Tool, raw: Mapping[str, Any], body: Mapping[str, Any], call: int, at: datetime) -> Memory:
    """Return what to remember of an answered call; nothing of one that was refused."""
    if "error" in body:
        return Memory()
    writes = tool.effect is not Effect.READ
    if not writes and tool.toolset in UNTOLD:
        return Memory()
    record = body.get(tool.noun)
    page = _id(record) if not writes and not tool.many else None
    customer = page if _is_customer(page) else _customer(record) or _named(raw)
    told = tuple(dict.fromkeys(_ids(body, record)))[:MOST_IDS]
    return Memory(
        Place(page, tool.name, call, at) if page else None,
        Place(customer, tool.name, call, at) if customer else None,
        (Act(tool.name, told, call, at, writes),) if told or writes or tool.toolset == "reports" else (),
    )


def _ids(body: Mapping[str, Any], record: Any) -> Iterator[str]:
    """Yield the ids in an answer: of the change and the draft, by which it is followed and undone, then of records."""
    meta = body.get("_meta")
    parts = [body, *(body.get("items") or ())]
    for one in (meta, *parts):
        if is_object(one) and isinstance(change := one.get("change"), str):
            yield change
    for part in parts:
        if is_object(part) and (draft := _id(part.get("draft"))):
            yield draft
    for one in record if is_array(record) else (record,):
        if found := _id(one):
            yield found


def _id(record: Any) -> str | None:
    found = record.get("id") if is_object(record) else None
    return found if isinstance(found, str) and ids.is_id(found) else None


def _customer(record: Any) -> str | None:
    found = _id(record.get("customer")) if is_object(record) else None
    return found if _is_customer(found) else None


def _named(raw: Mapping[str, Any]) -> str | None:
    return next((one for name in NAMED if isinstance(one := raw.get(name), str) and _is_customer(one)), None)


def _is_customer(text: str | None) -> bool:
    return text is not None and text.startswith("cust_") and ids.is_id(text)
