"""A temporary embedded home, started as the product starts it and gone without a trace afterwards."""

import os
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from crm_mcp import revision
from crm_mcp.embedded import Home, join, stop
from crm_mcp.embedded.locks import is_held


@contextmanager
def temporary_home() -> Generator[Home]:
    memory = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="crm-t-", dir=memory if memory.is_dir() and os.name == "posix" else None)
    Path(folder).chmod(0o711)
    home = Home(Path(folder) / "home")
    settings = {"fsync": "off", "shared_buffers": "64MB"}
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
