"""A write that ran under an idempotency key runs once; asked again, it answers what it answered then."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from .audit import Call, Statement
from .errors import Refusal
from .tool import Tool, WriteArgs

_FIND = "select asked, result from crm.idempotency_keys where org_id = %s and user_id = %s and tool = %s and key = %s::text"
_KEEP = """insert into crm.idempotency_keys(org_id, user_id, tool, key, asked, call_id, result)
 values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing returning 1"""


class RanMeanwhile(Exception):
    """The same call ran at the same time and was faster: this one is undone and answers what that one did."""


def sought(call: Call, tool: Tool, args: WriteArgs) -> Statement:
    """Return the statement whose rows `found` reads; without a key there is none to find."""
    who = call.principal
    return _FIND, (who.org, who.user, tool.name, args.idempotency_key)


def found(rows: Sequence[tuple[str, str]], args: WriteArgs) -> dict[str, Any] | None:
    """Return what a call under this key answered before, but for where the principal stood then.

    None where it is the first, or has no key.

    Raises:
        Refusal: IDEMPOTENCY_KEY_REUSED, when the key stood for another call.
    """
    if not rows:
        return None
    ((asked, result),) = rows
    if asked != _asked(args):
        hint = "This idempotency_key stood for another call. Use a new key for a new call."
        raise Refusal("IDEMPOTENCY_KEY_REUSED", hint, argument="idempotency_key")
    body: dict[str, Any] = json.loads(result)
    lasting = {name: value for name, value in body["_meta"].items() if name not in ("waiting", "decided")}
    return body | {"_meta": {**lasting, "repeated": True}}


async def keep(conn: AsyncConnection, call: Call, tool: Tool, args: WriteArgs, body: dict[str, Any]) -> None:
    """Keep what a call that runs answers, in its own transaction.

    Raises:
        RanMeanwhile: another call under the same key has committed since `sought`.
    """
    if args.idempotency_key is None:
        return
    who, answer = call.principal, json.dumps(body, ensure_ascii=False)
    row = (who.org, who.user, tool.name, args.idempotency_key, _asked(args), call.id, answer)
    if (await conn.exec_driver_sql(_KEEP, row)).one_or_none() is None:
        raise RanMeanwhile


def _asked(args: WriteArgs) -> str:
    asked = args.model_dump_json(exclude={"reason", "confidence", "idempotency_key"})
    return hashlib.sha256(asked.encode()).hexdigest()
