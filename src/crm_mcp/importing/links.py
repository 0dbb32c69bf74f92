"""What rows of a file name in other tables: by id, else by what it is called; made of its name where there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..crm.models import Record
from .finding import Found, find, find_called, words
from .kept import Done, Pending, Upsert
from .rows import Row
from .sheet import Entry, Sheet
from .work import Job


class Link(NamedTuple):
    """A table that a field names records of; `made` where a name that nothing has becomes a record of its own."""

    model: type[Record]
    made: bool = False


@dataclass(slots=True)
class Links:
    """What one file names in other tables; a field `customer` goes by its id, `customer_name` by its name."""

    job: Job
    header: Mapping[str, str]
    links: Mapping[str, Link]
    by_id: dict[str, Found] = field(default_factory=dict[str, Found])
    by_name: dict[str, Found] = field(default_factory=dict[str, Found])
    beside: dict[type[Record], Upsert] = field(default_factory=dict[type[Record], Upsert])

    @property
    def named(self) -> list[str]:
        """The fields that the file has, by id or by name."""
        return [name for name in self.links if name in self.header or f"{name}_name" in self.header]

    @property
    def size(self) -> int:
        return sum(one.size for one in self.beside.values())

    def take(self, entry: Entry, name: str) -> int | Pending | None:
        """Return the record that a row names by a field; mark the row, or tell, where there is none."""
        given, called = entry.values.get(name), entry.values.get(f"{name}_name")
        if given is not None:
            hit = self.by_id[name].hits.get(given)
            if hit is not None:
                return hit.id
            if not self.job.lenient:
                self.by_id[name].take(entry, given, self.header[name])
                return None
        if called is not None and (found := self._called(entry, name, called)) is not None:
            return found
        if given is not None and called is None:
            self.job.told.unfound[f"{self.by_id[name].noun} {given!r}"] += 1
        return None

    def make(self, model: type[Record], external: str, row: Row) -> Pending:
        """Return the id to be of a record that is made beside the file's own."""
        beside = self.beside.setdefault(model, Upsert(model))
        if external not in beside.fresh:
            beside.fresh[external] = row
            self.job.told.beside[model.__tablename__] += 1
        return Pending(model.__tablename__, external)

    async def write(self, session: AsyncSession, done: Done) -> None:
        for one in self.beside.values():
            await one.write(session, self.job.who.org, self.job.plan.source, done)

    def _called(self, entry: Entry, name: str, called: str) -> int | Pending | None:
        word, found, link = called.strip().lower(), self.by_name[name], self.links[name]
        if word in found.hits:
            return found.hits[word].id
        if word in found.several:
            if not self.job.lenient:
                entry.wrong.append(
                    f"{self.header[f'{name}_name']} {called!r} is the name of several {found.noun}s; use the id"
                )
            else:
                self.job.told.unfound[f"{found.noun} {called!r} (there are several)"] += 1
            return None
        if link.made and self.job.lenient and len(word) <= 190:
            return self.make(link.model, f"name:{word}", {"name": called.strip()})
        if not self.job.lenient:
            entry.wrong.append(f"{self.header[f'{name}_name']} {called!r}: there is no {found.noun} of that name")
        else:
            self.job.told.unfound[f"{found.noun} {called!r}"] += 1
        return None


async def link(conn: AsyncConnection, job: Job, sheet: Sheet, links: Mapping[str, Link]) -> Links:
    """Find what a file names."""
    found = Links(job, sheet.mapped(), links)
    for name, one in links.items():
        found.by_id[name] = await find(conn, job, one.model, words(sheet.entries, name))
        found.by_name[name] = await find_called(conn, job, one.model, _called(sheet, name))
    return found


def _called(sheet: Sheet, name: str) -> set[str]:
    """Return the names that rows give without an id that might do."""
    return words(sheet.entries, f"{name}_name")
