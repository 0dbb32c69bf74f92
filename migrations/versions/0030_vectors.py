"""Vectors of the passages that search finds: models, a table each, and the function that compares them with a query."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import CLIENTS, definer, run

revision = "0030"
down_revision = "0029"
SQL = Path(__file__).parent.parent / "sql"

FIRST = """insert into crm.embedding_models(name, dimensions, is_semantic, least, state, switched_at)
 values ('ngrams-1', 512, false, 0.3, 'live', now())"""


def models() -> Iterator[str]:
    yield "revoke execute on function crm.make_vectors(int) from public"
    yield FIRST
    yield "select crm.make_vectors(id) from crm.embedding_models"
    yield f"grant select on crm.embedding_models to {', '.join((*CLIENTS, 'crm_definer'))}"
    yield from definer("nearest(text, text, text, bigint, text[], text[], int)", callers=("crm_worker",))


def upgrade() -> None:
    run(SQL / "search_vectors.sql", models())
    run(iter(["update crm.schema_state set revision = '0030'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
