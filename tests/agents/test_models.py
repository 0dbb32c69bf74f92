"""The models of both providers behind one interface: generate, structured, stream, count; fallback, limits, the meter."""

import json
from contextlib import AsyncExitStack
from decimal import Decimal

import pytest
from chat_standin import ChatStandIn
from hubs import Tally, plan_at
from pydantic import BaseModel
from pydantic_ai.messages import ModelRequest
from pydantic_ai.tools import ToolDefinition
from standin import Call, Cut, Garbage, StandIn

from crm_mcp.agents.calling import Asked, Models
from crm_mcp.agents.journal import End, Ended, Kept
from crm_mcp.agents.plan import load
from crm_mcp.agents.providers import NoKey, Providers
from crm_mcp.config import Settings
from crm_mcp.errors import Refusal

PRICE = {"input": "3", "output": "15"}
CHAT = {"provider": "openai-compatible", "model": "a-chat-model", "price": PRICE}
ASKED = [ModelRequest.user_text_prompt("How are you?", instructions="MARK: be kind.")]
TOOL = ToolDefinition(name="look", description="Look.", parameters_json_schema={"type": "object", "properties": {}})
OVERLOADED = Garbage(b'{"type":"error","error":{"type":"overloaded_error","message":"secret words"}}', 529)


class Verdict(BaseModel):
    mood: str
    sure: float


class Rig:
    def __init__(self, folder):
        self.folder, self.journal, self.meter = folder, Kept(), Tally()
        self.open = AsyncExitStack()

    def models(self, messages_url, chat_url=None, meter=None, **cases):
        file = plan_at(self.folder, messages_url, **cases)
        if chat_url is not None:
            said = json.loads(file.read_text())
            said["providers"]["openai-compatible"]["base_url"] = chat_url + "/v1"
            file.write_text(json.dumps(said))
        self.plan = load(file, self.folder).plan
        providers = Providers(self.plan, Settings(anthropic_key="a-key", openai_compatible_key=None))
        self.open.push_async_exit(providers.__aexit__)
        return Models(self.plan, providers, meter or self.meter, self.journal.event)

    def told(self, kind):
        return [event.about for event in self.journal.events if event.kind == kind]


@pytest.fixture
async def rig(tmp_path):
    made = Rig(tmp_path)
    async with made.open:
        yield made


def turns(*some):
    def script(tools):
        for turn in some:  # noqa: UP028 what is sent back stays unread
            yield turn
        return "the end"

    return {"MARK": script}


def with_tool(*some):
    """Scripts of the stand-in talk only where there are tools."""
    return turns(*some), Asked([TOOL])


async def test_anthropic_generates_and_streams_in_pieces(rig):
    scripts, asked = with_tool("I am well.")
    with StandIn(scripts) as url:
        answer = await rig.models(url).stream("order", ASKED, asked)
        assert answer.text == "I am well."
    with StandIn({}) as url:
        assert await rig.models(url).generate("summary", ASKED) == "ok"
    assert "".join(one["text"] for one in rig.told("text")) == "I am well.ok"


async def test_a_chat_model_generates_streams_and_calls_tools(rig):
    with ChatStandIn("I am well.", Call("look", {"at": "it"})) as url:
        models = rig.models("http://localhost:1", url, order=CHAT)
        assert await models.generate("order", ASKED) == "I am well."
        answer = await models.stream("order", ASKED, Asked([TOOL], ["look"]))
    (call,) = answer.tool_calls
    assert (call.tool_name, call.args_as_dict()) == ("look", {"at": "it"})
    assert [one["text"] for one in rig.told("text")] == ["I am ", "well."]
    assert rig.meter.settled == [("order", 11, 7, "a-chat-model")] * 2
    assert rig.told("spent")[0]["money"] == "0.000138"


@pytest.mark.parametrize("provider", ["anthropic", "openai-compatible"])
async def test_a_structured_answer_is_checked_and_asked_for_once_more(rig, provider):
    bad, good = Call("answer", {"mood": "fine"}), Call("answer", {"mood": "fine", "sure": 0.9})
    if provider == "anthropic":
        with StandIn(turns(bad, good)) as url:
            found = await rig.models(url).structured("summary", ASKED, Verdict)
    else:
        with ChatStandIn(bad, good) as url:
            found = await rig.models("http://localhost:1", url, summary=CHAT).structured("summary", ASKED, Verdict)
    assert found == Verdict(mood="fine", sure=0.9)


async def test_an_answer_in_no_form_ends_clearly(rig):
    scripts = turns("I would rather talk.", Call("answer", {"sure": "very"}))
    with StandIn(scripts) as url, pytest.raises(Ended, match="no answer in the form") as end:
        await rig.models(url).structured("summary", ASKED, Verdict)
    assert end.value.end is End.BAD_ANSWER


async def test_tokens_are_counted_by_the_provider_that_does_else_by_characters_and_said_so(rig):
    with StandIn({}) as url:
        assert await rig.models(url).count("order", ASKED) == (10, True)
    counted = await rig.models("http://localhost:1", "http://localhost:1", order=CHAT).count("order", ASKED)
    assert counted.tokens > 5 and not counted.is_exact
    away = await rig.models("http://localhost:1").count("order", ASKED)
    assert away.tokens > 5 and not away.is_exact


async def test_where_the_first_is_overloaded_the_fallback_answers_and_it_is_said(rig):
    scripts, asked = with_tool(OVERLOADED)
    with StandIn(scripts) as url, ChatStandIn("I am the other.") as chat:
        models = rig.models(url, chat, order={"fallback": CHAT})
        answer = await models.stream("order", ASKED, asked)
    assert answer.text == "I am the other."
    (degraded,) = rig.told("degraded")
    assert degraded["part"] == "model of order"
    assert degraded["instead"].startswith("a-chat-model, since ") and degraded["instead"].endswith("it is overloaded")
    assert [(used[0], used[3]) for used in rig.meter.settled] == [
        ("order", rig.plan.use_cases["order"].model),
        ("order", "a-chat-model"),
    ]


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
async def test_the_fallback_answers_whatever_keeps_the_first_from_it(rig, status):
    scripts, asked = with_tool(Garbage(b'{"error":{"type":"x","message":"x"}}', status))
    with StandIn(scripts) as url, ChatStandIn("Here.") as chat:
        assert (await rig.models(url, chat, order={"fallback": CHAT}).stream("order", ASKED, asked)).text == "Here."


async def test_no_model_at_all_is_said_without_the_providers_words(rig):
    scripts, asked = with_tool(OVERLOADED)
    with StandIn(scripts) as url, ChatStandIn(Garbage(b"secret words", 500)) as chat, pytest.raises(Ended) as end:
        await rig.models(url, chat, order={"fallback": CHAT}).stream("order", ASKED, asked)
    assert end.value.end is End.MODEL_AWAY
    assert end.value.why.startswith("No model answers: it is overloaded; it failed on its side.")
    assert "secret" not in end.value.why


async def test_without_a_key_it_says_which_setting_is_missing(tmp_path, rig):
    plan = load(None, tmp_path).plan
    models = Models(plan, Providers(plan, Settings(anthropic_key=None)), rig.meter, rig.journal.event)
    with pytest.raises(Ended) as end:
        await models.generate("order", ASKED)
    assert end.value.end is End.NO_KEY
    assert "set CRM_ANTHROPIC_KEY." in end.value.why and "set CRM_OPENAI_COMPATIBLE_KEY." in end.value.why
    assert rig.meter.reserved == []


async def test_a_stream_that_is_cut_off_is_no_answer_and_asked_for_once_more(rig):
    scripts, asked = with_tool(Cut(Call("look", {"at": "x"}), 4), "Whole.")
    with StandIn(scripts) as url:
        answer = await rig.models(url, order={"fallback": None}).stream("order", ASKED, asked)
    assert [call.tool_name for call in answer.tool_calls] == ["look"] and answer.finish_reason == "tool_call"
    assert [one["why"] for one in rig.told("again")] == ["it answered nothing that can be used"]


@pytest.mark.parametrize("garbage", [b"", b"not json", b"event: x\ndata: {}\n\n", b'data: {"type":'])
async def test_garbage_ends_clearly_after_being_asked_again(rig, garbage):
    scripts, asked = with_tool(Garbage(garbage), Garbage(garbage), "never")
    with StandIn(scripts) as url, pytest.raises(Ended) as end:
        await rig.models(url, order={"fallback": None}).stream("order", ASKED, asked)
    assert end.value.end in (End.BAD_ANSWER, End.MODEL_AWAY)
    assert "never" not in end.value.why and len(rig.meter.reserved) == len(rig.meter.settled) >= 1


async def test_each_call_is_reserved_with_its_input_and_its_most_output_before_it_is_made(rig):
    with StandIn({}) as url:
        models = rig.models(url, summary={"max_output_tokens": 500})
        await models.generate("summary", ASKED)
    ((use_case, tokens, money),) = rig.meter.reserved
    assert use_case == "summary" and tokens > 500 and money.currency == "USD"
    price = rig.plan.use_cases["summary"].price
    assert Decimal(money.amount) == price.of(tokens - 500, 500)


async def test_over_budget_no_model_is_asked(rig):
    class Poor(Tally):
        async def reserve(self, use_case, tokens, money):
            raise Refusal("OVER_BUDGET", "The limit of yours is 10 tokens for today.")

    stand_in = StandIn({})
    with stand_in as url, pytest.raises(Ended, match="The limit of yours is 10 tokens for today") as end:
        await rig.models(url, meter=Poor()).generate("summary", ASKED)
    assert end.value.end is End.OVER_BUDGET and stand_in.requests == []


async def test_the_budget_of_a_request_holds_before_it_is_passed(rig):
    stand_in = StandIn({})
    said = r"budget of one request for summary is 0\.000001 USD"
    with stand_in as url, pytest.raises(Ended, match=said) as end:
        await rig.models(url, summary={"budget": "0.000001"}).generate("summary", ASKED)
    assert end.value.end is End.OVER_BUDGET and stand_in.requests == []


async def test_a_provider_that_counts_nothing_is_reckoned_by_characters(rig):
    with ChatStandIn("I am well.", counts=False) as url:
        await rig.models("http://localhost:1", url, order=CHAT).generate("order", ASKED)
    ((_, tokens_in, tokens_out, _),) = rig.meter.settled
    assert tokens_in > 5 and tokens_out > 0


def test_a_key_goes_to_no_provider_but_its_own_and_into_no_text(tmp_path):
    plan = load(None, tmp_path).plan
    providers = Providers(plan, Settings(anthropic_key="sk-hidden"))
    assert providers.has_key("anthropic") and not providers.has_key("openai-compatible")
    fallback = plan.use_cases["order"].fallback
    with pytest.raises(NoKey, match="CRM_OPENAI_COMPATIBLE_KEY"):
        providers.model(fallback)
    assert "sk-hidden" not in repr(vars(providers))
