"""What S0's hooks answer a client before and after a tool of ours: by the server's own catalog and policy.

A hook is a courtesy to the model, told sooner and in words; the server decides every call itself, whatever was answered.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from ..catalog import Catalog, rows
from ..jsonvalue import is_array, is_object
from ..policy_document import Policy, Switch
from ..principal import Principal
from ..tool import Effect

TAKES_BACK = "undo_change"
PROPOSES = "propose_changes"
DESTRUCTIVE = frozenset({"delete", "merge"})
WHY = {
    "undo": "This takes back a change.",
    "propose": "This proposes to delete or merge records.",
    "delete": "This deletes.",
}


class Ask(StrEnum):
    """When whoever runs the agent is asked before the call: never, before what destroys, before whatever is held."""

    NEVER = "never"
    DESTRUCTIVE = "destructive"
    HELD = "held"


def before(
    tool: str, given: Mapping[str, Any], who: Principal, catalog: Catalog, policy: Policy, ask: Ask
) -> dict[str, Any]:
    """Return the answer to PreToolUse for a tool of ours by its own name: allow, deny or ask, with the reason."""
    if not catalog.permits(tool, who):
        return decided("deny", f"There is no tool {tool[:100]} for {_whom(who)}. Use one that is listed.")
    effect = Effect(rows()[tool]["effect"])
    if effect is Effect.READ:
        return decided("allow", "A read.")
    if who.agent is not None and policy.agents[who.agent] is Switch.OFF:
        return decided("deny", f"The {who.agent} agent is switched off by the org's policy; a person may do it.")
    if ask is not Ask.NEVER and (why := _destroys(tool, effect, given)) is not None:
        return decided("ask", f"{why} Nothing happens before a person approves it on the approvals page, too.")
    if _runs(effect, who, policy):
        return decided("allow", "Reversible and of low risk: it runs at once.")
    if ask is Ask.HELD:
        return decided("ask", "It has consequences: it would wait on the approvals page for a person.")
    return decided("allow", "Where it has consequences it waits for a person on the approvals page.")


def decided(decision: str, reason: str) -> dict[str, Any]:
    """Return a decision in the client's words."""
    return {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": decision,
            "permissionDecisionReason": reason,
        }
    }


def after(response: Any) -> dict[str, Any]:
    """Return the answer to PostToolUse: what waits, by ids and links alone, so that no model takes it for done."""
    body = _body(response)
    if body is None or body.get("type") != "approval_required":
        return {}
    draft = body.get("draft")
    name = str(draft.get("id", "")) if is_object(draft) else ""
    if not name.removeprefix("draft_").isdigit():
        return {}
    said = f"Nothing has changed yet: {name} waits for a person on the approvals page. Go on with the rest, name it at the end; get_draft tells what became of it."
    return {"hookSpecificOutput": {"hookEventName": "PostToolUse", "additionalContext": said}}


def _whom(who: Principal) -> str:
    return f"the {who.agent} agent" if who.agent else "you"


def _destroys(tool: str, effect: Effect, given: Mapping[str, Any]) -> str | None:
    if effect is Effect.DELETE:
        return WHY["delete"]
    if tool == TAKES_BACK:
        return WHY["undo"]
    changes = given.get("changes")
    items = changes if tool == PROPOSES and is_array(changes) else []
    return (
        WHY["propose"] if any(is_object(one) and one.get("proposed_action") in DESTRUCTIVE for one in items) else None
    )


def _runs(effect: Effect, who: Principal, policy: Policy) -> bool:
    """Say whether a write surely runs at once: of low risk, and nothing holds every write."""
    is_held = policy.learning_mode or (who.agent is not None and policy.agents[who.agent] is Switch.HOLD)
    return effect is Effect.NOTE and not is_held


def _body(response: Any) -> Mapping[str, Any] | None:
    """Return a result's structured body, in whichever of its forms a client hands it to hooks."""
    if is_object(response):
        for key in ("structuredContent", "structured_content"):
            if is_object(inner := response.get(key)):
                return inner
        return _body(response["content"]) if "content" in response else response
    if is_array(response):
        return next(
            (body for one in response if is_object(one) and (body := _body(one.get("text"))) is not None), None
        )
    if isinstance(response, str):
        try:
            read = json.loads(response)
        except ValueError:
            return None
        return read if is_object(read) else None
    return None
