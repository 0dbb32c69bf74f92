"""Passkeys as a person uses them: Chromium with an authenticator, on the page as `crm-mcp up` runs it."""

import json
import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from stated_policy import state_policy

CUSTOMER = """select 'cust_' || c.id from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'
 order by c.id limit 1"""
PRODUCT = """select 'prod_' || p.id from crm.products p join crm.orgs o on o.id = p.org_id and o.slug = 'demo'
 where not p.discontinued and p.currency = 'EUR' order by p.unit_price limit 1"""


@pytest.fixture
def signs_always(home):
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        (org,) = conn.execute("select id from crm.orgs where slug = 'demo'").fetchone()
        state_policy(conn, org, {"passkeys": "always"})
        yield
        state_policy(conn, org, None)


@pytest.fixture
async def drafts(connect, owner_asks):
    """Have three orders drafted."""
    made = []
    async with connect("sam@demo.example") as client:
        for turn in range(3):
            arguments = {
                "customer": owner_asks(CUSTOMER),
                "lines": [{"product": owner_asks(PRODUCT), "quantity": turn + 2}],
                "reason": "They asked on the phone.",
                "idempotency_key": f"passkey-{turn}",
            }
            told = await client.call_tool("create_order_draft", arguments)
            made.append(told.structured_content["draft"]["id"])
    return made


async def test_a_person_adds_a_passkey_decides_with_it_and_signs_in_with_it(
    signs_always, drafts, node, chromium, approvals, owner_asks
):
    # whatever another test's person added is none of hers
    owner_asks(
        "with gone as (update crm.passkeys set revoked_at = now() where revoked_at is null returning 1) select count(*) from gone"
    )
    about = {
        "browser": chromium,
        "origin": approvals.origin,
        "link": approvals.link("mia@demo.example", "/passkeys"),
        "drafts": drafts,
        "shots": os.environ.get("CRM_SHOTS"),
    }
    program = [node, str(Path(__file__).with_name("passkeys.mjs")), json.dumps(about)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=400, check=True)
    said = json.loads(done.stdout)
    assert "fell" not in said, said["fell"]
    assert "You have none yet: add one first" in said["unable"]
    assert said["off"]
    assert "My phone" in said["added"]
    assert "has a passkey for you already" in said["again"]
    assert "cancelled, or took too long" in said["unverified"]
    assert "You approved this" in said["approved"]
    assert said["toApprove"] == 2
    assert "You rejected this" in said["rejected"]
    assert said["back"].endswith("/history")
    assert "A passkey needs JavaScript" in said["scriptless"]
    assert said["stillOff"]
    assert not any(said["wide"])
    assert said["problems"] == []
    numbers = [int(draft.removeprefix("draft_")) for draft in drafts]
    states = [owner_asks("select state from crm.drafts where id = %s", number) for number in numbers]
    assert states == ["approved", "rejected", "pending"]
    signed = "select count(*) from crm.signatures where draft_id = any (%s)"
    assert owner_asks(signed, numbers) == 2
