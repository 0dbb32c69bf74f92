"""A client is told that a draft has changed, in both protocol eras, by a real server process over stdio."""

import asyncio
import os
import sys
from contextlib import asynccontextmanager

import psycopg
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged
from test_database_restart import crash
from wire import environment, serving

from crm_mcp import revision
from crm_mcp.embedded import join

LIST = "crm://drafts"
LISTENING = (
    "select count(*) from pg_stat_activity where query ilike 'listen crm_drafts' and backend_type = 'client backend'"
)


@asynccontextmanager
async def modern(home, email="sam@demo.example"):
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "crm_mcp", "serve", "--user", email], env=environment(home.root)
    )
    async with Client(server) as client:
        yield client


async def drafted(client, order, mark):
    """Have an order held; return its URI."""
    told = await client.call_tool("create_order_draft", {**order, "comment": mark})
    return f"{LIST}/{told.structured_content['draft']['id']}"


@pytest.fixture
def decided(executor, person):
    """Have Mia decide a draft."""

    async def decide(uri, reason=None):
        mia, draft = await person("mia@demo.example"), int(uri.rpartition("_")[2])
        if reason:
            await executor.reject(mia, draft, reason)
        else:
            await executor.approve(mia, draft, (await executor.show(mia, draft)).hash)

    return decide


def told_of(wire, uri):
    return wire.heard(
        lambda line: line.get("method") == "notifications/resources/updated" and line["params"]["uri"] == uri
    )


async def refused(wire, uri):
    return (await wire.request("resources/subscribe", {"uri": uri}))["error"]


async def next_of(listening):
    async with asyncio.timeout(30):
        return await anext(listening)


async def test_a_handshake_client_is_told_of_its_draft_and_of_the_list(home, order, decided):
    async with serving(home.root, shake=False) as wire:
        assert (await wire.shake())["capabilities"]["resources"]["subscribe"] is True
        held = (await wire.call("create_order_draft", {**order, "comment": "updates 1"}))["draft"]["id"]
        uri = f"{LIST}/{held}"
        for followed in (uri, LIST, uri):
            assert (await wire.request("resources/subscribe", {"uri": followed}))["result"] == {}
        await decided(uri)
        await told_of(wire, uri)
        await told_of(wire, LIST)
        assert (await wire.call("get_draft", {"draft": held}))["draft"]["state"] == "approved"
        told = [
            line["params"]["uri"] for line in wire.lines if line.get("method") == "notifications/resources/updated"
        ]
        assert sorted(told) == sorted([uri, LIST])


async def test_a_handshake_client_that_unsubscribed_is_told_no_more(home, order, decided):
    async with serving(home.root) as wire:
        uris = []
        for mark in ("updates 2", "updates 3"):
            held = (await wire.call("create_order_draft", {**order, "comment": mark}))["draft"]["id"]
            uris.append(f"{LIST}/{held}")
            await wire.request("resources/subscribe", {"uri": uris[-1]})
        await wire.request("resources/unsubscribe", {"uri": uris[0]})
        for uri in uris:
            await decided(uri, "no")
        await told_of(wire, uris[1])
        assert not [line for line in wire.lines if line.get("params", {}).get("uri") == uris[0]]


async def test_what_may_not_be_seen_or_does_not_change_cannot_be_followed(home, order, connect):
    async with connect("ada@demo.example") as ada:
        hers = await drafted(ada, order, "updates 4")
    async with serving(home.root) as wire:
        hidden, absent = await refused(wire, hers), await refused(wire, f"{LIST}/draft_999999999")
        assert hidden["message"] == absent["message"] and hidden["code"] == absent["code"]
        assert "DRAFT_NOT_FOUND" in absent["message"]
        assert "RESOURCE_NOT_FOUND" in (await refused(wire, "crm://schema"))["message"]
        assert "INVALID_ID" in (await refused(wire, f"{LIST}/cust_1"))["message"]


async def test_a_client_of_today_is_told_on_its_stream_of_what_it_may_see(home, order, decided, connect):
    async with connect("ada@demo.example") as ada:
        hers = await drafted(ada, order, "updates 5")
    async with modern(home) as client:
        mine = await drafted(client, order, "updates 6")
        asked = [mine, hers, LIST, "crm://schema", "crm://drafts/draft_0", "http://evil.example"]
        async with client.listen(
            resource_subscriptions=asked,
            tools_list_changed=True,
            prompts_list_changed=True,
            resources_list_changed=True,
        ) as listening:
            honored = listening.honored
            assert honored.resource_subscriptions == [mine, LIST]
            assert (honored.tools_list_changed, honored.prompts_list_changed, honored.resources_list_changed) == (
                True,
                True,
                None,
            )
            await decided(hers, "not mine to see")
            await decided(mine, "too dear")
            assert [await next_of(listening), await next_of(listening)] == [
                ResourceUpdated(mine),
                ResourceUpdated(LIST),
            ]
        text = (await client.read_resource(mine)).contents[0].text
        assert '"rejected"' in text and "too dear" in text


async def test_an_administrator_is_told_of_everybodys_drafts(home, order, decided, connect):
    async with (
        connect() as sam,
        modern(home, "ada@demo.example") as ada,
        ada.listen(resource_subscriptions=[LIST]) as listening,
    ):
        await drafted(sam, order, "updates 7")
        assert await next_of(listening) == ResourceUpdated(LIST)


async def test_nobody_is_told_of_another_orgs_drafts(home, order, connect, decided):
    letter = {"to": ["kim@post.example"], "subject": "Ahoy", "body": "hello", "reason": "they asked"}
    async with serving(home.root, user="ada@demo.example") as wire:
        await wire.request("resources/subscribe", {"uri": LIST})
        async with connect("otto@other.example") as otto, connect() as sam:
            theirs = (await otto.call_tool("send_email_draft", letter)).structured_content
            assert theirs["type"] == "approval_required"
            ours = await drafted(sam, order, "updates 9")
        await wire.request("resources/subscribe", {"uri": ours})
        await decided(ours, "no")
        await told_of(wire, ours)
        await wire.call("whoami", {})
        told = [
            line["params"]["uri"] for line in wire.lines if line.get("method") == "notifications/resources/updated"
        ]
        assert told == [LIST, ours, LIST]


async def test_a_process_listens_on_one_connection_from_its_first_subscription_on(home, order):
    def listening():
        with psycopg.connect(home.conninfo("postgres")) as conn:
            return conn.execute(LISTENING).fetchone()[0]

    before = listening()
    async with modern(home) as client:
        uri = await drafted(client, order, "updates 10")
        assert listening() == before
        async with client.listen(resource_subscriptions=[uri]), client.listen(resource_subscriptions=[LIST]):
            assert listening() == before + 1


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
async def test_after_a_restart_of_the_database_everybody_is_told_to_look_again(home, order, restored):
    async with serving(home.root) as wire, modern(home) as client:
        uri = await drafted(client, order, "updates 11")
        await wire.request("resources/subscribe", {"uri": uri})
        async with client.listen(resource_subscriptions=[LIST]) as listening:
            crash(home)
            join(
                home, revision=revision.CURRENT, oldest=revision.OLDEST_CLIENT, idle=0.2, settings={"fsync": "off"}
            ).close()
            assert await next_of(listening) == ResourceUpdated(LIST)
            await told_of(wire, uri)


async def test_a_changed_role_is_told_on_the_stream_and_its_drafts_are_not(home, order, person_of, connect, decided):
    member = person_of("sales")
    async with modern(home, member.email) as client:
        uri = await drafted(client, order, "updates 12")
        async with client.listen(tools_list_changed=True, resource_subscriptions=[uri]) as listening:
            member.becomes("support")
            await client.call_tool("whoami", {})
            assert await next_of(listening) == ToolsListChanged()
            await decided(uri, "no")
            assert await next_of(listening) == ResourceUpdated(uri)
            member.leaves()
            with pytest.raises(MCPError):
                await client.read_resource(uri)
