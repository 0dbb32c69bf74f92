"""API keys: shown once, good for one person and one agent, and over with the next call once they have ended."""

import json
import os
import re
import stat
import sys
from asyncio import to_thread
from contextlib import asynccontextmanager

import psycopg
import pytest
from mcp import Client, StdioServerParameters

from crm_mcp import auth
from crm_mcp.catalog import rows
from crm_mcp.db import Database
from crm_mcp.errors import SignInFailed

CUSTOMER = """select 'cust_' || min(c.id) from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'
 where c.archived_at is null"""
OURS = "select id from crm.api_keys where name = %s"


@pytest.fixture
def created(crm):
    """Make a key; return it with its number."""

    def make(*words, user="sam@demo.example", org="demo", name="test"):
        made = crm("keys", "create", "--org", org, "--user", user, *words, name)
        assert made.exit_code == 0, made.output
        return made.stdout.strip(), number_of(made)

    return make


@pytest.fixture
async def agent(home):
    db = Database(home.conninfo("crm_agent"))
    yield db
    await db.close()


def _kept():
    return {name: value for name, value in os.environ.items() if not name.startswith("CRM_")}


def number_of(made):
    return int(re.search(r"Key (\d+)", made.output)[1])


@asynccontextmanager
async def served(environment, key, *words):
    """A client of a server process that is served by a key."""
    kept = {name: value for name, value in environment.items() if name != "CRM_API_KEY"}
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "crm_mcp", "serve", *words], env={**kept, "CRM_API_KEY": key}
    )
    async with Client(server) as client:
        yield client


@pytest.fixture
def here(home):
    """The environment of a server on the session's home."""
    return {**_kept(), "CRM_HOME": str(home.root), "CRM_OPEN_BROWSER": "never"}


def test_a_key_is_written_where_only_its_owner_reads_it(crm, tmp_path, owner_asks):
    file = tmp_path / "key"
    made = crm("keys", "create", "--org", "demo", "--user", "sam@demo.example", "--key-file", file, "filed")
    assert made.exit_code == 0, made.output
    key = file.read_text().strip()
    assert key.startswith("crm_") and key not in made.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = crm("keys", "create", "--org", "demo", "--user", "sam@demo.example", "--key-file", file, "second")
    assert again.exit_code == 1 and "is there already" in again.output
    assert owner_asks("select count(*) from crm.api_keys where name = 'second'") == 0


def test_a_key_that_is_not_made_leaves_no_file(crm, tmp_path):
    file = tmp_path / "key"
    refused = crm("keys", "create", "--org", "demo", "--user", "nobody@demo.example", "--key-file", file, "k")
    assert refused.exit_code == 1
    assert not file.exists()


def test_a_folder_that_is_not_there_is_said_to_be_so(crm, tmp_path):
    file = tmp_path / "no" / "key"
    refused = crm("keys", "create", "--org", "demo", "--user", "sam@demo.example", "--key-file", file, "k")
    assert "cannot be written" in refused.output
    assert refused.exit_code == 1


async def test_the_last_use_is_known_to_the_minute(crm, created, agent, owner_asks, home):
    key, number = await to_thread(created)
    used = "select last_used_at from crm.api_keys where id = %s"
    assert owner_asks(used, number) is None
    await agent.sign_in(auth.by_key(key))
    first = owner_asks(used, number)
    await agent.sign_in(auth.by_key(key))
    assert owner_asks(used, number) == first
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.api_keys set last_used_at = now() - interval '61 seconds' where id = %s", (number,))
    await agent.sign_in(auth.by_key(key))
    assert owner_asks(used, number) > first
    row = next(r for r in json.loads((await to_thread(crm, "keys", "list", "--json")).stdout) if r["id"] == number)
    assert row["lastUsedAt"] and row["state"] == "live"


async def test_a_sign_in_waits_for_nobody_who_holds_the_key(created, agent, home):
    key, number = await to_thread(created)
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.api_keys set name = 'held' where id = %s", (number,))
        assert (await agent.sign_in(auth.by_key(key))).email == "sam@demo.example"


def test_a_listing_never_shows_a_key_or_what_is_stored_of_it(crm, created, owner_asks):
    key, number = created()
    digest = owner_asks("select digest from crm.api_keys where id = %s", number)
    for words in ((), ("--json",)):
        shown = crm("keys", "list", *words).output
        assert key not in shown and digest.hex() not in shown


async def test_a_rotated_key_ends_and_the_new_one_is_for_the_same(crm, created, agent):
    key, number = await to_thread(created, "--agent", "order", "--days", "30")
    made = await to_thread(crm, "keys", "rotate", number)
    assert made.exit_code == 0, made.output
    with pytest.raises(SignInFailed):
        await agent.sign_in(auth.by_key(key))
    who = await agent.sign_in(auth.by_key(made.stdout.strip()))
    assert (who.email, who.agent) == ("sam@demo.example", "order")
    rows = {r["id"]: r for r in json.loads((await to_thread(crm, "keys", "list", "--json")).stdout)}
    fresh = rows[number_of(made)]
    assert (fresh["name"], fresh["expiresAt"][:10] > rows[number]["createdAt"][:10]) == ("test", True)
    assert rows[number]["state"] == "revoked"


async def test_a_rotated_key_may_work_on_for_some_hours(crm, created, agent, owner_asks):
    key, number = await to_thread(created)
    made = await to_thread(crm, "keys", "rotate", number, "--overlap-hours", "2")
    assert made.exit_code == 0, made.output
    for good in (key, made.stdout.strip()):
        assert (await agent.sign_in(auth.by_key(good))).email == "sam@demo.example"
    left = owner_asks("select expires_at - now() from crm.api_keys where id = %s", number)
    assert 7100 < left.total_seconds() <= 7200


def test_an_overlap_never_lengthens_a_key(crm, created, home, owner_asks):
    _, number = created()
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.api_keys set expires_at = now() + interval '10 minutes' where id = %s", (number,))
    assert crm("keys", "rotate", number, "--overlap-hours", "5").exit_code == 0
    assert owner_asks("select expires_at - now() from crm.api_keys where id = %s", number).total_seconds() <= 600


def test_what_has_ended_is_not_rotated(crm, created):
    _, number = created()
    assert crm("keys", "revoke", number).exit_code == 0
    refused = crm("keys", "rotate", number)
    assert refused.exit_code == 1
    assert "keys create" in refused.output


@pytest.mark.parametrize("number", ["0", "-1", "999999999", "9" * 25])
@pytest.mark.parametrize("command", ["revoke", "rotate"])
def test_an_unknown_key_is_said_to_be_so(crm, command, number):
    refused = crm("keys", command, "--", number)
    assert refused.exit_code == 1
    assert f"There is no key {number}" in refused.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--days", "0"), "0"),
        (("--days", "3651"), "3651"),
        (("--agent", "king"), "king"),
        (("--user", "nobody@demo.example"), "is not in demo"),
        (("--org", "no-such"), "There is no org"),
    ],
)
def test_bad_input_is_refused(crm, words, said):
    given = {"--org": "demo", "--user": "sam@demo.example"} | {words[0]: words[1]}
    refused = crm("keys", "create", *(word for pair in given.items() for word in pair), "k")
    assert refused.exit_code != 0 and said in refused.output
    assert "crm_" not in refused.stdout


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[2J", "x" * 201])
def test_a_key_has_a_name_that_shows(crm, name):
    assert crm("keys", "create", "--org", "demo", "--user", "sam@demo.example", name).exit_code == 2


REVOKED = "revoked_at = now()"
EXPIRED = "expires_at = now() - interval '1 second'"


@pytest.mark.parametrize("ended_by", [REVOKED, EXPIRED])
@pytest.mark.parametrize("first", ["get_customer", "add_note"])
async def test_a_running_client_ends_with_the_call_after_its_key_did(
    created, here, home, owner_asks, crm, ended_by, first
):
    key, number = await to_thread(created, name=f"running {first}")
    customer = owner_asks(CUSTOMER)
    asked = {
        "get_customer": {"customer": customer},
        "add_note": {"about": customer, "body": "They called.", "reason": "they did"},
    }
    notes = "select count(*) from crm.notes"
    since = owner_asks("select coalesce(max(id), 0) from crm.audit_log")
    async with served(here, key) as client:
        for tool, arguments in asked.items():
            told = await client.call_tool(tool, arguments)
            assert not told.is_error, told
        before = owner_asks(notes)
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            conn.execute(f"update crm.api_keys set {ended_by} where id = %s", (number,))
        for tool in (first, *(tool for tool in asked if tool != first)):
            told = await client.call_tool(tool, {**asked[tool], **({"body": "Again."} if tool == "add_note" else {})})
            assert told.is_error
            assert told.structured_content["error"] == "SIGN_IN_FAILED"
            assert "Again" not in str(told) and "Müller" not in str(told)
    assert owner_asks(notes) == before
    rows = owner_asks(
        "select jsonb_agg(jsonb_build_array(tool, phase, outcome) order by id) from crm.audit_log where id > %s"
        " and tool in ('get_customer', 'add_note') and user_id = (select id from crm.users where email = 'sam@demo.example')",
        since,
    )
    good = [[tool, phase, "ok" if phase == "ended" else None] for tool in asked for phase in ("begun", "ended")]
    ended = [
        [first, "begun", None],
        [first, "refused", "SIGN_IN_FAILED"],
    ]  # the second call met nobody who is signed in
    assert sorted(rows, key=str) == sorted(good + ended, key=str)
    assert (await to_thread(crm, "audit", "verify")).exit_code == 0


async def test_a_bound_token_ends_with_its_key(created, home, owner_asks):
    key, number = await to_thread(created)
    who = auth.by_key(key)
    with psycopg.connect(home.conninfo("crm_agent"), autocommit=True) as conn:
        row = conn.execute(f"select org_id, token from crm.sign_in_key({'%s, %s'})", who.arguments).fetchone()
        conn.execute("select set_config('crm.org_id', %s, false), set_config('crm.token', %s, false)", (str(row[0]), row[1]))  # fmt: skip
        assert conn.execute("select (crm.bound()).org_id").fetchone() == (row[0],)
        with psycopg.connect(home.conninfo("crm_owner")) as owner:
            owner.execute("update crm.api_keys set revoked_at = now() where id = %s", (number,))
        with pytest.raises(psycopg.errors.InvalidAuthorizationSpecification):
            conn.execute("select crm.bound()")


async def test_on_a_real_database_a_key_says_who_is_served_and_as_which_agent(team_crm, elsewhere):
    made = [
        await to_thread(team_crm, "keys", "create", "--org", "demo", "--user", "sam@demo.example", *words, "real")
        for words in ((), ("--agent", "order"))
    ]
    seen = []
    for one in made:
        async with served({**_kept(), **elsewhere}, one.stdout.strip()) as client:
            me = (await client.call_tool("whoami", {})).structured_content["me"]
            seen.append((me["email"], me.get("agent"), {tool.name for tool in (await client.list_tools()).tools}))
    (person, order) = seen
    assert person[:2] == ("sam@demo.example", None)
    assert order[:2] == ("sam@demo.example", "order")
    assert "add_note" in person[2] - order[2]
    assert order[2] <= {name for name, row in rows().items() if "order" in row["agents"] and "sales" in row["roles"]}
