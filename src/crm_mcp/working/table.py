"""Working memory in Postgres: an unlogged table, added to along with the audit's rows, read along with whatever is asked."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from .memory import Act, Memory, Place, Whose

Statement = tuple[str, tuple[object, ...]]
REMEMBER = "select crm.remember(%s, %s, %s, %s::jsonb)"
ROWS = """(select coalesce(jsonb_agg(jsonb_build_object(
   'page', case when (w.page ->> 'at')::timestamptz > clock_timestamp() - interval '8 hours' then w.page end,
   'customer', case when (w.customer ->> 'at')::timestamptz > clock_timestamp() - interval '8 hours' then w.customer end,
   'acts', (select coalesce(jsonb_agg(a.act), '[]') from jsonb_array_elements(w.acts) a(act)
     where (a.act ->> 'at')::timestamptz > clock_timestamp() - interval '1 hour'))), '[]')
  from crm.working_memory w where w.org_id = %(org)s and w.user_id = %(user)s and w.agent = any (%(agents)s::text[]))"""
"""What is kept of a person and of the agents named, by the database's clock; needs %(agents)s."""


def adding(whose: Whose, memory: Memory, now: datetime) -> Statement:
    """Return the statement that adds to what is kept; times travel as ages, so that the database's clock decides."""

    def place(one: Place | None) -> dict[str, Any] | None:
        return one and {"id": one.id, "tool": one.tool, "call": one.call, "ago": _seconds(one.at, now)}

    acts = [
        {"tool": act.tool, "ids": act.ids, "call": act.call, "writes": act.writes, "ago": _seconds(act.at, now)}
        for act in memory.acts
    ]
    said = json.dumps({"page": place(memory.page), "customer": place(memory.customer), "acts": acts})
    return REMEMBER, (whose.org, whose.user, whose.agent, said)


def read(rows: Sequence[Mapping[str, Any]], may: Callable[[str], bool]) -> Memory:
    """Return what `ROWS` found, as far as it came by tools that somebody `may` call."""
    return Memory().with_(*(_memory(row).of_tools(may) for row in rows))


def _memory(row: Mapping[str, Any]) -> Memory:
    def place(one: Mapping[str, Any] | None) -> Place | None:
        if one is None:
            return None
        return Place(one["id"], one["tool"], one["call"], datetime.fromisoformat(one["at"]))

    acts = tuple(
        Act(act["tool"], tuple(act["ids"]), act["call"], datetime.fromisoformat(act["at"]), act["writes"])
        for act in row["acts"]
    )
    return Memory(place(row["page"]), place(row["customer"]), acts)


def _seconds(at: datetime, now: datetime) -> float:
    return max(0.0, round((now - at).total_seconds(), 3))
