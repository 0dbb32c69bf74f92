"""What has to happen without anybody asking: drafts expire, what is kept for a while goes, the audit is sealed and
its head kept outside, approved e-mails are delivered, approvers are told of what waits, agents work in the background,
memories are summed up, and the index of texts follows and gets its vectors."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from procrastinate import App

from . import recollecting
from .db import Database
from .degraded import Degraded
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

SPENT = (
    *("answers", "sign_ins", "challenges", "invitations", "notices", "exports"),
    *("conversations", "usage", "working", "learnings"),
)
"""What goes some time after its end; `crm.retention` says how long each is kept, and why."""
TICK = 15
"""Seconds between two rounds."""
_FORGET = f"select {', '.join(f'crm.forget_{what}()' for what in SPENT)}"
SILENT = timedelta(seconds=60)
"""How long whoever goes on with a run of an agent may be silent, until somebody else does."""
LONGEST = timedelta(days=1)
"""How long a run is tried again for, while no model answers."""
_STALLED = "select crm.end_stalled_runs(%s, %s)"
_DUE = "select array(select crm.due_runs(%s))"
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
    act: jobs.Act | None = None,
) -> None:
    """Work until it `is_over`: rounds, and beside them the queues of jobs; `conninfo` and `db` are of crm_worker.

    `keeper` keeps the vectors of the index, and knows which embedder is live. `act` goes on with one run of an agent; None
    where this worker does not.
    """
    queue = jobs.queue(conninfo, Post(db, server), partial(send, office), act)
    kept, degraded = Sink(sink) if sink is not None else None, Degraded()
    queues = (jobs.QUEUES,) if act is None else (jobs.QUEUES, (jobs.AGENTS,))
    async with queue.open_async():
        await jobs.rescue(queue)
        if is_over():
            await round_of_work(db, kept, office)
            await recollecting.look(db, await keeper.live(), degraded)
            await requeue(db, queue)
            while await look(db):
                pass
            await keeper.catch_up()
            for names in queues:
                await jobs.run(queue, wait=False, queues=names)
            mark(home)
            return
        beside = [
            asyncio.create_task(one)
            for one in (follow(db), keeper.keep(is_over), recollecting.follow(db, keeper.live, degraded))
        ]
        running: dict[Sequence[str], asyncio.Task[None]] = {}
        try:
            while True:
                for names in queues:
                    fallen = running.get(names)
                    if fallen is None or fallen.done():  # it ends by itself where the database went away
                        if fallen is not None and (fell := fallen.exception()) is not None:
                            logger().error("the queue stopped", exc_info=fell)
                        running[names] = asyncio.create_task(jobs.run(queue, queues=names))
                await round_of_work(db, kept, office)
                await jobs.rescue(queue)
                await requeue(db, queue)
                mark(home)
                for _ in range(TICK):
                    if is_over():
                        return
                    await asyncio.sleep(1)
        finally:
            for task in (*beside, *running.values()):
                task.cancel()
            for task in (*beside, *running.values()):
                with suppress(asyncio.CancelledError, Exception):
                    await task


async def requeue(db: Database, queue: App, silent: timedelta = SILENT) -> int:
    """Put runs into the queue again that have been due for `silent` and that nobody took; return how many there are."""
    found = 0
    for org in await db.orgs():
        row = await db.definer(org, _DUE, (silent,))
        for run in row[0] if row else ():
            await jobs.again(queue, org, run)
            found += 1
    return found


async def round_of_work(db: Database, sink: Sink | None, office: Office | None = None) -> None:
    """Do one round for every org; `db` connects as crm_worker. Nothing in it waits for an embedder."""
    for org in await db.orgs():
        await db.definer(org, "select crm.expire_drafts()")
        await db.definer(org, _STALLED, (SILENT, LONGEST))
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
