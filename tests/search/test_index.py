"""The index holds what the records say: whatever order they commit in, whoever is killed, wherever they were restored."""

import random
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb

import indexes
from crm_mcp import ids
from crm_mcp.crm.models import Article, Customer, Lead, Opportunity, Task
from crm_mcp.importing.batch import batch
from crm_mcp.importing.rows import add
from crm_mcp.search import indexer
from crm_mcp.search.indexer import catch_up, rebuild
from orgs import sit_down

NOTE = """insert into crm.notes(org_id, customer_id, subject_type, subject_id, body) values (%s, %s, 'customers', %s, %s) returning id"""


class Writer:
    """A connection of crm_agent that writes what is free, as tools do: notes."""

    def __init__(self, home, org, customer):
        self.org, self.customer = org, customer
        self.conn = psycopg.connect(home.conninfo("crm_agent"))

    def begin(self):
        self.conn.execute("select set_config('crm.org_id', %s, true)", (str(self.org),))
        self.conn.execute("select set_config('crm.call_id', %s, true)", (str(ids.new_call()),))

    def note(self, body):
        self.begin()
        return self.conn.execute(NOTE, (self.org, self.customer, self.customer, body)).fetchone()[0]

    def change(self, note, body):
        self.begin()
        self.conn.execute("update crm.notes set body = %s where org_id = %s and id = %s", (body, self.org, note))

    def archive(self, note):
        self.begin()
        self.conn.execute("update crm.notes set archived_at = now() where org_id = %s and id = %s", (self.org, note))


@pytest.fixture
async def desk(home, approver, tmp_path, request):
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:50]
    return await sit_down(home, approver, tmp_path, name)


@pytest.fixture
async def customer(desk):
    return (await made(desk, Customer, {"name": "Wetherby Ltd"}))[0]


@pytest.fixture
def write(home, desk, customer):
    opened = []

    @contextmanager
    def writer():
        one = Writer(home, desk.who.org, customer)
        opened.append(one)
        yield one

    yield writer
    for one in opened:
        one.conn.close()


async def made(desk, model, *found):
    async with batch(desk.db, desk.who, "test", {}, "Set a test up.") as session:
        return await add(session, model, desk.who.org, list(found))


async def changed(desk, sql, *params):
    async with batch(desk.db, desk.who, "test", {}, "Change a test's record.") as session:
        await (await session.connection()).exec_driver_sql(sql, params)


def bodies(rows, org):
    return [row[7] for row in rows(org)]


def anew(home, org):
    """Forget the index of an org altogether."""
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        indexes.forget(conn, org)


async def is_as_from_scratch(home, worker, rows, org):
    kept = rows(org)
    anew(home, org)
    await catch_up(worker, org)
    fresh = rows(org)
    return [row for row in kept if row not in fresh], [row for row in fresh if row not in kept]


async def test_what_is_written_changed_and_archived_is_followed(desk, customer, write, worker, rows):
    org = desk.who.org
    await catch_up(worker, org)
    with write() as writer:
        first = writer.note("The veneer came loose.")
        second = writer.note("They pay in advance.")
        writer.conn.commit()
        await catch_up(worker, org)
        assert "The veneer came loose." in bodies(rows, org)
        writer.change(first, "The veneer was glued again.")
        writer.archive(second)
        writer.conn.commit()
        await catch_up(worker, org)
    assert "The veneer was glued again." in bodies(rows, org)
    assert not {"The veneer came loose.", "They pay in advance."} & set(bodies(rows, org))


async def test_a_transaction_that_commits_late_is_not_missed(desk, customer, write, worker, rows):
    org = desk.who.org
    await catch_up(worker, org)
    with write() as slow, write() as quick:
        slow.note("Began first, committed last.")
        quick.note("Began last, committed first.")
        quick.conn.commit()
        await catch_up(worker, org)
        await catch_up(worker, org)
        slow.conn.commit()
    await catch_up(worker, org)
    assert {"Began first, committed last.", "Began last, committed first."} <= set(bodies(rows, org))


async def test_what_was_rolled_back_is_not_there(desk, customer, write, worker, rows):
    await catch_up(worker, desk.who.org)
    with write() as writer:
        writer.note("Never said.")
        writer.conn.rollback()
    await catch_up(worker, desk.who.org)
    assert "Never said." not in bodies(rows, desk.who.org)


async def test_more_changes_than_fit_a_round_are_all_followed(desk, customer, write, worker, rows, monkeypatch):
    monkeypatch.setattr(indexer, "BATCH", 3)
    await catch_up(worker, desk.who.org)
    with write() as writer:
        for number in range(11):
            writer.note(f"Note {number}")
        writer.conn.commit()
        for number in range(11, 20):
            writer.note(f"Note {number}")
            writer.conn.commit()
    assert await catch_up(worker, desk.who.org) >= 6
    assert {f"Note {number}" for number in range(20)} <= set(bodies(rows, desk.who.org))


async def test_a_text_that_grows_shorter_leaves_no_passage_behind(desk, customer, write, worker, rows, home):
    org = desk.who.org
    with write() as writer:
        note = writer.note("The delivery was late again. " * 300)
        writer.conn.commit()
        await catch_up(worker, org)
        assert max(row[3] for row in rows(org)) > 5
        writer.change(note, "It came.")
        writer.conn.commit()
    await catch_up(worker, org)
    assert [row[7] for row in rows(org) if row[0] == "notes"] == ["It came."]
    assert await is_as_from_scratch(home, worker, rows, org) == ([], [])


async def test_what_has_not_changed_keeps_its_row_so_that_its_vector_stays(desk, customer, write, worker, home):
    org = desk.who.org
    numbers = "select id from crm.search_chunks where org_id = %s and entity = 'notes'"
    with write() as writer:
        note = writer.note("Kept.")
        writer.conn.commit()
        await catch_up(worker, org)
        before = desk.ask(numbers)
        writer.change(note, "Changed.")
        writer.conn.commit()
    await catch_up(worker, org)
    await rebuild(worker, org)
    await catch_up(worker, org)
    assert desk.ask(numbers) == before


async def test_a_lead_is_found_by_what_its_part_says(desk, worker, rows, home):
    org = desk.who.org
    await catch_up(worker, org)
    (lead,) = await made(desk, Lead, {"kind": "opportunity", "name": "Canteen"})
    await catch_up(worker, org)
    (part,) = await made(desk, Opportunity, {"lead_id": lead, "need": "Stackable chairs"})
    await catch_up(worker, org)
    assert any("Stackable chairs" in body for body in bodies(rows, org))
    await changed(desk, "update crm.opportunities set need = 'Benches' where org_id = %s and id = %s", org, part)
    await catch_up(worker, org)
    assert any("Benches" in body for body in bodies(rows, org))
    await changed(desk, "delete from crm.opportunities where org_id = %s and id = %s", org, part)
    await catch_up(worker, org)
    assert not any("Benches" in body for body in bodies(rows, org))


async def test_what_was_erased_or_merged_away_is_gone(desk, customer, worker, rows):
    org = desk.who.org
    (other,) = await made(desk, Customer, {"name": "Wetherby Limited"})
    (third,) = await made(desk, Customer, {"name": "Erased Ltd"})
    await catch_up(worker, org)
    assert len(rows(org)) == 3
    await changed(
        desk,
        "update crm.customers set merged_into = %s, archived_at = now() where org_id = %s and id = %s",
        customer,
        org,
        other,
    )
    await changed(desk, "delete from crm.customers where org_id = %s and id = %s", org, third)
    await catch_up(worker, org)
    assert [row[4] for row in rows(org)] == ["Wetherby Ltd"]


async def test_tags_and_readers_of_an_article_are_kept_with_its_passages(desk, worker, rows):
    await made(
        desk,
        Article,
        {"title": "Prices", "body": "x", "tags": Jsonb(["a"]), "access": "roles", "roles": Jsonb(["sales"])},
    )
    await made(desk, Article, {"title": "Secret", "body": "y", "access": "admin"})
    await catch_up(worker, desk.who.org)
    assert [(row[4], row[8], row[9]) for row in rows(desk.who.org)] == [
        ("Prices", ["a"], ["admin", "sales"]), ("Secret", [], ["admin"]),
    ]  # fmt: skip


async def test_a_restored_database_is_built_anew(desk, customer, worker, home, owner_asks):
    org = desk.who.org
    await catch_up(worker, org)
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        # as a dump of another server leaves it: its place in changes lies ahead of this server's transactions
        conn.execute(
            "update crm.search_state set origin = 'elsewhere', xact = '9000000000000'::xid8 where org_id = %s", (org,)
        )
        conn.execute("delete from crm.search_chunks where org_id = %s", (org,))
    assert await catch_up(worker, org) > 1
    assert owner_asks("select count(*) from crm.search_chunks where org_id = %s", org) == 1
    assert owner_asks("select built_at is not null and building is null from crm.search_state where org_id = %s", org)


async def test_a_build_follows_what_is_changed_behind_its_back(
    desk, customer, write, worker, rows, home, monkeypatch
):
    org = desk.who.org
    monkeypatch.setattr(indexer, "BATCH", 2)
    with write() as writer:
        notes = [writer.note(f"Note {number}") for number in range(9)]
        writer.conn.commit()
        for _ in range(40):
            if not await catch_up(worker, org, 1):
                break
            writer.change(notes[random.randrange(9)], f"Changed {random.random()}")
            notes.append(writer.note("New"))
            writer.archive(notes.pop(random.randrange(len(notes))) if len(notes) > 9 else notes[0])
            writer.conn.commit()
    monkeypatch.undo()
    await catch_up(worker, org)
    assert await is_as_from_scratch(home, worker, rows, org) == ([], [])


async def test_one_org_is_never_in_another_s_index(desk, customer, worker, rows, home, approver, tmp_path):
    neighbour = await sit_down(home, approver, tmp_path, "index-neighbour")
    await made(neighbour, Customer, {"name": "Next door"})
    await catch_up(worker, desk.who.org)
    assert [row[4] for row in rows(desk.who.org)] == ["Wetherby Ltd"]


async def test_killed_at_any_point_the_index_is_as_one_from_scratch(
    desk, customer, write, worker, rows, home, is_long
):
    org, chance = desk.who.org, random.Random(5)
    kills, stop = 40 if is_long else 6, threading.Event()
    problems: list[BaseException] = []

    def scribble(seed):
        mine, draw = [], random.Random(seed)
        try:
            with write() as writer:
                while not stop.is_set():
                    for _ in range(draw.randrange(1, 5)):
                        what = draw.random()
                        if what < 0.5 or not mine:
                            mine.append(
                                writer.note(f"{seed} {draw.random()} " + "It was late. " * draw.randrange(200))
                            )
                        elif what < 0.85:
                            writer.change(draw.choice(mine), f"changed {draw.random()}")
                        else:
                            writer.archive(mine.pop(draw.randrange(len(mine))))
                    writer.conn.commit() if draw.random() < 0.9 else writer.conn.rollback()
                    stop.wait(draw.random() / 50)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=scribble, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(kills):
            script = str(Path(__file__).with_name("index_until_killed.py"))
            with subprocess.Popen(
                [sys.executable, script, str(home.root), str(org)], stdout=subprocess.PIPE, text=True
            ) as child:
                assert child.stdout is not None
                assert child.stdout.readline() == "now\n"
                stop.wait(chance.random() * 0.7)
                child.kill()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not problems
    await catch_up(worker, org)
    assert len(rows(org)) > 10
    assert await is_as_from_scratch(home, worker, rows, org) == ([], [])


async def test_a_task_is_indexed_with_whose_it_is(desk, customer, worker, rows):
    about = {"subject_type": "customers", "subject_id": customer, "customer_id": customer}
    await made(desk, Task, {"title": "Call", "assignee_id": desk.who.user, **about})
    await catch_up(worker, desk.who.org)
    (task,) = [row for row in rows(desk.who.org) if row[0] == "tasks"]
    assert task[10:13] == ("customers", customer, desk.who.user)
