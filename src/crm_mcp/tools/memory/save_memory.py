"""Remembering what was learnt about a record; it runs at once, being reversible."""

from typing import Any, ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import learnings
from crm_mcp.memory.kinds import Kind, Retention, Source
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, Text, Values, View, Words, WriteArgs, tool


class SaveMemory(WriteArgs):
    kind: Kind
    about: Text | None = Field(None, max_length=60, description="Any id: cust_…, ord_…")
    text: Words = Field(max_length=2_000, description="What to know next time.")
    details: Values = Field(
        default_factory=dict[str, Any], max_length=20, description="key_points, next_steps, outcome, … by kind"
    )
    source: Source | None = Field(None, description="Who says so.")
    retention: Retention | None = None


class MemoryView(View):
    noun: ClassVar[str] = "memory"
    nouns: ClassVar[str] = "memories"

    id: str
    kind: str
    text: str
    about: dict[str, str] | None = None
    details: dict[str, Any] | None = None
    source: str
    confidence: float
    retention: str
    redacted: list[str] | None = None


@tool(
    title="Save memory",
    toolset="memory",
    roles=EVERYONE,
    effect=Effect.NOTE,
)
async def save_memory(ctx: Write, args: SaveMemory) -> Answer[MemoryView]:
    """Remember what came of an interaction, e-mail thread, meeting, campaign or chat, until its kind's time is over. Use for
    what will matter next time; that it took place log_activity logs, a person's wish save_preference keeps."""
    row, on, is_new = await learnings.remember(
        ctx,
        args.kind,
        args.about,
        args.text,
        args.details,
        source=args.source,
        confidence=args.confidence,
        retention=args.retention,
    )
    view = MemoryView(
        id=ids.show("learnings", row.id),
        kind=row.kind,
        text=row.content,
        about=None if on is None else on.shown,
        details=row.data or None,
        source=row.source,
        confidence=float(row.confidence),
        retention=row.retention,
        redacted=row.redacted or None,
    )
    named = row.kind.replace("_", " ")
    where = f" on {on.name}" if on else ""
    left_out = f"Left out, since personal data is not remembered: {', '.join(row.redacted)}."
    did = f"remember a {named}{where}" if is_new else f"change nothing: this {named}{where} is remembered"
    display = Display(title=row.content[:80], subtitle=on.name if on else "", badge=named)
    return Answer(view, display, did=did, warnings=[left_out] if row.redacted else [])
