"""A held call edited by an approver: it stays one draft, and the editor becomes a drafter of it."""

import psycopg
import pytest

from crm_mcp import auth
from crm_mcp.approvals.executor import Executor
from crm_mcp.errors import Refusal


@pytest.fixture
def executor(approver):
    return Executor(approver)


@pytest.fixture
def person(approver):
    return lambda email: approver.sign_in(auth.by_email(email))


async def test_an_approver_edits_and_approves_what_they_saw(executor, person, drafted, owner_asks):
    draft, mia = int((await drafted())[6:]), await person("mia@demo.example")
    before = await executor.show(mia, draft)
    made = await executor.edit(mia, draft, 1, {"comment": "by the back door"}, "the driver asked")
    assert made.version == 2
    with pytest.raises(Refusal, match="CHANGED_SINCE_SHOWN"):
        await executor.approve(mia, draft, before.hash)
    outcome = await executor.approve(mia, draft, (await executor.show(mia, draft)).hash)
    assert (outcome.state, outcome.result["record"]["comment"]) == ("approved", "by the back door")
    assert owner_asks("select editors = array[%s::bigint] from crm.drafts where id = %s", mia.user, draft)
    seller = owner_asks("select u.email from crm.orders o join crm.users u on u.id = o.created_by"
                        " where o.id = %s", int(outcome.result["record"]["id"][4:]))  # fmt: skip
    assert seller == "sam@demo.example"


async def test_only_one_of_two_editors_who_saw_the_same_wins(executor, person, drafted):
    draft, mia, ada = int((await drafted())[6:]), await person("mia@demo.example"), await person("ada@demo.example")
    await executor.edit(mia, draft, 1, {"comment": "first"}, "hers")
    with pytest.raises(Refusal, match="DRAFT_CHANGED"):
        await executor.edit(ada, draft, 1, {"comment": "second"}, "late")


async def test_a_colleague_who_may_not_approve_can_not_edit(executor, person, drafted):
    draft, olga = int((await drafted())[6:]), await person("olga@demo.example")
    with pytest.raises(Refusal, match="NOT_FOUND"):
        await executor.edit(olga, draft, 1, {"comment": "mine now"}, "why not")


async def test_an_edit_leaves_its_rows_in_the_audit(executor, person, drafted, owner_asks):
    draft, mia = int((await drafted())[6:]), await person("mia@demo.example")
    await executor.edit(mia, draft, 1, {"comment": "noted"}, "because")
    with pytest.raises(Refusal, match="NOTHING_CHANGED"):
        await executor.edit(mia, draft, 2, {"comment": "noted"}, "again")
    phases = "select array_agg(phase || ' ' || coalesce(outcome, '') order by id) from crm.audit_log where tool = 'edit_draft' and draft_id = %s"
    assert owner_asks(phases, draft) == ["begun ", "ended ok", "begun ", "refused NOTHING_CHANGED"]


async def test_postgres_lets_nobody_change_a_held_call_but_by_an_edit(home, approver, person, drafted):
    draft, mia = int((await drafted())[6:]), await person("mia@demo.example")
    changes = ("editors = '{}'", "args = '{}'", "version = 7")
    for change in changes:
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            conn.execute("select set_config('crm.org_id', %s, false)", (str(mia.org),))
            wanted = change.replace("'{}'", "'{1}'") if change.startswith("editors") else change
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="by an edit alone"):
                conn.execute(f"update crm.drafts set {wanted} where id = %s", (draft,))
