"""Passkeys, and the signatures that decisions bear."""

from crm_mcp.tablekit import run

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run(iter(["update crm.schema_state set revision = '0008', oldest_client = '0008'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
