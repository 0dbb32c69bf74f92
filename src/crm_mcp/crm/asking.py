"""One statement and its row, asked alike in a read and in a write."""

from typing import Any, Protocol

from ..context import Write


class Ask(Protocol):
    """Ask a statement; %(org)s and %(user)s are bound to the principal's."""

    async def __call__(self, sql: str, **params: object) -> tuple[Any, ...] | None: ...


def within(ctx: Write) -> Ask:
    """Return how a write asks what a read asks with `ctx.one`."""

    async def one(sql: str, **params: object) -> tuple[Any, ...] | None:
        bound = {**params, "org": ctx.principal.org, "user": ctx.principal.user}
        found = (await (await ctx.session.connection()).exec_driver_sql(sql, bound)).first()
        return None if found is None else tuple(found)

    return one
