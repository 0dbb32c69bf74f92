"""Remembering how a person wants things; it runs at once, being theirs and reversible."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import preferences
from crm_mcp.crm.models import Preference
from crm_mcp.memory.kinds import Source
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, View, Words, WriteArgs, tool

Kind = Literal["preference", "correction", "pattern", "decision"]


class SavePreference(WriteArgs):
    text: Words = Field(max_length=1_000, description="In a sentence.")
    kind: Kind = "preference"
    source: Source | None = Field(None, description="Who says so.")
    apply: Words | None = Field(None, max_length=200, description="get_orders.status: sent = shipped")


class PreferenceView(View):
    noun: ClassVar[str] = "preference"
    nouns: ClassVar[str] = "preferences"

    id: str
    kind: str
    text: str
    confidence: float | None = None
    tool: str | None = None
    argument: str | None = None
    word: str | None = None
    means: Any = None
    source: str | None = None
    applied: int | None = Field(default=None, description="How often.")
    told: int | None = None
    savedAt: str | None = None
    by: str | None = None


def view_of(row: Preference) -> PreferenceView:
    """Return one as it is kept."""
    return PreferenceView(
        id=ids.show("preferences", row.id),
        kind=row.kind,
        text=row.content,
        confidence=float(row.confidence),
        source=row.source,
        tool=row.tool,
        argument=row.argument,
        word=row.word,
        means=row.meant,
    )


@tool(
    title="Save preference",
    toolset="memory",
    roles=EVERYONE,
    effect=Effect.NOTE,
    agents={Agent.SETTINGS},
)
async def save_preference(ctx: Write, args: SavePreference) -> Answer[PreferenceView]:
    """Keep how this person wants things; apply has a list do it. Use when they correct you or state a lasting wish, never for
    what a record or document says."""
    wanted = None if args.apply is None else preferences.Wanted.read(args.apply)
    row, is_new = await preferences.save(ctx, args.kind, args.text, args.confidence, wanted, args.source, args.apply)
    warnings = (
        [f"Left out, since personal data is not remembered: {', '.join(row.redacted)}."] if row.redacted else []
    )
    did = f"{'remember' if is_new else 'remember anew'} a {row.kind} of {ctx.principal.name}"
    return Answer(view_of(row), Display(title=row.content[:80], badge=row.kind), did=did, warnings=warnings)
