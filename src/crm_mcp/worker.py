"""What has to happen without anybody asking: drafts expire, the audit is sealed and its head kept outside."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

from .db import Database

_SEAL = """select sealed, encode(head, 'hex'), (select max(seq) from crm.audit_log where org_id = %s)
 from crm.seal_audit()"""


async def round_of_work(db: Database, sink: Path | None) -> None:
    """Do one round for every org; `db` connects as crm_worker."""
    for org in await db.orgs():
        await db.definer(org, "select crm.expire_drafts()")
        sealed = await db.definer(org, _SEAL, (org,))
        if sink is not None and sealed is not None and sealed[0]:
            line = {"at": datetime.now(UTC).isoformat(), "org": org, "seq": sealed[2], "head": sealed[1]}
            await asyncio.to_thread(_append, sink, json.dumps(line))


def mark(home: Path) -> None:
    """Leave a trace of a finished round, for `doctor`."""
    if home.is_dir():
        (home / "worker.round").touch()


def last_round(home: Path) -> datetime | None:
    """Return when a worker of this home last finished a round; None where none ever did."""
    try:
        return datetime.fromtimestamp((home / "worker.round").stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def _append(sink: Path, line: str) -> None:
    with sink.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
