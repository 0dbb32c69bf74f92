"""Records of any kind, made, changed and archived by the generic tool; each kind's own invariants hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from .. import ids
from ..context import Write
from ..errors import Refusal, sqlstate
from . import (
    asking,
    custom_fields,
    given,
    issues,
    likely,
    linking,
    missing,
    pointing,
    provenance,
    settling,
    subjects,
    working,
)
from .entity import Entity, Field, Kind
from .given import Given, wrong
from .models import Lead, LeadPart, Record
from .subjects import SEEN

SHOWN = 60
"""Characters of a text that the sentence on a change repeats."""
_R = TypeVar("_R", bound=Record)


@dataclass(frozen=True, slots=True)
class Stated:
    """Where the values came from, and how sure whoever gives them is."""

    source: str | None = None
    confidence: float | None = None


@dataclass
class Done:
    """What became of a record: its typed id, name and fields as they were set; the sentence; warnings."""

    entity: Entity
    record: int
    name: str
    did: str
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    links: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    warnings: list[str] = field(default_factory=list[str])

    @property
    def id(self) -> str:
        return ids.show(self.entity.table, self.record)


async def create(
    ctx: Write, entity: Entity, kind: str | None, data: Mapping[str, Any], links: Mapping[str, Any], stated: Stated
) -> Done:
    """Make a record; what may be the same one already is named in the warnings.

    Raises:
        Refusal: INVALID_ARGUMENT, naming the field; …_NOT_FOUND; and those of the entity's own module.
    """
    kind = _kind_of(entity, kind, data)
    fields = entity.fields(kind)
    got = await given.read(ctx, entity, kind, data)
    others = await linking.read(ctx, entity, fields, links, got)
    custom = await custom_fields.check(asking.within(ctx), entity.table, got.custom or {}, creating=True)
    own = {name: value for name, value in custom.items() if value is not None}
    if (made := working.MAKERS.get(entity.table)) is not None:
        row = await made(ctx, got, data)
        if own:
            row.custom_fields = own
            await ctx.session.flush()
        part = None
    else:
        row, part = await _insert(ctx, entity, fields, kind, got, own)
    name = str(getattr(row, entity.title))
    linked = await linking.link(ctx, row, name, others)
    set_ = {
        one: value for one in fields if (value := _value(row, part, fields[one])) is not None and one in got.values
    }
    await provenance.note(ctx, entity.table, row.id, [*set_, *_named(own)], stated.source, stated.confidence)
    done = Done(entity, row.id, name, "", _said(fields, set_, got) | ({"custom": own} if own else {}))
    done.links = [
        {"to": one.to.shown["id"], "name": one.to.name, **({"by": one.made} if one.made else {})} for one in linked
    ]
    done.did = f"create the {kind or entity.noun} {name[:200]}{_with(linked)}"
    done.warnings = [*got.warnings, *await likely.likely(ctx, entity, row.id)]
    return done


async def _insert(
    ctx: Write, entity: Entity, fields: Mapping[str, Field], kind: str | None, got: Given, own: Mapping[str, Any]
) -> tuple[Any, LeadPart | None]:
    row: Any = entity.model(org_id=ctx.principal.org)
    part: LeadPart | None = entity.parts[kind](org_id=ctx.principal.org) if kind else None  # pyright: ignore[reportAssignmentType]
    if entity.about and got.about is not None:
        subject = await subjects.find(asking.within(ctx), ctx.principal, got.about)
        row.subject_type, row.subject_id, row.customer_id = subject.table, subject.id, subject.customer
    for column in entity.model.__table__.columns:
        if column.default is not None and column.default.is_scalar:
            setattr(row, column.name, column.default.arg)  # pyright: ignore[reportAttributeAccessIssue]
    if kind is not None:
        row.kind = kind
    _put(row, part, fields, got.values)
    with ctx.session.no_autoflush:
        await settling.settle(ctx, row, part, got, {})
    lacking = sorted(one.name for one in fields.values() if one.is_required and getattr(row, one.column) is None)
    if lacking:
        raise Refusal("INVALID_ARGUMENT", f"{', '.join(lacking)}: is missing.", argument=lacking[0], missing=lacking)
    if own:
        row.custom_fields = dict(own)
    ctx.session.add(row)
    await _flush(ctx)
    if part is not None:
        part.lead_id = row.id
        ctx.session.add(part)
        await _flush(ctx)
    return row, part


async def update(
    ctx: Write, entity: Entity, text: str, data: Mapping[str, Any], links: Mapping[str, Any], stated: Stated
) -> Done:
    """Change a record: an explicit None clears a field, an absent one stays.

    Raises:
        Refusal: as `create`; ARCHIVED, saying where a merged record went.
    """
    row: Any = await live(ctx, entity, text)
    kind = row.kind if isinstance(row, Lead) else None
    fields = entity.fields(kind)
    part = await _part_of(ctx, entity, row)
    before = _columns(row) | _columns(part)
    got = await given.read(ctx, entity, kind, data)
    others = await linking.read(ctx, entity, fields, links, got)
    if entity.about and got.about is not None and got.about != _about(row):
        raise wrong("about", f"stays as it is; make another {entity.noun}")
    if (changes := working.CHANGERS.get(entity.table)) is not None:
        await changes(ctx, row, got, data)
    own = await custom_fields.check(asking.within(ctx), entity.table, got.custom or {}, creating=False)
    _put(row, part, fields, got.values)
    with ctx.session.no_autoflush:
        await settling.settle(ctx, row, part, got, before)
    _put_custom(row, own)
    await _flush(ctx)
    name = str(getattr(row, entity.title))
    linked = [one for one in await linking.link(ctx, row, name, others) if one.made]
    after = _columns(row) | _columns(part)
    moved = [one.name for one in fields.values() if after[one.column] != before.get(one.column)]
    owned = {key: value for key, value in own.items() if before["custom_fields"].get(key) != value}
    await provenance.note(ctx, entity.table, row.id, [*moved, *_named(owned)], stated.source, stated.confidence)
    done = Done(entity, row.id, name, "", _said(fields, {one: after[fields[one].column] for one in moved}, got))
    if owned:
        done.fields["custom"] = owned
    done.links = [{"to": one.to.shown["id"], "name": one.to.name, "by": str(one.made)} for one in linked]
    called = f"the {kind or entity.noun} {name[:200]}"
    words = [_phrase(one, done.fields[one], fields[one]) for one in moved] + [f"{key} (own)" for key in owned]
    if words or linked:
        done.did = f"change {called}: {', '.join(words)}" if words else f"change {called}"
        done.did += _with(linked)
    else:
        done.did = f"change nothing: {called} is so already"
    done.warnings = got.warnings
    return done


async def archive(ctx: Write, entity: Entity, text: str) -> Done:
    """Put a record out of sight, which is what deleting means here: erasing is for people, by their administrator.

    Raises:
        Refusal: …_NOT_FOUND.
    """
    row: Any = await locked(ctx, entity, text)
    name = str(getattr(row, entity.title))
    called = f"the {row.kind if isinstance(row, Lead) else entity.noun} {name[:200]}"
    if row.archived_at is not None:
        return Done(entity, row.id, name, f"change nothing: {called} is archived already")
    row.archived_at = ctx.now
    await _flush(ctx)
    done = Done(entity, row.id, name, f"archive {called}, which takes it out of every list and can be undone")
    left = pointing.in_words(await pointing.counted(ctx, entity.table, [row.id]))
    if left:
        done.warnings.append(f"What belongs to it stays: {left}.")
    return done


async def live(ctx: Write, entity: Entity, text: str) -> Record:
    """Return a record, locked, that is not archived.

    Raises:
        Refusal: …_NOT_FOUND; ARCHIVED, saying where a merged record went.
    """
    row: Any = await locked(ctx, entity, text)
    if row.archived_at is not None:
        into = getattr(row, "merged_into", None)
        went = None if into is None else ids.show(entity.table, into)
        hint = f"It is archived{f': it was merged into {went}, use that' if went else ''}."
        raise Refusal("ARCHIVED", hint, record=text, **({"mergedInto": went} if went else {}))
    return row


async def locked(ctx: Write, entity: Entity, text: str) -> Record:
    """Return a record that the principal may see, locked.

    Raises:
        Refusal: INVALID_ID; …_NOT_FOUND, alike for what does not exist, another org's and what the role may not see.
    """
    number = ids.parse(entity.table, text)
    match entity.table:
        case "tasks":
            may = subjects.task_visible_sql("s")
        case "notes" | "documents":
            may = subjects.visible_sql("s")
        case _:
            may = f"'{entity.table}' = any ({SEEN})"
    seen = await asking.within(ctx)(
        f"select 1 from crm.{entity.table} s where s.org_id = %(org)s and s.id = %(id)s and {may}",
        id=number,
        role=ctx.principal.role,
    )
    if seen is None:
        raise not_found(entity, text)
    model = entity.model
    asked = select(model).where(model.org_id == ctx.principal.org, model.id == number).with_for_update()
    row = (await ctx.session.scalars(asked)).one_or_none()
    if row is None:
        raise not_found(entity, text)
    return row


def not_found(entity: Entity, text: str) -> Refusal:
    match entity.table:
        case "customers":
            return missing.customer(text)
        case "issues":
            return issues.not_found(text)
        case _:
            return subjects.not_found(entity.table, text)


def _kind_of(entity: Entity, kind: str | None, data: Mapping[str, Any]) -> str | None:
    """Return the kind of a new lead: by the entity's name, by data, or by both alike."""
    if not entity.parts:
        return None
    stated = data.get("kind")
    if stated is None and kind is None:
        raise wrong("kind", f"say which: {', '.join(entity.parts)}", allowed=list(entity.parts))
    if stated is not None and (not isinstance(stated, str) or stated.strip().lower() not in entity.parts):
        raise wrong("kind", f"is one of {', '.join(entity.parts)}", allowed=list(entity.parts))
    word = None if stated is None else stated.strip().lower()
    if word and kind and word != kind:
        raise wrong("kind", f"is {word}, but entity_type says {kind}")
    return word or kind


async def _part_of(ctx: Write, entity: Entity, row: Any) -> LeadPart | None:
    """Return the part of a lead, a new one where it has none yet."""
    if not entity.parts:
        return None
    model: Any = entity.parts[row.kind]
    found = await ctx.session.scalar(select(model).where(model.org_id == row.org_id, model.lead_id == row.id))
    return model(org_id=row.org_id, lead_id=row.id) if found is None else found


def _put(row: Any, part: Any, fields: Mapping[str, Field], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        one = fields[name]
        onto = row if one.part is None else part
        if getattr(onto, one.column) != value:
            setattr(onto, one.column, value)


def _named(own: Mapping[str, Any]) -> list[str]:
    """Return how the provenance names the org's own fields."""
    return [f"{given.CUSTOM}.{key}" for key in own]


def _put_custom(row: Any, own: Mapping[str, Any]) -> None:
    kept = {key: value for key, value in {**row.custom_fields, **own}.items() if value is not None}
    if kept != row.custom_fields:
        row.custom_fields = kept


def _columns(row: Any) -> dict[str, Any]:
    """Return a record's own columns, or those of a part, which do not repeat the record's."""
    if row is None:
        return {}
    stamps = {"id", "org_id", "version", "archived_at"}
    if isinstance(row, LeadPart):
        stamps |= {"lead_id", "custom_fields"}
    return {
        column.name: getattr(row, column.name, None) for column in row.__table__.columns if column.name not in stamps
    }


def _value(row: Any, part: Any, one: Field) -> Any:
    return getattr(row if one.part is None else part, one.column)


def _about(row: Any) -> str | None:
    return None if row.subject_id is None else ids.show(row.subject_type, row.subject_id)


async def _flush(ctx: Write) -> None:
    """Send what is set; a rule of the database that no check before it knew is an expected no.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    try:
        await ctx.session.flush()
    except DBAPIError as problem:
        if not (sqlstate(problem) or "").startswith("23"):
            raise
        hint = "data: these values do not fit together, or one of them cannot be kept."
        raise Refusal("INVALID_ARGUMENT", hint, argument="data") from None


def _said(fields: Mapping[str, Field], values: Mapping[str, Any], got: Given) -> dict[str, Any]:
    """Return values as they are shown: references and people by what they are called."""
    return {name: shown(fields[name], value, got) for name, value in values.items()}


def shown(one: Field, value: Any, got: Given) -> Any:
    if value is None:
        return "(cleared)"
    if one.kind in (Kind.RECORD, Kind.PERSON) and one.name in got.named:
        return got.named[one.name]
    match value:
        case Decimal():
            return f"{value.normalize():f}"
        case datetime() | date():
            return value.isoformat()
        case _:
            return value


def _phrase(name: str, value: Any, one: Field) -> str:
    if value == "(cleared)":
        return f"{name} cleared"
    if isinstance(value, dict):
        return f"{name} to {value['name']}"
    text = str(value)
    return f"{name} to {text}" if len(text) <= SHOWN and one.kind is not Kind.LIST and "\n" not in text else name


def _with(linked: list[linking.Linked]) -> str:
    names = [one.to.name for one in linked if one.made]
    return f", linked to {' and '.join(names)}" if names else ""
