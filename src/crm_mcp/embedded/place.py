"""Decides which account runs Postgres and where the files it must reach are.

Postgres refuses to run as root. Root's server runs as an unprivileged account instead, which may be
unable to enter the home: it is often below /root, which nobody else may enter, and no mode outside the
home is ever changed. Then the data directory, the binaries and the socket live in
`/var/lib/crm-mcp-<hash of the home>`: a temp folder may be emptied, /var/lib is kept and only root writes
there, so nobody can be there first. The home records it as the symbolic link `outside`.
"""

import hashlib
import os
import stat
import sys
from pathlib import Path
from typing import NamedTuple, TypedDict

from .errors import EmbeddedUnavailable
from .home import PORT, Address, Home

OUTSIDE = Path("/var/lib")
_LONGEST_SOCKET_PATH = 103
"""Bytes, of macOS; Linux allows 107."""


class RunAs(TypedDict, total=False):
    """The arguments with which subprocess changes the account."""

    user: int
    group: int
    extra_groups: list[int]
    umask: int


class Account(NamedTuple):
    """Who runs Postgres; no user and group id mean whoever runs this process."""

    name: str
    ids: tuple[int, int] | None = None

    def run_as(self) -> RunAs:
        if sys.platform == "win32":
            return {}
        if self.ids is None:
            return {"umask": 0o077}
        return {"user": self.ids[0], "group": self.ids[1], "extra_groups": [], "umask": 0o077}

    def give(self, path: Path) -> None:
        if self.ids is not None:
            os.chown(path, *self.ids, follow_symlinks=False)


def cluster_name(home: Home) -> str:
    """Name the server's processes in a process list, one name a home."""
    return f"crm-mcp-{_digest(home)}"


def create_home(root: Path) -> None:
    """Create the home with what every client needs; an existing directory keeps its mode."""
    try:
        root.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        pass
    else:
        if _is_root():
            root.chmod(0o711)
    (root / "leases").mkdir(mode=0o700, exist_ok=True)


def choose_account(home: Home, service_user: str) -> Account:
    """Choose who runs Postgres: the caller, or for root the data directory's owner or `service_user`.

    Raises:
        EmbeddedUnavailable: the home belongs to another person, or there is no such account.
    """
    if sys.platform == "win32":
        return Account("")
    import pwd

    owner = home.root.stat().st_uid
    data_owner = home.pgdata.stat().st_uid if home.pgdata.exists() else None
    if os.geteuid() != 0:
        if data_owner not in (None, os.geteuid()):
            raise EmbeddedUnavailable(
                f"The database in {home.root} was made by another account (user id {data_owner}). "
                "Run crm-mcp as that account, or set CRM_HOME to a folder of your own."
            )
        return Account("")
    if data_owner is not None and data_owner == owner != 0:
        raise EmbeddedUnavailable(
            f"The database in {home.root} belongs to user id {owner}, and root would leave files there which "
            "that user cannot read. Run crm-mcp as that user, or set CRM_HOME to another folder."
        )
    try:
        entry = pwd.getpwuid(data_owner) if data_owner else pwd.getpwnam(service_user)
    except KeyError as error:
        raise EmbeddedUnavailable(
            f"Postgres refuses to run as root, and there is no account {data_owner or service_user!r} to run "
            "it as. Run crm-mcp as an ordinary user."
        ) from error
    return Account(entry.pw_name, (entry.pw_uid, entry.pw_gid))


def settle(home: Home, account: Account) -> None:
    """Make the places for the data directory and the binaries, outside the home where it must be.

    Raises:
        EmbeddedUnavailable: the account cannot enter the place which an earlier start chose.
    """
    if account.ids is None:
        return
    for path in (home.pgdata, home.pg):
        if not path.is_symlink() and not path.exists() and not _can_enter(home.root):
            path.symlink_to(_outside(home) / path.name)
        if not _can_enter(path.resolve().parent):
            raise EmbeddedUnavailable(
                f"Account {account.name}, which runs Postgres for root, cannot enter {path.resolve().parent}."
                " Let others enter (not read) that folder and those above it, or move the home elsewhere."
            )


def choose_address(home: Home, account: Account) -> Address:
    """Choose where the server listens, and make the socket directory (mode 0700, of the account)."""
    if sys.platform == "win32":
        return Address("127.0.0.1", _free_port(home.address.port))
    if account.ids is not None:
        inside = home.root / "socket"
        directory = inside if _fits(inside) and _can_enter(home.root) else _outside(home) / "socket"
    else:
        directory = _own_socket_dir(home)
    _make_private(directory, account)
    return Address(str(directory), PORT)


def _own_socket_dir(home: Home) -> Path:
    import tempfile

    inside = home.root / "socket"
    if _fits(inside):
        return inside
    recorded = home.socket_dir
    if recorded != inside and _is_private(recorded, os.geteuid()):
        return recorded
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    if not _is_private(runtime, os.geteuid()):
        runtime = Path(tempfile.gettempdir())
    if not _fits(runtime / "crm-mcp-12345678"):
        runtime = Path("/tmp")  # noqa: S108 - the shortest path there is, for a directory of a random name
    # A name nobody can guess: in a shared temp folder a known one could be taken by somebody else first.
    return Path(tempfile.mkdtemp(prefix="crm-mcp-", dir=runtime))


def discard_socket_dir(home: Home) -> None:
    """Remove the socket directory of a stopped server when it is in a temp folder."""
    directory = home.socket_dir
    if home.address.is_socket and directory.parent not in (home.root, home.outside.resolve()):
        try:
            directory.rmdir()
        except OSError:
            return


def _make_private(directory: Path, account: Account) -> None:
    owner = os.geteuid() if account.ids is None else account.ids[0]
    try:
        directory.mkdir(mode=0o700)
        account.give(directory)
    except FileExistsError:
        if account.ids is not None and _is_private(directory, 0):
            account.give(directory)
    if not _is_private(directory, owner):
        raise EmbeddedUnavailable(
            f"{directory} should be a directory of mode 0700 of the account that runs Postgres, and is not: "
            "somebody else could listen there. Remove it and start again."
        )


def _is_private(directory: Path, owner: int) -> bool:
    """A real directory, not a symbolic link, which only its owner may enter."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077


def _fits(directory: Path) -> bool:
    """A socket path has a length limit, and libpq splits its host at commas."""
    path = f"{directory}/.s.PGSQL.{PORT}"
    return len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH and "," not in path


def _can_enter(directory: Path) -> bool:
    """Whether everybody may pass through a directory and all those above it."""
    real = directory.resolve()
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in (real, *real.parents))


def _outside(home: Home) -> Path:
    """Find or make the home's place under /var/lib.

    An existing directory without the link in the home is what a deleted home left behind: its passwords
    are gone and its records must not show up in a new home, so another name is taken.
    """
    if home.outside.is_symlink():
        return home.outside.readlink()
    name = f"crm-mcp-{_digest(home)}"
    place = OUTSIDE / name
    if place.exists():
        place = OUTSIDE / f"{name}-{os.urandom(4).hex()}"
    try:
        place.mkdir(mode=0o711)
        place.chmod(0o711)
        (place / "home").write_text(f"{home.root}\n")
    except OSError as error:
        raise EmbeddedUnavailable(
            f"Postgres cannot run as root, its account cannot enter {home.root}, and {place} cannot be made "
            f"({error.strerror}). Run crm-mcp as an ordinary user, or set CRM_HOME to a folder all may enter."
        ) from error
    home.outside.symlink_to(place)
    return place


def _free_port(recorded: int) -> int:
    """Keep the port of the last start while it is free."""
    import socket

    for port in (recorded if recorded != PORT else 0, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise EmbeddedUnavailable("No TCP port is free on 127.0.0.1. Close other programs and start again.")


def _digest(home: Home) -> str:
    return hashlib.sha256(os.fsencode(home.root)).hexdigest()[:10]


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0
