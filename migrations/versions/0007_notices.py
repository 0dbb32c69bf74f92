"""What approvers are told of drafts, once, and once more before they expire."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import definer, isolate, run

revision = "0007"
down_revision = "0006"
SQL = Path(__file__).parent.parent / "sql"


def rights() -> Iterator[str]:
    yield from isolate("notices")
    yield "grant select, insert on crm.notices to crm_definer"
    yield "grant select on crm.notices to crm_worker, crm_approver"
    yield (
        "grant update (state, attempts, unclear, next_attempt_at, last_error, sent_at) on crm.notices to crm_worker"
    )
    yield from definer("post_notices(jsonb)", callers=("crm_worker",))
    yield from definer("enqueue(text, jsonb)", callers=("crm_approver",))


def upgrade() -> None:
    run(iter(["drop function crm.enqueue(text, jsonb)"]))
    run(SQL / "notices.sql")
    run(rights())
    run(iter(["update crm.schema_state set revision = '0007', oldest_client = '0007'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
