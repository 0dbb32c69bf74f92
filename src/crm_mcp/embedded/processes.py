"""Tells the processes of one data directory from strangers, so that a reused process id is not trusted."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Postmaster(NamedTuple):
    """What postmaster.pid says about the running server."""

    pid: int
    state: str
    """starting, ready or stopping; empty in its first instant."""


def postmaster(pgdata: Path, cluster: str) -> Postmaster | None:
    """Read postmaster.pid; None unless it names a live server of this very data directory.

    A file left by a crash may be empty, or name a process id that is dead, a zombie or a stranger's.
    """
    try:
        lines = (pgdata / "postmaster.pid").read_text(errors="replace").splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if pid not in server_processes(pgdata, cluster, only=pid):
        return None
    return Postmaster(pid, lines[7].strip() if len(lines) > 7 else "")


def server_processes(pgdata: Path, cluster: str, *, only: int | None = None) -> list[int]:
    """List the live processes of this data directory, orphans of a killed server included."""
    if sys.platform == "win32":
        return _windows_processes(pgdata, only)
    if sys.platform == "linux":
        pids = [only] if only is not None else [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [pid for pid in pids if _linux_belongs(pid, os.path.realpath(pgdata))]
    return _bsd_processes(pgdata, cluster, only)


def _linux_belongs(pid: int, pgdata: str) -> bool:
    """Every Postgres process keeps its data directory as working directory, and its program's name; a zombie has none.

    What is found here may be killed, and by root: the owner is a check of its own, so that no single
    mistake can reach a stranger's process.
    """
    if pid in (1, os.getpid(), os.getppid()):
        return False
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes().decode(errors="replace")
        if os.stat(f"/proc/{pid}").st_uid != os.stat(pgdata).st_uid:
            return False
        name = text.partition("(")[2].rpartition(")")[0]
        return name == "postgres" and os.readlink(f"/proc/{pid}/cwd") == pgdata
    except OSError:
        return False


def _bsd_processes(pgdata: Path, cluster: str, only: int | None) -> list[int]:
    """macOS has no /proc: the server shows its -D argument, its children show the cluster's name."""
    chosen = ["-A"] if only is None else ["-p", str(only)]
    listed = subprocess.run(
        ["/bin/ps", *chosen, "-ww", "-o", "pid=,stat=,command="], capture_output=True, text=True, check=False
    )
    found: list[int] = []
    for line in listed.stdout.splitlines():
        pid, state, command = (*line.split(None, 2), "", "")[:3]
        is_server = f"postgres -D {os.path.realpath(pgdata)}" in command
        is_child = command.startswith(f"postgres: {cluster}:")
        if (is_server or is_child) and not state.startswith("Z"):
            found.append(int(pid))
    return found


def _windows_processes(pgdata: Path, only: int | None) -> list[int]:
    """A Windows process does not show its directory, so any live postgres.exe of the file's id counts.

    Orphans need no search there: the children of a killed server end with it.
    """
    if only is None:
        current = postmaster(pgdata, "")
        return [current.pid] if current else []
    listed = subprocess.run(
        ["tasklist", "/FI", f"PID eq {only}", "/FI", "IMAGENAME eq postgres.exe", "/NH", "/FO", "CSV"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [only] if f'"{only}"' in listed.stdout else []
