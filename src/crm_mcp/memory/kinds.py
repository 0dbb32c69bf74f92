"""The kinds of memories about records, with their fields and how long each is kept (S1 section 5)."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Kind = Literal["lead_interaction", "email_thread", "meeting_summary", "campaign_result", "chat_conversation"]
Retention = Literal["short", "medium", "long", "permanent"]
Source = Literal["person", "agent", "document"]
Line = Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]
Lines = Annotated[list[Line], Field(max_length=10)]
Outcome = Literal["positive", "neutral", "negative"]
Count = Annotated[int, Field(ge=0, le=10**9)]


class Details(BaseModel):
    """What any memory may hold beside its text; each kind adds its own. What is not declared is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key_points: Lines = []
    next_steps: Lines = []


class LeadInteraction(Details):
    interaction_type: Literal["demo", "call", "meeting", "email", "visit", "event", "other"] = "other"
    outcome: Outcome | None = None


class EmailThread(Details):
    thread: Line | None = None
    outcome: Outcome | None = None
    awaiting: Literal["us", "them", "nobody"] | None = None
    open_questions: Lines = []


class MeetingSummary(Details):
    title: Line | None = None
    held_on: date | None = None
    attendees: Annotated[list[Line], Field(max_length=30)] = []
    decisions: Lines = []


class CampaignResult(Details):
    campaign: Line
    channel: Line | None = None
    outcome: Outcome | None = None
    reached: Count | None = None
    answered: Count | None = None
    won: Count | None = None


class ChatConversation(Details):
    topic: Line | None = None
    open_questions: Lines = []


DETAILS: Mapping[Kind, type[Details]] = {
    "lead_interaction": LeadInteraction,
    "email_thread": EmailThread,
    "meeting_summary": MeetingSummary,
    "campaign_result": CampaignResult,
    "chat_conversation": ChatConversation,
}
RETENTION: Mapping[Kind, Retention] = {
    "lead_interaction": "long",
    "email_thread": "medium",
    "meeting_summary": "long",
    "campaign_result": "permanent",
    "chat_conversation": "short",
}
"""How long a kind is kept where nobody says otherwise; how long that is, `crm.retention` says."""
SOURCE: Mapping[Kind, Source] = {
    "lead_interaction": "person",
    "email_thread": "document",
    "meeting_summary": "person",
    "campaign_result": "agent",
    "chat_conversation": "agent",
}
"""Who says so where nobody says who."""
SURENESS: Mapping[str, str] = {"person": "0.9", "agent": "0.5", "document": "0.5"}
"""How sure one is where nobody says: what a person said is surer than what was noticed or read."""
WITHOUT_RECORD = frozenset({"campaign_result", "chat_conversation"})
"""Kinds that may be about no record."""
OWN = frozenset({"chat_conversation"})
"""Kinds that are the person's alone: a chat is with them."""


def plain(details: Details) -> dict[str, Any]:
    """Return what is kept of details: what was said, as JSON has it."""
    return {name: value for name, value in details.model_dump(mode="json").items() if value not in (None, [])}
