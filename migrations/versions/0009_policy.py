"""Policies that an approved draft changes, what the guard lets run by them, and how long what is spent is kept."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import CLIENTS, Column, definer, run, table

revision = "0009"
down_revision = "0008"
SQL = Path(__file__).parent.parent / "sql"
WHOLE = (
    "'learning_mode', 'hold_below_confidence', 'deny_agents_above', 'approval_limit', 'passkeys', 'solo', "
    "'run_tables', 'agents', 'stage_moves'"
)
PURE = (
    "policy_standard()",
    "policy_before(bigint, int)",
    "policy_freedom(text, jsonb)",
    "policy_settings(jsonb)",
    "policy_loosened(jsonb, jsonb)",
    "policy_objection(bigint, int, jsonb, bigint, bigint[])",
)


def policies() -> Iterator[str]:
    yield from table(
        "policies",
        Column("edition", "int not null check (edition > 1)", "2, 3 …; edition 1 is the standard policy."),
        Column("document", f"jsonb not null check (document ?& array[{WHOLE}])", "Every setting."),
        Column(
            "changes",
            "jsonb not null check (jsonb_typeof(changes) = 'array')",
            "What differs from the edition before: setting, before, after, loosens.",
        ),
        prefix="pol",
        roles=("admin",),
        description="Editions of the org's policy: what runs at once and what a person must approve.",
        extra=("unique (org_id, edition)",),
    )
    for login in CLIENTS:
        yield f"revoke update, delete on crm.policies from {login}"


def rights() -> Iterator[str]:
    for signature in PURE:
        yield f"revoke execute on function crm.{signature} from public"
        yield f"grant execute on function crm.{signature} to " + ", ".join(CLIENTS)
    for signature in ("policy_tables()", "policy_parts()"):
        yield f"revoke execute on function crm.{signature} from public"
        yield f"grant execute on function crm.{signature} to crm_definer"
    yield "revoke execute on function crm.decide_policy() from public"
    yield "grant select on crm.policies to crm_definer"
    yield "grant insert, delete on crm.free_writes to crm_definer"
    yield "grant update (solo) on crm.orgs to crm_definer"
    yield from definer("apply_policy()", callers=())
    yield "grant select on crm.retention to crm_definer, crm_signin"
    yield "grant delete on crm.notices to crm_definer"
    yield "grant delete on crm.invitations to crm_signin"
    yield from definer("forget_invitations(int)", callers=("crm_worker",), owner="crm_signin")
    yield from definer("forget_notices(int)", callers=("crm_worker",))


def upgrade() -> None:
    run(policies(), SQL / "policy.sql", SQL / "retention.sql", rights())
    run(iter(["update crm.schema_state set revision = '0009', oldest_client = '0009'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
