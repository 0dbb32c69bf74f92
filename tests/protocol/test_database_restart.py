"""The database dies under a running server and comes back: nothing is said that is not so, and service goes on."""

import asyncio
import contextlib
import os
import signal
import time

import pytest
from wire import serving

from crm_mcp.embedded.processes import postmaster

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
EXPECTED = {"DATABASE_UNAVAILABLE", "UNSETTLED", "COMMITTED"}


def crash(home):
    """End Postgres without a checkpoint, as a power cut would."""
    found = postmaster(home.pgdata.resolve(), "")
    assert found is not None
    os.kill(found.pid, signal.SIGQUIT)
    deadline = time.monotonic() + 20
    while postmaster(home.pgdata.resolve(), "") is not None:
        assert time.monotonic() < deadline
        with contextlib.suppress(ChildProcessError):
            os.waitpid(found.pid, os.WNOHANG)
        time.sleep(0.01)


async def served_again(wire, tool="whoami", arguments=None, seconds=30):
    """Call until it succeeds; every failure on the way is a structured one."""
    async with asyncio.timeout(seconds):
        while True:
            told = await wire.call(tool, arguments or {})
            if told.get("type") in ("result", "approval_required"):
                return told
            assert told["error"] in EXPECTED, told
            assert "hint" in told["context"]
            await asyncio.sleep(0.05)


async def test_a_server_comes_back_after_the_database_crashed_between_calls(home, restored):
    async with serving(home.root) as wire:
        await wire.call("whoami", {})
        crash(home)
        assert (await served_again(wire))["me"]["email"] == "sam@demo.example"
        assert (await wire.request("tools/list"))["result"]["tools"]


async def test_a_crash_during_calls_loses_no_held_order_and_doubles_none(home, restored, order, owner_asks):
    mark = f"crash {os.getpid()}"
    async with serving(home.root) as wire:
        await wire.call("create_order_draft", {**order, "comment": f"{mark} first"})
        asked = [
            await wire.ask(
                "tools/call", {"name": "create_order_draft", "arguments": {**order, "comment": f"{mark} {n}"}}
            )
            for n in range(10)
        ]
        asked += [
            await wire.ask("tools/call", {"name": "search_customers", "arguments": {"query": "smith"}})
            for _ in range(10)
        ]
        await wire.answer(asked[0])
        crash(home)
        told = [(await wire.answer(number))["result"]["structuredContent"] for number in asked]
        assert {body.get("error") for body in told} <= {None, *EXPECTED}
        await served_again(wire, "create_order_draft", {**order, "comment": f"{mark} last"})
        held = {body["draft"]["id"] for body in told[:10] if body.get("type") == "approval_required"}
        committed = sum(body.get("error") in ("COMMITTED", "UNSETTLED") for body in told[:10])
    kept = owner_asks(
        "select coalesce(jsonb_agg('draft_' || id), '[]') from crm.drafts where args like %s", f"%{mark}%"
    )
    assert held <= set(kept)
    assert len(kept) <= len(held) + committed + 2
    assert owner_asks("select count(*) from crm.orders where comment like %s", f"%{mark}%") == 0
