"""Invitations, keys that end at once, and a record of who was given access by whom."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import CLIENTS, definer, isolate, run

revision = "0005"
down_revision = "0004"
SQL = Path(__file__).parent.parent / "sql"


def rights() -> Iterator[str]:
    yield from isolate("access_log")
    yield "grant insert on crm.access_log to crm_signin"
    yield "grant select, update (used_at) on crm.invitations to crm_signin"
    yield "grant update (active) on crm.memberships to crm_signin"
    yield "grant update (last_used_at) on crm.api_keys to crm_signin"
    yield "grant select (id, expires_at, revoked_at) on crm.api_keys to crm_definer"
    yield "revoke execute on function crm.keep_access_log() from public"
    yield "revoke execute on function crm.mint(bigint, bigint, text, bigint) from public"
    yield "grant execute on function crm.mint(bigint, bigint, text, bigint) to crm_signin"
    yield from definer("record_access()", callers=(), owner="crm_signin")
    yield from definer("key_lives(bytea)", callers=CLIENTS, owner="crm_signin")
    yield from definer("mail_login_links(text, bytea[])", callers=("crm_approver",), owner="crm_signin")


def again(owner: str, file: str) -> Iterator[str]:
    """Replace functions of a definer, which only that role may."""
    yield f"grant create on schema crm to {owner}"
    yield f"set role {owner}"
    yield (SQL / file).read_text(encoding="utf-8")
    yield "reset role"
    yield f"revoke create on schema crm from {owner}"


def upgrade() -> None:
    run(SQL / "people.sql", rights())
    run(again("crm_definer", "people_bound.sql"), again("crm_signin", "people_sign_in.sql"))
    run(iter(["update crm.schema_state set revision = '0005', oldest_client = '0005'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
