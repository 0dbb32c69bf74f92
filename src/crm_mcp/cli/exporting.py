"""`crm-mcp export`."""

import sys
from pathlib import Path
from typing import IO

import click

from ..config import Settings
from ..exporting.run import Form
from ..exporting.target import opened
from ..kinds.every import KINDS, Kind
from .session import database, run, signed_in


@click.command("export")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), required=False)
@click.option("--user", metavar="EMAIL", help="Who takes the records out; else CRM_API_KEY says who.")
@click.option("--org", metavar="SLUG")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line instead of CSV.")
def export_file(kind: Kind, file: Path | None, user: str | None, org: str | None, force: bool, as_json: bool) -> None:
    """Take records out to a CSV file, KIND.csv if none is named, or to the standard output with -."""
    form: Form = "json" if as_json else "csv"
    target = file or Path(f"{kind}.{'jsonl' if as_json else 'csv'}")
    if str(target) == "-":
        out = sys.stdout.buffer
        rows = run(_export(kind, out, form, "-", user, org))
        out.flush()
    else:
        rows = run(_into(kind, target, form, user, org, force))
    click.echo(
        f"{chr(13) if sys.stderr.isatty() else ''}{rows:,} rows of {kind}{'' if str(target) == '-' else f' in {target}'}.",
        err=True,
    )


async def _into(kind: Kind, target: Path, form: Form, user: str | None, org: str | None, force: bool) -> int:
    with opened(target, force=force) as out:
        return await _export(kind, out, form, str(target), user, org)


async def _export(kind: Kind, out: IO[bytes], form: Form, about: str, user: str | None, org: str | None) -> int:
    from ..exporting.run import run as take_out

    async with database(Settings(), "crm_agent") as db:
        who = await signed_in(db, Settings(), user, org)
        return await take_out(db, who, kind, out, form=form, about=about, progress=lambda done: _tell(kind, done))


def _tell(kind: Kind, done: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\rexporting {kind}: {done:,} rows", nl=False, err=True)
