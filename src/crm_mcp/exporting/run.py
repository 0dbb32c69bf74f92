"""Run an export: read as the person who asks, a batch at a time, and say in the audit how much was taken."""

import csv
import io
import json
from collections.abc import Callable
from typing import IO, Any, Literal

from .. import audit
from ..audit import Call
from ..db import Database
from ..errors import Refusal
from ..kinds.every import EXPORTS, Kind, statement
from ..principal import Principal
from ..sheets.cells import Cells

_VISIBLE = "select coalesce(array_agg(table_name), '{}') from crm.reasoning where type = 'crm' and %s = any(roles)"
_SOURCES = "select coalesce(array_agg(distinct source order by source), '{}') from crm.external_refs where org_id = %s and entity = %s"
Form = Literal["csv", "json"]
Progress = Callable[[int], None]


async def run(
    db: Database, who: Principal, kind: Kind, out: IO[bytes], *, form: Form, about: str, progress: Progress
) -> int:
    """Write all records of a kind that the person may see; return how many rows. `about` names the target.

    Raises:
        Refusal: PERSON_ONLY, ROLE_NOT_ALLOWED.
    """
    call = Call(who, "export", {"kind": kind, "form": form, "to": about})
    await db.alone(who.org, audit.begun(call))
    try:
        rows = await _write(db, who, kind, out, form, progress)
    except BaseException as problem:
        outcome = problem.error if isinstance(problem, Refusal) else type(problem).__name__
        await db.alone(who.org, audit.refused(call, outcome))
        raise
    await db.alone(who.org, audit.ended(call, "run", "ok", {"rows": rows}))
    return rows


async def _write(db: Database, who: Principal, kind: Kind, out: IO[bytes], form: Form, progress: Progress) -> int:
    if who.agent is not None:
        raise Refusal("PERSON_ONLY", f"This key is the {who.agent} agent's; records are exported by a person.")
    visible = await _list(db, who, _VISIBLE, (who.role,))
    tables = EXPORTS[kind].tables
    if hidden := [table for table in tables if table not in visible]:
        raise Refusal("ROLE_NOT_ALLOWED", f"{who.email} is {who.role}, and {who.role} may not see {hidden[0]}.")
    sources = await _list(db, who, _SOURCES, (who.org, tables[0])) if "external_refs" in visible else []
    sql, columns, params = statement(kind, sources)
    cells = Cells(columns)
    count = 0
    if form == "csv":
        out.write(_lines([cells.names]))
    async for batch in db.stream(who, sql, {"org": who.org, "visible": visible, **params}):
        if form == "csv":
            out.write(_lines(list(map(cells.csv, batch))))
        else:
            said = (json.dumps(cells.json(row), ensure_ascii=False, separators=(",", ":")) for row in batch)
            out.write("".join(f"{line}\n" for line in said).encode())
        count += len(batch)
        progress(count)
    return count


async def _list(db: Database, who: Principal, sql: str, params: tuple[object, ...]) -> list[str]:
    row = await db.definer(who.org, sql, params)
    return list(row[0]) if row else []


def _lines(rows: list[list[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
