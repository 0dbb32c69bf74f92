"""The command line as a person types it, on the session's home and on a database that is a real one to it."""

import asyncio
import itertools
import time

import psycopg
import pytest
from click.testing import CliRunner

from crm_mcp.cli import main
from crm_mcp.migrate import bootstrap

_TURN = itertools.count(1)
TEAM = "team"
"""The copy of the demo database that is reached by URLs alone."""


def _typed(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def crm(home, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(home.root))
    monkeypatch.setenv("CRM_OPEN_BROWSER", "never")
    return _typed


@pytest.fixture
def firm(crm):
    """Make an org with an administrator, boss@SLUG.example; return its slug."""

    def found(*words):
        slug = f"firm{next(_TURN)}"
        boss = ("--admin", f"boss@{slug}.example", "--name", "The Boss")
        made = crm("init", "--org", slug.title(), "--slug", slug, *boss, "--team", *words)
        assert made.exit_code == 0, made.output
        return slug

    return found


@pytest.fixture
def member(crm):
    """Add a person to an org; return their address."""

    def add(slug, name="Ann", role="sales", *words):
        email = f"{name.lower()}@{slug}.example"
        added = crm("users", "add", "--org", slug, "--name", name, "--role", role, *words, email)
        assert added.exit_code == 0, added.output
        return email

    return add


@pytest.fixture(scope="session")
async def real(home, let_go):
    """A copy of the demo database on which an e-mail address alone signs nobody in; its URL for each login.

    Nobody may be connected to what is copied: the connections kept so far are let go.
    """
    await let_go()
    superuser = home.conninfo("postgres", "postgres")
    with psycopg.connect(superuser, autocommit=True) as conn:
        deadline = time.monotonic() + 10
        while True:
            try:
                conn.execute(f"create database {TEAM} owner crm_owner template crm")
                break
            except psycopg.errors.ObjectInUse:  # connections of the test before this one are closing
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
        bootstrap(superuser, {}, TEAM)
    with psycopg.connect(home.conninfo("crm_owner", TEAM)) as conn:
        conn.execute("update crm.database_setting set email_sign_in = false")
    yield lambda role: home.conninfo(role, TEAM)
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute(f"drop database {TEAM} with (force)")


@pytest.fixture
def elsewhere(real, tmp_path):
    """The environment of somebody who uses the real database; their home is empty."""
    urls = {"DATABASE": "crm_agent", "OWNER": "crm_owner", "APPROVER": "crm_approver", "WORKER": "crm_worker"}
    named = {f"CRM_{name}_URL": real(role) for name, role in urls.items()}
    return {**named, "CRM_HOME": str(tmp_path / "home"), "CRM_OPEN_BROWSER": "never"}


@pytest.fixture
def team_crm(elsewhere, monkeypatch):
    """The command line on the real database."""
    for name, value in elsewhere.items():
        monkeypatch.setenv(name, value)
    return _typed
