"""What is given for the fields of a record, read as its columns hold it."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Integer, Numeric

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..invisible import is_blank
from ..jsonvalue import is_array, is_object
from ..money import minor_units
from . import asking, people, subjects
from .addresses import NotAnAddress, idna, parse
from .entity import Entity, Field, Kind

ABOUT, CUSTOM = "about", "custom"
"""Names beside the fields: what a task, a note or a document is about, and the org's own fields."""
LONGEST: Mapping[str, int] = {
    "name": 400, "title": 200, "first_name": 200, "last_name": 200, "description": 10_000, "body": 10_000, "email": 320,
    "phone": 100, "domain": 253, "website": 2000, "url": 2000, "linkedin_url": 2000, "industry": 200, "segment": 200,
    "street": 400, "city": 200, "region": 200, "postal_code": 40, "country": 100, "tax_number": 50, "source": 400,
    "lost_reason": 1000, "role": 400, "seniority": 100, "location": 400, "need": 4000, "decision_maker": 400,
    "timeline": 400, "type": 100, "scope": 4000, "territory": 400, "outcome": 2000, "resolution": 10_000, "sku": 200,
    "category": 200, "unit": 200, "tax_class": 40, "media_type": 200,
}  # fmt: skip
"""Characters of a text; a test holds them within what the database takes."""
TITLES = frozenset({"tasks", "documents", "issues"})
"""Whose title is a name, and as long as one."""
CALLED: Mapping[str, str] = {"account": "customer", "company": "organization", "person": "individual"}
"""What S2 and S3 call the references."""
FOLLOWS: Mapping[tuple[str, str], str] = {
    ("customers", "credit_limit"): "it is agreed elsewhere; an import sets it",
    ("customers", "tax_zone"): "it is agreed elsewhere; an import sets it",
    ("customers", "payment_terms_days"): "it is agreed elsewhere; an import sets it",
    ("deals", "base_amount"): "it follows from amount and currency",
    ("deals", "closed_at"): "it follows from status",
    ("leads", "converted_at"): "it follows from status",
    ("projects", "completed_at"): "it follows from status",
    ("tasks", "completed_at"): "it follows from status; complete_task sets both",
    ("tasks", "customer"): "it follows from about",
    ("notes", "customer"): "it follows from about",
    ("documents", "customer"): "it follows from about",
    ("documents", "blob"): "give a url; files come with imports",
}
"""Why a field is not written directly, and what does."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_AMOUNT = re.compile(r"-?\d{1,15}(\.\d{1,4})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_CLASS = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE | re.ASCII)
_MOST_IN_A_LIST, _LONGEST_IN_A_LIST = 100, 200
_URLS = frozenset({"website", "linkedin_url", "url"})


@dataclass
class Given:
    """Values by the fields' names, None where one is to be cleared; records that were named, by field; warnings."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    named: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    about: str | None = None
    custom: Mapping[str, Any] | None = None
    warnings: list[str] = field(default_factory=list[str])


async def read(ctx: Write, entity: Entity, kind: str | None, raw: Mapping[str, Any]) -> Given:
    """Read what is given for a record of a kind of leads, or of an entity that has no kinds.

    Raises:
        Refusal: INVALID_ARGUMENT, naming the field, what is wrong and the nearest; …_NOT_FOUND; those of `people.find`.
    """
    fields, given = entity.fields(kind), Given()
    for key, value in raw.items():
        if key in (CUSTOM, "custom_fields"):
            given.custom = _custom(value)
        elif key == ABOUT and entity.about:
            given.about = None if value is None else _plain(ABOUT, value, 60)
        else:
            one, as_number = _meant(entity, fields, key)
            if one.name in given.values:
                raise wrong(one.name, "is given twice")
            given.values[one.name] = await _value(ctx, entity, one, value, as_number, given)
    return given


def longest(entity: Entity, name: str) -> int:
    """Return how many characters a text field keeps."""
    return 400 if name == "title" and entity.table in TITLES else LONGEST.get(name, 200)


def wrong(argument: str, what: str, **more: object) -> Refusal:
    return Refusal("INVALID_ARGUMENT", f"{argument}: {what}.", argument=argument, **more)


def column_of(entity: Entity, one: Field) -> Any:
    return (one.part or entity.model).__table__.columns[one.column]


def is_money(entity: Entity, one: Field) -> bool:
    kind = column_of(entity, one).type
    return isinstance(kind, Numeric) and kind.precision == 19


def reference(table: str, argument: str, value: Any, as_number: bool) -> str:
    """Return the typed id that a value stands for: org_12 as it is; 12 where the argument is named as S3 does.

    Raises:
        Refusal: INVALID_ARGUMENT, INVALID_ID.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if as_number and 0 < value < 10**18:
            return ids.show(table, value)
        raise wrong(argument, f"give an id like {ids.PREFIX[table]}_123")
    text = _plain(argument, value, 60)
    return ids.show(table, int(text)) if as_number and re.fullmatch(r"[1-9]\d{0,17}", text, re.ASCII) else text


def host(text: str) -> str | None:
    """Return the web domain in an address of a site, lower case, without www; None where there is none."""
    bare = re.sub(r"^[a-z]+://", "", text.strip().lower()).partition("/")[0].partition("?")[0].partition("#")[0]
    return idna(bare.rpartition("@")[2].partition(":")[0].removeprefix("www."))


def _meant(entity: Entity, fields: Mapping[str, Field], key: str) -> tuple[Field, bool]:
    """Return the field that a key names, and whether it is named as a number: organization_id."""
    bare = key.removesuffix("_id")
    name = next((n for n in (key, bare, CALLED.get(bare, bare)) if n in fields), None)
    if name is None:
        raise _unknown(entity, fields, key)
    found = fields[name]
    if not found.is_writable:
        why = FOLLOWS.get(
            (entity.table, name), "it follows from what is done with the record; update_issue does that"
        )
        raise wrong(name, f"is not written directly: {why}")
    return found, key != name and key.endswith("_id")


def _unknown(entity: Entity, fields: Mapping[str, Field], key: str) -> Refusal:
    known = [*(name for name, one in fields.items() if one.is_writable), *([ABOUT] if entity.about else []), CUSTOM]
    others = [kind for kind in entity.parts if key in entity.fields(kind)]
    near = difflib.get_close_matches(key[:60], known, 1, 0.5)
    hint = f"There is no field {key[:60]!r} of {entity.table}."
    if others:
        hint = f"The field {key!r} is only of a {' or '.join(others)}."
    elif near:
        hint += f" Did you mean {near[0]!r}?"
    else:
        hint += " The org's own fields go into custom."
    return Refusal("INVALID_ARGUMENT", hint, argument=repr(key[:60])[1:-1], known=known)


async def _value(ctx: Write, entity: Entity, one: Field, value: Any, as_number: bool, given: Given) -> Any:
    name = one.name
    if value is None:
        if one.kind is Kind.LIST:
            return []
        if one.is_required or not column_of(entity, one).nullable:
            raise wrong(name, "cannot be without a value")
        return None
    match one.kind:
        case Kind.TEXT:
            return _text(entity, one, value)
        case Kind.NUMBER:
            return _number(entity, one, value, given)
        case Kind.FLAG:
            if not isinstance(value, bool):
                raise wrong(name, "is true or false")
            return value
        case Kind.DATE:
            return _day(name, value)
        case Kind.INSTANT:
            return _instant(name, value, ctx.now)
        case Kind.CHOICE:
            return _choice(name, value, one.choices)
        case Kind.LIST:
            return _list(name, value)
        case Kind.PERSON:
            person = await people.find(asking.within(ctx), ctx.principal, _plain(name, value, 320))
            given.named[name] = {"name": person.name}
            return person.id
        case Kind.RECORD:
            assert one.table is not None
            return await _record(ctx, one, reference(one.table, name, value, as_number), given)


async def _record(ctx: Write, one: Field, text: str, given: Given) -> int:
    assert one.table is not None
    number = ids.parse(one.table, text)
    ask = asking.within(ctx)
    found = await subjects.find(ask, ctx.principal, text)
    given.named[one.name] = found.shown
    row = await ask(f"select archived_at from crm.{one.table} where org_id = %(org)s and id = %(id)s", id=number)
    if row is not None and row[0] is not None:
        given.warnings.append(f"{text} {found.name} is archived.")
    return found.id


def _plain(name: str, value: Any, most: int) -> str:
    if not isinstance(value, str):
        raise wrong(name, "is a text")
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise wrong(name, "holds a character that cannot be kept (NUL, or half of a surrogate pair)")
    if is_blank(value):
        raise wrong(name, "is blank; give null to clear it, or leave it out")
    if len(value) > most:
        raise wrong(name, f"has {len(value)} characters; {most} are kept")
    return value


def _text(entity: Entity, one: Field, value: Any) -> str:
    name = one.name
    text = _plain(name, value, longest(entity, name))
    if name == "email":
        try:
            return parse(text).address
        except NotAnAddress as why:
            raise wrong(name, f"not an e-mail address, because {why}") from None
    if name == "phone":
        return _phone(text)
    if name in _URLS:
        return _url(name, text)
    if name == "domain":
        found = host(text)
        if found is None:
            raise wrong(name, "is no web domain such as firm.example")
        return found
    if name == "currency" and not _CURRENCY.fullmatch(text):
        raise wrong(name, "is an ISO 4217 code, such as EUR")
    if name == "tax_class" and not _CLASS.fullmatch(text):
        raise wrong(name, "is a word in lower case, such as standard")
    return text


def _phone(text: str) -> str:
    digits, letters = sum(c.isdigit() for c in text), sum(c.isalpha() for c in text)
    if not 3 <= digits <= 25 or letters > 12:
        raise wrong("phone", "is no phone number: it has 3 to 25 digits")
    return text.strip()


def _url(name: str, text: str) -> str:
    bare = text.strip()
    scheme = _SCHEME.match(bare)
    if scheme is not None and "." not in scheme[1] and scheme[1].lower() not in ("http", "https"):
        raise wrong(name, "is no web address: it begins with https://")
    if host(bare) is None or any(c.isspace() or not c.isprintable() for c in bare):
        raise wrong(name, "is no web address such as https://firm.example")
    found = bare if scheme is not None and "." not in scheme[1] else f"https://{bare}"
    if len(found) > LONGEST[name]:
        raise wrong(name, f"is longer than {LONGEST[name]} characters")
    return found


def _number(entity: Entity, one: Field, value: Any, given: Given) -> Decimal | int:
    if is_money(entity, one) and is_object(value) and set(value) == {"amount", "currency"}:
        currency = _text(entity, entity.fields(_kind_of(entity, one))["currency"], value["currency"])
        if given.values.setdefault("currency", currency) != currency:
            raise wrong("currency", "is given twice")
        value = value["amount"]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong(one.name, "is a number")
    text = value.strip() if isinstance(value, str) else str(value) if isinstance(value, int) else repr(value)
    if len(text) > 20 or not _AMOUNT.fullmatch(text):
        raise wrong(one.name, 'is a number of at most 15 digits and 4 decimals, such as "1250.50"')
    number, kind = Decimal(text), column_of(entity, one).type
    if number < 0:
        raise wrong(one.name, "is not below zero")
    if isinstance(kind, Numeric):
        if kind.precision in (5, 6) and number > 100:
            raise wrong(one.name, "is in per cent, at most 100")
        if kind.scale is not None and number != round(number, kind.scale):
            raise wrong(one.name, f"has at most {kind.scale} decimals")
        return number
    most = 2**31 - 1 if isinstance(kind, Integer) else 2**63 - 1
    if number != int(number) or number > most:
        raise wrong(one.name, f"is a whole number of at most {2**31 - 1}")
    return int(number)


def _kind_of(entity: Entity, one: Field) -> str | None:
    return next((kind for kind, part in entity.parts.items() if part is one.part), None)


def exact(argument: str, amount: Decimal, currency: str) -> None:
    """See that an amount has no more decimals than its currency.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if amount != round(amount, minor_units(currency)):
        raise wrong(argument, f"{currency} has {minor_units(currency)} decimals")


def _day(name: str, value: Any) -> date:
    text = _plain(name, value, 100)
    try:
        found = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None or found.year < 1900:
        raise wrong(name, "is a day as YYYY-MM-DD, from 1900 on")
    return found


def _instant(name: str, value: Any, now: datetime) -> datetime:
    text = _plain(name, value, 100)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 1900 < found.year < 9999:
        raise wrong(name, "is a time with its zone, such as 2026-03-02T14:00:00+01:00")
    if found > now:
        raise wrong(name, "lies in the future")
    return found.astimezone(UTC)


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    text = _plain(name, value, 200)
    word = text.strip().lower().replace(" ", "_")
    if word in choices:
        return word
    near = difflib.get_close_matches(word, choices, 1, 0.5)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    raise wrong(name, f"is one of {', '.join(choices)}{meant}", allowed=list(choices))


def _list(name: str, value: Any) -> list[str]:
    if not is_array(value) or len(value) > _MOST_IN_A_LIST:
        raise wrong(name, f"is a list of at most {_MOST_IN_A_LIST} texts")
    return [_plain(name, one, _LONGEST_IN_A_LIST) for one in value]


def _custom(value: Any) -> Mapping[str, Any]:
    if not is_object(value):
        raise wrong(CUSTOM, "is an object of the org's own fields by their keys")
    return {str(key): one for key, one in value.items()}
