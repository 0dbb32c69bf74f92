"""Held calls that are edited, and news of drafts for whoever listens."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import CLIENTS, definer, isolate, run

revision = "0006"
down_revision = "0005"
SQL = Path(__file__).parent.parent / "sql"
EDITED = (
    "version, args, args_key, effects_key, tool_version, changes, shown, summary, verdict, amount, subject, "
    "policy_version, clock, failures, expires_at, editors"
)


def rights() -> Iterator[str]:
    yield from isolate("draft_versions")
    yield "grant select on crm.draft_versions to " + ", ".join(CLIENTS)
    yield "grant insert on crm.draft_versions to crm_definer"
    yield f"grant update ({EDITED}) on crm.drafts to crm_definer"
    yield "revoke execute on function crm.tell() from public"
    yield from definer("revise(bigint, jsonb)", callers=("crm_agent", "crm_approver"))


def upgrade() -> None:
    run(SQL / "revisions.sql", rights())
    run(iter(["update crm.schema_state set revision = '0006', oldest_client = '0006'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
