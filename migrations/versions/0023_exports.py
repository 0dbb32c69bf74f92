"""Exports: files of records and reports, kept for a day, which the page gives to whoever had them made."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import CLIENTS, Column, definer, isolate, run, table

revision = "0023"
down_revision = "0022"
SQL = Path(__file__).parent.parent / "sql"


def exports() -> Iterator[str]:
    yield from table(
        "exports",
        Column(
            "name",
            r"text not null check (name ~ '\S' and length(name) <= 200 and name !~ '[[:cntrl:]/\\]')",
            "File name.",
        ),
        Column("format", "text not null check (format in ('csv', 'xlsx'))", "csv or xlsx."),
        Column(
            "question",
            "jsonb not null check (jsonb_typeof(question) = 'object')",
            "What it is of: a report with its parameters, or an entity with filters and columns.",
        ),
        Column("rows", "int check (rows >= 0)", "Rows of the file; null while it is made.", derived=True),
        Column("bytes", "int check (bytes > 0)", "Its size.", derived=True),
        Column("sha256", "text check (sha256 ~ '^[0-9a-f]{64}$')", "Its digest.", derived=True),
        Column("expires_at", "timestamptz", "When it goes.", derived=True),
        prefix="exp",
        roles=("admin",),
        free={"I": None},
        description="Files that were made of records and reports: by whom and of what. The file itself goes after a day.",
        extra=("check ((sha256 is null) = (expires_at is null))",),
    )
    yield "create index exports_of on crm.exports(org_id, created_by, expires_at)"
    # what there is of the file, and until when, is said by crm.finish_export alone
    for login in CLIENTS:
        yield f"revoke insert, update, delete on crm.exports from {login}"
        yield f"grant insert (org_id, name, format, question, archived_at) on crm.exports to {login}"


def rights() -> Iterator[str]:
    yield from isolate("export_parts")
    yield "grant select, update (rows, bytes, sha256, expires_at) on crm.exports to crm_definer"
    yield "grant select, insert, delete on crm.export_parts to crm_definer"
    yield from definer("is_being_made(bigint, bigint)", callers=())
    yield from definer("may_fetch(crm.bound_principal, bigint)", callers=())
    yield from definer("put_export_part(bigint, int, bytea)", callers=("crm_agent", "crm_approver"))
    yield from definer("finish_export(bigint, int, text)", callers=("crm_agent", "crm_approver"))
    yield from definer("export_part(bigint, int)", callers=("crm_approver",))
    yield from definer("end_export(bigint)", callers=("crm_approver",))
    yield from definer("forget_exports(int)", callers=("crm_worker",))


def policies() -> Iterator[str]:
    """Let an org decide about exports, which run until it does: its editions so far say nothing of them."""
    yield """create or replace function crm.policy_standard() returns jsonb language sql immutable set search_path = pg_catalog, pg_temp as $f$
  select '{"learning_mode": false, "hold_below_confidence": "0.85", "deny_agents_above": "50000", "approval_limit": "5000",
    "passkeys": "never", "solo": false,
    "run_tables": {"customers": "hold", "contacts": "hold", "organizations": "hold", "individuals": "hold", "leads": "hold", "deals": "hold",
      "projects": "hold", "documents": "hold", "issues": "hold", "notes": "run", "tasks": "run", "activities": "run", "preferences": "run",
      "exports": "run"},
    "agents": {"triage": "normal", "customer": "normal", "order": "normal", "analytics": "normal", "support": "normal",
      "settings": "normal", "sales": "normal", "research": "normal"},
    "stage_moves": {"max_value": "10000", "pipelines": {}, "stages": {}}}'::jsonb $f$"""
    yield """create or replace function crm.policy_tables() returns table(tbl text, is_guarded boolean) language sql immutable set search_path = pg_catalog, pg_temp as $f$
  values ('customers', true), ('contacts', true), ('organizations', true), ('individuals', true), ('leads', true), ('deals', true),
    ('projects', true), ('documents', true), ('issues', true),
    ('notes', false), ('tasks', false), ('activities', false), ('preferences', false), ('exports', false) $f$"""
    yield """create or replace function crm.policy_freedom(setting text, value jsonb) returns numeric language sql immutable set search_path = pg_catalog, pg_temp as $f$
  select case
    when setting = 'learning_mode' then case value when 'false' then 1 else 0 end
    when setting = 'solo' then case value when 'true' then 1 else 0 end
    when setting = 'hold_below_confidence' then -(value #>> '{}')::numeric
    when setting in ('deny_agents_above', 'approval_limit', 'stage_moves.max_value') then (value #>> '{}')::numeric
    when setting = 'passkeys' then case value when '"never"' then 2 when '"over_limit"' then 1 else 0 end
    when setting = 'run_tables.exports' then case coalesce(value, '"run"') when '"run"' then 1 else 0 end
    when setting like 'run\\_tables.%' then case value when '"run"' then 1 else 0 end
    when setting like 'agents.%' then case coalesce(value, '"normal"') when '"normal"' then 2 when '"hold"' then 1 else 0 end
    when setting like 'stage\\_moves.pipelines.%' then case coalesce(value, '"normal"') when '"normal"' then 1 else 0 end
    when setting like 'stage\\_moves.stages.%' then case coalesce(value, 'null') when 'true' then 2 when 'null' then 1 else 0 end
  end $f$"""


def upgrade() -> None:
    run(exports(), SQL / "exports.sql", rights(), policies())
    run(iter(["update crm.schema_state set revision = '0023'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
