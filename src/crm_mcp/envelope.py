"""Results as clients get them (S0 §5.1, §5.2): structured, standing alone, with a compact text of the same."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from .errors import Refusal
from .jsonvalue import is_array, is_object
from .tool import Answer, Tool

BUDGET = 2000
"""Tokens a result may cost (S0 §9), at four characters a token."""


@dataclass(frozen=True, slots=True)
class Envelope:
    body: dict[str, Any]
    is_error: bool = False

    def text(self) -> str:
        """Return the compact rendering: one line a field, every text value quoted as data."""
        return "\n".join(_lines(self.body, ""))


def result(tool: Tool, answer: Answer[Any], standing: Mapping[str, Any]) -> Envelope:
    """Return a record or records under their noun, trimmed to the token budget."""
    body: dict[str, Any] = {"type": "result", tool.noun: plain(answer.record)}
    body["_meta"] = {**(answer.meta or {}), **standing}
    body["_display"] = plain(answer.display)
    if answer.did:
        body["summary"] = f"Done: {answer.did}."
    return Envelope(_within_budget(body, tool.noun))


def held(
    tool: Tool,
    draft: str,
    expires: datetime,
    did: str,
    verdict: str,
    url: str,
    joined: bool,
    standing: Mapping[str, Any],
) -> Envelope:
    """Return the answer to a held call: nothing has changed, a person decides."""
    return Envelope(
        {
            "type": "approval_required",
            "action": tool.name,
            "summary": f"Nothing has changed yet. It would {did}.",
            "draft": {
                "id": draft,
                "state": "pending",
                "expiresAt": expires.isoformat(),
                "reason": verdict,
                **({"alreadyWaiting": True} if joined else {}),
            },
            "approvalActions": [{"label": label, "url": f"{url}/drafts/{draft}"} for label in ("Review", "Discard")],
            "_meta": dict(standing),
        }
    )


def refused(refusal: Refusal) -> Envelope:
    return Envelope(refusal.body(), is_error=True)


def crashed(call: int) -> Envelope:
    """Return all that is said of a crash: the call's id, by which the log knows more."""
    hint = "Something went wrong on our side; nothing was changed. Tell your administrator the call id."
    return Envelope({"error": "INTERNAL", "context": {"call": str(call), "hint": hint}}, is_error=True)


def plain(value: Any) -> Any:
    """Return a value as JSON types; decimals and times become text."""
    if is_object(value):
        return {str(k): plain(v) for k, v in value.items() if v is not None}
    if is_array(value):
        return [plain(v) for v in value]
    match value:
        case BaseModel():
            return plain(value.model_dump(mode="python", by_alias=True, exclude_none=True))
        case Decimal():
            return str(value)
        case datetime() | date():
            return value.isoformat()
        case _:
            return value


def _within_budget(body: dict[str, Any], noun: str) -> dict[str, Any]:
    """Shorten the longest list until the result fits, and say what was left out and how to get it."""
    left_out: dict[str, int] = {}
    size = _size(body)
    while size > BUDGET * 4:
        lists = [found for found in _lists(body[noun], noun) if len(found[1]) > 1]
        if not lists:
            break
        path, longest = max(lists, key=lambda found: _size(found[1]))
        keep = max(1, min(len(longest) - 1, int(len(longest) * BUDGET * 4 / size)))
        left_out[path] = left_out.get(path, 0) + len(longest) - keep
        del longest[keep:]
        size = _size(body)
    if left_out:
        how = "Ask for less at once: a smaller limit, fewer includes, a narrower filter."
        body["_meta"] = {**body["_meta"], "leftOut": left_out, "leftOutHint": how}
        if noun in left_out:
            body["_meta"].pop("nextCursor", None)
    return body


def _lists(value: Any, path: str) -> list[tuple[str, list[Any]]]:
    found: list[tuple[str, list[Any]]] = []
    if is_array(value):
        found.append((path, value))
    elif is_object(value):
        for key, part in value.items():
            found += _lists(part, f"{path}.{key}")
    return found


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _lines(value: Any, indent: str) -> list[str]:
    lines: list[str] = []
    pairs: list[tuple[str, Any]] = (
        [(f"{k}: ", v) for k, v in value.items()] if is_object(value) else [("- ", v) for v in value]
    )
    for key, part in pairs:
        if is_object(part) and set(part) == {"amount", "currency"}:
            lines.append(f"{indent}{key}{part['currency']} {part['amount']}")
        elif (is_object(part) or is_array(part)) and part:
            lines.append(f"{indent}{key}".rstrip())
            lines += _lines(part, indent + "  ")
        else:
            lines.append(f"{indent}{key}{_scalar(part)}")
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, str) and value.replace(" ", "").replace("_", "").isalnum() and len(value) < 60:
        return value
    return json.dumps(value, ensure_ascii=False)
