"""`crm-mcp agents hook`: one question of a client's hook on stdin, one answer on stdout; light, since it runs with each call.

What cannot be asked is denied before a call: a guard that cannot see does not let pass. After a call it is silent.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from .. import auth, log
from ..catalog import Catalog
from ..config import Settings
from ..errors import refusal_for
from ..jsonvalue import is_object
from ..log import logger
from ..policy import IN_FORCE
from ..policy_document import Policy
from ..principal import Agent
from ..reaching import Connector
from .asking import Ask, after, before, decided

MOST = 16 * 1024 * 1024
"""Bytes of a question; a client sends the whole answer of a tool after a call."""


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="crm-mcp agents hook", allow_abbrev=False, description=__doc__)
    known.add_argument("--agent", required=True, choices=[agent.value for agent in Agent])
    known.add_argument("--server", required=True, metavar="NAME", help="the client's name of the agent's server")
    known.add_argument("--user", metavar="EMAIL", help="for whom the agent acts (embedded database only)")
    known.add_argument("--org", metavar="SLUG")
    known.add_argument(
        "--ask",
        choices=[ask.value for ask in Ask],
        default=Ask.DESTRUCTIVE.value,
        help="before which calls the client asks a person of its own (destructive)",
    )
    return known


def main(words: Sequence[str]) -> None:
    """Answer one question. Exits with 0 whatever the answer is: it is in the JSON."""
    given = parser().parse_args(words)
    log.configure("ERROR")
    event = _read()
    said = {} if event is None else asyncio.run(answer(event, given))
    if said:
        sys.stdout.write(json.dumps(said, ensure_ascii=False) + "\n")


def _read() -> dict[str, Any] | None:
    text = sys.stdin.buffer.read(MOST)
    try:
        event = json.loads(text)
    except ValueError:
        return None
    return event if is_object(event) else None


async def answer(event: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """Return the answer to one event of a client's hook, as `parser` read who asks; empty where it says nothing."""
    _, mark, tool = str(event.get("tool_name", "")).partition(f"mcp__{given.server}__")
    if not mark or not tool:
        return {}
    match event.get("hook_event_name"):
        case "PreToolUse":
            arguments = event.get("tool_input")
            return await _before(tool, arguments if is_object(arguments) else {}, given)
        case "PostToolUse":
            return after(event.get("tool_response"))
        case _:
            return {}


async def _before(tool: str, arguments: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    settings = Settings()
    connector = Connector(settings, size=1)
    try:
        db = await connector()
        try:
            agent = Agent(given.agent)
            key = settings.api_key
            proof = auth.by_key(key.get_secret_value(), agent) if key else auth.by_email(given.user, given.org, agent)
            who = await db.sign_in(proof)
            policy = Policy.in_force(await db.definer(who.org, IN_FORCE, (who.org,)))
            return before(tool, arguments, who, Catalog(), policy, Ask(given.ask))
        finally:
            await db.close()
    except Exception as problem:
        refusal = refusal_for(problem)
        if refusal is None:
            logger().error("the policy could not be asked", problem=type(problem).__name__)
        why = refusal.hint if refusal else "something went wrong on our side."
        return decided("deny", f"The policy cannot be asked now: {why}")
    finally:
        connector.release()
