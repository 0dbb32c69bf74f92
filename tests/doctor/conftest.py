"""A home of its own to break and to mend."""

import json
import os
from collections.abc import Generator

import pytest
from click.testing import CliRunner

from crm_mcp.cli import main
from crm_mcp.cli.doctor import work
from crm_mcp.embedded import Home
from homes import temporary_home


@pytest.fixture(scope="session")
def home(loaded: Home | None) -> Generator[Home]:
    if loaded is None:
        pytest.skip("needs a copy of a home, which this system's account cannot share")
    with temporary_home(loaded) as made:
        yield made


@pytest.fixture
def examine(home, monkeypatch, tmp_path):
    """Run the doctor on a home; return its findings by name, its exit code and all it said."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("XDG_", "CLAUDE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CRM_OPEN_BROWSER", "never")
    monkeypatch.setenv("CRM_IDLE", "0.2")
    # --fix starts the page whenever it does not run; the test of that alone lets it.
    monkeypatch.setattr(work, "ensure_page", lambda known: "nowhere")

    def run(*words, at=home):
        monkeypatch.setenv("CRM_HOME", str(at.root))
        said = CliRunner().invoke(main, ["doctor", "--json", *words])
        assert said.exception is None or isinstance(said.exception, SystemExit), said.exception
        return {row["check"]: row for row in json.loads(said.stdout)}, said.exit_code, said.output

    return run


@pytest.fixture
def broken(examine):
    """Look at one thing twice, without mending: it is a problem, and the doctor fails and says what to do."""

    def look(check, said, **more):
        found, code, _ = examine(**more)
        assert (found[check]["state"], code) == ("problem", 1), found
        assert said in found[check]["said"]
        assert found[check]["fix"]
        return found

    return look


@pytest.fixture
def mended(examine):
    """Have it mended: it says what it did, and the check is content."""

    def look(check, did, **more):
        found, _, _ = examine("--fix", **more)
        assert did in found[check]["done"], found[check]
        assert found[check]["state"] == "ok"
        return found

    return look
