"""The worker is killed in the middle of a run, wherever that is: another goes on, and nothing is done twice."""

import psycopg
import pytest
from backstage import backstage
from standin import Call

from crm_mcp.runs import opening

POINTS = [
    "asking 1",
    "answered 1, not kept",
    "step 1 kept",
    "asking 2",
    "answered 2, not kept",
    "step 2 kept",
    "before call 2",
    "after call 2",
    "after call 3",
    "step 3 kept",
    "answered 3, not kept",
    "step 4 kept",
    "before the end",
    "after the end",
]
"""Model 1 is triage, 2 the first turn of the specialist with two calls, 3 its last; call 1 is the hand-off."""


@pytest.fixture(autouse=True)
def _no_runs_of_other_tests(home):
    yield
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("delete from crm.conversations")
        conn.execute("delete from jobs.procrastinate_jobs")
        conn.execute("delete from crm.token_reservations")


@pytest.fixture
def customer(owner_asks):
    return owner_asks(
        "select 'cust_' || min(c.id) from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'"
        " where c.archived_at is null"
    )


EVERY = [*((point, False) for point in POINTS), ("after call 3", True), ("step 3 kept", True)]
SHORT = [EVERY[at] for at in (1, 7, 8, 10, 12, 14)]


def pytest_generate_tests(metafunc):
    if "decided" in metafunc.fixturenames:
        cases = EVERY if metafunc.config.getoption("--long") else SHORT
        names = [f"{point}-{'approved meanwhile' if decided else 'waiting'}" for point, decided in cases]
        metafunc.parametrize(("point", "decided"), cases, ids=names)


async def test_a_run_whose_worker_was_killed_is_finished_by_another_and_nothing_is_done_twice(
    home, database_of, tmp_path, customer, owner_asks, executor, person, point, decided
):
    body = f"Killed at {point}, {decided}"

    def work(tools):
        both = [
            Call("add_note", {"about": customer, "body": body, "reason": "They called."}),
            Call(
                "send_email_draft",
                {"to": ["kim@post.example"], "subject": body, "body": "B", "reason": "They asked."},
            ),
        ]
        answers = yield both
        while len(answers) < 2:
            answers = yield both
        while True:
            yield "Both are done."

    notes = "select count(*) from crm.notes where body = %s"
    drafts = "select count(*) from crm.drafts where tool = 'send_email_draft' and args like '%%' || %s || '%%' and state <> 'superseded'"
    async with backstage(home, database_of, tmp_path, "customer", work) as scene:
        run = await scene.queued(f"Note and write: {body}")
        await scene.killed_at(run, point)
        if decided:
            mia = await person("mia@demo.example")
            draft = owner_asks("select max(id) from crm.drafts where args like '%%' || %s || '%%'", body)
            await executor.approve(mia, draft, (await executor.show(mia, draft)).hash)
        shown = await scene.do(run)
        assert (shown["state"], shown["result"]) == ("finished", "Both are done."), shown
        assert (owner_asks(notes, body), owner_asks(drafts, body)) == (1, 1)
        assert shown["attempts"] == (1 if point == "after the end" else 2)
        assert shown["drafts"] == ([] if decided and point == "after call 3" else shown["drafts"])
        assert len(shown["drafts"]) == 1 or decided
        kinds = [item["kind"] for item in await opening.said_in(scene.agent, await scene.person(), run)]
        assert kinds == ["request", "response", "request", "response"]
