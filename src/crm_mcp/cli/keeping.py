"""What the owner of the database writes into the recorded tables of an org: recorded, audited, and no door left open."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import click
import psycopg

from .. import ids

_FIND = """select o.id, u.id from crm.orgs o join crm.memberships m on m.org_id = o.id join crm.users u on u.id = m.user_id
 where o.slug = %s and u.email_norm = lower(%s) and m.role = 'admin' and m.active"""
_BIND = "select set_config('crm.org_id', %s, true), set_config('crm.call_id', %s, true), set_config('crm.user_id', %s, true)"
_OPEN = """insert into crm.free_writes(org_id, tbl, op, columns) select %s, %s, unnest(array['I', 'U'])::"char", null
 on conflict do nothing returning op"""
_CLOSE = "delete from crm.free_writes where org_id = %s and tbl = %s and op = any(%s)"
_RECORD = """insert into crm.audit_log(org_id, call_id, phase, user_id, client, tool, verdict, outcome, payload)
 values (%s, %s, 'ended', %s, 'the owner of the database', %s, 'run', 'ok', %s)"""


@contextmanager
def done_by(
    conn: psycopg.Connection[Any], org: str, user: str, command: str, said: Mapping[str, object]
) -> Generator[tuple[int, int]]:
    """Do something for an administrator of an org, bound to it and audited; yields the org's id and the person's.

    Raises:
        ClickException: the person is no administrator of the org.
    """
    found = conn.execute(_FIND, (org, user)).fetchone()
    if found is None:
        raise click.ClickException(f"{user} is no administrator of {org}.")
    call = ids.new_call()
    conn.execute(_BIND, (str(found[0]), str(call), str(found[1])))
    yield int(found[0]), int(found[1])
    conn.execute(_RECORD, (found[0], call, found[1], command, json.dumps(dict(said), ensure_ascii=False)))


@contextmanager
def kept(
    conn: psycopg.Connection[Any], org: str, user: str, table: str, command: str, said: Mapping[str, object]
) -> Generator[int]:
    """Write to one recorded table of an org for an administrator of it; yields the org's id.

    The guard judges the writes while the table is free to this org within this transaction, and to nobody else.

    Raises:
        ClickException: the person is no administrator of the org.
    """
    with done_by(conn, org, user, command, said) as (found, _):
        opened = [row[0] for row in conn.execute(_OPEN, (found, table)).fetchall()]
        yield found
        conn.execute("set constraints all immediate")
        conn.execute(_CLOSE, (found, table, opened))
