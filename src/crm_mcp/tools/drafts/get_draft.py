"""One draft: whether it waits, who decided, what came of it."""

import json
import time
from typing import Any

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import drafts
from crm_mcp.crm.drafts import DraftView
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, tool

BEAT = 5.0
"""Seconds after which a waiting call looks whether or not it heard of a change: news may be lost, a draft expires."""
SQL = f"""select {drafts.ROW}, {drafts.CARD}
 from {drafts.JOINED} where {drafts.MINE} and d.id = %(id)s"""


class GetDraft(Args):
    draft: Text = Field(max_length=60, description="draft_…")
    wait_seconds: int = Field(0, ge=0, le=30)


@tool(
    title="Get draft",
    toolset="drafts",
    roles=EVERYONE,
    effect=Effect.READ,
    agents=set(Agent) - {Agent.TRIAGE},
)
async def get_draft(ctx: Read, args: GetDraft) -> Answer[DraftView]:
    """Show one draft: its state, who decided and why, what it became, whether its e-mail was sent. Use after an
    approval_required answer; wait_seconds waits for the decision. For all use list_drafts."""
    row = await _row(ctx, args)
    if args.wait_seconds and row[0]["state"] == "pending":
        row = await _decided(ctx, args, row)
    record, card, arguments, shown = row
    meta = {"reviewUrl": f"{ctx.page_url}/drafts/{args.draft}"} if record["state"] == "pending" else {}
    card = record | card | {"arguments": json.loads(arguments), "record": json.loads(shown or "null")}
    return Answer(record, Display(title=record["summary"], badge=record["state"]), meta, card=card)


async def _row(ctx: Read, args: GetDraft) -> tuple[Any, ...]:
    number = ids.parse("drafts", args.draft)
    row = await ctx.one(SQL, id=number, all=drafts.sees_all(ctx.principal), currency=ctx.principal.currency)
    if row is None:
        raise drafts.not_found(args.draft)
    return row


async def _decided(ctx: Read, args: GetDraft, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the draft once it is decided, at the latest after `wait_seconds`; no connection is held meanwhile."""
    until = time.monotonic() + args.wait_seconds
    async with ctx.follow(ids.parse("drafts", args.draft)) as changed:
        while changed and row[0]["state"] == "pending" and (left := until - time.monotonic()) > 0:
            await ctx.progress(args.wait_seconds - left, args.wait_seconds, "waiting for a person to decide")
            await changed(min(left, BEAT))
            row = await _row(ctx, args)
    return row
