"""Stops the server when no client has been there for a while.

A detached process of its own, because no client knows that it is the last one: it may be killed.
"""

import subprocess
import sys
import time

from . import server
from .errors import EmbeddedUnavailable
from .home import Home
from .locks import FileLock, is_held

_POLL = 1.0
_START_SECONDS = 20.0
_TAKEOVER_SECONDS = 1.0


def reap(home: Home, *, idle: float) -> None:
    """Wait until nobody holds a lease for `idle` seconds, then stop the server and return.

    Returns at once when another reaper is at work, and as soon as the server turns out to be stopped.
    """
    with FileLock(home.reaper_lock) as alone, FileLock(home.clients_lock) as clients:
        if not alone.hold_within(_TAKEOVER_SECONDS):
            return
        while True:
            clients.hold()
            trace = clients.trace()
            clients.release()
            if _idled(home, clients, trace, idle) and _finished(home, alone, clients, trace):
                return


def ensure(home: Home, *, idle: float) -> "subprocess.Popen[bytes] | None":
    """Start a reaper when none is at work; `await_reaper` waits until it is."""
    if is_held(home.reaper_lock):
        return None
    with home.launcher_log.open("ab") as log:
        return subprocess.Popen(
            command("reap", str(home.root), "--idle", str(idle)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=home.root,
            start_new_session=sys.platform != "win32",
            creationflags=_detached(),
        )


def await_reaper(home: Home, child: "subprocess.Popen[bytes] | None") -> None:
    """Wait until the reaper holds its lock.

    Raises:
        EmbeddedUnavailable: it ended, or did not start in time.
    """
    if child is None:
        return
    deadline = time.monotonic() + _START_SECONDS
    while not is_held(home.reaper_lock):
        if child.poll() is not None or time.monotonic() > deadline:
            raise EmbeddedUnavailable(
                "The process that stops the database when nobody uses it could not be started. "
                f"See the end of {home.launcher_log}."
            )
        time.sleep(0.005)
    child.returncode = 0  # it outlives us, and subprocess must not warn of that


def command(*words: str) -> list[str]:
    """Name a program of this package; -P keeps the working directory's modules out of it."""
    return [sys.executable, "-P", "-m", "crm_mcp.embedded", *words]


def _idled(home: Home, clients: FileLock, trace: int, idle: float) -> bool:
    """Wait out the idle time: False as soon as a client came, True early when the server is stopped."""
    deadline = time.monotonic() + idle
    while (left := deadline - time.monotonic()) > 0:
        if clients.trace() != trace:
            return False
        if not home.ready.exists() and _stopped(home):
            return True
        time.sleep(min(_POLL, idle / 10, left))
    return True


def _stopped(home: Home) -> bool:
    """Ask while no launcher is at work: a server about to be started is not a stopped one."""
    with FileLock(home.start_lock) as starting:
        starting.hold()
        return server.running(home) is None


def _finished(home: Home, alone: FileLock, clients: FileLock, trace: int) -> bool:
    """Stop the server unless somebody came; the start lock keeps a launcher from coming meanwhile."""
    with FileLock(home.start_lock) as starting:
        starting.hold()
        is_running = server.running(home) is not None
        if clients.try_hold():
            if is_running and clients.trace() != trace:
                clients.release()
                return False
            home.ready.unlink(missing_ok=True)
            server.stop(home)
        elif is_running:
            return False
        # Before the start lock: the next launcher must not take us for alive.
        alone.close()
        clients.close()
        return True


def _detached() -> int:
    flags = ("DETACHED_PROCESS", "CREATE_NEW_PROCESS_GROUP", "CREATE_BREAKAWAY_FROM_JOB")
    return sum(int(getattr(subprocess, flag, 0)) for flag in flags)
