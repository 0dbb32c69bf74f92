"""A conversation is its person's alone: to anybody else, of the org or another, it is as missing as one that never was."""

from datetime import timedelta

import psycopg
import pytest

from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent
from crm_mcp.runs import opening
from crm_mcp.runs.names import RunNotFound, parse

DENIED = "42501"
STRANGERS = ["ada", "mia", "olga", "stranger"]


@pytest.fixture
async def stranger(owner_asks):
    sql = "select u.email from crm.memberships m join crm.users u on u.id = m.user_id join crm.orgs o on o.id = m.org_id where o.slug = 'other' limit 1"
    return owner_asks(sql)


async def test_a_person_sees_their_own_runs_the_newest_first(agent_db, sam, finished):
    first, second = await finished(sam, "First"), await finished(sam, "Second", drafts=["draft_7"])
    found = await opening.runs(agent_db, sam)
    assert [run["run"] for run in found] == [second, first]
    assert (found[0]["title"], found[0]["result"], found[0]["drafts"]) == ("Second", "Done.", ["draft_7"])
    assert [item["kind"] for item in await opening.said_in(agent_db, sam, first)] == ["request", "response"]


@pytest.mark.parametrize("name", STRANGERS)
async def test_anothers_run_answers_as_one_that_never_was(agent_db, sam, signed_in, finished, queued, stranger, name):
    mine, waiting = await finished(sam, "Ours"), await queued(sam)
    who = await signed_in(stranger if name == "stranger" else name)
    never = 10**9
    for ask in (opening.run, opening.cancel, opening.resume):
        told = []
        for number in (mine, waiting, never):
            with pytest.raises(RunNotFound) as caught:
                await ask(agent_db, who, number)
            told.append((caught.value.error, caught.value.hint))
        assert len(set(told)) == 1
    with pytest.raises(RunNotFound):
        await opening.open_run(agent_db, who, "And then?", after=mine)
    assert await opening.runs(agent_db, who) == []
    assert await opening.said_in(agent_db, who, mine) == []
    assert (await opening.run(agent_db, sam, waiting))["state"] == "queued"


async def test_an_administrator_sees_state_and_cost_of_everybodys_and_not_a_word(agent_db, sam, signed_in, finished):
    run = await finished(sam, "About Kim's invoice", "It is paid.")
    ada = await signed_in("ada")
    (found,) = [one for one in await opening.runs_of_all(agent_db, ada) if one["run"] == run]
    assert (found["state"], found["person"], found["tokensIn"]) == ("finished", "sam@demo.example", 0)
    assert "Kim" not in str(found) and "paid" not in str(found) and "asked" not in found
    for name, agent in (("sam", None), ("ada", Agent.ANALYTICS)):
        with pytest.raises(Refusal, match="ADMIN_ONLY"):
            await opening.runs_of_all(agent_db, await signed_in(name, agent))


@pytest.mark.parametrize("text", ["run_0", "run_x", "12", "draft_1", "run_1; drop table x", ""])
async def test_what_calls_no_run_is_no_run(text):
    with pytest.raises(RunNotFound):
        parse(text)


@pytest.mark.parametrize("login", ["crm_agent", "crm_worker", "crm_approver", "crm_query"])
@pytest.mark.parametrize("table", ["conversations", "conversation_items", "agent_runs"])
def test_no_login_reads_or_writes_the_tables(home, login, table):
    with psycopg.connect(home.conninfo(login), autocommit=True) as conn:
        for statement in (
            f"select * from crm.{table}",
            f"delete from crm.{table}",
            f"update crm.{table} set org_id = 1",
        ):
            with pytest.raises(psycopg.Error) as caught:
                conn.execute(statement)
            assert caught.value.sqlstate == DENIED


async def test_nobody_who_is_not_bound_opens_reads_or_cancels(agent_db, sam, finished):
    run = await finished(sam, "Ours")
    for statement in (
        "crm.my_runs(null, 10)",
        f"crm.my_run_items({run})",
        "crm.org_runs(10)",
        f"crm.cancel_run({run}, '1 hour')",
    ):
        with pytest.raises(psycopg.errors.InvalidAuthorizationSpecification):
            await agent_db.definer(sam.org, f"select {statement}")


async def test_a_key_for_one_agent_begins_runs_of_that_agent_alone(agent_db, signed_in):
    who = await signed_in("sam", Agent.SUPPORT)
    for agent in (None, Agent.ORDER):
        with pytest.raises(Refusal, match="NOT_THAT_AGENT"):
            await opening.open_run(agent_db, who, "Do it.", agent=agent, in_background=True)
    assert (await opening.open_run(agent_db, who, "Do it.", agent=Agent.SUPPORT, in_background=True)).run


async def test_twenty_runs_of_one_person_may_be_open(agent_db, sam, signed_in, queued):
    for _ in range(20):
        await queued(sam)
    with pytest.raises(Refusal, match="TOO_MANY_RUNS"):
        await queued(sam)
    assert await queued(await signed_in("olga"))


@pytest.mark.parametrize("request_text", ["", "   ", "x" * 20_001])
async def test_a_request_says_something_and_not_too_much(agent_db, sam, request_text):
    with pytest.raises(Refusal, match="INVALID_ARGUMENT"):
        await opening.open_run(agent_db, sam, request_text)


async def test_what_postgres_keeps_in_no_text_is_left_out(agent_db, sam, finished):
    run = await finished(sam, "A\x00b \ud800", "C\x00d")
    assert (await opening.run(agent_db, sam, run))["result"] == "Cd"


async def test_a_follow_up_waits_until_the_run_before_it_is_over(agent_db, sam, queued, finished):
    waiting = await queued(sam)
    with pytest.raises(Refusal, match="RUN_STILL_RUNS"):
        await opening.open_run(agent_db, sam, "And?", after=waiting)
    assert await opening.cancel(agent_db, sam, waiting) == "cancelled"
    again = await queued(sam, "And?", after=waiting)
    before, after = [await opening.run(agent_db, sam, one) for one in (waiting, again)]
    assert before["conversation"] == after["conversation"]
    with pytest.raises(Refusal, match="RUN_NOT_RESUMABLE"):
        await opening.resume(agent_db, sam, waiting, timedelta(0))
