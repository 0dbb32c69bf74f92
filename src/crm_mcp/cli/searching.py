"""How the index behind search_documents stands, at the terminal."""

import json
from typing import Any

import click

from ..config import Settings
from .session import database, run, signed_in

_LAG = "select behind, since, is_built, worked_at, clock_timestamp() from crm.search_lag()"
_WHO = click.option("--user", metavar="EMAIL", help="Who asks; else CRM_API_KEY says who.")
_ORG = click.option("--org", metavar="SLUG")


@click.group()
def search() -> None:
    """The index behind search_documents."""


@search.command()
@_WHO
@_ORG
@click.option("--json", "as_json", is_flag=True)
def status(user: str | None, org: str | None, as_json: bool) -> None:
    """Say how current the index is."""

    async def read() -> dict[str, Any]:
        known = Settings()
        async with database(known, "crm_agent") as db:
            who = await signed_in(db, known, user, org)
            row = await db.definer(who.org, _LAG, ())
            assert row is not None
            behind, since, is_built, worked, now = row
            return {
                "isBuilt": is_built,
                "behind": behind,
                "lagSeconds": int((now - since).total_seconds()) if since else 0,
                "indexedThrough": (since or now).isoformat(),
                "lastWorkedAt": worked.isoformat() if worked else None,
            }

    found = run(read())
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    click.echo("The index is built." if found["isBuilt"] else "The index is not built yet: the worker builds it.")
    click.echo(
        f"{found['behind']} changes behind, {found['lagSeconds']} s; current through {found['indexedThrough']}."
    )


@search.command()
@_WHO
@_ORG
def rebuild(user: str | None, org: str | None) -> None:
    """Have the worker build the index anew; until it has, the one there is answers."""

    async def ask() -> None:
        from ..search.indexer import rebuild as build_anew

        known = Settings()
        async with database(known, "crm_agent") as db:
            who = await signed_in(db, known, user, org)
        if who.role != "admin" or who.agent is not None:
            raise click.ClickException("An administrator does that.")
        async with database(known, "crm_worker") as db:
            await build_anew(db, who.org)

    run(ask())
    click.echo("The worker builds it anew.")
