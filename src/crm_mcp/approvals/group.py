"""Drafts that stand together, a run of e-mails or the changes of one call: each is shown, their number confirmed, then
each is approved for itself."""

import re
from collections.abc import Mapping

from .. import ids
from ..db import Database
from ..principal import Principal
from .letter import TOOL
from .receipt import sees_every_draft

MOST = 20
"""Drafts of a group: what one person reads at one sitting."""
_MEMBERS = """select m.id from crm.drafts d join crm.drafts m on m.org_id = d.org_id and m.tool = d.tool
  and m.requester = d.requester and m.agent is not distinct from d.agent and m.state = 'pending' and m.expires_at > clock_timestamp()
  and m.created_at between d.created_at - interval '1 hour' and d.created_at + interval '1 hour'
 where d.org_id = %s and d.id = %s and d.tool = %s order by m.id limit %s"""
_OF_CALL = """select d.id from crm.drafts d where d.org_id = %s and d.group_call = %s and (%s or d.requester = %s)
 and d.state <> 'superseded' order by d.id limit %s"""
_SEEN = re.compile(r"(draft_[1-9]\d{0,17}):([0-9a-f]{64})", re.ASCII)


async def members(db: Database, who: Principal, draft: int) -> list[int]:
    """Return the e-mail drafts that wait and were asked for by the same person and agent within an hour of this one."""
    async with db.begin(who, ids.new_call()) as conn:
        found = await conn.exec_driver_sql(_MEMBERS, (who.org, draft, TOOL, MOST))
        return [int(number) for number in found.scalars()]


async def of_call(db: Database, who: Principal, call: int) -> list[int]:
    """Return the drafts that one call asked for, decided ones too; of another's call none but to who sees every draft."""
    async with db.begin(who, ids.new_call()) as conn:
        asked = (who.org, call, sees_every_draft(who), who.user, MOST)
        return [int(number) for number in (await conn.exec_driver_sql(_OF_CALL, asked)).scalars()]


def seen_in(text: str) -> dict[int, str] | None:
    """Return which drafts a form says were shown, under which hash; None where it is not of this page's making.

    The list has one order, that of the drafts' numbers: what a signature covers is written in one way only.
    """
    parts = text.split(";")
    found = [match for part in parts if (match := _SEEN.fullmatch(part))]
    numbers = [ids.parse("drafts", match[1]) for match in found]
    if not len(numbers) == len(parts) <= MOST or numbers != sorted(set(numbers)):
        return None
    return {number: match[2] for number, match in zip(numbers, found, strict=True)}


def miscounted(form: Mapping[str, str], seen: Mapping[int, str], what: str = "e-mails") -> str | None:
    """Return what is wrong with the number that a person gave; None where it is that of what they were shown."""
    if form.get("count", "").strip() == str(len(seen)):
        return None
    return f"The number you gave is not the number of {what} here. Read them again."
