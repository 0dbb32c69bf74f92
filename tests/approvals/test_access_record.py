"""Passkeys and sessions of the page leave rows in the record of access, with whose they are and who ended them."""

import json
import re

import psycopg
import pytest
from click.testing import CliRunner

from crm_mcp.cli import main

LOGGED = """select l.what, l.login, u.email, l.record, l.before, l.after from crm.access_log l left join crm.users u on u.id = l.person
 where l.id > %s order by l.id"""
MIA = "mia@demo.example"


@pytest.fixture
def logged(home):
    """Return what was recorded since the test began."""
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        (before,) = conn.execute("select coalesce(max(id), 0) from crm.access_log").fetchone()
        yield lambda: conn.execute(LOGGED, (before,)).fetchall()


async def act(browser, number, action, **fields):
    csrf = re.search(r'name="csrf" value="(\w+)"', (await browser.get("/passkeys")).text)[1]
    return await browser.post(f"/passkeys/{number}/{action}", {"csrf": csrf, **fields})


def number_of(browser, owner_asks):
    return owner_asks("select id from crm.passkeys where credential = %s", browser.key.id)


async def test_a_passkey_is_recorded_from_its_enrolment_to_its_end(keyed, logged, owner_asks):
    mia = await keyed()
    number = number_of(mia, owner_asks)
    await act(mia, number, "rename", name="Work key")
    await act(mia, number, "revoke")
    rows = [row for row in logged() if row[0].startswith("passkey")]
    assert [(what, login, whose, record) for what, login, whose, record, _, _ in rows] == [
        ("passkey made", "crm_approver", MIA, number),
        ("passkey changed", "crm_approver", MIA, number),
        ("passkey changed", "crm_approver", MIA, number),
    ]
    assert (rows[1][4], rows[1][5]) == ({"name": "My phone"}, {"name": "Work key"})
    assert set(rows[2][5]) == {"revoked_at", "revoked_by"}
    assert rows[2][5]["revoked_by"] == owner_asks("select id from crm.users where email = %s", MIA)


async def test_what_an_administrator_revokes_names_them(keyed, logged, owner_asks):
    mia, ada = await keyed(), await keyed("ada@demo.example", adds=False)
    await act(ada, number_of(mia, owner_asks), "revoke")
    what, _, whose, _, _, after = [row for row in logged() if row[0] == "passkey changed"][-1]
    ada_is = owner_asks("select id from crm.users where email = 'ada@demo.example'")
    assert (what, whose, after["revoked_by"]) == ("passkey changed", MIA, ada_is)


async def test_what_the_command_line_resets_is_recorded_with_the_sessions_it_ends(
    keyed, logged, home, monkeypatch, owner_asks
):
    monkeypatch.setenv("CRM_HOME", str(home.root))
    mia = await keyed()
    live = owner_asks(
        "select count(*) from crm.web_sessions w join crm.users u on u.id = w.user_id where u.email = %s and w.expires_at > now()",
        MIA,
    )
    done = CliRunner().invoke(main, ["users", "reset-passkeys", "--org", "demo", MIA])
    assert done.exit_code == 0
    ended = [(row[0], row[2]) for row in logged() if row[1] == "crm_owner"]
    assert ended[0] == ("passkey changed", MIA)
    assert ended[1:] == [("session removed", MIA)] * live
    listed = CliRunner().invoke(main, ["audit", "access", "--org", "demo", "--json"])
    assert any(row["what"] == "passkey changed" and row["login"] == "crm_owner" for row in json.loads(listed.output))
    shown = CliRunner().invoke(main, ["audit", "access", "--org", "demo"]).output
    assert f"passkey changed {number_of(mia, owner_asks)} {MIA}" in shown


async def test_signing_in_and_out_is_recorded_with_how(keyed, logged, owner_asks):
    mia = await keyed()
    number = number_of(mia, owner_asks)
    await mia.sign_in()
    csrf = re.search(r'name="csrf" value="(\w+)"', (await mia.get("/passkeys")).text)[1]
    await mia.post("/logout", {"csrf": csrf})
    rows = [(row[0], row[2], (row[5] or row[4])["passkey"]) for row in logged() if row[0].startswith("session")]
    assert rows == [
        ("session made", MIA, None),
        ("session made", MIA, number),
        ("session removed", MIA, None),
        ("session removed", MIA, number),
    ]


async def test_a_session_that_ran_out_was_ended_by_nobody(signed_in, logged, home):
    await signed_in()
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.web_sessions set expires_at = clock_timestamp() - interval '1 minute'")
        conn.execute("delete from crm.web_sessions")
    assert [row[0] for row in logged() if row[0].startswith("session")] == ["session made"]


async def test_no_secret_and_no_mere_use_of_a_passkey_is_recorded(keyed, logged, owner_asks):
    mia = await keyed()
    await mia.sign_in()
    rows = logged()
    assert [row[0] for row in rows if row[0].startswith("passkey")] == ["passkey made"]
    for hidden in (
        "digest",
        "credential",
        "public_key",
        "handle",
        mia.key.id.hex(),
        mia.client.cookies["crm_session"],
    ):
        assert hidden not in str(rows)
