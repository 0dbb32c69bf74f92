"""`python -m benchmarks.run`: every subject takes its turn in each round, so that what disturbs one disturbs all.

Prints medians and 95th percentiles beside the targets of DESIGN section 12. Figures are never asserted.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psycopg

from crm_mcp import auth
from crm_mcp.approvals.executor import Executor
from crm_mcp.db import Database

from .floor import BareQuery
from .over_http import OverHttp
from .place import demo_home, environment
from .report import table
from .subjects import APPROVER, Bare, Crm, Sheet, approvals, material, queries, spawn
from .wire import bare, crm


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    known.add_argument("--rounds", type=int, default=30, help="turns each subject takes (default 30)")
    known.add_argument("--quick", action="store_true", help="5 rounds")
    known.add_argument("--json", action="store_true", help="the table as JSON")
    known.add_argument(
        "--beside", type=Path, metavar="SRC", help="measure the crm_mcp of another checkout's src/ in the same rounds"
    )
    known.add_argument(
        "--only", default="spawn,calls,approve", metavar="A,B", help="spawn, calls, approve (default all)"
    )
    known.add_argument("--in", dest="folder", type=Path, metavar="FOLDER", help="where the temporary home is made")
    return known


def measure(rounds: int, only: set[str], beside: Path | None, folder: Path | None) -> dict[str, Any]:
    """Return the sheet's medians and percentiles, the resident memory, and what it was measured on."""
    sheet: Sheet = defaultdict(list)
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(demo_home(folder))
        stuff = material(home)
        with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as owner:
            owner.execute("analyze")
        environments = {"crm-mcp": environment(home)}
        if beside is not None:
            environments["beside"] = environment(home, beside.resolve())
        servers = [Crm(name, env, stuff) for name, env in environments.items()]
        floor = Bare(environments["crm-mcp"])
        for served in [floor.served, *(server.served for server in servers)]:
            stack.enter_context(served)
        remote = stack.enter_context(OverHttp(home, environments["crm-mcp"], stuff)) if "calls" in only else None
        query = stack.enter_context(BareQuery(home.conninfo("crm_agent"), stuff.org, "EUR"))
        warm: Sheet = defaultdict(list)
        for server in servers:
            server.reads(warm, 50)
            server.holds(warm, 10)
            server.notes(warm, 5)
            server.at_once(warm, 200)
        if remote is not None:
            remote.reads(warm, 50)
        queries(warm, query, stuff, 50)
        floor.echoes(warm, 200)
        with asyncio.Runner() as runner:
            db = Database(home.conninfo("crm_approver"))
            who = runner.run(db.sign_in(auth.by_email(APPROVER)))
            executor = Executor(db)
            for turn in range(-1, rounds):
                here = sheet if turn >= 0 else warm
                turned = servers if turn % 2 == 0 else servers[::-1]
                if "spawn" in only:
                    for server in turned:
                        spawn(here, server.name, crm("sam@demo.example"), server.env)
                    spawn(here, "bare", bare(), environments["crm-mcp"])
                if "calls" in only:
                    floor.echoes(here, 30)
                    queries(here, query, stuff, 30)
                    for server in turned:
                        server.reads(here, 30)
                    if remote is not None:
                        remote.reads(here, 30)
                    floor.at_once(here, 400)
                    for server in turned:
                        server.at_once(here, 400)
                    for server in turned:
                        server.holds(here, 10)
                        server.notes(here, 10)
                if "approve" in only:
                    drafts = [servers[0].draft() for _ in range(5)]
                    runner.run(approvals(here, executor, who, drafts, time.perf_counter))
                if sys.stderr.isatty():
                    sys.stderr.write(f"\rround {turn + 1} of {rounds} ")
            runner.run(db.close())
        memory = {server.name: server.served.resident() for server in servers} | {"bare": floor.served.resident()}
    return {
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "rounds": rounds,
        "subjects": {
            name: {
                "n": len(values),
                "p50": statistics.median(values),
                "p95": sorted(values)[min(len(values) - 1, int(len(values) * 0.95))],
            }
            for name, values in sheet.items()
        },
        "residentMB": memory,
    }


def main() -> None:
    given = parser().parse_args()
    rounds = 5 if given.quick else given.rounds
    measured = measure(rounds, set(given.only.split(",")), given.beside, given.folder)
    print(json.dumps(measured, indent=1) if given.json else table(measured))


if __name__ == "__main__":
    main()
