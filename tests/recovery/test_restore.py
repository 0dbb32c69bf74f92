"""What is restored is what was backed up: every row, right, owner and policy; and nothing old opens anything."""

import json
import re
import subprocess
from collections.abc import Generator

import catalog_checks as checks
import psycopg
import pytest
from database_logins import DENIED, ORDER, Login, Scene, refused, weaken

from conftest import STRANGE, empty_home, twice
from crm_mcp.embedded import Home, binaries, place
from crm_mcp.recovery import archive, programs

LATER = {"at": "2026-01-01T00:00:00+00:00", "org": 1, "seq": 1_000_000, "head": "ab" * 32}
"""A head that was kept of a row which came after the backup."""
ENDED = {"crm.web_sessions", "crm.login_links"}
HELD_BACK = {"crm.outbox"}  # and invitations end, of which there are none
TABLES = """select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and n.nspname in ('crm', 'jobs') order by 1"""
SEQUENCES = """select t.oid::regclass::text, a.attname, q.oid::regclass::text from pg_class q
 join pg_depend d on d.objid = q.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
 join pg_class t on t.oid = d.refobjid join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
 join pg_namespace n on n.oid = q.relnamespace where q.relkind = 'S' and n.nspname in ('crm', 'jobs')"""


@pytest.fixture(scope="module")
def target() -> Generator[Home]:
    yield from empty_home()


@pytest.fixture(scope="module")
def restored(target, made) -> Home:
    """The backup, restored by the command into another cluster."""
    from click.testing import CliRunner

    from crm_mcp.cli import main

    patch = pytest.MonkeyPatch()
    patch.setenv("CRM_HOME", str(target.root))
    patch.setenv("CRM_IDLE", "300")
    target.sink = target.root / "heads"  # type: ignore[attr-defined]
    patch.setenv("CRM_AUDIT_SINK", str(target.sink))
    target.sink.write_text(json.dumps(LATER) + "\n")
    try:
        said = CliRunner().invoke(main, ["restore", str(made)])
    finally:
        patch.undo()
    assert said.exit_code == 0, said.output
    target.said = said.output  # type: ignore[attr-defined]
    return target


@pytest.fixture
def owner(restored) -> Generator[psycopg.Connection]:
    with psycopg.connect(restored.conninfo("crm_owner"), autocommit=True) as conn:
        yield conn


@pytest.fixture
def before(worked) -> Generator[psycopg.Connection]:
    with psycopg.connect(worked.home.conninfo("crm_owner"), autocommit=True) as conn:
        yield conn


@pytest.fixture
def root(restored) -> Generator[psycopg.Connection]:
    with psycopg.connect(restored.conninfo("postgres", "crm"), autocommit=True) as conn:
        yield conn


def rows(conn) -> dict[str, tuple[int, str]]:
    """Return the number and the digest of every table's rows, whatever their order."""
    conn.execute("set timezone = 'UTC'")
    digest = "select count(*), md5(coalesce(string_agg(md5(t::text), '' order by md5(t::text)), '')) from {} t"
    return {name: conn.execute(digest.format(name)).fetchone() for (name,) in conn.execute(TABLES).fetchall()}


def test_every_row_of_every_table_is_there_again(owner, before):
    there, was = rows(owner), rows(before)
    assert there.keys() == was.keys() and len(was) > 40
    assert {name for name in was if there[name] != was[name]} == ENDED | HELD_BACK | {"crm.access_log"}
    added = "select id, what from crm.access_log order by id"
    was_logged = before.execute(added).fetchall()
    logged = owner.execute(added).fetchall()
    assert logged[: len(was_logged)] == was_logged  # and beyond it, that sessions ended
    assert {what for _, what in logged[len(was_logged) :]} == {"session removed"}
    assert owner.execute("select count(*) from crm.notes where body = %s", (STRANGE,)).fetchone() == (1,)


def test_a_row_that_differs_would_show(owner, before):
    with owner.transaction(force_rollback=True):
        owner.execute("alter table crm.products disable trigger user")
        owner.execute("update crm.products set name = name || ' ' where id = (select min(id) from crm.products)")
        assert rows(owner)["crm.products"] != rows(before)["crm.products"]


def schema(home: Home) -> str:
    """Return all that pg_dump says of the schemas: tables, functions, owners, rights, policies, triggers."""
    account = place.choose_account(home, "nobody")
    found = programs.find([binaries.provide(home, account, None).folder], 18)
    with programs.connection(home.conninfo("crm_owner")) as (name, environment):
        words = [found.dump, "--schema-only", "--schema=crm", "--schema=jobs", f"--dbname={name}"]
        said = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout
    lines = [line for line in said.splitlines() if line and not line.startswith(("--", "\\"))]
    # who was granted a thing first makes no difference
    return "\n".join([line for line in lines if not is_grant(line)] + sorted(filter(is_grant, lines)))


def is_grant(line: str) -> bool:
    return line.startswith("GRANT")


def test_the_schema_is_the_same_to_the_letter_with_owners_rights_and_policies(restored, worked):
    there, was = schema(restored), schema(worked.home)
    assert "OWNER TO crm_definer" in was and "FORCE ROW LEVEL SECURITY" in was and "GRANT" in was
    assert there == was


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_restored_schema_has_no(owner, check):
    assert checks.problems_of(owner, check) == []


def test_every_sequence_is_ahead_of_every_id_with_room_for_those_given_since(owner, before):
    for table, column, sequence in owner.execute(SEQUENCES).fetchall():
        (highest,) = before.execute(f"select coalesce(max({column}), 0) from {table}").fetchone()
        (following,) = owner.execute("select nextval(%s)", (sequence,)).fetchone()
        assert following > highest + 9_999, sequence


def test_everybody_is_signed_out_and_keys_that_live_are_named(restored, owner):
    assert owner.execute("select count(*) from crm.web_sessions").fetchone() == (0,)
    assert owner.execute("select count(*) from crm.login_links").fetchone() == (0,)
    assert re.search(r"API key \d+ \(ci\) of sam@demo.example in demo lives until", restored.said)
    with Login(restored.conninfo("crm_agent")) as agent:
        assert agent.ask("select org_slug from crm.sign_in_key(sha256('a key'), null)") == "demo"
    assert owner.execute("select digest from crm.api_keys").fetchall() == [(twice("a key"),)]


def test_an_email_that_was_under_way_does_not_leave_by_itself(restored, owner):
    state, why = owner.execute("select state, last_error from crm.outbox where last_error is not null").fetchone()
    assert state == "unsent" and "may have been sent" in why
    assert "1 e-mail(s) stay unsent" in restored.said


def test_the_audit_is_whole_to_the_head_that_the_backup_kept(restored, owner, before, crm):
    heads = {
        conn: conn.execute(
            "select seq || ':' || encode(hash, 'hex') from crm.audit_log l join crm.orgs o on o.id = l.org_id"
            " where o.slug = 'demo' and seq is not null order by seq desc limit 1"
        ).fetchone()[0]
        for conn in (owner, before)
    }
    assert f"Audit of demo: whole to its head {heads[owner]}" in restored.said
    assert heads[owner] == heads[before]
    assert json.loads(crm(restored, "audit", "verify", "--json").stdout)[0]["problems"] == []


def test_the_heads_kept_outside_go_on_from_the_restored_ones_and_lose_none(restored, made, crm, monkeypatch):
    lines = [json.loads(line) for line in restored.sink.read_text().splitlines()]
    chains = archive.read(made).audit
    assert lines[0] == LATER
    assert [(line["org"], line["seq"], line["head"], line["restored"]) for line in lines[1:]] == [
        (chain.org, chain.seq, chain.head, str(made)) for chain in chains
    ]
    monkeypatch.setenv("CRM_AUDIT_SINK", str(restored.sink))
    assert crm(restored, "audit", "verify").exit_code == 0
    told = crm(restored, "audit", "verify", "--head", f"{LATER['seq']}:{LATER['head']}")
    assert told.exit_code == 1 and "the chain ends before the head that was kept outside" in told.output


def test_what_nobody_approved_does_not_commit_there_either(restored, root):
    scene = Scene.of(root)
    for role in ("crm_agent", "crm_worker", "crm_approver"):
        with Login(restored.conninfo(role)) as who, refused(DENIED, "unapproved I on orders"), who.bound(scene.org):
            who.ask(ORDER, scene.org, scene.customer)


def test_a_draft_that_waited_is_approved_there(restored, worked):
    from campaign_drafts import Desk

    desk = Desk(restored)
    try:
        (draft,) = worked.pending
        (seen,) = desk.shown([draft])
        assert desk.approve(draft, seen).state == "approved"
        assert desk.evidence([draft])[draft].orders == 1
    finally:
        desk.close()


def test_a_spent_draft_opens_nothing_when_its_transaction_id_comes_again(restored, worked, root):
    """Transaction ids start anew with the cluster (DESIGN 5): here each spent draft's own comes round once more."""
    scene = Scene.of(root)
    asked = "select id, executed_xact::text::bigint from crm.drafts where id = any(%s) order by 2"
    spent = root.execute(asked, (worked.spent,)).fetchall()
    assert len(spent) == 4
    with Login(restored.conninfo("crm_approver")) as approver:

        def replayed(draft: int, xact: int) -> str:
            """Write an order under a draft in the transaction it was spent in; say what came of it."""
            token = approver.token("mia@demo.example")
            while (now := int(approver.ask("select pg_current_xact_id()::text"))) < xact - 1:
                pass
            if now >= xact:
                return "missed"
            try:
                with approver.bound(scene.org, token=token, draft=draft):
                    if int(approver.ask("select pg_current_xact_id()::text")) != xact:
                        return "missed"
                    approver.ask(ORDER, scene.org, scene.customer)
            except psycopg.errors.InsufficientPrivilege as no:
                return str(no.diag.message_primary)
            return "written"

        found = {replayed(draft, xact) for draft, xact in spent[:2]}
        assert "draft is not pending" in found and found <= {"draft is not pending", "missed"}
        with weaken(root)(functions={"crm.record()": ("if draft is not null", "if false")}):
            assert "written" in {replayed(draft, xact) for draft, xact in spent[2:]}, "the trap is not where it was"
