"""The COMMIT arrives and its answer does not: what the call says is so, and asking again doubles nothing."""

import uuid

import psycopg
import pytest
from campaign_drafts import APPROVER

from crm_mcp import auth
from crm_mcp.approvals.executor import Executor
from crm_mcp.db import Database

LOST = "server closed the connection unexpectedly"


@pytest.fixture
def lose(monkeypatch):
    """Return a function that makes the next COMMIT of a write arrive, or not, and its answer never."""
    commit = psycopg.AsyncConnection.commit

    def arrange(*, arrives: bool) -> None:
        async def lost(conn):
            if conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                return await commit(conn)  # a pool's, which ends nothing
            monkeypatch.setattr(psycopg.AsyncConnection, "commit", commit)
            if arrives:
                await commit(conn)
            await conn.close()
            raise psycopg.OperationalError(LOST)

        monkeypatch.setattr(psycopg.AsyncConnection, "commit", lost)

    return arrange


def untruths(answer: dict, there: int) -> list[str]:
    """Return what an answer says that is not so: nothing changed though it did, or saved though it was not."""
    error = answer.get("error")
    hint = answer.get("context", {}).get("hint", "")
    found = []
    if there and (error not in ("COMMITTED", "UNSETTLED") or "Nothing was changed" in hint):
        found.append(f"{there} there, and told {error}: {hint}")
    if not there and error in (None, "COMMITTED"):
        found.append(f"nothing there, and told {error}")
    return found


def wanted(desk, tool, mark):
    if tool == "add_note":
        return {"about": f"cust_{desk.customers[0]}", "body": mark, "reason": "a campaign"}
    return {**desk.order(), "comment": mark}


def there(desk, tool, mark) -> int:
    table, column = ("notes", "body") if tool == "add_note" else ("drafts", "args")
    return desk.owner.execute(f"select count(*) from crm.{table} where {column} like %s", (f"%{mark}%",)).fetchone()[
        0
    ]


async def test_the_oracle_sees_a_server_that_never_looks_whether_it_committed(connect, desk, lose, monkeypatch):
    async def never(db, org, call):
        return False

    monkeypatch.setattr(Database, "is_settled", never)
    mark = uuid.uuid4().hex
    async with connect() as client:
        await client.call_tool("get_customer", {"customer": f"cust_{desk.customers[0]}"})
        lose(arrives=True)
        answer = (await client.call_tool("add_note", wanted(desk, "add_note", mark))).structured_content
    assert untruths(answer, there(desk, "add_note", mark))


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("tool", ["add_note", "create_order_draft"])
async def test_a_lost_commit_answer_is_told_as_it_is(connect, desk, lose, tool, arrives):
    mark = uuid.uuid4().hex
    arguments = wanted(desk, tool, mark)
    async with connect() as client:
        lose(arrives=arrives)
        answer = (await client.call_tool(tool, arguments)).structured_content
        assert there(desk, tool, mark) == int(arrives)
        assert untruths(answer, int(arrives)) == []
        if tool == "create_order_draft" or not arrives:
            again = (await client.call_tool(tool, arguments)).structured_content
            assert "error" not in again
            assert there(desk, tool, mark) == 1


@pytest.mark.parametrize("arrives", [True, False])
async def test_an_approver_who_lost_the_commit_answer_is_told_the_truth(home, desk_drafts, desk, lose, arrives):
    (draft, seen), db = desk_drafts, Database(home.conninfo("crm_approver"))
    try:
        executor, who = Executor(db), await db.sign_in(auth.by_email(APPROVER))
        lose(arrives=arrives)
        try:
            outcome = await executor.approve(who, draft, seen)
            told = outcome.state
        except Exception as problem:
            from crm_mcp.errors import refusal_for

            refusal = refusal_for(problem)
            told = "crashed" if refusal is None else f"{refusal.error}: {refusal.hint}"
        state = desk.evidence([draft])[draft].state
        assert state == ("approved" if arrives else "pending")
        again = await executor.approve(who, draft, seen)
        assert (again.state, again.won) == ("approved", not arrives)
        assert desk.evidence([draft])[draft].orders == 1
        assert not (arrives and "Nothing was changed" in told), told
        assert not (arrives and ["begun", "ended", "refused"] in desk.audit(draft, "approve")), "audited as refused"
    finally:
        await db.close()


@pytest.fixture
def desk_drafts(desk):
    (draft,) = desk.drafts(1)
    (seen,) = desk.shown([draft])
    return draft, seen
