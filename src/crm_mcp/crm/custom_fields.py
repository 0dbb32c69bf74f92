"""The fields that an org added to its records: their definitions, values checked by them, and filters over them."""

import difflib
import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

from sqlalchemy import select

from ..context import Write
from ..errors import Refusal
from .asking import Ask
from .entity import Entity, Kind
from .models import CustomField
from .terms import Term

FieldKind = Literal["text", "number", "date", "boolean", "choice", "url"]
PREFIX = "custom."
"""How a filter, a list and the provenance name the org's own fields."""
LONGEST, LONGEST_URL = 10_000, 2_000
"""Characters of a value."""
MOST = 200
"""Fields of one kind of record, and choices of one field."""
KEY = re.compile(r"[a-z][a-z0-9_]{0,59}", re.ASCII)
LISTED = """(select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('key', d.key, 'label', d.label, 'kind', d.kind,
   'description', d.description, 'choices', nullif(d.choices, '[]'), 'required', nullif(d.is_required, false))) order by d.key), '[]')
 from crm.custom_field_definitions d where d.org_id = %(org)s and d.entity = {table} and d.archived_at is null)"""
"""The SQL expression of the definitions of a table's own fields; `{table}` is an expression too."""
SHOWN = """(select jsonb_object_agg(v.key, jsonb_build_object('label', coalesce(d.label, v.key), 'value', v.value))
 from jsonb_each({row}.custom_fields) v left join crm.custom_field_definitions d on d.org_id = %(org)s and d.entity = '{table}'
  and d.key = v.key where d.archived_at is null and v.value <> 'null')"""
"""The SQL expression of a row's own fields with their labels, without those whose definition is archived."""
_DEFINED = f"select {LISTED.format(table='%(table)s::text')}"
_USED = """select count(*) from crm.{table} r where r.org_id = %(org)s and r.archived_at is null
 and r.custom_fields ->> %(key)s::text <> all (%(choices)s::text[])"""
_KINDS: Mapping[str, Kind] = {
    "text": Kind.TEXT,
    "url": Kind.TEXT,
    "number": Kind.NUMBER,
    "date": Kind.DATE,
    "boolean": Kind.FLAG,
    "choice": Kind.CHOICE,
}
_DUE = {
    "text": f"text of at most {LONGEST} characters",
    "number": "a number",
    "date": "a date such as 2026-01-31",
    "boolean": "true or false",
    "choice": "one of its choices",
    "url": f"an address that begins with http:// or https://, of at most {LONGEST_URL} characters",
}


class Definition(NamedTuple):
    key: str
    label: str
    kind: str
    choices: tuple[str, ...] = ()
    required: bool = False


async def defined(ask: Ask, table: str) -> Mapping[str, Definition]:
    """Return the org's own fields of a table by key."""
    row = await ask(_DEFINED, table=table)
    rows: list[dict[str, Any]] = row[0] if row else []
    found = (
        Definition(d["key"], d["label"], d["kind"], tuple(d.get("choices", ())), d.get("required", False))
        for d in rows
    )
    return {one.key: one for one in found}


async def check(ask: Ask, table: str, values: Mapping[str, Any], *, creating: bool = False) -> dict[str, Any]:
    """Return values of a record's own fields as they are kept; null clears one.

    Raises:
        Refusal: UNKNOWN_CUSTOM_FIELD, naming the nearest; INVALID_CUSTOM_FIELD, saying what is due;
            CUSTOM_FIELD_REQUIRED, where a record is made without it, or one is cleared.
    """
    known = await defined(ask, table)
    checked: dict[str, Any] = {}
    for key, value in values.items():
        definition = known.get(key)
        if definition is None:
            raise unknown(table, key, known)
        checked[key] = None if value is None else _checked(definition, value)
    for definition in known.values():
        is_cleared = definition.key in checked and checked[definition.key] in (None, "")
        if definition.required and (is_cleared or (creating and definition.key not in checked)):
            hint = f"{PREFIX}{definition.key} ({definition.label}) is required: give {_due(definition)}."
            raise Refusal("CUSTOM_FIELD_REQUIRED", hint, field=PREFIX + definition.key)
    return checked


def terms(known: Mapping[str, Definition], row: str = "r") -> tuple[Mapping[str, Term], Mapping[str, object]]:
    """Return the org's own fields as those of a list and its filters, and the parameters that they name."""
    found: dict[str, Term] = {}
    params: dict[str, object] = {}
    for at, definition in enumerate(known.values()):
        params[f"custom{at}"] = definition.key
        value = f"({row}.custom_fields -> %(custom{at})s::text)"
        text = f"({row}.custom_fields ->> %(custom{at})s::text)"
        name, kind, cast, sql = PREFIX + definition.key, _KINDS[definition.kind], "text", text
        if kind is Kind.NUMBER:
            cast, sql = "numeric", f"(case when jsonb_typeof({value}) = 'number' then {text}::numeric end)"
        elif kind is Kind.FLAG:
            cast, sql = "boolean", f"(case when jsonb_typeof({value}) = 'boolean' then {text}::boolean end)"
        elif kind is Kind.DATE:
            # ISO dates sort as text does, and one that an import brought unchecked is no error
            sql = f'({text} collate "C")'
        shown = f"{sql}::text" if kind is Kind.NUMBER else value
        found[name] = Term(name, kind, sql, shown, cast, definition.choices)
    return found, params


async def define(
    ctx: Write,
    ask: Ask,
    entity: Entity,
    key: str,
    action: Literal["create", "update", "archive"],
    given: Mapping[str, Any],
) -> tuple[CustomField, list[str]]:
    """Create, change or archive a definition; return it, and what whoever approves it should know.

    `given` holds label, kind, choices, description and is_required, as far as they are said.

    Raises:
        Refusal: INVALID_ARGUMENT, CUSTOM_FIELD_EXISTS, UNKNOWN_CUSTOM_FIELD, CUSTOM_FIELD_KIND_FIXED, TOO_MANY_CUSTOM_FIELDS,
            NOTHING_TO_CHANGE.
    """
    known = await defined(ask, entity.table)
    if action == "create":
        return await _create(ctx, entity, key, given, known), []
    if key not in known:
        raise unknown(entity.table, key, known)
    found = await _kept(ctx, entity, key)
    assert found is not None
    if action == "archive":
        found.archived_at = ctx.now
        return found, ["Its values stay in the records, out of sight."]
    if given.get("kind") not in (None, found.kind):
        hint = "The values that there are have another kind: archive it, and create another."
        raise Refusal("CUSTOM_FIELD_KIND_FIXED", hint, field=PREFIX + key, kind=found.kind)
    changed = {name: value for name, value in given.items() if value is not None and getattr(found, name) != value}
    if not changed:
        raise Refusal("NOTHING_TO_CHANGE", "The definition says so already.", field=PREFIX + key)
    _shape(key, found.kind, changed.get("choices", found.choices))
    for name, value in changed.items():
        setattr(found, name, value)
    return found, await _left_over(ask, entity, found) if "choices" in changed else []


def unknown(table: str, key: str, known: Mapping[str, Definition]) -> Refusal:
    near = difflib.get_close_matches(key[:60].lower(), known, 1, 0.5)
    hint = f"{table} have no own field {key[:60]!r}."
    hint += f" Did you mean {near[0]!r}?" if near else " An administrator defines one with define_custom_field."
    return Refusal("UNKNOWN_CUSTOM_FIELD", hint, field=PREFIX + key[:60], known=list(known)[:50])


async def _create(
    ctx: Write, entity: Entity, key: str, given: Mapping[str, Any], known: Mapping[str, Definition]
) -> CustomField:
    said = {name: value for name, value in given.items() if value is not None}
    kind = said.get("kind", "choice" if said.get("choices") else "text")
    if not KEY.fullmatch(key):
        hint = "key: give small letters, digits and underscores, a letter first, such as contract_until."
        raise Refusal("INVALID_ARGUMENT", hint, argument="key")
    if key in known:
        hint = 'There is such a field: change it with action "update", or give another key.'
        raise Refusal("CUSTOM_FIELD_EXISTS", hint, field=PREFIX + key)
    if key in entity.fields():
        hint = f"{entity.table} have a field {key!r} already: use that one, or give another key."
        raise Refusal("CUSTOM_FIELD_EXISTS", hint, field=key)
    if len(known) >= MOST:
        raise Refusal("TOO_MANY_CUSTOM_FIELDS", f"There are {MOST} already: archive one first.", entity=entity.table)
    _shape(key, kind, said.get("choices", []))
    values = {"label": key.replace("_", " ").capitalize(), **said, "kind": kind}
    if (past := await _kept(ctx, entity, key)) is not None:
        if past.kind != kind:
            hint = f"An archived field of this key holds values of the kind {past.kind}: give another key."
            raise Refusal("CUSTOM_FIELD_KIND_FIXED", hint, field=PREFIX + key, kind=past.kind)
        for name, value in {**values, "archived_at": None}.items():
            setattr(past, name, value)
        return past
    made = CustomField(org_id=ctx.principal.org, entity=entity.table, key=key, **values)
    ctx.session.add(made)
    return made


async def _kept(ctx: Write, entity: Entity, key: str) -> CustomField | None:
    """Return the definition of a key, archived or not."""
    asked = select(CustomField).where(
        CustomField.org_id == ctx.principal.org, CustomField.entity == entity.table, CustomField.key == key
    )
    return (await ctx.session.execute(asked)).scalar_one_or_none()


async def _left_over(ask: Ask, entity: Entity, field: CustomField) -> list[str]:
    row = await ask(_USED.format(table=entity.table), key=field.key, choices=field.choices)
    count = row[0] if row else 0
    return [f"{count} records hold a choice that is no longer offered; they keep it."] if count else []


def _shape(key: str, kind: str, choices: list[str]) -> None:
    """Hold choices to their kind.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if (kind == "choice") != bool(choices):
        hint = "choices: a field of the kind choice needs them, and no other has any."
        raise Refusal("INVALID_ARGUMENT", hint, argument="choices", field=PREFIX + key)
    if len({one.lower() for one in choices}) < len(choices):
        hint = "choices: two of them differ in case at most; give each once."
        raise Refusal("INVALID_ARGUMENT", hint, argument="choices", field=PREFIX + key)


def _checked(definition: Definition, value: Any) -> Any:
    """Return a value as it is kept.

    Raises:
        Refusal: INVALID_CUSTOM_FIELD.
    """
    match definition.kind, value:
        case "choice", str():
            word = next((one for one in definition.choices if one.lower() == value.strip().lower()), None)
            if word is not None:
                return word
        case "text", str() if len(value) <= LONGEST:
            return value
        case "url", str() if len(value) <= LONGEST_URL and re.match(r"https?://[^\s/]", value, re.IGNORECASE):
            return value
        case "boolean", bool():
            return value
        case "number", int() | float() if not isinstance(value, bool) and abs(value) < 1e24:
            return value
        case "date", str() if _is_day(value):
            return value
        case _:
            pass
    choices = {"known": list(definition.choices)[:20]} if definition.choices else {}
    near = ""
    if choices and isinstance(value, str):
        close = difflib.get_close_matches(value[:60], definition.choices, 1, 0.4)
        near = f" Did you mean {close[0]!r}?" if close else ""
    hint = f"{PREFIX}{definition.key}: give {_due(definition)}.{near}"
    raise Refusal("INVALID_CUSTOM_FIELD", hint, field=PREFIX + definition.key, **choices)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _due(definition: Definition) -> str:
    return _DUE[definition.kind]
