"""How the CRM behaves for one person; it runs at once, being theirs and reversible."""

from typing import ClassVar, Literal

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import personal
from crm_mcp.crm.models import PersonalSettings
from crm_mcp.principal import Agent, Principal
from crm_mcp.tool import EVERYONE, Answer, Display, Effect, View, Words, WriteArgs, tool

Setting = Literal["mail", "desktop", "decided", "timezone", "locale", "page_size"]
SETTINGS: tuple[Setting, ...] = ("mail", "desktop", "decided", "timezone", "locale", "page_size")


class UpdatePreferences(WriteArgs):
    mail: bool | None = Field(None, description="E-mail me what waits for my decision.")
    desktop: bool | None = Field(None, description="Show it on my desktop.")
    decided: bool | None = Field(None, description="E-mail me what was decided of my drafts.")
    timezone: Words | None = Field(None, max_length=60, description="IANA: of times shown to me.")
    locale: Words | None = Field(None, max_length=35, description="de-AT: how to write to me.")
    page_size: int | None = Field(None, ge=1, le=50, description="Rows of lists that name no limit.")
    reset: tuple[Setting, ...] = Field((), max_length=6, description="As usual again.")


class SettingsView(View):
    noun: ClassVar[str] = "settings"
    nouns: ClassVar[str] = "settings"

    mail: bool
    desktop: bool
    decided: bool | None = Field(default=None, description="Absent: as it is configured.")
    timezone: str
    locale: str | None = None
    pageSize: int | None = Field(default=None, description="Absent: each list's own.")
    own: list[str] = Field(description="What they set themselves.")


def view_of(row: PersonalSettings | None, who: Principal) -> SettingsView:
    """Return how it is for a person: their own settings, and what is usual where they have none."""
    own = {name: value for name in SETTINGS if row is not None and (value := getattr(row, name)) is not None}
    return SettingsView(
        mail=own.get("mail", True),
        desktop=own.get("desktop", True),
        decided=own.get("decided"),
        timezone=own.get("timezone", who.timezone),
        locale=own.get("locale"),
        pageSize=own.get("page_size"),
        own=list(own),
    )


@tool(
    title="Update preferences",
    toolset="settings",
    roles=EVERYONE,
    effect=Effect.NOTE,
    agents={Agent.SETTINGS},
)
async def update_preferences(ctx: Write, args: UpdatePreferences) -> Answer[SettingsView]:
    """Set how the CRM behaves for this person: notices, time zone, language, length of lists. Use when they ask for it, or
    with no setting to see how it is; a wish in words, or for one list, is for save_preference."""
    values = {name: value for name in SETTINGS if (value := getattr(args, name)) is not None}
    row = await personal.change(ctx, values, args.reset)
    view = view_of(row, ctx.principal)
    said = [f"{name} {_said(getattr(row, name))}" for name in values] + [f"{name} as usual" for name in args.reset]
    did = f"set for {ctx.principal.name}: {', '.join(said)}" if said else "change nothing"
    return Answer(view, Display(title="Preferences", subtitle=", ".join(said)), did=did)


def _said(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
