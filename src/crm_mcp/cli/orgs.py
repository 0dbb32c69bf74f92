"""Orgs and migrations: what the owner of the database does once."""

import calendar
import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import psycopg

from .. import migrate as migrations
from .. import revision
from ..config import Settings
from .inputs import EMAIL, NAME
from .keeping import kept
from .membership import UNLIMITED, Rights, keep
from .session import conninfo, lease, owner

MONTH = click.IntRange(1, 12)
_STARTS = """insert into crm.org_settings(org_id, fiscal_year_start) values (%s, %s)
 on conflict (org_id) do update set fiscal_year_start = excluded.fiscal_year_start"""
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


@click.command()
@click.option("--org", required=True, metavar="NAME", type=NAME, help="The org's name.")
@click.option("--slug", required=True, metavar="SLUG", help="Its short name: small letters, digits, dashes.")
@click.option("--admin", required=True, metavar="EMAIL", type=EMAIL, help="The first administrator.")
@click.option("--name", required=True, type=NAME, help="The administrator's name.")
@click.option("--currency", default="EUR", show_default=True, help="Base currency, ISO 4217.")
@click.option("--timezone", default="UTC", show_default=True, help="Time zone, such as Europe/Berlin.")
@click.option(
    "--fiscal-year-start", "starts", type=MONTH, default=1, show_default=True, help="Month the fiscal year begins in."
)
@click.option("--team", is_flag=True, help="Others will approve what the administrator drafts.")
def init(
    org: str, slug: str, admin: str, name: str, currency: str, timezone: str, starts: int, team: bool
) -> None:  # fmt: skip
    """Make your own org and its first administrator, who approves alone unless --team is given."""
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(f"{timezone!r} is no time zone", param_hint="--timezone") from None
    if not _SLUG.fullmatch(slug):
        raise click.BadParameter("use small letters, digits and dashes, such as my-firm", param_hint="--slug")
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise click.BadParameter("use three capitals of ISO 4217, such as EUR", param_hint="--currency")
    known = Settings()
    try:
        with owner(known) as conn:
            made = conn.execute(
                "insert into crm.orgs(slug, name, base_currency, timezone, solo) values (%s, %s, %s, %s, %s) returning id",
                (slug, org, currency, timezone, not team),
            ).fetchone()
            assert made is not None
            keep(conn, made[0], admin, name, Rights("admin", approves=True, limit=UNLIMITED, mails=True))
            conn.execute("select crm.default_pipelines(%s)", (made[0],))
            if starts != 1:
                with kept(conn, slug, admin, "org_settings", "init", {"fiscalYearStart": starts}) as found:
                    conn.execute(_STARTS, (found, starts))
    except psycopg.errors.UniqueViolation:
        raise click.ClickException(f"There is an org {slug!r} already.") from None
    if known.is_embedded:
        click.echo(f"Made {org} ({slug}). Serve it with: crm-mcp serve --user {admin}")
    else:
        click.echo(
            f"Made {org} ({slug}). A key to serve it with: crm-mcp keys create --org {slug} --user {admin} NAME"
        )
    if team:
        click.echo(_TEAM.format(slug=slug))


_TEAM = """Next, for the team:
  crm-mcp users invite EMAIL --org {slug} --name NAME --role sales --approves --limit 5000
  crm-mcp up --bind 0.0.0.0:8443 --tls-cert FILE --tls-key FILE   with CRM_APPROVALS_URL=https://NAME:8443, or
  crm-mcp up --bind HOST:PORT                                     behind a proxy, with CRM_APPROVALS_URL=https://NAME
  crm-mcp doctor                                                  says what is missing"""


@click.command("fiscal-year")
@click.option("--org", required=True, metavar="SLUG")
@click.option("--user", required=True, metavar="EMAIL", help="Who sets it: an administrator of the org.")
@click.argument("starts", type=MONTH, metavar="MONTH")
def fiscal_year(org: str, user: str, starts: int) -> None:
    """Set the month (1 to 12) in which the org's fiscal year begins; it is named by the calendar year it ends in."""
    with owner(Settings()) as conn, kept(conn, org, user, "org_settings", "fiscal_year", {"starts": starts}) as found:
        conn.execute(_STARTS, (found, starts))
    click.echo(f"The fiscal year of {org} begins in {calendar.month_name[starts]}.")


@click.command()
def migrate() -> None:
    """Bring the database to this program's revision."""
    known = Settings()
    held = lease(known)
    if not known.is_embedded:
        migrations.upgrade(conninfo(known, "crm_owner"))
    click.echo(f"The database is at revision {revision.CURRENT}.")
    if held is not None:
        held.close()
