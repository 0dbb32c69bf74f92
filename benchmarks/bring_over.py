"""`python -m benchmarks.bring_over`: how many rows a minute come over, beside a COPY of the same rows into bare tables.

A HubSpot export of companies, contacts and deals is made, brought over as one import, and its rows copied. The floor
is what the disk and Postgres do without triggers, references and an audit. Figures are never asserted.
"""

import argparse
import asyncio
import csv
import json
import os
import tempfile
import time
from pathlib import Path

import psycopg

from crm_mcp import auth
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.importing.undo import undo
from crm_mcp.importing.whole import bring_over, plans
from homes import temporary_home
from orgs import found_org

SHARES = {"companies": 0.3, "contacts": 0.5, "deals": 0.2}
HEADERS = {
    "companies": ["Record ID", "Company name", "Company Domain Name", "City", "Country/Region", "Company owner"],
    "contacts": [
        "Record ID",
        "First Name",
        "Last Name",
        "Email",
        "Phone Number",
        "Contact owner",
        "Associated Company IDs",
    ],
    "deals": [
        "Record ID",
        "Deal Name",
        "Deal Stage",
        "Amount",
        "Currency",
        "Close Date",
        "Deal owner",
        "Associated Company IDs",
    ],
}


def made(folder: Path, rows: int) -> dict[str, Path]:
    """Write the export; return its files."""
    firms = int(rows * SHARES["companies"])
    files: dict[str, Path] = {}
    for kind, share in SHARES.items():
        files[kind] = folder / f"{kind}.csv"
        with files[kind].open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(HEADERS[kind])
            for at in range(int(rows * share)):
                firm = str(10_000 + at % firms)
                row = {
                    "companies": [
                        str(10_000 + at),
                        f"Größe {at} GmbH",
                        f"firm{at}.example",
                        "Köln",
                        "Germany",
                        "Boss",
                    ],
                    "contacts": [
                        str(at),
                        "Åse",
                        f"Müller {at}",
                        f"p{at}@firm{at % firms}.example",
                        "+49 221 5550",
                        "Boss",
                        firm,
                    ],
                    "deals": [
                        str(at),
                        f"Deal {at}",
                        ("Closed Won", "Contract Sent")[at % 2],
                        f"{at}.50",
                        "EUR",
                        "2026-05-31 12:00",
                        "Boss",
                        firm,
                    ],
                }[kind]
                writer.writerow(row)
    return files


def copied(home: Home, files: dict[str, Path]) -> float:
    """Return the seconds that COPY takes for the same rows into tables without anything around them."""
    took = 0.0
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        for kind, file in files.items():
            columns = ", ".join(f"c{at} text" for at in range(len(HEADERS[kind])))
            conn.execute(f"create temporary table {kind}({columns})")  # type: ignore[arg-type]
            began = time.perf_counter()
            with conn.cursor().copy(f"copy {kind} from stdin with (format csv, header)") as copy:  # type: ignore[arg-type]
                copy.write(file.read_bytes())
            took += time.perf_counter() - began
        conn.commit()
    return took


def spent(home: Home) -> float:
    """Return the seconds of processor time that this program and its connections' servers have taken."""
    with psycopg.connect(home.conninfo("postgres")) as conn:
        pids = conn.execute("select pid from pg_stat_activity where usename = 'crm_approver'").fetchall()
    ticks = os.sysconf("SC_CLK_TCK")
    served = 0.0
    for (pid,) in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        served += (int(fields[11]) + int(fields[12])) / ticks
    return time.process_time() + served


async def brought(home: Home, folder: Path) -> tuple[float, float, float]:
    """Return the seconds of the import, the processor time it took, and the seconds of its undo."""
    email = found_org(home, "bench")
    db = Database(home.conninfo("crm_approver"))
    try:
        who = await db.sign_in(auth.by_email(email))
        began, before = time.perf_counter(), spent(home)
        whole = await bring_over(db, who, plans([folder]), wanted=lambda _: True)
        imported, worked = time.perf_counter() - began, spent(home) - before
        assert whole.draft is not None
        assert not any(report.rejected for report in whole.reports)
        began = time.perf_counter()
        await undo(db, who, whole.draft)
        return imported, worked, time.perf_counter() - began
    finally:
        await db.close()


def main() -> None:
    known = argparse.ArgumentParser(prog="python -m benchmarks.bring_over", description=__doc__)
    known.add_argument("--rows", type=int, default=100_000)
    rows = known.parse_args().rows
    with tempfile.TemporaryDirectory() as folder, temporary_home(settings={}) as home:
        files = made(Path(folder), rows)
        floor = copied(home, files)
        imported, worked, undone = asyncio.run(brought(home, Path(folder)))
    print(
        json.dumps(
            {
                "rows": rows,
                "import_s": round(imported, 2),
                "rows_a_minute": round(rows / imported * 60),
                "processor_s": round(worked, 2),
                "rows_a_processor_minute": round(rows / worked * 60),
                "copy_s": round(floor, 3),
                "times_the_floor": round(imported / floor, 1),
                "undo_s": round(undone, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
