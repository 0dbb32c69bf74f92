"""An e-mail, held until a person approves it; only then is it sent."""

from typing import Annotated, ClassVar

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import emails
from crm_mcp.crm.emails import Attachment, FileView, PersonView
from crm_mcp.principal import Agent
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, Text, View, WriteArgs, tool

Recipient = Annotated[Text, Field(max_length=600, description="Address, or id of a customer or contact.")]


class SendEmailDraft(WriteArgs):
    to: tuple[Recipient, ...] = Field(min_length=1, max_length=emails.MOST_PEOPLE)
    cc: tuple[Recipient, ...] = Field((), max_length=emails.MOST_PEOPLE)
    subject: Text = Field(min_length=1, max_length=400, description="One line.")
    body: Text = Field(min_length=1, max_length=20_000, description="Plain text.")
    about: Text | None = Field(None, max_length=60, description="Any id: cust_…, ord_…")
    attachments: tuple[Attachment, ...] = Field((), max_length=emails.MOST_FILES)


class EmailView(View):
    noun: ClassVar[str] = "email"
    nouns: ClassVar[str] = "emails"

    id: str
    sender: PersonView
    to: list[PersonView]
    cc: list[PersonView]
    subject: str
    body: str
    about: str | None = None
    attachments: list[FileView]


@tool(
    title="Send e-mail draft",
    toolset="email",
    roles=EVERYONE,
    effect=Effect.WRITE,
    agents={Agent.CUSTOMER, Agent.ORDER, Agent.SUPPORT, Agent.SALES},
)
async def send_email_draft(ctx: Write, args: SendEmailDraft) -> Answer[EmailView]:
    """Write an e-mail to customers. Use when somebody outside should be told something. It is sent only once a
    person has approved this text and these recipients; get_draft shows it."""
    written = await emails.write(ctx, args.to, args.cc, args.subject, args.body, args.about, args.attachments)
    email = written.email
    view = EmailView(
        id=ids.show("emails", email.id),
        sender=PersonView(name=written.sender.name or None, address=written.sender.address),
        to=[person.view() for person in written.to],
        cc=[person.view() for person in written.cc],
        subject=email.subject,
        body=email.body,
        about=args.about,
        attachments=[FileView(name=f.name, mediaType=f.media_type, size=f.size) for f in written.files],
    )
    people = [person.at.name or person.at.address for person in (*written.to, *written.cc)]
    rest = f" and {len(people) - 2} more" if len(people) > 2 else ""
    did = f"send the e-mail “{email.subject[:100]}” to {', '.join(people[:2])}{rest}"
    shown = Display(title=email.subject, subtitle=f"To {', '.join(people[:2])}{rest}")
    return Answer(view, shown, did=did, warnings=written.warnings)
