"""What happens before and after every tool call, in order (S0's PreToolUse and PostToolUse)."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from .app import App
from .audit import Call
from .envelope import Envelope
from .errors import Refusal
from .log import logger
from .tool import Args, Effect, Tool
from .working.noting import noted

Before = Callable[[Call, Tool, Args], Awaitable[None]]
After = Callable[[App, Call, Tool, Envelope], Awaitable[None]]


async def agents_give_a_reason(call: Call, tool: Tool, args: Args) -> None:
    """Refuse a write whose reason says nothing: a person has to judge by it."""
    reason = getattr(args, "reason", None)
    if tool.effect is not Effect.READ and isinstance(reason, str) and len(reason.strip()) < 3:
        raise Refusal("INVALID_ARGUMENT", "reason: say in one sentence why; a person reads it.", argument="reason")


async def log_the_call(app: App, call: Call, tool: Tool, envelope: Envelope) -> None:
    """Log how a call ended: ids and sizes, no text of anybody's."""
    logger().debug(
        "call",
        call=call.id,
        tool=tool.name,
        org=call.principal.org,
        user=call.principal.user,
        agent=call.principal.agent,
        type=envelope.body.get("type"),
        error=envelope.body.get("error"),
    )


async def remember_the_call(app: App, call: Call, tool: Tool, envelope: Envelope) -> None:
    """Have what the call was about remembered, beside the answer: what that is is found out after it."""
    await app.remember(call.principal, partial(noted, tool, call.raw, envelope.body, call.id, datetime.now(UTC)))


BEFORE: tuple[Before, ...] = (agents_give_a_reason,)
AFTER: tuple[After, ...] = (log_the_call, remember_the_call)
