"""Two server processes, one over HTTP and one over stdio, share what their person may call in a minute."""

import sys
from typing import Any

from mcp import Client, StdioServerParameters
from remote_server import client_of, environment, make_key, member, remote

from crm_mcp.embedded import Home

LIMIT = {"CRM_CALLS_PER_MINUTE": "30"}


async def let_through(client: Client) -> int:
    """Call until one is refused; return how many were answered before."""
    for answered in range(200):
        answer: Any = await client.call_tool("whoami", {})
        if answer.is_error:
            assert answer.structured_content["error"] == "RATE_LIMITED"
            assert answer.structured_content["context"]["retryAfter"] >= 1
            return answered
    raise AssertionError("never refused")


async def test_what_one_process_let_through_another_does_not_let_through_again(home: Home):
    email, _ = member(home, "sales")
    with remote(home, "--requests-per-minute", "100000", **LIMIT) as served:
        async with client_of(served, make_key(home, email)) as client:
            assert await let_through(client) >= 30
    words = ["-m", "crm_mcp", "serve", "--user", email]
    stdio = StdioServerParameters(command=sys.executable, args=words, env=environment(home, **LIMIT))
    async with Client(stdio) as client:
        # a batch of three that is lent, and a call for each two seconds that the process took to start
        assert await let_through(client) < 25
