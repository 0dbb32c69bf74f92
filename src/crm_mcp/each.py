"""A call whose items are decided alone: each runs as a call of its own, in a transaction of its own, and one group.

What one item meets, a refusal or a crash, does not sink the others; what is held stands on the page as one group.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from . import audit, envelope
from .app import App
from .audit import Call
from .envelope import Envelope
from .errors import Refusal, refusal_for
from .log import logger
from .tool import Tool, WriteArgs
from .write import write

Alone = Callable[[Call, Callable[[], Awaitable[Envelope]]], Awaitable[Envelope]]
"""Does one item's work with the rights of now."""


async def write_each(app: App, this: Call, tool: Tool, args: WriteArgs, alone: Alone) -> Envelope:
    """Answer a write of several items: the receipts, drafts and refusals of each, by its number from 1."""
    assert tool.each is not None
    items: Sequence[Any] = getattr(args, tool.each)
    await (await app.db()).alone(this.principal.org, audit.begun(this))
    this.is_begun = True
    found: list[Envelope] = []
    for number, item in enumerate(items, 1):
        key = args.idempotency_key
        one = args.model_copy(update={tool.each: (item,), "idempotency_key": key and f"{key}#{number}"})
        raw = one.model_dump(mode="json", exclude_unset=True)
        call = Call(await app.principal(), tool.name, raw, this.client, this.id)
        found.append(await _one(app, call, tool, one, alone))
    held = sum(not it.is_error and it.body["type"] == "approval_required" for it in found)
    refused = sum(it.is_error for it in found)
    outcome = "ok" if refused < len(found) else "refused"
    await (await app.db()).alone(this.principal.org, audit.ended(this, "hold" if held else "run", outcome))
    return envelope.several(tool, found, held, refused, app.page_url(), this.id)


async def _one(app: App, call: Call, tool: Tool, args: WriteArgs, alone: Alone) -> Envelope:
    try:
        return await alone(call, lambda: _write(app, call, tool, args))
    except Exception as problem:
        refusal = refusal_for(problem)
        if refusal is None:
            logger().error("item crashed", call=call.id, tool=tool.name, exc_info=problem)
        await _refused(app, call, refusal)
        return envelope.refused(refusal) if refusal else envelope.crashed(call.id)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await _refused(app, call, Refusal("CANCELLED", ""))
        raise


async def _write(app: App, call: Call, tool: Tool, args: WriteArgs) -> Envelope:
    app.catalog.find(tool.name, call.principal)  # their rights may have changed since the item before
    return await write(app, call, tool, args)


async def _refused(app: App, call: Call, refusal: Refusal | None) -> None:
    try:
        outcome = refusal.error if refusal else "INTERNAL"
        await (await app.db()).alone(call.principal.org, audit.refused(call, outcome))
    except Exception:
        logger().error("audit row lost", call=call.id, tool=call.tool[:100])
