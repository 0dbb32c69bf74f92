"""Restore a backup: into an empty database, or in place of one that is backed up first; whole, or not at all."""

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from .. import migrate, revision
from ..embedded.home import ROLES
from . import archive, programs, script
from .archive import Told
from .backup import Folders, back_up
from .errors import RecoveryFailed
from .manifest import Manifest

_NEEDED = (*ROLES[1:], *script.DEFINERS)
_OTHERS = """select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
 and usename like 'crm\\_%%' and usename <> 'crm_owner'"""
_KEYS = """select k.id, k.name, o.slug, u.email, k.agent, k.expires_at::text from crm.api_keys k
 join crm.orgs o on o.id = k.org_id join crm.users u on u.id = k.user_id
 where k.revoked_at is null and k.expires_at > now() order by k.id"""
_COUNTS = """select (select count(*) from crm.drafts where state = 'pending' and expires_at > now()),
 (select count(*) from crm.outbox where state = 'unsent'), (select count(*) from crm.memberships where active)"""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: crm_owner's conninfo, the programs' folders, and whether an e-mail address alone signs in there."""

    owner: str
    folders: Folders
    is_embedded: bool
    evict: Callable[[], None] | None = None
    """End the connections of others, where that can be done."""


@dataclass(slots=True)
class Restored:
    """What a restore did, for the person who asked for it."""

    manifest: Manifest
    revision: str
    kept_beside: Path | None
    keys: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    waiting: int = 0
    unsent: int = 0
    people: int = 0
    audit: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def restore(
    target: Target,
    file: Path,
    *,
    replace: bool,
    force: bool,
    keeps_keys: bool,
    delivers: bool,
    told: Callable[[str], Told],
) -> Restored:
    """Restore `file`; `told` names each long part and hears of its progress.

    Raises:
        RecoveryFailed: nothing was changed, but where the text says so.
    """
    known = archive.read(file)
    if known.revision > revision.CURRENT:
        raise RecoveryFailed(
            f"{file} was made at revision {known.revision} (crm-mcp {known.program}), and this crm-mcp knows "
            f"revisions up to {revision.CURRENT}. Upgrade crm-mcp and restore it then."
        )
    if not archive.is_intact(file, known):
        raise RecoveryFailed(f"{file} was damaged since it was made: its digest differs. Take another backup.")
    with psycopg.connect(target.owner, autocommit=True) as conn:
        found = programs.find(target.folders, conn.info.server_version // 10000)
        empty = _look(conn, known, force=force)
    if not empty and not replace:
        raise RecoveryFailed(
            "There are orgs in this database already. Restore into an empty one, or with --replace, which makes a "
            "backup of it first."
        )
    beside = None
    if not empty:
        beside = file.with_name(f"{file.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        back_up(target.owner, target.folders, beside, force=False, told=told("backing up what is there"))
    if force and target.evict is not None:
        target.evict()
    _run(target, found, file, known, keeps_keys=keeps_keys, delivers=delivers, told=told("restoring"))
    migrate.upgrade(target.owner)  # also where nothing is to migrate: the views of free-form SQL are in no backup
    return _described(target, Restored(known, revision.CURRENT, beside))


def _look(conn: psycopg.Connection[Any], known: Manifest, *, force: bool) -> bool:
    """See that the database can take a backup; return whether it holds no org.

    Raises:
        RecoveryFailed: it lacks what an administrator makes, or others use it.
    """
    roles = {name for (name,) in conn.execute("select rolname from pg_roles").fetchall()}
    extensions = {name for (name,) in conn.execute("select extname from pg_extension").fetchall()}
    lacks = [f"the role {name}" for name in _NEEDED if name not in roles]
    lacks += [f"the extension {name}" for name in known.extensions if name not in extensions]
    if lacks:
        raise RecoveryFailed(
            f"This database lacks {', '.join(lacks)}. Have an administrator run what `crm-mcp doctor --admin-sql` prints."
        )
    others = conn.execute(_OTHERS).fetchone()
    if others is not None and others[0] and not force:
        raise RecoveryFailed(
            f"{others[0]} connections of crm-mcp use this database. Stop the clients, the page and the worker first, "
            "or restore all the same with --force: what they have under way fails."
        )
    if not (conn.execute("select to_regclass('crm.orgs') is not null").fetchone() or (False,))[0]:
        return True
    return not (conn.execute("select exists (select from crm.orgs)").fetchone() or (False,))[0]


def _run(
    target: Target,
    found: programs.Programs,
    file: Path,
    known: Manifest,
    *,
    keeps_keys: bool,
    delivers: bool,
    told: Told,
) -> None:
    with tempfile.TemporaryFile() as said, programs.connection(target.owner) as (name, environment):
        words = [found.psql, "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--file=-"]
        with subprocess.Popen(
            [*words, f"--dbname={name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=environment,
        ) as running:
            assert running.stdin is not None
            try:
                with suppress(BrokenPipeError):  # it stopped at an error, which it has said
                    script.write(
                        file,
                        found.restore,
                        known,
                        running.stdin.write,
                        signs_in_by_email=target.is_embedded,
                        keeps_keys=keeps_keys,
                        delivers=delivers,
                        told=told,
                    )
                    running.stdin.flush()
            except BaseException:
                running.kill()
                raise
            finally:
                with suppress(BrokenPipeError):
                    running.stdin.close()
        if running.returncode != 0:
            said.seek(0)
            text = said.read().decode(errors="replace")
            raise programs.said("Nothing was restored, and nothing was changed", text)


def _described(target: Target, done: Restored) -> Restored:
    """Look at what is there now, and whether its audit is what it was."""
    with psycopg.connect(target.owner, autocommit=True) as conn:
        for name in done.manifest.tables:
            with suppress(psycopg.Error):  # a later revision may have dropped it
                conn.execute(sql.SQL("analyze {}").format(sql.Identifier(*name.split("."))))
        names = ("id", "name", "org", "email", "agent", "expiresAt")
        done.keys = [dict(zip(names, row, strict=True)) for row in conn.execute(_KEYS).fetchall()]
        done.waiting, done.unsent, done.people = conn.execute(_COUNTS).fetchone() or (0, 0, 0)
        done.audit = [
            {"org": chain.org, "slug": chain.slug, "seq": chain.seq, "head": chain.head, "problems": problems}
            for chain in done.manifest.audit
            for problems in [_problems(conn, chain.org, chain.seq, chain.head)]
        ]
    return done


def _problems(conn: psycopg.Connection[Any], org: int, seq: int, head: str) -> Sequence[str]:
    with conn.transaction():
        conn.execute("select set_config('crm.org_id', %s, true)", (str(org),))
        conn.execute("set local role crm_definer")
        asked = "select problem, seq from crm.verify_audit(%s, decode(%s, 'hex'))"
        return [f"{problem} (seq {at})" for problem, at in conn.execute(asked, (seq, head)).fetchall()]
