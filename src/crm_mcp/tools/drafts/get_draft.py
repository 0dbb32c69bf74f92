"""One draft: whether it waits, who decided, what came of it."""

import json
import time

import anyio
from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Read
from crm_mcp.crm import drafts
from crm_mcp.crm.drafts import DraftView
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Args, Display, Effect, Text, tool

SQL = f"""select {drafts.ROW}, {drafts.CARD}
 from {drafts.JOINED} where {drafts.MINE} and d.id = %(id)s"""


class GetDraft(Args):
    draft: Text = Field(max_length=60, description="draft_…")
    wait_seconds: int = Field(0, ge=0, le=30, description="Wait this long for a decision.")


@tool(
    title="Get draft",
    toolset="drafts",
    roles=EVERYONE,
    effect=Effect.READ,
    agents=set(Agent) - {Agent.TRIAGE},
)
async def get_draft(ctx: Read, args: GetDraft) -> Answer[DraftView]:
    """Show one draft: its state, who decided it and why, and the id of what it became; of an e-mail, whether it was sent. Use after an approval_required
    answer; wait_seconds waits for the decision. For all of them use list_drafts."""
    number, until = ids.parse("drafts", args.draft), time.monotonic() + args.wait_seconds
    pause = 0.2
    while True:
        row = await ctx.one(SQL, id=number, all=drafts.sees_all(ctx.principal), currency=ctx.principal.currency)
        if row is None:
            raise drafts.not_found(args.draft)
        left = until - time.monotonic()
        if row[0]["state"] != "pending" or left <= 0:
            break
        await ctx.progress(args.wait_seconds - left, args.wait_seconds, "waiting for a person to decide")
        await anyio.sleep(min(pause, left))
        pause = min(pause * 1.5, 1.0)
    record, card, arguments, shown = row
    meta = {"reviewUrl": f"{ctx.page_url}/drafts/{args.draft}"} if record["state"] == "pending" else {}
    card = record | card | {"arguments": json.loads(arguments), "record": json.loads(shown or "null")}
    return Answer(record, Display(title=record["summary"], badge=record["state"]), meta, card=card)
