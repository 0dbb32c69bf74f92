"""Drafts, newest first."""

from typing import Literal

from pydantic import Field

from crm_mcp.context import Read
from crm_mcp.crm import drafts
from crm_mcp.crm.drafts import DraftView
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, tool

State = Literal["pending", "approved", "rejected", "discarded", "expired", "stale", "failed", "superseded", "all"]
FILTER = f"{drafts.MINE} and (%(state)s = 'all' or {drafts.STATE} = %(state)s)"
SQL = f"""with page as (select d.* from crm.drafts d where {FILTER} and (%(after)s::bigint is null or d.id < %(after)s)
   order by d.id desc limit %(most)s)
 select (select coalesce(jsonb_agg({drafts.ROW} order by d.id desc), '[]') from
   {drafts.JOINED.replace("crm.drafts d", "page d")}),
  (select count(*) from crm.drafts d where {FILTER}), (select coalesce(jsonb_agg(jsonb_build_array(d.id) order by d.id desc), '[]') from page d)"""


class ListDrafts(Args):
    state: State = "pending"
    limit: int = Field(10, ge=1, le=50)
    cursor: Text | None = Field(None, max_length=300)


@tool(
    title="List drafts",
    toolset="drafts",
    roles=EVERYONE,
    effect=Effect.READ,
    agents=set(Agent) - {Agent.TRIAGE, Agent.SALES},
)
async def list_drafts(ctx: Read, args: ListDrafts) -> Answer[list[DraftView]]:
    """List your drafts, newest first: what waits for a person, or was decided. Use when asked what is pending; for one use get_draft."""
    question = ["list_drafts", args.state]
    (after,) = ctx.cursors.open(ctx.principal, question, args.cursor) if args.cursor else [None]
    row = await ctx.one(
        SQL,
        state=args.state,
        after=after,
        most=args.limit + 1,
        all=drafts.sees_all(ctx.principal),
        currency=ctx.principal.currency,
    )
    assert row is not None
    found, total, positions = row
    meta: dict[str, object] = {"total": total, "reviewUrl": ctx.page_url}
    page = ctx.page(question, positions)
    return Answer(found[: args.limit], Display(title=f"{total} drafts", subtitle=args.state), meta, after=page.after)
