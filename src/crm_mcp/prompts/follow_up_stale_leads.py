"""Leads that nobody has touched for a while, each with a task to follow it up (S3, use case 3)."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from pydantic import Field

from ..context import Read
from ..crm import subjects
from . import completing, naming
from .prompt import Brief, Named, PromptArgs, prompt
from .saying import DRAFTS

TOLD = 20
"""Leads in the facts, which is also what one call of propose_changes takes."""
OPEN = f"""l.org_id = %(org)s and l.archived_at is null and l.status not in ('converted', 'lost') and 'leads' = any ({subjects.SEEN})
   and (%(owner)s::bigint is null or l.owner_id = %(owner)s)"""
SQL = f"""with stale as (select l.* from crm.leads l where {OPEN} and l.updated_at < %(before)s::timestamptz),
 page as (select * from stale order by updated_at, id limit {TOLD})
 select (select count(*) from stale),
  (select coalesce(jsonb_object_agg(s.status, s.n), '{{}}') from (select status, count(*) as n from stale group by status) s),
  (select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', 'lead_' || l.id, 'name', l.name, 'kind', l.kind, 'status', l.status,
    'updatedAt', l.updated_at, 'owner', (select jsonb_build_object('name', u.name, 'email', u.email) from crm.users u where u.id = l.owner_id),
    'organization', {subjects.named_sql("organizations", "l.organization_id")},
    'lastActivityAt', (select max(a.happened_at) from crm.activities a where a.org_id = l.org_id and a.subject_type = 'leads'
      and a.subject_id = l.id and a.archived_at is null),
    'openTasks', (select jsonb_agg(jsonb_build_object('id', 'task_' || t.id, 'title', t.title, 'dueOn', t.due_on) order by t.id)
      from crm.tasks t where t.org_id = l.org_id and t.subject_type = 'leads' and t.subject_id = l.id and t.status = 'open'
      and t.archived_at is null and {subjects.task_visible_sql("t")}))) order by l.updated_at, l.id), '[]') from page l)"""


class FollowUpStaleLeads(PromptArgs):
    days: int = Field(14, ge=1, le=3650, description="Leads not updated for so many days; 14.")
    owner: Named | None = Field(
        None, description='Whose leads: "me", a name or an e-mail address; default: everybody\'s.'
    )


@prompt(
    title="Follow up stale leads",
    calls={"find_records", "propose_changes"},
    also={"get_record", "suggest_next_action", "send_email_draft"},
    completes={"days": completing.among(("7", "14", "21", "30", "60", "90")), "owner": completing.people},
)
async def follow_up_stale_leads(ctx: Read, args: FollowUpStaleLeads, can: Collection[str]) -> Brief:
    """Find open leads that have not been updated for some days and propose a task to follow up each."""
    now = datetime.now(UTC)
    owner = None if args.owner is None else await naming.colleague(ctx, args.owner)
    row = await ctx.one(
        SQL,
        owner=owner and owner.id,
        before=now - timedelta(days=args.days),
        role=ctx.principal.role,
    )
    assert row is not None
    count, by_status, leads = row
    today = ctx.principal.day(now)
    facts = {
        "today": today.isoformat(),
        "owner": owner and owner.name,
        "stale": count,
        "byStatus": by_status,
        "leads": leads,
    }
    more = (
        f"The facts hold at most the {len(leads)} longest untouched of {count}; find_records (entity leads, sort updated_at, filters "
        f'{{"not_updated_for_days": {args.days}, "status": {{"not": ["converted", "lost"]}}}}'
        + (" and the owner of the facts) lists the rest." if owner else ") lists the rest.")
        if count > len(leads)
        else None
    )
    if not count:
        return Brief(
            f"No open lead has gone {args.days} days without an update, so there is nothing to follow up.",
            ("Say so. Call find_records (entity leads, sort updated_at) only if the person asks what comes next.",),
            "one sentence.",
            facts,
        )
    return Brief(
        f"Follow up the {count} open leads that have not been updated for {args.days} days or more. Today is {today.isoformat()}.",
        (
            "Read the facts, the longest untouched first. Leave out a lead that has an open task already, and name it. Where "
            "lastActivityAt is later than updatedAt, somebody was in touch: the record wants an update, not a reminder.",
            more,
            "For a lead whose next step is not plain, call get_record (include notes, activities)"
            + (" or suggest_next_action." if "suggest_next_action" in can else ".")
            if "get_record" in can
            else None,
            "Show the person your list: lead, why it is stale, what to do, by when. The further a lead has come and the longer it "
            "waits, the sooner; spread due days over the next ten working days, none on a weekend, none before today.",
            "With their word call propose_changes once for all: each change proposed_action create, entity_type Task, data with "
            "title, description (why, and what was last said), due_on, and about the lead's id; assignee the lead's owner, by e-mail "
            "address. At most 20 in a call.",
            "Only where the person asks for a message to the lead, write it with send_email_draft."
            if "send_email_draft" in can
            else None,
        ),
        "a table: lead (id, name, status), days untouched, task and due day, saved or waiting, and the leads you left out with "
        "the reason.",
        facts,
        (DRAFTS,),
    )
