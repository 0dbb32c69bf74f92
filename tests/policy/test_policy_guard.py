"""A policy is never looser than Postgres: what runs by it is what the guard lets run, and only an approved one counts."""

import json
import uuid

import psycopg
import pytest
from psycopg.types.json import Jsonb
from township import bind

from crm_mcp.policy_document import Policy, changed

ADD = "insert into crm.policies(org_id, edition, document, changes) values (%s, %s, %s, '[]')"
CUSTOMER = "insert into crm.customers(org_id, name) values (%s, 'By hand')"


def loose(**more):
    """A document that says RUN wherever it can, and where it cannot."""
    document = changed(Policy(), {"run_tables.customers": "run", "run_tables.issues": "run"}).document()
    return document | {"run_tables": document["run_tables"] | more}


def insert(town, login, statement, *params, name="ann", **settings):
    """Commit a statement as a login bound to a person."""
    with psycopg.connect(town.home.conninfo(login)) as conn:
        bind(conn, town, name, **settings)
        conn.execute(statement, params)
        conn.commit()  # within: a connection is not closed where the commit of its block fails


@pytest.mark.parametrize("login", ["crm_agent", "crm_worker", "crm_approver"])
@pytest.mark.parametrize("named", ["", "set constraints all immediate", "set constraints crm.apply immediate"])
def test_a_forged_document_is_refused_at_commit(town, login, named):
    with psycopg.connect(town.home.conninfo(login)) as conn:
        bind(conn, town, "ann")
        conn.execute(ADD, (town.org, 2, Jsonb(loose())))
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"unapproved I on policies|nobody approved"):
            conn.execute(f"{named}; commit")
    assert town.edition() == 1 and town.free() == set()


@pytest.mark.parametrize("login", ["crm_agent", "crm_worker"])
def test_no_policy_is_applied_before_the_guard_has_looked(town, login):
    with psycopg.connect(town.home.conninfo(login)) as conn:
        bind(conn, town, "ann")
        conn.execute(ADD, (town.org, 2, Jsonb(loose())))
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="nobody approved"):
            conn.execute("set constraints crm.apply immediate")


@pytest.mark.parametrize("login", ["crm_agent", "crm_worker", "crm_approver"])
@pytest.mark.parametrize(
    "statement",
    [
        "update crm.policies set document = document",
        "delete from crm.policies",
        "insert into crm.free_writes(org_id, tbl, op) values (0, 'orders', 'I')",
        "delete from crm.free_writes",
        "update crm.orgs set solo = true",
    ],
)
def test_no_login_changes_an_edition_the_guard_or_solo_mode_by_hand(town, login, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        insert(town, login, statement)


async def approve_by_hand(town, name, edition, document, *, requester="abe"):
    """Do as crm_approver what a broken page could: an edition under somebody's draft, approved by `name`."""
    held = {
        "tool": "add_note",
        "tool_version": 1,
        "args": "{}",
        "args_key": uuid.uuid4().hex,
        "effects_key": "e",
        "call_id": 5,
        "changes": "[]",
        "shown": "{}",
        "summary": "a note",
        "verdict": "held",
        "policy_version": 1,
        "clock": "2026-01-01T00:00:00Z",
    }
    with psycopg.connect(town.home.conninfo("crm_approver")) as conn:
        bind(conn, town, requester)
        (draft,) = conn.execute("select draft from crm.hold(%s::jsonb)", (json.dumps(held),)).fetchone()
    with psycopg.connect(town.home.conninfo("crm_approver")) as conn:
        bind(conn, town, name, draft_id=draft)
        conn.execute(ADD, (town.org, edition, Jsonb(document)))
        conn.execute("update crm.drafts set state = 'approved' where org_id = %s and id = %s", (town.org, draft))
        conn.commit()


async def test_an_approved_edition_lets_the_guard_follow(town):
    await approve_by_hand(town, "ann", 2, loose())
    assert town.free() == {(table, op) for table in ("customers", "customer_parties", "issues") for op in "IU"}
    await approve_by_hand(town, "ann", 3, Policy().document())
    assert town.free() == set()


@pytest.mark.parametrize("table", ["orders", "invoices", "payments", "emails", "policies", "users", "memberships"])
async def test_a_policy_that_says_run_for_what_binds_is_refused_by_postgres(town, table):
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"never without a person: {table}"):
        await approve_by_hand(town, "ann", 2, loose(**{table: "run"}))
    assert town.edition() == 1 and town.free() == set()


@pytest.mark.parametrize("edition", [3, 17])
async def test_editions_follow_one_another(town, edition):
    with pytest.raises(psycopg.errors.CheckViolation, match="not the next edition"):
        await approve_by_hand(town, "ann", edition, loose())


async def test_postgres_too_wants_an_administrator_and_another_one_where_it_loosens(town):
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only an administrator"):
        await approve_by_hand(town, "big", 2, loose())
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="another administrator"):
        await approve_by_hand(town, "ann", 2, loose(), requester="ann")
    strict = changed(Policy(), {"learning_mode": "yes"}).document()
    await approve_by_hand(town, "ann", 2, strict, requester="ann")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="another administrator"):
        await approve_by_hand(town, "ann", 3, Policy().document(), requester="ann")


async def test_a_setting_postgres_does_not_know_counts_as_loosening(town):
    unknown = Policy().document() | {"backdoor": True}
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="another administrator"):
        await approve_by_hand(town, "ann", 2, unknown, requester="ann")


@pytest.mark.parametrize("missing", Policy().document())
async def test_a_document_says_everything(town, missing):
    document = {key: value for key, value in Policy().document().items() if key != missing}
    with pytest.raises(psycopg.errors.CheckViolation):
        await approve_by_hand(town, "ann", 2, document)


async def test_the_standard_is_the_same_in_postgres(town):
    assert town.one("select crm.policy_standard()") == (Policy().document(),)


# What a person lets run, runs


async def test_an_issue_is_held_then_runs_then_is_held_again(town):
    customer = await town.customer()

    async def report(**more):
        about = {"customer": customer, "title": "A leg is loose", "description": "It wobbles."}
        return await town.ask("ann", "create_issue", **about, idempotency_key=uuid.uuid4().hex, **more)

    assert (await report())["type"] == "approval_required"
    await town.govern(run_tables__issues="run")
    made = await report()
    assert made["type"] == "result", made
    issue = made["issue"]["id"]
    edited = await town.ask("ann", "update_issue", issue=issue, priority="urgent")
    assert edited["type"] == "result", edited
    assert town.one("select priority from crm.issues where id = %s", int(issue[4:])) == ("urgent",)
    assert (await report(confidence=0.5))["type"] == "approval_required"
    await town.govern(run_tables__issues="hold")
    assert (await report())["type"] == "approval_required"


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("customers", CUSTOMER),
        (
            "contacts",
            "insert into crm.contacts(org_id, customer_id, name) select %s, max(id), 'x' from crm.customers",
        ),
        ("customers", "update crm.customers set city = 'Kiel' where org_id = %s"),
    ],
)
async def test_the_guard_lets_a_party_be_written_once_the_policy_does(town, table, statement):
    await town.customer()
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"unapproved . on {table}"):
        insert(town, "crm_agent", statement, town.org)
    await town.govern(**{f"run_tables__{table}": "run"})
    insert(town, "crm_agent", statement, town.org)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"unapproved D on {table}"):
        insert(town, "crm_agent", f"delete from crm.{table} where org_id = %s", town.org)


async def test_another_orgs_guard_stays_as_it_was(town, another):
    other = await another().settle()
    await town.govern(run_tables__customers="run")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        insert(other, "crm_agent", CUSTOMER, other.org)


async def test_notes_may_be_set_to_hold(town):
    customer = await town.customer()
    asked = {"about": customer, "body": "called"}
    assert (await town.ask("sal", "add_note", **asked))["type"] == "result"
    await town.govern(run_tables__notes="hold")
    assert (await town.ask("sal", "add_note", **asked))["type"] == "approval_required"


async def test_learning_mode_holds_a_note_and_lets_its_draft_be_withdrawn(town):
    customer = await town.customer()
    await town.govern(learning_mode="yes")
    told = await town.ask("sal", "add_note", about=customer, body="called")
    assert told["type"] == "approval_required"
    withdrawn = await town.ask("sal", "discard_draft", draft=told["draft"]["id"])
    assert withdrawn["type"] == "result"
