"""The backup file: a dump in pg_dump's custom format, which pg_restore reads by itself, and the manifest behind it."""

import hashlib
import os
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from .errors import RecoveryFailed
from .manifest import Chain, Manifest

_MARK = b"crm-mcp backup 1"
_LENGTH = struct.Struct(">Q")
_TAIL = _LENGTH.size + len(_MARK)
_MOST = 64_000_000
_CHUNK = 1 << 20
_IDENTIFIER = rb'("(?:[^"]|"")+"|\w+)'
_COPY = re.compile(rb"COPY " + _IDENTIFIER + rb"\." + _IDENTIFIER + rb" \((.*)\) FROM stdin;")

Told = Callable[[int, int], None]
"""Hears how much is done, of how much."""


def finish(file: Path, manifest: Manifest) -> Manifest:
    """Write the manifest behind the dump in `file` and have all of it on the disk; return it with the dump's digest."""
    size = file.stat().st_size
    known = manifest.model_copy(update={"size": size, "sha256": digest(file, size)})
    text = known.model_dump_json().encode()
    with file.open("ab") as out:
        out.write(text + _LENGTH.pack(len(text)) + _MARK)
        out.flush()
        os.fsync(out.fileno())
    return known


def read(file: Path) -> Manifest:
    """Return the manifest of a backup file.

    Raises:
        RecoveryFailed: it is no whole backup of this program.
    """
    no = RecoveryFailed(f"{file} is no whole backup made by `crm-mcp backup`: its end is missing or of another kind.")
    try:
        with file.open("rb") as source:
            end = source.seek(0, os.SEEK_END)
            source.seek(max(0, end - _TAIL))
            tail = source.read()
            if len(tail) != _TAIL or not tail.endswith(_MARK):
                raise no
            (length,) = _LENGTH.unpack(tail[: _LENGTH.size])
            if length > min(end - _TAIL, _MOST):
                raise no
            source.seek(end - _TAIL - length)
            known = Manifest.model_validate_json(source.read(length))
    except ValidationError:
        raise no from None
    except OSError as problem:
        raise RecoveryFailed(f"{file} cannot be read ({problem.strerror}).") from None
    if known.size + length + _TAIL != end:
        raise no
    return known


def digest(file: Path, size: int) -> str:
    """Return the SHA-256 of the first `size` bytes, in hexadecimal."""
    made = hashlib.sha256()
    with file.open("rb") as source:
        while size > 0 and (chunk := source.read(min(_CHUNK, size))):
            made.update(chunk)
            size -= len(chunk)
    return made.hexdigest()


def is_intact(file: Path, known: Manifest) -> bool:
    return digest(file, known.size) == known.sha256


def check(file: Path, pg_restore: str, told: Told) -> tuple[Manifest, list[str]]:
    """Read a backup to its end, without a database; return its manifest and what is wrong with it.

    Raises:
        RecoveryFailed: it is no backup of this program.
    """
    known = read(file)
    if not is_intact(file, known):
        return known, ["the dump was changed since it was made: its digest differs"]
    words = [pg_restore, "--data-only", "--file=-", str(file)]
    tables: dict[str, int] = {}
    heads: dict[int, tuple[int, str]] = {}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reading:
        assert reading.stdout is not None and reading.stderr is not None
        table, columns, rows = "", list[str](), 0
        for line in reading.stdout:
            if not table:
                if begun := _COPY.match(line):
                    table, rows = f"{_plain(begun[1])}.{_plain(begun[2])}", 0
                    columns = [name.strip(' "') for name in begun[3].decode().split(",")]
                continue
            if line == b"\\.\n":
                tables[table], table = rows, ""
                told(len(tables), len(known.tables))
                continue
            rows += 1
            if table == "crm.audit_log":
                _note(dict(zip(columns, line.rstrip(b"\n").split(b"\t"), strict=True)), heads)
        words_of_it = reading.stderr.read().decode(errors="replace").strip()
    wrong = [] if reading.returncode == 0 else [f"pg_restore cannot read it: {words_of_it}"]
    for name in sorted(known.tables | tables):
        if known.tables.get(name, 0) != tables.get(name, 0):
            wrong.append(f"{name} has {tables.get(name, 0)} rows, and should have {known.tables.get(name, 0)}")
    wrong += [f"the audit of {chain.slug} does not end as it did" for chain in known.audit if _differs(chain, heads)]
    return known, wrong


def _plain(identifier: bytes) -> str:
    """Return a name as it is, without the quotes that SQL may want."""
    text = identifier.decode()
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def _note(row: dict[str, bytes], heads: dict[int, tuple[int, str]]) -> None:
    if row["seq"] == b"\\N":
        return
    org, seq = int(row["org_id"]), int(row["seq"])
    if seq > heads.get(org, (0, ""))[0]:
        heads[org] = (seq, row["hash"].decode().removeprefix("\\\\x"))


def _differs(chain: Chain, heads: dict[int, tuple[int, str]]) -> bool:
    return heads.get(chain.org, (0, "")) != (chain.seq, chain.head)
