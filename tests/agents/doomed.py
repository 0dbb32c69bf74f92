"""A worker that stops for ever at a named point of a run, so that it can be killed there: python doomed.py HOME PLAN ORG RUN POINT"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from crm_mcp.agents import conducting, servers
from crm_mcp.agents.background import Background
from crm_mcp.agents.calling import Models
from crm_mcp.agents.plan import load
from crm_mcp.agents.providers import Providers
from crm_mcp.agents.remembering import Remembering
from crm_mcp.app import App
from crm_mcp.catalog import Catalog, Narrowing
from crm_mcp.config import Settings
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.runs.holding import Hold
from crm_mcp.runs.opening import PATIENCE

HOME, PLAN, ORG, RUN, POINT = sys.argv[1:]


async def here(point: str) -> None:
    if point == POINT:
        print(point, flush=True)
        await asyncio.Event().wait()


def stopping(owner: Any, name: str, before: str | None, after: str | None) -> None:
    """Have a coroutine function stop before it does anything, or once it has."""
    whole, calls = getattr(owner, name), {"n": 0}

    async def stopped(*args: Any, **more: Any) -> Any:
        calls["n"] += 1
        if before is not None:
            await here(before.format(n=calls["n"]))
        done = await whole(*args, **more)
        if after is not None:
            await here(after.format(n=calls["n"]))
        return done

    setattr(owner, name, stopped)


stopping(Models, "stream", "asking {n}", "answered {n}, not kept")
stopping(Remembering, "step", None, "step {n} kept")
stopping(servers, "call", "before call {n}", "after call {n}")
stopping(Hold, "end", "before the end", "after the end")
assert conducting.settle


async def main() -> None:
    home, settings = Home(Path(HOME)), Settings(anthropic_key="a-key")  # type: ignore[arg-type]
    agent, worker = Database(home.conninfo("crm_agent")), Database(home.conninfo("crm_worker"))
    plan = load(Path(PLAN), home.root).plan

    async def connect() -> Database:
        return agent

    def app_for(client: Any) -> App:
        return App(connect, Catalog(Narrowing(usual=True)), client, lambda: "http://localhost:8787")

    async with Providers(plan, settings) as providers:
        await Background(worker, agent, plan, providers, app_for, PATIENCE)(int(ORG), int(RUN))
    print("over", flush=True)


asyncio.run(main())
