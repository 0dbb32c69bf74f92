"""A round of the worker: what a client may still repeat is answered as before, what is over is gone in every org."""

import psycopg

from crm_mcp.db import Database
from crm_mcp.worker import round_of_work

KEY = "worker rounds"


async def test_a_repeated_call_is_answered_for_seven_days_and_its_answer_then_goes(connect, home, owner_asks):
    customer = owner_asks(
        "select 'cust_' || min(c.id) from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'"
        " where c.archived_at is null"
    )
    asked = {"about": customer, "body": "They called.", "reason": "they said so", "idempotency_key": KEY}
    left = "select count(*) from crm.idempotency_keys where key = %s"
    worker = Database(home.conninfo("crm_worker"))
    try:
        async with connect() as client:
            first = (await client.call_tool("add_note", asked)).structured_content
            made_older(home, "6 days 23 hours")
            await round_of_work(worker, None)
            again = (await client.call_tool("add_note", asked)).structured_content
            assert (again["note"], again["_meta"]["repeated"]) == (first["note"], True)
            made_older(home, "7 days 1 minute")
            await round_of_work(worker, None)
            assert owner_asks(left, KEY) == 0
    finally:
        await worker.close()


async def test_a_round_clears_sessions_of_every_org(home, owner_asks):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute(
            "insert into crm.web_sessions(digest, org_id, user_id, expires_at) select sha256(o.slug::bytea), o.id,"
            " (select min(id) from crm.users), now() - interval '2 days' from crm.orgs o"
        )
    worker = Database(home.conninfo("crm_worker"))
    try:
        await round_of_work(worker, None)
    finally:
        await worker.close()
    assert owner_asks("select count(*) from crm.web_sessions where expires_at < now() - interval '1 day'") == 0


def made_older(home, age):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.idempotency_keys set created_at = now() - %s::interval where key = %s", (age, KEY))
