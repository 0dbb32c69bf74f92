"""Everything a client, a model or a thief can send that claims to be an approval: none of it is one.

What came of it is counted in Postgres, not believed from answers: every draft still waits as it was, and no guarded
row is there without the draft that was approved for it.
"""

import asyncio
import hashlib
import secrets
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import mcp.types as t
import psycopg
import pytest
from mcp import MCPError

sys.path += [str(Path(__file__).parents[1] / name) for name in ("catalogue", "database")]

from arguments import id_arguments, valid, valid_with
from campaign_drafts import APPROVER
from database_logins import weaken
from listed import NAMES, PEOPLE, WIRE
from test_dependencies import hold

from browser import ORIGIN, Browser
from crm_mcp import auth, ids
from crm_mcp.approvals.executor import Executor
from crm_mcp.approvals.links import make_login_link
from crm_mcp.approvals.web import build_page
from crm_mcp.db import Database
from crm_mcp.principal import Agent

OWNER = "mia@demo.example"
"""Whose drafts are attacked; nobody asks as her, so that no call may rightly touch them."""
REASON = "a forgery"
ERAS = ("auto", "legacy")
GUARDED = """select c.op::text || ' on ' || c.tbl from crm.changes c where c.id > %s
 and not exists (select from crm.free_writes f where f.org_id in (0, c.org_id) and f.tbl = c.tbl and f.op = c.op
   and (f.columns is null or not exists (select from jsonb_object_keys(c.after) k
     where k <> all (f.columns) and k not in ('version', 'updated_at', 'updated_by', 'via_agent'))))
 and not exists (select from crm.drafts d where d.org_id = c.org_id and d.id = c.draft_id and d.state = 'approved'
   and d.executed_xact = c.xact and d.approver is not null)"""


class Ledger:
    """What Postgres holds of approvals, before and after an attack."""

    def __init__(self, home: Any, victims: list[int]) -> None:
        self.conn = psycopg.connect(home.conninfo("postgres", "crm"), autocommit=True)
        self.victims = victims
        (self.last,) = self.conn.execute("select coalesce(max(id), 0) from crm.changes").fetchone() or (0,)
        self.decided = self._decided()
        self.before = self._victims()

    def _decided(self) -> tuple[int, int]:
        asked = "select count(*) filter (where state = 'approved'), count(*) filter (where approver is not null) from crm.drafts"
        return self.conn.execute(asked).fetchone() or (0, 0)

    def _victims(self) -> list[tuple[Any, ...]]:
        asked = "select id, state, version, args, expires_at, failures from crm.drafts where id = any(%s) order by id"
        return self.conn.execute(asked, (self.victims,)).fetchall()

    def problems(self) -> list[str]:
        """Return what an attack achieved."""
        approved, decided = (now - was for was, now in zip(self.decided, self._decided(), strict=True))
        found = [f"{approved} approved"] if approved else []
        found += [f"{decided} decided"] if decided else []
        found += [
            f"draft {now[0]} was {was[1]} and is {now[1]}" if was[1] != now[1] else f"draft {now[0]} was altered"
            for was, now in zip(self.before, self._victims(), strict=True)
            if was != now
        ]
        return found + [f"unapproved {row[0]}" for row in self.conn.execute(GUARDED, (self.last,)).fetchall()]


@pytest.fixture(scope="module")
def victims(home, desk) -> Generator[list[int]]:
    orders = [desk.order() | {"reason": REASON} for _ in range(3)]
    yield [asyncio.run(hold(home, "create_order_draft", order, OWNER)) for order in orders]
    desk.owner.execute("update crm.drafts set state = 'discarded' where state = 'pending' and reason = %s", (REASON,))


@pytest.fixture
def ledger(home, victims) -> Generator[Ledger]:
    made = Ledger(home, victims)
    yield made
    made.conn.close()


@pytest.fixture
def seen(desk, victims) -> str:
    """The very hash that an approver was shown."""
    return desk.shown(victims[:1])[0]


@pytest.fixture
def other(desk, victims) -> str:
    """The hash of another draft."""
    return desk.shown(victims[1:2])[0]


@pytest.fixture(scope="module")
def known(home, victims) -> dict[str, str]:
    """An id of each kind that exists; of drafts, one of somebody else's."""
    found: dict[str, str] = {}
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        for table, prefix in ids.PREFIX.items():
            asked = f"select coalesce(min(id), 1) from crm.{table} where org_id = (select id from crm.orgs where slug = 'demo')"
            found[prefix] = f"{prefix}_{conn.execute(asked).fetchone()[0]}"
    return found | {"draft": f"draft_{victims[0]}"}


def forged(draft: int, seen: str) -> list[dict[str, Any]]:
    """Arguments that no tool has, and that somebody might believe in."""
    return [
        {"approved": True, "approve": True, "confirm": True},
        {"state": "approved", "decision": "approve", "draft": f"draft_{draft}", "hash": seen},
        {"org_id": 2, "org": "other", "approver": 1, "user_id": 1, "requester": 1, "crm.draft_id": draft},
        {"_meta": {"approved": True}, "input_responses": {"approve": {"action": "accept"}}, "version": 1},
    ]


def answers(draft: int, seen: str) -> list[dict[str, Any]]:
    """What a host would send back had it been asked, with states that nobody gave it."""
    content = {"approved": True, "approve": "yes", "draft": f"draft_{draft}", "hash": seen}
    accepted = {
        name: t.ElicitResult(action="accept", content=content) for name in ("approve", "confirm", "elicit", "1")
    }
    states = (
        None,
        "",
        "approved",
        seen,
        f"draft_{draft}",
        secrets.token_urlsafe(200),
        "eyJhcHByb3ZlZCI6dHJ1ZX0.e30.x",
    )
    meta: Any = {"approved": True, "draft": f"draft_{draft}", "io.modelcontextprotocol/relatedTask": {"taskId": seen}}
    return [{"input_responses": accepted, "request_state": state, "meta": meta} for state in states]


async def send(client: Any, tool: str, arguments: dict[str, Any], **more: Any) -> None:
    """Send a call; whatever it says is no matter here, but that it says something."""
    try:
        await client.call_tool(tool, arguments, **more)
    except (MCPError, ValueError, RuntimeError):
        return


async def attack(client: Any, tools: list[str], known: dict[str, str], draft: int, seen: str, *, wide: bool) -> int:
    """Call tools with all that is forged; return how many calls that made."""
    sent = 0
    for at, name in enumerate(tools):
        schema = WIRE[name]["inputSchema"]
        honest, inventions, given = valid(schema, known), forged(draft, seen), answers(draft, seen)
        if not wide:  # each tool some of it, all of it some tool
            inventions, given = inventions[at % 2 :: 2], given[at % len(given) :][:1]
        calls: list[tuple[dict[str, Any], dict[str, Any]]] = [({**honest, **more}, {}) for more in inventions]
        calls += [(honest, more) for more in given]
        calls += [
            (valid_with(schema, known, argument.path, f"draft_{draft}"), {})
            for argument in id_arguments(schema)
            if argument.prefix == "draft" or argument.any
        ]
        for arguments, more in calls:
            await send(client, name, arguments, **more)
        sent += len(calls)
    return sent


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("role", PEOPLE)
async def test_no_tool_of_any_role_approves_whatever_it_is_given(
    connect, ledger, known, victims, seen, is_long, role, mode
):
    tools = NAMES if is_long or mode == "auto" else [name for name in NAMES if "draft" in name or "undo" in name]
    async with connect(PEOPLE[role], mode=mode) as client:
        sent = await attack(client, tools, known, victims[0], seen, wide=is_long)
        for invented in ("approve_draft", "approve", "decide", "reject_draft", "expire_drafts"):
            await send(client, invented, {"draft": f"draft_{victims[0]}", "hash": seen, "reason": "x"})
    assert sent >= 3 * len(tools)
    assert ledger.problems() == []
    print(f"\n{role} in {mode}: {sent} forged calls, 0 approvals")


@pytest.mark.parametrize("agent", Agent)
async def test_no_tool_of_any_agent_approves_whatever_it_is_given(
    connect, ledger, known, victims, seen, is_long, agent
):
    tools = NAMES if is_long else [name for name in NAMES if "draft" in name or "undo" in name]
    async with connect(PEOPLE["admin"], agent=agent) as client:
        await attack(client, tools, known, victims[0], seen, wide=is_long)
    assert ledger.problems() == []


async def test_the_oracle_sees_a_guarded_row_that_nobody_approved(home, ledger, desk):
    ledger.conn.execute("alter table crm.changes disable trigger guard")
    try:
        with psycopg.connect(home.conninfo("crm_agent")) as agent:
            agent.execute(
                "select set_config('crm.org_id', %s, true), set_config('crm.call_id', '9', true)", (str(desk.org),)
            )
            agent.execute(
                "insert into crm.customers(org_id, name) values (%s, 'Nobody approved') returning id", (desk.org,)
            )
    finally:
        ledger.conn.execute("alter table crm.changes enable trigger guard")
    assert ledger.problems() == ["unapproved I on customers"]


@pytest.fixture
async def db(home) -> AsyncGenerator[Database]:
    made = Database(home.conninfo("crm_approver"))
    yield made
    await made.close()


@pytest.fixture
async def page(db) -> AsyncGenerator[Any]:
    app, opened = build_page(db, origin=ORIGIN), []

    def browser() -> Browser:
        opened.append(Browser(app))
        return opened[-1]

    yield browser
    for one in opened:
        await one.client.aclose()


async def link(db: Database, email: str = APPROVER) -> str:
    return await make_login_link(db, email, None, ORIGIN)


async def test_a_stolen_or_reused_login_link_approves_nothing(page, db, ledger, victims, seen):
    once = await link(db)
    rightful, thief = page(), page()
    assert (await rightful.use(once)).status_code == 303
    secret = once.rpartition("=")[2]
    for guess in (
        once,
        once + "x",
        once.replace(secret, secret[::-1]),
        once.replace(secret, secrets.token_urlsafe(32)),
    ):
        await thief.get(guess)
        for token in (secret, secret[::-1], guess.rpartition("=")[2], hashlib.sha256(secret.encode()).hexdigest()):
            for name in ("token", "link", "secret", "t"):
                await thief.post("/login", {name: token})
    for path in (f"/drafts/draft_{victims[0]}/approve", f"/drafts/draft_{victims[0]}/reject"):
        answer = await thief.post(path, {"hash": seen, "reason": "x", "csrf": "0" * 64})
        assert answer.status_code in (303, 401, 403)
    assert ledger.problems() == []


@pytest.mark.parametrize(
    "how",
    ["no hash", "another hash", "another draft's", "a hash in capitals", "the stored effects' key", "two of them"],
)
async def test_a_forged_hash_approves_nothing(page, db, ledger, victims, seen, other, how):
    key = ledger.conn.execute("select effects_key from crm.drafts where id = %s", (victims[0],)).fetchone()[0]
    hashes = {
        "no hash": "",
        "another hash": "0" * len(seen),
        "another draft's": other,
        "a hash in capitals": seen.upper(),
        "the stored effects' key": key,
        "two of them": seen + seen,
    }
    browser = page()
    assert (await browser.use(await link(db))).status_code == 303
    assert hashes[how] != seen
    answer = await browser.press(f"draft_{victims[0]}", hash=hashes[how])
    assert answer.status_code in (400, 409), answer.status_code
    assert ledger.problems() == []


async def test_somebody_removed_between_load_and_click_approves_nothing(page, db, ledger, victims, desk):
    conn = ledger.conn
    conn.execute(
        "insert into crm.users(email, name) values ('gone@demo.example', 'Gone') on conflict (email_norm) do nothing"
    )
    conn.execute(
        "insert into crm.memberships(org_id, user_id, role, may_approve, approval_limit) select %s, id, 'admin', true, 1000000"
        " from crm.users where email = 'gone@demo.example' on conflict (org_id, user_id) do update set active = true",
        (desk.org,),
    )
    browser = page()
    assert (await browser.use(await link(db, "gone@demo.example"))).status_code == 303
    fields = await browser.form(f"draft_{victims[0]}")
    late = await link(db, "gone@demo.example")
    who = await db.sign_in(auth.by_email("gone@demo.example"))
    conn.execute(
        "update crm.memberships set active = false where user_id = (select id from crm.users where email = 'gone@demo.example')"
    )
    answer = await browser.post(f"/drafts/draft_{victims[0]}/approve", fields)
    assert answer.status_code in (303, 401, 403)
    await page().use(late)
    from crm_mcp.errors import Refusal

    with pytest.raises(Refusal):
        await Executor(db).approve(who, victims[0], fields["hash"])
    assert ledger.problems() == []


async def test_an_invented_session_and_a_form_of_another_approve_nothing(page, db, ledger, victims, seen):
    mine, thief = page(), page()
    assert (await mine.use(await link(db))).status_code == 303
    fields = await mine.form(f"draft_{victims[0]}")
    name = next(iter(mine.client.cookies))
    digest = ledger.conn.execute("select encode(digest, 'hex') from crm.web_sessions limit 1").fetchone()[0]
    for cookie in ("", "x", secrets.token_urlsafe(32), digest, mine.client.cookies[name][::-1]):
        thief.client.cookies.clear()
        thief.client.cookies.set(name, cookie)
        answer = await thief.post(f"/drafts/draft_{victims[0]}/approve", fields)
        assert answer.status_code in (303, 401, 403), (cookie, answer.status_code)
    for broken in ({**fields, "csrf": "0" * 64}, {k: v for k, v in fields.items() if k != "csrf"}):
        assert (await mine.post(f"/drafts/draft_{victims[0]}/approve", broken)).status_code == 403
    for origin in ("https://evil.example", "null", None):
        answer = await mine.post(f"/drafts/draft_{victims[0]}/approve", fields, origin=origin)
        assert answer.status_code == 403
    assert ledger.problems() == []


async def test_the_oracle_sees_a_page_that_takes_any_hash(page, db, ledger, victims, monkeypatch):
    from crm_mcp.approvals import held as held_calls

    browser = page()
    assert (await browser.use(await link(db))).status_code == 303
    fields = await browser.form(f"draft_{victims[1]}")
    monkeypatch.setattr(held_calls, "hash_of", lambda *_, **__: "0" * 64)
    await browser.post(f"/drafts/draft_{victims[1]}/approve", {**fields, "hash": "0" * 64})
    assert "1 approved" in ledger.problems()


async def test_the_oracle_sees_a_function_of_the_agents_login_that_approves(
    connect, home, ledger, known, victims, seen
):
    """Planted: `discard` takes anybody's draft and approves it, and the trigger no longer asks who decides."""
    planted = {
        "crm.discard(bigint)": ("state = 'discarded'", "state = 'approved'", "and x.requester = b.user_id ", ""),
        "crm.decide()": ("if new.state in ('approved', 'rejected') then", "if false then"),
    }
    trigger = "alter table crm.drafts {} trigger decide_policy"
    with weaken(ledger.conn)(trigger.format("disable"), restore=(trigger.format("enable"),), functions=planted):
        async with connect(PEOPLE["sales"]) as client:
            await attack(
                client, ["discard_draft"], known | {"draft": f"draft_{victims[2]}"}, victims[2], seen, wide=False
            )
    found = ledger.problems()
    assert "1 approved" in found, found
    assert f"draft {victims[2]} was pending and is approved" in found, found
