"""Exports as the page gives them: which there are for a person, and the bytes of one, a part at a time.

Whose an export is, and whether it lasts, Postgres says (`crm.may_fetch`); what is asked here only shows it.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import audit, ids
from ..audit import Call
from ..db import Database
from ..principal import Principal, Role
from ..reports import definition
from .cells import zone_of
from .text import label
from .views import Time, agent_name, time_of

MEDIA_TYPES: Mapping[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_THERE = """select e.id, e.name, e.format, e.question, e.rows, e.bytes, e.sha256, e.created_at, e.expires_at, e.created_by, e.via_agent,
   u.name as maker from crm.exports e left join crm.users u on u.id = e.created_by
 where e.org_id = %(org)s and e.expires_at > clock_timestamp() and (e.created_by = %(user)s or %(all)s)
   and (%(id)s::bigint is null or e.id = %(id)s) order by e.created_by <> %(user)s, e.id desc"""
_PART = "select crm.export_part(%s, %s)"
_END = "select crm.end_export(%s)"


@dataclass(frozen=True, slots=True)
class Taken:
    """An export for the person who looks: `is_mine` where it was made for them; `of` says of what, line by line."""

    number: int
    name: str
    format: str
    of: list[tuple[str, str]]
    rows: int
    size: int
    sha256: str
    created: Time
    expires: Time
    maker: str
    agent: str | None
    is_mine: bool

    @property
    def id(self) -> str:
        return ids.show("exports", self.number)

    @property
    def weight(self) -> str:
        """The size as people say it."""
        return f"{self.size / 1_000_000:.1f} MB" if self.size >= 1_000_000 else f"{max(1, self.size // 1000)} kB"


async def there_are(db: Database, who: Principal, now: datetime, export: int | None = None) -> list[Taken]:
    """Return what a person may take, their own first, the newest first: administrators everybody's. Or one of them."""
    asked = {"org": who.org, "user": who.user, "all": who.role is Role.ADMIN, "id": export}
    async with db.begin(who, ids.new_call()) as conn:
        rows = (await conn.exec_driver_sql(_THERE, asked)).mappings().all()
    return [_taken(row, who, now) for row in rows]


async def bytes_of(db: Database, who: Principal, export: int) -> AsyncGenerator[bytes]:
    """Yield the parts of an export; whoever is slow to take them holds no connection meanwhile.

    It ends where the export does: what was taken is then shorter than was said.
    """
    at = 0
    while part := await _part(db, who, export, at := at + 1):
        yield part


async def _part(db: Database, who: Principal, export: int, at: int) -> bytes | None:
    async with db.begin(who, ids.new_call()) as conn:
        found = (await conn.exec_driver_sql(_PART, (export, at))).scalar_one()
    return None if found is None else bytes(found)


async def note_download(db: Database, who: Principal, export: Taken) -> None:
    """Leave in the audit who takes what: before the first byte leaves."""
    call = Call(who, "download_export", {"export": export.id, "sha256": export.sha256})
    await db.alone(who.org, audit.begun(call), audit.ended(call, "run", "ok", [export.id]))


async def end(db: Database, who: Principal, export: int) -> bool:
    """Delete an export before its time; false where it is not theirs, or gone."""
    call = Call(who, "delete_export", {"export": ids.show("exports", export)})
    async with db.begin(who, call.id) as conn:
        done = bool((await conn.exec_driver_sql(_END, (export,))).scalar_one())
        await conn.exec_driver_sql(*audit.begun(call))
        await conn.exec_driver_sql(*audit.ended(call, "run", "ok" if done else "not theirs or gone"))
    return done


def _taken(row: Mapping[Any, Any], who: Principal, now: datetime) -> Taken:
    zone = zone_of(who.timezone)
    return Taken(
        row["id"],
        row["name"],
        row["format"],
        list(_said(row["question"])),
        row["rows"],
        row["bytes"],
        row["sha256"],
        time_of(row["created_at"], zone, now),
        time_of(row["expires_at"], zone, now),
        row["maker"] or "somebody",
        agent_name(row["via_agent"]),
        row["created_by"] == who.user,
    )


def _said(question: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return in words what an export is of: its report with parameters, or its records with filters."""
    if "report" in question:
        known = definition.every().get(question["report"])
        head = ("Report", known.title if known else str(question["report"]))
        narrowed: Mapping[str, Any] = question.get("parameters", {})
    else:
        head = ("Records", label(str(question.get("entity", ""))))
        narrowed = question.get("filters", {})
    return [head, *((label(name), _value(said)) for name, said in narrowed.items())]


def _value(said: Any) -> str:
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
