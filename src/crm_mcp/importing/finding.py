"""Find the records and people that rows name: by the id of the other system, else by number, SKU or e-mail."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NamedTuple, cast

from sqlalchemy import ARRAY, Table, Text, any_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from .. import ids
from ..crm.models import (
    Contact,
    Customer,
    Deal,
    Individual,
    Invoice,
    Issue,
    Lead,
    Order,
    Organization,
    Payment,
    Product,
    Project,
    Quote,
    Record,
    Task,
)
from .kept import past
from .sheet import Entry
from .work import Job

NATURAL: dict[type[Record], tuple[str, str]] = {
    Customer: ("email", "e-mail address"),
    Contact: ("email", "e-mail address"),
    Individual: ("email", "e-mail address"),
    Organization: ("domain", "domain"),
    Product: ("sku", "SKU"),
    Order: ("number", "number"),
    Invoice: ("number", "number"),
    Quote: ("number", "number"),
}
"""What else a record may be named by, and its word."""
SUBJECTS: dict[str, type[Record]] = {
    model.__tablename__: model
    for model in (
        Customer, Contact, Product, Order, Invoice, Payment, Issue, Task, Organization, Individual, Deal, Lead, Project
    )
}  # fmt: skip


class Hit(NamedTuple):
    id: int
    values: dict[str, Any]


@dataclass(slots=True)
class Found:
    """What was found of one table, by the word that names it; `several` words name more than one record."""

    noun: str
    source: str
    natural: str | None
    hits: dict[str, Hit] = field(default_factory=dict[str, Hit])
    several: set[str] = field(default_factory=set[str])

    def take(self, entry: Entry, word: str, header: str) -> Hit | None:
        """Return the record that a word of a row names; mark the row where there is none, or more than one."""
        if word in self.hits:
            return self.hits[word]
        if word in self.several:
            entry.wrong.append(f"{header} {word!r} is the {self.natural} of several {self.noun}s; use the id")
        else:
            other = f" or has that {self.natural}" if self.natural else ""
            entry.wrong.append(
                f"{header} {word!r}: no {self.noun} was imported from {self.source} by that id{other}; import it first"
            )
        return None


async def find_called(conn: AsyncConnection, job: Job, model: type[Record], words: Iterable[str]) -> Found:
    """Return the records that words name by what they are called, whatever the case."""
    table = cast("Table", model.__table__)
    title = "name" if "name" in table.c else "title"
    wanted = {word.strip().lower(): word.strip() for word in words}
    found = Found(ids.NOUN[model.__tablename__], job.plan.source, "name")
    if not wanted:
        return found
    rows: Any = await conn.exec_driver_sql(
        f"select said, t.id from unnest(%s::text[]) said join {table.fullname} t "
        f"on lower(btrim(t.{title})) = lower(said) where t.org_id = %s and t.archived_at is null",
        (list(wanted.values()), job.who.org),
    )
    for said, number in rows:
        word = said.lower()
        if word in found.hits:
            found.several.add(word)
        found.hits[word] = Hit(number, {})
    for word in found.several:
        del found.hits[word]
    return found


async def find(
    conn: AsyncConnection, job: Job, model: type[Record], words: Iterable[str], columns: Sequence[str] = ()
) -> Found:
    """Return the records that words name."""
    wanted = set(words)
    column, noun = NATURAL.get(model, (None, None))
    found = Found(ids.NOUN[model.__tablename__], job.plan.source, noun)
    if not wanted:
        return found
    known = await past(conn, job.who.org, job.plan.source, model, wanted, columns)
    found.hits = {word: Hit(one.id, dict(one.values)) for word, one in known.known.items()}
    left = {word.lower() if column == "email" else word: word for word in wanted - set(found.hits)}
    if column is None or not left:
        return found
    table = cast("Table", model.__table__)
    key = func.lower(table.c[column]) if column == "email" else table.c[column]
    rows: Any = await conn.execute(
        select(key, table.c.id, *(table.c[name] for name in columns)).where(
            table.c.org_id == job.who.org,
            table.c.archived_at.is_(None),
            key == any_(bindparam("keys", list(left), ARRAY(Text))),
        )
    )
    for row in rows:
        word, number, values = left[row[0]], row[1], row[2:]
        if word in found.hits:
            found.several.add(word)
        found.hits[word] = Hit(number, dict(zip(columns, values, strict=True)))
    for word in found.several:
        del found.hits[word]
    return found


def words(entries: Iterable[Entry], name: str) -> set[str]:
    """Return what rows with which nothing is wrong hold in a field."""
    return {entry.values[name] for entry in entries if not entry.wrong and entry.values.get(name) is not None}


@dataclass(frozen=True, slots=True)
class People:
    """The members of the org who are active, by their e-mail address and by their name, both in lower case."""

    by_email: dict[str, int]
    by_name: dict[str, int]
    """Of those whose name nobody else has."""

    def know(self, job: Job, given: str | None) -> int | None:
        """Return the person of an address or a name; where there is none, it is told."""
        if given is None:
            return None
        word = " ".join(given.lower().split())
        # HubSpot and others write a person as "Name (address)"
        inner = word.rpartition("(")[2].removesuffix(")")
        found = self.by_email.get(word, self.by_name.get(word, self.by_email.get(inner)))
        if found is None:
            job.told.strangers[given.strip()] += 1
        return found

    def take(self, entry: Entry, header: str) -> int | None:
        """Return the person a row is assigned to; mark it where nobody has that address."""
        given = entry.values.get("assignee")
        if given is None:
            return None
        email = given.strip().lower()
        if email not in self.by_email:
            near = get_close_matches(email, list(self.by_email), 1, 0.3)
            hint = f"; the nearest is {near[0]}" if near else ""
            entry.wrong.append(f"{header} {given!r} is nobody in this org{hint}")
        return self.by_email.get(email)


async def people(conn: AsyncConnection, org: int) -> People:
    found = await conn.exec_driver_sql(
        "select lower(u.email), u.id, lower(u.name) from crm.memberships m join crm.users u on u.id = m.user_id "
        "where m.org_id = %s and m.active order by u.email",
        (org,),
    )
    rows: list[Any] = list(found)
    called = Counter(row[2] for row in rows)
    return People({row[0]: row[1] for row in rows}, {row[2]: row[1] for row in rows if called[row[2]] == 1})
