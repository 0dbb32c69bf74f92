"""Changing a client's file safely: under a lock, with a copy kept, at one stroke, or not at all."""

import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click

from ...embedded.locks import FileLock
from ...embedded.place import create_home

BOM = "\ufeff"


def edited(file: Path, edit: Callable[[str], str], home: Path) -> Path | None:
    """Edit a text file; return the copy kept of it, the file itself where it is new, None where nothing changes.

    A symbolic link stays one, and what it leads to is edited. Our own edits of it wait for each other by a
    lock in `home`; a change somebody else makes meanwhile is found and kept.

    Raises:
        ClickException: it cannot be read or written, or changed meanwhile; it was left as it is.
    """
    real = Path(os.path.realpath(file))
    try:
        create_home(home)
        with FileLock(home / "install.lock") as alone:
            alone.hold()
            before = _read(real)
            fresh = _edit(before or b"", edit, file)
            if fresh is None:
                return None
            return _replace(real, before, fresh)
    except OSError as problem:
        raise click.ClickException(
            f"{problem.filename or file} cannot be used ({problem.strerror}); nothing was changed."
        ) from None


def _edit(before: bytes, edit: Callable[[str], str], file: Path) -> bytes | None:
    try:
        text = before.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise click.ClickException(
            f"{file} is not UTF-8 (byte {problem.start + 1}); it was left as it is. Save it as UTF-8 and try again."
        ) from None
    mark = BOM if text.startswith(BOM) else ""
    after = edit(text.removeprefix(BOM))
    return None if after == text.removeprefix(BOM) else (mark + after).encode("utf-8")


def _read(real: Path) -> bytes | None:
    try:
        return real.read_bytes()
    except FileNotFoundError:
        return None


def _replace(real: Path, before: bytes | None, fresh: bytes) -> Path:
    real.parent.mkdir(parents=True, exist_ok=True)
    mode = None
    if before is not None:
        mode = stat.S_IMODE(real.stat().st_mode)
        if not (mode & stat.S_IWUSR and os.access(real, os.W_OK)):
            raise click.ClickException(f"{real} is read-only; nothing was changed. Make it writable and try again.")
    made = real.with_name(f"{real.name}.{os.getpid()}.crm-mcp")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if mode is not None else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(fresh)
            file.flush()
            os.fsync(descriptor)
        kept = real
        if before is not None and mode is not None:
            _take_after(made, real, mode)
            kept = _copy(real)
        if _read(real) != before:
            if kept != real:
                kept.unlink()
            raise click.ClickException(f"{real} changed meanwhile; it was left as it is. Try again.")
        os.replace(made, real)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    return kept


def _take_after(made: Path, real: Path, mode: int) -> None:
    made.chmod(mode)
    if os.name == "posix":
        found = real.stat()
        with suppress(PermissionError):
            os.chown(made, found.st_uid, found.st_gid)


def _copy(real: Path) -> Path:
    """Keep the file under a name that tells when, and no older copy gives way."""
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    for turn in ("", *(f"-{number}" for number in range(2, 100))):
        kept = real.with_name(f"{real.name}.{stamp}{turn}.bak")
        if not kept.exists():
            shutil.copy2(real, kept)
            return kept
    raise click.ClickException(f"There are a hundred copies of {real} of this second; nothing was changed.")
