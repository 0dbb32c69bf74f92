"""A real server over HTTP, in both protocol eras: everybody is served as their key says, and hears their own."""

import asyncio

import pytest
from remote_server import client_of

BOTH = pytest.mark.parametrize("mode", ["auto", "legacy"])


@BOTH
async def test_both_eras_list_and_call_over_http(server, key_of, mode):
    async with client_of(server, key_of(), mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        me = (await client.call_tool("whoami", {})).structured_content["me"]
    assert {"whoami", "get_customer"} <= tools
    assert (me["email"], me["role"], me["org"]["slug"]) == ("sam@demo.example", "sales", "demo")
