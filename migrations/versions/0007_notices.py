"""What approvers are told of drafts, once, and once more before they expire."""

from crm_mcp.tablekit import run

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run(iter(["update crm.schema_state set revision = '0007', oldest_client = '0007'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
