"""A client's wish to be told of drafts: checked like a read of them, and honored as far as something can change."""

import mcp.types as t
from mcp.server.context import ServerRequestContext

from .app import App
from .call import read_resource
from .context import Read
from .crm import drafts
from .errors import Refusal
from .standing import MembershipChanged
from .updates import Updates, draft_of

SEES = f"select 1 from crm.drafts d where {drafts.MINE} and d.id = %(id)s"
_FOLLOWS = "crm follows"
"""Marks a connection whose end is watched already."""
Context = ServerRequestContext[dict[str, object]]


async def subscribe(app: App, ctx: Context, uri: str) -> None:
    """Tell this connection of a draft, or of all of the principal's, from now on.

    Raises:
        Refusal: RESOURCE_NOT_FOUND, DRAFT_NOT_FOUND, INVALID_ID, TOO_MANY_SUBSCRIPTIONS, DATABASE_UNAVAILABLE.
    """
    await _seen(app, uri)
    updates = await _updates(app)
    connection = ctx.session._connection  # pyright: ignore[reportPrivateUsage] the SDK shows handlers no other way to its end
    updates.subscribe(uri, connection, ctx.session)
    if _FOLLOWS not in connection.state:
        connection.state[_FOLLOWS] = True
        connection.exit_stack.callback(updates.forget, connection)
    try:
        await updates.hear()
    except Refusal:
        updates.unsubscribe(uri, connection)
        raise


def unsubscribe(app: App, ctx: Context, uri: str) -> None:
    if app.updates is not None:
        app.updates.unsubscribe(uri, ctx.session._connection)  # pyright: ignore[reportPrivateUsage] as above


async def honored(app: App, asked: t.SubscriptionFilter) -> t.SubscriptionFilter:
    """Return what of a filter will be told: changed tools and prompts, and drafts that the principal may see.

    No other list of this server changes, so nothing else is promised.
    """
    uris: list[str] = []
    for uri in dict.fromkeys((asked.resource_subscriptions or [])[:500]):
        try:
            await _seen(app, uri)
        except Refusal as no:
            if not (no.error.endswith("NOT_FOUND") or no.error == "INVALID_ID"):
                raise
        else:
            uris.append(uri)
    return t.SubscriptionFilter(
        tools_list_changed=asked.tools_list_changed,
        prompts_list_changed=asked.prompts_list_changed,
        resource_subscriptions=uris or None,
    )


async def listen(app: App, ctx: Context, asked: t.SubscriptionFilter) -> t.SubscriptionsListenResult:
    """Serve one stream of what was asked, until the client ends it."""
    updates, uris = await _updates(app), asked.resource_subscriptions or []
    with updates.streaming(uris):
        if uris:
            await updates.hear()
        return await updates.listen(ctx, t.SubscriptionsListenRequestParams(notifications=asked))


async def _seen(app: App, uri: str) -> None:
    """See that something may be followed, with an audit row as for reading it."""
    draft = draft_of(uri)

    async def look(reads: Read) -> None:
        if draft is not None:
            row = await reads.one(SEES, id=draft, all=drafts.sees_all(reads.principal))
            if row is None:
                raise drafts.not_found(uri)

    async def silent(done: float, total: float, message: str) -> None:
        return None

    await read_resource(app, uri, {"subscribe": True}, look, silent)


async def _updates(app: App) -> Updates:
    if app.updates is None:
        who, db = await app.principal(), await app.db()

        async def sees(draft: int) -> bool:
            try:
                return await _sees(app, draft)
            except MembershipChanged:
                await app.renew_principal()
                return await _sees(app, draft)

        app.updates = Updates(who.org, db.news, sees)
    return app.updates


async def _sees(app: App, draft: int) -> bool:
    """Say whether the principal may see a draft, by the rights of now; nothing of it is read."""
    who, db = await app.principal(), await app.db()
    asked = {"org": who.org, "user": who.user, "all": drafts.sees_all(who), "id": draft}
    row, _ = await db.one(who, SEES, asked, None, app.client.seen)
    return row is not None
