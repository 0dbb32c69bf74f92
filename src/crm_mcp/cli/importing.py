"""`crm-mcp import`."""

import sys
from pathlib import Path
from typing import Literal

import click

from ..config import Settings
from ..importing.plan import KINDS, Kind, Plan, Report, write_rejected
from .session import database, run, signed_in


@click.command("import")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--user", metavar="EMAIL", help="Who brings the records in, else CRM_API_KEY says who; must be an approver."
)
@click.option("--org", metavar="SLUG")
@click.option(
    "--lines",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file of order or invoice lines, or of the invoices that payments pay.",
)
@click.option("--map", "mapping", multiple=True, metavar="FIELD=HEADER", help="Which header holds a field.")
@click.option(
    "--source", default="csv", show_default=True, help="The other system; its ids make a second run harmless."
)
@click.option("--currency", metavar="CODE", help="Currency of prices without one; else the org's.")
@click.option(
    "--discount", type=click.Choice(["percent", "fraction"]), help="How discounts are written; else percent."
)
@click.option("--decimal", type=click.Choice([".", ","]), default=".", show_default=True, help="The decimal sign.")
@click.option("--encoding", default="utf-8", show_default=True)
@click.option("--dry-run", is_flag=True, help="Read and check everything, change nothing.")
def import_file(
    kind: Kind,
    file: Path,
    user: str | None,
    org: str | None,
    lines: Path | None,
    mapping: tuple[str, ...],
    source: str,
    currency: str | None,
    discount: Literal["percent", "fraction"] | None,
    decimal: Literal[".", ","],
    encoding: str,
    dry_run: bool,
) -> None:
    """Bring in a CSV file: its good lines in one transaction, the others into FILE.rejected.csv with the reason."""
    plan = Plan(kind, file, source, lines, dict(map(_pair, mapping)), currency, discount, decimal, encoding)
    report = run(_import(plan, user, org, dry_run))
    click.echo(
        f"{'Would be: ' if dry_run else ''}{report.created} created, {report.updated} updated, "
        f"{report.unchanged} unchanged, {len(report.rejected)} rejected of {report.read} read."
    )
    for path, headers in report.ignored.items():
        if headers:
            click.echo(f"Not read of {path.name}: {', '.join(headers)}")
    if report.rejected:
        for rejected in report.rejected[:5]:
            click.echo(f"  {rejected.file.name}, line {rejected.line}: {rejected.reason}")
        click.echo("All rejected lines and why: " + ", ".join(map(str, write_rejected(report))))


async def _import(plan: Plan, user: str | None, org: str | None, dry_run: bool) -> Report:
    from ..importing.run import run as bring_in

    async with database(Settings(), "crm_approver") as db:
        who = await signed_in(db, Settings(), user, org)
        if who.agent is not None:
            raise click.ClickException(
                "This key is for an agent, and a person brings records in: use a key without one."
            )
        with click.progressbar(length=100, label=f"importing {plan.kind}", file=sys.stderr) as bar:

            def told(done: int, total: int) -> None:
                bar.update(max(0, 100 * done // max(total, 1) - bar.pos))

            return await bring_in(db, who, plan, dry_run=dry_run, progress=told)


def _pair(words: str) -> tuple[str, str]:
    ours, _, theirs = words.partition("=")
    if not theirs:
        raise click.BadParameter(f"{words!r} is not FIELD=HEADER", param_hint="--map")
    return ours.strip(), theirs.strip()
