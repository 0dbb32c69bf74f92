"""The real Agent SDK on an exported project, with a scripted stand-in for the model; `make test-agents` installs it."""

import asyncio
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hubs import Bench
from standin import Call, Script, StandIn

from crm_mcp.approvals.executor import Executor
from crm_mcp.config import quiet_environment
from crm_mcp.embedded import Home
from crm_mcp.principal import Principal
from homes import load_demo, temporary_home

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
KEYS = {
    "ANTHROPIC_API_KEY": "sk-ant-stand-in",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
}
AUDITED = """select l.tool, l.agent, array_agg(l.phase order by l.id) from crm.audit_log l
 where l.id > %s and l.agent is not null group by l.call_id, l.tool, l.agent order by min(l.id)"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE and item.path.name.startswith("test_agent_sdk"):
            item.add_marker(pytest.mark.agent_sdk)


@pytest.fixture(scope="session")
def agent_sdk() -> Any:
    if importlib.util.find_spec("claude_agent_sdk") is None:
        pytest.skip("claude-agent-sdk is not installed: make test-agents does it")
    import claude_agent_sdk

    return claude_agent_sdk


@pytest.fixture(scope="module")
def sdk_home(agent_sdk: Any, loaded: Home | None) -> Generator[Home]:
    """A home that agents draft in, apart from other tests'."""
    with temporary_home(loaded) as made:
        if loaded is None:
            load_demo(made)
        yield made


@dataclass
class Run:
    """What a session came to: the last text, whether it failed, and what the models were sent."""

    text: str = ""
    failed: bool = False
    turns: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def tools_of(self, mark: str) -> set[str]:
        """Return the names of the tools that a model of this prompt was ever offered."""
        mine = [request for request in self.requests if mark in json.dumps(request.get("system", ""))]
        return {tool["name"] for request in mine for tool in request.get("tools", [])}


class Desk:
    """A project on somebody's machine: exported agents, a folder they trust, sessions of the real client in it."""

    def __init__(self, sdk: Any, home: Home, folder: Path) -> None:
        self.sdk, self.home, self.project, self.me = sdk, home, folder / "project", folder / "me"
        self.project.mkdir()
        self.me.mkdir()
        self._before = self.asked("select coalesce(max(id), 0) from crm.audit_log")[0][0]
        self._drafts = self.asked("select coalesce(max(id), 0) from crm.drafts")[0][0]

    def export(self, email: str, *agents: str, ask: str = "destructive") -> None:
        words = ["agents", "export", str(self.project), "--user", email, "--ask", ask]
        words += [word for agent in agents for word in ("--agent", agent)]
        command = [sys.executable, "-P", "-m", "crm_mcp", *words]
        done = subprocess.run(command, env=quiet_environment(self.home.root), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        trusted = {"projects": {str(self.project): {"hasTrustDialogAccepted": True}}, "hasCompletedOnboarding": True}
        (self.me / ".claude.json").write_text(json.dumps(trusted))

    async def run(self, prompt: str, scripts: Mapping[str, Callable[[list[str]], Script]], **options: Any) -> Run:
        """Give a prompt to the client; return when its session has ended."""
        stand_in, run = StandIn(scripts), Run()
        async with AsyncExitStack() as stack:
            url = stack.enter_context(stand_in)
            given = {
                "cwd": str(self.project),
                "setting_sources": ["project"],
                "settings": json.dumps({"enableAllProjectMcpServers": True}),
                "model": "a-model",
                "max_turns": 100,
                "env": {
                    **KEYS,
                    "ANTHROPIC_BASE_URL": url,
                    "HOME": str(self.me),
                    "CRM_OPEN_BROWSER": "never",
                },
                "stderr": lambda line: None,
            }
            client = await stack.enter_async_context(
                self.sdk.ClaudeSDKClient(self.sdk.ClaudeAgentOptions(**given | options))
            )
            await client.query(prompt)
            async for message in client.receive_response():
                if isinstance(message, self.sdk.ResultMessage):
                    run.text, run.failed, run.turns = message.result or "", message.is_error, message.num_turns
        assert stand_in.problems == []
        run.requests = stand_in.requests
        return run

    async def example(self, name: str, scripts: Mapping[str, Callable[[list[str]], Script]], *words: str) -> str:
        """Run a program of `examples/` as a person would; return what it printed."""
        stand_in = StandIn(scripts)
        with stand_in as url:
            env = quiet_environment(self.home.root) | {**KEYS, "ANTHROPIC_BASE_URL": url, "HOME": str(self.me)}
            done = await asyncio.create_subprocess_exec(
                sys.executable,
                str(EXAMPLES / name),
                *words,
                env=env,
                cwd=self.project,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            printed, errors = await done.communicate()
        assert done.returncode == 0, errors.decode()
        assert stand_in.problems == []
        return printed.decode()

    def asked(self, sql: str, *params: object) -> list[Any]:
        """Ask as the owner, who sees every org."""
        with psycopg.connect(self.home.conninfo("crm_owner")) as conn:
            return conn.execute(sql, params).fetchall()  # type: ignore[arg-type]

    async def audited(self) -> list[tuple[str, str, list[str]]]:
        """Return what agents called since this desk was set up: tool, agent, phases.

        The last row of a read is written a moment after its answer, by a server that the client has just left.
        """
        until = time.monotonic() + 20
        while (rows := self.asked(AUDITED, self._before)) and time.monotonic() < until:
            if all(phases != ["begun"] for *_, phases in rows):
                break
            await asyncio.sleep(0.05)
        return rows

    def drafts(self, state: str = "pending") -> list[tuple[int, str, str]]:
        """Return drafts made since: number, tool, agent."""
        sql = "select id, tool, agent from crm.drafts where id > %s and state = %s order by id"
        return self.asked(sql, self._drafts, state)

    def counts(self) -> dict[str, int]:
        """Return how many rows there are of what only a person may bring about."""
        tables = (
            "orders",
            "invoices",
            "payments",
            "emails",
            "quotes",
            "customers",
            "deals",
            "stock_movements",
            "policies",
        )
        return {table: self.asked(f"select count(*) from crm.{table}")[0][0] for table in tables}

    async def approve(self, who: Principal, executor: Executor, draft: int) -> Any:
        shown = await executor.show(who, draft)
        return await executor.approve(who, draft, shown.hash)


@pytest.fixture
def desk(agent_sdk: Any, sdk_home: Home, tmp_path: Path) -> Desk:
    return Desk(agent_sdk, sdk_home, tmp_path)


@pytest.fixture
def bench(connect: Any, tmp_path: Path) -> Bench:
    """Run requests through the hub, against a scripted model and servers in this process."""
    return Bench(connect, tmp_path)


@pytest.fixture
def ordering(owner_asks: Callable[..., Any]) -> Callable[[int], Call]:
    """A call that drafts an order of so many."""
    ours = "org_id = (select id from crm.orgs where slug = 'demo') and archived_at is null order by id limit 1"
    customer = owner_asks(f"select id from crm.customers where {ours}")
    product = owner_asks(f"select id from crm.products where not discontinued and {ours}")

    def call(quantity: int) -> Call:
        lines = [{"product": f"prod_{product}", "quantity": quantity}]
        return Call("create_order_draft", {"customer": f"cust_{customer}", "lines": lines, "reason": "They asked."})

    return call
