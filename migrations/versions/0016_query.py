"""Free-form SQL: the login crm_query bound to one org. Its views are made after every migration, from the live catalog."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import definer, run

revision = "0016"
down_revision = "0015"

SQL = Path(__file__).parents[1] / "sql"
COLUMNS = {
    "name": "Full name.",
    "email": "The address they sign in with.",
    "role": "admin, sales, operations, finance or support.",
    "active": "Whether they still belong to the org.",
    "reports_to": "The person they report to.",
}


def rights() -> Iterator[str]:
    yield "grant usage on schema query to crm_query"
    yield "revoke execute on function query.row_fits(int) from public"
    yield "grant execute on function query.row_fits(int) to crm_query"
    yield from definer("mint_query(int, bigint)", callers=("crm_agent",))
    yield from definer("query_bound()", callers=())
    for name in ("query_org()", "query_user()"):
        yield from definer(name, callers=("crm_query", "crm_definer"))
    yield "grant select on crm.users, crm.memberships to crm_definer"


def people() -> Iterator[str]:
    import json

    hint = json.dumps({"id": "number", "columns": COLUMNS, "relationships": {"reports_to": "people"}})
    roles = "array['admin', 'sales', 'operations', 'finance', 'support']"
    yield (
        "insert into crm.reasoning(type, table_name, description, schema_hint, roles, aliases) values ('crm', 'people', "
        f"'Who belongs to the org: created_by, owner_id and assignee_id name them.', '{hint}', {roles}, array['User', 'users'])"
    )


def upgrade() -> None:
    run(iter(["create schema query"]), SQL / "query.sql", rights(), people())
    run(iter(["update crm.schema_state set revision = '0016', oldest_client = '0011'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
