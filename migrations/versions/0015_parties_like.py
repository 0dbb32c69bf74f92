"""What a new party is like, by indexes that RLS would not use."""

from pathlib import Path

from crm_mcp.tablekit import CLIENTS, definer, run

revision = "0015"
down_revision = "0012"

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    run(SQL / "parties_like.sql")
    run(iter(["grant select on crm.organizations, crm.individuals to crm_definer"]))
    run(definer("parties_like(text, bigint, int)", callers=CLIENTS))
    run(iter(["update crm.schema_state set revision = '0015'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
