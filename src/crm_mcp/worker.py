"""What has to happen without anybody asking: drafts expire, what is kept for a while goes, the audit is sealed and
its head kept outside, approved e-mails are delivered, approvers are told of what waits, the index of texts follows and
gets its vectors."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from .db import Database
from .delivery import jobs
from .delivery.deliver import Post
from .delivery.server import Server
from .log import logger
from .search.following import follow, look
from .search.vectors import Keeper
from .sink import Head, Sink
from .telling.channels import Office
from .telling.due import post_due
from .telling.send import send

SPENT = ("answers", "sign_ins", "challenges", "invitations", "notices", "exports")
"""What goes some time after its end; `crm.retention` says how long each is kept, and why."""
TICK = 15
"""Seconds between two rounds."""
_FORGET = f"select {', '.join(f'crm.forget_{what}()' for what in SPENT)}"
_SEAL = """select sealed, encode(head, 'hex'), (select max(seq) from crm.audit_log where org_id = %s)
 from crm.seal_audit()"""


async def work(
    db: Database,
    conninfo: str,
    server: Server | None,
    home: Path,
    sink: Path | None,
    is_over: Callable[[], bool],
    office: Office,
    keeper: Keeper,
) -> None:
    """Work until it `is_over`: rounds, and beside them the queue of jobs; `conninfo` and `db` are of crm_worker."""
    queue = jobs.queue(conninfo, Post(db, server), partial(send, office))
    kept = Sink(sink) if sink is not None else None
    async with queue.open_async():
        await jobs.rescue(queue)
        if is_over():
            await round_of_work(db, kept, office)
            while await look(db):
                pass
            await keeper.catch_up()
            await jobs.run(queue, wait=False)
            mark(home)
            return
        indexing, keeping = asyncio.create_task(follow(db)), asyncio.create_task(keeper.keep(is_over))
        running: asyncio.Task[None] | None = None
        try:
            while True:
                if running is None or running.done():  # it ends by itself where the database went away
                    if running is not None and (fell := running.exception()) is not None:
                        logger().error("the queue stopped", exc_info=fell)
                    running = asyncio.create_task(jobs.run(queue))
                await round_of_work(db, kept, office)
                await jobs.rescue(queue)
                mark(home)
                for _ in range(TICK):
                    if is_over():
                        return
                    await asyncio.sleep(1)
        finally:
            for task in (indexing, keeping, running):
                if task is not None:
                    task.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await task


async def round_of_work(db: Database, sink: Sink | None, office: Office | None = None) -> None:
    """Do one round for every org; `db` connects as crm_worker."""
    for org in await db.orgs():
        await db.definer(org, "select crm.expire_drafts()")
        await db.definer(org, _FORGET)
        if office is not None:
            await post_due(office, org)
        sealed = await db.definer(org, _SEAL, (org,))
        if sink is not None and sealed is not None and sealed[2] is not None:
            await _keep(sink, org, (sealed[2], sealed[1]))


async def _keep(sink: Sink, org: int, head: Head) -> None:
    """Keep a head that is committed, also one that somebody else sealed or that a killed worker could not keep."""
    try:
        await asyncio.to_thread(sink.keep, org, head)
    except OSError as problem:
        logger().error(
            "the head of the audit is not kept outside the database",
            sink=str(sink.path),
            why=problem.strerror,
            org=org,
            head=f"{head[0]}:{head[1]}",
        )


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
