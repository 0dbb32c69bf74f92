"""Tasks over HTTP, without sessions: a request each, found again by the key's principal and by nobody else."""

import asyncio

import pytest
from remote_server import asked, headed

from slowness import slow_report

EXTENSION = {"io.modelcontextprotocol/tasks": {}}


@pytest.fixture
def slow(home):
    with slow_report(home) as name:
        yield name


async def _told(http, server, key, method, name, params):
    body = asked(method, params)
    said = {"io.modelcontextprotocol/clientCapabilities": {"extensions": EXTENSION}}
    body["params"]["_meta"] = {**body["params"]["_meta"], **said}
    answer = await http.post(server.url, json=body, headers=headed(key, method, name))
    return answer.json()


async def test_a_task_outlives_its_request_and_is_missing_to_another_key(server, key_of, slow, http):
    ada, sam = key_of("ada@demo.example"), key_of()
    call = {"name": "run_report", "arguments": {"report": slow}}
    begun = (await _told(http, server, ada, "tools/call", "run_report", call))["result"]
    assert begun["resultType"] == "task"
    asking = {"taskId": begun["taskId"]}
    for key, params in ((sam, asking), (ada, {"taskId": "never"})):
        error = (await _told(http, server, key, "tasks/get", params["taskId"], dict(params)))["error"]
        assert error["code"] == -32602
        seen = error["message"]
        assert seen.startswith("Task not found")
    async with asyncio.timeout(60):
        while True:
            told = (await _told(http, server, ada, "tasks/get", begun["taskId"], dict(asking)))["result"]
            if told["status"] != "working":
                break
            await asyncio.sleep(0.05)
    assert told["result"]["structuredContent"]["error"] == "QUERY_TOO_SLOW"
