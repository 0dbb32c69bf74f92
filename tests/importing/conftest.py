"""One embedded home a session, migrated by the product itself; every test connects as the product's logins."""

import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from crm_mcp import revision
from crm_mcp.db import Database
from crm_mcp.embedded import Home, join, stop
from crm_mcp.embedded.locks import is_held


@pytest.fixture(scope="session")
def home() -> Generator[Home]:
    memory = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="crm-i-", dir=memory if memory.is_dir() and os.name == "posix" else None)
    Path(folder).chmod(0o711)
    made = Home(Path(folder) / "home")
    lease = join(made, revision=revision.CURRENT, oldest=revision.OLDEST_CLIENT, idle=0.2, settings={"fsync": "off"})
    yield made
    lease.close()
    stop(made, force=True)
    deadline = time.monotonic() + 15
    while is_held(made.reaper_lock) and time.monotonic() < deadline:
        time.sleep(0.01)
    if made.outside.is_symlink():
        shutil.rmtree(made.outside.readlink())
    shutil.rmtree(folder)


@pytest.fixture
async def approver(home: Home) -> AsyncGenerator[Database]:
    db = Database(home.conninfo("crm_approver"))
    yield db
    await db.close()
