"""Organizations, individuals, contacts and customers that may stand twice: read, compared aside, kept for a while."""

import asyncio
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from ..context import Read
from ..matching.matcher import LIKELY
from .duplicate_search import Duplicates, Group, Search
from .searching_apart import Apart

BATCH = 5000
"""Rows of one statement."""
APART_ABOVE = 2000
"""Among fewer records a process of its own would take longer to start than the search takes."""
KEPT_FOR = 600.0
"""Seconds for which a search is kept: as long as somebody turns its pages."""
KEPT = 3
"""Searches that a served process keeps."""
_EVERY = 0.5
"""Seconds between two reports of progress."""
_PLACE = "t.street, t.city, t.region, t.postal_code as code, t.country"
FIELDS: Mapping[str, str] = {
    "organizations": f"""'organization' as kind, t.name, t.email, t.phone, coalesce(t.website, t.domain) as website,
   {_PLACE}, t.linkedin_url""",
    "individuals": f"""'individual' as kind, t.name, t.first_name as given, t.last_name as family, t.email, t.phone,
   {_PLACE}, t.linkedin_url""",
    "contacts": """'individual' as kind, t.name, t.email, t.phone, t.linkedin_url, coalesce(
   (select o.name from crm.organizations o where o.org_id = t.org_id and o.id = t.organization_id),
   (select c.name from crm.customers c where c.org_id = t.org_id and c.id = t.customer_id)) as employer""",
    "customers": f"""case t.kind when 'person' then 'individual' else 'organization' end as kind, t.name, t.email, t.phone,
   t.domain as website, {_PLACE}, t.tax_number""",
}
"""What of each kind's rows, `t`, is compared."""
COMPARED: Final = tuple(FIELDS)
"""The kinds of records that are compared."""
_READ: Mapping[str, tuple[str, ...]] = {table: (table,) for table in FIELDS} | {
    "contacts": ("contacts", "organizations", "customers")
}
"""The tables whose rows a search reads."""


class Kept:
    """The latest searches of one served process, each as of a state of its records."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: OrderedDict[tuple[object, ...], tuple[str, float, Duplicates]] = OrderedDict()
        self._turn = asyncio.Lock()

    async def get(
        self, key: tuple[object, ...], state: str, search: Callable[[], Awaitable[Duplicates]]
    ) -> Duplicates:
        """Return what was found of that state, else search: one at a time, so that whoever waits finds it done."""
        if known := self._known(key, state):
            return known
        async with self._turn:
            if known := self._known(key, state):
                return known
            self._found.pop(key, None)
            found = await search()
            self._found[key] = state, self._clock(), found
            while len(self._found) > KEPT:
                self._found.popitem(last=False)
            return found

    def _known(self, key: tuple[object, ...], state: str) -> Duplicates | None:
        known = self._found.get(key)
        is_fresh = known is not None and known[0] == state and self._clock() - known[1] < KEPT_FOR
        return known[2] if known is not None and is_fresh else None


async def find(ctx: Read, table: str, least: float = LIKELY) -> Duplicates:
    """Return what may stand twice in one table of the principal's org, telling the client how far it is.

    What was found is kept for as long as no record of the org that it rests on has changed.
    """
    row = await ctx.one(f"select concat_ws(' ', {', '.join(_state(one) for one in _READ[table])})")
    assert row is not None
    kept: Kept = ctx.keeps.setdefault("duplicates", Kept())
    return await kept.get((ctx.principal.org, table, least), row[0], lambda: _search(ctx, table, least))


def _state(table: str) -> str:
    """Return SQL that differs once a record has come, gone or changed: each change of a row raises its version.

    The latest change's number or time would not do: it may be committed after a later one was seen.
    """
    return f"""(select concat_ws('/', count(*), sum(t.version), max(t.id), count(t.archived_at))
 from crm.{table} t where t.org_id = %(org)s)"""


async def _search(ctx: Read, table: str, least: float) -> Duplicates:
    """Read the records that are not archived, a batch a statement, and compare them aside."""
    sql = f"""select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(r)) order by r.id), '[]')::text, max(r.id), count(*) from (
 select t.id, {FIELDS[table]} from crm.{table} t
  where t.org_id = %(org)s and t.archived_at is null and t.id > %(after)s order by t.id limit {BATCH}) r"""

    async def batch(after: int) -> tuple[str, int, int]:
        row = await ctx.long(sql, after=after)
        assert row is not None
        return row[0], row[1] or 0, row[2]

    rows, after, count = await batch(0)
    done = [0, count]
    if count <= APART_ABOVE:
        return await _in_a_thread(ctx, json.loads(rows), least)

    def progress(at: int, of: int) -> None:
        done[:] = at, of

    apart = Apart(least, progress)
    try:
        await apart.add(rows)
        while count == BATCH:
            rows, after, count = await batch(after)
            await apart.add(rows)
            done[1] += count
            await ctx.progress(0, done[1], f"{done[1]} records read")
        return await _told(ctx, asyncio.create_task(apart.found()), done)
    finally:
        apart.end()


async def _in_a_thread(ctx: Read, rows: Sequence[Mapping[str, Any]], least: float) -> Duplicates:
    """Compare few records in a thread; a cancelled call stops it."""
    stop, done = threading.Event(), [0, len(rows)]

    def work() -> Duplicates:
        search = Search()
        search.add(rows)
        return search.found(least, lambda at, _: done.__setitem__(0, at), stop.is_set)

    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await _told(ctx, task, done)
    finally:
        stop.set()


async def _told(ctx: Read, task: "asyncio.Task[Duplicates]", done: Sequence[int]) -> Duplicates:
    """Await a search, telling the client how far it is."""
    try:
        while not (await asyncio.wait({task}, timeout=_EVERY))[0]:
            await ctx.progress(done[0], done[1], f"{done[0]} of {done[1]} records compared")
        return task.result()
    finally:
        if not task.done():
            task.add_done_callback(_quiet)


def _quiet(task: "asyncio.Task[Duplicates]") -> None:
    """Take the outcome of a search that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


def told(group: Group) -> dict[str, Any]:
    """Return the records of a group, why they may be one, and the text of each."""
    return json.loads(group.told)


def filtered(groups: Sequence[Group], says: Callable[[str], bool]) -> list[Group]:
    """Return the groups with a record of whose folded name, e-mail and web address something holds."""
    return [group for group in groups if any(says(said) for said in told(group)["said"])]
