"""`crm-mcp import`."""

from pathlib import Path
from typing import Literal

import click

from ..config import Settings
from .session import database, person, run


@click.command("import")
@click.argument("kind", type=click.Choice(["customers", "contacts", "products", "orders"]))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--user", required=True, metavar="EMAIL", help="Who brings the records in; must be an approver.")
@click.option("--org", metavar="SLUG")
@click.option("--lines", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The order lines' file.")
@click.option("--map", "mapping", multiple=True, metavar="FIELD=HEADER", help="Which header holds a field.")
@click.option(
    "--source", default="csv", show_default=True, help="The other system; its ids make a second run harmless."
)
@click.option("--currency", metavar="CODE", help="Currency of prices without one; else the org's.")
@click.option("--discount", type=click.Choice(["percent", "fraction"]), default="percent", show_default=True)
@click.option("--dry-run", is_flag=True, help="Read and check everything, change nothing.")
def import_file(
    kind: Literal["customers", "contacts", "products", "orders"],
    file: Path,
    user: str,
    org: str | None,
    lines: Path | None,
    mapping: tuple[str, ...],
    source: str,
    currency: str | None,
    discount: Literal["percent", "fraction"],
    dry_run: bool,
) -> None:
    """Bring in a CSV file: its good lines in one transaction, the others into FILE.rejected.csv with the reason."""
    from .. import importing

    pairs = dict(_pair(words) for words in mapping)
    plan = importing.Plan(
        kind=kind,
        file=file,
        lines_file=lines,
        mapping=pairs,
        source=source,
        currency=currency,
        discount_unit=discount,
    )

    async def work() -> importing.Report:
        async with database(Settings(), "crm_approver") as db:
            who = await person(db, user, org)
            with click.progressbar(
                length=100, label=f"importing {kind}", file=click.get_text_stream("stderr")
            ) as bar:

                def told(done: int, total: int) -> None:
                    bar.update(max(0, int(100 * done / max(total, 1)) - bar.pos))

                return await importing.run(db, who, plan, dry_run=dry_run, progress=told)

    report = run(work())
    click.echo(
        f"{'Would be: ' if dry_run else ''}{report.created} created, {report.updated} updated, "
        f"{report.unchanged} unchanged, {len(report.rejected)} rejected of {report.read} read."
    )
    if report.rejected:
        rejected = file.with_suffix(".rejected.csv")
        importing.write_rejected(report, rejected)
        click.echo(f"The rejected lines and why: {rejected}")


def _pair(words: str) -> tuple[str, str]:
    ours, _, theirs = words.partition("=")
    if not theirs:
        raise click.BadParameter(f"{words!r} is not FIELD=HEADER", param_hint="--map")
    return ours.strip(), theirs.strip()
