"""Why a person may not approve what a held call does. Postgres judges again (crm.decide, crm.decide_policy)."""

import json
from decimal import Decimal
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from ..authority import Asked, why_not
from ..changes import ChangeSet
from ..principal import Principal
from .rerun import Rerun

_SPENT = """select coalesce(sum(greatest(amount, 0)), 0) from crm.drafts where org_id = %s and requester = %s and subject = %s
 and state = 'approved' and decided_at > clock_timestamp() - interval '24 hours'"""
_SPENDING = (
    """select pg_advisory_xact_lock(hashtextextended(concat_ws('.', 'spent', %s::bigint, %s::bigint, %s::text), 0))"""
)
_OBJECTION = "select crm.policy_objection(%s, %s, %s::jsonb, %s, %s)"


async def objection(conn: AsyncConnection, who: Principal, held: Row[Any], run: Rerun) -> str | None:
    """Return why a person may not approve a draft, None where they may."""
    why = await _beyond(conn, who, held, run)
    return why or await _of_policy(conn, who, held, run.tried.changes)


async def _beyond(conn: AsyncConnection, who: Principal, held: Row[Any], run: Rerun) -> str | None:
    """Return what is beyond a person's rights, with what they answer for already."""
    stake, spent = run.stake, Decimal(0)
    if stake.amount is not None:
        await conn.exec_driver_sql(_SPENDING, (who.org, held.requester, stake.subject))
        found = await conn.exec_driver_sql(_SPENT, (who.org, held.requester, stake.subject))
        spent = Decimal(found.scalar_one())
    asked = Asked(
        held.requester,
        held.agent,
        held.editors,
        stake.amount,
        stake.no_rate,
        stake.sends,
        spent,
        run.requester["solo"],
    )
    return why_not(who, asked, who.currency)


async def _of_policy(conn: AsyncConnection, who: Principal, held: Row[Any], changes: ChangeSet) -> str | None:
    """Return why a person may not approve a change of the policy; None where it changes none, or they may."""
    for row in changes.rows:
        if row["tbl"] == "policies":
            edition, document = row["after"]["edition"], json.dumps(row["after"]["document"], default=str)
            asked = (who.org, edition, document, who.user, [held.requester, *held.editors])
            return (await conn.exec_driver_sql(_OBJECTION, asked)).scalar_one()
    return None
