"""`python -m benchmarks.duplicates`: seconds, memory and F1 of finding duplicates among 100,000 generated persons.

`--kind organization` takes companies instead, which are measured without the peer: it has no model for them.

Ours and splink take turns, each in a process of its own on one core, over the same file; reading the file and making
the records comparable count for both. splink (the extra `peers`) may live in another environment: `--peers PYTHON`.
Figures are never asserted. `--file`, `--labels` measure another CSV of the same columns.
"""

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crm_mcp.matching.records import Kind

PEER = Path(__file__).with_name("duplicates_by_splink.py")
COLUMNS = (
    "id",
    "label",
    "name",
    "given",
    "family",
    "email",
    "phone",
    "website",
    "born",
    "street",
    "city",
    "code",
    "country",
)


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="python -m benchmarks.duplicates", description=__doc__)
    known.add_argument("--records", type=int, default=100_000, help="persons generated (default 100,000)")
    known.add_argument("--kind", choices=("individual", "organization"), default="individual")
    known.add_argument("--rounds", type=int, default=3, help="turns each takes (default 3)")
    known.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="the interpreter that has splink")
    known.add_argument("--seed", type=int, default=2026)
    known.add_argument("--json", action="store_true")
    known.add_argument("--ours", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    return known


def write(file: Path, records: int, seed: int, kind: str) -> None:
    """Write generated records, the label apart from what is compared."""
    from companies import companies_like_a_crm
    from people import people

    some = people(records, seed) if kind == "individual" else companies_like_a_crm(records, seed)[0][:records]
    with file.open("w", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(COLUMNS)
        for one in some:
            label, country = one.id.partition(".")[0], one.country if kind == "organization" else ""
            reached = "".join(one.emails), "".join(one.phones), one.website, one.born or ""
            names = one.name, one.given, one.family
            rows.writerow((one.id, label, *names, *reached, one.street, one.city, one.code, country))


def ours(file: Path, kind: "Kind") -> dict[str, Any]:
    """Return what one run of the matcher took and found."""
    from crm_mcp.matching.matcher import Matcher
    from crm_mcp.matching.records import Record

    began, spent = time.perf_counter(), time.process_time()
    with file.open(newline="") as lines:
        records = [
            Record(
                row["id"],
                kind,
                name=row["name"],
                given=row["given"],
                family=row["family"],
                emails=(row["email"],) if row["email"] else (),
                phones=(row["phone"],) if row["phone"] else (),
                website=row["website"],
                born=row["born"] or None,
                street=row["street"],
                city=row["city"],
                code=row["code"],
                country=row["country"],
            )
            for row in csv.DictReader(lines)
        ]
    found = Matcher(records, "DE").duplicates()
    return {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - spent,
        "peakMB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "pairs": [(pair.left, pair.right, pair.score) for pair in found.pairs],
        "compared": found.compared,
        "leftOut": found.left_out,
    }


def one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def run(command: list[str]) -> dict[str, Any]:
    """Run one turn on one core and return what it wrote."""
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=one_core, env={**os.environ})
    if done.returncode:
        raise SystemExit(f"{command[:3]} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def quality(pairs: list[tuple[str, str, float]], true: set[tuple[str, str]]) -> dict[str, Any]:
    """Return precision, recall and F1 at the threshold each tool states, and the best F1 at any threshold."""
    right, best, at = 0, 0.0, 0.0
    ranked = sorted(pairs, key=lambda pair: -pair[2])
    for count, (left, other, score) in enumerate(ranked, 1):
        right += (min(left, other), max(left, other)) in true
        if (f1 := 2 * right / (count + len(true))) > best:
            best, at = f1, score
    return {
        "precision": right / len(ranked),
        "recall": right / len(true),
        "f1": 2 * right / (len(ranked) + len(true)),
        "bestF1": best,
        "bestAt": at,
    }


def measure(records: int, rounds: int, peers: str, seed: int, kind: str) -> dict[str, Any]:
    """Return the medians of each subject, or the reason why the peer is left out."""
    from labelled import together

    lacking = subprocess.run([peers, "-c", "import splink"], capture_output=True, text=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "people.csv")
        write(file, records, seed, kind)
        with file.open(newline="") as lines:
            true = together((row["id"], row["label"]) for row in csv.DictReader(lines))
        subjects = {"crm-mcp": [sys.executable, "-m", "benchmarks.duplicates", "--kind", kind, "--ours", str(file)]}
        if lacking.returncode == 0 and kind == "individual":
            subjects["splink"] = [peers, str(PEER), str(file)]
        sheet: dict[str, list[dict[str, Any]]] = {name: [] for name in subjects}
        for turn in range(rounds):
            for name in list(subjects)[:: 1 if turn % 2 == 0 else -1]:
                sheet[name].append(run(subjects[name]))
    result: dict[str, Any] = {
        "kind": kind,
        "records": records,
        "rounds": rounds,
        "seed": seed,
        "truePairs": len(true),
    }
    for name, turns in sheet.items():
        figures = {key: statistics.median(turn[key] for turn in turns) for key in ("seconds", "cpu", "peakMB")}
        result[name] = {**figures, **quality(turns[0]["pairs"], true)}
        result[name] |= {key: turns[0][key] for key in ("compared", "leftOut", "threshold") if key in turns[0]}
    if "splink" not in sheet:
        result["splink"] = None
        result["reason"] = "it has no model for companies"
        if kind == "individual":
            result["reason"] = f"{peers} cannot import splink: install the extra `peers`, or give --peers PYTHON"
    else:
        ratios = [
            ours["seconds"] / peer["seconds"] for ours, peer in zip(sheet["crm-mcp"], sheet["splink"], strict=True)
        ]
        result["ratio"] = statistics.median(ratios)
    return result


def table(found: dict[str, Any]) -> str:
    """Return the figures as lines."""
    heads = ("", "seconds", "cpu", "peak MB", "precision", "recall", "F1", "best F1")
    rows = [heads]
    for name in ("crm-mcp", "splink"):
        if one := found[name]:
            shares = (f"{one[key]:.4f}" for key in ("precision", "recall", "f1", "bestF1"))
            rows.append((name, f"{one['seconds']:.1f}", f"{one['cpu']:.1f}", f"{one['peakMB']:.0f}", *shares))
    lines = ["  ".join(text.rjust(9) for text in row) for row in rows]
    lines.append(
        f"{found['records']} records ({found['kind']}), {found['truePairs']} true pairs, {found['rounds']} rounds, seed {found['seed']}"
    )
    lines.append(
        f"crm-mcp / splink {found['ratio']:.2f} in time" if "ratio" in found else f"splink skipped: {found['reason']}"
    )
    return "\n".join(lines)


def main() -> None:
    asked = parser().parse_args()
    if asked.ours:
        print(json.dumps(ours(asked.ours, asked.kind)))
        return
    found = measure(asked.records, asked.rounds, asked.peers, asked.seed, asked.kind)
    print(json.dumps(found, indent=1) if asked.json else table(found))


if __name__ == "__main__":
    main()
