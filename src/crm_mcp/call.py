"""One tool call, start to finish: a read here, a write in write.py, which is imported on the first."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar

import anyio

from . import audit, envelope, hooks, preferring
from .app import App
from .audit import Call
from .context import Found, Read, Reports
from .envelope import Envelope
from .errors import Refusal, UnknownTool, refusal_for
from .log import logger
from .news import Changed
from .preferring import Meant
from .rates import RateLimited
from .standing import MembershipChanged, Standing
from .tool import Args, Effect, Tool, WriteArgs

T = TypeVar("T")


async def call(app: App, name: str, raw: Mapping[str, Any], progress: Reports) -> Envelope:
    """Answer one call of the served principal; every problem becomes an envelope, and every call an audit row.

    Raises:
        UnknownTool: no such tool for this principal.
    """
    try:
        principal = await app.principal()
    except Exception as problem:
        return _unaudited(problem, name)
    this = Call(principal, name, raw, client=app.client.name)
    try:
        await app.pace(this)
        return await _with_rights_of_now(app, this, lambda: _answer(app, this, progress))
    except Exception as problem:
        refusal = refusal_for(problem)
        if refusal is None:
            logger().error("call crashed", call=this.id, tool=name[:100], exc_info=problem)
        await _record_refused(app, this, refusal)
        if isinstance(refusal, UnknownTool):
            raise refusal from None
        return envelope.refused(refusal) if refusal else envelope.crashed(this.id)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await _record(app, this, "CANCELLED")
        raise


async def _with_rights_of_now(app: App, this: Call, work: Callable[[], Awaitable[T]]) -> T:
    """Do the work; where the principal's rights turn out to have changed, sign in anew and start over with them."""
    try:
        return await work()
    except MembershipChanged:
        this.is_begun = True  # nobody finds that out before the begun row is committed
        await app.renew_principal()
        this.principal = await app.principal()
        return await work()


async def _answer(app: App, this: Call, progress: Reports) -> Envelope:
    tool = app.catalog.find(this.tool, this.principal)
    meant = await _meant(app, this, tool, progress)
    for hook in hooks.BEFORE:
        await hook(this, tool, meant.args)
    if tool.effect is Effect.READ:
        answered = await _read(app, this, tool, meant, progress)
    else:
        answered = await _write(app, this, tool, meant.args, progress)
    for hook in hooks.AFTER:
        await hook(app, this, tool, answered)
    return answered.saying(app.degraded.meta())


async def _meant(app: App, this: Call, tool: Tool, progress: Reports) -> Meant:
    """Return the arguments, as the person means them where that is known: of some lists, and never of a write."""
    if not preferring.may_be_meant(tool):
        return Meant(tool.parse(this.raw))
    found, _ = await reading(app, this, progress, lambda ctx: preferring.meant(ctx, tool, dict(this.raw)))
    this.is_begun = True
    return found


async def _write(app: App, this: Call, tool: Tool, args: Args, progress: Reports) -> Envelope:
    assert isinstance(args, WriteArgs)
    if tool.each is not None and len(getattr(args, tool.each)) > 1:
        from .each import write_each

        return await write_each(app, this, tool, args, lambda one, work: _with_rights_of_now(app, one, work))
    from .write import write

    return await write(app, this, tool, args, progress)


async def _read(app: App, this: Call, tool: Tool, meant: Meant, progress: Reports) -> Envelope:
    answer, standing = await reading(app, this, progress, lambda ctx: tool.handler(ctx, meant.args))
    standing = app.client.fresh(standing)
    app.client.heard(standing)
    await app.audit_ended(this, audit.ended(this, "run", "ok", audit.ids_of(answer.record)))
    for statement in (*preferring.used(this.principal, meant.wishes), *answer.beside):
        await app.audit_ended(this, statement)
    return envelope.result(tool, answer, standing.meta() | meant.meta())


async def reading(
    app: App, this: Call, progress: Reports, handler: Callable[[Read], Awaitable[T]]
) -> tuple[T, Standing]:
    """Run what reads, its begun row before its first statement; return what it found and where the principal stands.

    Raises:
        MembershipChanged: the principal's rights have changed; what was read is thrown away.
    """
    db = await app.db()
    begun: audit.Statement | None = None if this.is_begun else audit.begun(this)
    standing: Standing | None = None

    async def ask(sql: str, params: Mapping[str, object], *, is_long: bool = False) -> tuple[Any, ...] | None:
        nonlocal begun, standing
        row, standing = await db.one(this.principal, sql, params, begun, app.client.seen, is_long=is_long)
        begun = None
        return row

    def follow(draft: int) -> AbstractAsyncContextManager[Changed | None]:
        return app.waits.following(db.news(), this.principal.org, draft)

    async def query(sql: str, params: Sequence[object], most: int) -> Found:
        assert app.queries is not None
        return await app.queries.run(this.principal, sql, params, most)

    queries = query if app.queries is not None else None
    ctx = Read(
        this.principal,
        ask,
        progress,
        follow,
        app.cursors,
        app.page_url(),
        queries,
        app.reports,
        app.keeps,
        app.embedder,
        app.degraded,
        partial(app.recall, this.principal),
        partial(app.may, this.principal),
    )
    found = await handler(ctx)
    if standing is None:
        await ask("select 1", {})
    assert standing is not None
    return found, standing


async def read_resource(
    app: App,
    uri: str,
    raw: Mapping[str, Any],
    handler: Callable[[Read], Awaitable[T]],
    progress: Reports,
    method: str = "resources/read",
) -> T:
    """Read what is no tool (a resource, a completion, a prompt), audited like a tool under the method's name.

    Raises:
        Refusal: an expected no; other exceptions are logged here and must not reach the client with their text.
    """
    this = Call(await app.principal(), method, {"uri": uri[:500], **raw}, client=app.client.name)
    try:
        await app.pace(this)
        found, _ = await _with_rights_of_now(app, this, lambda: reading(app, this, progress, handler))
    except Exception as problem:
        refusal = refusal_for(problem)
        if refusal is None:
            logger().error("resource crashed", call=this.id, uri=uri[:200], exc_info=problem)
        await _record_refused(app, this, refusal)
        raise
    await app.audit_ended(this, audit.ended(this, "run", "ok"))
    return found


async def _record_refused(app: App, this: Call, refusal: Refusal | None) -> None:
    """Leave the row of a call that was refused or crashed; of a flood of calls only the first has one of its own."""
    if not isinstance(refusal, RateLimited) or refusal.is_told:
        await _record(app, this, refusal.error if refusal else "INTERNAL")


async def _record(app: App, this: Call, outcome: str) -> None:
    """Leave the row of a call that was refused, crashed or cancelled; where even that fails, say so in the log."""
    try:
        await (await app.db()).alone(this.principal.org, audit.refused(this, outcome))
    except Exception:
        logger().error("audit row lost", call=this.id, tool=this.tool[:100], outcome=outcome)


def _unaudited(problem: Exception, name: str) -> Envelope:
    """Answer a call made before anybody could be signed in: there is no org whose audit could hold it."""
    refusal = refusal_for(problem)
    if refusal is None:
        logger().error("sign-in crashed", tool=name[:100], exc_info=problem)
        refusal = Refusal("SIGN_IN_FAILED", "Something went wrong while signing in. See the server's log.")
    return envelope.refused(refusal)
