"""A temporary CRM_HOME with the demo orgs, as durable as a real one, gone afterwards."""

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from crm_mcp import revision
from crm_mcp.db import Database
from crm_mcp.demo import load
from crm_mcp.embedded import Home, join, stop
from crm_mcp.embedded.locks import is_held


@contextlib.contextmanager
def demo_home(parent: Path | None = None) -> Generator[Home]:
    """Yield a home whose database runs and holds the demo orgs."""
    folder = Path(tempfile.mkdtemp(prefix="crm-bench-", dir=parent))
    folder.chmod(0o711)
    home = Home(folder / "home")
    lease = join(home, revision=revision.CURRENT, oldest=revision.OLDEST_CLIENT, idle=0.5)
    try:
        asyncio.run(_load(home))
        yield home
    finally:
        lease.close()
        stop(home, force=True)
        deadline = time.monotonic() + 15
        while is_held(home.reaper_lock) and time.monotonic() < deadline:
            time.sleep(0.01)
        if home.outside.is_symlink():
            shutil.rmtree(home.outside.readlink())
        shutil.rmtree(folder)


async def _load(home: Home) -> None:
    approver = Database(home.conninfo("crm_approver"))
    await load(home.conninfo("crm_owner"), approver)
    await approver.close()


def environment(home: Home, source: Path | None = None) -> dict[str, str]:
    """Return the environment of a served process: this home, no browser, and another checkout where `source` is given."""
    env = {**os.environ, "CRM_HOME": str(home.root), "CRM_OPEN_BROWSER": "never"}
    return env | ({"PYTHONPATH": str(source)} if source else {})
