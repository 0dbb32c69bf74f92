"""API keys: how a client signs in where an e-mail address is not enough."""

import hashlib
import secrets
from pathlib import Path
from typing import Any

import click

from ..config import Settings
from ..principal import Agent
from . import membership
from .handing import reserved
from .inputs import NAME
from .session import listed, owner

_CREATE = """insert into crm.api_keys(digest, org_id, user_id, agent, name, expires_at)
 values (%s, %s, %s, %s, %s, clock_timestamp() + make_interval(days => %s)) returning id, expires_at"""
_LIST = """select k.id, k.name, o.slug, u.email, k.agent, k.created_at, k.expires_at, k.revoked_at, k.last_used_at,
  case when k.revoked_at is not null then 'revoked' when k.expires_at <= clock_timestamp() then 'expired'
   when not m.active then 'left' else 'live' end
 from crm.api_keys k join crm.orgs o on o.id = k.org_id join crm.users u on u.id = k.user_id
 left join crm.memberships m on m.org_id = k.org_id and m.user_id = k.user_id
 where %(org)s::text is null or o.slug = %(org)s order by k.id"""
_NAMES = ("id", "name", "org", "email", "agent", "createdAt", "expiresAt", "revokedAt", "lastUsedAt", "state")
_OLD = """select k.revoked_at is null and k.expires_at > clock_timestamp(), k.org_id, k.user_id, k.agent, k.name,
  greatest(1, ceil(extract(epoch from k.expires_at - k.created_at) / 86400))::int, m.active
 from crm.api_keys k join crm.memberships m on m.org_id = k.org_id and m.user_id = k.user_id where k.id = %s for update of k"""
_END_LATER = """update crm.api_keys set expires_at = least(expires_at, clock_timestamp() + make_interval(hours => %s))
 where id = %s returning expires_at"""
_END_NOW = "update crm.api_keys set revoked_at = clock_timestamp() where id = %s returning revoked_at"
_KEY_FILE = click.option(
    "--key-file",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the key into this new file, mode 0600, instead of printing it.",
)


@click.group()
def keys() -> None:
    """API keys, for CRM_API_KEY."""


@keys.command()
@click.option("--org", required=True, metavar="SLUG")
@click.option("--user", required=True, metavar="EMAIL", help="Whom the key stands for.")
@click.option("--agent", type=click.Choice([agent.value for agent in Agent]), help="Only as this agent of theirs.")
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="Good for so long.")
@_KEY_FILE
@click.argument("name", type=NAME)
def create(org: str, user: str, agent: str | None, days: int, file: Path | None, name: str) -> None:
    """Make a key and print it, once: only its digest is kept."""
    key, digest = _new()
    with reserved(file) as write:
        with owner(Settings()) as conn:
            found = membership.org_of(conn, org)
            one = membership.member(conn, found, user)
            if not one.active:
                raise click.ClickException(f"{one.email} has not taken up the invitation to {org} yet.")
            made = conn.execute(_CREATE, (digest, found.id, one.user, agent, name, days)).fetchone()
            assert made is not None
        _tell(key, file, write, f"Key {made[0]} is good until {made[1]:%Y-%m-%d}.")


@keys.command("list")
@click.option("--org", metavar="SLUG", help="Only of this org.")
@click.option("--json", "as_json", is_flag=True)
def list_(org: str | None, as_json: bool) -> None:
    """List keys, without what signs in; when each signed in last is true to the minute."""
    with owner(Settings()) as conn:
        rows: list[dict[str, Any]] = [
            dict(zip(_NAMES, row, strict=True)) for row in conn.execute(_LIST, {"org": org}).fetchall()
        ]

    def line(row: dict[str, Any]) -> str:
        state = f"until {row['expiresAt']:%Y-%m-%d}" if row["state"] == "live" else row["state"]
        used = f"last used {row['lastUsedAt']:%Y-%m-%d %H:%M}" if row["lastUsedAt"] else "never used"
        return f"{row['id']:4} {row['name']:20} {row['org']:12} {row['email']:28} {row['agent'] or '':10} {state:16} {used}"

    listed(rows, as_json, line, "No keys.")


@keys.command()
@click.argument("number", type=int)
def revoke(number: int) -> None:
    """End a key at once: a running client loses it with its next call."""
    with owner(Settings()) as conn:
        done = _asked(
            conn,
            "update crm.api_keys set revoked_at = coalesce(revoked_at, clock_timestamp()) where id = %s returning id",
            number,
        )
    if done is None:
        raise _no_key(number)
    click.echo(f"Key {number} is revoked.")


@keys.command()
@click.option(
    "--overlap-hours", "overlap", type=click.IntRange(0, 720), default=0, show_default=True,
    help="The old key works on for so long.",
)  # fmt: skip
@_KEY_FILE
@click.argument("number", type=int)
def rotate(overlap: int, file: Path | None, number: int) -> None:
    """Make a new key for the same person, agent and name, good for as long as the old one was; the old one ends."""
    key, digest = _new()
    with reserved(file) as write:
        with owner(Settings()) as conn:
            old = _asked(conn, _OLD, number)
            if old is None:
                raise _no_key(number)
            lives, org, user, agent, name, days, is_active = old
            if not lives or not is_active:
                raise click.ClickException(f"Key {number} has ended; make a new one with `crm-mcp keys create`.")
            made = conn.execute(_CREATE, (digest, org, user, agent, name, days)).fetchone()
            ended = conn.execute(_END_LATER, (overlap, number)) if overlap else conn.execute(_END_NOW, (number,))
            ends = ended.fetchone()
            assert made is not None and ends is not None
        until = f"works until {ends[0]:%Y-%m-%d %H:%M %Z}" if overlap else "is revoked"
        _tell(key, file, write, f"Key {made[0]} takes the place of {number}, which {until}.")


def _asked(conn: membership.Connection, statement: str, number: int) -> tuple[Any, ...] | None:
    """Ask about a key; a number larger than can be stored is nobody's."""
    return conn.execute(statement.encode(), (number,)).fetchone() if 0 < number < 2**63 else None


def _new() -> tuple[str, bytes]:
    """Return a new key and what of it is stored: the digest of what a client sends, which is a digest itself."""
    key = "crm_" + secrets.token_urlsafe(32)
    return key, hashlib.sha256(hashlib.sha256(key.encode()).digest()).digest()


def _tell(key: str, file: Path | None, write: Any, said: str) -> None:
    """Print the key alone on the standard output, or say in which file it is."""
    if file is None:
        click.echo(key)
    else:
        write(key)
    click.echo(said + ("" if file is None else f" It is in {file}."), err=file is None)


def _no_key(number: int) -> click.ClickException:
    return click.ClickException(f"There is no key {number}. `crm-mcp keys list` shows which there are.")
