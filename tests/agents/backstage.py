"""Runs in the background: opened by a person, done by a worker in this process or in one that is killed, a scripted model."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from hubs import SPECIALIST, TRIAGE, hands_to, plan_at
from standin import Script, StandIn

from crm_mcp import auth
from crm_mcp.agents.background import Background
from crm_mcp.agents.plan import load
from crm_mcp.agents.providers import Providers
from crm_mcp.app import App
from crm_mcp.catalog import Catalog, Narrowing
from crm_mcp.config import Settings
from crm_mcp.db import Database
from crm_mcp.principal import Agent, Principal
from crm_mcp.runs import opening

HERE = Path(__file__).parent


@dataclass
class Backstage:
    """A person's runs and who does them, against one stand-in. `agent` connects as crm_agent, `worker` as crm_worker."""

    home: Any
    agent: Database
    worker: Database
    folder: Path
    url: str
    stand_in: StandIn
    key: str | None = "a-key"
    use_cases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    async def person(self, name: str = "sam", agent: Agent | None = None) -> Principal:
        return await self.agent.sign_in(auth.by_email(f"{name}@demo.example", None, agent))

    async def queued(self, request: str, name: str = "sam", **more: Any) -> int:
        return (await opening.open_run(self.agent, await self.person(name), request, in_background=True, **more)).run

    async def shown(self, run: int, name: str = "sam") -> dict[str, Any]:
        return await opening.run(self.agent, await self.person(name), run)

    def plan_file(self) -> Path:
        """Point the plan to the stand-in; with short answers, so that a request's budget is enough for several."""
        given = {"customer": {"max_output_tokens": 300}} | {
            name: {"max_output_tokens": 300, **said} for name, said in self.use_cases.items()
        }
        return plan_at(self.folder, self.url, **given)

    @asynccontextmanager
    async def background(self, patience: timedelta = timedelta(0)) -> AsyncGenerator[Background]:
        """Give a worker of this process; without patience it takes over whatever it is asked to."""
        async with Providers(
            plan := load(self.plan_file(), self.folder).plan, Settings(anthropic_key=self.key)
        ) as providers:  # type: ignore[arg-type]

            async def connect() -> Database:
                return self.agent

            def app_for(client: Any) -> App:
                return App(
                    connect, Catalog(Narrowing(usual=True)), client, lambda: "http://localhost:8787", sync_reads=True
                )

            yield Background(self.worker, self.agent, plan, providers, app_for, patience)

    async def do(self, run: int, patience: timedelta = timedelta(0)) -> dict[str, Any]:
        """Do a run as another worker would; return how it is shown then."""
        who = await self.person()
        async with self.background(patience) as background:
            await background(who.org, run)
        return await self.shown(run)

    async def killed_at(self, run: int, point: str) -> None:
        """Do a run in a process of its own, and kill that with -9 once it is at a point."""
        who = await self.person()
        words = [
            sys.executable,
            str(HERE / "doomed.py"),
            str(self.home.root),
            str(self.plan_file()),
            str(who.org),
            str(run),
            point,
        ]
        doomed = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, env={**os.environ, "CRM_HOME": str(self.home.root)}
        )
        assert doomed.stdout is not None
        try:
            async with asyncio.timeout(120):
                assert (await doomed.stdout.readline()).decode().strip() == point, "it came to its end before"
        finally:
            doomed.kill()
            await doomed.wait()


@asynccontextmanager
async def backstage(
    home: Any,
    database_of: Callable[[str], Database],
    folder: Path,
    agent: str,
    script: Callable[[list[str]], Script],
    **more: Any,
) -> AsyncGenerator[Backstage]:
    """Set a scene in which triage hands everything to one agent, who does as the script says."""
    stand_in = StandIn({TRIAGE: again(hands_to(agent)), SPECIALIST[agent]: script, **more.pop("scripts", {})})
    with stand_in as url:
        made = Backstage(
            home,
            database_of(home.conninfo("crm_agent")),
            database_of(home.conninfo("crm_worker")),
            folder,
            url,
            stand_in,
            **more,
        )
        yield made
    assert stand_in.problems == []


def again(script: Callable[[list[str]], Script]) -> Callable[[list[str]], Script]:
    """Return a script that gives its first turn as often as it is asked for: to each run, and after each interruption."""

    def repeated(tools: list[str]) -> Script:
        while True:
            yield next(script(tools))

    return repeated
