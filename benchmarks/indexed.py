"""Builds the index of texts of generated orgs, which were made without the recorder, as the worker would."""

import psycopg

from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.search.indexer import catch_up


async def index(home: Home, slugs: tuple[str, ...]) -> int:
    """Build the index of some orgs; return how many passages it holds."""
    owner = home.conninfo("crm_owner")
    with psycopg.connect(owner) as conn:
        orgs = [row[0] for row in conn.execute("select id from crm.orgs where slug = any (%s)", (list(slugs),))]
    worker = Database(home.conninfo("crm_worker"))
    try:
        for org in orgs:
            await catch_up(worker, org)
    finally:
        await worker.close()
    with psycopg.connect(home.conninfo("postgres"), autocommit=True) as conn:
        conn.execute("vacuum analyze crm.search_chunks")
        (passages,) = conn.execute("select count(*) from crm.search_chunks").fetchone() or (0,)
    return int(passages)
