"""The database: it answers, at this program's revision, and its logins are bound as they should be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from ... import migrate, revision
from ...config import Settings
from ...embedded import Home
from ..session import conninfo, lease
from .finding import Finding, ok, problem

EXTENSIONS = ("vector", "pg_trgm", "unaccent", "fuzzystrmatch", "btree_gin")
SKEW = timedelta(seconds=5)
_PATIENCE = "-c statement_timeout=10000"
_POWERS = """select r.rolname, r.rolsuper, r.rolbypassrls from pg_catalog.pg_roles r
 where pg_catalog.pg_has_role(current_user, r.oid, 'member') and (r.rolsuper or r.rolbypassrls) order by 1"""
_LOOSE = """select c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped
 where n.nspname = 'crm' and c.relkind in ('r', 'p') and pg_catalog.has_table_privilege(c.oid, 'select')
 and (not c.relrowsecurity or not c.relforcerowsecurity) order by 1"""


def ask(known: Settings, role: str, sql: str) -> list[tuple[Any, ...]]:
    """Ask the database as a login, with a bound on the wait."""
    with psycopg.connect(conninfo(known, role), connect_timeout=10, options=_PATIENCE) as conn:
        return conn.execute(sql.encode()).fetchall()


def schema(known: Settings) -> Finding:
    """The database is at the revision of this program; asked before a start would bring it there."""
    if known.is_embedded:
        recorded = Home(known.home).recorded()
        if recorded is None:
            return ok("there is no database yet; the first use makes it")
        at, oldest = recorded
    else:
        at, oldest = ask(known, "crm_agent", "select revision, oldest_client from crm.schema_state")[0]
    if oldest > revision.CURRENT:
        return problem(
            f"the database is at revision {at}, this program at {revision.CURRENT}", "Install a newer crm-mcp."
        )
    if at >= revision.CURRENT:
        return ok(f"revision {at}")

    def mend() -> str:
        held = lease(known)
        if held is None:
            migrate.upgrade(conninfo(known, "crm_owner"))
        else:
            held.close()
        return f"migrated from {at} to {revision.CURRENT}"

    return problem(f"the database is at revision {at}, older than {revision.CURRENT}", "Run `crm-mcp migrate`.", mend)


def orgs(known: Settings) -> Finding:
    """It answers the server's own login, and somebody lives there."""
    (count,) = ask(known, "crm_agent", "select count(*) from crm.orgs")[0]
    if not count:
        return problem("the database has no org yet", "Run `crm-mcp demo`, or `crm-mcp init` for your own.")
    return ok(f"it answers; orgs: {count}")


def extensions(known: Settings) -> Finding:
    """What searching needs is there."""
    there = {name for (name,) in ask(known, "crm_agent", "select extname from pg_catalog.pg_extension")}
    missing = [name for name in EXTENSIONS if name not in there]
    if missing:
        fix = "An administrator runs what `crm-mcp doctor --admin-sql` prints."
        return problem(f"missing: {', '.join(missing)}", fix)
    return ok(", ".join(EXTENSIONS))


def boundaries(known: Settings) -> Finding:
    """The login that serves clients sees one org at a time, whatever it asks."""
    fix = "An administrator runs what `crm-mcp doctor --admin-sql` prints, and takes back what was granted besides."
    powers = ask(known, "crm_agent", _POWERS)
    if powers:
        return problem(f"the agents' login passes row security by way of {', '.join(row[0] for row in powers)}", fix)
    loose = [name for (name,) in ask(known, "crm_agent", _LOOSE)]
    if loose:
        return problem(f"row security does not hold for everybody on {', '.join(loose)}", fix)
    return ok("the agents' login is bound by row security on every table it reads")


def clock(known: Settings) -> Finding:
    """The host and the database tell the same time, by which drafts and sessions expire."""
    before = now()
    (there,) = ask(known, "crm_agent", "select pg_catalog.clock_timestamp()")[0]
    after = now()
    apart = max(before - there, there - after, timedelta())
    if apart > SKEW:
        said = f"the clocks of this host and of the database are {apart.total_seconds():.0f} seconds apart"
        return problem(said, "Set both by a time server: drafts and sessions expire by the database's.")
    return ok("the database's clock and this host's agree")


def now() -> datetime:
    return datetime.now(UTC)
