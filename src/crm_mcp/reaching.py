"""How a process reaches the database that is configured, and how people and clients reach what is here."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from . import ids, revision
from .approvals.whereabouts import Whereabouts
from .config import Settings
from .db import Database
from .errors import DatabaseFull, SignInFailed
from .queries import Queries

if TYPE_CHECKING:
    from .embedded import Lease


class Connector:
    """Connects to the configured database; holds the lease while the embedded one is used."""

    def __init__(self, settings: Settings, size: int = 4) -> None:
        """`size` is how many connections reads may have, and writes."""
        self._settings, self._size = settings, size
        self._lease: Lease | None = None
        self._rejoining = asyncio.Lock()

    async def __call__(self) -> Database:
        if self._settings.database_url is not None:
            return Database(self._settings.database_url.get_secret_value(), size=self._size)
        from .embedded import Home

        home = Home(self._settings.home)
        self._lease = await asyncio.to_thread(_join, home, self._settings)
        return Database(home.conninfo("crm_agent"), size=self._size, revive=self._rejoin)

    async def _rejoin(self) -> None:
        """Have the embedded server run again, whatever ended it."""
        from .embedded import Home

        async with self._rejoining:
            home = Home(self._settings.home)
            before, self._lease = self._lease, await asyncio.to_thread(_join, home, self._settings)
            if before is not None:
                before.close()

    def release(self) -> None:
        if self._lease is not None:
            self._lease.close()


def _join(home: object, settings: Settings) -> "Lease":
    from .embedded import EmbeddedDiskFull, EmbeddedUnavailable, Home, join

    assert isinstance(home, Home)
    try:
        return join(
            home,
            revision=revision.CURRENT,
            oldest=revision.OLDEST_CLIENT,
            idle=settings.idle,
            other_build=settings.pg_bin,
        )
    except EmbeddedDiskFull as problem:
        raise DatabaseFull from problem
    except EmbeddedUnavailable as problem:
        raise SignInFailed(str(problem)) from problem


def queries_of(settings: Settings, agent: Callable[[], Awaitable[Database]]) -> Queries | None:
    """Return what runs free-form SQL; None where there is no login for it, or no grammar to judge it by."""
    if find_spec("postgast") is None:
        return None
    if settings.query_url is not None:
        return Queries(settings.query_url.get_secret_value(), agent)
    if not settings.is_embedded:
        return None
    from .embedded import Home

    home = Home(settings.home)
    return Queries(lambda: home.conninfo("crm_query"), agent)


def page_url(settings: Settings) -> Callable[[], str]:
    """Return where people approve: as configured, else where `up` stored its port, else the usual place."""

    configured, follow = settings.approvals_url, Whereabouts.follow(settings.home)
    return lambda: (configured or follow().origin).rstrip("/")


def server_entry(words: Sequence[str], chosen_home: str | None, command: str = "serve") -> dict[str, Any]:
    """Return how a client starts this very installation; the home is named only where it was chosen.

    It names this interpreter, since a client's PATH is not a shell's, and -P keeps modules from being found in the
    folder that the client starts it in, which is whatever project is open.
    """
    entry: dict[str, Any] = {"command": sys.executable, "args": ["-P", "-m", "crm_mcp", command, *words]}
    if chosen_home:
        entry["env"] = {"CRM_HOME": chosen_home}
    return entry


class Doorbell:
    """Rings once, when something waits for the first time: a process of its own sees to the page and the browser.

    The link that signs a person in is made there, with a secret that this process never reads.
    """

    def __init__(self, user: str, org: str | None, when: str) -> None:
        self._words = ["open", "--quiet", "--user", user, *(["--org", org] if org else [])]
        self._rung = when == "never"

    def __call__(self, draft: int) -> None:
        if self._rung:
            return
        self._rung = True
        subprocess.Popen(
            [sys.executable, "-P", "-m", "crm_mcp", *self._words, "--draft", ids.show("drafts", draft)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
