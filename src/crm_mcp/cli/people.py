"""Orgs, people and migrations: what the owner of the database does."""

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import psycopg

from .. import migrate as migrations
from .. import revision
from ..config import Settings
from .session import conninfo, lease, listed, owner

ROLES = ["admin", "sales", "operations", "finance", "support"]
UNLIMITED = 1_000_000_000
_USER = """insert into crm.users(email, name) values (%s, %s)
 on conflict (email_norm) do update set email = crm.users.email returning id"""
_MEMBER = """insert into crm.memberships(org_id, user_id, role, may_approve, approval_limit, may_send_email) values (%s, %s, %s, %s, %s, %s)
 on conflict (org_id, user_id) do update set role = excluded.role, may_approve = excluded.may_approve,
   approval_limit = excluded.approval_limit, may_send_email = excluded.may_send_email, active = true"""
_PEOPLE = """select o.slug, u.email, u.name, m.role, m.may_approve, m.approval_limit, m.may_send_email, m.active from crm.memberships m
 join crm.users u on u.id = m.user_id join crm.orgs o on o.id = m.org_id order by o.slug, u.email"""
_REMOVE = """update crm.memberships m set active = false from crm.users u, crm.orgs o
 where u.id = m.user_id and o.id = m.org_id and o.slug = %s and u.email_norm = lower(%s) returning m.org_id, m.user_id"""


@click.command()
@click.option("--org", required=True, metavar="NAME", help="The org's name.")
@click.option("--slug", required=True, metavar="SLUG", help="Its short name: small letters, digits, dashes.")
@click.option("--admin", required=True, metavar="EMAIL", help="The first administrator.")
@click.option("--name", required=True, help="The administrator's name.")
@click.option("--currency", default="EUR", show_default=True, help="Base currency, ISO 4217.")
@click.option("--timezone", default="UTC", show_default=True, help="Time zone, such as Europe/Berlin.")
@click.option("--team", is_flag=True, help="Others will approve what the administrator drafts.")
def init(org: str, slug: str, admin: str, name: str, currency: str, timezone: str, team: bool) -> None:
    """Make your own org and its first administrator, who approves alone unless --team is given."""
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise click.BadParameter(f"{timezone!r} is no time zone", param_hint="--timezone") from None
    try:
        with owner(Settings()) as conn:
            made = conn.execute(
                "insert into crm.orgs(slug, name, base_currency, timezone, solo) values (%s, %s, %s, %s, %s) returning id",
                (slug, org, currency, timezone, not team),
            ).fetchone()
            assert made is not None
            add(conn, made[0], admin, name, "admin", limit=UNLIMITED, approves=True, mails=True)
    except psycopg.errors.UniqueViolation:
        raise click.ClickException(f"There is an org {slug!r} already.") from None
    except psycopg.errors.CheckViolation:
        hint = "The slug takes small letters, digits and dashes; the currency is three capitals, such as EUR."
        raise click.ClickException(hint) from None
    click.echo(f"Made {org} ({slug}). Serve it with: crm-mcp serve --user {admin}")


def add(
    conn: psycopg.Connection[Any],
    org: int,
    email: str,
    name: str,
    role: str,
    *,
    limit: float,
    approves: bool,
    mails: bool,
) -> None:
    """Make a person a member of an org, or change their membership."""
    made = conn.execute(_USER, (email, name)).fetchone()
    assert made is not None
    conn.execute(_MEMBER, (org, made[0], role, approves, limit, mails))


@click.group()
def users() -> None:
    """The people of an org."""


@users.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """List people, their orgs and roles."""
    with owner(Settings()) as conn:
        rows = conn.execute(_PEOPLE).fetchall()
    names = ("org", "email", "name", "role", "mayApprove", "approvalLimit", "maySendEmail", "active")

    def line(row: dict[str, Any]) -> str:
        approves = f"approves to {row['approvalLimit']:,.2f}" if row["mayApprove"] else ""
        mails = " sends e-mail" if row["maySendEmail"] else ""
        return (
            f"{row['org']:12} {row['email']:28} {row['role']:11} {approves}{mails}{'' if row['active'] else '(left)'}"
        )

    listed(
        [dict(zip(names, row, strict=True)) for row in rows],
        as_json,
        line,
        "Nobody yet: `crm-mcp demo` or `crm-mcp init`.",
    )


@users.command("add")
@click.option("--org", required=True, metavar="SLUG")
@click.option("--name", required=True)
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--approves", is_flag=True, help="May approve, up to --limit.")
@click.option("--limit", type=click.FloatRange(min=0), default=5000, show_default=True, help="Gross, base currency.")
@click.option("--mails", is_flag=True, help="May approve e-mails to be sent.")
@click.argument("email")
def add_(org: str, name: str, role: str, approves: bool, limit: float, mails: bool, email: str) -> None:
    """Add a person to an org, or change their role and rights."""
    with owner(Settings()) as conn:
        found = conn.execute("select id from crm.orgs where slug = %s", (org,)).fetchone()
        if found is None:
            raise click.ClickException(f"There is no org {org!r}.")
        add(conn, found[0], email, name, role, limit=limit, approves=approves, mails=mails)
    click.echo(f"{email} is {role} in {org}.")


@users.command("remove")
@click.option("--org", required=True, metavar="SLUG")
@click.argument("email")
def remove(org: str, email: str) -> None:
    """End a person's membership at once: sessions end, and a running client loses it with its next call."""
    with owner(Settings()) as conn:
        ended = conn.execute(_REMOVE, (org, email)).fetchone()
        if ended is None:
            raise click.ClickException(f"{email} is not in {org}.")
        conn.execute("delete from crm.web_sessions where org_id = %s and user_id = %s", ended)
        conn.execute("delete from crm.login_links where org_id = %s and user_id = %s", ended)
    click.echo(f"{email} has left {org}.")


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
