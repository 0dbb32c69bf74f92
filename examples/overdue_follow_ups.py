"""A background agent of the Agent SDK: it drafts a follow-up for each overdue invoice and ends with what waits for a person.

    pip install 'crm-mcp-server[agent-sdk]'
    python examples/overdue_follow_ups.py --user fin@demo.example

The server limits the agent, not this program: it serves the customer agent's tools, and an e-mail becomes a draft that a
person approves on the approvals page. With CRM_API_KEY set, leave --user out. ANTHROPIC_API_KEY pays for the model.
"""

import argparse
import asyncio
import os
import sys
from typing import Any

from claude_agent_sdk import AssistantMessage, ClaudeAgentOptions, HookMatcher, ResultMessage, TextBlock, query

from crm_mcp.agents import hook
from crm_mcp.agents.roster import ROSTER, RULES
from crm_mcp.principal import Agent

AGENT, SERVER = Agent.CUSTOMER, "crm"
PROMPT = "Draft a friendly follow-up e-mail for every overdue invoice, one a customer, with its number, amount and due date."


def options(user: str | None, model: str | None) -> ClaudeAgentOptions:
    """Return a session with the CRM's tools alone, where the org's policy is asked before each call."""
    whom = ["--user", user] if user else []
    asked = hook.parser().parse_args(["--agent", AGENT.value, "--server", SERVER, "--ask", "never", *whom])

    async def policy(event: Any, tool_use_id: str | None, context: Any) -> Any:
        return await hook.answer(event, asked)

    ours = HookMatcher(matcher=f"mcp__{SERVER}__.*", hooks=[policy])
    passed_on = {name: value for name, value in os.environ.items() if name.startswith("CRM_")}
    serve = ["-P", "-m", "crm_mcp", "serve", "--agent", AGENT.value, *whom]
    known = ROSTER[AGENT]
    return ClaudeAgentOptions(
        mcp_servers={SERVER: {"command": sys.executable, "args": serve, "env": passed_on}},
        strict_mcp_config=True,
        setting_sources=[],
        tools=[],
        hooks={"PreToolUse": [ours], "PostToolUse": [ours]},
        system_prompt="\n".join([f"You are the {known.title.lower()} of this CRM.", *RULES, *known.work]),
        max_turns=known.turns,
        model=model,
    )


async def main() -> int:
    known = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    known.add_argument("--user", metavar="EMAIL")
    known.add_argument("--model")
    given = known.parse_args()
    async for message in query(prompt=PROMPT, options=options(given.user, given.model)):
        if isinstance(message, AssistantMessage):
            for block in message.content:
                if isinstance(block, TextBlock):
                    print(block.text)  # noqa: T201 a program for a terminal
        elif isinstance(message, ResultMessage):
            return 1 if message.is_error else 0
    return 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
