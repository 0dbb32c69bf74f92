"""Over stdio, as a client starts it: CRM_REDIS_URL chosen by the environment, and the doctor's look at it."""

import asyncio
import json
import os
import signal
import sys

from crm_mcp.cli.doctor import working
from crm_mcp.config import Settings


async def said(home, requests, **environment):
    """Run a server for some requests; return its answers by number, its exit code and what it logged."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRM_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crm_mcp", "serve", "--user", "sam@demo.example"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**kept, "CRM_HOME": str(home.root), "CRM_OPEN_BROWSER": "never", **environment},
        limit=1 << 24,
    )
    assert process.stdin and process.stdout
    answers = {}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    try:
        for number, (method, params) in enumerate([("initialize", hello), *requests]):
            asked = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            if not number:
                process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
            await process.stdin.drain()
            async with asyncio.timeout(120):
                while number not in answers and (line := await process.stdout.readline()):
                    told = json.loads(line)
                    answers[told.get("id")] = told.get("result")
        process.stdin.close()
        async with asyncio.timeout(120):
            log = (await process.stderr.read()).decode()
            return answers, await process.wait(), log
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


CONTEXT = ("resources/read", {"uri": "crm://context/me"})


def look(customer):
    return "tools/call", {"name": "get_customer", "arguments": {"customer": customer}}


async def test_one_process_tells_where_another_that_ended_has_been(home, valkey, owner_asks):
    customer = owner_asks(
        "select 'cust_' || max(c.id) from crm.customers c join crm.orgs o on o.id = c.org_id where o.slug = 'demo' and c.archived_at is null"
    )
    _, code, log = await said(home, [look(customer)], CRM_REDIS_URL=valkey.url())
    assert code == 0 and "right" not in log
    assert any(key.endswith(":page") for key in valkey.holds())
    answers, _, _ = await said(home, [CONTEXT], CRM_REDIS_URL=valkey.url())
    assert json.loads(answers[1]["contents"][0]["text"])["context"]["currentPage"]["id"] == customer


async def test_an_address_that_is_none_ends_the_command_and_is_not_repeated(home):
    _, code, log = await said(home, [], CRM_REDIS_URL="http://:s3cret@nowhere")
    assert code == 2 and "CRM_REDIS_URL: is no redis://" in log and "s3cret" not in log


async def test_it_serves_where_no_redis_is_there_at_all(home, owner_asks):
    customer = owner_asks(
        "select 'cust_' || min(id) from crm.customers where org_id = (select id from crm.orgs where slug = 'demo')"
    )
    looks = [look(customer), CONTEXT, look(customer)]
    answers, code, _ = await said(home, looks, CRM_REDIS_URL="redis://:s3cret@127.0.0.1:1/0")
    assert code == 0
    assert "working memory" in answers[3]["structuredContent"]["_meta"]["degraded"]


def test_the_doctor_says_which_redis_answers_and_what_is_wrong_with_one_that_does_not(valkey):
    def found(url):
        return working.redis(Settings(redis_url=url))

    assert found(None).state == "ok" and "Postgres" in found(None).said
    well = found(valkey.url())
    assert well.state == "ok" and well.said.startswith("Valkey 9.")
    wrong, none = found(valkey.url("s3cret")), found("http://:s3cret@nowhere")
    assert (wrong.state, none.state) == ("problem", "problem") and "AuthenticationError" in wrong.said
    valkey.signal(signal.SIGSTOP)
    try:
        hangs = found(valkey.url())
    finally:
        valkey.signal(signal.SIGCONT)
    assert hangs.state == "problem" and hangs.fix
    assert "s3cret" not in str([wrong, none, hangs])
