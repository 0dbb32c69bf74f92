"""A home that has been worked in, a backup of it, and homes without an org to restore into."""

import hashlib
import shutil
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

sys.path += [str(Path(__file__).parents[1] / name) for name in ("database", "campaigns")]

from campaign_drafts import Desk

from crm_mcp import migrate
from crm_mcp.cli import main
from crm_mcp.embedded import Home, stop
from homes import copy_home, migrated, running, temporary_folder, temporary_home

STRANGE = "one\ttwo\nthree \\N \\. \\\n\\.\nCOPY crm.orders (id) FROM stdin;\n'; drop schema crm cascade; -- ünïcode 🙂\u202e"
"""A note that looks like the end of a table, and like a way out of it."""


class Worked:
    """The home, and the drafts that were approved and left waiting in it."""

    def __init__(self, home: Home, spent: list[int], pending: list[int]) -> None:
        self.home, self.spent, self.pending = home, spent, pending


@pytest.fixture(scope="session")
def worked(loaded) -> Generator[Worked]:
    with temporary_home(loaded) as home:
        desk = Desk(home)
        for _ in range(2000):  # so that these transaction ids are still to come in a new cluster
            desk.owner.execute("select pg_current_xact_id()")
        drafts = desk.drafts(5)
        spent = drafts[:4]
        for draft, seen in zip(spent, desk.shown(spent), strict=True):
            assert desk.approve(draft, seen).state == "approved"
        desk.close()
        furnish(home)
        yield Worked(home, spent, drafts[4:])


def furnish(home: Home) -> None:
    """Add what a restore must end, keep or hold back: ways in, an e-mail under way, a note that looks like SQL."""
    with psycopg.connect(home.conninfo("postgres", "crm")) as conn:
        conn.execute("set session_replication_role = replica")
        asked = "select o.id, u.id, (select min(c.id) from crm.customers c where c.org_id = o.id) from crm.orgs o, crm.users u where o.slug = 'demo' and u.email = 'sam@demo.example'"
        org, user, customer = conn.execute(asked).fetchone()
        conn.execute(
            "insert into crm.notes(org_id, customer_id, subject_type, subject_id, body) values (%s, %s, 'customers', %s, %s)",
            (org, customer, customer, STRANGE),
        )
        conn.execute(
            "insert into crm.api_keys(digest, org_id, user_id, name, expires_at) values (%s, %s, %s, 'ci', now() + interval '9 days')",
            (twice("a key"), org, user),
        )
        conn.execute(
            "insert into crm.web_sessions(digest, org_id, user_id, expires_at) values (sha256('s'), %s, %s, now() + interval '9 hours')",
            (org, user),
        )
        conn.execute(
            "insert into crm.login_links(digest, org_id, user_id, expires_at) values (sha256('l'), %s, %s, now() + interval '5 minutes')",
            (org, user),
        )
        (email,) = conn.execute(
            "insert into crm.emails(org_id, from_address, to_recipients, subject, body, message_id)"
            " values (%s, 'us@demo.example', '[{\"address\": \"a@b.example\"}]', 'Hello', 'Hello', '<1@demo.example>') returning id",
            (org,),
        ).fetchone()
        conn.execute("insert into crm.outbox(org_id, email_id, state) values (%s, %s, 'queued')", (org, email))


def twice(key: str) -> bytes:
    return hashlib.sha256(hashlib.sha256(key.encode()).digest()).digest()


@pytest.fixture
def home(worked: Worked) -> Home:
    return worked.home


@pytest.fixture
def crm(monkeypatch) -> Callable[..., Any]:
    """Run a command on a home; return how it ended."""
    monkeypatch.setenv("CRM_IDLE", "0.2")
    monkeypatch.setenv("CRM_OPEN_BROWSER", "never")

    def run(at: Home, *words: object) -> Any:
        monkeypatch.setenv("CRM_HOME", str(at.root))
        return CliRunner().invoke(main, [str(word) for word in words])

    return run


@pytest.fixture(scope="session")
def made(worked: Worked, tmp_path_factory) -> Path:
    """A backup of the home, made once."""
    file = tmp_path_factory.mktemp("backups") / "crm.backup"
    patch = pytest.MonkeyPatch()
    patch.setenv("CRM_HOME", str(worked.home.root))
    said = CliRunner().invoke(main, ["backup", str(file)])
    patch.undo()
    assert said.exit_code == 0, said.output
    return file


def empty_home() -> Generator[Home]:
    """A home whose database is migrated and holds no org; its server does not run yet."""
    source = migrated()
    if source is None:
        pytest.skip("needs a copy of a home, which this system's account cannot share")
    folder = temporary_folder("crm-b-")
    home = Home(folder / "home")
    copy_home(source, home)
    try:
        yield home
    finally:
        stop(home, force=True)
        with running(home):  # its reaper, which waits for a last client, ends too
            pass
        shutil.rmtree(folder)


fresh = pytest.fixture(empty_home)


class Blank:
    """A database that is migrated and holds no org, on the server of the home that is backed up."""

    def __init__(self, home: Home, name: str) -> None:
        self._home, self._name = home, name

    def conninfo(self, role: str = "crm_owner") -> str:
        return self._home.conninfo(role, self._name)

    def ask(self, sql: str) -> Any:
        with psycopg.connect(self.conninfo(), autocommit=True) as conn:
            row = conn.execute(sql).fetchone()
            return row[0] if row else None

    @property
    def orgs(self) -> list[str]:
        return self.ask("select coalesce(array_agg(slug order by slug), '{}') from crm.orgs")


@pytest.fixture(scope="session")
def blanks(worked: Worked) -> Callable[[str], None]:
    """Make databases out of one that was migrated once."""
    superuser = worked.home.conninfo("postgres", "postgres")
    migrate.bootstrap(superuser, {}, "blank")
    migrate.upgrade(worked.home.conninfo("crm_owner", "blank"))

    def make(name: str) -> None:
        with psycopg.connect(superuser, autocommit=True) as conn:
            conn.execute(f"drop database if exists {name} with (force)")
            conn.execute(f"create database {name} owner crm_owner template blank")
        migrate.bootstrap(superuser, {}, name)

    return make


@pytest.fixture
def blank(worked: Worked, blanks: Callable[[str], None]) -> Blank:
    blanks("target")
    return Blank(worked.home, "target")
