"""Nothing of the schema: at a new revision the embedded home runs the administrator's part again, which confines crm_query further."""

from crm_mcp.tablekit import run

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    run(iter(["update crm.schema_state set revision = '0019'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
