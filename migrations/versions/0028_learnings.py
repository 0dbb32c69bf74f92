"""What is remembered about records: S1's typed memories with their retention; vectors and uses of all that is remembered."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import CLIENTS, Column, definer, extend, free, isolate, run, table

revision = "0028"
down_revision = "0027"
SQL = Path(__file__).parent.parent / "sql"

EVERYONE = ("admin", "sales", "operations", "finance", "support")
KINDS = "'lead_interaction', 'email_thread', 'meeting_summary', 'campaign_result', 'chat_conversation', 'digest'"
SUBJECTS = ", ".join(
    f"'{table}'"
    for table in (
        *("customers", "contacts", "products", "quotes", "orders", "invoices", "payments", "issues", "tasks"),
        *("organizations", "individuals", "deals", "leads", "projects"),
    )
)
WHERE = ("customer_id", "subject_type", "subject_id")
GIVEN = (
    *("org_id", "user_id", "kind", *WHERE, "content", "data", "source", "confidence", "retention"),
    *("contains_pii", "redacted", "forgotten_at", "archived_at"),
)
"""Columns that whoever remembers something states; when it goes, Postgres says."""
LATER = (*WHERE, "forgotten_at", "archived_at")
"""Columns that change: what a merged record's memories are about, and whether they are told."""


def learnings() -> Iterator[str]:
    yield from table(
        "learnings",
        Column("user_id", "bigint references crm.users", "Whose alone it is; null: of all who may see its subject."),
        Column("kind", f"text not null check (kind in ({KINDS}))", "What it is of."),
        Column("customer_id", "bigint", "The customer it concerns; null: none."),
        Column(
            "subject_type",
            f"text check (subject_type in ({SUBJECTS}))",
            "The table of the record it is about; null: the org.",
        ),
        Column("subject_id", "bigint", "That record's number."),
        Column(
            "content",
            "text not null check (length(content) between 1 and 2000)",
            "In words, without personal data.",
            derived=True,
        ),
        Column(
            "data",
            "jsonb not null default '{}' check (jsonb_typeof(data) = 'object')",
            "The fields of its kind, without personal data.",
            derived=True,
        ),
        Column(
            "source",
            "text not null check (source in ('person', 'agent', 'document', 'system'))",
            "Who says so; what a document said is nobody's wish.",
        ),
        Column("confidence", "numeric(4,3) not null check (confidence between 0 and 1)", "How sure, 0 to 1."),
        Column(
            "retention",
            "text not null check (retention in ('short', 'medium', 'long', 'permanent'))",
            "How long it is kept.",
        ),
        Column("expires_at", "timestamptz", "When it goes; null: never.", derived=True),
        Column("contains_pii", "boolean not null", "Whether personal data was in what was given."),
        Column("redacted", "jsonb not null default '[]'", "Kinds of personal data that were taken out."),
        Column("forgotten_at", "timestamptz", "When it was deleted: it is told no more."),
        prefix="mem",
        roles=EVERYONE,
        references={"customer_id": "customers"},
        description="What is remembered about a record: calls, mails, meetings, campaigns, chats. find_notes_on tells it.",
        free={"I": None, "U": LATER, "D": None},
        extra=(
            "check ((subject_type is null) = (subject_id is null))",
            "check (subject_id is not null or kind in ('campaign_result', 'chat_conversation', 'digest'))",
            "check (kind = 'digest' or (kind = 'chat_conversation') = (user_id is not null))",
            "check ((kind = 'digest') = (source = 'system'))",
            "check (contains_pii = (redacted <> '[]'))",
            "check ((retention = 'permanent') = (expires_at is null))",
        ),
    )
    yield "create index learnings_about on crm.learnings(org_id, subject_type, subject_id, created_at)"
    yield "create index learnings_customer on crm.learnings(org_id, customer_id, created_at)"
    yield "create index learnings_digests on crm.learnings(org_id) where kind = 'digest'"
    yield "create index learnings_end on crm.learnings(org_id, expires_at)"
    # what was said stays as it was said, and only the end of its time deletes it
    for login in CLIENTS:
        yield f"revoke insert, update, delete on crm.learnings from {login}"
        yield f"grant insert ({', '.join(GIVEN)}), update ({', '.join(LATER)}) on crm.learnings to {login}"
    yield "create trigger name_subject before insert on crm.learnings for each row execute function crm.name_subject()"
    yield (
        "create trigger subject after insert or update of subject_type, subject_id on crm.learnings "
        "for each row execute function crm.subject_exists()"
    )


def preferences() -> Iterator[str]:
    """Say of a person's wishes who said so: only what they said themselves is applied, and no document is among them."""
    yield from extend(
        "preferences",
        Column(
            "source",
            "text not null default 'person' check (source in ('person', 'agent'))",
            "Who says so: the person, or an agent that noticed it.",
        ),
    )
    yield "alter table crm.preferences alter column source drop default"
    yield "alter table crm.preferences add check (tool is null or source = 'person')"
    changed = (
        *("kind", "content", "via", "source", "confidence", "redacted", "tool", "argument", "word", "meant"),
        *("forgotten_at", "archived_at", "custom_fields"),
    )
    yield from free("preferences", {"U": changed})


def rights() -> Iterator[str]:
    for name in ("memory_uses", "memory_vectors"):
        yield from isolate(name)
        yield f"grant select on crm.{name} to {', '.join(CLIENTS)}"
        yield f"grant select, insert, update, delete on crm.{name} to crm_definer"
    yield "grant select, delete on crm.learnings to crm_definer"
    yield "create index drafts_undone on crm.drafts(org_id, decided_at) where tool = 'undo_change'"
    yield "create trigger expires before insert or update on crm.learnings for each row execute function crm.learning_expires()"
    yield from definer("learning_expires()", callers=())
    yield from definer("memory_used(bigint, bigint, text, bigint[], boolean)", callers=("crm_agent",))
    yield from definer("keep_vectors(text, text, jsonb)", callers=("crm_worker",))
    yield from definer("forget_learnings(int)", callers=("crm_worker",))


def policies() -> Iterator[str]:
    """Let an org decide about memories, which run until it does: its editions so far say nothing of them."""
    yield """create or replace function crm.policy_standard() returns jsonb language sql immutable set search_path = pg_catalog, pg_temp as $f$
  select '{"learning_mode": false, "hold_below_confidence": "0.85", "deny_agents_above": "50000", "approval_limit": "5000",
    "passkeys": "never", "solo": false,
    "run_tables": {"customers": "hold", "contacts": "hold", "organizations": "hold", "individuals": "hold", "leads": "hold", "deals": "hold",
      "projects": "hold", "documents": "hold", "issues": "hold", "notes": "run", "tasks": "run", "activities": "run", "preferences": "run",
      "learnings": "run", "exports": "run"},
    "agents": {"triage": "normal", "customer": "normal", "order": "normal", "analytics": "normal", "support": "normal",
      "settings": "normal", "sales": "normal", "research": "normal"},
    "stage_moves": {"max_value": "10000", "pipelines": {}, "stages": {}}}'::jsonb $f$"""
    yield """create or replace function crm.policy_tables() returns table(tbl text, is_guarded boolean) language sql immutable set search_path = pg_catalog, pg_temp as $f$
  values ('customers', true), ('contacts', true), ('organizations', true), ('individuals', true), ('leads', true), ('deals', true),
    ('projects', true), ('documents', true), ('issues', true),
    ('notes', false), ('tasks', false), ('activities', false), ('preferences', false), ('learnings', false), ('exports', false) $f$"""
    yield """create or replace function crm.policy_freedom(setting text, value jsonb) returns numeric language sql immutable set search_path = pg_catalog, pg_temp as $f$
  select case
    when setting = 'learning_mode' then case value when 'false' then 1 else 0 end
    when setting = 'solo' then case value when 'true' then 1 else 0 end
    when setting = 'hold_below_confidence' then -(value #>> '{}')::numeric
    when setting in ('deny_agents_above', 'approval_limit', 'stage_moves.max_value') then (value #>> '{}')::numeric
    when setting = 'passkeys' then case value when '"never"' then 2 when '"over_limit"' then 1 else 0 end
    when setting in ('run_tables.exports', 'run_tables.learnings') then case coalesce(value, '"run"') when '"run"' then 1 else 0 end
    when setting like 'run\\_tables.%' then case value when '"run"' then 1 else 0 end
    when setting like 'agents.%' then case coalesce(value, '"normal"') when '"normal"' then 2 when '"hold"' then 1 else 0 end
    when setting like 'stage\\_moves.pipelines.%' then case coalesce(value, '"normal"') when '"normal"' then 1 else 0 end
    when setting like 'stage\\_moves.stages.%' then case coalesce(value, 'null') when 'true' then 2 when 'null' then 1 else 0 end
  end $f$"""


def upgrade() -> None:
    run(learnings(), preferences(), SQL / "learnings.sql", rights(), policies())
    run(iter(["update crm.schema_state set revision = '0028', oldest_client = '0028'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
