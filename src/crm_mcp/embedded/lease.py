"""Holds a lease on the embedded server, starting the server when it does not run.

The hot path of a process that must start fast: locks, two small files and one packet.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from .errors import EmbeddedDiskFull, EmbeddedUnavailable
from .home import Home
from .locks import FileLock, is_held

PREPARE = "crm_mcp.migrate:prepare"
IDLE = 60.0


class Lease:
    """A client's hold on the server, which runs on while any lease is held.

    It ends with `close` or with the process, however that dies. A forked child holds it too.
    """

    def __init__(self, *locks: FileLock) -> None:
        self._locks = locks

    def close(self) -> None:
        """Give the lease up; closing twice does nothing."""
        for lock in self._locks:
            lock.close()

    def __enter__(self) -> "Lease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def join(
    home: Home,
    *,
    revision: str,
    oldest: str,
    idle: float = IDLE,
    prepare: str = PREPARE,
    settings: Mapping[str, str] | None = None,
    other_build: Path | None = None,
    timeout: float = 900.0,
) -> Lease:
    """Hold a lease on the running server, starting it when needed.

    `revision` is the schema revision this program works with and `oldest` the oldest client revision that
    may still use such a database; revisions sort as text. `idle` (seconds without a client before the
    server stops), `prepare` (module:function that brings the database to `revision`) and `settings`
    (server settings, for tests) reach the launcher, so they count only when this call starts something; so
    does `other_build`, the bin folder of another Postgres.
    `timeout` bounds the wait for the launcher, in seconds; the launcher itself goes on after it.

    Raises:
        EmbeddedUnavailable: the server cannot be used; the text says why and what to do.
        ValueError: a revision that cannot be part of a file name.
    """
    lease = _take(home, revision)
    try:
        for _ in range(2):
            if is_usable(home, revision):
                return lease
            _launch(home, revision, oldest, idle, prepare, settings or {}, other_build, timeout)
        if is_usable(home, revision):
            return lease
        raise EmbeddedUnavailable(
            f"The embedded database was started and then stopped again. See the end of {home.log}."
        )
    except BaseException:
        lease.close()
        raise


def is_usable(home: Home, revision: str) -> bool:
    """Say whether a client of `revision` may use the server right now.

    The ready file is read before the revision file. A launcher that migrates removes the one before it
    looks for leases of older clients and writes the other before it makes the first anew: a client that
    found `ready` was either seen in time, or reads the new revision.

    Raises:
        EmbeddedUnavailable: the database has moved past what this client can use.
    """
    ready = home.ready.exists()
    recorded = home.recorded()
    if recorded is None:
        return False
    if revision < recorded.oldest:
        raise EmbeddedUnavailable(
            f"The database in {home.root} is at revision {recorded.revision} and needs a crm-mcp of revision "
            f"{recorded.oldest} or newer; this one is of revision {revision}. Upgrade crm-mcp."
        )
    if not ready or revision > recorded.revision or not is_held(home.reaper_lock):
        return False
    from .ping import accepts

    return accepts(home.address)


def _take(home: Home, revision: str) -> Lease:
    lease_lock = home.lease_lock(revision)
    try:
        try:
            everybody = FileLock(home.clients_lock)
            ours = FileLock(lease_lock)
        except FileNotFoundError:
            from .place import create_home

            create_home(home.root)
            everybody = FileLock(home.clients_lock)
            ours = FileLock(lease_lock)
    except OSError as error:
        raise EmbeddedUnavailable(
            f"The folder {home.root} cannot be used for the embedded database ({error.strerror}: "
            f"{error.filename}). Set CRM_HOME to a folder of your own, with space on its disk."
        ) from error
    everybody.share()
    everybody.touch()
    ours.share()
    return Lease(ours, everybody)


def _launch(
    home: Home,
    revision: str,
    oldest: str,
    idle: float,
    prepare: str,
    settings: Mapping[str, str],
    other_build: Path | None,
    timeout: float,
) -> None:
    """Run the launcher in a session of its own, so that Ctrl-C does not stop it half-way."""
    import subprocess
    import threading

    from .reaper import command

    words = ["--revision", revision, "--oldest", oldest, "--idle", str(idle), "--prepare", prepare]
    if other_build is not None:
        words += ["--other-build", os.path.abspath(other_build)]
    for name, value in settings.items():
        words += ["--set", f"{name}={value}"]
    launcher = subprocess.Popen(
        command("launch", str(home.root), *words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd=home.root,
        start_new_session=os.name == "posix",
    )
    try:
        _, said = launcher.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        threading.Thread(target=launcher.communicate, daemon=True).start()
        raise EmbeddedUnavailable(
            f"The embedded database in {home.root} is still being started after {timeout:.0f} seconds. Try "
            f"again in a while; {home.log} shows what it is doing."
        ) from error
    if launcher.returncode != 0:
        lines = said.strip().splitlines() or [
            f"The launcher of the embedded database ended with code {launcher.returncode} and no message. "
            f"Start again; {home.launcher_log} and {home.log} may say more."
        ]
        known = EmbeddedDiskFull if launcher.returncode == EmbeddedDiskFull.EXIT else EmbeddedUnavailable
        raise known(lines[-1])
