"""A report of the demo org's own that would count for hours."""

from collections.abc import Generator
from contextlib import contextmanager

import psycopg

from crm_mcp.cli.keeping import kept
from crm_mcp.embedded import Home

ADA = "ada@demo.example"
SLOW = """-- title: Slow
-- description: Counts for hours.
-- roles: admin
-- column: n integer | N.
select count(*) as n from generate_series(1, 10000) a
 where (select count(*) from generate_series(1, 10000) b, generate_series(1, 10000) c where b + c <> a) > 0
"""
"""Counts anew for each row: a join of all three would be laid aside on the disk, and end there with what a query may take."""


@contextmanager
def slow_report(home: Home) -> Generator[str]:
    """Add the report for as long as a test needs it; yield its name."""
    with psycopg.connect(home.conninfo("crm_owner")) as conn, kept(conn, "demo", ADA, "reports", "test", {}) as org:
        conn.execute(
            "insert into crm.reports(org_id, name, definition) values (%s, 'slow', %s) "
            "on conflict (org_id, name) do update set archived_at = null",
            (org, SLOW),
        )
    yield "slow"
    with psycopg.connect(home.conninfo("crm_owner")) as conn, kept(conn, "demo", ADA, "reports", "test", {}) as org:
        conn.execute("update crm.reports set archived_at = now() where org_id = %s and name = 'slow'", (org,))
