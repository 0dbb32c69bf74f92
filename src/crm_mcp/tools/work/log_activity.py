"""A call, meeting, e-mail or visit that took place; it is logged at once."""

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import activities
from crm_mcp.crm.activities import Direction, Kind
from crm_mcp.crm.titles import Title
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, Text, View, WriteArgs, tool

SAID: dict[Kind, str] = {
    "call": "a call",
    "meeting": "a meeting",
    "email": "an e-mail",
    "visit": "a visit",
    "other": "a contact",
}


class LogActivity(WriteArgs):
    about: Text = Field(description="Any id: cust_…, ord_…")
    kind: Kind
    subject: Title = Field(description="In a line.")
    body: Text | None = Field(None, max_length=10_000, description="What was said.")
    happened_at: datetime | None = Field(None, description="Default: now.")
    direction: Direction | None = Field(None, description="in: they came to us.")
    minutes: int | None = Field(None, ge=0, le=100_000)
    contact: Text | None = Field(None, description="cont_…")


class ActivityView(View):
    noun: ClassVar[str] = "activity"
    nouns: ClassVar[str] = "activities"

    id: str
    about: dict[str, str]
    kind: str
    subject: str
    happenedAt: datetime
    body: str | None = None
    direction: str | None = None
    minutes: int | None = None
    contact: str | None = None


@tool(
    title="Log activity",
    toolset="work",
    roles=EVERYONE,
    effect=Effect.NOTE,
    agents={Agent.CUSTOMER},
)
async def log_activity(ctx: Write, args: LogActivity) -> Answer[ActivityView]:
    """Log a contact that took place; it is saved at once. Use after a call, meeting, e-mail or visit; for what is still
    to be done use create_task, for a remark add_note."""
    made, on = await activities.log(
        ctx,
        args.about,
        args.kind,
        args.subject,
        body=args.body,
        happened_at=args.happened_at,
        direction=args.direction,
        minutes=args.minutes,
        contact=args.contact,
    )
    view = ActivityView(
        id=ids.show("activities", made.id),
        about=on.shown,
        kind=made.kind,
        subject=made.subject,
        happenedAt=made.happened_at,
        body=made.body,
        direction=made.direction,
        minutes=made.minutes,
        contact=None if made.contact_id is None else ids.show("contacts", made.contact_id),
    )
    did = f"log {SAID[args.kind]} on {on.name}: {made.subject}"
    return Answer(view, Display(title=made.subject, subtitle=on.name), did=did)
