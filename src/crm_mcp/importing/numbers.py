"""Document numbers that are brought along: free in the org, once in the file, and never another's later."""

from collections.abc import Sequence
from typing import cast

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..crm.models import Invoice, Order
from .documents import Document
from .kept import Past
from .work import Job


async def give(
    conn: AsyncConnection, job: Job, model: type[Order] | type[Invoice], documents: Sequence[Document], known: Past
) -> None:
    """Set each document's number, its id in the other system where it has no other; mark those that cannot have it."""
    table = cast("Table", model.__table__)
    found = await conn.execute(
        select(table.c.number, table.c.id).where(table.c.org_id == job.who.org, table.c.number.is_not(None))
    )
    taken: dict[str, int] = {row[0]: row[1] for row in found}
    lines: dict[str, list[Document]] = {}
    for one in documents:
        ours = known.known.get(one.external)
        kept = ours.values["number"] if ours else None
        number = one.head.values["number"] = one.head.values.get("number") or kept or one.external
        if number in taken and (ours is None or taken[number] != ours.id):
            one.head.wrong.append(f"{one.noun} number {number!r} belongs to another {one.noun}")
        elif kept is not None and number != kept:
            one.head.wrong.append(f"{one.noun} number {number!r} was {kept!r} before; a document keeps its number")
        if not one.is_wrong():
            lines.setdefault(number, []).append(one)
    for number, twins in lines.items():
        if len(twins) > 1:
            where = ", ".join(str(one.head.line) for one in twins[:5])
            for one in twins:
                one.head.wrong.append(f"{one.noun} number {number!r} is on lines {where}; keep one of them")
