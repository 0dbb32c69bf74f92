"""This machine: the program, its disk, the clients that start it."""

import shutil
import sys
from pathlib import Path

from ... import __version__, migrate, revision
from ...jsonvalue import is_object
from ..installing.clients import CLIENTS, usual_file
from ..installing.entry import interpreter
from ..installing.jsontext import BadJson, parse
from .finding import Finding, ok, problem

NEEDED = 500
"""MiB: a new database, its programs, and room for the journal."""


def program() -> Finding:
    """Python and this package agree with each other and with the migrations beside them."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    if (newest := migrate.newest()) != revision.CURRENT:
        said = f"crm-mcp {__version__} is of revision {revision.CURRENT}, its migrations of {newest}"
        return problem(said, "Install crm-mcp anew: its files are of two versions.")
    return ok(f"Python {python}, crm-mcp {__version__}, revision {revision.CURRENT}")


def disk(home: Path) -> Finding:
    """There is room for the database to grow."""
    there = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(there).free >> 20
    said = f"{free:,} MiB free for {home}"
    return ok(said) if free > NEEDED else problem(said, f"Free some space: {NEEDED} MiB are needed.")


def clients() -> Finding:
    """Every client that starts this server starts a program that is there."""
    found, gone = 0, list[str]()
    for client in CLIENTS.values():
        for scope in client.scopes:
            file = usual_file(client.name, scope)
            for name, path in _started(file, client.key, comments=client.comments):
                found += 1
                if shutil.which(str(path)) is None:
                    gone.append(f"{name!r} in {file} starts {path}, which is not there")
    if gone:
        return problem("; ".join(gone), "Run `crm-mcp install CLIENT --user EMAIL` again for each of them.")
    return ok(f"{found} client configuration(s) start this server" if found else "no client starts this server yet")


def _started(file: Path, key: str, *, comments: bool) -> list[tuple[str, object]]:
    try:
        content = parse(file.read_text(encoding="utf-8-sig"), comments=comments).plain
    except (OSError, UnicodeDecodeError, BadJson):
        return []
    servers = content.get(key) if is_object(content) else None
    if not is_object(servers):
        return []
    return [(name, path) for name, entry in servers.items() if (path := interpreter(entry)) is not None]
