"""A skill in the Agent Skills format (agentskills.io): `.claude/skills/<name>/SKILL.md`, with its limits at the export."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ..policy_document import Policy
from ..principal import Principal
from ..skills.limits import Limit, limits
from ..skills.skill import Skill
from .files import MARK

FOLDER = ".claude/skills"


@dataclass(frozen=True, slots=True)
class SkillFile:
    """One skill for one person, under a policy."""

    skill: Skill
    policy: Policy
    who: Principal

    @property
    def name(self) -> str:
        """The skill's name among those of others, and its folder's: `crm-order-management`."""
        return f"crm-{self.skill.name}"

    @property
    def file(self) -> str:
        return f"{FOLDER}/{self.name}/SKILL.md"

    def text(self) -> str:
        """Return the file: YAML front matter (each value in JSON, which YAML holds), then how the work is done."""
        head = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in self._head().items())
        return f"---\n{head}\n---\n{MARK}\n{self._body()}"

    def _head(self) -> Mapping[str, object]:
        return {
            "name": self.name,
            "description": self.skill.description,
            "compatibility": f"Needs the MCP server crm-{self.skill.agent.value} of crm-mcp, as .mcp.json names it.",
            "metadata": {"version": str(self.skill.version)},
        }

    def _body(self) -> str:
        known = self.skill
        now = limits(known.constraints, known.agent, self.policy, self.who)
        parts = {
            known.name.replace("-", " ").capitalize(): [
                f"The tools are those of the MCP server crm-{known.agent.value}, in Claude Code mcp__crm-{known.agent.value}__…: "
                f"{', '.join(known.capabilities)}. The agent crm-{known.agent.value} has them."
            ],
            "How": [f"{number}. {step}" for number, step in enumerate(known.work, 1)],
            "Limits": [
                f"As of the policy's version {self.policy.version}, when this was exported; crm://skills/{known.name} tells them as "
                "they are now. The server decides every call by its policy in force, whatever is written here.",
                "",
                *(_line(name, limit) for name, limit in now.items()),
            ],
            "Examples": [f"- “{one.input}”: {', '.join(one.expected_tools)}" for one in known.training_examples],
        }
        return "\n".join(
            f"{'#' if at == 0 else '##'} {title}\n\n" + "\n".join(lines) + "\n"
            for at, (title, lines) in enumerate(parts.items())
        )


def _line(name: str, limit: Limit) -> str:
    return f"- {name}: {limit.text()}. {limit.says}"
