"""A real server over HTTP, in both protocol eras: everybody is served as their key says, and hears their own."""

import asyncio
import uuid

import pytest
from mcp import MCPError
from mcp.types import Implementation
from remote_server import asked, client_of, headed, make_key, member, revoke, until, whoami

from crm_mcp.catalog import rows

BOTH = pytest.mark.parametrize("mode", ["auto", "legacy"])
OTTO = ("otto@other.example", "other")


async def called(client, tool, **arguments):
    return (await client.call_tool(tool, arguments)).structured_content


@BOTH
async def test_both_eras_list_and_call_over_http(server, key_of, mode):
    async with client_of(server, key_of(), mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        me = (await called(client, "whoami"))["me"]
        assert client.server_capabilities.tools.list_changed or mode == "auto"
    assert {"whoami", "get_customer"} <= tools
    assert (me["email"], me["role"], me["org"]["slug"]) == ("sam@demo.example", "sales", "demo")


@BOTH
async def test_a_key_sees_the_tools_of_its_role_and_of_its_agent(server, key_of, mode):
    seen = {}
    for name, key in {
        "sales": key_of(),
        "support": key_of("sue@demo.example"),
        "agent": key_of("ada@demo.example", agent="analytics"),
    }.items():
        async with client_of(server, key, mode) as client:
            seen[name] = {tool.name for tool in (await client.list_tools()).tools}
            if name == "support":
                with pytest.raises(MCPError, match="Unknown tool: record_payment"):
                    await client.call_tool("record_payment", {})
    assert "create_quote_draft" in seen["sales"] - seen["support"]
    assert (
        seen["agent"] == {name for name, row in rows().items() if "analytics" in row["agents"]}
        and "create_order_draft" not in seen["agent"]
    )


async def test_the_flags_narrow_every_client_and_no_key_widens_them(strict, key_of, http):
    async with client_of(strict, key_of("ada@demo.example")) as client:
        tools = (await client.list_tools()).tools
        assert tools and all(tool.annotations.read_only_hint for tool in tools)
        assert (await called(client, "whoami"))["me"]["agent"] == "analytics"
    assert (await whoami(http, strict, key_of("ada@demo.example", agent="order"))).status_code == 401


@BOTH
async def test_two_keys_of_two_orgs_at_once_see_only_their_own(server, key_of, mode, owner_asks):
    theirs = owner_asks(
        "select jsonb_agg('cust_' || c.id) from crm.customers c join crm.orgs o on o.id = c.org_id where o.slug = 'other'"
    )
    async with client_of(server, key_of(), mode) as sam, client_of(server, key_of(*OTTO), mode) as otto:
        for turn in range(10):
            ours, others, mine, foreign = await asyncio.gather(
                called(sam, "search_customers", query="smith"),
                called(otto, "search_customers", query="a"),
                called(otto, "whoami"),
                called(sam, "get_customer", customer=theirs[turn % len(theirs)]),
            )
            assert {one["id"] for one in others["customers"]} <= set(theirs)
            assert ours["customers"] and not {one["id"] for one in ours["customers"]} & set(theirs)
            assert mine["me"]["org"]["slug"] == "other"
            assert foreign["error"] == "CUSTOMER_NOT_FOUND"


async def test_a_session_of_another_key_is_unknown_even_to_the_same_person(server, key_of, http):
    async with client_of(server, key_of(), "legacy") as client:
        await called(client, "whoami")
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
        own, key = key_of(), key_of(*OTTO)
        plain = {"accept": "application/json, text/event-stream", "authorization": f"Bearer {own}"}
        opened = await http.post(
            server.url, json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}, headers=plain
        )
        session = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        body = {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}
        for stranger in (key, key_of()):
            for method in ("POST", "GET", "DELETE"):
                told = await http.request(
                    method,
                    server.url,
                    json=body if method == "POST" else None,
                    headers={**plain, **session, "authorization": f"Bearer {stranger}"},
                )
                assert told.status_code == 404, (method, told.text)
        assert (await http.post(server.url, json=body, headers={**plain, **session})).status_code == 200


async def test_clients_of_one_key_are_named_apart_and_each_hears_a_decision_once(
    server, key_of, order, owner_asks, executor, person
):
    key, mark = key_of(), uuid.uuid4().hex
    first, second = (Implementation(name=f"{name}-{mark}", version="1") for name in ("first", "second"))
    for mode in ("auto", "legacy"):
        async with (
            client_of(server, key, mode, client_info=first) as one,
            client_of(server, key, mode, client_info=second) as two,
        ):
            await called(two, "whoami")
            held = (await called(one, "create_order_draft", **order, comment=f"{mark} {mode}"))["draft"]["id"]
            ada = await person("ada@demo.example")
            await executor.reject(ada, int(held.removeprefix("draft_")), "not now")
            for client in (one, two):
                decided = [(await called(client, "whoami"))["_meta"].get("decided", []) for _ in range(2)]
                assert [[d["draft"] for d in told] for told in decided] == [[held], []]
    await until(
        lambda: (
            set(
                owner_asks("select jsonb_agg(distinct client) from crm.audit_log where client like %s", f"%{mark}%")
                or ()
            )
            == {f"first-{mark} 1", f"second-{mark} 1"}
        )
    )


async def test_a_changed_role_is_announced_to_every_session_of_the_key(server, home):
    email, change = member(home, "sales")
    key, heard = make_key(home, email), []

    def listen(name):
        async def handler(message):
            if getattr(message, "method", "") == "notifications/tools/list_changed":
                heard.append(name)

        return handler

    async with (
        client_of(server, key, "legacy", message_handler=listen("one")) as one,
        client_of(server, key, "legacy", message_handler=listen("two")) as two,
    ):
        before = {tool.name for tool in (await two.list_tools()).tools}
        change("role", "support")
        for client in (one, two):
            assert (await called(client, "whoami"))["me"]["role"] == "support"
        await until(lambda: sorted(heard) == ["one", "two"])
        assert {tool.name for tool in (await two.list_tools()).tools} != before


async def test_a_held_draft_names_the_page_and_progress_arrives(server, key_of, order):
    said = []

    async def progress(done, total, message):
        said.append(message)

    for mode in ("auto", "legacy"):
        async with client_of(server, key_of(), mode) as client:
            told = await called(client, "create_order_draft", **order, comment=uuid.uuid4().hex)
            assert told["type"] == "approval_required"
            result = await client.call_tool(
                "get_draft", {"draft": told["draft"]["id"], "wait_seconds": 1}, progress_callback=progress
            )
            assert not result.is_error
            await called(client, "discard_draft", draft=told["draft"]["id"], reason="test over")
    assert said.count("waiting for a person to decide") >= 2


async def test_a_client_that_hangs_up_cancels_its_call_in_the_stateless_era(server, key_of, order, owner_asks, http):
    key = key_of()
    async with client_of(server, key) as client:
        held = (await called(client, "create_order_draft", **order, comment=uuid.uuid4().hex))["draft"]["id"]
        last = owner_asks("select max(id) from crm.audit_log")
        body = asked("tools/call", {"name": "get_draft", "arguments": {"draft": held, "wait_seconds": 30}})
        call = asyncio.create_task(http.post(server.url, json=body, headers=headed(key, "tools/call", "get_draft")))
        started = "select count(*) from crm.audit_log where id > %s and tool = 'get_draft'"
        await until(lambda: owner_asks(started, last))
        call.cancel()
        await until(
            lambda: owner_asks("select count(*) from crm.audit_log where id > %s and outcome = 'CANCELLED'", last)
        )
        await called(client, "discard_draft", draft=held, reason="test over")


async def test_a_key_that_is_revoked_ends_with_its_next_call_and_takes_its_streams_along(server, home, key_of, http):
    key = key_of()
    assert (await whoami(http, server, key)).status_code == 200
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
    plain = {"accept": "application/json, text/event-stream", "authorization": f"Bearer {key}"}
    opened = await http.post(
        server.url, json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}, headers=plain
    )
    plain["mcp-session-id"] = opened.headers["mcp-session-id"]
    async with http.stream("GET", server.url, headers=plain) as stream:
        assert stream.status_code == 200
        revoke(home, key)
        told = await whoami(http, server, key)
        assert told.status_code == 401 and told.headers["www-authenticate"].startswith("Bearer ")
        async with asyncio.timeout(10):
            async for _ in stream.aiter_bytes():
                pass
    assert (
        await http.post(server.url, json={"jsonrpc": "2.0", "id": 2, "method": "ping"}, headers=plain)
    ).status_code == 401


async def test_a_person_who_leaves_the_org_is_signed_out_and_let_in_again_when_they_return(server, home, http):
    email, change = member(home, "sales")
    key = make_key(home, email)
    assert (await whoami(http, server, key)).status_code == 200
    change("active", False)
    assert (await whoami(http, server, key)).status_code == 401
    change("active", True)
    assert (await whoami(http, server, key)).status_code == 200
