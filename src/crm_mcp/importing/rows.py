"""Many rows in few statements: a column travels as one array, so that a statement stays short at any size."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from ..crm.models import Record

Row = dict[str, Any]
CHUNK = 2000
_DIALECT = postgresql.dialect()


async def add(
    session: AsyncSession,
    model: type[Record],
    org: int,
    rows: Sequence[Row],
    done: Callable[[int], None] | None = None,
) -> list[int]:
    """Insert rows of an org; return their ids in the order of `rows`, which all have the same columns.

    `done` is told the size of each chunk once it is in.
    """
    if not rows:
        return []
    names, arrays = _columns(model, rows[0])
    # identity values rise in the order in which rows arrive, so the sorted ids are in the order of the rows
    statement = (
        f"insert into {_name(model)} (org_id, {names}) select %s, {names} "
        f"from unnest({arrays}) with ordinality as given({names}, at) order by at returning id"
    )
    conn = await session.connection()
    ids: list[int] = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        added = await conn.exec_driver_sql(statement, (org, *_arrays(chunk)))
        ids += sorted(added.scalars())
        if done is not None:
            done(len(chunk))
    return ids


async def change(session: AsyncSession, model: type[Record], org: int, rows: Sequence[Row]) -> None:
    """Set the columns of records by their `id`; rows all have the same columns."""
    if not rows:
        return
    names, arrays = _columns(model, rows[0])
    sets = ", ".join(f"{name} = given.{name}" for name in rows[0] if name != "id")
    statement = (
        f"update {_name(model)} as kept set {sets} from unnest({arrays}) as given({names}) "
        "where kept.org_id = %s and kept.id = given.id"
    )
    conn = await session.connection()
    for start in range(0, len(rows), CHUNK):
        await conn.exec_driver_sql(statement, (*_arrays(rows[start : start + CHUNK]), org))


def _name(model: type[Record]) -> str:
    return cast("Table", model.__table__).fullname


def _columns(model: type[Record], row: Row) -> tuple[str, str]:
    """Return the names of a row's columns, and their parameters as arrays of the columns' types."""
    columns = cast("Table", model.__table__).c
    arrays = (f"%s::{columns[name].type.compile(_DIALECT)}[]" for name in row)
    return ", ".join(row), ", ".join(arrays)


def _arrays(rows: Sequence[Row]) -> list[list[Any]]:
    return [[row[name] for row in rows] for name in rows[0]]
