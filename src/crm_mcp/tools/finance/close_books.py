"""The day through which nothing is posted any more."""

from datetime import date
from typing import ClassVar

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import settings
from crm_mcp.principal import Role
from crm_mcp.tool import Answer, Display, Effect, View, WriteArgs, tool


class CloseBooks(WriteArgs):
    through: date = Field(description="Last closed day.")


class BooksView(View):
    noun: ClassVar[str] = "books"
    nouns: ClassVar[str] = "books"

    closedThrough: date
    before: date | None = None


@tool(title="Close books", toolset="finance", roles={Role.ADMIN, Role.FINANCE}, effect=Effect.WRITE)
async def close_books(ctx: Write, args: CloseBooks) -> Answer[BooksView]:
    """Close the books through a day: no invoice, payment or credit note is posted then or before. Use when a month is
    done; an earlier day reopens."""
    closing = await settings.close_books(ctx, args.through)
    before, now = closing.before, closing.now
    warnings: list[str] = []
    if before is None or now > before:
        did = f"close the books through {now}" + (f" (now: {before})" if before else "")
    elif now == before:
        did = f"leave the books closed through {now}, as they are"
    else:
        did = f"reopen the books after {now}: they were closed through {before}"
        warnings.append(f"Days already closed, after {now} through {before}, can be posted on again.")
    view = BooksView(closedThrough=now, before=before)
    return Answer(view, Display(title="Closed books", subtitle=f"through {now}"), did=did, warnings=warnings)
