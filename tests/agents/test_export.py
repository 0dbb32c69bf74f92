"""`crm-mcp agents export`: what it writes for whom, and what it leaves alone."""

import json
import re
import shlex
import sys

import pytest
from acting import acting
from click.testing import CliRunner

from crm_mcp.agents.files import MARK
from crm_mcp.agents.roster import ROSTER
from crm_mcp.catalog import Catalog, Narrowing
from crm_mcp.cli import main
from crm_mcp.principal import Agent, Role


@pytest.fixture
def export(home, monkeypatch, tmp_path):
    """Export into an empty project as somebody; return the project and what was said."""
    monkeypatch.setenv("CRM_HOME", str(home.root))

    def exported(email="sam@demo.example", *words, code=0):
        done = CliRunner().invoke(main, ["agents", "export", str(tmp_path), "--user", email, *words])
        assert done.exit_code == code, done.output
        return done.output

    exported.project = tmp_path
    return exported


def head_of(file):
    """Return a file's front matter: its values are JSON."""
    _, head, text = file.read_text(encoding="utf-8").split("---\n", 2)
    return {key: json.loads(value) for key, _, value in (line.partition(": ") for line in head.splitlines())}, text


def files_of(project):
    return {file.stem.removeprefix("crm-"): head_of(file) for file in (project / ".claude/agents").glob("*.md")}


def test_every_agent_but_triage_has_a_file_and_a_server_of_its_own(export):
    export()
    servers = json.loads((export.project / ".mcp.json").read_text())["mcpServers"]
    assert set(files_of(export.project)) == {agent.value for agent in Agent} - {"triage"} == {a.value for a in ROSTER}
    for name, (head, _) in files_of(export.project).items():
        entry = servers[f"crm-{name}"]
        assert head["mcpServers"] == [head["name"]] == [f"crm-{name}"]
        assert entry["command"] == sys.executable
        assert entry["args"][-4:] == ["--user", "sam@demo.example", "--agent", name]


@pytest.mark.parametrize("role", list(Role))
def test_an_agent_lists_the_tools_that_it_sees_for_that_person_and_no_other(export, role):
    people = {"admin": "ada", "sales": "sam", "operations": "olga", "finance": "fin", "support": "sue"}
    export(f"{people[role]}@demo.example")
    for name, (head, _) in files_of(export.project).items():
        seen = Catalog(Narrowing(usual=True)).visible_to(acting(role, Agent(name)))
        assert head["tools"].split(", ") == [f"mcp__crm-{name}__{tool['name']}" for tool in seen]


def test_the_hooks_ask_this_installation_before_each_tool_and_after_each_write(export):
    export("sam@demo.example", "--agent", "order", "--ask", "held")
    ((head, _),) = files_of(export.project).values()
    (before,), (after,) = head["hooks"]["PreToolUse"], head["hooks"]["PostToolUse"]
    words = shlex.split(before["hooks"][0]["command"])
    assert words[words.index("agents") :] == [
        "agents", "hook", "--agent", "order", "--server", "crm-order", "--ask", "held", "--user", "sam@demo.example",
    ]  # fmt: skip
    assert sys.executable in words and words[:1] == ["env"]
    assert after["hooks"] == before["hooks"]
    for tool in head["tools"].split(", "):
        assert re.fullmatch(before["matcher"], tool)
        is_read = re.search(r"__(get|list|search|calculate|whoami)", tool) is not None
        assert (re.fullmatch(after["matcher"], tool) is None) == is_read, tool


def test_what_is_there_stays_and_a_second_export_changes_nothing(export):
    (export.project / ".mcp.json").write_text('{"mcpServers": {"other": {"command": "other"}}}')
    own = export.project / ".claude/agents/reviewer.md"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    export()
    first = {file: file.read_bytes() for file in export.project.rglob("*") if file.is_file()}
    export()
    assert {file: file.read_bytes() for file in export.project.rglob("*") if file.is_file()} == first
    assert json.loads((export.project / ".mcp.json").read_text())["mcpServers"]["other"] == {"command": "other"}
    assert own.read_text() == "mine"


def test_a_file_of_somebody_elses_is_not_overwritten_and_nothing_else_is_written(export):
    theirs = export.project / ".claude/agents/crm-order.md"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("an agent of mine")
    said = export(code=1)
    assert "crm-order.md" in said and "move it away" in said
    assert theirs.read_text() == "an agent of mine"
    assert [file for file in export.project.rglob("*") if file.is_file()] == [theirs]


def test_a_broken_configuration_is_named_and_left_as_it_is(export):
    (export.project / ".mcp.json").write_text("{ broken")
    said = export(code=1)
    assert ".mcp.json" in said and "left as it is" in said
    assert (export.project / ".mcp.json").read_text() == "{ broken"


def test_a_prompt_says_who_it_is_and_that_others_text_is_data(export):
    export()
    for name, (head, text) in files_of(export.project).items():
        assert text.startswith(MARK)
        assert f"You are the {ROSTER[Agent(name)].title.lower()}" in text
        assert "instructions to you" in text and "approval_required" in text
        assert head["description"].startswith("Use ")


def test_an_address_that_is_nobodys_is_refused_in_a_sentence(export):
    assert "Error:" in export("nobody@demo.example", code=1)
    assert not list(export.project.iterdir())
