"""A long run stays within the tokens of one request: old answers shrink to a line, and what was said last is whole."""

import json

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from crm_mcp.agents.fitting import ROOM, SEEN, fitted
from crm_mcp.agents.providers import estimated

NONE = ModelRequestParameters()


def _run(turns: int, answer: int = 4000, text: int = 1000) -> list[ModelMessage]:
    """Return a run whose every turn writes an e-mail and reads a long answer; its request carries instructions."""
    messages: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart("Remind them all.")], instructions="i" * 4000)]
    for turn in range(turns):
        call = ToolCallPart("send_email_draft", {"body": f"{turn}" + "b" * text}, f"c{turn}")
        messages.append(ModelResponse(parts=[TextPart(f"Number {turn}."), call]))
        returned = ToolReturnPart("send_email_draft", f"{turn}" + "r" * answer, f"c{turn}")
        messages.append(ModelRequest(parts=[returned], instructions="i" * 4000))
    return messages


def test_a_run_with_room_is_sent_as_it_is():
    messages = _run(2)
    assert fitted(messages, 10_000, NONE) == messages


def test_the_oldest_answers_go_first_and_leave_a_line():
    messages = _run(4)
    sent = fitted(messages, estimated(messages, NONE) - 500, NONE)
    first, second = (sent[place].parts[0] for place in (2, 4))
    assert isinstance(first, ToolReturnPart) and isinstance(second, ToolReturnPart)
    assert json.loads(str(first.content))["leftOut"] == SEEN + "0" + "r" * 239
    assert sent[3:] == messages[3:]


def test_a_run_of_forty_long_steps_fits_and_ends_as_it_was():
    messages = _run(40)
    sent = fitted(messages, 6500, NONE)
    assert estimated(messages, NONE) > 40_000
    assert estimated(sent, NONE) <= 6500
    assert sent[-2:] == messages[-2:]
    assert [len(message.parts) for message in sent] == [len(message.parts) for message in messages]
    calls = [part for message in sent for part in message.parts if isinstance(part, ToolCallPart)]
    assert [call.tool_call_id for call in calls] == [f"c{turn}" for turn in range(40)]
    assert all(call.args_as_dict()["body"].startswith(str(turn)) for turn, call in enumerate(calls))


def test_what_is_kept_of_the_run_is_not_touched():
    messages = _run(6)
    before = list(messages)
    fitted(messages, 100, NONE)
    assert messages == before and len(str(messages[2].parts[0])) > 4000


def test_arguments_that_are_no_object_stay():
    bad = ModelResponse(parts=[ToolCallPart("find", '{"a": ', "c0")])
    messages = [*_run(0), bad, ModelRequest(parts=[ToolReturnPart("find", "no", "c0")]), *_run(3)[1:]]
    assert fitted(messages, 1, NONE)[1] == bad


def test_tokens_are_of_what_is_sent_with_instructions_once_and_the_tools():
    tools = [ToolDefinition(name="find", description="d" * 400, parameters_json_schema={})]
    alone, many = estimated(_run(0), NONE), estimated(_run(10, 0, 0), NONE)
    assert 1000 <= alone < 1050 and many < alone + 300
    assert 100 <= estimated(_run(0), ModelRequestParameters(function_tools=tools)) - alone < 110


def test_results_that_came_at_once_share_the_room():
    calls = [ToolCallPart("get_customer", {"id": f"cust_{at}"}, f"c{at}") for at in range(10)]
    results = [ToolReturnPart("get_customer", f"{at}" + "r" * 8000, f"c{at}") for at in range(10)]
    messages = [*_run(0), ModelResponse(parts=calls), ModelRequest(parts=results, instructions="i" * 4000)]
    sent = fitted(messages, 6500, NONE)
    assert 6000 < estimated(sent, NONE) <= 6500
    said = [str(part.content) for part in sent[-1].parts if isinstance(part, ToolReturnPart)]
    assert all(text.startswith(f"{at}rrr") and text.endswith(ROOM) for at, text in enumerate(said))
