"""Temporary embedded homes, started as the product starts them and gone without a trace afterwards.

The product makes and migrates one home a run; the others are copies of it, which start in a tenth of the time. The
benchmarks make theirs here too.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from crm_mcp import revision
from crm_mcp.db import Database
from crm_mcp.demo import load
from crm_mcp.embedded import Home, join, stop
from crm_mcp.embedded.locks import FileLock, is_held

TEMPLATES = "CRM_TEST_TEMPLATES"
"""Names the folder of the run's templates to every worker of it; `conftest.pytest_configure` sets it."""
MEMORY = Path("/dev/shm") if os.name == "posix" and Path("/dev/shm").is_dir() else None
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_compression": "off",
    "autovacuum": "off",
    "io_method": "sync",
    "shared_buffers": "64MB",
    "scram_iterations": "1",
}
"""A password hashed once instead of 4,096 times makes a connection cost a tenth.

These homes lie in memory and outlive no power cut, and a template is vacuumed before it is copied.
"""
_COPIED = ("pgdata", "secrets", "leases", "revision")


def temporary_folder(prefix: str, parent: Path | None = MEMORY) -> Path:
    """Make a folder, in memory where there is such a place, that the account of Postgres may pass through."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    folder.chmod(0o711)
    return folder


@contextmanager
def temporary_home(
    template: Home | None = None, *, parent: Path | None = MEMORY, settings: Mapping[str, str] = FAST
) -> Generator[Home]:
    """Run a home of its own: a copy of the template, else of the run's migrated one, else made from nothing.

    With no `settings` it is as durable as a real one.
    """
    folder = temporary_folder("crm-t-", parent)
    home = Home(folder / "home")
    source = template or migrated()
    if source is not None:
        copy_home(source, home)
    try:
        with running(home, settings):
            yield home
    finally:
        if home.outside.is_symlink():
            shutil.rmtree(home.outside.readlink())
        shutil.rmtree(folder)


@contextmanager
def running(home: Home, settings: Mapping[str, str] = FAST) -> Generator[None]:
    """Start a home as the product does; afterwards nothing of it runs."""
    lease = join(home, revision=revision.CURRENT, oldest=revision.OLDEST_CLIENT, idle=0.2, settings=settings)
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
    return template("migrated", None, _hash_superuser_fast)


def _hash_superuser_fast(home: Home) -> None:
    """Hash the password that initdb hashed with the settings of the run."""
    with psycopg.connect(home.conninfo("postgres", "postgres"), autocommit=True) as conn:
        conn.execute(sql.SQL("alter role postgres password {}").format(sql.Literal(home.secret("postgres"))))


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
                _vacuum(home)
            (folder / f"{name}.done").touch()
    return None if home.outside.is_symlink() else home


def _vacuum(home: Home) -> None:
    """Leave to no copy what Postgres does once with rows that are new to it."""
    with psycopg.connect(home.conninfo("postgres"), autocommit=True) as conn:
        conn.execute("vacuum (analyze)")


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
