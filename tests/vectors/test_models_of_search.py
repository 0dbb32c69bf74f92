"""One model answers while others are built; which one changes in one step, and nobody who asks meanwhile notices."""

import asyncio
import json
import threading

import psycopg
import pytest
from click.testing import CliRunner
from served import serving

from crm_mcp.binding import to_org
from crm_mcp.cli import main
from crm_mcp.embedding.asking import written
from crm_mcp.embedding.ngrams import vector
from crm_mcp.search import models
from crm_mcp.search.indexer import catch_up

OTHER = "openai:small"
SEARCH = "select record_id, kinds from crm.search(%s, 'admin', null, null, null, 0, 10, %s, %s)"


@pytest.fixture
def endpoint():
    with serving() as made:
        yield made


@pytest.fixture
def crm(home, endpoint, monkeypatch):
    """Type a command; its JSON where it succeeds, else what it says."""
    monkeypatch.setenv("CRM_HOME", str(home.root))
    monkeypatch.setenv("CRM_EMBEDDER_URL", endpoint.url)

    def typed(*words):
        given = ["search", "models", *map(str, words)]
        done = CliRunner().invoke(main, [*given, "--json"])
        return json.loads(done.stdout) if done.exit_code == 0 else done.output

    yield typed
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        if models.named(conn, "ngrams-1").state != "live":
            models.switch(conn, "ngrams-1", forced=True)
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        for one in models.known(conn):
            if one.name != "ngrams-1":
                models.remove(conn, one.name)


@pytest.fixture
async def here(org, keeper):
    made = org()
    for n, text in enumerate(("Kitchen cabinets", "Garden furniture", "Bathroom tiles"), 1):
        made.says(n, text)
    await keeper.catch_up()
    return made


async def typed(crm, *words):
    """Type a command beside a running loop, as a person does in another window."""
    return await asyncio.to_thread(crm, *words)


async def test_a_model_is_built_beside_the_one_that_answers(here, crm, owner):
    added = await typed(crm, "add", OTHER)
    assert (added["state"], added["share"], added["built"], added["dimensions"]) == ("building", 1, 3, 8)
    assert (added["compares"], added["least"]) == ("meaning", 0.2)
    listed = await typed(crm, "list")
    assert [(one["name"], one["state"], one["share"]) for one in listed] == [
        ("ngrams-1", "live", 1),
        (OTHER, "building", 1),
    ]
    (number,) = owner.execute("select id from crm.embedding_models where name = %s", (OTHER,)).fetchone()
    assert here.vectors(number) == [(1, True), (2, True), (3, True)]


async def test_one_switches_and_goes_back_in_one_step_each(here, crm):
    await typed(crm, "add", OTHER)
    assert await typed(crm, "switch", OTHER) == {"live": OTHER, "before": "ngrams-1", "passages": 3, "built": 3}
    assert "is live already" in await typed(crm, "switch", OTHER)
    here.says(4, "Written after the switch")
    assert await typed(crm, "rollback") == {"live": "ngrams-1", "before": OTHER, "passages": 4, "built": 3}
    assert [one["state"] for one in await typed(crm, "list")] == ["live", "retired"]


async def test_one_does_not_switch_to_a_model_that_is_not_built_unless_forced(here, crm):
    await typed(crm, "add", OTHER, "--no-build")
    refused = await typed(crm, "switch", OTHER)
    assert "lacks vectors of 3 of 3 passages" in refused
    assert "--force" in refused
    assert [one["name"] for one in await typed(crm, "list") if one["state"] == "live"] == ["ngrams-1"]
    assert (await typed(crm, "switch", OTHER, "--force"))["live"] == OTHER


async def test_without_a_former_model_there_is_no_way_back(here, crm):
    assert "No other model answered before" in await typed(crm, "rollback")


async def test_a_model_that_answers_is_not_removed_and_another_leaves_nothing(here, crm, owner):
    assert "Switch to another model first" in await typed(crm, "remove", "ngrams-1")
    await typed(crm, "add", OTHER)
    (number,) = owner.execute("select id from crm.embedding_models where name = %s", (OTHER,)).fetchone()
    assert await typed(crm, "remove", OTHER) == {"removed": OTHER}
    assert owner.execute("select to_regclass(%s)", (f"crm.vectors_{number}",)).fetchone() == (None,)
    assert "There is no model" in await typed(crm, "remove", OTHER)


async def test_what_cannot_be_asked_is_not_added(here, crm, endpoint, monkeypatch):
    assert "An embedder is `ngrams-1`" in await typed(crm, "add", "magic")
    assert "already" in await typed(crm, "add", "ngrams-1")
    monkeypatch.setattr("crm_mcp.embedding.compatible.TRIES", {"query": 1, "document": 1})
    endpoint.is_away = True
    assert "gives no vectors" in await typed(crm, "add", OTHER)
    monkeypatch.delenv("CRM_EMBEDDER_URL")
    assert "CRM_EMBEDDER_URL is not set" in await typed(crm, "add", OTHER)
    assert [one["name"] for one in await typed(crm, "list")] == ["ngrams-1"]


async def test_a_retired_model_is_built_on_and_one_that_changed_its_length_must_go_first(here, crm, endpoint):
    await typed(crm, "add", OTHER)
    await typed(crm, "switch", OTHER)
    await typed(crm, "rollback")
    here.says(4, "Written meanwhile")
    assert (await typed(crm, "add", OTHER))["built"] == 4
    assert "being built already" in await typed(crm, "add", OTHER)
    await typed(crm, "switch", OTHER, "--force")
    await typed(crm, "rollback")
    endpoint.dimensions = 16
    assert "remove it first" in await typed(crm, "add", OTHER)


async def test_two_models_are_compared_by_what_they_find(here, crm, tmp_path):
    await typed(crm, "add", OTHER)
    file = tmp_path / "queries"
    file.write_text("kitchen cabinets\tnote_1\ngarden furniture\tnote_2, note_3\n\nbathroom tiles\n")
    slug = here._owner.execute("select slug from crm.orgs where id = %s", (here.id,)).fetchone()[0]
    told = await typed(crm, "compare", "ngrams-1", OTHER, "--org", slug, "--queries", file, "--best", 2)
    assert (told["queries"], told["labelled"]) == (3, 2)
    assert told["recall@2"]["ngrams-1"] == 0.75
    assert 0 <= told["overlap@2"] <= 1
    assert all({*row} == {"query", "overlap", "ngrams-1", OTHER} for row in told["differing"])
    file.write_text("kitchen\tnobody\n")
    assert "line 1" in await typed(crm, "compare", "ngrams-1", OTHER, "--org", slug, "--queries", file)
    assert "nobody has searched here yet" in await typed(crm, "compare", "ngrams-1", OTHER, "--org", slug)
    assert "There is no org" in await typed(crm, "compare", "ngrams-1", OTHER, "--org", "nowhere")


async def test_stored_queries_are_compared_the_latest_first(here, crm, owner):
    await typed(crm, "add", OTHER)
    for payload in ('{"query": "kitchen"}', '{"query": "garden"}', '{"query": "kitchen"}', '{"query": 5', None):
        owner.execute(
            "insert into crm.audit_log(org_id, call_id, phase, user_id, tool, payload) values (%s, 1, 'begun', 1, 'search_documents', %s)",
            (here.id, payload),
        )
    slug = owner.execute("select slug from crm.orgs where id = %s", (here.id,)).fetchone()[0]
    assert (await typed(crm, "compare", "ngrams-1", OTHER, "--org", slug))["queries"] == 2


async def test_a_person_reads_the_same(here, crm, home, tmp_path):
    await typed(crm, "add", OTHER)
    file = tmp_path / "queries"
    file.write_text("kitchen cabinets\tnote_1\nteak bench\n")
    slug = here._owner.execute("select slug from crm.orgs where id = %s", (here.id,)).fetchone()[0]

    def said(*words):
        done = CliRunner().invoke(main, ["search", "models", *map(str, words)])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "ngrams-1" in await asyncio.to_thread(said, "list")
    shown = await asyncio.to_thread(said, "compare", "ngrams-1", OTHER, "--org", slug, "--queries", file)
    assert "2 queries, overlap@10" in shown
    assert "recall@10 1.00  ngrams-1" in shown
    assert f"{OTHER} answers now; ngrams-1 did before." in await asyncio.to_thread(said, "switch", OTHER)
    assert "ngrams-1 answers now" in await asyncio.to_thread(said, "rollback")
    assert f"Removed {OTHER}" in await asyncio.to_thread(said, "remove", OTHER)


class Asking(threading.Thread):
    """Asks without end, with vectors of both models in turn; keeps what went wrong, and what was found by which."""

    def __init__(self, home, org, vectors):
        super().__init__()
        self.home, self.org, self.vectors = home, org, vectors
        self.wrong, self.asked, self.by_likeness, self.over = [], 0, 0, threading.Event()

    def run(self):
        with psycopg.connect(self.home.conninfo("crm_agent"), autocommit=True) as conn:
            while not self.over.is_set():
                for name, asked in self.vectors.items():
                    try:
                        with conn.transaction():
                            conn.execute(to_org(self.org))
                            live = "select name from crm.embedding_models where state = 'live'"
                            conn.execute("set transaction isolation level repeatable read")
                            rows = conn.execute(SEARCH, ("cabinets", name, asked)).fetchall()
                            (now,) = conn.execute(live).fetchone()
                    except Exception as problem:
                        self.wrong.append(repr(problem))
                        continue
                    by_likeness = any(
                        kind.startswith("similar") and "name" not in kind for _, kinds in rows for kind in kinds
                    )
                    if by_likeness != (now == name):
                        self.wrong.append((name, now, rows))
                    self.asked += 1
                    self.by_likeness += by_likeness


@pytest.fixture
async def recorded(org, keeper, worker):
    """An org with a real record, so that it is shown."""
    made = org()
    made.records("Kitchen cabinets")
    while await catch_up(worker, made.id):
        pass
    await keeper.catch_up()
    return made


async def test_who_asks_while_models_are_switched_gets_no_error_and_no_half_model(crm, endpoint, home, recorded):
    await typed(crm, "add", OTHER)
    text = "kitchen cabinets"
    asked = {"ngrams-1": written(vector(text)), OTHER: written(endpoint.vector(text))}
    threads = [Asking(home, recorded.id, asked) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(15):
            await asyncio.to_thread(switched, home)
    finally:
        for thread in threads:
            thread.over.set()
        for thread in threads:
            thread.join()
    assert [thread.wrong[:2] for thread in threads] == [[], [], []]
    assert all(thread.by_likeness for thread in threads)


def switched(home):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        models.rollback(conn) if any(one.state == "retired" for one in models.known(conn)) else models.switch(
            conn, OTHER
        )


async def test_a_model_may_be_removed_while_it_is_asked(crm, endpoint, home, recorded):
    asked = {"ngrams-1": written(vector("kitchen")), OTHER: written(endpoint.vector("kitchen"))}
    threads = [Nearest(home, recorded.id, asked) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            await typed(crm, "add", OTHER)
            assert await typed(crm, "remove", OTHER) == {"removed": OTHER}
    finally:
        for thread in threads:
            thread.over.set()
        for thread in threads:
            thread.join()
    assert [thread.wrong for thread in threads] == [[], [], []]


class Nearest(Asking):
    """Asks for what is nearest by either model, live or not."""

    def run(self):
        with psycopg.connect(self.home.conninfo("crm_worker"), autocommit=True) as conn:
            while not self.over.is_set():
                for name, asked in self.vectors.items():
                    try:
                        with conn.transaction():
                            conn.execute(to_org(self.org))
                            conn.execute(
                                "select * from crm.nearest(%s, %s, 'admin', null, null, null, 9)", (name, asked)
                            ).fetchall()
                    except Exception as problem:
                        self.wrong.append(repr(problem))
