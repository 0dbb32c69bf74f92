"""The recorder and the stamp do for each row no more than the row needs."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import run

revision = "0018"
down_revision = "0017"
SQL = Path(__file__).parent.parent / "sql"


def recorder() -> Iterator[str]:
    """Replace the recorder, which only its own role may."""
    yield "grant create on schema crm to crm_definer"
    yield "set role crm_definer"
    yield (SQL / "recording.sql").read_text(encoding="utf-8")
    yield "reset role"
    yield "revoke create on schema crm from crm_definer"


def upgrade() -> None:
    run(recorder(), SQL / "stamping.sql")
    run(iter(["update crm.schema_state set revision = '0018'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
