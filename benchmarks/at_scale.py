"""`python -m benchmarks.at_scale`: what reads take at size, for a large and a small org, beside a bare query by primary key.

Orgs of very different size are generated in a home of their own (`--customers 1000000 --lines 10000000` takes half an hour and
15 GB); every subject takes its turn in each round, over stdio as a client has it. Targets are those of DESIGN section
12. Figures are never asserted. `--keep` leaves the home, `--home` measures one that was kept.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from crm_mcp.embedded import Home
from homes import running, temporary_folder

from .crowd import fill
from .indexed import index
from .place import environment
from .questions import QUESTIONS, Material, Question
from .wire import Served, ToolFailed, crm

BARE = "select name from crm.customers where org_id = %s and id = %s"
SETTINGS = {"max_wal_size": "8GB"}


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="python -m benchmarks.at_scale", description=__doc__)
    known.add_argument("--customers", type=int, default=200_000, help="of all orgs together (default 200,000)")
    known.add_argument("--lines", type=int, default=2_000_000, help="order lines (default 2,000,000)")
    known.add_argument("--tenants", type=int, default=50, help="orgs; the n-th has 1/n of the first (default 50)")
    known.add_argument("--rounds", type=int, default=30, help="turns each question takes (default 30)")
    known.add_argument("--only", default="", metavar="TEXT", help="only the questions whose name holds this")
    known.add_argument("--in", dest="folder", type=Path, metavar="FOLDER", help="where the home is made")
    known.add_argument("--keep", action="store_true", help="leave the home for --home")
    known.add_argument("--home", type=Path, metavar="FOLDER", help="measure a home that --keep left")
    known.add_argument("--json", action="store_true")
    return known


@contextlib.contextmanager
def place(given: argparse.Namespace) -> Iterator[Home]:
    """Yield a running home with the generated orgs."""
    folder = given.home or temporary_folder("crm-scale-", given.folder)
    home = Home(folder / "home")
    try:
        with running(home, SETTINGS):
            if given.home is None:
                began = time.perf_counter()
                fill(home, given.customers, given.lines, given.tenants)
                print(f"generated in {time.perf_counter() - began:.0f} s", file=sys.stderr)
                began = time.perf_counter()
                passages = asyncio.run(index(home, ("crowd-1", f"crowd-{given.tenants}")))
                print(f"indexed {passages} passages in {time.perf_counter() - began:.0f} s", file=sys.stderr)
            yield home
    finally:
        if given.keep or given.home:
            print(f"--home {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder)


@dataclass(slots=True)
class Tenant:
    """One org as a client is served it."""

    name: str
    served: Served
    material: Material

    def ask(self, question: Question) -> float:
        """Return the seconds of one call."""
        return self.served.call(question.tool, question.arguments(self.material))[0]


def tenant(home: Home, name: str, number: int, stack: contextlib.ExitStack) -> Tenant:
    command = [*crm(f"admin@crowd-{number}.example"), "--toolsets", "all"]
    served = stack.enter_context(Served(command, environment(home)))
    served.ask("tools/list", {})
    return Tenant(name, served, Material.of(home, f"crowd-{number}"))


def bare(home: Home, org: int) -> Callable[[int], float]:
    """Return what asks for one row by its primary key, bound to an org as the product binds it."""
    conn = psycopg.connect(home.conninfo("crm_agent"), autocommit=True, prepare_threshold=2)

    def ask(number: int) -> float:
        began = time.perf_counter()
        with conn.pipeline():
            conn.execute("begin read only")
            conn.execute(f"set local crm.org_id = '{int(org)}'".encode())
            found = conn.execute(BARE, (org, number))
            conn.execute("commit")
            found.fetchone()
        return time.perf_counter() - began

    return ask


def measure(home: Home, tenants: int, rounds: int, only: str) -> dict[str, Any]:
    """Return medians and 95th percentiles in milliseconds by question and tenant, and how large each tenant is."""
    sheet: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    failed: dict[str, str] = {}
    questions = [one for one in QUESTIONS if only in one.name]
    with contextlib.ExitStack() as stack:
        served = [tenant(home, "large", 1, stack), tenant(home, "small", tenants, stack)]
        asks = {one.name: bare(home, one.material.org) for one in served}
        for turn in range(-2, rounds):
            for one in served if turn % 2 else served[::-1]:
                for question in questions:
                    if question.name in failed:
                        continue
                    try:
                        took = one.ask(question)
                    except ToolFailed as problem:
                        failed[question.name] = str(problem)[:300]
                        continue
                    floor = asks[one.name](one.material.customer())
                    if turn >= 0:
                        sheet[question.name][one.name].append(took)
                        sheet["bare query"][one.name].append(floor)
            if sys.stderr.isatty():
                sys.stderr.write(f"\rround {turn + 1} of {rounds} ")
        sizes = {one.name: one.material.sizes for one in served}
    figures = {
        name: {who: _figures(times) for who, times in by.items()} for name, by in sheet.items() if name not in failed
    }
    return {"rounds": rounds, "cores": os.cpu_count(), "sizes": sizes, "questions": figures, "failed": failed}


def _figures(times: list[float]) -> dict[str, float]:
    at = min(len(times) - 1, int(len(times) * 0.95))
    return {"p50": statistics.median(times) * 1e3, "p95": sorted(times)[at] * 1e3}


def table(found: dict[str, Any]) -> str:
    """Return the figures as lines, those farthest over their target first."""
    targets = {one.name: one.most for one in QUESTIONS}
    figures: dict[str, Any] = found["questions"]
    floor = figures["bare query"]["large"]["p50"]

    def over(name: str) -> float:
        return figures[name]["large"]["p95"] / targets.get(name, 1e9)

    lines = [f"{'ms':44}{'large p50':>10}{'p95':>8}{'× bare':>8}{'small p50':>11}{'p95':>8}{'target':>8}"]
    for name in sorted(figures, key=over, reverse=True):
        large, small, most = figures[name]["large"], figures[name]["small"], targets.get(name)
        met = "" if most is None else "met" if max(large["p95"], small["p95"]) <= most else "missed"
        lines.append(
            f"{name:44}{large['p50']:10.1f}{large['p95']:8.1f}{large['p50'] / floor:8.1f}{small['p50']:11.1f}"
            f"{small['p95']:8.1f}{'' if most is None else f'≤ {most}':>8} {met}".rstrip()
        )
    lines += [f"{name}: {why}" for name, why in found["failed"].items()]
    lines += [
        f"{who}: {', '.join(f'{n:,} {table}' for table, n in of.items())}" for who, of in found["sizes"].items()
    ]
    lines.append(f"{found['rounds']} rounds, interleaved; {found['cores']} cores")
    return "\n".join(lines)


def main() -> None:
    given = parser().parse_args()
    random.seed(7)
    with place(given) as home:
        found = measure(home, given.tenants, given.rounds, given.only)
    print(json.dumps(found, indent=1) if given.json else table(found))


if __name__ == "__main__":
    main()
