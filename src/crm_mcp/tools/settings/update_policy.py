"""What runs at once and what a person must approve, changed with a person."""

from typing import Any, ClassVar

from pydantic import Field

from crm_mcp.context import Write
from crm_mcp.crm import policies
from crm_mcp.principal import Role
from crm_mcp.tool import Answer, Display, Effect, Text, View, WriteArgs, tool


class UpdatePolicy(WriteArgs):
    settings: dict[Text, Text | bool | float] = Field(
        min_length=1, max_length=50, description="Key to new value, as crm://policy names them; empty: the standard."
    )


class PolicyView(View):
    noun: ClassVar[str] = "policy"
    nouns: ClassVar[str] = "policies"

    edition: int
    changes: list[dict[str, Any]]


@tool(title="Update policy", toolset="settings", roles={Role.ADMIN}, effect=Effect.WRITE)
async def update_policy(ctx: Write, args: UpdatePolicy) -> Answer[PolicyView]:
    """Propose another policy: what agents may do at once, limits, switches. Use when an administrator asks for it.
    Always held: an administrator approves it, another one where it loosens anything."""
    edition, settings = await policies.change(ctx, args.settings)
    view = PolicyView(edition=edition, changes=[one._asdict() for one in settings])
    return Answer(
        view,
        Display(title=f"Policy, edition {edition}"),
        did=f"change the policy: {'; '.join(one.words for one in settings)}",
        warnings=[f"It loosens the policy: {one.words}." for one in settings if one.loosens],
    )
