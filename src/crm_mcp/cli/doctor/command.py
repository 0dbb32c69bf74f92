"""`crm-mcp doctor`."""

import json
import sys
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import click
import psycopg

from ...config import Settings
from ...embedded import EmbeddedUnavailable, Home, Lease
from ...migrate import admin_sql
from ..session import lease
from . import database, folder, machine, notices, own_tables, team, work, working
from .finding import Check, Finding, ok, problem, skipped

_APART = ("disk", "clients", "address", "certificate", "mail", "redis")
"""What may be wrong while the database is well."""
_MARK = {"ok": "ok ", "attention": "!  ", "problem": "NOT", "skipped": "-  "}


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.option("--fix", is_flag=True, help="Mend what is safe to mend, and say what was done.")
@click.option(
    "--admin-sql", "print_sql", is_flag=True, help="Print what an administrator runs once on a real server."
)
def doctor(as_json: bool, fix: bool, print_sql: bool) -> None:
    """Look for what would stand in the way here, and say how to mend it; fails when something is wrong."""
    if print_sql:
        click.echo(admin_sql())
        return
    rows: list[dict[str, Any]] = []
    for name, found, done in _examined(Settings(), fix):
        rows.append({"check": name, "state": found.state, "said": found.said, "fix": found.fix, "done": done})
        if not as_json:
            _say(name, found, done)
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    if any(row["state"] == "problem" for row in rows):
        sys.exit(1)


def _say(name: str, found: Finding, done: str | None) -> None:
    if done:
        click.echo(f"fix {name}: {done}")
    click.echo(f"{_MARK[found.state]} {name}: {found.said}")
    if found.fix and found.state != "ok":
        click.echo(f"    {found.fix}")


def _examined(known: Settings, fix: bool) -> Generator[tuple[str, Finding, str | None]]:
    """Look at one thing after another; what needs the database is left out where it cannot be had as it is."""
    home = Home(known.home)
    stands = True
    before: dict[str, Check] = {
        "program": machine.program,
        "disk": lambda: machine.disk(known.home),
        "clients": machine.clients,
        "address": lambda: team.address(known),
        "certificate": lambda: team.certificate(known),
        "mail": lambda: team.mail(known),
        "redis": lambda: working.redis(known),
    }
    if known.is_embedded:
        before |= {
            "home": lambda: folder.permissions(home),
            "passwords": lambda: folder.secrets(home),
            "programs": lambda: folder.programs(home, known),
            "remains": lambda: folder.remains(home),
        }
    before["schema"] = lambda: database.schema(known)
    for name, check in before.items():
        found, done = _one(check, fix)
        # A start would mend some of these by itself, a migration among them; that is for the person to say.
        stands = stands and (found.state != "problem" or name in _APART)
        yield name, found, done
    with ExitStack() as held:
        if stands:
            server, _ = _one(lambda: _server(known, held), fix=False)
            yield "server", server, None
            stands = server.state == "ok"
        for name, check in _inside(known).items():
            found, done = _one(check, fix) if stands else (skipped("not looked at, because of the above"), None)
            yield name, found, done


def _inside(known: Settings) -> dict[str, Check]:
    return {
        "orgs": lambda: database.orgs(known),
        "extensions": lambda: database.extensions(known),
        "boundaries": lambda: database.boundaries(known),
        "own tables": lambda: own_tables.own_tables(known),
        "clock": lambda: database.clock(known),
        "approvals page": lambda: work.page(known),
        "worker": lambda: work.worker(known),
        "audit": lambda: work.audit(known),
        "drafts": lambda: work.drafts(known),
        "notices": lambda: notices.notices(known),
    }


def _server(known: Settings, held: ExitStack) -> Finding:
    mine: Lease | None = lease(known)
    if mine is None:
        return ok("a real server is configured (CRM_DATABASE_URL)")
    held.callback(mine.close)
    return ok(f"the embedded database runs at {Home(known.home).address.host}")


def _one(check: Check, fix: bool) -> tuple[Finding, str | None]:
    """Look, mend where that is wanted and safe, and look again."""
    found = _safely(check)
    if not fix or found.mend is None or found.state == "ok":
        return found, None
    mend = found.mend
    done = _safely(lambda: ok(mend())).said
    return _safely(check), done


def _safely(check: Check) -> Finding:
    """Turn what goes wrong in a check into a finding; the driver's own words may hold what nobody should read."""
    try:
        return check()
    except (click.ClickException, EmbeddedUnavailable) as said:
        return problem(said.message if isinstance(said, click.ClickException) else str(said), "See what it says.")
    except psycopg.OperationalError:
        return problem(
            "the database does not answer, or not this login", "Start it, and check the CRM_…_URL settings."
        )
    except (psycopg.Error, OSError) as error:
        return problem(
            f"could not be checked ({type(error).__name__})", "Mend what is reported above, then run this again."
        )
