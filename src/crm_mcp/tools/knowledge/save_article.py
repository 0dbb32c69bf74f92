"""The org's knowledge base: an article written, changed or taken out; a person approves it."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import articles
from crm_mcp.crm.articles import LONGEST, Access
from crm_mcp.crm.titles import Title
from crm_mcp.errors import Refusal
from crm_mcp.principal import Role
from crm_mcp.tool import Answer, Display, Effect, Text, View, Words, WriteArgs, tool

DID = {True: "add the article", False: "change the article"}


class SaveArticle(WriteArgs):
    action: Literal["save", "archive"] = "save"
    article: Text | None = Field(None, max_length=60, description="art_…, to change or archive one.")
    title: Title | None = None
    body: Words | None = Field(None, max_length=LONGEST, description="Markdown or plain text.")
    tags: list[Words] | None = Field(None, max_length=40)
    access: Access | None = Field(None, description="Who reads it: everybody (org), `roles`, or admin.")
    roles: list[Role] | None = Field(None, max_length=5)
    source: Words | None = Field(None, max_length=400, description="Its file or address; saving it again changes it.")


class ArticleView(View):
    noun: ClassVar[str] = "article"
    nouns: ClassVar[str] = "articles"

    id: str
    title: str
    tags: list[str] | None = None
    access: str
    roles: list[str] | None = None
    source: str | None = None
    characters: int
    archived: bool | None = None


@tool(
    title="Save article",
    toolset="knowledge",
    roles={Role.ADMIN, Role.OPERATIONS, Role.SUPPORT},
    effect=Effect.WRITE,
)
async def save_article(ctx: Write, args: SaveArticle) -> Answer[ArticleView]:
    """Write an article of the org's knowledge base, change it or archive it. Use when somebody wants a text to be found
    by search_documents; for a note on a record use add_note. Held until a person approves it."""
    if args.action == "archive":
        if args.article is None:
            raise Refusal("INVALID_ARGUMENT", "The argument 'article' is required.", argument="article")
        found, did = await articles.archive(ctx, args.article), "archive the article"
    else:
        given: dict[str, Any] = {
            "title": args.title,
            "body": args.body,
            "tags": None if args.tags is None else sorted({tag.strip().lower() for tag in args.tags}),
            "access": args.access,
            "roles": None if args.roles is None else sorted({role.value for role in args.roles}),
            "source": args.source,
        }
        found, is_new = await articles.save(ctx, args.article, given)
        did = DID[is_new]
    view = ArticleView(
        id=ids.show("articles", found.id),
        title=found.title,
        tags=found.tags or None,
        access=found.access,
        roles=found.roles or None,
        source=found.source,
        characters=len(found.body),
        archived=True if found.archived_at else None,
    )
    readers = ", ".join(found.roles) if found.access == "roles" else found.access
    return Answer(view, Display(title=found.title[:80], badge=readers), did=f"{did} {found.title!r}")
