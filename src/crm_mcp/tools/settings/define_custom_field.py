"""A field that the org adds to one kind of record: made, changed or archived."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from crm_mcp import ids
from crm_mcp.context import Write
from crm_mcp.crm import asking, custom_fields
from crm_mcp.crm.custom_fields import FieldKind
from crm_mcp.crm.entities import entity_of
from crm_mcp.principal import Role
from crm_mcp.tool import Answer, Display, Effect, Text, View, Words, WriteArgs, tool

Choice = Annotated[Words, Field(max_length=200)]
DID = {"create": "add", "update": "change", "archive": "archive"}


class DefineCustomField(WriteArgs):
    entity: Text = Field(max_length=60, description="Such as deals.")
    key: Text = Field(max_length=60, description="Small letters, digits and underscores.")
    action: Literal["create", "update", "archive"] = "create"
    label: Words | None = Field(None, max_length=200, description="What people call it.")
    kind: FieldKind | None = None
    choices: list[Choice] | None = Field(None, max_length=custom_fields.MOST)
    required: bool | None = None
    description: Text | None = Field(None, max_length=1000)


class CustomFieldView(View):
    noun: ClassVar[str] = "customField"
    nouns: ClassVar[str] = "customFields"

    id: str
    entity: str
    key: str
    label: str
    kind: str
    choices: list[str] | None = None
    required: bool
    description: str | None = None
    archived: bool | None = None


@tool(title="Define custom field", toolset="settings", roles={Role.ADMIN}, effect=Effect.WRITE)
async def define_custom_field(ctx: Write, args: DefineCustomField) -> Answer[CustomFieldView]:
    """Add an own field to one kind of record, change it or archive it. Use when an administrator wants records to hold
    something they have no field for. Always held until a person approves it."""
    entity = entity_of(args.entity)
    given: dict[str, Any] = {
        "label": args.label,
        "kind": args.kind,
        "choices": None if args.choices is None else [choice.strip() for choice in args.choices],
        "is_required": args.required,
        "description": args.description,
    }
    found, warnings = await custom_fields.define(ctx, asking.within(ctx), entity, args.key, args.action, given)
    await ctx.session.flush()
    view = CustomFieldView(
        id=ids.show("custom_field_definitions", found.id),
        entity=found.entity,
        key=found.key,
        label=found.label,
        kind=found.kind,
        choices=found.choices or None,
        required=found.is_required,
        description=found.description,
        archived=True if found.archived_at else None,
    )
    did = f"{DID[args.action]} the field {found.label!r} ({found.kind}) of {entity.table}"
    return Answer(view, Display(title=found.label, subtitle=entity.table), did=did, warnings=warnings)
