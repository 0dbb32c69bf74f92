"""Finding at size: words of every kind of record through one definer, and an index for each list that people ask for."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import CLIENTS, definer, run

revision = "0012"
down_revision = "0011"

SQL = Path(__file__).parent.parent / "sql"
KINDS = (
    "organizations", "individuals", "contacts", "customers", "deals", "leads", "projects", "tasks", "notes", "documents",
    "issues", "products",
)  # fmt: skip
SEEN_BY = {
    "tasks": " include (subject_type, subject_id, assignee_id)",
    "notes": " include (subject_type, subject_id)",
    "documents": " include (subject_type, subject_id)",
}
"""What tells whether a role may see a row, so that rows are counted in the index alone."""
OWNED = ("organizations", "individuals", "customers", "deals", "leads", "projects")
STAGED = ("deals", "leads", "projects", "tasks", "issues")
TITLED = {"tasks": "title", "documents": "title", "issues": "title"}
NAMED = ("organizations", "individuals", "contacts", "customers", "deals", "leads", "projects", "products")


def lists() -> Iterator[str]:
    """Yield the indexes in the order of a list, without what is archived."""
    latest = "updated_at desc, id desc"
    for name in KINDS:
        seen = SEEN_BY.get(name, "")
        yield f"drop index crm.{name}_updated"
        yield f"create index {name}_updated on crm.{name}(org_id, {latest}){seen} where archived_at is null"
        if name in OWNED:
            yield f"create index {name}_owner on crm.{name}(org_id, owner_id, {latest}) where archived_at is null"
        if name in STAGED:
            yield f"create index {name}_status on crm.{name}(org_id, status, {latest}){seen} where archived_at is null"
    yield f"create index issues_assignee on crm.issues(org_id, assignee_id, {latest}) where archived_at is null"
    yield (
        f"create index tasks_assignee on crm.tasks(org_id, assignee_id, {latest}) "
        "include (subject_type, subject_id) where archived_at is null"
    )
    for name, column in {**dict.fromkeys(NAMED, "name"), **TITLED}.items():
        # as find_records sorts by a text
        yield f"create index {name}_by_name on crm.{name}(org_id, left(lower({column}), 100), id) where archived_at is null"


def words() -> Iterator[str]:
    for name in KINDS:
        yield f"create index {name}_words on crm.{name} using gin (org_id, search_key public.gin_trgm_ops)"
        if name not in ("customers", "contacts"):
            yield f"create policy searched on crm.{name} for select to crm_definer using (true)"
            yield f"grant select on crm.{name} to crm_definer"
    yield "grant select on crm.reasoning to crm_definer"
    yield "revoke execute on function crm.word_patterns(text) from public"
    yield "grant execute on function crm.word_patterns(text) to crm_definer, " + ", ".join(CLIENTS)
    yield from definer("find_words(text, text, text, bigint, boolean, int)", callers=CLIENTS)


def upgrade() -> None:
    run(SQL / "find_words.sql", words(), lists())
    run(iter(["update crm.schema_state set revision = '0012'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
