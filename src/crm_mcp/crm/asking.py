"""One statement and its row, asked alike in a read and in a write."""

import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from ..context import Read, Write
from ..cursor import Cursors


class Ask(Protocol):
    """Ask a statement; %(org)s and %(user)s are bound to the principal's."""

    async def __call__(self, sql: str, **params: object) -> tuple[Any, ...] | None: ...


def as_read(ctx: Write) -> Read:
    """Return what a read would be given, asking within the transaction of a write: it follows nothing and pages nothing."""

    async def ask(sql: str, params: Mapping[str, object], *, is_long: bool = False) -> tuple[Any, ...] | None:
        found = (await (await ctx.session.connection()).exec_driver_sql(sql, dict(params))).first()
        return None if found is None else tuple(found)

    @asynccontextmanager
    async def follow(draft: int) -> AsyncGenerator[None]:
        yield None

    return Read(ctx.principal, ask, ctx.progress, follow, Cursors(secrets.token_bytes(32)), ctx.page_url)


def within(ctx: Write) -> Ask:
    """Return how a write asks what a read asks with `ctx.one`."""

    return as_read(ctx).one
