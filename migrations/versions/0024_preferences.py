"""How somebody wants things done: preferences, corrections, patterns and decisions, each a person's own."""

from collections.abc import Iterator

from crm_mcp.tablekit import Column, definer, isolate, run, table

revision = "0024"
down_revision = "0023"


EVERYONE = ("admin", "sales", "operations", "finance", "support")
CHANGED = (
    *("kind", "content", "via", "confidence", "redacted", "tool", "argument", "word", "meant", "forgotten_at"),
    *("archived_at", "custom_fields"),
)


def preferences() -> Iterator[str]:
    yield from table(
        "preferences",
        Column("user_id", "bigint not null references crm.users", "Whose it is; nobody else is shown it."),
        Column(
            "kind",
            "text not null check (kind in ('preference', 'correction', 'pattern', 'decision'))",
            "preference, correction, pattern or decision.",
        ),
        Column(
            "content", "text not null check (length(content) between 1 and 1000)", "In words, without personal data."
        ),
        Column(
            "via", "text not null check (via in ('person', 'agent'))", "Whether the person was served, or an agent."
        ),
        Column("confidence", "numeric(4,3) not null check (confidence between 0 and 1)", "How sure, 0 to 1."),
        Column("redacted", "jsonb not null default '[]'", "Kinds of personal data that were taken out."),
        Column(
            "tool", "text check (length(tool) <= 60)", "The tool to whose calls it is applied; null: in words alone."
        ),
        Column("argument", "text check (length(argument) <= 60)", "The argument it is about."),
        Column("word", "text check (length(word) <= 60)", "What is said there; null: nothing is."),
        Column("meant", "jsonb", "What is meant then."),
        Column("forgotten_at", "timestamptz", "When it was deleted: it is applied and shown no more."),
        prefix="pref",
        roles=EVERYONE,
        description="How a person wants things done.",
        free={"I": None, "U": CHANGED},
        extra=(
            "check ((tool is null) = (argument is null) and (tool is null) = (meant is null))",
            "check (word is null or tool is not null)",
        ),
    )
    yield "create index preferences_of on crm.preferences(org_id, user_id) where forgotten_at is null"
    yield (
        "create unique index preferences_applied on crm.preferences(org_id, user_id, tool, argument, coalesce(lower(word), '')) "
        "where tool is not null and forgotten_at is null and archived_at is null"
    )


USES = """create table crm.preference_uses(
  org_id bigint not null references crm.orgs on delete cascade, preference_id bigint not null, uses int not null, used_at timestamptz not null default clock_timestamp(),
  primary key (org_id, preference_id),
  foreign key (org_id, preference_id) references crm.preferences (org_id, id) on delete cascade)"""
USED = """create function crm.preferences_used(org bigint, whose bigint, which bigint[]) returns void
 language sql security definer set search_path = pg_catalog, pg_temp as $f$
 insert into crm.preference_uses(org_id, preference_id, uses)
  select p.org_id, p.id, 1 from crm.preferences p
   where p.org_id = org and p.org_id = nullif(current_setting('crm.org_id', true), '')::bigint and p.user_id = whose and p.id = any (which)
  on conflict (org_id, preference_id) do update set uses = preference_uses.uses + 1, used_at = clock_timestamp() $f$"""
"""Counts beside the record what a read applied: a read changes no record."""


def used() -> Iterator[str]:
    yield USES
    yield "comment on table crm.preference_uses is 'How often a preference was applied to a read, and when last.'"
    yield "comment on column crm.preference_uses.preference_id is 'The preference.'"
    yield "comment on column crm.preference_uses.uses is 'How often.'"
    yield "comment on column crm.preference_uses.used_at is 'When last.'"
    yield from isolate("preference_uses")
    yield "grant select on crm.preference_uses to crm_agent, crm_worker, crm_approver"
    yield USED
    yield "grant select on crm.preferences to crm_definer"
    yield "grant select, insert, update on crm.preference_uses to crm_definer"
    yield from definer("preferences_used(bigint, bigint, bigint[])", callers=("crm_agent",))


def upgrade() -> None:
    run(preferences(), used())
    run(iter(["update crm.schema_state set revision = '0024'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
