"""Prompts over stdio, by a real server process, in both protocol eras."""

import asyncio
import json
import sys

import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.subscriptions import PromptsListChanged
from mcp.types import PromptReference
from wire import environment, serving

USUAL = [
    "start_work",
    "prepare_for_meeting",
    "pipeline_review",
    "follow_up_stale_leads",
    "find_similar_opportunities",
    "enrich_contacts",
    "overdue_follow_ups",
    "data_hygiene",
]
"""A salesperson's, in their order."""


def server(home, email, *words):
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "crm_mcp", "serve", "--user", email, *words],
        env=environment(home.root),
    )


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_both_eras_declare_list_complete_and_get_prompts(home, mode):
    async with Client(server(home, "sam@demo.example"), mode=mode) as client:
        assert client.server_capabilities.prompts.list_changed is True
        listed = (await client.list_prompts()).prompts
        assert [prompt.name for prompt in listed] == USUAL
        (about, on) = listed[1].arguments
        assert (about.name, about.required, on.name, on.required) == ("about", True, "on", False)
        reference = PromptReference(name="prepare_for_meeting")
        offer = (await client.complete(reference, {"name": "about", "value": "müller"})).completion
        assert offer.total == len(offer.values) > 0 and offer.has_more is False
        told = await client.get_prompt("prepare_for_meeting", {"about": offer.values[0]})
        assert told.description == listed[1].description
        assert [message.content.type for message in told.messages] == ["text", "resource"]
        number = offer.values[0].rpartition("(")[2][:-1]
        assert number in told.messages[0].content.text and "Müller" not in told.messages[0].content.text
        assert "Müller" in told.messages[1].content.resource.text
        with pytest.raises(MCPError, match=r"^Unknown prompt: month_end_report$"):
            await client.get_prompt("month_end_report")


async def test_what_the_client_narrowed_away_takes_its_prompts_with_it(home):
    async with Client(server(home, "sam@demo.example", "--read-only")) as client:
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == USUAL[:3]


async def test_a_client_of_today_is_told_that_its_prompts_are_others(home, person_of):
    member = person_of("sales")
    async with Client(server(home, member.email)) as client:
        assert len((await client.list_prompts()).prompts) == 8
        async with client.listen(prompts_list_changed=True) as listening:
            assert listening.honored.prompts_list_changed is True
            member.becomes("finance")
            # whoever asked for a prompt that is theirs no more is told so by it
            with pytest.raises(MCPError, match=r"^Unknown prompt: pipeline_review$"):
                await client.get_prompt("pipeline_review")
            async with asyncio.timeout(30):
                assert await anext(listening) == PromptsListChanged()
        listed = [prompt.name for prompt in (await client.list_prompts()).prompts]
        assert listed == ["start_work", "prepare_for_meeting", "overdue_follow_ups", "month_end_report"]


async def test_a_handshake_client_is_told_that_its_prompts_are_others(home, person_of):
    member = person_of("sales")
    async with serving(home.root, user=member.email, shake=False) as wire:
        assert (await wire.shake())["capabilities"]["prompts"] == {"listChanged": True}
        assert len((await wire.request("prompts/list"))["result"]["prompts"]) == 8
        member.becomes("support")
        await wire.call("whoami", {})
        await wire.heard(lambda line: line.get("method") == "notifications/prompts/list_changed")
        told = (await wire.request("prompts/list"))["result"]["prompts"]
        assert [prompt["name"] for prompt in told] == ["start_work", "prepare_for_meeting"]


async def test_arguments_that_are_no_texts_are_refused_and_the_server_goes_on(home):
    async with serving(home.root) as wire:
        for given in ({"about": 5}, {"about": None}, {"about": ["cust_1"]}, [], "cust_1"):
            told = await wire.request("prompts/get", {"name": "prepare_for_meeting", "arguments": given})
            assert told["error"]["code"] == -32602
            assert "Traceback" not in json.dumps(told)
        told = await wire.request("prompts/get", {"name": "a\0b"})
        assert told["error"]["code"] == -32602
        assert "error" in await wire.request("prompts/get", {"name": "a\ud800"})
        assert (await wire.call("whoami", {}))["me"]["role"] == "sales"
