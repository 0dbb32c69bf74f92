"""The registry of an org's own tables; what confines them is made when one is registered, and after every migration."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import CLIENTS, isolate, run

revision = "0020"
down_revision = "0019"
SQL = Path(__file__).parent.parent / "sql"
FUNCTIONS = ("view_parts(oid)", "view_text(oid)", "own_guard(oid)", "own_table_fault(crm.own_tables)")


def rights() -> Iterator[str]:
    yield from isolate("own_tables")
    for login in CLIENTS:
        yield f"grant select on crm.own_tables to {login}"
    for signature in FUNCTIONS:
        yield f"revoke execute on function crm.{signature} from public"
        yield f"grant execute on function crm.{signature} to " + ", ".join(CLIENTS)


def recorded() -> Iterator[str]:
    """Record registrations as access is: the recorder is a definer's, who lends it for the making of the trigger."""
    record = "function crm.record_access()"
    yield from ("set role crm_signin", f"grant execute on {record} to crm_owner", "reset role")
    yield f"""create trigger record_access after insert or update or delete on crm.own_tables
 for each row execute {record.removesuffix(")")}'own table', 'org_id')"""
    yield from ("set role crm_signin", f"revoke execute on {record} from crm_owner", "reset role")


def upgrade() -> None:
    run(SQL / "own_tables.sql", rights(), recorded())
    run(iter(["update crm.schema_state set revision = '0020'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
