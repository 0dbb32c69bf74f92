"""The floor of the database: the SQL of get_customer, prepared and in one pipeline, with nothing around it."""

import time
from datetime import UTC, datetime
from typing import Any

import psycopg

from crm_mcp.crm.customers import DEFAULT, statement
from crm_mcp.principal import Role


class BareQuery:
    """One connection as the login that serves, bound to one org."""

    def __init__(self, conninfo: str, org: int, currency: str) -> None:
        self._conn = psycopg.connect(conninfo, autocommit=True, prepare_threshold=2)
        self._org, self._currency = org, currency
        self._sql: Any = statement(DEFAULT, Role.SALES)
        self._bind: Any = f"set local crm.org_id = '{int(org)}'"

    def __enter__(self) -> "BareQuery":
        return self

    def __exit__(self, *_: object) -> None:
        self._conn.close()

    def ask(self, customer: int) -> float:
        """Return the seconds of one customer's row."""
        now = datetime.now(UTC)
        params = {
            "org": self._org,
            "id": customer,
            "now": now,
            "today": now.date(),
            "currency": self._currency,
            "role": Role.SALES,
        }
        began = time.perf_counter()
        with self._conn.pipeline():
            self._conn.execute("begin read only")
            self._conn.execute(self._bind)
            found = self._conn.execute(self._sql, params)
            self._conn.execute("commit")
            row = found.fetchone()
        took = time.perf_counter() - began
        assert row is not None
        return took
