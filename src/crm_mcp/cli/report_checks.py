"""An own report held against the database it would run on: every role of its header, every shape of its statement."""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import click
import psycopg

from ..config import Settings
from ..db import Database
from ..errors import Refusal
from ..principal import Principal, Role
from ..queries import Found
from ..query import problems
from ..query.relations import REGISTERED, Relations, relations_of
from ..reaching import queries_of
from ..reports import own
from ..reports.header import HeaderInvalid
from ..reports.report import Report
from .session import conninfo, run

LONGEST = 40_000
"""Characters of a report, its header among them."""
Connection = psycopg.Connection[Any]


class Org(NamedTuple):
    id: int
    slug: str
    name: str
    currency: str
    timezone: str

    def somebody(self, role: Role) -> Principal:
        """Return a principal that has a role in the org and is nobody in particular, for what is only described."""
        nobody = (0, "", "", role, False, Decimal(0), False, 0)
        return Principal(self.id, self.slug, self.name, self.currency, self.timezone, *nobody)


def checked(conn: Connection, known: Settings, org: Org, file: Path) -> tuple[Report, str]:
    """Return a report that every role of its header may run, and its text.

    Raises:
        ClickException: all that is wrong with it.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise click.ClickException(f"{file.name}: cannot be read as UTF-8 text.") from None
    if len(text) > LONGEST or "\0" in text:
        raise click.ClickException(f"{file.name}: a report has up to {LONGEST} characters, none of them NUL.")
    try:
        report = own.read_named(text, file.stem, file.name)
    except HeaderInvalid as wrong:
        raise click.ClickException(str(wrong)) from None
    if report.orgs and org.slug not in report.orgs:
        raise click.ClickException(f"{file.name}: it says that it is of {', '.join(report.orgs)}, not of {org.slug}.")
    seen = {role: _relations(conn, org, role) for role in sorted(report.roles)}
    wrong = [said for role, relations in seen.items() for said in own.refused_for(report, role, relations)]
    if not wrong:
        wrong = run(_described(known, org, report, seen))
    if wrong:
        raise click.ClickException(f"{file.name} cannot be added:\n" + "\n".join(f"  {one}" for one in wrong))
    return report, text


def _relations(conn: Connection, org: Org, role: Role) -> Relations:
    row = conn.execute(REGISTERED, {"role": role.value, "org": org.id}).fetchone()
    return relations_of(row[0] if row else [])


async def _described(known: Settings, org: Org, report: Report, seen: Mapping[Role, Relations]) -> list[str]:
    """Return what Postgres says of the statements, as the login and over the views that they will have."""
    db = Database(conninfo(known, "crm_agent"))

    async def agent() -> Database:
        return db

    queries = queries_of(known, agent)
    if queries is None:
        raise click.ClickException("Set CRM_QUERY_URL: own reports run as the login crm_query.")
    try:
        wrong: list[str] = []
        for role, relations in seen.items():
            wrong += await _wrong_for(queries.run, org.somebody(role), report, relations)
        return list(dict.fromkeys(wrong))
    finally:
        await queries.close()
        await db.close()


async def _wrong_for(
    ask: Callable[..., Awaitable[Found]], who: Principal, report: Report, relations: Relations
) -> list[str]:
    wrong: list[str] = []
    for shape, sql in own.statements(report):
        verdict, names = own.judged(sql, relations)
        values = [own.example(report, name, who) for name in names]
        try:
            found = await ask(who, f"select * from ({verdict.sql}\n) q limit 0", values, 0)
        except psycopg.Error as problem:
            said = problems.refusal(problem, verdict) or Refusal("INVALID_SQL", "PostgreSQL does not run it.")
            wrong.append(f"{who.role}: {said.hint} {_near(said)}".rstrip())
            continue
        wrong += own.unlike(shape, found.columns)
    return wrong


def _near(said: Refusal) -> str:
    near = said.context.get("near") or said.context.get("suggestions")
    return f"({near})" if near else ""
