"""A specialist at work: the model's turns and the server's answers, each step kept, until it has answered.

The loop is our own, over pydantic-ai's messages and models: every call, also of a tool that was never offered, goes to
the server, which judges and audits it; each model call is metered; each step can be gone on from.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mcp import Client
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.tools import ToolDefinition

from ..principal import Agent
from . import servers
from .calling import Asked, Models
from .journal import End, Ended, Event, Journal, Point, as_json
from .plan import UseCase
from .prompting import TOOL_RESULT, clipped, system

HAND_BACK = "hand_back"
CALLS = 20
"""Calls of one turn that are made; a model that wants more is told to go on in the next."""
BACK = ToolDefinition(
    name=HAND_BACK,
    description="Hand the rest of the request back, once, where it is another specialist's work. Use only after you have "
    "done your part, or when none of it is yours.",
    parameters_json_schema={
        "type": "object",
        "properties": {
            "rest": {"type": "string", "description": "What is left to do, whole."},
            "done": {"type": "string", "description": "What you did and found, with ids."},
        },
        "required": ["rest"],
        "additionalProperties": False,
    },
)
"""Answered here and by no server: it reaches nothing but triage."""


class Worked(NamedTuple):
    """What a specialist came to: its last text, or what it hands back."""

    text: str = ""
    handed_back: str = ""


class Specialist:
    """One specialist of one run, from a point on."""

    def __init__(self, models: Models, client: Client, journal: Journal, case: UseCase, point: Point) -> None:
        self._models, self._client, self._journal, self._case = models, client, journal, case
        self.point = point
        self._messages: list[ModelMessage] = point.history()
        self._tools: Mapping[str, ToolDefinition] = {}

    async def work(self) -> Worked:
        """Work until the model answers or hands back.

        Raises:
            Ended: a limit, the budget, the model, somebody who stopped it.
        """
        offered = await servers.tools_of(self._client)
        self._tools = {tool.name: tool for tool in offered}
        if self.point.may_hand_back and HAND_BACK not in self._tools:
            offered.append(BACK)
        memory = await servers.context_of(self._client) if self._case.memory else None
        told = system(self.point.agent, memory)
        while True:
            answer = self._last_answer()
            if answer is None:
                answer = await self._ask(told, offered)
            if not answer.tool_calls:
                return Worked(text=answer.text or "")
            back = next((call for call in answer.tool_calls if self._is_back(call)), None)
            await self._answer(answer)
            if back is not None:
                return Worked(text=answer.text or "", handed_back=clipped(_rest(back), 500))

    def _last_answer(self) -> ModelResponse | None:
        """Return an answer of the model whose calls are still to be made, from where another process stopped."""
        last = self._messages[-1]
        return last if isinstance(last, ModelResponse) else None

    async def _ask(self, told: str, offered: Sequence[ToolDefinition]) -> ModelResponse:
        await self._going_on()
        if self.point.turns >= self._case.turns:
            raise Ended(
                End.TURN_LIMIT, f"The {self.point.agent} agent took its {self._case.turns} turns without an end."
            )
        request = self._messages[-1]
        assert isinstance(request, ModelRequest)
        request.instructions = told
        answer = await self._models.stream(self.point.agent, self._messages, Asked(offered))
        self._messages.append(answer)
        await self._keep(turns=self.point.turns + 1)
        return answer

    async def _answer(self, answer: ModelResponse) -> None:
        """Make the calls of an answer, in their order, and keep what came of them."""
        is_cut = answer.finish_reason == "length"
        results: list[ToolReturnPart] = []
        for place, call in enumerate(answer.tool_calls):
            await self._going_on()
            if is_cut:
                said = (
                    "Your answer was cut at its limit, so none of its calls were made. Call again, with less at once."
                )
                text = json.dumps({"error": said})
            elif place >= CALLS:
                text = json.dumps({"error": f"Only {CALLS} calls a turn are made. Make this one in your next turn."})
            elif self._is_back(call):
                text = json.dumps({"result": "It goes to another specialist."})
            else:
                text = await self._call(call)
            results.append(ToolReturnPart(call.tool_name, text, call.tool_call_id))
        self._messages.append(ModelRequest(parts=results))
        await self._keep()

    async def _call(self, call: ToolCallPart) -> str:
        try:
            given = call.args_as_dict(raise_if_invalid=True)
        except (ValueError, AssertionError):
            await self._tell_call(call.tool_name, {}, "its arguments are no JSON object", False)
            return json.dumps(
                {"error": "INVALID_ARGUMENT", "context": {"hint": "Give the arguments as a JSON object."}}
            )
        await self._journal.event(Event("tool", {"tool": call.tool_name[:100], "arguments": given}))
        _, answered = await servers.call(self._client, call.tool_name, self._keyed(call.tool_name, given))
        for part, instead in answered.degraded.items():
            await self._models.lost(part, instead)
        waiting = {one.id: one for one in self.point.waiting}
        waiting.update((one.id, one) for one in answered.waiting)
        for one in answered.decided:
            waiting.pop(one, None)
        self.point = self.point.model_copy(update={"waiting": list(waiting.values())})
        drafts = [one.id for one in answered.waiting]
        about = {"tool": call.tool_name[:100], "ok": not answered.is_error, "said": answered.said[:500]}
        await self._journal.event(Event("answered", about | ({"drafts": drafts} if drafts else {})))
        return clipped(answered.text, TOOL_RESULT)

    def _keyed(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return a write's arguments with a key under which it is done once in this run, gone on from or not."""
        tool = self._tools.get(name)
        takes = tool is not None and servers.KEY in tool.parameters_json_schema.get("properties", {})
        if not takes or given.get(servers.KEY):
            return given
        what = {key: value for key, value in given.items() if key not in ("reason", "confidence", servers.KEY)}
        digest = hashlib.sha256(json.dumps([name, what], sort_keys=True, default=str).encode()).hexdigest()[:24]
        return {**given, servers.KEY: f"run-{self.point.run[:40]}-{digest}"}

    def _is_back(self, call: ToolCallPart) -> bool:
        return self.point.may_hand_back and call.tool_name == HAND_BACK and HAND_BACK not in self._tools

    async def _tell_call(self, tool: str, arguments: dict[str, Any], said: str, ok: bool) -> None:
        await self._journal.event(Event("tool", {"tool": tool[:100], "arguments": arguments}))
        await self._journal.event(Event("answered", {"tool": tool[:100], "ok": ok, "said": said}))

    async def _keep(self, turns: int | None = None) -> None:
        self.point = self.point.model_copy(
            update={
                "messages": as_json(self._messages),
                "turns": self.point.turns if turns is None else turns,
                "spent": dict(self._models.spent),
            }
        )
        await self._journal.step(self.point)

    async def _going_on(self) -> None:
        if await self._journal.is_cancelled():
            raise Ended(End.CANCELLED, "It was stopped.")


def _rest(call: ToolCallPart) -> str:
    try:
        given = call.args_as_dict(raise_if_invalid=True)
    except (ValueError, AssertionError):
        return "It is another specialist's work."
    done = f" Done so far: {given['done']}" if given.get("done") else ""
    return f"{given.get('rest') or 'It is another specialist’s work.'}{done}"


def beginning(run: str, agent: Agent, handoff: dict[str, Any], text: str, point: Point | None = None) -> Point:
    """Return where a specialist begins: nothing said but the request; what waits from before goes along."""
    messages = as_json([ModelRequest.user_text_prompt(text)])
    start = Point(run=run, agent=agent, handoff=handoff, messages=messages)
    return start if point is None else start.model_copy(update={"waiting": point.waiting, "spent": point.spent})
