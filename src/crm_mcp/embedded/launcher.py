"""Starts, prepares, stops and describes the server of a home.

The only part that reads the superuser's and the owner's passwords; clients run it as a process of its own.
"""

import contextlib
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import NamedTuple

from . import binaries, ping, place, reaper, server
from .errors import EmbeddedInUse
from .home import Address, Home, Recorded, replace_file
from .lease import IDLE, is_usable
from .locks import FileLock

Prepare = Callable[[Home], None]

_PROBE_SECONDS = 0.2


class Status(NamedTuple):
    """What is known of a home's server without starting it."""

    running: bool
    usable: bool
    pid: int | None
    address: Address | None
    leases_held: bool
    recorded: Recorded | None


def launch(
    home: Home,
    *,
    revision: str,
    oldest: str,
    prepare: Prepare,
    idle: float = IDLE,
    other_build: Path | None = None,
    service_user: str = "nobody",
    settings: Mapping[str, str] | None = None,
) -> None:
    """Have the server run with its database at `revision` or newer, and a reaper that will stop it.

    `prepare` must leave the database at `revision`, whatever it finds: it runs at every start, and when
    the recorded revision is older. It does not run for a client older than the database, which may use it
    but knows less than the newer one that prepared it.

    Raises:
        EmbeddedUnavailable: the text says why and what to do.
    """
    place.create_home(home.root)
    with FileLock(home.start_lock) as starting:
        starting.hold()
        if is_usable(home, revision):
            return
        account = place.choose_account(home, service_user)
        place.settle(home, account)
        watcher = reaper.ensure(home, idle=idle)
        # Before anything is started: whatever happens to us, the reaper stops what we leave behind.
        recorded = home.recorded()
        if not (home.ready.exists() and ping.accepts(home.address)):
            home.ready.unlink(missing_ok=True)
            programs = binaries.provide(home, account, other_build)
            cluster = server.Cluster(home, programs, account, settings or {})
            server.create(cluster, starting.fileno())
            if server.start(cluster):
                binaries.prune(home, programs)
        elif recorded is not None and revision <= recorded.revision:
            reaper.await_reaper(home, watcher)
            return
        _bring_up_to_date(home, revision, oldest, recorded, prepare)
        reaper.await_reaper(home, watcher)


def stop(home: Home, *, force: bool = False) -> bool:
    """Stop the server; False when it did not run. The caller holds no lease of its own.

    Raises:
        EmbeddedInUse: leases are held, and `force` is not given.
    """
    if not home.root.is_dir():
        return False
    with FileLock(home.start_lock) as starting, FileLock(home.clients_lock) as clients:
        starting.hold()
        if not clients.hold_within(_PROBE_SECONDS) and not force:
            raise EmbeddedInUse(
                f"Other crm-mcp processes use the database in {home.root}. Close them (or the programs that "
                "started them) first, or stop it all the same with --force."
            )
        was_running = server.running(home) is not None
        home.ready.unlink(missing_ok=True)
        server.stop(home)
        return was_running


def status(home: Home) -> Status:
    """Describe the server; changes nothing."""
    if not home.root.is_dir():
        return Status(False, False, None, None, False, None)
    found = server.running(home)
    address = home.address if found is not None else None
    usable = address is not None and home.ready.exists() and ping.accepts(address)
    return Status(
        found is not None,
        usable,
        found.pid if found is not None else None,
        address,
        _leases_held(home),
        home.recorded(),
    )


def _leases_held(home: Home) -> bool:
    if not home.clients_lock.exists():
        return False
    with FileLock(home.clients_lock) as clients:
        return not clients.hold_within(_PROBE_SECONDS)


def _bring_up_to_date(home: Home, revision: str, oldest: str, recorded: Recorded | None, prepare: Prepare) -> None:
    """Prepare the database, record its revision, and only then tell clients that it is ready."""
    was_ready = home.ready.exists()
    home.ready.unlink(missing_ok=True)
    if recorded is None or revision >= recorded.revision:
        newer = recorded is None or revision > recorded.revision
        try:
            with _older_clients_kept_out(home, revision) if newer else contextlib.nullcontext():
                server.complete_secrets(home)
                prepare(home)
                replace_file(home.revision_file, f"{revision} {oldest}\n")
        except EmbeddedInUse:
            if was_ready:
                replace_file(home.ready, "")
            raise
    replace_file(home.ready, "")


@contextlib.contextmanager
def _older_clients_kept_out(home: Home, revision: str) -> Generator[None, None, None]:
    """Hold the leases of every older revision, so that none of its clients can come in meanwhile.

    Raises:
        EmbeddedInUse: such a client is there.
    """
    with contextlib.ExitStack() as held:
        for path in sorted(home.leases.glob("*.lock")):
            if path.stem >= revision:
                continue
            lock = held.enter_context(FileLock(path))
            if not lock.hold_within(_PROBE_SECONDS):
                raise EmbeddedInUse(
                    f"The database in {home.root} must be migrated to revision {revision}, and a crm-mcp of "
                    f"revision {path.stem} still uses it. Close the other programs that use crm-mcp (they "
                    "run the older version), then start again."
                )
        yield
