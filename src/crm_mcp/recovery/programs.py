"""The programs of Postgres that dump and restore: found, old enough or not, and run without a secret in sight.

What a program is given on its command line every user of the machine can read, so connections go through a
service file and a password file in a folder of their own, which is gone with the program.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..config import environment_with
from .errors import RecoveryFailed

_SUFFIX = ".exe" if sys.platform == "win32" else ""
_SERVICE = "crm-mcp-recovery"


class Programs(NamedTuple):
    """`pg_dump`, `pg_restore` and `psql` of one build."""

    dump: str
    restore: str
    psql: str


def find(folders: Iterable[Path | None], server: int) -> Programs:
    """Return the programs of the first folder that has them new enough for a server of that major version.

    None among the folders stands for the search path.

    Raises:
        RecoveryFailed: there are none, or only older ones.
    """
    older: list[str] = []
    for folder in folders:
        at = [shutil.which(name, path=None if folder is None else str(folder)) for name in _NAMES]
        if not all(at):
            continue
        found = Programs(*(path for path in at if path))
        if (major := _major(found.dump)) >= server:
            return found
        older.append(f"{found.dump} is of PostgreSQL {major}")
    if older:
        raise RecoveryFailed(
            f"The server is PostgreSQL {server}, and {'; '.join(older)}: an older pg_dump cannot read a newer "
            f"server. Install the client programs of PostgreSQL {server} or newer and name their folder in CRM_PG_BIN."
        )
    raise RecoveryFailed(
        "pg_dump, pg_restore and psql were not found. Install the client programs of PostgreSQL "
        f"{server} or newer (Debian: postgresql-client) and, where they are not on the PATH, name their folder in "
        "CRM_PG_BIN."
    )


_NAMES = tuple(f"{name}{_SUFFIX}" for name in ("pg_dump", "pg_restore", "psql"))


def _major(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found.group(1)) if found else 0


@contextmanager
def connection(conninfo: str) -> Generator[tuple[str, Mapping[str, str]]]:
    """Give what names a connection to a program, and the environment in which it finds the rest of it."""
    known = {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if value is not None}
    password = known.pop("password", None)
    with tempfile.TemporaryDirectory(prefix="crm-mcp-") as folder:
        more: dict[str, str] = {}
        if password is not None:
            more["PGPASSFILE"] = str(_written(Path(folder, "password"), f"*:*:*:*:{_escaped(password)}\n"))
        if "service" in known:  # a service names no other
            yield make_conninfo("", **known), environment_with(more)
            return
        lines = [f"[{_SERVICE}]", *(f"{name}={_whole(value)}" for name, value in known.items())]
        more["PGSERVICEFILE"] = str(_written(Path(folder, "service"), "\n".join(lines) + "\n"))
        yield f"service={_SERVICE}", environment_with(more)


def _written(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _escaped(password: str) -> str:
    return _whole(password).replace("\\", "\\\\").replace(":", "\\:")


def _whole(value: str) -> str:
    if "\n" in value:
        raise RecoveryFailed("A part of the connection URL has a line break in it.")
    return value


def said(what: str, words: str) -> RecoveryFailed:
    """Turn what a program said when it failed into an error of one sentence or two."""
    if "No space left on device" in words:
        return RecoveryFailed(f"{what}: there is no space left on the disk. Free some space and run it again.")
    lines = [line.strip() for line in words.splitlines()]
    telling = [line for line in lines if "error:" in line or "ERROR:" in line or "FATAL:" in line] or lines[-2:]
    return RecoveryFailed(f"{what}. It said: {' / '.join(telling[:3]) or 'nothing'}")
