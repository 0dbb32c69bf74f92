"""Where everything of one embedded database lives, so that no other module spells a path."""

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from .errors import EmbeddedUnavailable

ROLES = ("postgres", "crm_owner", "crm_agent", "crm_worker", "crm_approver", "crm_query")
PORT = 5432
"""The port in the name of the Unix socket; nothing listens on it as TCP."""

_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Address(NamedTuple):
    """Where the server listens: a socket directory (it starts with a slash) or a loopback address."""

    host: str
    port: int

    @property
    def is_socket(self) -> bool:
        return self.host.startswith("/")


class Recorded(NamedTuple):
    """The schema revision a database is at, and the oldest client revision that may still use it."""

    revision: str
    oldest: str


class Home:
    """The files under CRM_HOME.

    The constructor touches nothing. Where root's home cannot be entered by the account that runs
    Postgres, `pgdata` and `pg` are symbolic links to a directory under /var/lib (see `place`).
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))
        self.pgdata = self.root / "pgdata"
        self.pg = self.root / "pg"
        self.outside = self.root / "outside"
        self.log = self.root / "postgres.log"
        self.launcher_log = self.root / "launcher.log"
        self.secrets = self.root / "secrets"
        self.leases = self.root / "leases"
        self.start_lock = self.root / "start.lock"
        self.clients_lock = self.root / "clients.lock"
        self.reaper_lock = self.root / "reaper.lock"
        self.revision_file = self.root / "revision"
        self.address_file = self.root / "address"
        self.ready = self.root / "ready"

    @property
    def address(self) -> Address:
        """Where the server listened at its last start; the default socket directory before the first."""
        try:
            host, _, port = self.address_file.read_text().rstrip("\n").rpartition(" ")
            return Address(host, int(port))
        except (FileNotFoundError, ValueError):
            return Address(str(self.root / "socket"), PORT)

    @property
    def socket_dir(self) -> Path:
        """The directory of the Unix socket; meaningless where the server listens on loopback (Windows)."""
        return Path(self.address.host)

    def recorded(self) -> Recorded | None:
        """Read the revision file; None before the database was first prepared.

        Raises:
            EmbeddedUnavailable: the file is damaged.
        """
        try:
            words = self.revision_file.read_text().split()
        except FileNotFoundError:
            return None
        if len(words) != 2:
            raise EmbeddedUnavailable(
                f"{self.revision_file} is damaged: it should hold two words, the revision of the database "
                "and the oldest revision that may use it. Restore it, or restore a backup into a new home."
            )
        return Recorded(*words)

    def lease_lock(self, revision: str) -> Path:
        """Name the lock file shared by the clients of one revision.

        Raises:
            ValueError: the revision cannot be part of a file name.
        """
        if not _REVISION.fullmatch(revision):
            raise ValueError(f"not a revision: {revision!r}")
        return self.leases / f"{revision}.lock"

    def secret(self, role: str) -> str:
        """Read the password of a database role.

        Raises:
            EmbeddedUnavailable: the password file is missing or may not be read.
        """
        try:
            return (self.secrets / role).read_text().strip()
        except OSError as error:
            raise EmbeddedUnavailable(
                f"The password of database role {role} cannot be read from {self.secrets / role} "
                f"({error.strerror}). Restore that file from a backup of {self.root}."
            ) from error

    def conninfo(self, role: str, dbname: str = "crm") -> str:
        """Give the libpq keyword string with which a role connects; it holds the role's password.

        Raises:
            EmbeddedUnavailable: the password file is missing or may not be read.
        """
        host, port = self.address
        words = {"host": host, "port": str(port), "user": role, "password": self.secret(role)}
        words["dbname"] = dbname
        return " ".join(f"{word}={_quoted(value)}" for word, value in words.items())

    def url(self, role: str, dbname: str = "crm") -> str:
        """Give the same as a postgresql:// URL, percent-encoded.

        Raises:
            EmbeddedUnavailable: the password file is missing or may not be read.
        """
        login = f"postgresql://{quote(role, safe='')}:{quote(self.secret(role), safe='')}"
        host, port = self.address
        if self.address.is_socket:
            return f"{login}@/{quote(dbname, safe='')}?host={quote(host, safe='')}&port={port}"
        return f"{login}@{host}:{port}/{quote(dbname, safe='')}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def replace_file(path: Path, text: str, owner: tuple[int, int] | None = None) -> None:
    """Write a file so that a reader sees the old text or the new, never a part; mode 0600."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
            if owner is not None:
                os.chown(descriptor, *owner)
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
