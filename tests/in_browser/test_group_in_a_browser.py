"""A group of e-mails in Chromium with an authenticator: followed live, signed once; and a sign-in where an address is typed."""

import asyncio
import json
import os
import subprocess
import threading
from pathlib import Path

import psycopg
import pytest
import uvicorn

from crm_mcp.approvals.links import make_login_link
from crm_mcp.approvals.live import Live
from crm_mcp.approvals.sign_in_mail import Mailer
from crm_mcp.approvals.web import build_page
from crm_mcp.db import Database
from crm_mcp.news import News
from stated_policy import state_policy

CUSTOMERS = """select jsonb_agg('cust_' || id order by id) from (select c.id from crm.customers c join crm.orgs o on o.id = c.org_id
 and o.slug = 'demo' where c.email is not null and c.archived_at is null order by c.id limit 3) x"""


@pytest.fixture
def signs_always(home):
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        (org,) = conn.execute("select id from crm.orgs where slug = 'demo'").fetchone()
        state_policy(conn, org, {"passkeys": "always"})
        yield
        state_policy(conn, org, None)


@pytest.fixture
async def reminders(connect, owner_asks):
    """Three e-mails that Fin asked for."""
    made = []
    async with connect("fin@demo.example") as client:
        for n, customer in enumerate(owner_asks(CUSTOMERS)):
            asked = {"to": [customer], "subject": f"Reminder {n}", "body": f"Please pay {n}.", "reason": "overdue"}
            told = await client.call_tool("send_email_draft", asked)
            made.append(told.structured_content["draft"]["id"])
    return made


class Served:
    """The page of a team, which mails links, on a port and in a thread of its own."""

    def __init__(self, home):
        self._home, self._up, self._loop = home, threading.Event(), None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._up.wait(30)

    async def _serve(self):
        self._loop, db = asyncio.get_running_loop(), Database(self._home.conninfo("crm_approver"))
        async with News(self._home.conninfo("crm_approver")) as news:
            self._live = live = Live(db, news)
            about = {"port": 0, "log_level": "warning", "lifespan": "off", "interface": "asgi3"}
            config = uvicorn.Config(self._app, timeout_graceful_shutdown=3, **about)
            self._server = uvicorn.Server(config)
            serving = asyncio.create_task(self._server.serve())
            while not self._server.started:
                await asyncio.sleep(0.01)
            port = self._server.servers[0].sockets[0].getsockname()[1]
            self.origin, self._db = f"http://localhost:{port}", db
            self._page = build_page(db, origin=self.origin, mailer=Mailer(self._mail), live=live)
            self._up.set()
            try:
                await serving
            finally:
                live.close()
                await db.close()

    async def _app(self, scope, receive, send):
        await self._page(scope, receive, send)

    async def _mail(self, letter):
        raise AssertionError("nobody asks for a letter here")

    def link(self, email, then):
        made = make_login_link(self._db, email, None, self.origin, then=then)
        return asyncio.run_coroutine_threadsafe(made, self._loop).result(30)

    def close(self):
        self._loop.call_soon_threadsafe(self._live.close)
        self._server.should_exit = True
        self._thread.join(30)


@pytest.fixture
def served(home):
    page = Served(home)
    yield page
    page.close()


async def test_a_group_is_followed_live_and_signed_once_and_a_passkey_is_offered_where_an_address_is_typed(
    signs_always, reminders, node, chromium, served, owner_asks
):
    about = {
        "browser": chromium,
        "origin": served.origin,
        "link": served.link("mia@demo.example", "/passkeys"),
        "other": served.link("ada@demo.example", f"/drafts/{reminders[1]}"),
        "drafts": reminders,
        "shots": os.environ.get("CRM_SHOTS"),
    }
    program = [node, str(Path(__file__).with_name("together.mjs")), json.dumps(about)]
    done = await asyncio.to_thread(subprocess.run, program, capture_output=True, text=True, timeout=200, check=True)
    said = json.loads(done.stdout)
    assert "fell" not in said, said["fell"]
    assert "You sign once, for all 3 as shown here" in said["before"]
    assert "not the number of e-mails here" in said["miscounted"]
    assert said["chip"] == "rejected meanwhile by Ada Ahrens"
    assert said["banner"].startswith(f"{reminders[1]} has changed meanwhile.")
    assert said["after"].count("approved") >= 2
    assert said["waits"] == "Sign in first"
    assert said["offered"] == ["/login/passkey/options"]
    assert said["back"].endswith("/history")
    assert not any(said["wide"])
    assert said["problems"] == []
    numbers = [int(draft.removeprefix("draft_")) for draft in reminders]
    states = [owner_asks("select state from crm.drafts where id = %s", number) for number in numbers]
    assert states == ["approved", "rejected", "approved"]
    signed = "select count(distinct signature) from crm.signatures where draft_id = any (%s)"
    assert owner_asks(signed, numbers) == 1
