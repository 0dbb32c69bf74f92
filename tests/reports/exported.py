"""The product's own export of an org, as tables of DuckDB under the names that `meanings` knows.

Moments come as the file has them, in UTC, and DuckDB's own time zones put them on the org's clock.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb
from click.testing import CliRunner, Result
from figures import Engine
from meanings import MACROS

from crm_mcp.cli import main
from crm_mcp.kinds.every import EXPORTS, Kind

KINDS: tuple[Kind, ...] = (
    "customers", "products", "stock", "quotes", "orders", "invoices", "payments", "credit_notes", "issues", "tasks", "activities",
)  # fmt: skip
TYPES = """
create macro no(id) as cast(split_part(id, '_', 2) as bigint);
create macro money(amount) as cast(amount as decimal(19, 4));
create macro here(moment) as cast(moment as timestamptz) at time zone getvariable('zone');
create macro us(moment) as epoch_us(cast(moment as timestamptz));
"""
_TOTALS = "currency, money(net_total) as net_total, money(tax_total) as tax_total, money(gross_total) as gross_total, money(base_total) as base_total"
_ONCE = "(select distinct on (id) * from file_{})"
_MOMENTS = ("opened_at", "responded_at", "respond_by", "resolve_by", "waiting_since", "resolved_at", "closed_at")
TABLES = {
    "customers": "no(id) as id, name, email, phone, segment, country, owner_email as owner_id, archived_at from file_customers",
    "users": """id, any_value(name) as name from (select owner_email as id, owner_name as name from file_customers
        union all select assignee_email, assignee_name from file_tasks) where id is not null group by id""",
    "activities": "no(customer_id) as customer_id, here(happened_at) as happened_at, us(happened_at) as happened_at_us, archived_at from file_activities",
    "products": "no(id) as id, sku, name, currency, money(unit_price) as unit_price, reorder_level::int as reorder_level, discontinued::boolean as discontinued, archived_at from file_products",
    "stock_movements": "no(id) as product_id, stock::int as quantity, null as archived_at from file_stock",
    "stock_reservations": "no(id) as product_id, reserved::int as quantity, null as archived_at, null as released_at from file_stock",
    "quotes": f"""no(id) as id, status, here(quoted_at) as quoted_at, us(quoted_at) as quoted_at_us, here(decided_at) as decided_at,
        valid_until::date as valid_until, lost_reason, salesperson, {_TOTALS}, archived_at from {_ONCE.format("quotes")}""",
    "orders": f"""no(id) as id, no(customer_id) as customer_id, no(quote_id) as quote_id, status, here(placed_at) as placed_at,
        us(placed_at) as placed_at_us, salesperson, {_TOTALS}, archived_at from {_ONCE.format("orders")}""",
    "order_lines": """no(id) as order_id, no(product_id) as product_id, quantity::int as quantity, money(unit_price) as unit_price,
        money(net_amount) as net_amount from file_orders where line_id is not null""",
    "invoices": f"""no(id) as id, no(customer_id) as customer_id, issued_on::date as issued_on, due_on::date as due_on,
        {_TOTALS}, money(open_total) as open_total, archived_at from {_ONCE.format("invoices")}""",
    "credit_notes": f"no(id) as id, no(invoice_id) as invoice_id, issued_on::date as issued_on, {_TOTALS}, archived_at from file_credit_notes",
    "payments": f"""no(id) as id, received_on::date as received_on, money(amount) as amount, currency, money(base_amount) as base_amount,
        method, money(allocated_total) as allocated_total, archived_at from {_ONCE.format("payments")}""",
    "payment_allocations": """no(id) as payment_id, no(invoice_id) as invoice_id, money(allocated_amount) as amount,
        null as archived_at from file_payments where invoice_id is not null""",
    "issues": f"""priority, status, {", ".join(f"here({at}) as {at}, us({at}) as {at}_us" for at in _MOMENTS)},
        waited_seconds::bigint as waited_seconds, assignee_email as assignee_id, archived_at from file_issues""",
    "tasks": "status, priority, due_on::date as due_on, assignee_email as assignee_id, archived_at from file_tasks",
}


def crm(*words: object) -> Result:
    """Run a command of the product, which succeeds."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


def taken_out(folder: Path, who: Sequence[str], zone: str, base: str, *, as_json: bool = False) -> Engine:
    """Export an org into files of a folder, CSV or a JSON object a line, and open them in DuckDB."""
    engine = duckdb.connect()
    engine.execute(f"set variable zone = '{zone}'; set variable base = '{base}'; {TYPES}")
    for kind in KINDS:
        file = folder / f"{kind}.{'jsonl' if as_json else 'csv'}"
        crm("export", kind, file, *(["--json"] if as_json else []), *who)
        engine.execute(f"create table file_{kind} as {_lines(file, kind) if as_json else _cells(file)}")
    for name, meaning in TABLES.items():
        engine.execute(f"create table {name} as select {meaning}")
    engine.execute(MACROS)
    return engine


def _cells(file: Path) -> str:
    """Read CSV as texts; what was disarmed for spreadsheets is as it was."""
    read = f"read_csv('{file}', all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"')"
    return rf"select regexp_replace(columns(*), '^''(''*\s*[=+\-@])', '\1') from {read}"


def _lines(file: Path, kind: Kind) -> str:
    columns = ", ".join(f"{one.name}: 'varchar'" for one in EXPORTS[kind].columns)
    return f"from read_json('{file}', format = 'newline_delimited', columns = {{{columns}}})"
