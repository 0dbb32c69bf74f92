"""API keys: how a client signs in where an e-mail address is not enough."""

import hashlib
import secrets
from typing import Any

import click

from ..config import Settings
from ..principal import Agent
from .session import listed, owner

_CREATE = """insert into crm.api_keys(digest, org_id, user_id, agent, name, expires_at)
 select %s, o.id, u.id, %s, %s, now() + make_interval(days => %s) from crm.orgs o, crm.users u, crm.memberships m
 where o.slug = %s and u.email_norm = lower(%s) and m.org_id = o.id and m.user_id = u.id and m.active returning id"""
_LIST = """select k.id, k.name, o.slug, u.email, k.agent, k.expires_at, k.revoked_at from crm.api_keys k
 join crm.orgs o on o.id = k.org_id join crm.users u on u.id = k.user_id order by k.id"""
_NAMES = ("id", "name", "org", "email", "agent", "expiresAt", "revokedAt")


@click.group()
def keys() -> None:
    """API keys, for CRM_API_KEY."""


@keys.command()
@click.option("--org", required=True, metavar="SLUG")
@click.option("--user", required=True, metavar="EMAIL", help="Whom the key stands for.")
@click.option("--agent", type=click.Choice([agent.value for agent in Agent]), help="Only as this agent of theirs.")
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="Good for so long.")
@click.argument("name")
def create(org: str, user: str, agent: str | None, days: int, name: str) -> None:
    """Make a key and print it, once: only its digest is kept."""
    key = "crm_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(hashlib.sha256(key.encode()).digest()).digest()
    with owner(Settings()) as conn:
        if conn.execute(_CREATE, (digest, agent, name, days, org, user)).fetchone() is None:
            raise click.ClickException(f"{user} is not in {org}.")
    click.echo(key)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """List keys, without what signs in."""
    with owner(Settings()) as conn:
        rows: list[dict[str, Any]] = [dict(zip(_NAMES, row, strict=True)) for row in conn.execute(_LIST).fetchall()]

    def line(row: dict[str, Any]) -> str:
        state = "revoked" if row["revokedAt"] else f"until {row['expiresAt']:%Y-%m-%d}"
        return f"{row['id']:4} {row['name']:20} {row['org']:12} {row['email']:28} {row['agent'] or '':10} {state}"

    listed(rows, as_json, line, "No keys.")


@keys.command()
@click.argument("number", type=int)
def revoke(number: int) -> None:
    """End a key at once for new connections; a running client's bound token lapses within the hour."""
    with owner(Settings()) as conn:
        done = conn.execute(
            "update crm.api_keys set revoked_at = coalesce(revoked_at, now()) where id = %s returning id", (number,)
        ).fetchone()
    if done is None:
        raise click.ClickException(f"There is no key {number}.")
    click.echo(f"Key {number} is revoked.")
