"""`python -m benchmarks.exports`: what a file of 100,000 customers takes: seconds, and the memory of the server that makes it."""

from pathlib import Path
from typing import Any

import psycopg

from homes import load_demo, temporary_home

from .place import environment
from .wire import Served, crm

ROWS = 100_000
_FILL = """insert into crm.customers(org_id, name, email, phone, segment, city, credit_limit)
 select o.id, 'Customer ' || n || ' & Söhne GmbH', 'c' || n || '@many.example', '+49 30 ' || n, 'many', 'Berlin', n + 0.5
 from crm.orgs o, generate_series(1, %s) n where o.slug = 'demo'"""
_BOUND = "select set_config('crm.call_id', '1', true), set_config('crm.org_id', id::text, true) from crm.orgs where slug = 'demo'"


def fill(conninfo: str) -> None:
    """Make the customers as the owner, past guard and record: how they came is not measured."""
    with psycopg.connect(conninfo) as conn:
        conn.execute(_BOUND)
        conn.execute("alter table crm.customers disable trigger record")
        conn.execute(_FILL, (ROWS,))
        conn.execute("alter table crm.customers enable trigger record")


def memory(pid: int, name: str) -> int:
    """Return a figure of a process in MB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(f"{name}:"))


def measure(served: Served, form: str) -> str:
    served.call("create_export", {"entity": "products", "reason": "to warm up", "format": form})
    before = memory(served.process.pid, "VmRSS")
    asked = {"entity": "customers", "filters": {"segment": "many"}, "reason": "measured", "format": form}
    took, result = served.call("create_export", asked)
    export: dict[str, Any] = result["structuredContent"]["export"]
    peak = memory(served.process.pid, "VmHWM")
    size = export["bytes"] / 1e6
    return f"{form}: {export['rows']:,} rows, {size:.1f} MB, {took:.1f} s, server {before} MB, at most {peak} MB"


def main() -> None:
    with temporary_home() as home:
        load_demo(home)
        fill(home.conninfo("crm_owner"))
        for form in ("xlsx", "csv"):
            with Served(crm("ada@demo.example"), environment(home)) as served:
                print(measure(served, form))


if __name__ == "__main__":
    main()
