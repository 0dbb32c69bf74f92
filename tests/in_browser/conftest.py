"""A real browser for the card and the approvals page. `make test-browser` installs the packages and runs these."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from crm_mcp.approvals.links import make_login_link
from crm_mcp.approvals.whereabouts import Whereabouts
from crm_mcp.db import Database
from crm_mcp.embedded import Home

HERE = Path(__file__).parent
PATIENCE = 120


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the browser's program: CRM_CHROMIUM, else what is on the path."""
    named = os.environ.get("CRM_CHROMIUM")
    if named:
        assert Path(named).exists(), f"CRM_CHROMIUM names {named}, which is not there"
        return named
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if found is None:
        pytest.skip("no Chromium found; CRM_CHROMIUM may name one")
    return found


@pytest.fixture(scope="session")
def node() -> str:
    """Return Node.js, with the packages of this folder installed."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("no Node.js found")
    if not (HERE / "node_modules").is_dir():
        pytest.skip("the packages are not installed: make test-browser does it")
    return found


def environment(home: Home, **more: str) -> dict[str, str]:
    """Return the environment of a process on a home, without this one's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRM_")}
    return {**kept, "CRM_HOME": str(home.root), "CRM_OPEN_BROWSER": "never", **more}


class Page(NamedTuple):
    """A running approvals page. `link(email, then=path)` makes a one-time login link, from sync and async tests."""

    origin: str
    link: Callable[..., str]


@pytest.fixture(scope="session")
def approvals(home: Home) -> Generator[Page]:
    """Start the approvals page of the run's home, as `crm-mcp up` does, on a free port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = environment(home)
    crm = [sys.executable, "-P", "-m", "crm_mcp"]
    page = subprocess.Popen(
        [*crm, "up", "--port", str(port)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (where := Whereabouts.read(home.root)).answers():
            assert page.poll() is None and time.monotonic() < deadline, "the page did not start"
            time.sleep(0.05)

        async def make(user: str, then: str | None) -> str:
            db = Database(home.conninfo("crm_approver"))
            try:
                return await make_login_link(db, user, None, where.origin, then=then)
            finally:
                await db.close()

        def link(user: str = "mia@demo.example", then: str | None = None) -> str:
            with ThreadPoolExecutor(1) as apart:
                return apart.submit(asyncio.run, make(user, then)).result(PATIENCE)

        yield Page(where.origin, link)
    finally:
        page.terminate()
        page.wait(PATIENCE)


class Chat:
    """A chat program: an MCP client of `crm-mcp serve` as one person, and a browser that shows its cards."""

    def __init__(self, node: str, chromium: str, env: dict[str, str], user: str) -> None:
        server = [sys.executable, "-P", "-m", "crm_mcp", "serve", "--user", user]
        about = json.dumps({"browser": chromium, "server": server, "env": env})
        self._process = subprocess.Popen(
            [node, str(HERE / "chat.mjs"), about], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _do(self, command: str, **given: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"command": command, **given}) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        assert "problem" not in told, told["problem"]
        return told["ok"]

    def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool as the model would; return the whole result."""
        return self._do("call", name=tool, args=arguments)

    def show(self, tool: str, arguments: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Call a tool, or take the `result` given, and show the card; return the result."""
        return self._do("show", name=tool, args=arguments or {}, **more)

    def run(self, source: str, **args: Any) -> Any:
        """Run lines of JavaScript with `page` and `card` of playwright; return what they return."""
        return self._do("run", source=source, args=args)

    def elsewhere(self, source: str, **args: Any) -> Any:
        """Run lines of JavaScript with `tab`, a page of another browser; return what they return."""
        return self._do("elsewhere", source=source, args=args)

    def text(self) -> str:
        """Return what the card says."""
        return self.run("return await card.locator('body').innerText()")

    def press(self, name: str) -> None:
        self.run("await card.getByRole('button', {name: args.name, exact: true}).click()", name=name)

    def sees(self, text: str) -> None:
        """Wait until the card says something."""
        self.run("await card.locator('main').filter({hasText: args.text}).waitFor({timeout: 25000})", text=text)

    def heard(self) -> dict[str, Any]:
        """Return what the card asked of its host: calls, links, context."""
        return self._do("heard")

    def network(self) -> dict[str, Any]:
        """Return every request that left the browser, and every error, warning and dialog since the last time."""
        return self._do("network")

    def close(self) -> None:
        assert self._process.stdin
        with self._process:
            self._process.stdin.close()


@pytest.fixture(scope="session")
def chat(node: str, chromium: str, home: Home) -> Generator[Chat]:
    """A chat of Sam's, who sells."""
    made = Chat(node, chromium, environment(home), "sam@demo.example")
    yield made
    made.close()
