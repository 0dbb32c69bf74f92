"""A temporary embedded home, started as the product starts it and gone without a trace afterwards.

The benchmarks make theirs here too.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from crm_mcp import revision
from crm_mcp.db import Database
from crm_mcp.demo import load
from crm_mcp.embedded import Home, join, stop
from crm_mcp.embedded.locks import is_held

MEMORY = Path("/dev/shm") if os.name == "posix" and Path("/dev/shm").is_dir() else None
FAST = {"fsync": "off", "shared_buffers": "64MB"}


@contextmanager
def temporary_home(parent: Path | None = MEMORY, settings: Mapping[str, str] = FAST) -> Generator[Home]:
    """Yield a home whose database runs, empty; with no `settings` it is as durable as a real one."""
    folder = Path(tempfile.mkdtemp(prefix="crm-t-", dir=parent))
    folder.chmod(0o711)
    home = Home(folder / "home")
    lease = join(home, revision=revision.CURRENT, oldest=revision.OLDEST_CLIENT, idle=0.2, settings=settings)
    try:
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


@contextmanager
def small_disk(at: Path, megabytes: int) -> Generator[Path]:
    """Mount a disk of a few megabytes on a new folder `at`; skip where that is not possible."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    at.mkdir()
    options = f"size={megabytes}m,mode=0711"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def load_demo(home: Home) -> None:
    """Load the demo orgs, as `crm-mcp demo` does."""

    async def loaded() -> None:
        approver = Database(home.conninfo("crm_approver"))
        await load(home.conninfo("crm_owner"), approver)
        await approver.close()

    asyncio.run(loaded())
