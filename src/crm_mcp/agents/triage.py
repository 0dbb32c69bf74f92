"""Triage: one turn, one forced hand-off, checked by the server; a model that does otherwise is not asked again."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from mcp import Client
from pydantic_ai.messages import ModelRequest, ModelResponse

from ..jsonvalue import is_array, is_object
from ..principal import Agent
from . import servers
from .calling import Asked, Models
from .journal import End, Ended
from .prompting import TRIAGE, Page, Turn, latest, routing

TOOL = "handoff_to_agent"


class Request(NamedTuple):
    """What a person asks: their words, the conversation before, where they are."""

    text: str
    history: Sequence[Turn] = ()
    page: Page | None = None


class Handed(NamedTuple):
    """Who works on it, with the context as the server checked it; `dropped` are ids that are not the org's."""

    agent: Agent
    context: dict[str, Any]
    dropped: Sequence[str] = ()
    is_fallback: bool = False


async def hand_over(
    models: Models, client: Client, request: Request, fallback: Agent, handed_back: str = ""
) -> Handed:
    """Ask the triage model for one hand-off, and the server whether it holds.

    The conversation and the page are given on as they are, whatever the model made of them. Anything but exactly one
    hand-off to an agent of this role goes to the fallback specialist, with the bare request.

    Raises:
        Ended: the model is away or over budget; REFUSED, where the server serves nobody.
    """
    tools = [tool for tool in await servers.tools_of(client) if tool.name == TOOL]
    if not tools:
        raise Ended(End.REFUSED, "The server offers triage no hand-off.")
    text = routing(request.text, request.history, request.page, handed_back)
    try:
        answer = await models.stream(
            Agent.TRIAGE, [ModelRequest.user_text_prompt(text, instructions=TRIAGE)], Asked(tools, [TOOL])
        )
    except Ended as problem:
        if problem.end is not End.BAD_ANSWER:
            raise
        return await _otherwise(client, request, fallback, "The triage model gave no usable answer.")
    arguments, wrong = _handoff(answer)
    if wrong:
        return await _otherwise(client, request, fallback, wrong)
    body, answered = await servers.call(client, TOOL, {**arguments, **_given(request)})
    if answered.is_error or not is_object(body.get("handoff")):
        return await _otherwise(client, request, fallback, f"The hand-off does not hold: {_why(body, answered)}")
    return _handed(body)


def _handoff(answer: ModelResponse) -> tuple[dict[str, Any], str]:
    calls = answer.tool_calls
    if len(calls) != 1:
        return {}, "The triage model made no hand-off." if not calls else "The triage model made several hand-offs."
    if calls[0].tool_name != TOOL:
        return {}, "The triage model called a tool that it does not have."
    try:
        arguments: Any = calls[0].args_as_dict(raise_if_invalid=True)
    except (ValueError, AssertionError):
        return {}, "The triage model's hand-off cannot be read."
    return dict(arguments), ""


def _given(request: Request) -> dict[str, Any]:
    page = None if request.page is None else request.page.body()
    return {"conversationHistory": latest(request.history), "pageContext": page}


async def _otherwise(client: Client, request: Request, fallback: Agent, why: str) -> Handed:
    given = {"agent": fallback.value, "userIntent": request.text[:4000], "handoffReason": why[:500]}
    body, answered = await servers.call(client, TOOL, given | _given(request))
    if answered.is_error or not is_object(body.get("handoff")):
        raise Ended(End.REFUSED, f"{why} The server takes no other hand-off either: {_why(body, answered)}")
    return _handed(body)._replace(is_fallback=True)


def _handed(body: dict[str, Any]) -> Handed:
    handoff, meta = dict(body["handoff"]), body.get("_meta")
    dropped = meta.get("dropped") if is_object(meta) else None
    return Handed(Agent(handoff["agent"]), handoff, list(map(str, dropped)) if is_array(dropped) else ())


def _why(body: dict[str, Any], answered: servers.Answered) -> str:
    context = body.get("context")
    return str(context.get("hint")) if is_object(context) and context.get("hint") else answered.said
