"""What the card in the chat is told of a draft besides the model's answer: tables as on the page, and a form."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ...approvals.cells import money, zone_of
from ...approvals.letter import TOOL, Sheet, sheet_of
from ...approvals.record import record_of
from ...approvals.text import label
from ...catalog import Catalog
from ...errors import UnknownTool
from ...principal import Principal
from .form import form_of


def details(kept: Mapping[str, Any], catalog: Catalog, who: Principal) -> dict[str, Any]:
    """Return a draft as the card lays it out; the form and the button to withdraw it are for whoever drafted it."""
    record = kept.get("record")
    letter = sheet_of(record) if kept["action"] == TOOL else None
    shown = None if letter else record_of(record, zone_of(who.timezone))
    amount: Any = kept.get("amount")
    mine = kept["mine"] and kept["state"] == "pending"
    said: dict[str, Any] = {
        "title": label(str(kept["action"])),
        "amount": money(amount["amount"], str(amount["currency"])) if amount else None,
        "why": kept.get("why"),
        "author": _author(kept),
        "confidence": kept.get("confidence"),
        "held": kept.get("held"),
        "did": kept.get("did"),
        "letter": None if letter is None else _letter(letter),
        "record": None if shown is None else asdict(shown),
        "version": kept.get("version"),
        "mayDiscard": mine and _may(catalog, who, "discard_draft"),
    }
    if mine and _may(catalog, who, "revise_draft"):
        said["form"] = _form(kept, catalog, who)
    return {key: value for key, value in said.items() if value is not None}


def _may(catalog: Catalog, who: Principal, name: str) -> bool:
    return any(tool["name"] == name for tool in catalog.visible_to(who))


def _form(kept: Mapping[str, Any], catalog: Catalog, who: Principal) -> list[dict[str, Any]] | None:
    try:
        tool = catalog.find(str(kept["action"]), who)
    except UnknownTool:
        return None
    return form_of(tool.args, kept["arguments"]) or None


def _author(kept: Mapping[str, Any]) -> str:
    agent, client = kept.get("agent"), kept.get("client")
    return (f"{label(agent)} agent" if agent else "an AI client") + (f", {client}" if client else "")


def _letter(sheet: Sheet) -> dict[str, Any]:
    told = asdict(sheet)
    told["files"] = [f"{name} ({size})" for name, _, size in sheet.files]
    return told
