"""Results as clients get them (S0 §5.1, §5.2): structured, standing alone, with a compact text of the same."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from pydantic import BaseModel

from .errors import Refusal
from .fence import fenced
from .invisible import in_sight
from .jsonvalue import is_array, is_object
from .suspicious import finding
from .tool import Answer, Tool

BUDGET = 2000
"""Tokens a result may cost (S0 §9), at four characters a token."""
_PLAIN = frozenset({str, int, float, bool, type(None)})
_quoted = json.JSONEncoder(ensure_ascii=False, default=str).encode
_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_OURS_IN_META = (
    "waiting",
    "change",
    "nextCursor",
    "repeated",
    "suspicious",
    "suspiciousBesides",
    "suspiciousHint",
)
_OURS: dict[str, Any] = {
    **dict.fromkeys(("type", "action", "error", "group"), True),
    "_meta": dict.fromkeys(_OURS_IN_META, True),
}
"""What of a body nobody else ever writes."""
_OURS_OF_HELD: dict[str, Any] = {
    **_OURS,
    "draft": dict.fromkeys(("id", "state", "expiresAt", "alreadyWaiting"), True),
    "approvalActions": True,
}
"""The same of a call that is held."""
SAYING = 500
"""Characters kept free to say what was left out, and where the list goes on."""
LONG_TEXT = 1200
"""Characters of one text that are kept before anything else is left out."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is answered. `card` and `whole` are for pages in the chat alone: a draft's details, the record uncut."""

    body: dict[str, Any]
    is_error: bool = False
    card: Mapping[str, Any] | None = None
    whole: Any = None

    def text(self) -> str:
        """Return the compact rendering: this program's words, then between marks, a line a field, all that others wrote.

        What is not known to be this program's stands between the marks. What nobody sees is written as JSON escapes.
        """
        ours, theirs = _apart(self.body, _OURS_OF_HELD if self.body.get("type") == "approval_required" else _OURS)
        said = [*_lines(ours, ""), *([fenced("\n".join(_lines(theirs, "")))] if theirs else [])]
        return "\n".join(said)

    def saying(self, more: Mapping[str, Any]) -> "Envelope":
        """Return the same with more in its `_meta`."""
        return replace(self, body={**self.body, "_meta": {**self.body.get("_meta", {}), **more}}) if more else self


def result(tool: Tool, answer: Answer[Any], standing: Mapping[str, Any]) -> Envelope:
    """Return a record or records under their noun, trimmed to the token budget."""
    body: dict[str, Any] = {"type": "result", tool.noun: plain(answer.record)}
    body["_meta"] = {**(answer.meta or {}), **standing}
    body["_display"] = plain(answer.display)
    if answer.warnings:
        body["warnings"] = list(answer.warnings)
    if answer.did:
        body["summary"] = f"Done: {answer.did}."
    body = _within_budget(body, tool.noun)
    if answer.after is not None and (goes_on := answer.after(len(answer.listed(body[tool.noun])))) is not None:
        body["_meta"] = {**body["_meta"], "nextCursor": goes_on}
    return Envelope(body, card=answer.card, whole=plain(answer.record) if answer.whole else None)


def held(
    tool: Tool,
    draft: str,
    expires: datetime,
    did: str,
    verdict: str,
    url: str,
    joined: bool,
    standing: Mapping[str, Any],
    warnings: Sequence[str] = (),
) -> Envelope:
    """Return the answer to a held call: nothing has changed, a person decides."""
    return pointing(
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
            **({"warnings": list(warnings)} if warnings else {}),
            "approvalActions": [{"label": label, "url": f"{url}/drafts/{draft}"} for label in ("Review", "Discard")],
            "_meta": dict(standing),
        }
    )


def pointing(body: dict[str, Any], *, is_error: bool = False) -> Envelope:
    """Return an answer that is not to be shortened, with what in it looks suspicious pointed at."""
    marks = finding.marks(body, _written(body))
    return Envelope(body | {"_meta": {**body.get("_meta", {}), **marks}} if marks else body, is_error)


def several(tool: Tool, found: Sequence[Envelope], held: int, refused: int, url: str, group: int) -> Envelope:
    """Return the answers to the items of one call, in their order; an error only where every item met one.

    Each item says its number, what became of it, and its record, draft or error; the group is decided on one page.
    """
    items: list[dict[str, Any]] = []
    meta: dict[str, Any] = {}
    for number, one in enumerate(found, 1):
        body = {key: value for key, value in one.body.items() if key not in _OF_THE_CALL}
        kind = "error" if one.is_error else one.body["type"]
        items.append({"item": number, "type": kind, **{k: v for k, v in body.items() if k != "type"}})
        if "change" in (own := one.body.get("_meta", {})):
            items[-1]["change"] = own["change"]
        meta = {key: value for key, value in {**meta, **own}.items() if key not in _OF_AN_ITEM}
    done = len(found) - held - refused
    counts = ((done, "done"), (held, "waiting for approval"), (refused, "refused"))
    body: dict[str, Any] = {
        "type": "approval_required" if held else "result",
        "action": tool.name,
        "summary": f"{len(found)} items: " + ", ".join(f"{count} {word}" for count, word in counts if count) + ".",
        "items": items,
    }
    if held:
        body["group"] = str(group)
        body["approvalActions"] = [{"label": "Review all", "url": f"{url}/groups/{group}"}]
    body["_meta"] = meta
    return Envelope(_within_budget(body, "items"), is_error=refused == len(found))


_OF_AN_ITEM = frozenset({"change", "suspicious", "suspiciousBesides", "suspiciousHint"})
_OF_THE_CALL = frozenset({"_meta", "_display", "action", "approvalActions"})


def refused(refusal: Refusal) -> Envelope:
    return pointing(refusal.body(), is_error=True)


def crashed(call: int) -> Envelope:
    """Return all that is said of a crash: the call's id, by which the log knows more."""
    hint = "Something went wrong on our side; nothing was changed. Tell your administrator the call id."
    return Envelope({"error": "INTERNAL", "context": {"call": str(call), "hint": hint}}, is_error=True)


def plain(value: Any) -> Any:
    """Return a value as JSON types; decimals and times become text."""
    if type(value) in _PLAIN:
        return value
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
    """Cut long texts, then shorten the longest list, until the result fits; say what was left out and how to get it."""
    left_out: dict[str, int] = {}
    room = BUDGET * 4 - SAYING
    if marks := finding.marks(body, _shortened(body, noun, room, left_out)):
        written = _shortened(body, noun, room - _size(marks), left_out)
        body["_meta"] = {**body["_meta"], **finding.marks(body, written)}
    if left_out:
        how = "Ask for less at once: a smaller limit, fewer includes, a narrower filter."
        body["_meta"] = {**body["_meta"], "leftOut": left_out, "leftOutHint": how}
    return body


def _shortened(body: dict[str, Any], noun: str, room: int, left_out: dict[str, int]) -> str:
    """Shorten a body until it fits so many characters, counting what is `left_out`; return it as JSON."""
    while (excess := len(written := _written(body)) - room) > 0:
        texts, lists = _longest(body[noun], noun)
        if texts and len(texts.value) > LONG_TEXT + 1:
            keep = max(LONG_TEXT, len(texts.value) - excess - 1)
            texts.put(texts.value[:keep] + "…")
            cut = f"{texts.path} (characters)"
            left_out[cut] = left_out.get(cut, 0) + len(texts.value) - keep
        elif lists is not None:
            keep = max(1, min(len(lists.value) - 1, len(lists.value) * room // (room + excess)))
            left_out[lists.path] = left_out.get(lists.path, 0) + len(lists.value) - keep
            del lists.value[keep:]
        else:
            break
    return written


class _Part(NamedTuple):
    """A part of a result that can be shortened: where it is, and how to put another in its place."""

    path: str
    value: Any
    put: Callable[[Any], None]


def _longest(value: Any, path: str) -> tuple[_Part | None, _Part | None]:
    """Return the longest text and the largest list of more than one item inside a value."""
    parts = list(_parts(value, path, lambda _: None))
    texts = [part for part in parts if isinstance(part.value, str)]
    lists = [part for part in parts if is_array(part.value) and len(part.value) > 1]
    return (
        max(texts, key=lambda part: len(part.value), default=None),
        max(lists, key=lambda part: _size(part.value), default=None),
    )


def _parts(value: Any, path: str, put: Callable[[Any], None]) -> Iterator[_Part]:
    if isinstance(value, str) or is_array(value):
        yield _Part(path, value, put)
    if is_object(value):
        for key, inner in value.items():
            yield from _parts(inner, f"{path}.{key}", partial(value.__setitem__, key))
    elif is_array(value):
        for at, inner in enumerate(value):
            yield from _parts(inner, f"{path}.{at}" if not is_object(inner) else path, partial(value.__setitem__, at))


def _size(value: Any) -> int:
    return len(_written(value))


def _apart(body: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a body in two: what is said to be this program's, and the rest."""
    own: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for key, value in body.items():
        known = ours.get(key)
        if is_object(value) and is_object(known):
            mine, theirs = _apart(value, known)
            own |= {key: mine} if mine else {}
            rest |= {key: theirs} if theirs else {}
        else:
            (own if known is True else rest)[key] = value
    return own, rest


def _lines(value: Any, indent: str) -> list[str]:
    lines: list[str] = []
    pairs: list[tuple[str, Any]] = (
        [(f"{_name(k)}: ", v) for k, v in value.items()] if is_object(value) else [("- ", v) for v in value]
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
    if isinstance(value, str) and len(value) < 60 and value.replace(" ", "").replace("_", "").isalnum():
        return value
    return in_sight(_quoted(value))


def _name(key: str) -> str:
    return key if key.isidentifier() else in_sight(_quoted(key))
