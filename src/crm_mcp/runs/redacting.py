"""Messages as they may be kept: without personal data, and without what every request repeats.

Works on the JSON form of pydantic-ai's messages, so that who reads what was kept needs no library of models.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..jsonvalue import is_array, is_object
from ..memory.redaction import KINDS, redact

Message = Mapping[str, Any]
_SAID = frozenset({"content", "args"})
"""The fields of a part that hold words of people, models and tools; the others hold ids, names of tools and times."""
_PROGRAM = "system-prompt"


class Kept(NamedTuple):
    """A message as it is stored: without personal data, and as it was."""

    kind: str
    content: Message
    exact: Message
    redacted: tuple[str, ...]
    tokens: int


def kept(message: Message, region: str | None = None) -> Kept:
    """Return how a message is stored; `region` (ISO 3166) is where phone numbers without a country code are dialled.

    The program's own instructions go: they are made anew for each request. Tokens are characters of what is said / 4.
    """
    exact = {**message, "instructions": None} if "instructions" in message else dict(message)
    exact["parts"] = [part for part in message.get("parts", ()) if part.get("part_kind") != _PROGRAM]
    found: set[str] = set()
    parts = [_without(part, region, found) for part in exact["parts"]]
    said = sum(len(_text(part[name])) for part in exact["parts"] for name in _SAID & part.keys())
    return Kept(
        str(message["kind"]),
        {**exact, "parts": parts},
        exact,
        tuple(kind for kind in KINDS if kind in found),
        max(1, said // 4),
    )


def _without(part: Mapping[str, Any], region: str | None, found: set[str]) -> dict[str, Any]:
    return {name: _cleaned(value, name, region, found) if name in _SAID else value for name, value in part.items()}


def _cleaned(value: Any, name: str, region: str | None, found: set[str]) -> Any:
    if name == "args" and isinstance(value, str):
        try:
            return json.dumps(cleaned(json.loads(value), region, found), ensure_ascii=False)
        except ValueError:
            pass  # a model's call that is no JSON is kept as the text that it is
    return cleaned(value, region, found)


def cleaned(value: Any, region: str | None, found: set[str]) -> Any:
    """Return a JSON value with personal data replaced in every text, key and number of it; add its kinds to `found`."""
    if isinstance(value, str):
        return _redacted(value, region, found)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        text = _redacted(str(value), region, found)
        return value if text == str(value) else text
    if is_object(value):
        return {_redacted(key, region, found): cleaned(inner, region, found) for key, inner in value.items()}
    if is_array(value):
        return [cleaned(inner, region, found) for inner in value]
    return value


def without_personal_data(text: str, region: str | None = None) -> str:
    """Return a text as it may be kept."""
    return redact(text, region).text


def _redacted(text: str, region: str | None, found: set[str]) -> str:
    left = redact(text, region)
    found.update(left.kinds)
    return left.text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def tools_of(messages: Sequence[Message]) -> list[str]:
    """Return the names of the tools that were called, in order, each once for each call."""
    parts = [part for message in messages for part in message.get("parts", ())]
    return [str(part["tool_name"]) for part in parts if part.get("part_kind") == "tool-call"]


def storable(value: Any) -> Any:
    """Return a JSON value without what Postgres keeps in no text: NUL, and halves of characters."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if is_object(value):
        return {storable(str(key)): storable(inner) for key, inner in value.items()}
    if is_array(value):
        return [storable(inner) for inner in value]
    return value
