"""What a record is linked to (S3's link_to): by a field of its own, or by a record that stands between the two."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, select

from .. import ids
from ..context import Write
from . import asking, given, subjects
from .entities import entity_of
from .entity import Entity, Field, Kind
from .given import Given, wrong
from .models import Contact, CustomerParty, Individual, Record
from .subjects import Subject

BETWEEN = frozenset(
    {
        ("individuals", "organizations"),
        ("individuals", "customers"),
        ("organizations", "individuals"),
        ("organizations", "customers"),
        ("customers", "organizations"),
        ("customers", "individuals"),
    }
)
"""What is linked by a contact, where one of the two is an individual, or as a party of the account."""
MOST = 10


class Linked(NamedTuple):
    """A record that another is linked to, and what stands between them, where it was made."""

    to: Subject
    made: str | None


async def read(
    ctx: Write, entity: Entity, fields: Mapping[str, Field], links: Mapping[str, Any], into: Given
) -> list[Subject]:
    """Put into the fields what they can hold; return what is linked otherwise.

    Raises:
        Refusal: UNKNOWN_ENTITY, INVALID_ARGUMENT, INVALID_ID, …_NOT_FOUND.
    """
    if len(links) > MOST:
        raise wrong("link_to", f"names at most {MOST} records")
    others: list[Subject] = []
    for key, value in links.items():
        argument = f"link_to.{key[:60]!r}" if not key.isidentifier() else f"link_to.{key}"
        bare = key.removesuffix("_id")
        target = entity_of(bare)
        text = given.reference(target.table, argument, value, bare != key)
        ids.parse(target.table, text)
        if entity.about:
            if into.about is not None:
                raise wrong(argument, f"a {entity.noun} is about one record")
            into.about = text
        elif (one := fields.get(target.noun)) is not None and one.kind is Kind.RECORD and one.is_writable:
            if one.name in into.values:
                raise wrong(argument, f"{one.name} is given in data too")
            one_given = await given.read(ctx, entity, None, {one.name: text})
            into.values |= one_given.values
            into.named |= one_given.named
            into.warnings += one_given.warnings
        elif (entity.table, target.table) in BETWEEN:
            others.append(await subjects.find(asking.within(ctx), ctx.principal, text))
        else:
            raise wrong(argument, f"a {entity.noun} is not linked to a {target.noun}", known=_known(entity, fields))
    return others


def _known(entity: Entity, fields: Mapping[str, Field]) -> list[str]:
    own = {one.name for one in fields.values() if one.kind is Kind.RECORD and one.is_writable}
    return sorted(own | {ids.NOUN[to] for table, to in BETWEEN if table == entity.table})


async def link(ctx: Write, row: Record, name: str, others: list[Subject]) -> list[Linked]:
    """Make what stands between a record and others, where it does not yet."""
    table = row.__tablename__
    if table == "individuals" and others:
        return await _as_contact(ctx, row, others)
    return [await _with(ctx, table, row.id, name, other) for other in others]


async def _as_contact(ctx: Write, row: Any, others: list[Subject]) -> list[Linked]:
    """Make the individual one contact at the organization and the account; or none, where they are that already."""
    at = {_KEYS[other.table]: other.id for other in others}
    made = await _contact(ctx, {"individual_id": row.id, **at}, row)
    return [Linked(other, made) for other in others]


async def _with(ctx: Write, table: str, record: int, name: str, other: Subject) -> Linked:
    if (table, other.table) == ("organizations", "individuals"):
        who = await ctx.session.get_one(Individual, (ctx.principal.org, other.id))
        return Linked(other, await _contact(ctx, {"individual_id": other.id, "organization_id": record}, who))
    pair = {_KEYS[table]: record, _KEYS[other.table]: other.id}
    if await _exists(ctx, CustomerParty, pair):
        return Linked(other, None)
    party = CustomerParty(org_id=ctx.principal.org, **pair)
    ctx.session.add(party)
    await ctx.session.flush()
    return Linked(other, ids.show("customer_parties", party.id))


async def _contact(ctx: Write, at: Mapping[str, int], who: Any) -> str | None:
    if await _exists(ctx, Contact, at):
        return None
    known = {name: getattr(who, name) for name in ("name", "title", "email", "phone", "linkedin_url")}
    contact = Contact(org_id=ctx.principal.org, **known, **at)
    ctx.session.add(contact)
    await ctx.session.flush()
    return ids.show("contacts", contact.id)


async def _exists(ctx: Write, model: type[Contact] | type[CustomerParty], columns: Mapping[str, int]) -> bool:
    same: list[ColumnElement[bool]] = [getattr(model, name) == number for name, number in columns.items()]
    if model is Contact:
        same.append(Contact.archived_at.is_(None))
    found = select(model.id).where(model.org_id == ctx.principal.org, *same).limit(1)
    return await ctx.session.scalar(found) is not None


_KEYS = {"customers": "customer_id", "organizations": "organization_id", "individuals": "individual_id"}
