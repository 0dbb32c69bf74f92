"""A backup of the embedded database comes up on a server of somebody else's, restored by an owner who is no superuser."""

from pathlib import Path

import catalog_checks as checks
import psycopg
import pytest
from database_logins import UNBOUND, Login, refused
from test_real_server import ADMINISTRATOR
from test_real_server import server as server

from crm_mcp.recovery.backup import back_up
from crm_mcp.recovery.errors import RecoveryFailed
from crm_mcp.recovery.restore import Target, restore


def silent(done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def moved(server, home, tmp_path_factory) -> str:
    """The embedded database, restored there as crm_owner; give the owner's conninfo."""
    file = tmp_path_factory.mktemp("moved") / "f"
    folders = [Path(server.psql).parent]
    back_up(home.conninfo("crm_owner"), folders, file, force=False, told=silent)
    owner = server.make("crm_moved")
    target = Target(owner, folders, is_embedded=False)
    options = {"replace": False, "force": False, "keeps_keys": True, "delivers": False, "told": lambda label: silent}
    bare = server.conninfo(ADMINISTRATOR, "postgres")
    with psycopg.connect(bare, autocommit=True) as conn:
        conn.execute("create database crm_bare owner crm_owner template template0")
    with pytest.raises(RecoveryFailed, match=r"lacks the extension.*--admin-sql"):
        restore(Target(server.conninfo("crm_owner", "crm_bare"), folders, False), file, **options)
    done = restore(target, file, **options)
    assert done.kept_beside is None and done.people > 5
    return owner


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_schema_restored_there_has_no(moved, check):
    with psycopg.connect(moved, autocommit=True) as owner:
        assert checks.problems_of(owner, check) == []


def test_an_email_signs_nobody_in_there_though_it_did_where_the_backup_was_made(moved, server):
    for role in checks.CLIENTS:
        with Login(server.conninfo(role, "crm_moved")) as who, refused(UNBOUND, "signing in by e-mail is off"):
            who.token("ada@demo.example")
