"""A run's journal in Postgres: each finished step is kept there, and whoever takes the run over goes on from the last."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelRequest, ToolReturnPart, UserPromptPart

from ..principal import Agent
from ..runs.holding import Hold, Spent
from ..runs.names import show
from ..runs.summary import LABELS, History
from .journal import Event, Journal, Point, Waiting, as_json
from .prompting import Turn

UNKNOWN = "This was interrupted, and nobody knows whether this call was made. Look before you make it again: list_drafts, get_record."
TAKEN_UP = (
    "This is taken up again after an interruption. Texts such as [e-mail] or [phone] stand for personal data that is not "
    "kept: read the record again before you use it."
)
COUNT, PAGE = "count", "page"
"""What a carry holds besides a point: how many messages are this agent's, and where the person is."""


class Remembering:
    """The journal of a held run. `then` hears the same; `may_go_on` raises where the person may no longer be served."""

    def __init__(
        self,
        hold: Hold,
        so_far: Mapping[str, Any],
        then: Journal | None = None,
        may_go_on: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._hold, self._then, self._may_go_on = hold, then, may_go_on
        self._page = carried(so_far).get(PAGE)
        self._agent: str | None = None
        self._stored = 0
        self.done = int(so_far["done"])
        self._spent = Spent()
        self._is_cancelled = False

    def goes_on_from(self, restored: "Restored") -> None:
        """Take a restored point's messages for kept, but for those that were added to it."""
        self._agent, self._stored = restored.point.agent.value, restored.kept

    async def event(self, event: Event) -> None:
        about = event.about
        match event.kind:
            case "spent":
                before = self._spent
                self._spent = Spent(
                    before.tokens_in + about["tokens_in"],
                    before.tokens_out + about["tokens_out"],
                    before.cost + Decimal(about["money"]),
                )
            case "handoff":
                await self._tell(f"Handed to the {about['agent']} agent.")
            case "tool":
                await self._tell(f"Calling {about['tool']}.")
            case _:
                pass
        if self._then is not None:
            await self._then.event(event)

    async def step(self, point: Point) -> None:
        if point.agent.value != self._agent or len(point.messages) < self._stored:
            self._stored = 0
        new = point.messages[self._stored :]
        self.done += bool(new)
        carry = point.model_dump(mode="json", exclude={"messages"}) | {COUNT: len(point.messages), PAGE: self._page}
        self._is_cancelled |= await self._hold.step(
            point.agent,
            new,
            spent=self.spent(),
            done=self.done,
            message=_doing(new),
            drafts=[one.id for one in point.waiting],
            carry=carry,
        )
        self._agent, self._stored = point.agent.value, len(point.messages)
        if self._then is not None:
            await self._then.step(point)

    async def is_cancelled(self) -> bool:
        self._is_cancelled |= await self._hold.beat()
        if not self._is_cancelled and self._may_go_on is not None:
            await self._may_go_on()
        return self._is_cancelled or (self._then is not None and await self._then.is_cancelled())

    def spent(self) -> Spent:
        """Return what was spent and is not kept yet, and begin to count anew."""
        spent, self._spent = self._spent, Spent()
        return spent

    async def _tell(self, message: str) -> None:
        self._is_cancelled |= await self._hold.tell(message)


def _doing(new: Sequence[Mapping[str, Any]]) -> str | None:
    if not new:
        return None
    return "Its calls are made." if new[-1]["kind"] == "response" else "The model is asked."


class Restored(NamedTuple):
    """Where a run stands, and how many of its messages are kept already."""

    point: Point
    kept: int


def carried(so_far: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run carries besides its messages: nothing once it has ended."""
    return dict(so_far["carry"] or {})


def point_of(so_far: Mapping[str, Any], run: str) -> Restored | None:
    """Return where a run stands by what was kept of it; None where it has not begun.

    A run that had ended is taken up from what is kept without personal data. A call of then that may have been made is made again
    only as it was: under its key the server makes it once.
    """
    items: list[Mapping[str, Any]] = so_far["items"]
    carry = carried(so_far)
    if not items:
        return None
    count, _ = carry.pop(COUNT, None), carry.pop(PAGE, None)
    if count is not None:
        return Restored(
            Point.model_validate({**carry, "messages": [item["content"] for item in items[-count:]]}), count
        )
    agent = so_far["current_agent"]
    mine = items
    for place, item in enumerate(items):
        if item["agent"] != agent:
            mine = items[place + 1 :]
    waiting = [Waiting(id=one, summary="Held before the interruption.") for one in so_far["drafts"]]
    messages = _closed([item["content"] for item in mine], is_whole=all(item["is_whole"] for item in mine))
    point = Point(run=run, agent=Agent(agent), handoff={}, messages=messages, waiting=waiting, may_hand_back=False)
    return Restored(point, len(mine))


def _closed(messages: list[Any], *, is_whole: bool) -> list[Any]:
    """Return messages from which personal data was taken out, so that a model can go on: with every call answered."""
    if is_whole:
        return messages
    history = ModelMessagesTypeAdapter.validate_python(messages)
    last = history[-1]
    if isinstance(last, ModelRequest):
        last.parts = [*last.parts, UserPromptPart(TAKEN_UP)]
    elif last.tool_calls:
        results = [ToolReturnPart(call.tool_name, UNKNOWN, call.tool_call_id) for call in last.tool_calls]
        history.append(ModelRequest(parts=[*results, UserPromptPart(TAKEN_UP)]))
    return as_json(history)


def turns_of(history: History) -> list[Turn]:
    """Return the conversation before a run as the hub hands it on: what is older first, in short and said to be so."""
    older = [Turn("assistant", f"({LABELS[history.by]}.) {history.summary}")] if history.by else []
    said: list[Turn] = []
    for turn in history.turns:
        drafts = f" Drafts then: {', '.join(turn.drafts)}." if turn.drafts else ""
        said += [
            Turn("user", turn.asked),
            Turn("assistant", f"{turn.answered or f'({show(turn.run)} {turn.state}.)'}{drafts}"),
        ]
    return [*older, *said]
