"""The same migrations on a server of somebody else's, over TCP, by an owner who is no superuser (CRM_DATABASE_URL)."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

import catalog_checks as checks
import psycopg
import pytest
from database_logins import DENIED, UNBOUND, Login, refused

from crm_mcp import auth, migrate
from crm_mcp.db import Database
from crm_mcp.embedded import Home, binaries, place
from crm_mcp.errors import SignInFailed

ADMINISTRATOR = "dba"
UPGRADE = "import sys; from crm_mcp.migrate import upgrade; upgrade(sys.stdin.readline())"


class Server(NamedTuple):
    port: int
    passwords: dict[str, str]
    psql: str

    def conninfo(self, role: str, database: str = "crm") -> str:
        words = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": role,
            "password": self.passwords[role],
            "dbname": database,
        }
        return " ".join(f"{word}={value}" for word, value in words.items())

    def make(self, database: str) -> str:
        """Do the administrator's part for a database; return the owner's conninfo."""
        logins = {role: word for role, word in self.passwords.items() if role != ADMINISTRATOR}
        migrate.bootstrap(self.conninfo(ADMINISTRATOR, "postgres"), logins, database)
        return self.conninfo("crm_owner", database)


@pytest.fixture(scope="module")
def server(home: Home) -> Generator[Server]:
    account = place.choose_account(home, "nobody")
    programs = binaries.provide(home, account, None)
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="crm-r-", dir=memory if memory.is_dir() else None))
    folder.chmod(0o711)
    account.give(folder)
    passwords = {role: secrets.token_hex(12) for role in (ADMINISTRATOR, *migrate.LOGINS)}
    password = folder / "password"
    password.write_text(passwords[ADMINISTRATOR])
    account.give(password)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    cluster = ["-D", str(folder / "data"), "-U", ADMINISTRATOR, "-E", "UTF8", "--locale=C", "--auth=scram-sha-256"]
    subprocess.run(
        [programs.program("initdb"), *cluster, f"--pwfile={password}", "--no-sync", "--no-instructions"],
        check=True, capture_output=True, cwd="/", env=environment, **account.run_as(),
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "fsync": "off",
        "shared_buffers": "16MB",
        "log_min_messages": "fatal",
    }
    arguments = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
    process = subprocess.Popen(
        [programs.program("postgres"), "-D", str(folder / "data"), *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", env=environment, **account.run_as(),
    )  # fmt: skip
    try:
        made = Server(port, passwords, programs.program("psql"))
        deadline = time.monotonic() + 30
        while True:
            with (
                contextlib.suppress(psycopg.OperationalError),
                psycopg.connect(made.conninfo(ADMINISTRATOR, "postgres")),
            ):
                break
            assert process.poll() is None and time.monotonic() < deadline, "the second cluster did not start"
            time.sleep(0.05)
        migrate.upgrade(made.make("crm"))
        yield made
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(30)
        shutil.rmtree(folder)


@pytest.fixture
def owner(server: Server) -> Generator[psycopg.Connection]:
    with psycopg.connect(server.conninfo("crm_owner"), autocommit=True) as conn:
        yield conn


def test_the_owner_is_no_superuser_and_connects_over_tcp(owner: psycopg.Connection):
    row = owner.execute(
        "select rolsuper, rolcreaterole, rolcreatedb, inet_server_addr() is not null from pg_roles where rolname = current_user"
    ).fetchone()
    assert row == (False, False, False, True)


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_schema_there_has_no(owner: psycopg.Connection, check: checks.Check):
    assert checks.problems_of(owner, check) == []


def test_an_email_signs_nobody_in_there(server: Server):
    for role in checks.CLIENTS:
        with Login(server.conninfo(role)) as who, refused(UNBOUND, "signing in by e-mail is off"):
            who.token("ada@demo.example")


async def test_the_program_says_that_it_needs_a_key(server: Server):
    db = Database(server.conninfo("crm_agent"))
    try:
        with pytest.raises(SignInFailed) as caught:
            await db.sign_in(auth.by_email("ada@demo.example"))
        assert "API key" in caught.value.hint
    finally:
        await db.close()


def test_a_held_call_is_approved_there_as_on_the_embedded_database(server: Server, owner: psycopg.Connection):
    owner.execute(
        "insert into crm.orgs(id, slug, name) values (1, 'real', 'Real'); insert into crm.users(id, email, name) values (1, 'ann@real.example', 'Ann');"
        "insert into crm.memberships(org_id, user_id, role, may_approve) values (1, 1, 'admin', true);"
        "insert into crm.api_keys(digest, org_id, user_id, name, expires_at) values (sha256(sha256('key')), 1, 1, 'k', now() + interval '1 day')"
    )
    sign_in = "select token from crm.sign_in_key(sha256('key'), null)"
    add = "insert into crm.customers(org_id, name) values (1, 'First') returning id"
    with Login(server.conninfo("crm_agent")) as agent, Login(server.conninfo("crm_approver")) as approving:
        with refused(DENIED, "unapproved"), agent.bound(1):
            agent.ask(add)
        draft = agent.hold(1, agent.ask(sign_in))
        with approving.bound(1, token=approving.ask(sign_in), draft=draft):
            approving.ask(add)
            approving.ask("update crm.drafts set state = 'approved' where org_id = 1 and id = %s", draft)
        with agent.bound(1):
            assert agent.ask("select count(*) from crm.find_customers('First', 5)") == 1


def test_upgrading_and_bootstrapping_again_is_harmless(server: Server, owner: psycopg.Connection):
    counted = "select count(*), (select count(*) from crm.reasoning), (select count(*) from crm.free_writes) from pg_class where relnamespace = 'crm'::regnamespace"
    before = owner.execute(counted).fetchone()
    migrate.upgrade(server.make("crm"))
    assert owner.execute(counted).fetchone() == before
    assert checks.problems_of(owner) == []


def upgrade_elsewhere(conninfo: str) -> "subprocess.Popen[str]":
    """Upgrade in a process of its own, which gets the password through a pipe."""
    process = subprocess.Popen(
        [sys.executable, "-c", UPGRADE], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(conninfo)
    process.stdin.close()
    return process


def upgraded_at_once(server: Server, database: str, prepare: Callable[[str], None]) -> list[str]:
    """Upgrade here and in another process, both behind the closed lock of migrations; open it, give what each said."""
    owner = server.make(database)
    prepare(owner)
    said: list[str] = []

    def here() -> None:
        try:
            migrate.upgrade(owner)
        except Exception as problem:
            said.append(str(problem))

    with psycopg.connect(server.conninfo(ADMINISTRATOR, database), autocommit=True) as gate:
        gate.execute("select pg_advisory_lock(%s)", (migrate.LOCK,))
        process, thread = upgrade_elsewhere(owner), threading.Thread(target=here)
        waiting = "select count(*) from pg_stat_activity where datname = %s and usename = 'crm_owner' and wait_event_type = 'Lock'"
        for expected in (
            1,
            2,
        ):  # the other process is slow to load: only then does this one begin, so that neither waits long
            deadline = time.monotonic() + 30
            while (gate.execute(waiting, (database,)).fetchone() or (0,))[0] < expected:
                assert time.monotonic() < deadline and process.poll() is None, "an upgrade did not wait"
                time.sleep(0.02)
            if expected == 1:
                thread.start()
        gate.execute("select pg_advisory_unlock(%s)", (migrate.LOCK,))
        thread.join(60)
        assert process.stderr is not None
        with process.stderr as stderr:
            said += [stderr.read()] if process.wait(60) else []
    with psycopg.connect(owner) as conn:
        assert checks.revisions_that_differ(conn) == []
    return said


def test_two_upgrades_at_once_run_one_after_the_other(server: Server):
    def make_schema(owner: str) -> None:
        with psycopg.connect(owner) as conn:
            conn.execute("create schema crm")

    assert upgraded_at_once(server, "crm_twice", make_schema) == []


def test_two_first_upgrades_at_once_run_one_after_the_other(server: Server):
    assert upgraded_at_once(server, "crm_first", lambda _: None) == []


def test_the_administrators_script_does_both_halves(server: Server):
    script = migrate.admin_sql()
    assert (
        script.index("create role")
        < script.index("create database crm owner crm_owner")
        < script.index("\\connect crm")
        < script.index("create extension if not exists vector")
    )
    assert [line for line in script.splitlines() if line.startswith("\\password")] == [
        f"\\password {login}" for login in migrate.LOGINS
    ]
    by_hand = "".join(line + "\n" for line in script.splitlines() if not line.startswith("\\password"))
    by_hand = by_hand.replace("create database crm owner", "create database crm_by_hand owner").replace(
        "\\connect crm", "\\connect crm_by_hand"
    )
    ran = subprocess.run(
        [server.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", server.conninfo(ADMINISTRATOR, "postgres")],
        input=by_hand, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    migrate.upgrade(server.conninfo("crm_owner", "crm_by_hand"))
    with psycopg.connect(server.conninfo("crm_owner", "crm_by_hand"), autocommit=True) as conn:
        assert checks.problems_of(conn) == []
