"""Make a backup: one dump of one moment, counted in the same snapshot, written beside and renamed when it is whole."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import psycopg

from . import archive, programs
from .archive import Told
from .errors import RecoveryFailed
from .manifest import Manifest, survey

Folders = Sequence[Path | None]
"""Where the programs of Postgres may be; None stands for the search path."""


def back_up(owner: str, folders: Folders, file: Path, *, force: bool, told: Told) -> Manifest:
    """Dump everything of the database to which `owner` (crm_owner's conninfo) connects into one file of mode 0600.

    Raises:
        RecoveryFailed: the file is there already, or it could not be made; nothing half-made stays.
    """
    if file.exists() and not force:
        raise RecoveryFailed(f"{file} is there already. Give another name, or --force to overwrite it.")
    if not file.parent.is_dir():
        raise RecoveryFailed(f"There is no folder {file.parent}.")
    for left_over in file.parent.glob(f".{file.name}.*.part"):
        left_over.unlink(missing_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        known = _dump(owner, folders, part, told)
        os.replace(part, file)
        _sync(file.parent)
    except OSError as problem:
        raise programs.said(f"The backup was not made in {file.parent}", f"error: {problem.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return known


def _seal(owner: str) -> None:
    """Seal the audit first, so that the backup's heads cover every row of it; a standby cannot."""
    with psycopg.connect(owner, autocommit=True) as conn:
        if (conn.execute("select pg_is_in_recovery() or to_regclass('crm.orgs') is null").fetchone() or (True,))[0]:
            return
        for (org,) in conn.execute("select id from crm.orgs order by id").fetchall():
            sealed = True
            while sealed:
                with conn.transaction():
                    conn.execute("select set_config('crm.org_id', %s, true)", (str(org),))
                    conn.execute("set local role crm_definer")
                    sealed = (conn.execute("select sealed from crm.seal_audit()").fetchone() or (0,))[0] > 0


def _dump(owner: str, folders: Folders, part: Path, told: Told) -> Manifest:
    _seal(owner)
    with psycopg.connect(owner) as conn:
        conn.execute("set transaction isolation level repeatable read, read only")
        conn.execute("set local statement_timeout = 0")
        conn.execute("set local idle_in_transaction_session_timeout = 0")
        found = programs.find(folders, conn.info.server_version // 10000)
        try:
            known = survey(conn)
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            raise RecoveryFailed("There is nothing of crm-mcp in this database yet.") from None
        snapshot = conn.execute("select pg_export_snapshot()").fetchone()
        assert snapshot is not None
        with programs.connection(owner) as (name, environment):
            schemas = ['--schema="{}"'.format(schema.replace('"', '""')) for schema in known.schemas]
            words = [
                found.dump,
                "--format=custom",
                "--no-password",
                "--verbose",
                f"--snapshot={snapshot[0]}",
                *schemas,
            ]
            with subprocess.Popen(
                [*words, f"--file={part}", f"--dbname={name}"],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=environment,
            ) as dumping:
                assert dumping.stderr is not None
                try:
                    words_of_it = _followed(dumping.stderr, len(known.tables), told)
                except BaseException:
                    dumping.terminate()
                    raise
    if dumping.returncode != 0:
        raise programs.said("The backup was not made", "\n".join(words_of_it))
    return archive.finish(part, known)


def _followed(lines: Iterable[str], tables: int, told: Told) -> list[str]:
    """Follow what pg_dump says it is at; return the last of it, for when it fails."""
    kept, done = list[str](), 0
    for line in lines:
        if "dumping contents of table" in line:
            done += 1
            told(min(done, tables), tables)
        elif "error" in line or not line.startswith("pg_dump: "):
            kept = [*kept[-20:], line]
    return kept


def _sync(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
