"""People to talk to at the organizations of open leads (S3, use case 2)."""

from collections.abc import Collection
from typing import Literal

from pydantic import Field

from ..context import Read
from ..crm import subjects
from . import completing, naming
from .prompt import Brief, Named, PromptArgs, prompt
from .saying import DRAFTS, WEB

KINDS = ("job", "opportunity", "partnership")
AT = """coalesce(l.organization_id, (select p.organization_id from crm.customer_parties p where p.org_id = l.org_id
   and p.customer_id = l.customer_id and p.organization_id is not null and p.archived_at is null order by p.id limit 1))"""
"""The organization that a lead is at: its own, else its customer's."""
KNOWN = """t.org_id = o.org_id and t.archived_at is null and (t.organization_id = o.id or t.customer_id in (select p.customer_id
   from crm.customer_parties p where p.org_id = o.org_id and p.organization_id = o.id and p.archived_at is null))"""
"""Whether a contact is known at an organization, itself or through the customer that it is."""
SQL = f"""with open as (select l.*, {AT} as firm from crm.leads l where l.org_id = %(org)s and l.archived_at is null and l.status not in ('converted', 'lost')
   and 'leads' = any ({subjects.SEEN}) and (%(kind)s::text is null or l.kind = %(kind)s)
   and (%(owner)s::bigint is null or l.owner_id = %(owner)s)),
 firms as (select o.*, (select count(*) from crm.contacts t where {KNOWN}) as known,
   (select max(l.updated_at) from open l where l.firm = o.id) as moved
  from crm.organizations o where o.org_id = %(org)s and o.archived_at is null and 'organizations' = any ({subjects.SEEN})
   and (o.id = %(organization)s::bigint or (%(organization)s::bigint is null and o.id in (select firm from open)))),
 page as (select * from firms order by known, moved desc nulls last, id limit %(most)s)
 select (select count(*) from firms), (select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', 'org_' || o.id, 'name', o.name, 'domain', o.domain,
   'website', o.website, 'industry', o.industry, 'employees', o.employees, 'city', o.city, 'country', o.country,
   'leads', (select jsonb_agg(x) from (select 'lead_' || l.id as id, l.name, l.kind, l.status from open l
      where l.firm = o.id order by l.updated_at desc, l.id desc limit 3) x),
   'contacts', (select jsonb_agg(jsonb_strip_nulls(to_jsonb(x))) from (select 'cont_' || t.id as id, t.name, t.title, t.email, t.linkedin_url as "linkedinUrl"
      from crm.contacts t where {KNOWN} order by t.id limit 10) x)))
   order by o.known, o.moved desc nulls last, o.id), '[]') from page o)"""


class EnrichContacts(PromptArgs):
    kind: Literal["job", "opportunity", "partnership"] | None = Field(
        None, description="Leads of this kind: job, opportunity or partnership; default: all."
    )
    owner: Named | None = Field(
        None, description='Whose leads: "me", a name or an e-mail address; default: everybody\'s.'
    )
    organization: Named | None = Field(None, description="Only this one: org_… or its name.")
    most: int = Field(5, ge=1, le=20, description="Organizations to look at; 5.")


@prompt(
    title="Enrich contacts",
    calls={"find_records", "propose_changes"},
    also={"enrich_contact", "get_record"},
    completes={
        "kind": completing.among(KINDS),
        "owner": completing.people,
        "organization": completing.records("organizations"),
        "most": completing.among(("5", "10", "20")),
    },
)
async def enrich_contacts(ctx: Read, args: EnrichContacts, can: Collection[str]) -> Brief:
    """Research who decides at the organizations of open leads, and propose the contacts that are missing."""
    owner = None if args.owner is None else await naming.colleague(ctx, args.owner)
    organization = None
    if args.organization is not None:
        organization = (await naming.record(ctx, "organization", args.organization, ("organizations",)))[1]
    row = await ctx.one(
        SQL,
        kind=args.kind,
        owner=owner and owner.id,
        organization=organization,
        most=args.most,
        role=ctx.principal.role,
    )
    assert row is not None
    count, firms = row
    if organization is not None and not firms:
        raise subjects.not_found("organizations", f"org_{organization}")
    facts = {"asked": {"kind": args.kind, "owner": owner and owner.name}, "organizations": firms, "of": count}
    if not firms:
        return Brief(
            "No open lead as asked is linked to an organization, so there is nobody to research.",
            ('Call find_records (entity leads, filters {"lacks": "organization"}) to see which leads have none.',),
            "that there is nothing to research, and which leads want an organization first.",
            facts,
        )
    missing = (
        "For somebody the CRM has, with less than the page says, call enrich_contact (record, data, sources) instead."
        if "enrich_contact" in can
        else "For somebody the CRM has, with less than the page says, propose an update of their contact instead."
    )
    return Brief(
        f"Find the people to talk to at {len(firms)} of {count} organizations of open leads, and propose those the CRM lacks.",
        (
            "Read the facts: the organizations, those with the fewest contacts first, their leads and whom the CRM knows there.",
            "Call get_record (an organization, include notes) where the lead alone does not say whom to look for."
            if "get_record" in can
            else None,
            "For each organization search the web (its own site first) for who decides about what the lead is about, and who leads "
            "that part. Two people an organization are enough. Take what is public for their work: name, title, work e-mail address, "
            "profile; no guessed address, nothing private.",
            "Call find_records (entity contacts, then individuals, query the name) for each: leave out whom the CRM has.",
            missing,
            "Call propose_changes once with the rest: each change proposed_action create, entity_type Contact, data with name, title and "
            "what the page says, link_to the organization's id, source the page's address, confidence as sure as you are.",
        ),
        "a table: organization, person, title, why they, source, draft id; whom you left out because the CRM has them; and the "
        "organizations where you found nobody.",
        facts,
        (WEB, DRAFTS),
    )
