"""Held calls that are edited, and news of drafts for whoever listens."""

from crm_mcp.tablekit import run

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run(iter(["update crm.schema_state set revision = '0006', oldest_client = '0006'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
