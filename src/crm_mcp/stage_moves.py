"""What is known of the moves between stages in a call's effects: the facts by which the policy judges them.

A move is worth what its deal is, else what its place in the pipeline says, in the org's base currency. A record of
which no amount is known is worth nothing outside sales, and an unknown amount in sales.
"""

from collections.abc import Sequence
from typing import Any

from .audit import Call, Statement
from .policy import StageMove
from .tool import Tool

_MOVED = """select l.name, s.name, case when d.amount is not null then d.base_amount when p.amount is not null then p.base_amount
   when l.kind <> 'sales' then 0 end,
  coalesce((select bool_and(t.criteria_met) from crm.changes x join crm.stage_transitions t on t.org_id = x.org_id
    and t.id = (x.key ->> 'id')::bigint and t.position_id = p.id
    where x.org_id = c.org_id and x.call_id = c.call_id and x.xact = c.xact and x.tbl = 'stage_transitions' and x.op = 'I'), %s),
  s.automation, s.kind = 'won', l.automation
 from crm.changes c join crm.pipeline_positions p on p.org_id = c.org_id and p.id = (c.key ->> 'id')::bigint
 join crm.pipelines l on l.org_id = p.org_id and l.id = p.pipeline_id
 join crm.pipeline_stages s on s.org_id = p.org_id and s.id = p.stage_id
 left join crm.deals d on p.subject_type = 'deals' and d.org_id = p.org_id and d.id = p.subject_id
 where c.org_id = %s and c.call_id = %s and c.xact = pg_current_xact_id() and c.tbl = 'pipeline_positions' and c.op <> 'D'
  and c.after ? 'stage_id'"""


def asked(tool: Tool, call: Call) -> tuple[Statement, ...]:
    """Return the statement of the moves in the effects of a call, where its tool can move anything."""
    undoes = tool.name == "undo_change"
    if tool.toolset != "pipelines" and not undoes:
        return ()
    # what is undone goes back to where it was, which took no criteria
    return ((_MOVED, (undoes, call.principal.org, call.id)),)


def read(found: Sequence[Sequence[Sequence[Any]]]) -> tuple[StageMove, ...]:
    """Return the moves from the rows of what was asked."""
    return tuple(StageMove(*row) for rows in found for row in rows)
