"""`crm-mcp backup` and `crm-mcp restore`."""

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
import psycopg

from .. import embedded
from ..config import Settings
from ..embedded import EmbeddedUnavailable, Home, binaries, place
from ..recovery import archive, programs
from ..recovery.archive import Told
from ..recovery.backup import Folders, back_up
from ..recovery.errors import RecoveryFailed
from ..recovery.manifest import Manifest
from ..recovery.restore import Restored, Target
from ..recovery.restore import restore as restore_from
from ..sink import Sink
from .session import conninfo, lease

_EVICT = """select pg_terminate_backend(pid) from pg_stat_activity where datname = 'crm' and pid <> pg_backend_pid()
 and usename like 'crm\\_%%'"""


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.option("--check", is_flag=True, help="Make nothing: read FILE to its end and say whether it is whole.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest.")
def backup(file: Path, force: bool, check: bool, as_json: bool) -> None:
    """Put everything of every org into FILE, as of one moment, while clients go on.

    FILE is a dump in pg_dump's custom format with a manifest behind it, readable by you alone: it holds every
    record, and what keys and sessions are checked against. Needs CRM_OWNER_URL on a real server. To move to a new
    major version of Postgres, or to another machine: `backup` here, `restore` there.
    """
    known = Settings()
    with _failing():
        if check:
            manifest, wrong = _checked(known, file)
        else:
            with lease(known) or nullcontext(), _progress() as bars:
                owner = conninfo(known, "crm_owner")
                manifest = back_up(owner, _folders(known), file, force=force, told=bars("backing up"))
            wrong = []
    if as_json:
        click.echo(json.dumps(manifest.model_dump(mode="json") | {"problems": wrong}, indent=1))
    else:
        click.echo(f"{file}: {manifest.described()}.")
        for problem in wrong:
            click.echo(f"  {problem}")
    if wrong:
        raise click.exceptions.Exit(1)


def _checked(known: Settings, file: Path) -> tuple[Manifest, list[str]]:
    manifest = archive.read(file)
    pg_restore = programs.find(_folders(known), manifest.server).restore
    with _progress() as bars:
        return archive.check(file, pg_restore, bars("checking"))


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="In place of what is there; that is backed up beside FILE first.")
@click.option(
    "--force", is_flag=True, help="Even while clients use the database; they lose what they have under way."
)
@click.option("--keep-keys/--end-keys", default=True, show_default=True, help="Whether API keys go on to sign in.")
@click.option("--deliver", is_flag=True, help="Send the e-mails that were waiting; else they stay unsent.")
@click.option("--json", "as_json", is_flag=True)
def restore(file: Path, replace: bool, force: bool, keep_keys: bool, deliver: bool, as_json: bool) -> None:
    """Restore what `crm-mcp backup` put into FILE, whole or not at all, into a database without orgs.

    An older backup is brought up to this program's revision; a newer one is refused. Everybody is signed out of the
    page, and ids go on with room for those that were given since. To move to a new major version of Postgres, or to
    another machine: `backup` there, `restore` here. Restore only files you trust: they run as crm_owner.
    """
    known = Settings()
    home = Home(known.home)
    with _failing():
        if known.is_embedded and not force and embedded.status(home).leases_held:
            raise RecoveryFailed(
                f"Other crm-mcp processes use the database in {home.root}. Close them (or the programs that started "
                "them) first, or restore all the same with --force: what they have under way fails."
            )
        with lease(known) or nullcontext(), _progress() as bars:
            evict = (lambda: _evict(home)) if known.is_embedded else None
            target = Target(conninfo(known, "crm_owner"), _folders(known), known.is_embedded, evict)
            done = restore_from(
                target, file, replace=replace, force=force, keeps_keys=keep_keys, delivers=deliver, told=bars
            )
        _keep_heads(known.audit_sink, file, done)
    click.echo(json.dumps(_as_json(file, done), indent=1) if as_json else "\n".join(_said(known, file, done)))
    if any(row["problems"] for row in done.audit):
        raise click.exceptions.Exit(1)


def _evict(home: Home) -> None:
    with psycopg.connect(home.conninfo("postgres", "postgres"), autocommit=True) as conn:
        conn.execute(_EVICT)


def _folders(known: Settings) -> Folders:
    """Name where the programs of Postgres may be: the chosen build, the embedded one, the search path."""
    folders: list[Path | None] = [known.pg_bin] if known.pg_bin is not None else []
    if known.is_embedded:
        home = Home(known.home)
        place.create_home(home.root)
        account = place.choose_account(home, "nobody")
        place.settle(home, account)
        folders.append(binaries.provide(home, account, None).folder)
    return [*folders, None]


def _keep_heads(sink: Path | None, file: Path, done: Restored) -> None:
    """Say outside the database that the audit goes on from the backup's heads; the heads before it stay on record."""
    if sink is None:
        return
    try:
        for row in done.audit:
            Sink(sink).keep(row["org"], (row["seq"], row["head"]), restored=str(file))
    except OSError as problem:
        click.echo(
            f"Warning: {sink} cannot be written ({problem.strerror}): keep the heads below yourself.", err=True
        )


def _as_json(file: Path, done: Restored) -> dict[str, Any]:
    return {
        "file": str(file),
        "revision": done.revision,
        "backup": done.manifest.model_dump(mode="json"),
        "keptBeside": str(done.kept_beside) if done.kept_beside else None,
        "keys": done.keys,
        "waiting": done.waiting,
        "unsent": done.unsent,
        "people": done.people,
        "audit": done.audit,
    }


def _said(known: Settings, file: Path, done: Restored) -> list[str]:
    """Say what was restored, and what somebody should look at who knows what happened since the backup."""
    lines = [f"Restored {file}, {done.manifest.described()}."]
    if done.manifest.revision != done.revision:
        lines.append(f"Brought up from revision {done.manifest.revision} to {done.revision}.")
    if done.kept_beside is not None:
        lines.append(f"What was there before is in {done.kept_beside}.")
    for row in done.audit:
        stands = "NOT whole: " + "; ".join(row["problems"]) if row["problems"] else "whole"
        lines.append(f"Audit of {row['slug']}: {stands} to its head {row['seq']}:{row['head']}.")
    if known.audit_sink is None and done.audit:
        lines.append("Heads kept outside since the backup are newer than this audit: verify against those above.")
    lines.append(
        f"{done.people} people sign in, with the roles they had then: remove again who has left since. "
        "All are signed out of the approvals page."
    )
    lines += [
        f"API key {key['id']} ({key['name']}) of {key['email']} in {key['org']} lives until {key['expiresAt']}: revoke "
        "it again if it was revoked since."
        for key in done.keys
    ]
    if done.waiting:
        lines.append(f"{done.waiting} draft(s) wait to be decided; some may have been, after the backup was made.")
    if done.unsent:
        lines.append(f"{done.unsent} e-mail(s) stay unsent; send them from their drafts' pages.")
    lines.append("Numbers of orders, invoices and quotes go on from the backup's: look for those given out since.")
    return lines


@contextmanager
def _failing() -> Generator[None]:
    """Say what went wrong as a sentence."""
    try:
        yield
    except (RecoveryFailed, EmbeddedUnavailable) as problem:
        raise click.ClickException(str(problem)) from None
    except psycopg.OperationalError as problem:
        raise click.ClickException(f"The database cannot be reached: {' '.join(str(problem).split())}") from None


class _Bars:
    """One progress bar at a time, on standard error."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, label: str) -> Told:
        self.close()
        bar = self._bar = click.progressbar(length=100, label=label, file=sys.stderr)
        bar.__enter__()

        def told(done: int, total: int) -> None:
            bar.update(max(0, 100 * done // max(total, 1) - bar.pos))

        return told

    def close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


@contextmanager
def _progress() -> Generator[_Bars]:
    bars = _Bars()
    try:
        yield bars
    finally:
        bars.close()
