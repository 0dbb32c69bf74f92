"""Homes for the launcher's tests: copies of one prepared home, each stopped and removed afterwards."""

import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from embedded_homes import HERE, SOURCE, Client, copy_home, dispose, eventually, is_quiet, join_fast

from crm_mcp.embedded import Home


@pytest.fixture(autouse=True, scope="session")
def importable(base: Path) -> Generator[None]:
    """Launchers are processes of their own; they find the package and the fake preparation by this."""
    patch = pytest.MonkeyPatch()
    patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    patch.setenv("PYTHONPYCACHEPREFIX", str(base / "bytecode"))
    patch.setenv("PYTHONPATH", os.pathsep.join((str(SOURCE), str(HERE))))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def base() -> Generator[Path]:
    """A folder the service account can pass through, which pytest's own are not."""
    memory = Path("/dev/shm")
    in_memory = memory.is_dir() and shutil.disk_usage(memory).free > 2_000_000_000
    folder = Path(tempfile.mkdtemp(prefix="crm-e-", dir=memory if in_memory else _short_temp()))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def _short_temp() -> str | None:
    """macOS's own temp folder is too long a path for a socket."""
    return "/tmp" if os.name == "posix" else None


@pytest.fixture(scope="session")
def template(base: Path) -> Home:
    """A home whose server once ran and was stopped."""
    home = Home(base / "template")
    join_fast(home).close()
    eventually(lambda: is_quiet(home), "the template's processes end")
    return home


@pytest.fixture
def folder(base: Path) -> Generator[Path]:
    """A fresh folder; homes made in it are stopped and removed, with what they placed elsewhere."""
    made = Path(tempfile.mkdtemp(dir=base))
    made.chmod(0o711)
    yield made
    for mark in sorted(made.rglob("clients.lock")):
        dispose(Home(mark.parent))
    shutil.rmtree(made)


@pytest.fixture
def home(template: Home, folder: Path) -> Home:
    """A home with a database, whose server does not run yet."""
    return copy_home(template, folder / "home")


@pytest.fixture
def client(home: Home) -> Generator[Callable[..., Client]]:
    """Start client processes; those still alive at the end are killed."""
    started: list[Client] = []

    def start(at: Home = home, **options: object) -> Client:
        started.append(Client(at, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for one in started:
        one.end()
