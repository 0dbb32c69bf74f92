"""Organizations, individuals, deals, leads, projects, documents; an org's own fields; where values came from."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import CLIENTS, Column, definer, extend, free, run, table

revision = "0010"
down_revision = "0009"

SQL = Path(__file__).parent.parent / "sql"
EVERYONE = ("admin", "sales", "operations", "finance", "support")
SELLING = ("admin", "sales", "operations")
MONEY = "numeric(19,4)"
CURRENCY = "text check (currency ~ '^[A-Z]{3}$')"
NAME = "text not null check (name <> '' and length(name) <= 400)"
SUBJECTS = (
    "customers", "contacts", "products", "quotes", "orders", "invoices", "payments", "issues", "tasks",
    "organizations", "individuals", "deals", "leads", "projects",
)  # fmt: skip
"""What a note, a task, an activity or a document may be about."""


def searched(*columns: str) -> Column:
    """Return the derived column in which a free query looks for its words."""
    words = " || ' ' || ".join(f"coalesce({column}, '')" for column in columns)
    return Column("search_key", f"text generated always as (crm.search_key({words})) stored", "", derived=True)


def found_by() -> tuple[Column, ...]:
    """Return the derived columns by which a party is found."""
    return (
        Column("name_key", "text generated always as (crm.name_key(name)) stored", "", derived=True),
        Column("email_norm", "text generated always as (lower(btrim(email))) stored", "", derived=True),
        Column("phone_digits", "text generated always as (crm.digits(phone)) stored", "", derived=True),
        Column("phone_ending", "text generated always as (crm.phone_ending(phone)) stored", "", derived=True),
    )


def place() -> tuple[Column, ...]:
    return (
        Column("street", "text check (length(street) <= 400)", "Street and number."),
        Column("city", "text check (length(city) <= 200)", "City."),
        Column("region", "text check (length(region) <= 200)", "State or region."),
        Column("postal_code", "text check (length(postal_code) <= 40)", "Postal code."),
        Column("country", "text check (length(country) <= 100)", "Country as written."),
    )


def parties() -> Iterator[str]:
    yield from table(
        "organizations",
        Column("name", NAME, "Name as written."),
        Column("domain", "text check (length(domain) <= 260)", "Web domain, lower case, without www."),
        Column("website", "text check (length(website) <= 2000)", "Address of the web site."),
        Column("industry", "text check (length(industry) <= 200)", "Industry."),
        Column("employees", "int check (employees >= 0)", "How many work there."),
        Column("email", "text check (length(email) <= 320)", "Main e-mail address."),
        Column("phone", "text check (length(phone) <= 100)", "Main phone number as written."),
        *place(),
        Column("linkedin_url", "text check (length(linkedin_url) <= 2000)", "Its page on LinkedIn."),
        Column(
            "technologies",
            "jsonb not null default '[]' check (jsonb_typeof(technologies) = 'array')",
            "What it is known to use, as a list of texts.",
        ),
        Column("description", "text check (length(description) <= 10000)", "What it does."),
        Column("owner_id", "bigint references crm.users", "The person who looks after it."),
        *found_by(),
        searched("name", "domain", "email", "city", "industry"),
        prefix="org",
        roles=EVERYONE,
        aliases=("Organization", "organization", "company", "Company"),
        description="Companies and other organizations, whether or not they are customers.",
    )
    yield from table(
        "individuals",
        Column("name", NAME, "Full name as written."),
        Column("first_name", "text check (length(first_name) <= 200)", "Given name."),
        Column("last_name", "text check (length(last_name) <= 200)", "Family name."),
        Column("title", "text check (length(title) <= 200)", "Job title."),
        Column("email", "text check (length(email) <= 320)", "E-mail address."),
        Column("phone", "text check (length(phone) <= 100)", "Phone number as written."),
        *place(),
        Column("linkedin_url", "text check (length(linkedin_url) <= 2000)", "Their page on LinkedIn."),
        Column("description", "text check (length(description) <= 10000)", "What is known of them."),
        Column("owner_id", "bigint references crm.users", "The person who looks after them."),
        *found_by(),
        searched("name", "email", "title", "city"),
        prefix="ind",
        roles=EVERYONE,
        aliases=("Individual", "individual", "person", "Person"),
        description="People in their own right; a contact is a person at an organization or a customer.",
    )
    for name in ("organizations", "individuals"):
        yield f"create index {name}_name on crm.{name} using gin (org_id, name_key public.gin_trgm_ops)"
        yield f"create index {name}_email on crm.{name}(org_id, email_norm)"
        yield f"create index {name}_phone on crm.{name}(org_id, phone_digits)"
    yield "create index organizations_domain on crm.organizations(org_id, domain)"
    yield from extend(
        "contacts",
        Column("individual_id", "bigint", "The individual who this is."),
        Column("organization_id", "bigint", "The organization they are at."),
        Column("linkedin_url", "text check (length(linkedin_url) <= 2000)", "Their page on LinkedIn."),
        references={"individual_id": "individuals", "organization_id": "organizations"},
    )
    yield "alter table crm.contacts alter column customer_id drop not null"
    yield (
        "alter table crm.contacts add constraint contacts_of_somebody "
        "check (num_nonnulls(customer_id, organization_id, individual_id) > 0)"
    )
    yield "comment on column crm.contacts.customer_id is 'The account this person belongs to, if it is one.'"
    yield "create index contacts_at on crm.contacts(org_id, organization_id) where organization_id is not null"
    yield "create index contacts_who on crm.contacts(org_id, individual_id) where individual_id is not null"
    yield "update crm.reasoning set aliases = array_remove(aliases, 'Individual') where table_name = 'contacts'"
    yield from table(
        "customer_parties",
        Column("customer_id", "bigint not null", "The account."),
        Column("organization_id", "bigint", "An organization of the account."),
        Column("individual_id", "bigint", "An individual of the account."),
        Column("part", "text check (length(part) <= 200)", "What part they have in it, such as parent or billing."),
        prefix="part",
        references={
            "customer_id": "customers",
            "organization_id": "organizations",
            "individual_id": "individuals",
        },
        roles=EVERYONE,
        description="The organizations and individuals that an account groups.",
        extra=(
            "check (num_nonnulls(organization_id, individual_id) = 1)",
            "unique (org_id, customer_id, organization_id)",
            "unique (org_id, customer_id, individual_id)",
        ),
    )
    for whose in ("organization", "individual"):
        yield (
            f"create index customer_parties_{whose} on crm.customer_parties(org_id, {whose}_id) "
            f"where {whose}_id is not null"
        )


def merged() -> Iterator[str]:
    """Let a merged record say which one it lives on in."""
    for name in ("organizations", "individuals", "customers", "contacts"):
        column = Column("merged_into", "bigint", "The record that this one, archived since, was merged into.")
        yield from extend(name, column, references={"merged_into": name})
        yield f"create index {name}_merged on crm.{name}(org_id, merged_into) where merged_into is not null"


def leads() -> Iterator[str]:
    yield from table(
        "leads",
        Column(
            "kind",
            "text not null check (kind in ('job', 'opportunity', 'partnership'))",
            "job, opportunity or partnership; what only that kind has stands in jobs, opportunities, partnerships.",
        ),
        Column("name", NAME, "What it is about, in a line."),
        Column(
            "status",
            "text not null default 'new' check (status in "
            "('new', 'contacted', 'qualified', 'interview', 'proposal', 'converted', 'lost'))",
            "new, contacted, qualified, interview, proposal, converted, lost.",
        ),
        Column("source", "text check (length(source) <= 400)", "Where it came from, such as a fair or a site."),
        Column("description", "text check (length(description) <= 10000)", "More about it."),
        Column("organization_id", "bigint", "The organization it is with."),
        Column("individual_id", "bigint", "The individual it is with."),
        Column("customer_id", "bigint", "The account it is with, if it is one already."),
        Column("owner_id", "bigint references crm.users", "The person who works on it."),
        Column("contacted_at", "timestamptz", "When it was last in touch."),
        Column("converted_at", "timestamptz", "When it became a deal, an order or the like."),
        Column("lost_reason", "text check (length(lost_reason) <= 1000)", "Why it was lost."),
        Column("name_key", "text generated always as (crm.name_key(name)) stored", "", derived=True),
        searched("name", "description", "source"),
        prefix="lead",
        references={
            "organization_id": "organizations",
            "individual_id": "individuals",
            "customer_id": "customers",
        },
        roles=SELLING,
        aliases=("Lead", "lead"),
        description="What may become business: jobs, opportunities, partnerships.",
    )
    yield "create index leads_updated on crm.leads(org_id, updated_at desc, id desc)"
    yield "create index leads_name on crm.leads using gin (org_id, name_key public.gin_trgm_ops)"
    yield "create index leads_with on crm.leads(org_id, organization_id) where organization_id is not null"
    yield "create index leads_who on crm.leads(org_id, individual_id) where individual_id is not null"

    def part(name: str, kind: str, prefix: str, alias: str, description: str, *columns: Column) -> Iterator[str]:
        yield from table(
            name,
            Column("lead_id", "bigint not null", "The lead."),
            *columns,
            prefix=prefix,
            references={"lead_id": "leads"},
            roles=SELLING,
            aliases=(alias, kind),
            description=description,
            extra=("unique (org_id, lead_id)",),
        )

    yield from part(
        "jobs", "job", "job", "Job", "What a lead has that is a job.",
        Column("role", "text check (length(role) <= 400)", "The role offered."),
        Column("seniority", "text check (length(seniority) <= 100)", "Seniority, such as senior."),
        Column("location", "text check (length(location) <= 400)", "Where the work is."),
        Column("is_remote", "boolean", "Whether it can be done from anywhere."),
        Column("salary_min", f"{MONEY} check (salary_min >= 0)", "Lowest yearly salary, in `currency`."),
        Column("salary_max", f"{MONEY} check (salary_max >= salary_min)", "Highest yearly salary, in `currency`."),
        Column("currency", CURRENCY, "ISO 4217 code of the salary."),
        Column("url", "text check (length(url) <= 2000)", "Where it is posted."),
        Column("posted_on", "date", "When it was posted."),
        Column("closes_on", "date", "Until when one may apply."),
    )  # fmt: skip
    yield from part(
        "opportunities", "opportunity", "opp", "Opportunity", "What a lead has that is a sale.",
        Column("amount", f"{MONEY} check (amount >= 0)", "What it may be worth, in `currency`."),
        Column("currency", CURRENCY, "ISO 4217 code of the amount."),
        Column("expected_close_on", "date", "When it may be decided."),
        Column("need", "text check (length(need) <= 4000)", "What they need."),
        Column("budget_confirmed", "boolean", "Whether there is a budget."),
        Column("decision_maker", "text check (length(decision_maker) <= 400)", "Who decides there."),
        Column("timeline", "text check (length(timeline) <= 400)", "By when they want it, as they said."),
    )  # fmt: skip
    yield from part(
        "partnerships", "partnership", "prt", "Partnership", "What a lead has that is a partnership.",
        Column("type", "text check (length(type) <= 100)", "Such as technology, reseller, referral."),
        Column("scope", "text check (length(scope) <= 4000)", "What both would do."),
        Column("territory", "text check (length(territory) <= 400)", "Where."),
        Column("starts_on", "date", "From when."),
        Column("ends_on", "date check (ends_on >= starts_on)", "Until when."),
    )  # fmt: skip


def deals() -> Iterator[str]:
    yield from table(
        "deals",
        Column("name", NAME, "What is to be sold, in a line."),
        Column(
            "status",
            "text not null default 'open' check (status in ('open', 'won', 'lost'))",
            "open, won or lost.",
        ),
        Column("amount", f"{MONEY} check (amount >= 0)", "What it is worth, gross, in `currency`."),
        Column("currency", CURRENCY, "ISO 4217 code of the amount."),
        Column("base_amount", MONEY, "amount in the org's base currency by the rate of that day; null: no rate."),
        Column(
            "probability",
            "numeric(5,2) check (probability between 0 and 100)",
            "Of winning it, in per cent, as somebody stated it; null: that of its stage.",
        ),
        Column("expected_close_on", "date", "When it should be signed."),
        Column(
            "closed_at", "timestamptz check ((closed_at is null) = (status = 'open'))", "When it was won or lost."
        ),
        Column("signed_on", "date", "When the contract was signed."),
        Column("lost_reason", "text check (length(lost_reason) <= 1000)", "Why it was lost."),
        Column("source", "text check (length(source) <= 400)", "Where it came from."),
        Column("description", "text check (length(description) <= 10000)", "More about it."),
        Column("customer_id", "bigint", "The account it is with."),
        Column("organization_id", "bigint", "The organization it is with."),
        Column("contact_id", "bigint", "Who it is with."),
        Column("lead_id", "bigint", "The lead it came from."),
        Column("owner_id", "bigint references crm.users", "The person who works on it."),
        Column("name_key", "text generated always as (crm.name_key(name)) stored", "", derived=True),
        searched("name", "description", "source"),
        prefix="deal",
        references={
            "customer_id": "customers",
            "organization_id": "organizations",
            "contact_id": "contacts",
            "lead_id": "leads",
        },
        roles=("admin", "sales", "operations", "finance"),
        aliases=("Deal", "deal"),
        description="Sales being worked on, won or lost.",
        extra=("check ((amount is null) = (currency is null))",),
    )
    yield "create index deals_open on crm.deals(org_id, expected_close_on) where status = 'open'"
    yield "create index deals_updated on crm.deals(org_id, updated_at desc, id desc)"
    yield "create index deals_of on crm.deals(org_id, customer_id) where customer_id is not null"
    yield "create index deals_with on crm.deals(org_id, organization_id) where organization_id is not null"
    for whom in ("contact", "lead"):
        yield f"create index deals_{whom} on crm.deals(org_id, {whom}_id) where {whom}_id is not null"
    for name in ("issues", "activities"):
        yield f"create index {name}_contact on crm.{name}(org_id, contact_id) where contact_id is not null"
    yield "create index deals_name on crm.deals using gin (org_id, name_key public.gin_trgm_ops)"


def work() -> Iterator[str]:
    yield from table(
        "projects",
        Column("name", NAME, "Name as written."),
        Column(
            "status",
            "text not null default 'planned' check (status in ('planned', 'active', 'on_hold', 'done', 'cancelled'))",
            "planned, active, on_hold, done, cancelled.",
        ),
        Column("description", "text check (length(description) <= 10000)", "What it is about."),
        Column("customer_id", "bigint", "The account it is for."),
        Column("organization_id", "bigint", "The organization it is for."),
        Column("deal_id", "bigint", "The deal it came from."),
        Column("owner_id", "bigint references crm.users", "The person who leads it."),
        Column("starts_on", "date", "First day."),
        Column("due_on", "date", "Last day planned."),
        Column("completed_at", "timestamptz", "When it was done."),
        Column("name_key", "text generated always as (crm.name_key(name)) stored", "", derived=True),
        searched("name", "description"),
        prefix="proj",
        references={"customer_id": "customers", "organization_id": "organizations", "deal_id": "deals"},
        roles=EVERYONE,
        aliases=("Project", "project"),
        description="Work with a beginning and an end; tasks may be about it.",
    )
    for whom in ("organization", "deal"):
        yield f"create index projects_{whom} on crm.projects(org_id, {whom}_id) where {whom}_id is not null"
    yield "create index projects_updated on crm.projects(org_id, updated_at desc, id desc)"
    kinds = ", ".join(f"'{name}'" for name in SUBJECTS)
    yield from table(
        "documents",
        Column("title", "text not null check (title <> '' and length(title) <= 400)", "Title."),
        Column("description", "text check (length(description) <= 10000)", "What is in it."),
        Column("url", "text check (length(url) <= 2000)", "Where it lies, if it is not kept here."),
        Column("blob_id", "bigint", "The file, if it is kept here."),
        Column("media_type", "text check (length(media_type) <= 200)", "Such as application/pdf."),
        Column("customer_id", "bigint", "The account it concerns, if one does."),
        Column("subject_type", f"text check (subject_type in ({kinds}))", "The table of what it is about."),
        Column("subject_id", "bigint check ((subject_id is null) = (subject_type is null))", "Its number there."),
        searched("title", "description"),
        prefix="doc",
        references={"blob_id": "blobs", "customer_id": "customers"},
        roles=EVERYONE,
        aliases=("Document", "document"),
        description="Files and links, on any record.",
    )
    yield "create index documents_about on crm.documents(org_id, subject_type, subject_id, id desc)"
    yield "create trigger name_subject before insert on crm.documents for each row execute function crm.name_subject()"
    yield (
        "create trigger subject after insert or update of subject_type, subject_id on crm.documents "
        "for each row execute function crm.subject_exists()"
    )
    for name in ("notes", "tasks", "activities"):
        yield f"alter table crm.{name} drop constraint {name}_subject_type_check"
        yield f"alter table crm.{name} add constraint {name}_subject_type_check check (subject_type in ({kinds}))"


def fields() -> Iterator[str]:
    yield from table(
        "custom_field_definitions",
        Column("entity", "text not null check (length(entity) <= 60)", "The table whose records have it."),
        Column("key", "text not null check (key ~ '^[a-z][a-z0-9_]{0,59}$')", "Its key in custom_fields."),
        Column("label", "text not null check (label <> '' and length(label) <= 200)", "What people call it."),
        Column("description", "text check (length(description) <= 1000)", "What it means."),
        Column(
            "kind",
            "text not null check (kind in ('text', 'number', 'date', 'boolean', 'choice', 'url'))",
            "text, number, date, boolean, choice or url.",
        ),
        Column(
            "choices",
            "jsonb not null default '[]' check (jsonb_typeof(choices) = 'array')",
            "The values it may have, for kind choice.",
        ),
        Column("is_required", "boolean not null default false", "A record cannot be made without it."),
        prefix="cfd",
        roles=EVERYONE,
        aliases=("CustomField",),
        description="The fields that the org added to its records; their values stand in custom_fields.",
        extra=("unique (org_id, entity, key)", "check ((kind = 'choice') = (choices <> '[]'))"),
    )
    yield from table(
        "data_provenance",
        Column("entity", "text not null check (length(entity) <= 60)", "The table of the record."),
        Column("record_id", "bigint not null", "The record's number there."),
        Column("field", "text not null check (field <> '' and length(field) <= 100)", "The field."),
        Column(
            "source", "text not null check (source <> '' and length(source) <= 1000)", "Where its value came from."
        ),
        Column("confidence", "numeric(4,3) check (confidence between 0 and 1)", "How sure the source or agent is."),
        prefix="prov",
        roles=EVERYONE,
        aliases=("Data_Provenance",),
        free={"I": None, "U": ("archived_at",)},
        description="Where the values of fields came from, as stated with the change; the newest row of a field counts.",
    )
    yield "create index data_provenance_of on crm.data_provenance(org_id, entity, record_id, field, id desc)"


def own_fields() -> Iterator[str]:
    """Let the org's own fields of what is freely changed be changed as freely."""
    task = (
        "title", "description", "status", "priority", "due_on", "assignee_id", "completed_at", "outcome", "archived_at",
        "custom_fields",
    )  # fmt: skip
    yield from free("tasks", {"U": task})
    yield from free("notes", {"U": ("body", "archived_at", "custom_fields")})


def reading() -> Iterator[str]:
    """Yield what the generic reads look in: the older tables' search keys, and every table by its latest change."""
    party = ("name_key", "email_norm", "phone_digits", "phone_ending")
    for name, columns, derived in (
        ("customers", ("name", "email", "domain", "city"), party),
        ("contacts", ("name", "email", "title"), party),
        ("products", ("name", "sku", "category"), ("name_key",)),
        ("tasks", ("title", "description"), ()),
        ("notes", ("body",), ()),
        ("issues", ("title", "description"), ()),
    ):
        yield from extend(name, searched(*columns), derived=derived)
    for name in (
        "organizations", "individuals", "contacts", "customers", "tasks", "notes", "documents", "issues", "products",
    ):  # fmt: skip
        yield f"create index {name}_updated on crm.{name}(org_id, updated_at desc, id desc)"
    yield "create index documents_of on crm.documents(org_id, customer_id) where customer_id is not null"
    yield "create index issues_by on crm.issues(org_id, contact_id) where contact_id is not null"
    yield "create index issues_with on crm.issues(org_id, product_id) where product_id is not null"
    yield "create index leads_of on crm.leads(org_id, customer_id) where customer_id is not null"
    for name, column in (("customer", "of"), ("organization", "with"), ("deal", "from")):
        yield f"create index projects_{column} on crm.projects(org_id, {name}_id) where {name}_id is not null"
    yield "create index deals_who on crm.deals(org_id, contact_id) where contact_id is not null"
    yield "create index deals_from on crm.deals(org_id, lead_id) where lead_id is not null"


def rights() -> Iterator[str]:
    yield "revoke execute on function crm.search_key(text) from public"
    yield "grant execute on function crm.search_key(text) to crm_definer, " + ", ".join(CLIENTS)
    yield from definer("changes_of(text, bigint, int)", callers=CLIENTS)


def policies() -> Iterator[str]:
    """Let an org decide about the new tables of parties and leads, held until it does."""
    yield """create or replace function crm.policy_standard() returns jsonb language sql immutable set search_path = pg_catalog, pg_temp as $f$
  select '{"learning_mode": false, "hold_below_confidence": "0.85", "deny_agents_above": "50000", "approval_limit": "5000",
    "passkeys": "never", "solo": false,
    "run_tables": {"customers": "hold", "contacts": "hold", "organizations": "hold", "individuals": "hold", "leads": "hold", "deals": "hold",
      "projects": "hold", "documents": "hold", "issues": "hold", "notes": "run", "tasks": "run", "activities": "run", "preferences": "run"},
    "agents": {"triage": "normal", "customer": "normal", "order": "normal", "analytics": "normal", "support": "normal",
      "settings": "normal", "sales": "normal", "research": "normal"},
    "stage_moves": {"max_value": "10000", "pipelines": {}, "stages": {}}}'::jsonb $f$"""
    yield """create or replace function crm.policy_tables() returns table(tbl text, is_guarded boolean) language sql immutable set search_path = pg_catalog, pg_temp as $f$
  values ('customers', true), ('contacts', true), ('organizations', true), ('individuals', true), ('leads', true), ('deals', true),
    ('projects', true), ('documents', true), ('issues', true),
    ('notes', false), ('tasks', false), ('activities', false), ('preferences', false) $f$"""


def upgrade() -> None:
    run(
        SQL / "reading.sql",
        rights(),
        parties(),
        merged(),
        leads(),
        deals(),
        work(),
        fields(),
        own_fields(),
        reading(),
    )
    run(policies())
    run(iter(["update crm.schema_state set revision = '0010', oldest_client = '0010'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
