"""What the worker needs to go on with runs of our own agents: crm_agent's login, models, and an app for each agent."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from secrets import token_bytes
from typing import Any

from ..app import App, Client
from ..catalog import Catalog
from ..config import Settings
from ..cursor import Cursors
from ..db import Database
from ..degraded import Degraded
from ..delivery.jobs import Act
from ..log import logger
from ..rates import Rates
from ..reaching import page_url, queries_of
from ..serving import narrowing, own_reports
from .session import conninfo


@asynccontextmanager
async def agents_of(known: Settings, worker: Database) -> AsyncGenerator[Act | None]:
    """Give what goes on with a run; None where this worker cannot: without the extra [agents], or by a broken agents.yaml."""
    try:
        from ..agents.background import Background
        from ..agents.plan import PlanInvalid, load
        from ..agents.providers import Providers
    except ImportError:
        logger().info("agents do not work in the background here: the extra [agents] is not installed")
        yield None
        return
    try:
        plan = load(known.agents, known.home).plan
    except PlanInvalid as problem:
        logger().error("agents do not work in the background here", why=str(problem))
        yield None
        return
    async with AsyncExitStack() as stack:
        agent = Database(conninfo(known, "crm_agent"), size=8)
        stack.push_async_callback(agent.close)
        providers = await stack.enter_async_context(Providers(plan, known))

        async def connect() -> Database:
            return agent

        queries = queries_of(known, connect)
        if queries is not None:
            stack.push_async_callback(queries.close)
        rates = Rates(known.calls_per_minute, known.agent_calls_per_minute)
        stack.push_async_callback(rates.close)
        catalog = Catalog(narrowing(None, None, "", False, has_queries=queries is not None))
        page, cursors, keeps, degraded = page_url(known), Cursors(token_bytes(32)), dict[str, Any](), Degraded()
        reports = own_reports(known)

        def app_for(client: Client) -> App:
            return App(
                connect,
                catalog,
                client,
                page,
                cursors=cursors,
                keeps=keeps,
                sync_reads=known.audit_reads == "sync",
                rings=False,
                queries=queries,
                reports=reports,
                degraded=degraded,
                rates=rates,
            )

        yield Background(worker, agent, plan, providers, app_for)
