"""What commands share: the configured database as one of its logins, and an error as a sentence."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import click
import psycopg
from pydantic import SecretStr

from .. import auth, revision
from ..config import Settings
from ..db import Database
from ..embedded import EmbeddedUnavailable, Home, Lease, join
from ..errors import refusal_for
from ..principal import Principal

T = TypeVar("T")
NO_KEY = "Say who asks by an API key in CRM_API_KEY; `crm-mcp keys create` makes one."
ADDRESS_ALONE = (
    "On a real database an e-mail address alone signs nobody in. Leave --user and --org away and set CRM_API_KEY: "
    "`crm-mcp keys create` makes a key."
)
"""What is said wherever an address is given and more is needed."""


def lease(known: Settings) -> Lease | None:
    """Hold the embedded server; None with a real one."""
    if not known.is_embedded:
        return None
    try:
        return join(
            Home(known.home),
            revision=revision.CURRENT,
            oldest=revision.OLDEST_CLIENT,
            idle=known.idle,
            other_build=known.pg_bin,
        )
    except EmbeddedUnavailable as problem:
        raise click.ClickException(str(problem)) from None


def conninfo(known: Settings, role: str) -> str:
    """Return how to connect as a login.

    Raises:
        ClickException: a real server without that login's URL.
    """
    if known.is_embedded:
        return Home(known.home).conninfo(role)
    urls: dict[str, tuple[str, SecretStr | None]] = {
        "crm_agent": ("CRM_DATABASE_URL", known.database_url),
        "crm_approver": ("CRM_APPROVER_URL", known.approver_url),
        "crm_owner": ("CRM_OWNER_URL", known.owner_url),
        "crm_worker": ("CRM_WORKER_URL", known.worker_url),
    }
    name, url = urls[role]
    if url is None:
        raise click.ClickException(f"Set {name}: this needs the login {role}.")
    return url.get_secret_value()


@asynccontextmanager
async def database(known: Settings, role: str) -> AsyncGenerator[Database]:
    """Connect as a login for the length of a command."""
    held = await asyncio.to_thread(lease, known)
    db = Database(conninfo(known, role))
    try:
        yield db
    finally:
        await db.close()
        if held is not None:
            held.close()


@contextmanager
def owner(known: Settings) -> Generator[psycopg.Connection[Any]]:
    """One transaction of crm_owner, for people and orgs; commits at the end."""
    held = lease(known)
    try:
        with psycopg.connect(conninfo(known, "crm_owner")) as conn:
            yield conn
    finally:
        if held is not None:
            held.close()


async def signed_in(db: Database, known: Settings, email: str | None, org: str | None) -> Principal:
    """Sign in whom an API key names, or an address, which is enough on the embedded database alone.

    Raises:
        ClickException: neither, or an address beside a key or on a real database.
    """
    if known.api_key is not None:
        if email or org:
            raise click.ClickException("CRM_API_KEY says who asks; leave --user and --org away.")
        return await db.sign_in(auth.by_key(known.api_key.get_secret_value()))
    if not known.is_embedded:
        raise click.ClickException(ADDRESS_ALONE if email or org else NO_KEY)
    if email is None:
        raise click.ClickException("Say who asks: --user EMAIL, or an API key in CRM_API_KEY.")
    return await db.sign_in(auth.by_email(email, org))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work; an expected no becomes a sentence."""
    try:
        return asyncio.run(work)
    except Exception as problem:
        cause = _alone_in(problem)
        if isinstance(cause, click.ClickException):
            raise cause from None
        if (refusal := refusal_for(cause)) is None:
            raise
        raise click.ClickException(refusal.hint) from None


def _alone_in(problem: Exception) -> Exception:
    """Return the one problem inside nested task groups."""
    inside: Sequence[Exception] = getattr(problem, "exceptions", ())
    return _alone_in(inside[0]) if len(inside) == 1 else problem


def listed(rows: list[dict[str, Any]], as_json: bool, line: Callable[[dict[str, Any]], str], empty: str) -> None:
    """Print a listing for a person, or as JSON."""
    if as_json:
        click.echo(json.dumps(rows, default=str, ensure_ascii=False, indent=1))
    elif not rows:
        click.echo(empty)
    else:
        for row in rows:
            click.echo(line(row))
