"""What a skill is, as its file says it, and which there are for whom."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ..catalog import Catalog
from ..errors import Refusal
from ..principal import Agent, Principal
from .limits import Constraint

FILES = Path(__file__).parent / "files"
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
"""A name that with `crm-` before it is one of the Agent Skills format: at most 64 characters."""


class Example(BaseModel):
    """What somebody might say, and the tools that are due then, in their order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str
    expected_tools: tuple[str, ...] = Field(min_length=1)


class Skill(BaseModel):
    """One skill file. `constraints` are names of limits: what they are is asked of the policy whenever it is shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    version: int = Field(ge=1)
    description: str = Field(min_length=1, max_length=1024)
    agent: Agent
    capabilities: tuple[str, ...] = Field(min_length=1)
    constraints: tuple[Constraint, ...] = Field(min_length=1)
    work: tuple[str, ...] = Field(min_length=1)
    training_examples: tuple[Example, ...] = Field(min_length=1)


@functools.cache
def skills() -> Mapping[str, Skill]:
    """Return every skill by its name; the files are read once, on the first question for them."""
    import yaml  # only whoever asks for skills waits for it

    read = [
        Skill.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        for file in sorted(FILES.glob("*.yaml"))
    ]
    return {skill.name: skill for skill in read}


def visible_to(who: Principal, catalog: Catalog) -> list[Skill]:
    """Return the skills all of whose tools a principal may call."""
    return [skill for skill in skills().values() if all(catalog.permits(tool, who) for tool in skill.capabilities)]


def find(name: str, who: Principal, catalog: Catalog) -> Skill:
    """Return a skill of a principal's.

    Raises:
        Refusal: RESOURCE_NOT_FOUND: there is none, or it is not theirs, which answer alike.
    """
    for skill in visible_to(who, catalog):
        if skill.name == name:
            return skill
    raise Refusal("RESOURCE_NOT_FOUND", "crm://skills lists the skills.", uri=f"crm://skills/{name}"[:200])
