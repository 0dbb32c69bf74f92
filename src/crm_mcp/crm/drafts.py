"""Drafts as tools show them: the requester's own, an administrator's all."""

from typing import Any, ClassVar

from ..errors import Refusal
from ..principal import Principal, Role
from ..tool import View

MINE = "d.org_id = %(org)s and (d.requester = %(user)s or %(all)s)"
STATE = "case when d.state = 'pending' and d.expires_at <= clock_timestamp() then 'expired' else d.state end"
ROW = f"""jsonb_strip_nulls(jsonb_build_object('id', 'draft_' || d.id, 'state', {STATE}, 'version', case when d.version > 1 then d.version end, 'action', d.tool,
   'summary', 'It would ' || d.summary || '.', 'amount', case when d.amount is not null then crm.money(d.amount, %(currency)s::text) end,
   'requestedBy', r.name, 'viaAgent', d.agent, 'createdAt', d.created_at, 'expiresAt', d.expires_at,
   'editedBy', case when d.editors <> '{{}}' then (select jsonb_agg(e.name order by e.id) from crm.users e where e.id = any (d.editors)) end,
   'decidedAt', d.decided_at, 'decidedBy', a.name, 'decisionReason', d.decision_reason,
   'result', case when d.state = 'approved' then d.result::jsonb -> 'record' -> 'id' end,
   'delivery', o.state, 'deliveryProblem', o.last_error, 'sentAt', o.sent_at, 'nextAttemptAt', o.next_attempt_at))"""
JOINED = """crm.drafts d join crm.users r on r.id = d.requester left join crm.users a on a.id = d.approver
 left join crm.outbox o on o.org_id = d.org_id and o.email_id = case when d.tool = 'send_email_draft' and d.state = 'approved'
  then substr(d.result::jsonb -> 'record' ->> 'id', 7)::bigint end"""


class DraftView(View):
    noun: ClassVar[str] = "draft"
    nouns: ClassVar[str] = "drafts"

    id: str
    state: str
    version: int | None = None
    action: str | None = None
    summary: str | None = None
    amount: dict[str, Any] | None = None
    requestedBy: str | None = None
    viaAgent: str | None = None
    createdAt: str | None = None
    expiresAt: str | None = None
    editedBy: list[str] | None = None
    decidedAt: str | None = None
    decidedBy: str | None = None
    decisionReason: str | None = None
    result: str | None = None
    delivery: str | None = None
    deliveryProblem: str | None = None
    sentAt: str | None = None
    nextAttemptAt: str | None = None


def sees_all(who: Principal) -> bool:
    """Say whether a principal sees everybody's drafts."""
    return who.role is Role.ADMIN and who.agent is None


def not_found(draft: str) -> Refusal:
    return Refusal("DRAFT_NOT_FOUND", "list_drafts shows your drafts.", searchedId=draft[:60])
