"""Figures of reports beside DuckDB's over the same rows of the demo: each meaning written anew, equal to the cent."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import duckdb
import psycopg
import pytest

TABLES = {
    "orders": "id, customer_id, quote_id, status, currency, salesperson, net_total, gross_total, base_total, "
    "(placed_at at time zone g.timezone) as placed, extract(epoch from placed_at)::bigint as second",
    "order_lines": "order_id, quantity, unit_price, net_amount",
    "customers": "id, country, segment, email, phone, owner_id, t.archived_at is not null as archived",
    "quotes": "id, salesperson, status, (decided_at at time zone g.timezone) as decided, "
    "extract(epoch from quoted_at)::bigint as second, t.archived_at is not null as archived",
    "credit_notes": "currency, net_total, tax_total, gross_total, base_total, issued_on, t.archived_at is not null as archived",
    "invoices": "id, issued_on, due_on, open_total, t.archived_at is not null as archived",
    "payments": "id, received_on, t.archived_at is not null as archived",
    "payment_allocations": "invoice_id, payment_id, t.archived_at is not null as archived",
    "issues": "priority, waited_seconds, extract(epoch from opened_at)::double precision as opened, "
    "extract(epoch from responded_at)::double precision as answered, "
    "extract(epoch from resolved_at)::double precision as solved, t.archived_at is not null as archived",
}
SOLD = """(select *, coalesce(cast(net_total as double) * case when currency = 'EUR' then 1 else base_total / nullif(gross_total, 0) end, 0)
    as worth from orders where status != 'cancelled')"""
MEANING = {
    "revenue_by_country": f"""select ifnull(nullif(trim(country), ''), '(not stated)'), count(*), sum(worth)
        from {SOLD} s, customers c where c.id = s.customer_id group by all""",
    "revenue_by_segment": f"""select ifnull(nullif(trim(segment), ''), '(not stated)'), count(*), sum(worth)
        from {SOLD} s, customers c where c.id = s.customer_id group by all""",
    "average_order_value": f"""select strftime(placed, '%Y-%m'), count(*), sum(worth), sum(worth) / count(*), median(worth)
        from {SOLD} s where currency = 'EUR' or base_total is not null group by all""",
    "new_customers_by_month": """select strftime(placed, '%Y-%m'), count(*) from orders o where status != 'cancelled'
        and not exists (from orders b where b.customer_id = o.customer_id and b.status != 'cancelled'
          and (b.second, b.id) < (o.second, o.id)) group by all""",
    "repeat_purchase_rate": """select ifnull(nullif(trim(segment), ''), '(not stated)'), count(distinct o.customer_id),
        count(distinct o.customer_id) filter (exists (from orders b where b.customer_id = o.customer_id and b.id != o.id
          and b.status != 'cancelled'))
        from orders o, customers c where c.id = o.customer_id and o.status != 'cancelled' group by all""",
    "discount_given": """select ifnull(nullif(trim(salesperson), ''), '(not stated)'), currency, count(distinct id),
        sum(unit_price * quantity), sum(unit_price * quantity) - sum(net_amount)
        from orders, order_lines where order_id = id and status != 'cancelled' group by all""",
    "win_rate_by_person": """select ifnull(nullif(trim(salesperson), ''), '(not stated)'), count_if(status = 'accepted'),
        count_if(status = 'declined') from quotes where not archived and decided is not null
        and status in ('accepted', 'declined') group by all""",
    "quote_to_order_days": """select strftime(placed, '%Y-%m'), count(*), floor(avg(o.second - q.second) / 86400)
        from orders o, quotes q where q.id = o.quote_id and o.status != 'cancelled' group by all""",
    "credit_notes_by_month": """select strftime(issued_on, '%Y-%m'), currency, count(*), sum(net_total), sum(tax_total),
        sum(gross_total), ifnull(sum(base_total), 0) from credit_notes where not archived group by all""",
    "invoice_collection_days": """with last as (select i.id, any_value(i.issued_on) as made, any_value(i.due_on) as due, max(p.received_on) as paid
          from invoices i, payments p, payment_allocations a where a.invoice_id = i.id and a.payment_id = p.id and i.open_total <= 0
          and not (i.archived or p.archived or a.archived) group by i.id)
        select strftime(greatest(paid, made), '%Y-%m'), count(*), floor(avg(greatest(paid - made, 0))),
          max(greatest(paid - made, 0)), count_if(greatest(paid, made) > due) from last group by all""",
    "issue_resolution_times": """select priority, count(*), floor(median(answered - opened) / 60),
        floor(median(solved - opened - waited_seconds) / 60) from issues where not archived and solved is not null group by all""",
    "data_quality": """with live as (from customers where not archived),
        gaps as (select unnest(['e-mail', 'phone', 'owner', 'country', 'segment']) as gap)
        select gap, (select count_if(case gap when 'e-mail' then ifnull(trim(email), '') = '' when 'phone' then ifnull(trim(phone), '') = ''
          when 'owner' then owner_id is null when 'country' then ifnull(trim(country), '') = '' else ifnull(trim(segment), '') = '' end) from live)
        from gaps""",
}
SHOWN = {
    "revenue_by_country": ("country", "orders", "revenue"),
    "revenue_by_segment": ("segment", "orders", "revenue"),
    "average_order_value": ("month", "orders", "revenue", "mean", "median"),
    "new_customers_by_month": ("month", "customers"),
    "repeat_purchase_rate": ("segment", "customers", "repeated"),
    "discount_given": ("person", "currency", "orders", "listed", "discount"),
    "win_rate_by_person": ("person", "won", "lost"),
    "quote_to_order_days": ("month", "orders", "mean_days"),
    "credit_notes_by_month": ("month", "currency", "notes", "net", "tax", "gross", "gross_base"),
    "invoice_collection_days": ("month", "invoices", "mean_days", "longest", "late"),
    "issue_resolution_times": ("priority", "issues", "median_answer", "median_resolution"),
    "data_quality": ("missing", "customers"),
}


@pytest.fixture(scope="module")
def second(home: Any) -> duckdb.DuckDBPyConnection:
    """Bring the demo's rows over by plain SELECTs."""
    engine = duckdb.connect()
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        for table, columns in TABLES.items():
            asked = f"select {columns} from crm.{table} t, crm.orgs g where g.slug = 'demo' and t.org_id = g.id"
            asked = asked.replace("select id,", "select t.id,")
            cursor = conn.execute(asked.encode())
            named = {
                23: "integer",
                20: "bigint",
                1700: "decimal(18, 4)",
                1082: "date",
                1114: "timestamp",
                16: "boolean",
                701: "double",
            }
            described = cursor.description or []
            kinds = [f'"{column.name}" {named.get(column.type_code, "text")}' for column in described]
            engine.execute(f"create table {table} ({', '.join(kinds)})")
            if rows := cursor.fetchall():
                engine.executemany(f"insert into {table} values ({', '.join('?' * len(kinds))})", rows)
    return engine


@pytest.mark.parametrize("name", sorted(MEANING))
async def test_a_second_engine_finds_the_same_figures(connect: Callable[..., Any], second: Any, name: str) -> None:
    expected = second.execute(MEANING[name]).fetchall()
    rows: list[dict[str, Any]] = []
    async with connect("ada@demo.example") as client:
        while True:
            asked = {"report": name, "parameters": {} if name == "data_quality" else {"days": 0}, "skip": len(rows)}
            told = (await client.call_tool("run_report", asked)).structured_content
            rows += told["report"]["rows"]
            if len(rows) >= told["_meta"]["rows"]:
                break
    found = {_key(row, SHOWN[name]): [row[column] for column in SHOWN[name]] for row in rows}
    assert len(found) == len(expected) == len(rows) > 0
    for one in expected:
        key = tuple(value for value in one if isinstance(value, str))
        for value, shown in zip(one, found[key], strict=True):
            if isinstance(value, str) or value is None:
                assert shown == value
            else:
                assert abs(Decimal(str(shown)) - Decimal(str(value))) <= Decimal("0.0051"), (key, one, found[key])


def _key(row: dict[str, Any], columns: tuple[str, ...]) -> tuple[str, ...]:
    words = ("country", "segment", "month", "person", "currency", "priority", "missing")
    return tuple(row[column] for column in columns if column in words)
