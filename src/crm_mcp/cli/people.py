"""The people of an org: invited, added, changed, sent a link, and gone."""

import hashlib
import secrets
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click

from ..approvals.sign_in_mail import Link, invitation_letter, link_letter
from ..config import Settings
from . import membership
from .handing import Way, link_options, origin_of_links, reserved
from .inputs import EMAIL, LIMIT, NAME, meant, shown
from .membership import Rights
from .session import listed, owner

ROLES = ["admin", "sales", "operations", "finance", "support"]
F = TypeVar("F", bound=Callable[..., Any])
_PEOPLE = """select o.slug, u.email, u.name, m.role, m.may_approve, m.approval_limit, m.may_send_email, b.email, m.active,
  case when m.active then 'active' when exists (select from crm.invitations i where i.org_id = m.org_id
   and i.user_id = m.user_id and i.used_at is null and i.ended_at is null and i.expires_at > clock_timestamp())
   then 'invited' else 'left' end
 from crm.memberships m join crm.users u on u.id = m.user_id join crm.orgs o on o.id = m.org_id
 left join crm.users b on b.id = m.reports_to where %(org)s::text is null or o.slug = %(org)s order by o.slug, u.email"""
_NAMES = (
    "org", "email", "name", "role", "mayApprove", "approvalLimit", "maySendEmail", "reportsTo", "active", "state",
)  # fmt: skip
_INVITED = """insert into crm.invitations(digest, org_id, user_id, expires_at)
 values (%s, %s, %s, clock_timestamp() + interval '7 days')"""
_LINKED = """insert into crm.login_links(digest, org_id, user_id, expires_at)
 values (%s, %s, %s, clock_timestamp() + interval '1 hour')"""
_ORGS_OF = """select o.slug from crm.memberships m join crm.orgs o on o.id = m.org_id join crm.users u on u.id = m.user_id
 where u.email_norm = %s and m.active order by o.slug"""


def _rights(command: F) -> F:
    """Add the options of a new membership."""
    for option in (
        click.option("--reports-to", metavar="EMAIL", help="Their manager, a member of the org."),
        click.option("--mails", is_flag=True, help="May approve e-mails to be sent."),
        click.option("--limit", type=LIMIT, help="Gross, base currency; else the policy's approval_limit."),
        click.option("--approves", is_flag=True, help="May approve, up to --limit."),
        click.option("--role", type=click.Choice(ROLES), required=True),
        click.option("--name", type=NAME, required=True),
        click.option("--org", required=True, metavar="SLUG"),
    ):
        command = option(command)
    return command


@click.group()
def users() -> None:
    """The people of an org."""


@users.command("list")
@click.option("--org", metavar="SLUG", help="Only of this org.")
@click.option("--json", "as_json", is_flag=True)
def list_(org: str | None, as_json: bool) -> None:
    """List people, their orgs, roles and rights."""
    with owner(Settings()) as conn:
        rows = conn.execute(_PEOPLE, {"org": org}).fetchall()

    def line(row: dict[str, Any]) -> str:
        said = f"approves to {row['approvalLimit']:,.2f}" if row["mayApprove"] else ""
        said += " sends e-mail" if row["maySendEmail"] else ""
        said += f" reports to {row['reportsTo']}" if row["reportsTo"] else ""
        said += "" if row["state"] == "active" else f" ({row['state']})"
        return f"{row['org']:12} {row['email']:28} {row['role']:11} {said.strip()}".rstrip()

    listed(
        [dict(zip(_NAMES, row, strict=True)) for row in rows],
        as_json,
        line,
        "Nobody yet: `crm-mcp demo` or `crm-mcp init`.",
    )


@users.command()
@_rights
@link_options
@click.argument("email", type=EMAIL)
def invite(
    org: str, name: str, role: str, approves: bool, limit: Decimal | None, mails: bool, reports_to: str | None,
    email: str, file: Path | None, printed: bool,
) -> None:  # fmt: skip
    """Invite a person: a one-time link, good for 7 days, makes them a member and signs them in on the page."""
    known = Settings()
    way = Way.chosen(known, file, printed, email)
    secret, digest = _one_time()
    origin = origin_of_links(known)
    url = f"{origin}/login/{secret}"
    with reserved(file) as write:
        with owner(known) as conn:
            found = membership.org_of(conn, org)
            already = membership.found(conn, found, email)
            if already is not None and already.active:
                raise click.ClickException(
                    f"{email} is in {org} already. Change their rights with `crm-mcp users set`, or send them a link "
                    f"with `crm-mcp users link {email} --org {org}`."
                )
            above = _manager(conn, found, reports_to, email)
            rights = Rights(role, approves, _limit(conn, found, limit), mails, above)
            user, called = membership.keep(conn, found.id, email, name, rights, active=False)
            membership.end_invitations(conn, found, user)
            conn.execute(_INVITED, (digest, found.id, user))
            way.mail(conn, found.id, invitation_letter, email, Link(found.name, url), origin)
        way.tell(email, url, write)
    click.echo(f"Invited {called} to {org} as {role}. The link is good once, for 7 days.", err=way.printed)


@users.command("add")
@_rights
@click.option("--force", is_flag=True, help="Even if that leaves no active admin.")
@click.argument("email", type=EMAIL)
def add_(
    org: str, name: str, role: str, approves: bool, limit: Decimal | None, mails: bool, reports_to: str | None,
    force: bool, email: str,
) -> None:  # fmt: skip
    """Add a person to an org at once, or give them this role and these rights instead of theirs."""
    with owner(Settings()) as conn:
        found = membership.org_of(conn, org)
        already = membership.found(conn, found, email)
        if already is not None and role != "admin":
            membership.refuse_orphaning(conn, found, already, force=force)
        above = _manager(conn, found, reports_to, email)
        rights = Rights(role, approves, _limit(conn, found, limit), mails, above)
        user, called = membership.keep(conn, found.id, email, name, rights)
        membership.end_invitations(conn, found, user)
    known_as = "" if called == name else f" They go by {called} here."
    click.echo(f"{email} is {role} in {org}.{known_as}")


@users.command("set")
@click.option("--org", required=True, metavar="SLUG")
@click.option("--role", type=click.Choice(ROLES))
@click.option("--approves/--no-approves", default=None, help="May approve, up to --limit.")
@click.option("--limit", type=LIMIT, help="Gross, base currency.")
@click.option("--mails/--no-mails", default=None, help="May approve e-mails to be sent.")
@click.option("--reports-to", metavar="EMAIL", help="Their manager, a member of the org.")
@click.option("--reports-to-nobody", "to_nobody", is_flag=True)
@click.option("--force", is_flag=True, help="Even if that leaves no active admin.")
@click.argument("email")
def set_(
    org: str, role: str | None, approves: bool | None, limit: Decimal | None, mails: bool | None,
    reports_to: str | None, to_nobody: bool, force: bool, email: str,
) -> None:  # fmt: skip
    """Change a person's role or rights; a running client has them with its next call."""
    if reports_to is not None and to_nobody:
        raise click.UsageError("Give --reports-to or --reports-to-nobody, not both.")
    if not to_nobody and all(given is None for given in (role, approves, limit, mails, reports_to)):
        raise click.UsageError("Say what to change: --role, --approves, --limit, --mails or --reports-to.")
    with owner(Settings()) as conn:
        found = membership.org_of(conn, org)
        one = membership.member(conn, found, email)
        if role not in (None, "admin"):
            membership.refuse_orphaning(conn, found, one, force=force)
        above = _manager(conn, found, reports_to, email)
        changed = membership.with_changes(
            one, role=role, approves=approves, limit=limit, mails=mails, reports_to=above
        )
        if to_nobody:
            changed = membership.without_manager(changed)
        membership.keep(conn, found.id, one.email, one.name, changed, active=one.active)
    may = f"approves to {changed.limit:,.2f}" if changed.approves else "does not approve"
    click.echo(f"{one.email} is {changed.role} in {org} and {may}.")


@users.command("link")
@click.option("--org", metavar="SLUG", help="Which org, for a person in several.")
@link_options
@click.argument("email")
def link(org: str | None, email: str, file: Path | None, printed: bool) -> None:
    """Make a one-time link, good for an hour, that signs a person in on the page from another machine."""
    known = Settings()
    way = Way.chosen(known, file, printed, email)
    secret, digest = _one_time()
    origin = origin_of_links(known)
    url = f"{origin}/login/{secret}"
    with reserved(file) as write:
        with owner(known) as conn:
            slugs = [org] if org else [row[0] for row in conn.execute(_ORGS_OF, (meant(email),))]
            if len(slugs) != 1:
                several = f"{email} is in {', '.join(slugs)}: say which with --org." if slugs else ""
                raise click.ClickException(
                    several or f"{shown(email)} is in no org. `crm-mcp users list` shows who there is."
                )
            found = membership.org_of(conn, slugs[0])
            one = membership.member(conn, found, email)
            if not one.active:
                raise click.ClickException(
                    f"{one.email} has not taken up the invitation yet: invite them again for a new link."
                )
            conn.execute(_LINKED, (digest, found.id, one.user))
            way.mail(conn, found.id, link_letter, one.email, Link(found.name, url), origin)
        way.tell(one.email, url, write)
    click.echo("The link is good once, for an hour.", err=way.printed)


@users.command("remove")
@click.option("--org", required=True, metavar="SLUG")
@click.option("--force", is_flag=True, help="Even if that leaves no active admin.")
@click.argument("email")
def remove(org: str, force: bool, email: str) -> None:
    """End a membership at once, with its keys, sessions, links and invitations; a running client ends with its next call."""
    with owner(Settings()) as conn:
        found = membership.org_of(conn, org)
        one = membership.member(conn, found, email)
        membership.refuse_orphaning(conn, found, one, force=force)
        ended = membership.end(conn, found, one)
    click.echo(f"{one.email} has left {org}. Keys revoked: {ended.keys}.")
    if ended.waiting:
        click.echo(f"{ended.waiting} draft(s) of theirs wait; nobody can approve them any more, and they expire.")
    if ended.reports:
        click.echo(f"{ended.reports} person(s) reported to them: give them somebody with `crm-mcp users set`.")


def _manager(conn: membership.Connection, org: membership.Org, reports_to: str | None, email: str) -> int | None:
    return None if reports_to is None else membership.manager(conn, org, reports_to, membership.user_of(conn, email))


def _limit(conn: membership.Connection, org: membership.Org, said: Decimal | None) -> Decimal:
    return membership.standard_limit(conn, org.id) if said is None else said


def _one_time() -> tuple[str, bytes]:
    """Return a new secret and what of it is stored."""
    secret = secrets.token_urlsafe(32)
    return secret, hashlib.sha256(secret.encode()).digest()
