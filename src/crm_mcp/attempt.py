"""Run a write's handler in a savepoint and say what it did; the agent's call and the approver's re-run share it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from .audit import Call, Statement
from .changes import MOST, READ, ChangeSet
from .context import Reports, Revises, Write, silent
from .crm.models import references
from .envelope import plain
from .pipelined import together
from .tool import Answer, Args, Tool


@dataclass(slots=True)
class Attempt:
    """A handler's answer and its recorded effects, not yet kept."""

    answer: Answer[Any]
    changes: ChangeSet
    asked: Sequence[Any]
    """The rows of what was asked besides, when the effects were there to be seen."""
    _session: AsyncSession

    @property
    def shown(self) -> dict[str, Any]:
        """What a person is shown: the view with new ids as "(new …)", and the sentence."""
        return self.changes.shown({"record": plain(self.answer.record), "did": self.answer.did})

    @property
    def warnings(self) -> list[str]:
        """What whoever decides should know, as of this run."""
        return list(self.changes.shown(list(self.answer.warnings)))

    async def keep(self) -> None:
        """Finish what was left until the call is let run, and release the savepoint."""
        if self.answer.finish is not None:
            self.answer = await self.answer.finish()
            await self._session.flush()
        await self._session.commit()

    async def undo(self) -> None:
        """Roll back to the savepoint."""
        await self._session.rollback()


@asynccontextmanager
async def attempt(
    conn: AsyncConnection,
    call: Call,
    tool: Tool,
    args: Args,
    now: datetime,
    *asking: Statement,
    revise: Revises | None = None,
    progress: Reports = silent,
    page_url: str = "",
) -> AsyncGenerator[Attempt]:
    """Run a handler; left without `keep`, its effects are undone.

    `asking` is asked in the round trip that reads the effects.
    """
    async with AsyncSession(bind=conn, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
        answer = await tool.handler(Write(call.principal, now, session, revise, progress, page_url), args)
        await session.flush()
        read = READ, (call.principal.org, call.id, MOST + 1)
        ((recorded,),), *asked = await together(await session.connection(), read, *asking)
        yield Attempt(answer, ChangeSet.of(recorded, references(), now), asked, session)
