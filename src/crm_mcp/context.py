"""What a handler gets: a way to read, or a unit of work; nothing ambient, no commit."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .cursor import Cursors, Page
from .degraded import Degraded
from .embedding.embedder import Embedder
from .embedding.ngrams import HashedNgrams
from .principal import Principal
from .working.memory import Memory

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class Asks(Protocol):
    async def __call__(
        self, sql: str, params: Mapping[str, object], *, is_long: bool = False
    ) -> tuple[Any, ...] | None: ...


class Reports(Protocol):
    async def __call__(self, done: float, total: float, message: str) -> None: ...


async def nothing_remembered() -> Memory:
    """Recall nothing."""
    return Memory()


async def silent(done: float, total: float, message: str) -> None:
    """Tell nobody how far a call is."""


class Follows(Protocol):
    """Follows one draft: gives what returns once it may have changed, at the latest after so many seconds.

    Gives None where too many of the client's calls wait already.
    """

    def __call__(self, draft: int) -> AbstractAsyncContextManager[Callable[[float], Awaitable[None]] | None]: ...


class Found(Protocol):
    """What a query gave: its columns with their types, its rows, whether there were more, and of which moment."""

    @property
    def columns(self) -> Sequence[tuple[str, str]]: ...
    @property
    def rows(self) -> Sequence[Sequence[Any]]: ...
    @property
    def is_cut(self) -> bool: ...
    @property
    def as_of(self) -> datetime: ...


class Queries(Protocol):
    """Runs a judged statement as the login of free-form SQL and gives its first rows."""

    async def __call__(self, sql: str, params: Sequence[object], most: int) -> Found: ...


@dataclass(frozen=True, slots=True)
class Read:
    """A read's context. `one` asks a single statement and returns its first row; `progress` tells the client.

    `follow` waits for a draft without holding a connection. `query` runs what was judged by `query.grammar`; None where
    there is no login for it.
    """

    principal: Principal
    ask: Asks
    progress: Reports
    follow: Follows
    cursors: Cursors
    page_url: str
    query: Queries | None = None
    reports: Sequence[Any] = ()
    """Own reports from files (`reports.report.Report`), of whatever org: each says whose it is."""
    keeps: dict[str, Any] = field(default_factory=dict[str, Any])
    """What a tool keeps in this process for the next call, under its name; whoever keeps it bounds it."""
    embedder: Embedder = field(default_factory=HashedNgrams)
    degraded: Degraded = field(default_factory=Degraded)
    """Where a handler notes what it had to do without; every answer says it until it is back."""
    recall: Callable[[], Awaitable[Memory]] = nothing_remembered
    """Returns what this process and the store of working memory know of the principal; Postgres' rows are not in it."""
    may: Callable[[str], bool] = lambda tool: True
    """Says whether the principal may call a tool, in their usual list or not."""

    async def one(self, sql: str, **params: object) -> tuple[Any, ...] | None:
        """Return the first row; %(org)s and %(user)s are bound to the principal's."""
        return await self.ask(sql, {**params, "org": self.principal.org, "user": self.principal.user})

    async def long(self, sql: str, **params: object) -> tuple[Any, ...] | None:
        """Return the same of a statement that may take long: given up, it ends on the server at once."""
        bound = {**params, "org": self.principal.org, "user": self.principal.user}
        return await self.ask(sql, bound, is_long=True)

    def page(self, question: object, positions: list[Any]) -> Page:
        """Return where the list that answers a question goes on, by the positions of the rows found."""
        return Page(self.cursors, self.principal, question, positions)


class Revision(NamedTuple):
    """A held call after an edit: what it would do now, in which version, until when."""

    version: int
    expires: datetime
    did: str
    warnings: Sequence[str]


class Revises(Protocol):
    async def __call__(self, draft: int, arguments: Mapping[str, object], reason: str) -> Revision: ...


@dataclass(frozen=True, slots=True)
class Write:
    """A write's context: a session without commit or rollback, and the clock of the call (UTC).

    `revise` edits a held call of the principal's; None where a held call is run again. `progress` tells the client, where
    one waits for the call. `page_url` is where the approvals page is, empty where a held call is run again: there it is
    known to whoever looks.
    """

    principal: Principal
    now: datetime
    session: "AsyncSession"
    revise: Revises | None = None
    progress: Reports = silent
    page_url: str = ""
