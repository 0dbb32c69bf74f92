"""What of a long run is sent to its model again: all of it while there is room, then the oldest answers in a line each.

The journal keeps everything; only what a request to the model carries is shortened, so that a run of many steps stays
within S0's tokens of a request (section 9) and within the budget of one (10,000, S1 section 4).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.models import ModelRequestParameters

from ..jsonvalue import is_array, is_object
from .providers import PER_TOKEN, estimated

LINES = (240, 60)
"""Characters that are left of an answer, and of a text that was given to a tool: first the more, then the fewer."""
ROOM = "… (cut: there was no room for all at once; call fewer tools in one turn, or ask for less)"
SEEN = "Seen before; call again for all of it. It began: "


def fitted(messages: Sequence[ModelMessage], most: int, asked: ModelRequestParameters) -> list[ModelMessage]:
    """Return a run's messages within so many tokens, where leaving out can do it.

    The oldest results of tools go first, then the long texts that were given to tools; the last answer to the model is
    touched only where that was not enough: then its results share the room that there is.
    """
    sent = list(messages)
    for line in LINES:
        for shorten in (_without_results, _without_texts):
            for place in range(len(sent) - 2):
                if estimated(sent, asked) <= most:
                    return sent
                if (shorter := shorten(messages[place], line)) is not messages[place]:
                    sent[place] = shorter
    over = estimated(sent, asked) - most
    if over > 0 and isinstance(last := sent[-1], ModelRequest):
        sent[-1] = _sharing(last, over * PER_TOKEN)
    return sent


def _sharing(message: ModelRequest, over: int) -> ModelRequest:
    """Return a message whose results are cut to equal shares, so many characters fewer in all, or to a line each."""
    sizes = [len(_text(part)) for part in message.parts if isinstance(part, ToolReturnPart)]
    if not sizes:
        return message
    share = max(LINES[0], (sum(sizes) - over) // len(sizes) - len(ROOM))
    parts = [_head(part, share) if isinstance(part, ToolReturnPart) else part for part in message.parts]
    return replace(message, parts=parts)


def _head(part: ToolReturnPart, share: int) -> ToolReturnPart:
    text = _text(part)
    return part if len(text) <= share + len(ROOM) else replace(part, content=text[:share] + ROOM)


def _text(part: ToolReturnPart) -> str:
    return part.content if isinstance(part.content, str) else json.dumps(part.content, default=str)


def _without_results(message: ModelMessage, line: int) -> ModelMessage:
    if not isinstance(message, ModelRequest):
        return message
    parts = [_line(part, line) if isinstance(part, ToolReturnPart) else part for part in message.parts]
    return replace(message, parts=parts)


def _line(part: ToolReturnPart, line: int) -> ToolReturnPart:
    text = _text(part)
    if len(text) <= line + len(SEEN):
        return part
    return replace(part, content=json.dumps({"leftOut": SEEN + text[:line]}, ensure_ascii=False))


def _without_texts(message: ModelMessage, line: int) -> ModelMessage:
    if not isinstance(message, ModelResponse):
        return message
    parts = [
        replace(part, args=_cut(given, line)) if isinstance(part, ToolCallPart) and (given := _given(part)) else part
        for part in message.parts
    ]
    return replace(message, parts=parts)


def _given(part: ToolCallPart) -> Mapping[str, Any]:
    try:
        return part.args_as_dict(raise_if_invalid=True)
    except (ValueError, AssertionError):
        return {}


def _cut(value: Any, line: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= line else value[:line] + "…"
    if is_object(value):
        return {key: _cut(inner, line) for key, inner in value.items()}
    return [_cut(inner, line) for inner in value] if is_array(value) else value
