"""An agent as a client of the Agent SDK and Claude Code reads it: `.claude/agents/*.md` with S0's hooks."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..principal import Agent
from .roster import ROSTER, prompt_of

FOLDER = ".claude/agents"
MARK = "<!-- made by crm-mcp agents export; the next export writes it anew -->"
"""By which a file of ours is known: others are never overwritten."""
SECONDS = 30
"""How long a client waits for the hook; a hook that says nothing decides nothing, and the server still does."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One agent of one person: its server in `.mcp.json`, what it sees there, and the command of its hook.

    `writes` are those of its tools after which something may wait for a person.
    """

    agent: Agent
    tools: Sequence[str]
    writes: Sequence[str]
    hook: Sequence[str]
    model: str = "inherit"

    @property
    def name(self) -> str:
        """The agent's name, and its server's: `crm-order`."""
        return f"crm-{self.agent.value}"

    @property
    def file(self) -> str:
        return f"{FOLDER}/{self.name}.md"

    def text(self) -> str:
        """Return the file: YAML front matter (each value in JSON, which YAML holds), then the agent's prompt."""
        head = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in self._head().items())
        return f"---\n{head}\n---\n{MARK}\n{prompt_of(self.agent)}\n"

    def _head(self) -> Mapping[str, Any]:
        known = ROSTER[self.agent]
        server = f"mcp__{self.name}__"
        asked = [{"type": "command", "command": shlex.join(self.hook), "timeout": SECONDS}]
        hooks = {"PreToolUse": [{"matcher": f"{server}.*", "hooks": asked}]}
        if self.writes:
            hooks["PostToolUse"] = [{"matcher": f"{server}({'|'.join(self.writes)})", "hooks": asked}]
        return {
            "name": self.name,
            "description": known.when,
            "tools": ", ".join(server + tool for tool in self.tools),
            "model": self.model,
            "maxTurns": known.turns,
            "mcpServers": [self.name],
            "hooks": hooks,
        }
