"""An org's own reports: checked as they would run, kept as rows of the org, listed, and put away.

What checks them is imported on need: it takes the grammar of PostgreSQL, which not every platform has.
"""

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import psycopg

from ..config import Settings
from .keeping import kept
from .session import listed, owner

if TYPE_CHECKING:
    from ..reports.report import Report
    from .report_checks import Org

MOST = 50
"""Own reports that an org may have."""
_ORG = "select id, slug, name, base_currency, timezone from crm.orgs where slug = %s"
_OTHERS = "select count(*) from crm.reports where org_id = %s and archived_at is null and name <> %s"
_KEEP = """insert into crm.reports(org_id, name, definition) values (%s, %s, %s)
 on conflict (org_id, name) do update set definition = excluded.definition, archived_at = null"""
_PUT_AWAY = "update crm.reports set archived_at = now() where org_id = %s and name = %s and archived_at is null"
_KEPT = """select o.slug, r.name, r.definition, r.updated_at from crm.reports r join crm.orgs o on o.id = r.org_id
 where r.archived_at is null and (%(org)s::text is null or o.slug = %(org)s) order by o.slug, r.name"""
_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_FOR = click.option("--org", required=True, metavar="SLUG")
_BY = click.option("--user", required=True, metavar="EMAIL", help="Who does it: an administrator of the org.")
Connection = psycopg.Connection[Any]


@click.group()
def reports() -> None:
    """An org's own reports; docs/reports.md says how they are written."""


@reports.command()
@_FOR
@_FILE
def check(org: str, file: Path) -> None:
    """Say whether a report could be added: its header, what its roles may see, the columns that it gives."""
    known = Settings()
    with owner(known) as conn:
        report, _, _ = _checked(conn, known, org, file)
    click.echo(f"{report.name} can be added to {org}, for {', '.join(sorted(report.roles))}.")


@reports.command()
@_FOR
@_BY
@_FILE
def add(org: str, user: str, file: Path) -> None:
    """Add a report to an org, or put another in the place of one of that name; it is there with the next call."""
    known = Settings()
    with owner(known) as conn:
        report, text, found = _checked(conn, known, org, file)
        others = conn.execute(_OTHERS, (found.id, report.name)).fetchone()
        if others and others[0] >= MOST:
            raise click.ClickException(f"{org} has {MOST} reports of its own; remove one first.")
        with kept(conn, org, user, "reports", "reports_add", {"name": report.name, "definition": text}):
            conn.execute(_KEEP, (found.id, report.name, text))
    click.echo(f"Added {report.name} to {org}, for {', '.join(sorted(report.roles))}.")


@reports.command("list")
@click.option("--org", metavar="SLUG", help="Only of this org.")
@click.option("--json", "as_json", is_flag=True)
def list_(org: str | None, as_json: bool) -> None:
    """List own reports that are kept as rows; those in a folder are files there."""
    with owner(Settings()) as conn:
        rows = conn.execute(_KEPT, {"org": org}).fetchall()
    _need_the_grammar()
    from ..reports import own
    from ..reports.header import HeaderInvalid

    found: list[dict[str, Any]] = []
    for slug, name, text, changed in rows:
        report = None
        with suppress(HeaderInvalid):
            report = own.read_named(text, name, name)
        roles = sorted(report.roles) if report else []
        title = report.title if report else "(cannot be read)"
        found.append({"org": slug, "name": name, "title": title, "roles": roles, "changedAt": changed.isoformat()})
    listed(
        found,
        as_json,
        lambda row: f"{row['org']:12} {row['name']:32} {', '.join(row['roles']):28} {row['title']}",
        "No own reports.",
    )


@reports.command()
@_FOR
@_BY
@click.argument("name")
def remove(org: str, user: str, name: str) -> None:
    """Put a report away; adding it again brings it back."""
    with owner(Settings()) as conn, kept(conn, org, user, "reports", "reports_remove", {"name": name}) as found:
        if conn.execute(_PUT_AWAY, (found, name)).rowcount == 0:
            raise click.ClickException(f"{org} has no report {name} of its own.")
    click.echo(f"Removed {name} from {org}.")


def _checked(conn: Connection, known: Settings, slug: str, file: Path) -> "tuple[Report, str, Org]":
    _need_the_grammar()
    from .report_checks import Org, checked

    row = conn.execute(_ORG, (slug,)).fetchone()
    if row is None:
        raise click.ClickException(f"There is no org {slug!r}.")
    org = Org(*row)
    return *checked(conn, known, org, file), org


def _need_the_grammar() -> None:
    if find_spec("postgast") is None:
        raise click.ClickException(
            "Own reports need postgast, which judges their SQL; there is none for this platform."
        )
