"""Where a principal stands, asked along with whatever they do: by which rights, what waits, what was decided."""

from datetime import datetime
from typing import Any, NamedTuple

from .audit import Statement
from .principal import Principal

_DECIDED = """select d.id, d.state, d.decision_reason, d.approver, d.editors from crm.drafts d
  where d.org_id = m.org_id and d.requester = m.user_id and d.decided_at > %s
   and d.state in ('approved', 'rejected', 'stale', 'failed', 'expired')
 union all select d.id, 'expired', null, null, d.editors from crm.drafts d
  where d.org_id = m.org_id and d.requester = m.user_id and d.state = 'pending'
   and d.expires_at > %s and d.expires_at <= clock_timestamp()"""
"""Not what the requester withdrew, nor what a call of their own superseded. Nobody may have looked since it expired."""
_STANDING = f"""select m.version, (select count(*) from crm.drafts d where d.org_id = m.org_id and d.requester = m.user_id
   and d.state = 'pending' and d.expires_at > clock_timestamp()),
 (select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('draft', 'draft_' || d.id, 'state', d.state,
    'by', (select a.name from crm.users a where a.id = d.approver), 'reason', left(d.decision_reason, 500),
    'editedBy', case when d.editors <> '{{}}' then
     (select jsonb_agg(e.name order by e.id) from crm.users e where e.id = any (d.editors) and e.id <> m.user_id) end)) order by d.id)
   from ({_DECIDED}) d),
 clock_timestamp()
 from crm.memberships m where m.org_id = %s and m.user_id = %s and m.active"""
_WHILE_THE_KEY_LIVES = " and crm.key_lives(%s)"
MOST_TOLD = 20
"""Decisions that one result tells of."""


class Standing(NamedTuple):
    """Where the principal stands: the membership's stamp, drafts that wait, decisions since they last looked."""

    stamp: int
    waiting: int
    decided: list[dict[str, Any]] | None
    at: datetime

    def meta(self) -> dict[str, Any]:
        """Return what a result's `_meta` says of it: nothing where nothing waits."""
        said: dict[str, Any] = {"waiting": self.waiting} if self.waiting else {}
        if self.decided:
            said["decided"] = self.decided[:MOST_TOLD]
            if (more := len(self.decided) - MOST_TOLD) > 0:
                said["decidedBesides"] = more
        return said


class MembershipChanged(Exception):
    """The principal's role, rights or key are no longer what the call was judged by; what was read is thrown away."""


def standing_of(who: Principal, since: object) -> Statement:
    """Return the statement of where a principal stands, with decisions since `since`; no row: nowhere any more."""
    asked = (since, since, who.org, who.user)
    if who.proof is None or who.proof.key is None:
        return _STANDING, asked
    return _STANDING + _WHILE_THE_KEY_LIVES, (*asked, who.proof.key)
