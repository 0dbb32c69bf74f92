"""Several servers over HTTP share one Redis: where a person is, each of them tells, to that person alone."""

import json
import signal
from collections.abc import Generator

import pytest
from remote_server import client_of, remote

from valkeys import Valkey, running


@pytest.fixture
def valkey() -> Generator[Valkey]:
    with running() as made:
        yield made


async def page(client) -> str | None:
    found = await client.read_resource("crm://context/me")
    return json.loads(found.contents[0].text)["context"].get("currentPage", {}).get("id")


async def test_what_one_server_was_told_to_stop_after_another_goes_on_with(home, valkey, key_of, order):
    sam, sue = key_of(), key_of("sue@demo.example")
    with remote(home, CRM_REDIS_URL=valkey.url()) as first, remote(home, CRM_REDIS_URL=valkey.url()) as second:
        async with client_of(first, sam) as client:
            await client.call_tool("get_customer", {"customer": order["customer"]})
            assert await page(client) == order["customer"]
        async with client_of(first, sue) as other:
            assert await page(other) is None
        assert first.stop() == 0
        async with client_of(second, sam) as client, client_of(second, sue) as other:
            assert (await page(client), await page(other)) == (order["customer"], None)
            valkey.signal(signal.SIGKILL)
            told = await client.call_tool("get_customer", {"customer": order["customer"]})
            assert told.structured_content["type"] == "result"
            assert await page(client) == order["customer"]
