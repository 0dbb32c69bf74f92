"""A write that ran under an idempotency key runs once; asked again, it answers what it answered then."""

import hashlib
import json
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from .audit import Call
from .errors import Refusal
from .tool import Tool, WriteArgs

_FIND = "select asked, result from crm.idempotency_keys where org_id = %s and user_id = %s and tool = %s and key = %s"
_KEEP = """insert into crm.idempotency_keys(org_id, user_id, tool, key, asked, call_id, result)
 values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing returning 1"""


class RanMeanwhile(Exception):
    """The same call ran at the same time and was faster: this one is undone and answers what that one did."""


async def find(conn: AsyncConnection, call: Call, tool: Tool, args: WriteArgs) -> dict[str, Any] | None:
    """Return what a call under this key answered before, but for where the principal stood then.

    None where it is the first, or has no key.

    Raises:
        Refusal: IDEMPOTENCY_KEY_REUSED, when the key stood for another call.
    """
    if args.idempotency_key is None:
        return None
    who = call.principal
    kept = (await conn.exec_driver_sql(_FIND, (who.org, who.user, tool.name, args.idempotency_key))).one_or_none()
    if kept is None:
        return None
    if kept.asked != _asked(args):
        hint = "This idempotency_key stood for another call. Use a new key for a new call."
        raise Refusal("IDEMPOTENCY_KEY_REUSED", hint, argument="idempotency_key")
    body: dict[str, Any] = json.loads(kept.result)
    lasting = {name: value for name, value in body["_meta"].items() if name not in ("waiting", "decided")}
    return body | {"_meta": {**lasting, "repeated": True}}


async def keep(conn: AsyncConnection, call: Call, tool: Tool, args: WriteArgs, body: dict[str, Any]) -> None:
    """Keep what a call that runs answers, in its own transaction.

    Raises:
        RanMeanwhile: another call under the same key has committed since `find`.
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
