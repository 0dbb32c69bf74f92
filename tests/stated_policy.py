"""A policy that nobody approved, stated by the owner of the database for the length of a test."""

import json
from collections.abc import Mapping
from typing import Any

import psycopg

_STATE = """insert into crm.policies(org_id, edition, document, changes) values (%s, 2, crm.policy_standard() || %s::jsonb, '[]')
 on conflict (org_id, edition) do update set document = crm.policies.document || %s::jsonb"""


def state_policy(conn: psycopg.Connection[Any], org: int, said: Mapping[str, object] | None) -> None:
    """Have an org's policy say something, past recorder and guard; None: only the standard again."""
    with conn.transaction():
        conn.execute("alter table crm.policies disable trigger user")
        if said is None:
            conn.execute("delete from crm.policies where org_id = %s and edition = 2", (org,))
        else:
            conn.execute(_STATE, (org, json.dumps(said), json.dumps(said)))
        conn.execute("alter table crm.policies enable trigger user")
