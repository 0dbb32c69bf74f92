"""Many rows at once, by a person at a terminal who may approve: recorded, guarded, all or nothing.

A batch is a held call that its own requester approves in the same transaction, so Postgres sees an ordinary
approved draft, and every row of the batch is in `changes` under one call.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from .. import audit
from ..audit import Call
from ..db import Database
from ..errors import Refusal
from ..principal import Principal

_HOLD = "select draft from crm.hold(%s::jsonb)"
_APPROVE = "update crm.drafts set state = 'approved', decided_call = %s, result = %s where org_id = %s and id = %s"


@asynccontextmanager
async def batch(
    db: Database, who: Principal, kind: str, about: Mapping[str, Any], summary: str
) -> AsyncGenerator[AsyncSession]:
    """Yield a session whose rows commit at the end, or none of them.

    `db` connects as crm_approver. `kind` (import, demo) and `about` (file, digest) go into the audit and the draft.

    Raises:
        Refusal: NOT_AN_APPROVER.
    """
    if not who.may_approve:
        raise Refusal("NOT_AN_APPROVER", f"{who.email} may not approve, so cannot bring in records. Use --user.")
    call = Call(who, kind, about)
    await db.alone(who.org, audit.begun(call))
    try:
        async with db.begin(who, call.id) as conn:
            held = {
                "tool": kind,
                "tool_version": 1,
                "args": json.dumps(about, default=str),
                "args_key": str(call.id),
                "effects_key": str(call.id),
                "call_id": call.id,
                "changes": "[]",
                "shown": "{}",
                "summary": summary,
                "verdict": "a person's own batch",
                "policy_version": 0,
                "clock": datetime.now(UTC).isoformat(),
            }
            draft = (await conn.exec_driver_sql(_HOLD, (json.dumps(held),))).scalar_one()
            await conn.exec_driver_sql(f"set local crm.draft_id = '{int(draft)}'")
            async with AsyncSession(
                bind=conn, join_transaction_mode="create_savepoint", expire_on_commit=False, autoflush=False
            ) as session:
                session.info.update(draft=int(draft), call=call.id)
                yield session
                await session.commit()
            await conn.exec_driver_sql(*audit.ended(call, "approved", "ok", None, draft))
            await conn.exec_driver_sql(_APPROVE, (call.id, json.dumps({"did": summary}), who.org, draft))
            await conn.exec_driver_sql("set constraints all immediate")
    except BaseException as problem:
        await db.alone(who.org, audit.refused(call, type(problem).__name__))
        raise
