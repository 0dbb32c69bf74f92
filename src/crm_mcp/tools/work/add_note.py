"""A note on a customer; it runs at once, being reversible."""

from typing import ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import notes
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, Text, View, Words, WriteArgs, tool


class AddNote(WriteArgs):
    customer: Text = Field(max_length=60, description="cust_…")
    body: Words = Field(min_length=1, max_length=10_000, description="What is worth remembering.")


class NoteView(View):
    noun: ClassVar[str] = "note"
    nouns: ClassVar[str] = "notes"

    id: str
    customer: str
    text: str


@tool(
    title="Add note",
    toolset="work",
    roles=EVERYONE,
    effect=Effect.NOTE,
    agents={Agent.CUSTOMER, Agent.ORDER, Agent.SUPPORT, Agent.SALES},
)
async def add_note(ctx: Write, args: AddNote) -> Answer[NoteView]:
    """Write a note on a customer. Use when something worth remembering was said; it is saved at once. To read notes use
    get_customer with include notes."""
    note, customer = await notes.add(ctx, args.customer, args.body)
    view = NoteView(id=ids.show("notes", note.id), customer=args.customer, text=note.body)
    return Answer(view, Display(title=f"Note on {customer.name}"), did=f"add a note to {customer.name}")
