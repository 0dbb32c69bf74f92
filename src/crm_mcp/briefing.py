"""Prompts as the protocol has them: the list of a principal's, one that is got, what an argument could be."""

from collections.abc import Mapping

import mcp.types as t

from .app import App
from .call import read_resource
from .context import Read, Reports
from .principal import Principal
from .prompts import registry
from .prompts.prompt import Offer
from .prompts.saying import Said


def listed(app: App, who: Principal) -> t.ListPromptsResult:
    """Return the prompts that a principal may use."""
    return t.ListPromptsResult.model_validate({"prompts": registry.visible_to(who, app.catalog)})


async def get(app: App, name: str, given: Mapping[str, str], progress: Reports) -> t.GetPromptResult:
    """Return what a prompt says: what to do, and as a part of its own the facts, which hold words of others.

    Raises:
        Refusal: as `registry.get`.
    """

    async def read(reads: Read) -> Said:
        return await registry.get(reads, app.catalog, name, given)

    said = await read_resource(app, name, given, read, progress, "prompts/get")
    facts = t.TextResourceContents(uri=said.uri, mime_type="text/plain", text=said.facts)
    parts = t.TextContent(type="text", text=said.text), t.EmbeddedResource(type="resource", resource=facts)
    messages = [t.PromptMessage(role="user", content=part) for part in parts]
    return t.GetPromptResult(description=said.description, messages=messages, _meta=dict(said.marks) or None)


async def complete(
    app: App, name: str, argument: t.CompletionArgument, given: Mapping[str, str], progress: Reports
) -> t.CompleteResult:
    """Return what a prompt's argument could be, and whether there is more of it.

    Raises:
        Refusal: UNKNOWN_PROMPT.
    """

    async def read(reads: Read) -> Offer:
        return await registry.complete(reads, app.catalog, name, argument.name, argument.value, given)

    asked = {"argument": argument.name, "typed": argument.value}
    found = await read_resource(app, name, asked, read, progress, "completion/complete")
    is_more = found.total is None or found.total > len(found.values)
    return t.CompleteResult(completion=t.Completion(values=found.values, total=found.total, has_more=is_more))
