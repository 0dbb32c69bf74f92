"""Creates, starts and stops the Postgres server of one home. The caller holds the start lock."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import place, settings
from .errors import EmbeddedDiskFull, EmbeddedUnavailable
from .home import ROLES, Home, replace_file
from .ping import Answer, accepts, ask
from .place import Account
from .processes import Postmaster, postmaster, server_processes

if TYPE_CHECKING:
    from .binaries import Binaries

_POLL = 0.01
_MEMORY = 2 << 30
"""Bytes of address space of each of the server's processes, the shared buffers among them."""
_LOG_LIMIT = 10_000_000
_BOOT_SECONDS = 600
"""A crash recovery replays at most 2 GB of WAL."""

_PASSED_ON = ("PATH", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "WINDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_WAL_SEGMENT = 16_777_216
_NO_SPACE = "No space left on device"
_STAMP = re.compile(r"^\d{4}-\S+ \S+ \S+ \[\d+\] ")
_QUOTED_LINES = 3


class Cluster(NamedTuple):
    """What it takes to run Postgres for a home."""

    home: Home
    binaries: "Binaries"
    account: Account
    overrides: Mapping[str, str]

    @property
    def pgdata(self) -> Path:
        return self.home.pgdata.resolve()


def running(home: Home) -> Postmaster | None:
    """Find the home's live server; it may still be starting."""
    return postmaster(home.pgdata.resolve(), place.cluster_name(home))


def create(cluster: Cluster, lock: int) -> None:
    """Make the data directory unless there is one, with new passwords for every role.

    The directory is made under another name and renamed when complete. `lock` is the descriptor of the
    start lock: initdb inherits it, so that one which outlives its launcher still keeps the next one out.

    Raises:
        EmbeddedUnavailable: initdb failed, or the directory is of another major version or not ours.
    """
    pgdata = cluster.pgdata
    _sweep(pgdata)
    if pgdata.exists() and any(pgdata.iterdir()):
        _check_version(cluster)
        cluster.home.secret("postgres")
        return
    if cluster.home.revision_file.exists():
        raise EmbeddedUnavailable(
            f"The data directory {pgdata} is gone, though {cluster.home.revision_file} says there was a "
            "database. Bring the directory back, or restore a backup into a new home. If the data may go, "
            "delete that file."
        )
    cluster.home.secrets.mkdir(mode=0o700, exist_ok=True)
    cluster.home.secrets.chmod(0o700)
    _make_secrets(cluster.home, ROLES)
    _initdb(cluster, lock)


def complete_secrets(home: Home) -> None:
    """Give a password to every role that a newer version of this program added."""
    _make_secrets(home, [role for role in ROLES if not (home.secrets / role).exists()])


def start(cluster: Cluster) -> bool:
    """Have the server accept connections; True when it was started here, False when it already ran.

    Raises:
        EmbeddedUnavailable: it cannot be started; the text quotes the server's own words.
    """
    said = ""
    for _ in range(3):
        began = _log_size(cluster.home)
        found = running(cluster.home)
        if found is None:
            clear_remains(cluster.home)
            child = _spawn(cluster)
        else:
            child = None
        said = _await_ready(cluster, child, began)
        if not said:
            return child is not None
    raise _failure(cluster, said)


def stop(home: Home) -> None:
    """Shut the server down: fast, after a minute immediately, and at last by force."""
    found = running(home)
    if found is not None:
        for number, seconds in _shutdown_signals(home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(found.pid, number)
            if _wait(lambda: running(home) is None, seconds):
                break
    clear_remains(home)
    place.discard_socket_dir(home)


def clear_remains(home: Home) -> None:
    """End orphans of a killed server and remove its lock files, which may name a reused process id."""
    pgdata, name = home.pgdata.resolve(), place.cluster_name(home)
    for number in _orphan_signals():
        orphans = server_processes(pgdata, name)
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if not orphans or _wait(lambda: not server_processes(pgdata, name), 5):
            break
    (pgdata / "postmaster.pid").unlink(missing_ok=True)
    if home.address.is_socket:
        socket_file = home.socket_dir / f".s.PGSQL.{home.address.port}"
        socket_file.unlink(missing_ok=True)
        socket_file.with_name(f"{socket_file.name}.lock").unlink(missing_ok=True)


def _shutdown_signals(home: Home) -> list[tuple[int, float]]:
    if sys.platform != "win32":
        return [(signal.SIGINT, 60), (signal.SIGQUIT, 15), (signal.SIGKILL, 15)]
    # Windows knows no such signals; pg_ctl asks through a pipe, and SIGTERM there means to kill.
    started_as = (home.pgdata / "postmaster.opts").read_text(encoding="utf-8").lstrip('"')
    pg_ctl = Path(started_as.partition(".exe")[0]).with_name("pg_ctl.exe")
    subprocess.run([pg_ctl, "-D", home.pgdata, "-m", "fast", "-w", "-t", "60", "stop"], check=False)
    return [(signal.SIGTERM, 15)] if running(home) is not None else []


def _orphan_signals() -> list[int]:
    return [signal.SIGTERM] if sys.platform == "win32" else [signal.SIGQUIT, signal.SIGKILL]


def _sweep(pgdata: Path) -> None:
    for left_over in pgdata.parent.glob(f"{pgdata.name}.new-*"):
        if left_over.is_dir():
            shutil.rmtree(left_over, ignore_errors=True)
        else:
            left_over.unlink(missing_ok=True)


def _check_version(cluster: Cluster) -> None:
    try:
        made_by = (cluster.pgdata / "PG_VERSION").read_text().strip()
    except FileNotFoundError as error:
        raise EmbeddedUnavailable(
            f"{cluster.pgdata} holds files but no database. Move them away, or set CRM_HOME elsewhere."
        ) from error
    if made_by != cluster.binaries.major:
        raise EmbeddedUnavailable(
            f"The database in {cluster.pgdata} was made by PostgreSQL {made_by}, and this crm-mcp runs "
            f"PostgreSQL {cluster.binaries.major}, which cannot read it. Dump it with the crm-mcp that made "
            "it (crm-mcp backup FILE), and restore it into a new home with this one (crm-mcp restore FILE)."
        )


def _make_secrets(home: Home, roles: Iterable[str]) -> None:
    for role in roles:
        replace_file(home.secrets / role, os.urandom(24).hex() + "\n")


def _initdb(cluster: Cluster, lock: int) -> None:
    pgdata, account = cluster.pgdata, cluster.account
    if pgdata.exists():
        pgdata.rmdir()
    fresh = pgdata.with_name(f"{pgdata.name}.new-{os.urandom(4).hex()}")
    password = fresh.with_name(f"{fresh.name}.password")
    try:
        fresh.mkdir(mode=0o700)
        account.give(fresh)
        replace_file(password, cluster.home.secret("postgres") + "\n", account.ids)
        # Not a pipe: an initdb that outlives its launcher would be killed half-way by writing to it.
        with tempfile.TemporaryFile() as said:
            made = subprocess.run(
                [
                    cluster.binaries.program("initdb"),
                    *("-D", str(fresh), "-U", "postgres", "-E", "UTF8", "--locale=C"),
                    *("--locale-provider=builtin", "--builtin-locale=PG_UNICODE_FAST"),
                    *("--auth=scram-sha-256", f"--pwfile={password}", "--no-instructions"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                check=False,
                cwd=_cwd(cluster),
                env=_environment(),
                pass_fds=() if sys.platform == "win32" else (lock,),
                **account.run_as(),
            )
            if made.returncode != 0:
                said.seek(0)
                raise _failure(cluster, said.read().decode(errors="replace"))
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(settings.INCLUDE)
        os.rename(fresh, pgdata)
    except OSError as error:
        raise _failure(cluster, str(error)) from error
    finally:
        _sweep(pgdata)


def _spawn(cluster: Cluster) -> "subprocess.Popen[bytes]":
    home = cluster.home
    address = place.choose_address(home, cluster.account)
    replace_file(home.address_file, f"{address.host} {address.port}\n")
    _write_settings(cluster)
    arguments = [cluster.binaries.program("postgres"), "-D", str(cluster.pgdata)]
    if sys.platform == "win32":
        # Only pg_ctl can shed an administrator's rights, with which postgres.exe refuses to run.
        arguments = [cluster.binaries.program("pg_ctl"), "-D", str(cluster.pgdata), "-W", "start"]
    with _open_log(home) as log:
        return subprocess.Popen(
            _confined(arguments),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=_cwd(cluster),
            env=_environment(),
            start_new_session=sys.platform != "win32",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            **cluster.account.run_as(),
        )


def _confined(arguments: list[str]) -> list[str]:
    """Return how a server is started whose processes have bounded memory: a statement that wants more gets an error.

    Postgres bounds sorts and hashes alone, not what an aggregate or a chain of concatenations makes. The server bounds
    itself on its way in, which takes no right; to bound a process of another account does, even as root.
    """
    if sys.platform != "linux":
        return arguments
    return ["/bin/sh", "-c", f'ulimit -v {_MEMORY >> 10}; exec "$@"', "sh", *arguments]


def _write_settings(cluster: Cluster) -> None:
    path = cluster.pgdata / settings.FILE
    text = settings.render(cluster.home.address, place.cluster_name(cluster.home), cluster.overrides)
    try:
        replace_file(path, text, cluster.account.ids)
    except OSError as error:
        raise _failure(cluster, str(error)) from error


@contextlib.contextmanager
def _open_log(home: Home) -> Generator[int, None, None]:
    with contextlib.suppress(OSError):
        if home.log.stat().st_size > _LOG_LIMIT:
            os.replace(home.log, home.log.with_name(f"{home.log.name}.1"))
    descriptor = os.open(home.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _await_ready(cluster: Cluster, child: "subprocess.Popen[bytes] | None", began: int) -> str:
    """Wait until the server answers; give what it said instead, when it is gone.

    Raises:
        EmbeddedUnavailable: it is alive but does not become ready.
    """
    home = cluster.home
    deadline = time.monotonic() + _BOOT_SECONDS
    while time.monotonic() < deadline:
        found = running(home)
        if found is None and (child is None or _ended(child)):
            return _log_since(home, began) or "nothing"
        if found is not None and found.state == "ready":
            if accepts(home.address):
                if child is not None:
                    child.returncode = 0  # it outlives us, and subprocess must not warn of that
                return ""
            if _wait(lambda: ask(home.address) is not Answer.ABSENT, 1):
                continue
        if found is not None and found.state in ("ready", "stopping"):
            # Either its socket was deleted, as by a temp folder's cleaner, or it was asked to end when its
            # last connection does, and takes no new ones.
            stop(home)
            return "the server was running but took no connections"
        time.sleep(_POLL)
    raise EmbeddedUnavailable(
        f"Postgres did not become ready within {_BOOT_SECONDS} seconds. See the end of {home.log}; if it is "
        "still recovering after a crash, start again later."
    )


def _ended(child: "subprocess.Popen[bytes]") -> bool:
    """On Windows the child is pg_ctl, which leaves the server behind when all is well."""
    code = child.poll()
    return code is not None and not (sys.platform == "win32" and code == 0)


def _log_size(home: Home) -> int:
    try:
        return home.log.stat().st_size if home.log.is_file() else 0
    except OSError:
        return 0


def _log_since(home: Home, began: int) -> str:
    if not home.log.is_file():  # reading a device may never end
        return ""
    with home.log.open("rb") as file:
        file.seek(began if began <= _log_size(home) else 0)  # a grown log was set aside meanwhile
        return file.read(100_000).decode(errors="replace")


def _failure(cluster: Cluster, output: str) -> EmbeddedUnavailable:
    """Turn what a Postgres program said into an error whose one line says what to do."""
    if _NO_SPACE in output or shutil.disk_usage(cluster.pgdata.parent).free < _WAL_SEGMENT:
        return EmbeddedDiskFull(
            f"There is no space left on the disk of {cluster.pgdata.parent}, so the database cannot start. "
            "Free some space (a new database needs 100 MB) and start again."
        )
    lines = [_STAMP.sub("", line).strip() for line in output.splitlines()]
    said = " / ".join([line for line in lines if line][-_QUOTED_LINES:]) or "nothing"
    return EmbeddedUnavailable(
        f"Postgres could not be started in {cluster.pgdata}. It said: {said} (more in {cluster.home.log})"
    )


def _environment() -> dict[str, str]:
    """PG* variables would change what is started, and API keys are none of the database's business."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**kept, "LC_ALL": "C"}


def _cwd(cluster: Cluster) -> str:
    return str(cluster.home.root) if sys.platform == "win32" else "/"


def _wait(happened: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
