"""`crm-mcp agents run --background` and `agents runs`: a person's own runs from the command line."""

import json

import psycopg
import pytest


@pytest.fixture(autouse=True)
def pages(monkeypatch, home):
    started = []
    for command in ("agent_runs", "runs"):
        monkeypatch.setattr(f"crm_mcp.cli.{command}.ensure_page", lambda known, user=None: started.append(user))
    yield started
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("delete from crm.conversations")
        conn.execute("delete from jobs.procrastinate_jobs")


@pytest.fixture
def people(firm, member):
    slug = firm()
    return member(slug), f"boss@{slug}.example"


def told(crm, *words, code=0):
    done = crm("agents", *words)
    assert done.exit_code == code, done.output
    return done.output


def queued(crm, who, request="Note that kim@post.example called", *words):
    return json.loads(told(crm, "run", request, "--as", who, "--background", "--json", *words))["run"]


def test_a_run_is_queued_at_once_and_somebody_is_there_to_do_it(crm, people, pages):
    ann, _ = people
    run = queued(crm, ann, "Note it", "--about", "cust_12", "--agent", "customer")
    assert run.startswith("run_") and pages == [ann]
    (shown,) = json.loads(told(crm, "runs", "list", "--as", ann, "--json"))
    assert (shown["run"], shown["state"], shown["agent"]) == (run, "queued", "customer")
    said = told(crm, "run", "Another", "--as", ann, "--background")
    assert "is queued. `crm-mcp agents runs watch run_" in said


def test_a_run_is_shown_without_personal_data_and_as_text(crm, people):
    ann, _ = people
    run = queued(crm, ann)
    text = told(crm, "runs", "show", run, "--as", ann)
    assert "asked: Note that [e-mail] called" in text and "queued" in text
    assert json.loads(told(crm, "runs", "show", run, "--as", ann, "--json"))["messages"] == []


def test_nobody_else_finds_it_and_the_administrator_sees_that_it_is_there(crm, people):
    ann, boss = people
    run = queued(crm, ann)
    missing = told(crm, "runs", "show", "run_999999999", "--as", boss, code=1)
    assert "There is no such run of yours" in missing
    for command in ("show", "watch", "cancel", "resume"):
        assert told(crm, "runs", command, run, "--as", boss, code=1) == missing
    assert told(crm, "run", "And?", "--as", boss, "--background", "--continue", run, code=1) == missing
    assert "nothing" in told(crm, "runs", "list", "--as", boss) or "No agent" in told(
        crm, "runs", "list", "--as", boss
    )
    everybodys = told(crm, "runs", "list", "--all", "--as", boss)
    assert run in everybodys and ann in everybodys and "kim" not in everybodys and "Note" not in everybodys
    assert "Administrators see" in told(crm, "runs", "list", "--all", "--as", ann, code=1)


def test_what_is_cancelled_is_over_and_is_taken_up_again(crm, people, pages):
    ann, _ = people
    run = queued(crm, ann)
    assert told(crm, "runs", "cancel", run, "--as", ann) == f"{run} is cancelled.\n"
    assert "cancelled" in told(crm, "runs", "watch", run, "--as", ann, code=1)
    assert told(crm, "runs", "cancel", run, "--as", ann) == f"{run} is cancelled.\n"
    assert told(crm, "runs", "resume", run, "--as", ann) == f"{run} is queued again.\n"
    assert "It is queued already" in told(crm, "runs", "resume", run, "--as", ann, code=1)
    assert pages == [ann, ann]


@pytest.mark.parametrize("which", ["12", "draft_1", "run_0", "run_1;x"])
def test_what_calls_no_run_is_told_as_a_missing_one(crm, people, which):
    assert "There is no such run of yours" in told(crm, "runs", "show", which, "--as", people[0], code=1)


def test_who_asks_must_be_said(crm, people):
    assert "Say who asks" in told(crm, "runs", "list", code=1)
