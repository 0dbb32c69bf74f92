"""Who works in the demo orgs: made by the database's owner, since orgs and people exist before any call."""

from decimal import Decimal
from typing import LiteralString, NamedTuple

import psycopg


class Member(NamedTuple):
    """A person and their rights; `limit` (gross, base currency) is for those who may approve.

    `mails`: whether they may approve e-mails.
    """

    email: str
    name: str
    role: str
    limit: Decimal | None = None
    chief: str | None = None
    mails: bool = False


class Org(NamedTuple):
    """An org and its people, the first of whom brings in its records."""

    slug: str
    name: str
    currency: str
    timezone: str
    members: tuple[Member, ...]


DEMO = Org(
    "demo",
    "Northlight Furniture",
    "EUR",
    "Europe/Berlin",
    (
        Member("ada@demo.example", "Ada Ahrens", "admin", Decimal(1_000_000), mails=True),
        Member("mia@demo.example", "Mia Moreau", "sales", Decimal(50_000), mails=True),
        Member("sam@demo.example", "Sam Sato", "sales", chief="mia@demo.example"),
        Member("olga@demo.example", "Olga Orlova", "operations"),
        Member("fin@demo.example", "Fin Fischer", "finance", Decimal(5_000)),
        Member("sue@demo.example", "Sue Sullivan", "support"),
    ),
)
OTHER = Org(
    "other",
    "Harbour Supplies",
    "EUR",
    "Europe/London",
    (Member("otto@other.example", "Otto Ostermann", "admin", Decimal(1_000_000)),),
)


async def found(conn: psycopg.AsyncConnection[tuple[int]], org: Org) -> dict[str, int]:
    """Make an org with its people where they are missing; return the people's ids by e-mail."""
    await conn.execute(
        """insert into crm.orgs(slug, name, base_currency, timezone, is_demo) values (%s, %s, %s, %s, true)
        on conflict (slug) do nothing""",
        (org.slug, org.name, org.currency, org.timezone),
    )
    number = await _one(conn, "select id from crm.orgs where slug = %s", org.slug)
    people: dict[str, int] = {}
    for member in org.members:
        await conn.execute(
            "insert into crm.users(email, name) values (%s, %s) on conflict (email_norm) do nothing",
            (member.email, member.name),
        )
        people[member.email] = await _one(conn, "select id from crm.users where email_norm = %s", member.email)
        await conn.execute(
            """insert into crm.memberships(org_id, user_id, role, may_approve, approval_limit, reports_to, may_send_email)
            values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing""",
            (
                number,
                people[member.email],
                member.role,
                member.limit is not None,
                member.limit or Decimal(0),
                people[member.chief] if member.chief else None,
                member.mails,
            ),
        )
    await conn.execute("select crm.default_pipelines(%s)", (number,))
    return people


async def _one(conn: psycopg.AsyncConnection[tuple[int]], question: LiteralString, value: str) -> int:
    row = await (await conn.execute(question, (value,))).fetchone()
    assert row is not None
    return row[0]
