"""Passkeys, and the signatures that decisions bear."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import definer, isolate, run

revision = "0008"
down_revision = "0007"
SQL = Path(__file__).parent.parent / "sql"


def rights() -> Iterator[str]:
    yield from isolate("passkeys")
    yield from isolate("signatures")
    yield "grant select, insert, update on crm.passkeys to crm_definer"
    yield "grant select, insert on crm.signatures to crm_definer"
    yield "grant select, update on crm.passkey_challenges to crm_definer"
    yield "grant select on crm.changes to crm_definer"
    yield "grant select, update on crm.passkeys to crm_signin"
    yield "grant select, insert, update, delete on crm.passkey_challenges to crm_signin"
    yield "grant select, insert on crm.passkey_challenge_items to crm_signin"
    yield "grant select, update (used_at, used_xact) on crm.passkey_challenge_items to crm_definer"
    yield "revoke execute on function crm.count_passkey(bigint, bigint) from public"
    yield "grant execute on function crm.count_passkey(bigint, bigint) to crm_definer, crm_signin"
    ours = ("crm_approver",)
    yield from definer(
        "ask_passkey(text, bytea, bytea, bytea, bigint, text, text, bytea)", callers=ours, owner="crm_signin"
    )
    yield from definer("session_is_fresh(bytea)", callers=ours, owner="crm_signin")
    yield from definer("passkey_key(bytea)", callers=ours, owner="crm_signin")
    yield from definer("enter_by_passkey(bytea, bytea, bigint, bytea)", callers=ours, owner="crm_signin")
    yield from definer("end_passkey_sessions()", callers=(), owner="crm_signin")
    yield from definer("forget_challenges(int)", callers=("crm_worker",), owner="crm_signin")
    yield from definer("take_challenge(bytea, text, bytea)", callers=ours)
    yield from definer("enrol_passkey(bytea, bytea, bytea, bytea, bigint, text[], text)", callers=ours)
    yield from definer("list_passkeys()", callers=ours)
    yield from definer("rename_passkey(bigint, text)", callers=ours)
    yield from definer("revoke_passkey(bigint)", callers=ours)
    yield from definer(
        "sign_decision(bytea, bigint, int, text, text, text, bytea, bigint, bytea, bytea, bytea)", callers=ours
    )
    yield from definer("ask_passkey_for_all(bytea, bytea, jsonb)", callers=ours, owner="crm_signin")
    yield from definer("passkey_items(bytea)", callers=())
    yield from definer("take_item(bytea, bigint, bytea)", callers=ours)
    yield from definer(
        "sign_item(bytea, bigint, int, text, text, text, bytea, bigint, bytea, bytea, bytea)", callers=ours
    )
    yield from definer("needs_passkey(bigint, numeric, text, boolean)", callers=ours)
    yield from definer("require_signature()", callers=())
    yield from definer("show_signatures(bigint, int)", callers=ours)
    yield from definer("lost_signatures()", callers=ours)


def recorded() -> Iterator[str]:
    """Record passkeys as access is: the recorder is a definer's, who lends it for the making of the trigger."""
    record = "function crm.record_access()"
    yield from ("set role crm_signin", f"grant execute on {record} to crm_owner", "reset role")
    yield f"""create trigger record_access after insert or update or delete on crm.passkeys
 for each row execute {record.removesuffix(")")}'passkey', 'org_id')"""
    yield from ("set role crm_signin", f"revoke execute on {record} from crm_owner", "reset role")


def upgrade() -> None:
    run(SQL / "passkeys.sql", SQL / "passkey_groups.sql", rights(), recorded())
    run(iter(["update crm.schema_state set revision = '0008', oldest_client = '0008'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
