"""Invitations, and a record of who was given access by whom."""

from crm_mcp.tablekit import run

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run(iter(["update crm.schema_state set revision = '0005', oldest_client = '0005'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
