"""The index of texts as its tests see it: its rows, and gone, so that it is made from scratch."""

from typing import Any

import psycopg

ROWS = """select entity, record_id, part, parts, title, section, handles, body, tags, roles, subject_type, subject_id, assignee_id,
 version, changed_at, digest, names, words::text from crm.search_chunks where org_id = %s order by 1, 2, 3"""
"""The index of an org but for the numbers of its rows, which a build from scratch draws anew."""


def rows(conn: psycopg.Connection[Any], org: int) -> list[tuple[Any, ...]]:
    """Return an org's index; the connection is the owner's."""
    return conn.execute(ROWS, (org,)).fetchall()


def forget(conn: psycopg.Connection[Any], org: int) -> None:
    """Forget the index of an org altogether; the connection is the owner's."""
    conn.execute("delete from crm.search_chunks where org_id = %s", (org,))
    conn.execute("delete from crm.search_state where org_id = %s", (org,))
