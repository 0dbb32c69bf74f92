"""Vectors follow what passages say, whatever is killed meanwhile, and are found by who may see the passage alone."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psycopg
import pytest

from crm_mcp.binding import to_org
from crm_mcp.embedding.asking import written
from crm_mcp.embedding.embedder import EmbedderAway
from crm_mcp.embedding.ngrams import vector
from crm_mcp.search.vectors import BATCH, Keeper

ROLE = "admin"


@pytest.fixture
def near(worker):
    """Ask what is nearest in an org; the records, the nearest first."""

    async def ask(
        org, text, role=ROLE, person=None, entities=None, model="ngrams-1", labels=None, most=50, asked=None
    ):
        async with worker.lent() as conn, conn.transaction():
            await conn.execute(to_org(org.id))
            rows = await conn.execute(
                "select record_id from crm.nearest(%s, %s, %s, %s, %s::text[], %s::text[], %s)",
                (model, asked or written(vector(text)), role, person, entities, labels, most),
            )
            return [row[0] for row in await rows.fetchall()]

    return ask


async def test_a_passage_gets_a_vector_and_is_found_by_its_spelling(org, keeper, near):
    here = org()
    here.says(1, "Kitchen cabinets with soft-close hinges")
    here.says(2, "Garden furniture made of teak")
    assert await keeper.catch_up() == 2
    assert await near(here, "kitchn cabinet hinge") == [1]
    assert await keeper.catch_up() == 0


async def test_a_passage_that_says_something_else_gets_another_vector(org, keeper, near):
    here = org()
    here.says(1, "Kitchen cabinets")
    await keeper.catch_up()
    here.says(1, "Garden furniture")
    assert here.vectors() == [(1, False)]
    assert await keeper.catch_up() == 1
    assert here.vectors() == [(1, True)]
    assert await near(here, "kitchen cabinets") == []


async def test_the_vector_of_a_passage_that_is_gone_is_gone(org, keeper, owner):
    here = org()
    number = here.says(1, "Kitchen cabinets")
    await keeper.catch_up()
    owner.execute("delete from crm.search_chunks where org_id = %s and id = %s", (here.id, number))
    assert owner.execute("select count(*) from crm.vectors_1 where org_id = %s", (here.id,)).fetchone() == (0,)


async def test_a_passage_that_changes_while_it_is_embedded_is_embedded_anew(org, keeper, embedders, monkeypatch):
    here = org()
    here.says(1, "Kitchen cabinets")
    first = embedders.of("ngrams-1")
    embed = first.embed

    async def meanwhile(texts, purpose):
        made = await embed(texts, purpose)
        if texts == ["Kitchen cabinets"]:
            here.says(1, "Garden furniture")
        return made

    monkeypatch.setattr(first, "embed", meanwhile)
    await keeper.catch_up()
    assert here.vectors() == []
    await keeper.catch_up()
    assert here.vectors() == [(1, True)]


async def test_a_passage_without_a_word_is_done_and_never_found(org, keeper, near):
    here = org()
    here.says(1, "— … —")
    assert await keeper.catch_up() == 1
    assert await keeper.catch_up() == 0
    assert await near(here, "anything") == []
    assert await near(here, "", asked="[" + ",".join(["0"] * 512) + "]") == []


async def test_what_an_org_wrote_is_near_to_nobody_elses_query(org, keeper, near, worker):
    mine, theirs = org(), org()
    mine.says(1, "Kitchen cabinets")
    theirs.says(2, "Kitchen cabinets")
    await keeper.catch_up()
    assert await near(mine, "kitchen cabinets") == [1]
    assert await near(theirs, "kitchen cabinets") == [2]
    async with worker.lent() as conn:
        asked = written(vector("kitchen cabinets"))
        rows = await conn.execute("select * from crm.nearest('ngrams-1', %s, 'admin', null, null, null, 9)", (asked,))
        assert await rows.fetchall() == []


async def test_a_role_is_shown_what_it_may_see_however_much_else_is_nearer(org, keeper, near):
    here = org()
    for n in range(1, 120):
        here.says(n, f"Kitchen cabinets {n}", roles=["admin"])
    here.says(200, "Kitchen cabinets of oak and glass")
    here.says(201, "Kitchen cabinets of oak", entity="tasks", about="nowhere", assignee=7)
    await keeper.catch_up()
    assert set(await near(here, "kitchen cabinets", role="finance")) == {200}
    assert set(await near(here, "kitchen cabinets", role="finance", person=7)) == {200, 201}
    assert len(await near(here, "kitchen cabinets")) == 50
    assert await near(here, "kitchen cabinets", person=7, entities=["tasks"]) == [201]
    assert await near(here, "kitchen cabinets", most=0) == []
    assert await near(here, "kitchen cabinets", role="nobody") == []


async def test_nothing_is_found_by_a_vector_that_is_not_of_the_model(org, keeper, near):
    here = org()
    here.says(1, "Kitchen cabinets")
    await keeper.catch_up()
    assert await near(here, "", asked="[1,0,0]") == []
    assert await near(here, "kitchen cabinets", model="openai:other") == []


async def test_a_model_that_gives_other_dimensions_leaves_no_vector(org, worker, embedders):
    here = org()
    here.says(1, "Kitchen cabinets")

    class Shorter:
        embedder = None

        async def embed(self, texts, purpose):
            return [[1.0, 0.0]] * len(texts)

    embedders._made["ngrams-1"] = Shorter()
    assert await Keeper(worker, embedders).catch_up() == 0
    assert here.vectors() == []


async def test_a_large_org_is_searched_by_the_index_and_a_small_one_whole(org, keeper, owner, worker):
    here = org()
    here.says(1, "Kitchen cabinets")
    await keeper.catch_up()
    plans = []
    for plus in ("", "+ 0"):
        asked = written(vector("kitchen cabinets"))
        with owner.transaction():
            owner.execute("set local role crm_definer")
            owner.execute(f"select set_config('crm.org_id', '{here.id}', true)")
            owner.execute("set local enable_sort = off")
            rows = owner.execute(
                f"explain select v.chunk_id, (v.embedding operator(public.<=>) '{asked}') {plus} as d from crm.vectors_1 v"
                f" where v.org_id = {here.id} and v.embedding is not null order by 2"
            ).fetchall()
        plans.append("\n".join(row[0] for row in rows))
    assert "vectors_1_near" in plans[0], "under RLS the index by distance is used"
    assert "vectors_1_near" not in plans[1]


@pytest.fixture
def all_are_large(home):
    """Have every org count as large, so that the index is walked."""
    with psycopg.connect(home.conninfo("postgres", "crm"), autocommit=True) as root:
        (as_it_is,) = root.execute("select pg_get_functiondef('crm.nearest'::regproc)").fetchone()
        assert "<= 10000" in as_it_is
        root.execute(as_it_is.replace("<= 10000", "< 0"))
        yield
        root.execute(as_it_is)


async def test_the_walk_of_the_index_goes_on_until_enough_is_found_that_may_be_seen(org, keeper, near, all_are_large):
    mine, theirs = org(), org()
    for n in range(1, 400):
        theirs.says(n, f"Kitchen cabinets {n}")
        mine.says(n, f"Kitchen cabinets {n}", roles=["admin"])
    for n in range(500, 510):
        mine.says(n, f"Cabinets of oak and glass for a kitchen in the house number {n}")
    await keeper.catch_up()
    assert set(await near(mine, "kitchen cabinets", role="finance")) == set(range(500, 510))
    assert len(await near(mine, "kitchen cabinets")) == 50
    assert set(await near(mine, "kitchen cabinets")) < set(range(1, 400))


BUILD = Path(__file__).with_name("build_until_killed.py")


async def test_a_worker_that_is_killed_in_the_middle_of_a_build_has_lost_its_batch_alone(org, keeper, home):
    here = org()
    for n in range(BATCH * 4):
        here.says(n + 1, f"Passage {n} of kitchen cabinets")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BUILD), str(home.root), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"64\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    made = len(here.vectors())
    assert made == BATCH
    assert await keeper.catch_up() == BATCH * 4 - made
    assert here.vectors() == [(n + 1, True) for n in range(BATCH * 4)]


async def test_two_workers_at_once_do_not_disturb_each_other(org, worker, embedders):
    here = org()
    for n in range(BATCH * 2):
        here.says(n + 1, f"Passage {n} of kitchen cabinets")
    await asyncio.gather(*(Keeper(worker, embedders, _at_once).catch_up() for _ in range(3)))
    assert here.vectors() == [(n + 1, True) for n in range(BATCH * 2)]


async def test_one_rests_as_long_as_a_batch_took(org, worker, embedders):
    here, rests = org(), []
    here.says(1, "Kitchen cabinets")

    async def rest(seconds):
        rests.append(seconds)

    await Keeper(worker, embedders, rest).catch_up()
    assert len(rests) == 1
    assert rests[0] > 0


async def test_a_keeper_goes_on_after_whatever_went_wrong(org, worker, embedders, monkeypatch):
    here, rests = org(), []
    here.says(1, "Kitchen cabinets")
    keeper = Keeper(worker, embedders, _at_once)
    problems = [psycopg.OperationalError("gone"), RuntimeError("odd")]
    catch_up = keeper.catch_up

    async def stumbling(is_over):
        if problems:
            raise problems.pop()
        return await catch_up(is_over)

    async def rest(seconds):
        rests.append(seconds)

    monkeypatch.setattr(keeper, "catch_up", stumbling)
    monkeypatch.setattr(keeper, "_pause", rest)
    await keeper.keep(lambda: bool(here.vectors()))
    assert here.vectors() == [(1, True)]


async def test_a_model_that_is_away_holds_up_no_other(org, owner, worker, settings):
    """One that answers is built though one that is live does not, and the other way round."""
    from crm_mcp.embedding.choosing import Embedders

    here = org()
    here.says(1, "Kitchen cabinets")
    owner.execute(
        "insert into crm.embedding_models(name, dimensions, is_semantic, least, state) values ('openai:away', 4, true, 0, 'building')"
    )
    try:
        owner.execute("select crm.make_vectors(id) from crm.embedding_models where name = 'openai:away'")
        embedders = Embedders(settings)
        with pytest.raises(EmbedderAway):
            await Keeper(worker, embedders, _at_once).build("openai:away", lambda count: None)
        assert await Keeper(worker, embedders, _at_once).catch_up() == 1
        assert here.vectors() == [(1, True)]
    finally:
        (number,) = owner.execute(
            "delete from crm.embedding_models where name = 'openai:away' returning id"
        ).fetchone()
        owner.execute(f"drop table crm.vectors_{number}")


async def _at_once(seconds):
    """Rest no time."""


async def test_the_worker_cuts_passages_and_gives_them_vectors(org, home):
    here = org()
    number = here.records("Kitchen cabinets")
    worked = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "crm_mcp", "worker", "--once", env={**os.environ, "CRM_HOME": str(home.root)}
    )
    assert await worked.wait() == 0
    assert here.vectors() == [(number, True)]
