"""Policies that an approved draft changes, and what the guard lets run by them."""

from crm_mcp.tablekit import run

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run(iter(["update crm.schema_state set revision = '0009', oldest_client = '0009'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
