"""What a server sends in parts arrives without a pause."""

import asyncio
import socket

import pytest

from crm_mcp import listener


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_a_connection_sends_small_answers_at_once(family):
    sends_at_once = asyncio.get_running_loop().create_future()

    async def answer(reader, writer):
        accepted = writer.get_extra_info("socket")
        sends_at_once.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listening = listener.tcp(family)
    listening.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    async with await asyncio.start_server(answer, sock=listening):
        _, writer = await asyncio.open_connection(*listening.getsockname()[:2])
        assert await sends_at_once
        writer.close()
        await writer.wait_closed()
