"""`crm-mcp import`."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .. import ids
from ..config import Settings
from ..errors import Refusal
from ..formulas import disarm
from ..importing.plan import KINDS, Dates, Plan, Report, write_rejected
from .session import database, run, signed_in

if TYPE_CHECKING:
    from ..importing.whole import Whole

SYSTEMS = ("hubspot", "salesforce", "pipedrive")
_TOLD = 20
"""Of a kind of finding, how many the plan names."""


@click.command("import")
@click.argument("what", nargs=-1, metavar="[KIND] FILE|FOLDER...")
@click.option(
    "--user", metavar="EMAIL", help="Who brings the records in, else CRM_API_KEY says who; must be an approver."
)
@click.option("--org", metavar="SLUG")
@click.option("--from", "system", type=click.Choice(SYSTEMS), help="Whose export it is, else its header says it.")
@click.option("--yes", is_flag=True, help="Bring over without asking, once the plan is printed.")
@click.option("--undo", metavar="ID", help="Undo a whole import by its id.")
@click.option("--keep", is_flag=True, help="Keep columns that nothing reads as the org's own fields.")
@click.option("--dates", type=click.Choice(["mdy", "dmy"]), help="The order in dates such as 7/4/2024.")
@click.option("--rows", type=click.Path(dir_okay=False, path_type=Path), help="Write what becomes of each row there.")
@click.option(
    "--lines",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file of order or invoice lines, or of the invoices that payments pay.",
)
@click.option("--map", "mapping", multiple=True, metavar="FIELD=HEADER", help="Which header holds a field.")
@click.option("--source", help="The other system; its ids make a second run harmless. Else the system, or csv.")
@click.option("--currency", metavar="CODE", help="Currency of prices without one; else the org's.")
@click.option(
    "--discount", type=click.Choice(["percent", "fraction"]), help="How discounts are written; else percent."
)
@click.option("--decimal", type=click.Choice([".", ","]), default=".", show_default=True, help="The decimal sign.")
@click.option("--encoding", default="utf-8", show_default=True)
@click.option("--dry-run", is_flag=True, help="Read and check everything, change nothing.")
def import_file(
    what: tuple[str, ...],
    user: str | None,
    org: str | None,
    system: str | None,
    yes: bool,
    undo: str | None,
    keep: bool,
    dates: Dates | None,
    rows: Path | None,
    lines: Path | None,
    mapping: tuple[str, ...],
    source: str | None,
    currency: str | None,
    discount: Literal["percent", "fraction"] | None,
    decimal: Literal[".", ","],
    encoding: str,
    dry_run: bool,
) -> None:
    """Bring in CSV files: their good lines in one transaction, the others into FILE.rejected.csv with the reason.

    With a KIND one file of that kind. Without, files or folders of an export of HubSpot, Salesforce, Pipedrive or
    crm-mcp: they are known by their headers, brought over as one, and the plan is shown first.
    """
    if undo is not None:
        _undo(undo, user, org)
        return
    read: dict[str, Any] = {"currency": currency, "decimal": decimal, "encoding": encoding}
    if what and what[0] in KINDS and not Path(what[0]).exists():
        if len(what) != 2 or system or keep or dates:
            raise click.UsageError("A KIND goes with one FILE, and without --from, --keep and --dates.")
        plan = Plan(
            what[0],
            _paths(what[1:])[0],
            source or "csv",
            lines,
            dict(map(_pair, mapping)),
            discount_unit=discount,
            **read,
        )
        report = run(_import(plan, user, org, dry_run))
        _tell(report, dry_run)
        return
    if not what:
        raise click.UsageError("Name files, or a folder of them.")
    if lines or mapping or discount:
        raise click.UsageError("--lines, --map and --discount go with a KIND.")
    whole = run(
        _bring_over(
            _paths(what), user, org, dry_run, yes, rows, system, source, {**read, "keep": keep, "dates": dates}
        )
    )
    rejected = [path for report in whole.reports for path in write_rejected(report)]
    if rejected:
        click.echo("All rejected lines and why: " + ", ".join(map(str, rejected)))
    if whole.draft is not None:
        shown = ids.show("drafts", whole.draft)
        click.echo(f"Brought over. To take all of it back: crm-mcp import --undo {shown}")
    elif not dry_run:
        click.echo("Nothing was changed.")


def _paths(words: Sequence[str]) -> list[Path]:
    for word in words:
        if not Path(word).exists():
            kinds = f" Kinds are {', '.join(KINDS)}." if len(words) > 1 else ""
            raise click.UsageError(f"There is no file or folder {word!r}.{kinds}")
    return [Path(word) for word in words]


def _tell(report: Report, dry_run: bool) -> None:
    click.echo(
        f"{'Would be: ' if dry_run else ''}{report.created} created, {report.updated} updated, "
        f"{report.unchanged} unchanged, {len(report.rejected)} rejected of {report.read} read."
    )
    _aside(report)
    if report.draft is not None:
        click.echo(f"To take all of it back: crm-mcp import --undo {ids.show('drafts', report.draft)}")
    if report.rejected:
        for rejected in report.rejected[:5]:
            click.echo(f"  {rejected.file.name}, line {rejected.line}: {rejected.reason}")
        click.echo("All rejected lines and why: " + ", ".join(map(str, write_rejected(report))))


def _aside(report: Report) -> None:
    """Tell what a file's counts do not say."""
    for path, headers in report.ignored.items():
        if headers:
            click.echo(f"Not read of {path.name}: {', '.join(headers)}")
    for words, found in (
        ("Nobody in this org, so without owner", report.strangers),
        ("Named and not there", report.unfound),
    ):
        if found:
            named = sorted(found.items(), key=lambda one: (-one[1], one[0]))
            told = ", ".join(f"{who} ({rows})" for who, rows in named[:_TOLD])
            more = f" and {len(named) - _TOLD} more" if len(named) > _TOLD else ""
            click.echo(f"{words}: {told}{more}")
    for way in report.ways:
        click.echo(f"In the pipeline {way}")
    if report.beside:
        click.echo("Made of names alone: " + ", ".join(f"{rows} {table}" for table, rows in report.beside.items()))


def _show(whole: "Whole") -> None:
    """Print the plan of a whole import."""
    for plan, report in zip(whole.plans, whole.reports, strict=True):
        system = f"{plan.preset.title}: " if plan.preset else ""
        click.echo(
            f"{plan.file.name} ({system}{plan.kind}): {report.created} created, {report.updated} updated, "
            f"{report.unchanged} unchanged, {len(report.rejected)} rejected of {report.read} read."
        )
        for rejected in report.rejected[:5]:
            click.echo(f"  line {rejected.line}: {rejected.reason}")
        _aside(report)
    if whole.twins_by:
        click.echo(f"Likely duplicates ({whole.twins_by}): {len(whole.twins)}")
        for twin in whole.twins[:_TOLD]:
            click.echo(f"  {twin.new} is like {twin.other}: {twin.score:.2f}, {twin.why}")


def _write_rows(whole: "Whole", path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["file", "line", "becomes", "kind", "called"])
        for plan, report in zip(whole.plans, whole.reports, strict=True):
            writer.writerows(
                [plan.file.name, line, what, plan.kind, disarm(called)] for line, what, called in report.becomes
            )


async def _bring_over(
    paths: list[Path],
    user: str | None,
    org: str | None,
    dry_run: bool,
    yes: bool,
    rows: Path | None,
    system: str | None,
    source: str | None,
    options: dict[str, Any],
) -> "Whole":
    from ..importing.whole import bring_over, plans

    def wanted(whole: "Whole") -> bool:
        _show(whole)
        if rows is not None:
            _write_rows(whole, rows)
        return yes or (sys.stdin.isatty() and click.confirm("Bring this over?"))

    found = plans(paths, system, source, **options)
    async with database(Settings(), "crm_approver") as db:
        who = await signed_in(db, Settings(), user, org)
        if who.agent is not None:
            raise click.ClickException(_PERSON)
        whole = await bring_over(db, who, found, wanted=None if dry_run else wanted)
        if dry_run:
            _show(whole)
            if rows is not None:
                _write_rows(whole, rows)
        return whole


def _undo(shown: str, user: str | None, org: str | None) -> None:
    try:
        draft = ids.parse("drafts", shown)
    except Refusal as problem:
        raise click.ClickException(problem.hint) from None
    done = run(_undone(draft, user, org))
    click.echo("Undone: " + ", ".join(f"{rows} {table}" for table, rows in done.items()) + ".")


async def _undone(draft: int, user: str | None, org: str | None) -> dict[str, int]:
    from ..importing.undo import undo

    async with database(Settings(), "crm_approver") as db:
        who = await signed_in(db, Settings(), user, org)
        if who.agent is not None:
            raise click.ClickException(_PERSON)
        return dict(await undo(db, who, draft))


_PERSON = "This key is for an agent, and a person brings records in: use a key without one."


async def _import(plan: Plan, user: str | None, org: str | None, dry_run: bool) -> Report:
    from ..importing.run import run as bring_in

    async with database(Settings(), "crm_approver") as db:
        who = await signed_in(db, Settings(), user, org)
        if who.agent is not None:
            raise click.ClickException(_PERSON)
        with click.progressbar(length=100, label=f"importing {plan.kind}", file=sys.stderr) as bar:

            def told(done: int, total: int) -> None:
                bar.update(max(0, 100 * done // max(total, 1) - bar.pos))

            return await bring_in(db, who, plan, dry_run=dry_run, progress=told)


def _pair(words: str) -> tuple[str, str]:
    ours, _, theirs = words.partition("=")
    if not theirs:
        raise click.BadParameter(f"{words!r} is not FIELD=HEADER", param_hint="--map")
    return ours.strip(), theirs.strip()
