"""What binds a transaction: to an org, to a call, to a proven principal. Values travel apart from every statement."""

import asyncio
import re
from typing import TYPE_CHECKING, Any, LiteralString, cast

from .audit import Statement
from .errors import SignInFailed
from .principal import Principal

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_TOKEN = re.compile(r"[0-9a-z.]+")


def to_org(org: int) -> LiteralString:
    """Return the statement that binds a transaction to an org alone."""
    return own(f"set local crm.org_id = '{int(org)}'")


def bearer_of(who: Principal) -> dict[str, str]:
    """Return the settings that name who the rows of a transaction are made by."""
    return {"crm.user_id": str(int(who.user)), "crm.agent": who.agent.value if who.agent else ""}


def with_settings(settings: dict[str, str]) -> Statement:
    """Return the statement that binds settings to the transaction, as SET LOCAL would, whatever their number."""
    one = "set_config(%s, %s, true)"
    return f"select {', '.join([one] * len(settings))}", tuple(part for pair in settings.items() for part in pair)


async def token_of(conn: "AsyncConnection", who: Principal) -> str:
    """Return the signed token of a principal on this connection: asked once an hour, never an argument."""
    assert who.proof is not None
    info = cast("dict[object, tuple[str, float]]", conn.sync_connection.info if conn.sync_connection else {})
    now = asyncio.get_running_loop().time()
    key = (who.proof, who.org)
    kept = info.get(key)
    if kept is None or kept[1] < now:
        raw = await conn.exec_driver_sql(who.proof.statement, cast("Any", who.proof.arguments))
        row = raw.one_or_none()
        await conn.rollback()
        if row is None or row.org_id != who.org or not _TOKEN.fullmatch(row.token):
            raise SignInFailed("You are no longer signed in. Sign in again.")
        if len(info) > 200:
            info.clear()
        kept = info[key] = (row.token, now + 3000)
    return kept[0]


def own(text: str) -> LiteralString:
    """Mark a statement of this program's own as such: values always travel apart from it."""
    return cast(LiteralString, text)
