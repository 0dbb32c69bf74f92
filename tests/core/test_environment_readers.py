"""Who reads the environment: config.py, so that what can be set is seen in one place."""

import ast
import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import crm_mcp
from crm_mcp import embedded
from crm_mcp.cli import main, session
from crm_mcp.config import Settings
from crm_mcp.errors import SignInFailed
from crm_mcp.reaching import Connector

SOURCE = Path(crm_mcp.__path__[0])
READERS = {
    "config.py": "the one place",
    "embedded/server.py": "makes the environment of Postgres, of few variables; the launcher imports no settings",
    "embedded/place.py": "XDG_RUNTIME_DIR is where this machine has its temporary sockets; nothing a person sets for us",
}
NAMES = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def reads_environment(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in NAMES:
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "os" and NAMES & {name.name for name in node.names}:
            return True
    return False


def test_only_the_listed_modules_read_the_environment():
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if reads_environment(path.read_text(encoding="utf-8"))
    }
    assert found == set(READERS)


@pytest.mark.parametrize(
    "text", ["import os\nos.environ['A']", "from os import environ as e", "import os as o\no.getenv('A')"]
)
def test_a_reader_is_found_however_it_is_written(text):
    assert reads_environment(text)


def test_a_client_is_told_the_home_only_where_it_was_chosen(monkeypatch, tmp_path):
    def entry():
        printed = CliRunner().invoke(main, ["install", "cursor", "--user", "sam@demo.example", "--print"])
        return json.loads(printed.stdout)["mcpServers"]["crm"]

    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    assert entry()["env"] == {"CRM_HOME": str(tmp_path)}
    monkeypatch.delenv("CRM_HOME")
    assert "env" not in entry()


def test_the_configured_build_of_postgres_reaches_the_launcher(monkeypatch):
    asked = []

    def join(home, **options):
        asked.append(options["other_build"])
        raise embedded.EmbeddedUnavailable("not now")

    monkeypatch.setenv("CRM_PG_BIN", "/opt/pg/bin")
    monkeypatch.setattr(embedded, "join", join)
    monkeypatch.setattr(session, "join", join)
    with pytest.raises(SignInFailed):
        asyncio.run(Connector(Settings())())
    assert CliRunner().invoke(main, ["audit", "verify"]).exit_code == 1
    assert asked == [Path("/opt/pg/bin")] * 2
