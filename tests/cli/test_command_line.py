"""The command line as a person types it, against the session's home."""

import json

import pytest


def test_people_are_listed_with_their_roles(crm):
    people = json.loads(crm("users", "list", "--json").output)
    assert {"org": "demo", "email": "mia@demo.example", "role": "sales"}.items() <= next(
        p for p in people if p["email"] == "mia@demo.example"
    ).items()


def test_an_own_org_is_made_with_an_administrator_who_is_served_at_once(crm, connect):
    made = crm("init", "--org", "Mine", "--slug", "mine", "--admin", "me@mine.example", "--name", "Me")
    assert made.exit_code == 0, made.output
    assert "serve --user me@mine.example" in made.output
    again = crm("init", "--org", "Mine", "--slug", "mine", "--admin", "me@mine.example", "--name", "Me")
    assert again.exit_code == 1
    assert "already" in again.output


async def test_somebody_removed_is_no_longer_served(crm, home, connect):
    from asyncio import to_thread

    added = ("users", "add", "--org", "demo", "--name", "Tim", "--role", "support", "tim@demo.example")
    assert (await to_thread(crm, *added)).exit_code == 0
    async with connect("tim@demo.example") as client:
        assert not (await client.call_tool("whoami", {})).is_error
        assert (await to_thread(crm, "users", "remove", "--org", "demo", "tim@demo.example")).exit_code == 0
        told = await client.call_tool("whoami", {})
        assert told.structured_content["error"] == "SIGN_IN_FAILED"


def test_a_bad_time_zone_is_refused_before_anything_is_made(crm):
    result = crm(
        "init", "--org", "X", "--slug", "x", "--admin", "a@x.example", "--name", "A", "--timezone", "Mars/Base"
    )
    assert result.exit_code == 2
    assert "Mars/Base" in result.output


def test_the_audit_is_whole_and_an_edited_row_is_found(crm, home, owner_asks):
    import psycopg

    assert crm("audit", "verify").exit_code == 0
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        row = conn.execute("select org_id, id, tool from crm.audit_log where seq = 1 limit 1").fetchone()
        conn.execute("update crm.audit_log set tool = 'forged' where org_id = %s and id = %s", row[:2])
        try:
            found = crm("audit", "verify")
            assert found.exit_code == 1
            assert "the row was edited or moved" in found.output
        finally:
            conn.execute("update crm.audit_log set tool = %s where org_id = %s and id = %s", (row[2], *row[:2]))
    assert crm("audit", "verify").exit_code == 0


async def test_an_api_key_signs_in_until_it_is_revoked(crm, home):
    from asyncio import to_thread

    from crm_mcp import auth
    from crm_mcp.db import Database
    from crm_mcp.errors import SignInFailed
    from crm_mcp.principal import Agent

    made = await to_thread(
        crm, "keys", "create", "--org", "demo", "--user", "sam@demo.example", "--agent", "order", "ci"
    )
    key = made.stdout.strip()
    db = Database(home.conninfo("crm_agent"))
    try:
        who = await db.sign_in(auth.by_key(key))
        assert (who.email, who.agent) == ("sam@demo.example", Agent.ORDER)
        with pytest.raises(SignInFailed):
            await db.sign_in(auth.by_key(key, Agent.CUSTOMER))
        with pytest.raises(SignInFailed):
            await db.sign_in(auth.by_key(key + "x"))
        listed = json.loads((await to_thread(crm, "keys", "list", "--json")).output)
        assert key not in json.dumps(listed)
        assert (await to_thread(crm, "keys", "revoke", listed[-1]["id"])).exit_code == 0
        with pytest.raises(SignInFailed):
            await db.sign_in(auth.by_key(key))
    finally:
        await db.close()


def test_the_doctor_prints_the_administrators_part(crm):
    printed = crm("doctor", "--admin-sql").output
    assert "create extension if not exists vector" in printed
    assert "crm_signin bypassrls" in printed


def test_the_matrix_shows_what_an_agent_may_not_see(crm):
    rows = json.loads(crm("matrix", "--json").output)
    assert "order" in rows["create_order_draft"]["agents"]
    assert "support" not in rows["create_order_draft"]["roles"]


def test_unknown_options_are_refused(crm):
    assert crm("status", "--frobnicate").exit_code == 2


def test_an_address_beside_an_api_key_is_refused_not_ignored(monkeypatch, capsys):
    from crm_mcp import serving

    monkeypatch.setenv("CRM_API_KEY", "crm_x")
    with pytest.raises(SystemExit):
        serving.main(["--user", "ada@demo.example"])
    assert "CRM_API_KEY says who is served" in capsys.readouterr().err
