"""The fields that an org added to its records: what may stand in them."""

import difflib
import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from ..errors import Refusal
from ..invisible import is_blank
from .asking import Ask

LONGEST = 4000
_DEFINED = """select coalesce(jsonb_object_agg(d.key, jsonb_build_object('kind', d.kind, 'choices', d.choices, 'required', d.is_required)), '{}')
 from crm.custom_field_definitions d where d.org_id = %(org)s and d.entity = %(entity)s and d.archived_at is null"""


async def check(ask: Ask, entity: str, values: Mapping[str, Any], creating: bool) -> dict[str, Any]:
    """Return the values of an entity's own fields as they are kept; None clears one.

    Raises:
        Refusal: INVALID_ARGUMENT, naming the field, what is wrong and the nearest.
    """
    row = await ask(_DEFINED, entity=entity)
    defined: dict[str, Any] = row[0] if row else {}
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if key not in defined:
            near = difflib.get_close_matches(key[:60], defined, 1, 0.5)
            hint = f"There is no own field {key[:60]!r} of {entity}." + (
                f" Did you mean {near[0]!r}?" if near else ""
            )
            raise Refusal("INVALID_ARGUMENT", hint, argument="custom", known=sorted(defined))
        kept[key] = None if value is None else _read(f"custom.{key}", defined[key], value)
    missing = sorted(
        key
        for key, one in defined.items()
        if one["required"] and (kept.get(key) is None if creating else key in kept and kept[key] is None)
    )
    if missing:
        hint = f"custom: {', '.join(missing)} cannot be without a value."
        raise Refusal("INVALID_ARGUMENT", hint, argument="custom", missing=missing)
    return kept


def _read(name: str, field: Mapping[str, Any], value: Any) -> Any:
    match field["kind"]:
        case "number":
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise _wrong(name, "is a number")
            if abs(value) >= 10**15:
                raise _wrong(name, "is too large")
            return value
        case "boolean":
            if not isinstance(value, bool):
                raise _wrong(name, "is true or false")
            return value
        case kind:
            text = _text(name, value)
    choices: list[str] = field["choices"]
    if kind == "choice" and text not in choices:
        near = difflib.get_close_matches(text, choices, 1, 0.5)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise _wrong(name, f"is one of {', '.join(choices)}{meant}")
    if kind == "date" and not _is_day(text):
        raise _wrong(name, "is a day as YYYY-MM-DD")
    if kind == "url" and not re.match(r"https?://\S+$", text):
        raise _wrong(name, "is a web address that begins with https://")
    return text


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or is_blank(value):
        raise _wrong(name, "is a text that says something")
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise _wrong(name, "holds a character that cannot be kept")
    if len(value) > LONGEST:
        raise _wrong(name, f"has {len(value)} characters; {LONGEST} are kept")
    return value


def _is_day(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII)) and date.fromisoformat(text).year >= 1
    except ValueError:
        return False


def _wrong(name: str, what: str) -> Refusal:
    return Refusal("INVALID_ARGUMENT", f"{name}: {what}.", argument=name)
