"""Skills as resources: those of a principal's, with the limits of now."""

from typing import Any

from ..catalog import Catalog
from ..context import Read
from ..policy_document import IN_FORCE, Policy
from ..skills import skill
from ..skills.limits import limits

POLICY = IN_FORCE.replace("%s", "%(org)s")
DECIDES = "The server decides every call by its policy, whatever a skill says; these limits tell what to expect."


async def listed(ctx: Read, catalog: Catalog) -> Any:
    """Return the skills a principal has, in short."""
    row = await ctx.one(POLICY)
    return {
        "policyVersion": Policy.in_force(row).version,
        "skills": [
            {"name": one.name, "version": one.version, "description": one.description, "agent": one.agent}
            for one in skill.visible_to(ctx.principal, catalog)
        ],
    }


def names(ctx: Read, catalog: Catalog) -> list[str]:
    """Return the names of the skills a principal has."""
    return [one.name for one in skill.visible_to(ctx.principal, catalog)]


async def shown(ctx: Read, catalog: Catalog, name: str) -> Any:
    """Return one skill.

    Raises:
        Refusal: RESOURCE_NOT_FOUND.
    """
    found = skill.find(name, ctx.principal, catalog)
    now = Policy.in_force(await ctx.one(POLICY))
    told = limits(found.constraints, found.agent, now, ctx.principal)
    return {
        **found.model_dump(mode="json", exclude={"constraints"}),
        "constraints": {name: limit._asdict() for name, limit in told.items()},
        "policyVersion": now.version,
        "decides": DECIDES,
    }
