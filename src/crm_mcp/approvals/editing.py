"""A waiting draft opened to be edited: its held arguments as a form, and the names of the records they speak of."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from .. import ids
from ..catalog import load, rows
from ..db import Database
from ..jsonvalue import is_array, is_object
from ..principal import Principal
from ..tool import Tool
from . import held as held_calls
from .fields import Field, fields_of
from .receipt import sees_every_draft

_NAMED: Mapping[str, str] = {
    "customers": "name",
    "contacts": "name",
    "products": "name",
    "orders": "number",
    "quotes": "number",
    "invoices": "number",
    "issues": "title",
    "tasks": "title",
}
"""Which column of a record names it."""
_MOST = 200
"""Records that are named beside their ids."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A held call to be edited. `tool` and its fields are None where the tool is no longer what it was drafted with."""

    held: Row[Any]
    tool: Tool | None
    fields: list[Field]
    args: dict[str, Any]
    names: Mapping[str, str]

    @property
    def state(self) -> str:
        return held_calls.state_of(self.held)


def may_edit(who: Principal, requester: int) -> bool:
    return who.may_approve or requester == who.user


async def opened(db: Database, who: Principal, draft: int) -> Opened | None:
    """Return a draft to be edited; None where there is none that this person sees."""
    async with db.begin(who, ids.new_call()) as conn:
        held = await held_calls.read(conn, who.org, draft)
        if held is None or not (sees_every_draft(who) or held.requester == who.user):
            return None
        args: dict[str, Any] = json.loads(held.args)
        wanted: dict[str, set[int]] = {}
        for table, number in _ids_in(args):
            wanted.setdefault(table, set()).add(number)
        names: dict[str, str] = {}
        for table, numbers in wanted.items():
            statement = f"select id, {_NAMED[table]} as name from crm.{table} where org_id = %s and id = any(%s)"
            found = await conn.exec_driver_sql(statement, (who.org, sorted(numbers)[:_MOST]))
            names.update({ids.show(table, row.id): str(row.name) for row in found if row.name})
    tool = _tool(held.tool, held.tool_version)
    return Opened(held, tool, [] if tool is None else fields_of(tool), args, names)


def _tool(name: str, version: int) -> Tool | None:
    """Return a tool, if it is still the one that a call was drafted with."""
    row = rows().get(name)
    return None if row is None or row["version"] != version else load(name, row["toolset"])


def _ids_in(value: Any) -> Iterable[tuple[str, int]]:
    """Yield the records that arguments name, by table and number."""
    if is_object(value):
        for part in value.values():
            yield from _ids_in(part)
    elif is_array(value):
        for part in value:
            yield from _ids_in(part)
    elif isinstance(value, str) and ids.is_id(value):
        prefix, _, number = value.partition("_")
        table = next((table for table in _NAMED if ids.PREFIX[table] == prefix), None)
        if table is not None:
            yield table, int(number)
