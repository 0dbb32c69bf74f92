"""A mail server, e-mails that a person approved, and a clock that is set by hand."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from crm_mcp.db import Database
from crm_mcp.delivery.deliver import Post, deliver
from crm_mcp.delivery.server import Server
from crm_mcp.delivery.tries import Again
from postbox import postbox

_TURN = itertools.count(1)


@pytest.fixture
async def box():
    async with postbox() as made:
        yield made


@pytest.fixture
async def worker(home):
    db = Database(home.conninfo("crm_worker"))
    yield db
    await db.close()


@pytest.fixture
def drafted(connect) -> Callable:
    """Have an e-mail drafted; return the draft's number."""

    async def draft(**more):
        asked = {
            "to": ["kim@post.example"],
            "subject": f"Post {next(_TURN)}",
            "body": "hello",
            "reason": "they asked",
        }
        async with connect() as client:
            told = (await client.call_tool("send_email_draft", {**asked, **more})).structured_content
        return int(told["draft"]["id"][6:])

    return draft


@pytest.fixture
def approved(drafted, executor, person) -> Callable:
    """Have an e-mail approved by somebody who may; return its number."""

    async def approve(**more):
        draft, mia = await drafted(**more), await person("mia@demo.example")
        outcome = await executor.approve(mia, draft, (await executor.show(mia, draft)).hash)
        assert outcome.state == "approved", outcome
        return int(outcome.result["record"]["id"][6:])

    return approve


@pytest.fixture
def outbox(owner_asks) -> Callable:
    return lambda email: owner_asks("select to_jsonb(o) from crm.outbox o where email_id = %s", email)


@pytest.fixture
async def org(person):
    return (await person("mia@demo.example")).org


class Office:
    """Tries deliveries at a time of its own."""

    def __init__(self, db, org, port):
        self.db, self.org = db, org
        self.server: Server | None = Server("127.0.0.1", port, timeout=5)
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def post(self):
        return Post(self.db, self.server, lambda: self.now, lambda: 0.0)

    async def attempt(self, email):
        """Try once; return the state, or the minutes until the next try."""
        try:
            return await deliver(self.post(), self.org, email)
        except Again as later:
            return (later.at - self.now) / timedelta(minutes=1)

    async def until_settled(self, email):
        """Try as often as is due; return the waits and the state."""
        waits = []
        while not isinstance(told := await self.attempt(email), str):
            waits.append(told)
            self.now += timedelta(minutes=told)
        return waits, told


@pytest.fixture
def office(worker, org, box):
    return Office(worker, org, box.port)
