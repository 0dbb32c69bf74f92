"""What the page reads of drafts beside the executor: whose they are, and what an approval wrote."""

import json
from decimal import Decimal
from typing import Any

from .. import ids
from ..crm.drafts import sees_all
from ..db import Database
from ..principal import Principal

_WROTE = """select coalesce(json_agg(json_build_object('tbl', tbl, 'key', key, 'op', op, 'before', before, 'after', after)
 order by id), '[]')::text from crm.changes where org_id = %s and call_id = %s and draft_id = %s"""


def sees_every_draft(who: Principal) -> bool:
    """Say whether a person sees drafts of others: approvers and administrators do."""
    return who.may_approve or sees_all(who)


async def written(db: Database, who: Principal, draft: int, call: int) -> list[dict[str, Any]]:
    """Return the rows that the approving call wrote, as Postgres recorded them."""
    async with db.begin(who, ids.new_call()) as conn:
        text = (await conn.exec_driver_sql(_WROTE, (who.org, call, draft))).scalar_one()
    return json.loads(text, parse_float=Decimal)
