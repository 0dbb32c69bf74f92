"""Temporary embedded homes, started as the product starts them and gone without a trace afterwards.

The product makes and migrates one home a run; the others are copies of it, which start in a tenth of the time.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from crm_mcp import revision
from crm_mcp.embedded import Home, join, stop
from crm_mcp.embedded.locks import FileLock, is_held

TEMPLATES = "CRM_TEST_TEMPLATES"
"""Names the folder of the run's templates to every worker of it; `conftest.pytest_configure` sets it."""
_SETTINGS = {"fsync": "off", "shared_buffers": "64MB"}
_COPIED = ("pgdata", "secrets", "leases", "revision")


def temporary_folder(prefix: str) -> Path:
    """Make a folder, in memory where there is such a place, that the account of Postgres may pass through."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=memory if memory.is_dir() and os.name == "posix" else None))
    folder.chmod(0o711)
    return folder


@contextmanager
def temporary_home(template: Home | None = None) -> Generator[Home]:
    """Run a home of its own: a copy of the template, else of the run's migrated one, else made from nothing."""
    folder = temporary_folder("crm-t-")
    home = Home(folder / "home")
    source = template or migrated()
    if source is not None:
        copy_home(source, home)
    try:
        with running(home):
            yield home
    finally:
        if home.outside.is_symlink():
            shutil.rmtree(home.outside.readlink())
        shutil.rmtree(folder)


@contextmanager
def running(home: Home) -> Generator[None]:
    """Start a home as the product does; afterwards nothing of it runs."""
    lease = join(home, revision=revision.CURRENT, oldest=revision.OLDEST_CLIENT, idle=0.2, settings=_SETTINGS)
    try:
        yield
    finally:
        lease.close()
        stop(home, force=True)
        deadline = time.monotonic() + 15
        while is_held(home.reaper_lock) and time.monotonic() < deadline:
            time.sleep(0.01)


def migrated() -> Home | None:
    """Return the run's stopped home that the product made and migrated."""
    return template("migrated", None, lambda home: None)


def template(name: str, source: Home | None, fill: Callable[[Home], None]) -> Home | None:
    """Return a stopped home that was filled once a run, by whichever worker came first; None outside a run.

    None also where the account of Postgres keeps its files outside the home: a copy would share them.
    """
    chosen = os.environ.get(TEMPLATES)
    if not chosen:
        return None
    folder = Path(chosen)
    home = Home(folder / name)
    with FileLock(folder / f"{name}.lock") as alone:
        alone.hold()
        if not (folder / f"{name}.done").exists():
            if source is not None:
                copy_home(source, home)
            with running(home):
                fill(home)
            (folder / f"{name}.done").touch()
    return None if home.outside.is_symlink() else home


def discard_templates(folder: Path) -> None:
    """Remove a run's templates, and what of them lies elsewhere."""
    for outside in folder.glob("*/outside"):
        shutil.rmtree(outside.readlink())
    shutil.rmtree(folder)


def copy_home(source: Home, home: Home) -> None:
    """Copy a stopped home; the programs are shared."""
    home.root.mkdir()
    home.root.chmod(0o711)
    for name in _COPIED:
        subprocess.run(["cp", "-a", str(source.root / name), str(home.root / name)], check=True)
    (home.root / "pg").symlink_to(source.pg.resolve())
