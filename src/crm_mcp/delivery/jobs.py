"""The queue of jobs: procrastinate's worker in the schema `jobs`, as crm_worker. Jobs come in through crm.enqueue."""

from datetime import UTC, datetime, timedelta

from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..log import logger
from .deliver import Again, Post, deliver

QUEUE = "mail"
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


def queue(conninfo: str, post: Post) -> App:
    """Return the queue with its tasks; `conninfo` connects as crm_worker."""
    options = f"{conninfo_to_dict(conninfo).get('options') or ''} -c search_path=jobs".strip()
    connector = PsycopgConnector(conninfo=make_conninfo(conninfo, options=options), min_size=1, max_size=3)
    app = App(connector=connector)

    async def deliver_email(org: int, email: int) -> None:
        try:
            await deliver(post, org, email)
        except Again:
            raise
        except Exception as problem:
            logger().error("delivery crashed", org=org, email=email, exc_info=problem)
            raise

    app.task(name="deliver_email", queue=QUEUE, retry=_Later())(deliver_email)
    return app


async def rescue(app: App, after: float = STALLED) -> int:
    """Give the jobs of workers that died back to the queue; return how many."""
    stalled = list(await app.job_manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=after))
    for job in stalled:
        await app.job_manager.retry_job(job)
    return len(stalled)


async def run(app: App, *, wait: bool = True) -> None:
    """Do jobs until cancelled; without `wait`, until none is due."""
    await app.run_worker_async(
        queues=[QUEUE],
        wait=wait,
        concurrency=2,
        listen_notify=wait,
        install_signal_handlers=False,
        delete_jobs="successful",
        shutdown_graceful_timeout=5,
    )
