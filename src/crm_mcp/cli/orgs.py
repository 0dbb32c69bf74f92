"""Orgs and migrations: what the owner of the database does once."""

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import psycopg

from .. import migrate as migrations
from .. import revision
from ..config import Settings
from .inputs import EMAIL, NAME
from .membership import UNLIMITED, Rights, keep
from .session import conninfo, lease, owner

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


@click.command()
@click.option("--org", required=True, metavar="NAME", type=NAME, help="The org's name.")
@click.option("--slug", required=True, metavar="SLUG", help="Its short name: small letters, digits, dashes.")
@click.option("--admin", required=True, metavar="EMAIL", type=EMAIL, help="The first administrator.")
@click.option("--name", required=True, type=NAME, help="The administrator's name.")
@click.option("--currency", default="EUR", show_default=True, help="Base currency, ISO 4217.")
@click.option("--timezone", default="UTC", show_default=True, help="Time zone, such as Europe/Berlin.")
@click.option("--team", is_flag=True, help="Others will approve what the administrator drafts.")
def init(org: str, slug: str, admin: str, name: str, currency: str, timezone: str, team: bool) -> None:
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
