"""Memberships as the owner keeps them: who is in an org, with which rights, and that somebody is left to keep it."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import click
import psycopg

from .inputs import meant, shown

UNLIMITED = Decimal(1_000_000_000)
Connection = psycopg.Connection[Any]
_USER = """insert into crm.users(email, name) values (%s, %s)
 on conflict (email_norm) do update set email = crm.users.email returning id, name"""
_MEMBER = """insert into crm.memberships(org_id, user_id, role, may_approve, approval_limit, may_send_email, reports_to, active)
 values (%s, %s, %s, %s, %s, %s, %s, %s)
 on conflict (org_id, user_id) do update set role = excluded.role, may_approve = excluded.may_approve,
   approval_limit = excluded.approval_limit, may_send_email = excluded.may_send_email,
   reports_to = excluded.reports_to, active = excluded.active"""
_STANDARD_LIMIT = """select (coalesce((select p.document from crm.policies p where p.org_id = %s order by p.edition desc limit 1),
 crm.policy_standard()) ->> 'approval_limit')::numeric"""
_FOUND = """select u.id, u.email, u.name, m.role, m.may_approve, m.approval_limit, m.may_send_email, m.reports_to, m.active,
  exists (select from crm.invitations i where i.org_id = m.org_id and i.user_id = m.user_id and i.used_at is null
   and i.ended_at is null and i.expires_at > clock_timestamp())
 from crm.memberships m join crm.users u on u.id = m.user_id where m.org_id = %s and u.email_norm = %s"""
_ABOVE = """with recursive above(id) as (select %(manager)s::bigint union
  select m.reports_to from above a join crm.memberships m on m.org_id = %(org)s and m.user_id = a.id
  where m.reports_to is not null)
 select exists (select from above where id = %(user)s)"""
_ANOTHER_ADMIN = """select exists (select from crm.memberships
 where org_id = %s and user_id <> %s and role = 'admin' and active)"""
_END_LINKS = (
    "delete from crm.web_sessions where org_id = %s and user_id = %s",
    "delete from crm.login_links where org_id = %s and user_id = %s",
)
_END_INVITATIONS = """update crm.invitations set ended_at = clock_timestamp()
 where org_id = %s and user_id = %s and used_at is null and ended_at is null"""
_REVOKE = """update crm.api_keys set revoked_at = clock_timestamp()
 where org_id = %s and user_id = %s and revoked_at is null and expires_at > clock_timestamp()"""
_WAITING = """select count(*) from crm.drafts where org_id = %s and requester = %s and state = 'pending'
 and expires_at > clock_timestamp()"""
_REPORTS = "select count(*) from crm.memberships where org_id = %s and reports_to = %s and active"


class Org(NamedTuple):
    id: int
    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class Rights:
    """What a membership grants; `limit` is gross, in the org's base currency."""

    role: str
    approves: bool = False
    limit: Decimal = Decimal(0)
    mails: bool = False
    reports_to: int | None = None


class Member(NamedTuple):
    """A person of an org: active, invited, or one who has left."""

    user: int
    email: str
    name: str
    rights: Rights
    active: bool
    invited: bool


class Ended(NamedTuple):
    """What an off-boarding ended, and what it leaves to others."""

    keys: int
    waiting: int
    reports: int


def org_of(conn: Connection, slug: str) -> Org:
    """Return an org, held until the transaction ends, so that two commands on its people run one after the other.

    Raises:
        ClickException: there is none.
    """
    found = conn.execute("select id, slug, name from crm.orgs where slug = %s for no key update", (slug,)).fetchone()
    if found is None:
        slugs = conn.execute("select slug from crm.orgs order by slug limit 20").fetchall()
        there = f"There are: {', '.join(row[0] for row in slugs)}." if slugs else "Make one with `crm-mcp init`."
        raise click.ClickException(f"There is no org {shown(slug)}. {there}")
    return Org(*found)


def found(conn: Connection, org: Org, email: str) -> Member | None:
    """Return who in an org has an address, those who left included."""
    row = conn.execute(_FOUND, (org.id, meant(email))).fetchone()
    return None if row is None else Member(row[0], row[1], row[2], Rights(*row[3:8]), row[8], row[9])


def member(conn: Connection, org: Org, email: str) -> Member:
    """Return an active or invited person of an org.

    Raises:
        ClickException: there is none.
    """
    one = found(conn, org, email)
    if one is None or not (one.active or one.invited):
        left = "has left" if one is not None else "is not in"
        raise click.ClickException(f"{shown(email)} {left} {org.slug}. `crm-mcp users list` shows who there is.")
    return one


def manager(conn: Connection, org: Org, email: str, of: int | None) -> int:
    """Return whom somebody reports to.

    Raises:
        ClickException: they are no member, or report to that person themselves.
    """
    above = found(conn, org, email)
    if above is None or not above.active:
        raise click.ClickException(f"--reports-to: {shown(email)} is no active member of {org.slug}.")
    if of is not None:
        turns = conn.execute(_ABOVE, {"manager": above.user, "org": org.id, "user": of}).fetchone()
        if above.user == of or (turns and turns[0]):
            raise click.ClickException(f"--reports-to: {above.email} would then report to themselves in the end.")
    return above.user


def user_of(conn: Connection, email: str) -> int | None:
    row = conn.execute("select id from crm.users where email_norm = %s", (meant(email),)).fetchone()
    return row[0] if row else None


def standard_limit(conn: Connection, org: int) -> Decimal:
    """Return the approval limit of a new member where none is said: the policy's."""
    found = conn.execute(_STANDARD_LIMIT, (org,)).fetchone()
    assert found is not None
    return found[0]


def keep(
    conn: Connection, org: int, email: str, name: str, rights: Rights, *, active: bool = True
) -> tuple[int, str]:
    """Make a person a member of an org, or change their membership; return their number, and the name they go by."""
    made = conn.execute(_USER, (email, name)).fetchone()
    assert made is not None
    more = (rights.role, rights.approves, rights.limit, rights.mails, rights.reports_to, active)
    conn.execute(_MEMBER, (org, made[0], *more))
    return made[0], made[1]


def with_changes(one: Member, **changed: Any) -> Rights:
    """Return a member's rights with those changed that are given: not None."""
    return replace(one.rights, **{name: value for name, value in changed.items() if value is not None})


def without_manager(rights: Rights) -> Rights:
    return replace(rights, reports_to=None)


def refuse_orphaning(conn: Connection, org: Org, one: Member, *, force: bool) -> None:
    """Refuse what would leave an org without an active administrator.

    Raises:
        ClickException: it would, and `force` was not given.
    """
    if force or one.rights.role != "admin" or not one.active:
        return
    another = conn.execute(_ANOTHER_ADMIN, (org.id, one.user)).fetchone()
    if not (another and another[0]):
        raise click.ClickException(
            f"{one.email} is the last active admin of {org.slug}. Make somebody else one first "
            f"(`crm-mcp users set EMAIL --org {org.slug} --role admin`), or give --force."
        )


def end(conn: Connection, org: Org, one: Member) -> Ended:
    """End a membership with everything that signs its person in."""
    whose = (org.id, one.user)
    conn.execute("update crm.memberships set active = false where org_id = %s and user_id = %s", whose)
    revoked = conn.execute(_REVOKE, whose).rowcount
    for statement in _END_LINKS:
        conn.execute(statement, whose)
    conn.execute(_END_INVITATIONS, whose)
    waiting, reports = (conn.execute(asked, whose).fetchone() or (0,) for asked in (_WAITING, _REPORTS))
    return Ended(revoked, waiting[0], reports[0])


def end_invitations(conn: Connection, org: Org, user: int) -> None:
    conn.execute(_END_INVITATIONS, (org.id, user))
