"""The queue of jobs: procrastinate's worker in the schema `jobs`, as crm_worker. Jobs come in through crm.enqueue."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import Job
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..log import logger
from .deliver import Post, deliver
from .tries import Again

QUEUES = ("mail", "notices")
AGENTS = "agents"
"""The queue of runs of our own agents: done beside the others, since a run takes minutes."""
STALLED = 30.0
"""Seconds without a heartbeat after which a worker is taken for dead, and its jobs are taken over."""
_ALWAYS = 1000
"""Tries of a job that crashed. How often an e-mail is tried is counted with the e-mail."""


class _Later(BaseRetryStrategy):
    """Run a job again when it asks for it; after a crash, in a minute."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, Again):
            return RetryDecision(retry_at=exception.at)
        if job.attempts >= _ALWAYS:
            return None
        return RetryDecision(retry_at=datetime.now(UTC) + timedelta(minutes=1))


Act = Callable[[int, int], Awaitable[object]]
"""Does what there is to do for one thing: its org, its number."""


def queue(conninfo: str, post: Post, tell: Act | None = None, act: Act | None = None) -> App:
    """Return the queue with its tasks; `conninfo` connects as crm_worker.

    `tell` tries to send one message of notices, `act` goes on with one run of an agent.
    """
    options = f"{conninfo_to_dict(conninfo).get('options') or ''} -c search_path=jobs".strip()
    connector = PsycopgConnector(conninfo=make_conninfo(conninfo, options=options), min_size=1, max_size=6)
    app = App(connector=connector)

    async def deliver_email(org: int, email: int) -> None:
        await _logged("delivery crashed", deliver(post, org, email), org=org, email=email)

    async def send_notice(org: int, message: int) -> None:
        if tell is not None:
            await _logged("notice crashed", tell(org, message), org=org, message=message)

    async def run_agent(org: int, run: int) -> None:
        if act is not None:
            await _logged("run of an agent crashed", act(org, run), org=org, run=run)

    app.task(name="run_agent", queue=AGENTS, retry=_Later())(run_agent)
    app.task(name="deliver_email", queue=QUEUES[0], retry=_Later())(deliver_email)
    app.task(name="send_notice", queue=QUEUES[1], retry=_Later())(send_notice)
    return app


async def _logged(what: str, work: Awaitable[object], **about: int) -> None:
    """Do a job; where it crashes, and does not just ask for another time, say so in the log."""
    try:
        await work
    except Again:
        raise
    except Exception as problem:
        logger().error(what, exc_info=problem, **about)
        raise


async def rescue(app: App, after: float = STALLED) -> int:
    """Give the jobs of workers that died back to the queue; return how many."""
    rescued = 0
    for name in (*QUEUES, AGENTS):
        for job in await app.job_manager.get_stalled_jobs(queue=name, seconds_since_heartbeat=after):
            await app.job_manager.retry_job(job)
            rescued += 1
    return rescued


async def again(app: App, org: int, run: int) -> None:
    """Put a run of an agent into the queue once more, where its job was lost; once however often this is asked."""
    with suppress(AlreadyEnqueued):
        await app.configure_task("run_agent", queue=AGENTS, queueing_lock=f"run {org}.{run}").defer_async(
            org=org, run=run
        )


async def run(app: App, *, wait: bool = True, queues: Sequence[str] = QUEUES) -> None:
    """Do jobs until cancelled; without `wait`, until none is due."""
    await app.run_worker_async(
        queues=list(queues),
        wait=wait,
        concurrency=3,
        listen_notify=wait,
        install_signal_handlers=False,
        delete_jobs="successful",
        shutdown_graceful_timeout=5,
    )
