"""A round of the worker: what a client may still repeat is answered as before, what is over is gone in every org."""

import asyncio
import json

import psycopg
import pytest

from crm_mcp import log
from crm_mcp import worker as working
from crm_mcp.db import Database
from crm_mcp.sink import Sink, last_head
from crm_mcp.telling.channels import Office
from crm_mcp.worker import round_of_work

KEY = "worker rounds"


async def test_a_repeated_call_is_answered_for_seven_days_and_its_answer_then_goes(connect, home, owner_asks):
    customer = owner_asks(
        "select 'cust_' || min(c.id) from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'"
        " where c.archived_at is null"
    )
    asked = {"about": customer, "body": "They called.", "reason": "they said so", "idempotency_key": KEY}
    left = "select count(*) from crm.idempotency_keys where key = %s"
    worker = Database(home.conninfo("crm_worker"))
    try:
        async with connect() as client:
            first = (await client.call_tool("add_note", asked)).structured_content
            made_older(home, "6 days 23 hours")
            await round_of_work(worker, None)
            again = (await client.call_tool("add_note", asked)).structured_content
            assert (again["note"], again["_meta"]["repeated"]) == (first["note"], True)
            made_older(home, "7 days 1 minute")
            await round_of_work(worker, None)
            assert owner_asks(left, KEY) == 0
    finally:
        await worker.close()


async def test_a_round_clears_sessions_of_every_org(home, owner_asks):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute(
            "insert into crm.web_sessions(digest, org_id, user_id, expires_at) select sha256(o.slug::bytea), o.id,"
            " (select min(id) from crm.users), now() - interval '2 days' from crm.orgs o"
        )
    worker = Database(home.conninfo("crm_worker"))
    try:
        await round_of_work(worker, None)
    finally:
        await worker.close()
    assert owner_asks("select count(*) from crm.web_sessions where expires_at < now() - interval '1 day'") == 0


@pytest.fixture
def sealed(home):
    """Add rows to the audit of the demo org and seal them, as a person's `audit verify` would; return the head."""

    def add():
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            (org,) = conn.execute("select id from crm.orgs where slug = 'demo'").fetchone()
            conn.execute(
                "insert into crm.audit_log(org_id, call_id, phase, user_id, tool) values (%s, 1, 'ended', 1, 'x')",
                (org,),
            )
        with psycopg.connect(home.conninfo("crm_worker")) as conn:
            conn.execute("select set_config('crm.org_id', %s, true)", (str(org),))
            head = conn.execute("select encode(head, 'hex') from crm.seal_audit()").fetchone()[0]
            (seq,) = conn.execute("select max(seq) from crm.audit_log where org_id = %s", (org,)).fetchone()
        return org, (seq, head)

    return add


async def test_a_head_that_was_sealed_and_not_kept_is_kept_by_the_next_round(home, sealed, tmp_path):
    """As after `kill -9` between the commit and the line: the row is sealed, and the sink does not know."""
    sink, worker = tmp_path / "heads", Database(home.conninfo("crm_worker"))
    try:
        org, head = sealed()
        assert last_head(sink, org) == (0, "")
        await round_of_work(worker, Sink(sink))
        assert last_head(sink, org) == head
        await round_of_work(worker, Sink(sink))
        heads = [(kept["org"], kept["seq"]) for kept in map(json.loads, sink.read_text().splitlines())]
        assert len(heads) == len(set(heads)), "the same head twice"
    finally:
        await worker.close()


async def test_no_head_is_kept_of_what_did_not_commit(home, sealed, tmp_path, monkeypatch):
    sink, worker = Sink(tmp_path / "heads"), Database(home.conninfo("crm_worker"))
    sealed()

    async def lost(db, org, statement, params=()):
        if "seal_audit" in statement:
            raise psycopg.OperationalError("the connection is lost")

    try:
        with monkeypatch.context() as patch:
            patch.setattr(Database, "definer", lost)
            with pytest.raises(psycopg.OperationalError):
                await round_of_work(worker, sink)
        assert not sink.path.exists()
    finally:
        await worker.close()


async def test_a_sink_that_cannot_be_written_is_said_loudly_and_work_goes_on(
    home, sealed, tmp_path, capsys, owner_asks
):
    worker = Database(home.conninfo("crm_worker"))
    log.configure("warning")
    org, head = sealed()
    try:
        await round_of_work(worker, Sink(tmp_path / "missing" / "heads"))
        said = capsys.readouterr().err
        assert "the head of the audit is not kept outside the database" in said
        assert f"{head[0]}:{head[1]}" in said
        (tmp_path / "missing").mkdir()
        await round_of_work(worker, Sink(tmp_path / "missing" / "heads"))
        assert last_head(tmp_path / "missing" / "heads", org) == head
    finally:
        await worker.close()


def test_a_line_that_was_half_written_hides_no_other(tmp_path):
    (tmp_path / "heads").write_text('{"org": 1, "seq": 4, "head": "aa"}\n{"org": 1, "se')
    sink = Sink(tmp_path / "heads")
    assert last_head(sink.path, 1) == (4, "aa")
    assert sink.keep(1, (5, "bb"))
    assert not sink.keep(1, (5, "bb"))
    assert last_head(sink.path, 1) == (5, "bb")
    assert last_head(sink.path, 2) == (0, "")


def made_older(home, age):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.idempotency_keys set created_at = now() - %s::interval where key = %s", (age, KEY))


class Hangs:
    """An embedder that never answers, and what keeps vectors with it, which waits for ever."""

    name, dimensions, is_semantic = "hangs-1", 8, True

    def __init__(self):
        self.asked = asyncio.Event()

    async def embed(self, texts, purpose):
        self.asked.set()
        await asyncio.Event().wait()

    async def live(self):
        return self

    async def keep(self, is_over):
        await asyncio.Event().wait()


async def test_an_embedder_that_hangs_holds_up_no_round(connect, home, tmp_path, monkeypatch):
    monkeypatch.setattr(working, "TICK", 1)
    async with connect() as client:
        told = {"text": "Prefers short answers.", "reason": "they said so"}
        saved = (await client.call_tool("save_preference", told)).structured_content
        assert saved["type"] == "result", saved
    conninfo, marks, hangs = home.conninfo("crm_worker"), [], Hangs()
    db = Database(conninfo)
    monkeypatch.setattr(working, "mark", lambda folder: marks.append(hangs.asked.is_set()))
    try:
        async with asyncio.timeout(30):
            await working.work(db, conninfo, None, tmp_path, None, lambda: any(marks), Office(db, lambda: ""), hangs)
    finally:
        await db.close()
