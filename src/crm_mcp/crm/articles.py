"""Articles of the org's knowledge base: what everybody, some roles or administrators alone may read."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from sqlalchemy import or_, select
from sqlalchemy.sql.elements import ColumnElement

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..principal import Principal, Role
from .models import Article

Access = Literal["org", "roles", "admin"]
ACCESS: tuple[Access, ...] = get_args(Access)
LONGEST = 200_000
"""Characters of an article; a longer text is several."""


def may_read(who: Principal) -> ColumnElement[bool]:
    """Return the condition that somebody may read an article, as `subjects.article_visible_sql` says it."""
    if who.role is Role.ADMIN:
        return Article.access.is_not(None)
    listed = Article.roles.contains([who.role.value])  # pyright: ignore[reportAttributeAccessIssue] jsonb's
    return or_(Article.access == "org", (Article.access == "roles") & listed)


async def save(ctx: Write, article: str | None, given: Mapping[str, Any]) -> tuple[Article, bool]:
    """Make an article, or change the one with an id or else the same source; say whether it is new.

    `given` holds title, body, tags, access, roles and source, as far as they are said.

    Raises:
        Refusal: INVALID_ID, ARTICLE_NOT_FOUND, INVALID_ARGUMENT, NOTHING_TO_CHANGE.
    """
    said = {name: value for name, value in given.items() if value is not None}
    found = await (_of_source(ctx, said.get("source")) if article is None else find(ctx, article))
    if found is None:
        for name in ("title", "body"):
            if name not in said:
                raise Refusal("INVALID_ARGUMENT", f"The argument {name!r} is required.", argument=name)
        made = Article(org_id=ctx.principal.org, **{"access": "org", **said})
        _check(ctx.principal, made.access, said.get("roles", []))
        ctx.session.add(made)
        await ctx.session.flush()
        return made, True
    if said.get("access", "roles") != "roles":
        said["roles"] = []
    _check(ctx.principal, said.get("access", found.access), said.get("roles", found.roles))
    changed = {name: value for name, value in said.items() if getattr(found, name) != value}
    if not changed:
        raise Refusal("NOTHING_TO_CHANGE", "The article says so already.", id=ids.show("articles", found.id))
    for name, value in changed.items():
        setattr(found, name, value)
    await ctx.session.flush()
    return found, False


async def archive(ctx: Write, article: str) -> Article:
    """Take an article out of the knowledge base.

    Raises:
        Refusal: INVALID_ID, ARTICLE_NOT_FOUND.
    """
    found = await find(ctx, article)
    found.archived_at = ctx.now
    await ctx.session.flush()
    return found


async def find(ctx: Write, article: str) -> Article:
    """Return the article with an id, if they may read it and it is not archived.

    Raises:
        Refusal: INVALID_ID, ARTICLE_NOT_FOUND.
    """
    number = ids.parse("articles", article)
    found = await _one(ctx, Article.id == number)
    if found is None:
        hint = "There is no such article. Find its id with search_documents."
        raise Refusal("ARTICLE_NOT_FOUND", hint, searchedId=article[:60])
    return found


async def _of_source(ctx: Write, source: str | None) -> Article | None:
    return None if source is None else await _one(ctx, Article.source == source)


async def _one(ctx: Write, which: ColumnElement[bool]) -> Article | None:
    asked = select(Article).where(
        Article.org_id == ctx.principal.org, Article.archived_at.is_(None), which, may_read(ctx.principal)
    )
    return (await ctx.session.execute(asked.order_by(Article.id).limit(1))).scalar_one_or_none()


def _check(who: Principal, access: str, roles: Sequence[str]) -> None:
    """Refuse an access level that says nothing, or that would hide the article from whoever writes it."""
    if (access == "roles") != bool(roles):
        raise Refusal("INVALID_ARGUMENT", "roles: name them with access roles, and only then.", argument="roles")
    if who.role is not Role.ADMIN and access != "org" and who.role.value not in roles:
        hint = f"access: you would not see it yourself. Include your own role, {who.role.value}."
        raise Refusal("INVALID_ARGUMENT", hint, argument="access")
