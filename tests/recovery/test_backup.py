"""Making, checking and refusing: a backup is whole or not there, a restore happens as a whole or not at all."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import catalog_checks as checks
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from crm_mcp import migrate, revision
from crm_mcp.embedded import binaries, place
from crm_mcp.recovery import archive, backup, programs, script
from crm_mcp.recovery.errors import RecoveryFailed
from crm_mcp.recovery.manifest import survey
from crm_mcp.recovery.restore import Target, restore
from homes import running, small_disk


def silent(done: int, total: int) -> None:
    pass


@pytest.fixture
def folders(home):
    return [binaries.provide(home, place.choose_account(home, "nobody"), None).folder]


@pytest.fixture
def owner(home):
    return home.conninfo("crm_owner")


@pytest.fixture
def bring(blank, folders):
    """Restore into the blank database, as the command does."""

    def run(file, **more):
        options = {"replace": False, "force": False, "keeps_keys": True, "delivers": False, **more}
        return restore(Target(blank.conninfo(), folders, True), file, told=lambda label: silent, **options)

    return run


def altered(file: Path, to: Path, **more) -> Path:
    """Copy a backup with other words in its manifest."""
    known = archive.read(file)
    to.write_bytes(file.read_bytes()[: known.size])
    text = known.model_copy(update=more).model_dump_json().encode()
    with to.open("ab") as out:
        out.write(text + archive._LENGTH.pack(len(text)) + archive._MARK)
    return to


def orgs(at) -> int:
    with psycopg.connect(at.conninfo("crm_owner")) as conn:
        return conn.execute("select count(*) from crm.orgs").fetchone()[0]


def test_a_backup_is_for_its_owners_eyes_and_pg_restore_reads_it_by_itself(made, folders):
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    listed = subprocess.run([folders[0] / "pg_restore", "--list", made], capture_output=True, text=True, check=True)
    assert "TABLE DATA crm audit_log crm_owner" in listed.stdout
    assert not list(made.parent.glob(".*"))


def test_it_says_what_it_holds_and_is_found_whole(crm, home, made):
    checked = crm(home, "backup", "--check", made, "--json")
    assert checked.exit_code == 0, checked.output
    found = json.loads(checked.stdout)
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        (head,) = conn.execute(
            "select encode(hash, 'hex') from crm.audit_log l join crm.orgs o on o.id = l.org_id and o.slug = 'demo'"
            " where seq is not null order by seq desc limit 1"
        ).fetchone()
    assert found["problems"] == []
    assert found["revision"] == revision.CURRENT
    assert found["tables"]["crm.drafts"] >= 5
    assert found["audit"][0]["head"] == head
    assert found["audit"][0]["unsealed"] == 0


def test_a_file_that_is_there_is_not_overwritten_unless_that_is_said(crm, home, tmp_path):
    file = tmp_path / "there"
    file.write_text("mine")
    said = crm(home, "backup", file)
    assert said.exit_code == 1 and "is there already" in said.output
    assert file.read_text() == "mine"
    assert crm(home, "backup", file, "--force").exit_code == 0
    assert archive.read(file).revision == revision.CURRENT


def test_no_secret_is_on_a_command_line(home, owner, folders, tmp_path, monkeypatch):
    ran, popen = [], subprocess.Popen

    def noted(words, **options):
        ran.append((list(map(str, words)), dict(options.get("env") or {})))
        return popen(words, **options)

    monkeypatch.setattr(subprocess, "Popen", noted)
    backup.back_up(owner, folders, tmp_path / "f", force=False, told=silent)
    secret = home.secret("crm_owner")
    (dump,) = [pair for pair in ran if "pg_dump" in pair[0][0] and len(pair[0]) > 2]
    assert all(secret not in word for words, _ in ran for word in words)
    assert secret not in "".join(dump[1].values())
    assert not Path(dump[1]["PGPASSFILE"]).exists()


def test_a_password_of_any_characters_arrives(tmp_path):
    conninfo = make_conninfo("", host="h", user="u", password="a:b\\c'd e", sslpassword="x")
    with programs.connection(conninfo) as (name, environment):
        assert "a:b" not in name
        assert Path(environment["PGPASSFILE"]).read_text() == "*:*:*:*:a\\:b\\\\c'd e\n"
        assert "sslpassword=x" in Path(environment["PGSERVICEFILE"]).read_text()
        assert stat.S_IMODE(Path(environment["PGPASSFILE"]).stat().st_mode) == 0o600


def test_a_backup_is_of_one_moment_though_writing_goes_on(home, owner, folders, tmp_path, monkeypatch):
    def surveyed(conn):
        known = survey(conn)
        with psycopg.connect(owner) as other:
            other.execute("create table crm.late(n) as values (1)")
            other.execute("insert into crm.users(email, name) values ('late@late.example', 'Late')")
        return known

    monkeypatch.setattr(backup, "survey", surveyed)
    try:
        known = backup.back_up(owner, folders, tmp_path / "f", force=False, told=silent)
    finally:
        with psycopg.connect(owner) as other:
            other.execute("drop table crm.late; delete from crm.users where email = 'late@late.example'")
    assert archive.check(tmp_path / "f", str(folders[0] / "pg_restore"), silent) == (known, [])
    monkeypatch.setattr(backup, "survey", lambda conn: survey(conn).model_copy(update={"tables": {"crm.users": 0}}))
    backup.back_up(owner, folders, tmp_path / "g", force=False, told=silent)
    assert "crm.users has" in " ".join(archive.check(tmp_path / "g", str(folders[0] / "pg_restore"), silent)[1])


@pytest.mark.parametrize("at", [0.1, 0.5, 0.99])
def test_a_damaged_backup_is_found_and_not_restored(bring, made, blank, folders, tmp_path, at):
    text = bytearray(made.read_bytes())
    text[int(archive.read(made).size * at)] ^= 1
    (broken := tmp_path / "broken").write_bytes(text)
    assert "its digest differs" in archive.check(broken, str(folders[0] / "pg_restore"), silent)[1][0]
    with pytest.raises(RecoveryFailed, match="was damaged"):
        bring(broken)
    assert blank.orgs == []


def test_a_cut_backup_or_another_file_is_none(crm, made, home, tmp_path):
    for name, text in (("cut", made.read_bytes()[:-100]), ("empty", b""), ("other", b"hello" * 100)):
        (tmp_path / name).write_bytes(text)
        for words in (("backup", "--check"), ("restore", "--force")):
            said = crm(home, *words, tmp_path / name)
            assert said.exit_code == 1 and "is no whole backup" in said.output


def test_a_full_disk_leaves_no_half_file(home, owner, folders):
    folder = home.root.parent / "disk"
    try:
        with small_disk(folder, megabytes=1) as disk:
            (disk / "filler").write_bytes(bytes(900_000))
            with pytest.raises(RecoveryFailed, match="no space left on the disk"):
                backup.back_up(owner, folders, disk / "f", force=False, told=silent)
            assert os.listdir(disk) == ["filler"]
    finally:
        if folder.exists():
            folder.rmdir()


def test_where_programs_are_missing_or_too_old_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(RecoveryFailed, match=r"were not found.*PostgreSQL 18.*CRM_PG_BIN"):
        programs.find([None], 18)
    for name in ("pg_dump", "pg_restore", "psql"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.2'\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(RecoveryFailed, match="an older pg_dump cannot read a newer server"):
        programs.find([tmp_path, None], 18)
    assert programs.find([tmp_path], 14).dump == str(tmp_path / "pg_dump")


def test_a_backup_of_a_newer_program_is_refused(crm, made, home, tmp_path):
    newer = altered(made, tmp_path / "newer", revision="9999")
    said = crm(home, "restore", newer, "--force", "--replace")
    assert said.exit_code == 1 and "Upgrade crm-mcp" in said.output


FIRST = "insert into crm.orgs(slug, name) values ('old', 'Old') returning id"


def test_a_database_with_orgs_is_not_replaced_unless_that_is_said_and_then_kept_beside(bring, made, blank):
    blank.ask(FIRST)
    with pytest.raises(RecoveryFailed, match=r"There are orgs in this database already.*--replace"):
        bring(made)
    done = bring(made, replace=True, keeps_keys=False, delivers=True)
    assert [chain.slug for chain in archive.read(done.kept_beside).audit] == ["old"]
    assert (done.keys, done.unsent) == ([], 0)
    assert blank.orgs == ["demo", "other"]
    assert blank.ask("select count(*) from crm.api_keys where revoked_at is null") == 0
    assert blank.ask("select array_agg(distinct state) from crm.outbox") == ["queued"]
    bring(done.kept_beside, replace=True).kept_beside.unlink()
    assert blank.orgs == ["old"]
    done.kept_beside.unlink()


def test_while_clients_hold_the_database_nothing_is_restored_unless_that_is_said(crm, made, fresh):
    with running(fresh):
        said = crm(fresh, "restore", made)
        assert said.exit_code == 1 and "Other crm-mcp processes use the database" in said.output
        with psycopg.connect(fresh.conninfo("crm_agent")) as client:
            said = crm(fresh, "restore", made, "--force")
            assert said.exit_code == 0, said.output
            with pytest.raises(psycopg.OperationalError):
                client.execute("select 1")
        assert orgs(fresh) == 2


def test_a_connection_without_a_lease_is_seen_too(bring, made, blank):
    with (
        psycopg.connect(blank.conninfo("crm_worker")),
        pytest.raises(RecoveryFailed, match="1 connections of crm-mcp use this database"),
    ):
        bring(made)
    assert blank.orgs == []


def test_a_restore_that_breaks_off_changes_nothing(bring, made, blank, monkeypatch):
    read, lines = script._read, []

    def breaks_off(pg_restore, file, entries):
        for line in read(pg_restore, file, entries):
            lines.append(line)
            if line.startswith(b"COPY crm.orders"):
                raise RecoveryFailed("broken off")
            yield line

    blank.ask(FIRST)
    monkeypatch.setattr(script, "_read", breaks_off)
    with pytest.raises(RecoveryFailed, match="broken off"):
        bring(made, replace=True)
    assert len(lines) > 1000
    assert blank.orgs == ["old"]
    for kept in made.parent.glob("*.replaced-*"):
        kept.unlink()
    whole(blank)


def test_a_backup_that_does_not_hold_what_it_says_changes_nothing(bring, made, blank, tmp_path):
    known = archive.read(made)
    less = altered(made, tmp_path / "less", tables=known.tables | {"crm.orders": known.tables["crm.orders"] + 1})
    with pytest.raises(RecoveryFailed, match=r"Nothing was restored.*crm.orders does not have"):
        bring(less)
    assert blank.orgs == []


def test_a_database_without_the_administrators_part_is_refused(bring, made, blank, home):
    with psycopg.connect(home.conninfo("postgres", "target"), autocommit=True) as conn:
        conn.execute("drop schema crm cascade; drop extension vector")
    with pytest.raises(RecoveryFailed, match=r"lacks the extension vector.*--admin-sql"):
        bring(made)


KILLED = """
import os, signal, sys
from pathlib import Path
from crm_mcp.recovery import restore, script
read = script._read
def dies(pg_restore, file, entries):
    for line in read(pg_restore, file, entries):
        if line.startswith(POINT):
            os.kill(os.getpid(), signal.SIGKILL)
        yield line
script._read = dies
target = restore.Target(sys.stdin.readline(), [Path(sys.argv[2])], True)
restore.restore(target, Path(sys.argv[1]), replace=False, force=False, keeps_keys=True, delivers=False, told=lambda _: lambda *_: None)
"""


@pytest.mark.parametrize("point", [b"COPY crm.audit_log", b"GRANT"])
def test_a_restore_that_is_killed_changes_nothing(made, blank, folders, point):
    words = [sys.executable, "-c", KILLED.replace("POINT", repr(point)), str(made), str(folders[0])]
    ended = subprocess.run(words, input=blank.conninfo(), text=True, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert blank.orgs == []  # waits for what the killed one had locked
    whole(blank)


def whole(blank):
    with psycopg.connect(blank.conninfo(), autocommit=True) as conn:
        assert checks.problems_of(conn) == []


def test_an_older_backup_is_brought_up_to_this_revision(bring, home, blank, folders, tmp_path):
    """The database at the revision of the first release, with an org in it."""
    superuser, older = home.conninfo("postgres", "postgres"), home.conninfo("crm_owner", "older")
    migrate.bootstrap(superuser, {}, "older")
    try:
        upgrade_to("0003", older)
        with psycopg.connect(older) as conn:
            conn.execute("insert into crm.orgs(slug, name) values ('first', 'First')")
        known = backup.back_up(older, folders, tmp_path / "older", force=False, told=silent)
        assert known.revision == "0003" < revision.CURRENT
    finally:
        with psycopg.connect(superuser, autocommit=True) as conn:
            conn.execute("drop database older with (force)")
    done = bring(tmp_path / "older")
    assert (done.manifest.revision, done.revision) == ("0003", revision.CURRENT)
    assert blank.orgs == ["first"]
    whole(blank)


def upgrade_to(target, owner):
    from alembic import command

    upgrade = command.upgrade
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, target))
        for made in (migrate.views, migrate.confine):
            patch.setattr(made, "make", lambda conn: None)  # they are of the newest schema
        migrate.upgrade(owner)


def test_help_says_how_to_move_to_a_new_major_version(crm, home):
    for command in ("backup", "restore"):
        assert "major version of Postgres" in " ".join(crm(home, command, "--help").output.split())


def test_leftovers_of_a_killed_backup_are_swept(home, owner, folders, tmp_path):
    (tmp_path / ".f.123.part").write_text("half")
    backup.back_up(owner, folders, tmp_path / "f", force=False, told=silent)
    assert os.listdir(tmp_path) == ["f"]
