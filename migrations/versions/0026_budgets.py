"""What models may cost and what they did, and how many calls a principal may make in a minute."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import CLIENTS, definer, isolate, run

revision = "0026"
down_revision = "0025"

SQL = Path(__file__).parents[1] / "sql"
READ = ("budgets", "budget_days", "token_reservations", "model_usage")
SERVING = ("crm_agent", "crm_worker")


def budgets() -> Iterator[str]:
    for name in READ:
        yield from isolate(name)
        for login in CLIENTS:
            yield f"grant select on crm.{name} to {login}"
    # the recorder is a definer's, who lends it for the making of the trigger
    record = "function crm.record_access()"
    yield from ("set role crm_signin", f"grant execute on {record} to crm_owner", "reset role")
    yield f"""create trigger record_access after insert or update or delete on crm.budgets
 for each row execute {record.removesuffix(")")}'budget', 'org_id')"""
    yield from ("set role crm_signin", f"revoke execute on {record} from crm_owner", "reset role")
    yield "grant select on crm.budgets, crm.exchange_rates to crm_definer"
    yield "grant select, insert, update, delete on crm.budget_days, crm.token_reservations, crm.model_usage to crm_definer"
    for pure in (
        "budget_standard()",
        "budget_limits(bigint, bigint)",
        "budget_standing(bigint, bigint, timestamptz)",
    ):
        yield f"revoke execute on function crm.{pure} from public"
        yield f"grant execute on function crm.{pure} to {', '.join(CLIENTS)}, crm_definer"
    yield from definer("in_base(bigint, numeric, text, date)", callers=())
    yield from definer("count_spent(bigint, date, bigint, bigint, numeric)", callers=())
    amount = "numeric, text"
    yield from definer(f"reserve_tokens_at(crm.bound_principal, text, bigint, {amount}, timestamptz)", callers=())
    yield from definer(
        f"settle_tokens_at(crm.bound_principal, bigint, bigint, bigint, {amount}, text, timestamptz)", callers=()
    )
    yield from definer(f"reserve_tokens(text, bigint, {amount})", callers=SERVING)
    yield from definer(f"settle_tokens(bigint, bigint, bigint, {amount}, text)", callers=SERVING)
    yield from definer("forget_usage(int)", callers=("crm_worker",))


def rates() -> Iterator[str]:
    yield from isolate("call_rates")
    yield "grant select, insert, update on crm.call_rates to crm_definer"
    yield from definer("lease_calls_at(bigint, bigint, text, int, int, int, timestamptz)", callers=())
    yield from definer("lease_calls(bigint, bigint, text, int, int, int)", callers=("crm_agent",))


def upgrade() -> None:
    run(SQL / "budgets.sql", budgets(), SQL / "call_rates.sql", rates())
    run(iter(["update crm.schema_state set revision = '0026'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
