"""`python -m benchmarks.duplicates_served`: find_duplicates as a client has it, over stdio, among 100,000 records.

In a temporary home: the clock until the first answer, progress seen, the next page, memory, what get_customer takes
meanwhile and alone, how soon the search is gone once it is cancelled, and what a held create takes that looks for its
like. Figures are never asserted.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from crm_mcp.embedded import Home

from .place import demo_home, environment
from .wire import Served, crm

USER = "mia@demo.example"
COLUMNS = {
    "organizations": ("name", "email", "phone", "website", "street", "city", "postal_code", "country"),
    "individuals": ("name", "first_name", "last_name", "email", "phone", "street", "city", "postal_code", "country"),
}


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="python -m benchmarks.duplicates_served", description=__doc__)
    known.add_argument("--records", type=int, default=100_000, help="of each kind (default 100,000)")
    known.add_argument("--kinds", nargs="+", choices=list(COLUMNS), default=list(COLUMNS))
    known.add_argument("--seed", type=int, default=2026)
    return known


def rows(kind: str, records: int, seed: int) -> Iterator[tuple[str | None, ...]]:
    """Yield generated rows in the order of COLUMNS."""
    from companies import companies_like_a_crm
    from people import people

    some = companies_like_a_crm(records, seed)[0] if kind == "organizations" else people(records, seed)
    for one in some[:records]:
        name = (one.called,) if kind == "organizations" else (one.called, one.given, one.family)
        site = (one.website,) if kind == "organizations" else ()
        reached = "".join(one.emails), "".join(one.phones), *site, one.street, one.city, one.code, one.country
        yield *name, *(text or None for text in reached)


def load(home: Home, kind: str, records: int, seed: int) -> None:
    """Copy rows in without recording them: they stand for those that are there."""
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        org = conn.execute("select min(id) from crm.orgs").fetchone()
        user = conn.execute("select min(id) from crm.users").fetchone()
        assert org is not None
        assert user is not None
        conn.execute(f"alter table crm.{kind} disable trigger user")  # type: ignore[arg-type]
        stamped = ("org_id", "created_by", "updated_by", *COLUMNS[kind])
        with conn.cursor().copy(f"copy crm.{kind} ({', '.join(stamped)}) from stdin") as copy:  # type: ignore[arg-type]
            for row in rows(kind, records, seed):
                copy.write_row((org[0], user[0], user[0], *row))
        conn.execute(f"alter table crm.{kind} enable trigger user")  # type: ignore[arg-type]
        conn.commit()
        conn.autocommit = True
        conn.execute(f"vacuum analyze crm.{kind}")  # type: ignore[arg-type]


class Talk:
    """A connection on which one call runs while others are asked and its progress is heard."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.progress: list[dict[str, Any]] = []

    def begin(self, tool: str, arguments: dict[str, Any]) -> int:
        return self._served._send(
            "tools/call", {"name": tool, "arguments": arguments, "_meta": {"progressToken": "search"}}
        )

    def cancel(self, number: int) -> None:
        said = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}
        self._served._write(json.dumps(said).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        """Return the next answer; progress is put aside."""
        while True:
            said = json.loads(self._served._out.readline())
            if said.get("method") == "notifications/progress":
                self.progress.append(said["params"])
            elif "id" in said:
                return said


def children(served: Served) -> Sequence[Any]:
    import psutil

    return psutil.Process(served.process.pid).children()


def measure(served: Served, kind: str) -> dict[str, Any]:
    """Return the figures of one kind."""
    alone = statistics.median(served.call("get_customer", {"customer": "cust_1"})[0] for _ in range(100))
    before = served.resident()
    talk, began = Talk(served), time.perf_counter()
    number = talk.begin("find_duplicates", {"entity": kind})
    meanwhile: list[float] = []
    search_peak, answer = 0.0, {}
    while not answer:
        asked = time.perf_counter()
        other = talk.begin("get_customer", {"customer": "cust_1"})
        while True:
            said = talk.hear()
            if said["id"] == number:
                answer, took = said, time.perf_counter() - began
            elif said["id"] == other:
                meanwhile.append(time.perf_counter() - asked)
                break
        for child in children(served):
            search_peak = max(search_peak, child.memory_info().rss / 2**20)
        time.sleep(0.05)
    if "result" not in answer:
        raise SystemExit(str(answer)[:2000])
    found = answer["result"]["structuredContent"]
    cursor = found["_meta"]["nextCursor"]
    page = served.call("find_duplicates", {"entity": kind, "cursor": cursor})[0]
    query = served.call("find_duplicates", {"entity": kind, "query": "an"})[0]
    figures = {
        "seconds to the first answer": took,
        "progress notifications": len(talk.progress),
        "groups": found["_meta"]["total"],
        "next page ms": page * 1e3,
        "with a query ms": query * 1e3,
        "get_customer p50 ms alone": alone * 1e3,
        "get_customer p50 ms meanwhile": statistics.median(meanwhile) * 1e3,
        "get_customer p95 ms meanwhile": statistics.quantiles(meanwhile, n=20)[-1] * 1e3,
        "search process MB, peak seen": search_peak,
        "serve MB before": before,
        "serve MB afterwards": served.resident(),
    }
    number = talk.begin("find_duplicates", {"entity": kind, "min_score": 0.7})
    while len(children(served)) == 0:
        time.sleep(0.01)
    heard = len(talk.progress)
    while len(talk.progress) < heard + 3:
        said = json.loads(served._out.readline())
        talk.progress += [said["params"]] if said.get("method") == "notifications/progress" else []
    began = time.perf_counter()
    talk.cancel(number)
    while children(served):
        time.sleep(0.002)
    figures["cancelled, process gone after ms"] = (time.perf_counter() - began) * 1e3
    figures["get_customer after it ms"] = _answered(talk, "get_customer", {"customer": "cust_1"}) * 1e3
    new = {"name": "Kestrel Logistik GmbH"} if kind == "organizations" else {"name": "Johanna Bermann"}
    times: list[float] = []
    for at in range(20):
        change = {
            "proposed_action": "create",
            "entity_type": kind,
            "data": {**new, "description": f"Number {at}."},
        }
        times.append(_answered(talk, "propose_changes", {"changes": [change], "reason": "A figure."}))
    figures["held create p50 ms"] = statistics.median(times) * 1e3
    return figures


def _answered(talk: Talk, tool: str, arguments: dict[str, Any]) -> float:
    began = time.perf_counter()
    number = talk.begin(tool, arguments)
    while (said := talk.hear())["id"] != number:
        pass
    if "error" in said or said["result"].get("isError"):
        raise SystemExit(str(said)[:2000])
    return time.perf_counter() - began


def main() -> None:
    asked = parser().parse_args()
    with demo_home() as home:
        for kind in asked.kinds:
            load(home, kind, asked.records, asked.seed)
        with Served([*crm(USER), "--no-doorbell", "--toolsets", "records,customers"], environment(home)) as served:
            served.ask("tools/list", {})
            print(f"serve {served.resident():.0f} MB at first")
            for kind in asked.kinds:
                print(f"\n{asked.records} {kind}, seed {asked.seed}")
                for what, figure in measure(served, kind).items():
                    print(f"  {what:36} {figure:,.1f}" if isinstance(figure, float) else f"  {what:36} {figure}")


if __name__ == "__main__":
    main()
