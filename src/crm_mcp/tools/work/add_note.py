"""A note on any record; it runs at once, being reversible."""

from typing import ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import notes
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, Text, View, Words, WriteArgs, tool


class AddNote(WriteArgs):
    about: Text = Field(description="Any id: cust_…, ord_…")
    body: Words = Field(min_length=1, max_length=10_000, description="What is worth remembering.")


class NoteView(View):
    noun: ClassVar[str] = "note"
    nouns: ClassVar[str] = "notes"

    id: str
    about: dict[str, str]
    text: str


@tool(
    title="Add note",
    toolset="work",
    roles=EVERYONE,
    effect=Effect.NOTE,
    agents={Agent.CUSTOMER, Agent.SUPPORT},
    version=2,
)
async def add_note(ctx: Write, args: AddNote) -> Answer[NoteView]:
    """Write a note on any record. Use when something worth remembering was said; for a call or meeting use
    log_activity. It is saved at once; get_customer with include notes reads it."""
    note, subject = await notes.add(ctx, args.about, args.body)
    view = NoteView(id=ids.show("notes", note.id), about=subject.shown, text=note.body)
    return Answer(view, Display(title=f"Note on {subject.name}"), did=f"add a note to {subject.name}")
