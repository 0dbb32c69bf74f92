"""search_documents compares what a query says by the model that is live, and says by what; without it, words are found."""

import os
import sys
from contextlib import asynccontextmanager

import psycopg
import pytest
from mcp import Client, StdioServerParameters
from served import serving

from crm_mcp.config import Settings
from crm_mcp.db import Database
from crm_mcp.embedding import compatible
from crm_mcp.embedding.breaker import FAILURES, FIRST_PAUSE
from crm_mcp.embedding.choosing import Embedders, Following
from crm_mcp.search import models
from crm_mcp.search.indexer import catch_up
from crm_mcp.search.vectors import Keeper
from homes import temporary_home

OTHER = "openai:small"
ROLES = {"admin": "ada@demo.example", "support": "sue@demo.example"}


@pytest.fixture(scope="module")
def home(loaded):
    with temporary_home(loaded) as made:
        yield made


@pytest.fixture(scope="module")
def endpoint():
    with serving() as made:
        made.dimensions = 256
        yield made


async def at_once(seconds):
    """Rest no time."""


@pytest.fixture(scope="module")
async def indexed(home, endpoint):
    """The demo org's passages with vectors of both models; the endpoint's is built, not live."""
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        models.add(conn, OTHER, 256, True, 0.2)
        (org,) = conn.execute("select id from crm.orgs where slug = 'demo'").fetchone()
    db, embedders = Database(home.conninfo("crm_worker")), Embedders(settings_of(home, endpoint))
    while await catch_up(db, org):
        pass
    await Keeper(db, embedders, at_once).catch_up()
    await embedders.close()
    await db.close()
    return org


def settings_of(home, endpoint):
    return Settings(home=home.root, embedder_url=endpoint.url)


@pytest.fixture
def live(home, indexed):
    """Make a model live; the first one is again afterwards."""

    def switch(name):
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            if models.named(conn, name).state != "live":
                models.switch(conn, name, forced=True)

    yield switch
    switch("ngrams-1")


@pytest.fixture
def served(connect, home, endpoint, indexed):
    """Connect a client of a process as `serve` makes it; it has the process's clock."""

    @asynccontextmanager
    async def serve(settings=None):
        now = [1000.0]
        async with connect(ROLES["admin"]) as client:
            given = settings or settings_of(home, endpoint)
            embedders = Embedders(given, client.app.degraded, clock=lambda: now[0])
            client.app.embedder = Following(embedders, "ngrams-1")

            async def search(query, **more):
                answer = await client.call_tool("search_documents", {"query": query, **more})
                assert not answer.is_error, answer
                return answer.structured_content

            search.now = now
            yield search
            await embedders.close()

    return serve


async def test_what_is_misspelt_is_found_and_the_answer_says_that_spelling_was_compared(served):
    async with served() as search:
        found = await search("arived scrached topp")
    assert found["_meta"]["compared"] == "words and spelling (lexical)"
    assert any("similar spelling" in one["match"] and "scratched top" in one["title"] for one in found["passages"])


async def test_a_process_finds_out_which_model_is_live_and_asks_that_one(served, live, endpoint):
    live(OTHER)
    endpoint.asked.clear()
    async with served() as search:
        found = await search("early payment discount")
        assert found["_meta"]["compared"] == "words and meaning"
        assert any("similar meaning" in one["match"] for one in found["passages"])
        assert endpoint.asked == [["early payment discount"]]
        await search("another question")
        assert endpoint.asked[1:] == [["another question"]], "a query is embedded once"
        live("ngrams-1")
        assert (await search("discount"))["_meta"]["compared"] == "words and spelling (lexical)"


async def test_an_embedder_that_is_killed_and_back_is_said_and_needs_no_restart(served, live, endpoint, monkeypatch):
    monkeypatch.setitem(compatible.TRIES, "query", 1)
    live(OTHER)
    async with served() as search:
        assert (await search("discount"))["_meta"]["compared"] == "words and meaning"
        endpoint.is_away = True
        for _ in range(FAILURES):
            found = await search("discount")
            assert found["_meta"]["compared"] == "words alone"
            assert found["_meta"]["degraded"]["embedder"] == "found by words alone"
            assert found["passages"], "words are found all the same"
        asked = len(endpoint.asked)
        await search("discount")
        assert len(endpoint.asked) == asked, "it is left alone for a while"
        endpoint.is_away = False
        search.now[0] += FIRST_PAUSE
        found = await search("discount")
    assert found["_meta"]["compared"] == "words and meaning"
    assert "embedder" not in found["_meta"].get("degraded", {})


async def test_a_process_that_cannot_ask_the_live_model_finds_by_words_until_it_can(served, live, home):
    live(OTHER)
    async with served(Settings(home=home.root)) as search:
        found = await search("discount")
        assert found["_meta"]["compared"] == "words alone"
        assert found["_meta"]["degraded"]["embedder"] == "found by words alone"
        assert found["passages"]
        live("ngrams-1")
        found = await search("discount")
    assert found["_meta"]["compared"] == "words and spelling (lexical)"
    assert "embedder" not in found["_meta"].get("degraded", {})


async def test_an_id_is_no_text_to_compare(served, live, endpoint):
    live(OTHER)
    async with served() as search:
        await search("discount")
        endpoint.asked.clear()
        found = await search("note_1")
    assert endpoint.asked == []
    assert found["passages"][0]["id"] == "note_1"


async def test_likeness_finds_nothing_that_a_role_may_not_see(connect, indexed):
    async with connect(ROLES["support"]) as support, connect(ROLES["admin"]) as admin:
        for query in ("canteen seatings", "reminded of an invoice", "scratched"):
            asked = {"query": query, "limit": 25}
            seen, all_ = [
                {
                    one["entity"]
                    for one in (await client.call_tool("search_documents", asked)).structured_content["passages"]
                }
                for client in (support, admin)
            ]
            assert all_
            assert not seen & {"deals", "leads", "opportunities"}, seen


async def test_a_text_that_is_like_nothing_finds_nothing(served):
    async with served() as search:
        found = await search("qqqqxxxx zzzzwwww")
    assert found["passages"] == []
    assert found["_meta"]["compared"] == "words and spelling (lexical)"


async def test_a_process_that_knows_one_model_alone_says_what_it_lacks_as_long_as_it_does(connect, live, indexed):
    async with connect(ROLES["admin"]) as client:

        async def search():
            return (await client.call_tool("search_documents", {"query": "discount"})).structured_content["_meta"]

        live(OTHER)
        assert (await search())["degraded"]["embedder"] == "found by words alone"
        live("ngrams-1")
        assert "degraded" not in await search()


async def test_a_word_that_is_left_out_is_found_in_no_way(served, live, endpoint):
    live(OTHER)
    endpoint.asked.clear()
    async with served() as search:
        found = await search('scratched top -armchair -"dining table"', limit=25)
    assert endpoint.asked == [["scratched top"]]
    assert any("similar meaning" in one["match"] for one in found["passages"])
    assert not [one for one in found["passages"] if "armchair" in one.get("title", "").lower()]


async def test_a_real_server_goes_on_while_a_real_endpoint_is_killed_and_is_back_without_a_restart(
    home, indexed, live
):
    live(OTHER)
    words = ["-P", "-m", "crm_mcp", "serve", "--user", ROLES["admin"]]
    with serving() as first:
        first.dimensions, port = 256, int(first.url.split(":")[2].split("/")[0])
        given = {
            "CRM_EMBEDDER": OTHER,
            "CRM_EMBEDDER_URL": first.url,
            "CRM_EMBEDDER_KEY": "sk-hush",
            "CRM_OPEN_BROWSER": "never",
        }
        server = StdioServerParameters(
            command=sys.executable, args=words, env={**os.environ, "CRM_HOME": str(home.root), **given}
        )
        async with Client(server) as client:

            async def compared():
                found = (await client.call_tool("search_documents", {"query": "discount"})).structured_content
                assert found["passages"]
                return found["_meta"]["compared"], found["_meta"].get("degraded", {}).get("embedder")

            assert await compared() == ("words and meaning", None)
            assert [len(texts) for texts in first.asked] == [1]
            first.end()
            assert await compared() == ("words alone", "found by words alone")
            with serving(port) as second:
                second.dimensions = 256
                assert await compared() == ("words and meaning", None)
