"""What the launcher's tests share: homes, clients, and waiting for something to be so."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import crm_mcp
from crm_mcp.embedded import Home, Lease, join, stop
from crm_mcp.embedded.locks import is_held
from crm_mcp.embedded.place import cluster_name
from crm_mcp.embedded.processes import server_processes

HERE = Path(__file__).parent
SOURCE = Path(crm_mcp.__path__[0]).parent
REVISION = "0002"
FAST = {"fsync": "off", "shared_buffers": "16MB", "autovacuum": "off"}
IDLE = 0.2


def eventually(happened: Callable[[], object], what: str, seconds: float = 15) -> None:
    """Wait until something is so; the only way these tests wait."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def processes_of(home: Home) -> list[int]:
    """Every process that serves a home: the server's, its launchers and its reaper."""
    found = server_processes(home.pgdata.resolve(), cluster_name(home))
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        pid, state, command = line.split(None, 2)
        words = f" {command} "
        if f" {home.root} " in words and "crm_mcp.embedded" in words and not state.startswith("Z"):
            found.append(int(pid))
    return found


def is_quiet(home: Home) -> bool:
    return not processes_of(home)


def join_fast(home: Home, *, revision: str = REVISION, oldest: str = "0001", **options: object) -> Lease:
    """Join as the product does, with a fake preparation and settings that suit a test."""
    chosen: dict[str, object] = {
        "idle": IDLE,
        "prepare": "embedded_preparation:create_database",
        "settings": FAST,
    }
    return join(home, revision=revision, oldest=oldest, **(chosen | options))  # type: ignore[arg-type]


def copy_home(template: Home, root: Path) -> Home:
    root.mkdir(parents=True)
    root.chmod(0o711)
    for name in ("pgdata", "secrets", "leases", "revision", "prepared"):
        subprocess.run(["cp", "-a", str(template.root / name), str(root / name)], check=True)
    (root / "pg").symlink_to(template.pg)
    return Home(root)


def dispose(home: Home) -> None:
    with contextlib.suppress(OSError):  # a failed test leaves its launcher waiting for this pipe
        os.close(os.open(home.root / "permission", os.O_WRONLY | getattr(os, "O_NONBLOCK", 0)))
    stop(home, force=True)
    eventually(lambda: not is_held(home.reaper_lock), "the reaper ends")
    eventually(lambda: is_quiet(home), f"the processes of {home.root} end")
    if home.outside.is_symlink():
        shutil.rmtree(home.outside.readlink())


class Client:
    """A client process of its own: it joins, says so, and holds its lease until its input ends."""

    def __init__(self, home: Home, *, revision: str = REVISION, **options: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "embedded_client.py"), str(home.root), revision, repr(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.communicate()
