"""`agents.yaml`: the packaged one is whole, one's own says what differs, and what is wrong is named by line and field."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from crm_mcp.agents.plan import PACKAGED, USE_CASES, PlanInvalid, load
from crm_mcp.cli import main
from crm_mcp.principal import Agent

SOURCES = Path(PACKAGED).parents[1]


@pytest.fixture
def said(tmp_path):
    def file(text):
        where = tmp_path / "own.yaml"
        where.write_text(text, encoding="utf-8")
        return where

    return file


def test_the_packaged_file_has_every_use_case_and_no_model_stands_in_code():
    plan = load(None, Path("/nowhere")).plan
    assert set(plan.use_cases) == USE_CASES == {*(agent.value for agent in Agent), "summary"}
    assert plan.use_cases["triage"].turns == 1
    models = {choice.model for case in plan.use_cases.values() for choice in case.choices}
    code = "".join(file.read_text(encoding="utf-8") for file in SOURCES.rglob("*.py"))
    assert not [model for model in models if model in code]


def test_a_file_in_the_home_is_taken_and_a_chosen_one_before_it(said, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    assert load(None, home).file is None
    (home / "agents.yaml").write_text("use_cases: {order: {turns: 7}}")
    assert load(None, home).plan.use_cases["order"].turns == 7
    sourced = load(said("use_cases: {order: {turns: 8}}"), home)
    assert sourced.plan.use_cases["order"].turns == 8 and sourced.file == tmp_path / "own.yaml"
    assert sourced.plan.use_cases["order"].model == load(None, tmp_path).plan.use_cases["order"].model


def test_a_price_is_exact_and_a_fallback_is_replaced_whole(said):
    text = """use_cases:
  order:
    fallback: {provider: anthropic, model: another, price: {input: 0.1, output: "0.30"}}
"""
    fallback = load(said(text), Path("/")).plan.use_cases["order"].fallback
    assert fallback is not None and fallback.price.of(3, 1) == Decimal("0.0000006")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "use_cases:\n  order:\n    seconds: -1\n",
            "line 3: use_cases.order.seconds: Input should be greater than 0.",
        ),
        ("use_cases:\n  order:\n    colour: red\n", "line 3: use_cases.order.colour: there is no such field."),
        ("use_cases:\n  triage:\n    turns: 2\n", "line 3: use_cases.triage.turns: triage takes one turn, always."),
        ("use_cases:\n  order:\n    model: x\n", "line 2: use_cases.order: another model needs its price."),
        ("version: 2\n", "line 1: version: Input should be 1."),
        ("version: 1\n\nversion: 1\n", "line 3: version is there twice."),
        ("fallback_agent: triage\n", "line 1: fallback_agent: name a specialist."),
        ("currency: euro\n", "line 1: currency: "),
        ("a: [", "line 1: it is no YAML: "),
        ("- a\n", "line 1: it must say names and values."),
        (
            "providers:\n  anthropic:\n    base_url: http://models.example\n",
            "line 3: providers.anthropic.base_url: give https://…, or http:// on this machine, without a password",
        ),
        (
            "providers:\n  anthropic:\n    base_url: https://me:secret@models.example\n",
            "line 3: providers.anthropic.",
        ),
        ("use_cases:\n  nobody: {}\n", "line 2: use_cases.nobody: there is no such use case"),
    ],
)
def test_what_cannot_be_is_named_by_line_and_field(said, text, why):
    with pytest.raises(PlanInvalid) as bad:
        load(said(text), Path("/"))
    assert f"own.yaml, {why}" in str(bad.value)
    assert "secret" not in str(bad.value)


def test_yaml_makes_no_objects(said):
    with pytest.raises(PlanInvalid):
        load(said("version: !!python/object/apply:os.getpid []\n"), Path("/"))


def test_a_chosen_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(PlanInvalid, match="cannot be read"):
        load(tmp_path / "none.yaml", tmp_path)


def test_the_command_shows_what_is_in_force_and_never_a_key(said, monkeypatch, tmp_path):
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    monkeypatch.setenv("CRM_ANTHROPIC_KEY", "sk-very-secret")
    monkeypatch.setenv("CRM_AGENTS", str(said("use_cases: {order: {turns: 8}}")))
    shown = CliRunner().invoke(main, ["agents", "config"])
    assert shown.exit_code == 0 and "own.yaml" in shown.output and "a key is set" in shown.output
    whole = CliRunner().invoke(main, ["agents", "config", "--json"])
    told = json.loads(whole.output)
    assert told["use_cases"]["order"]["turns"] == 8
    assert told["keys"] == {"anthropic": True, "openai-compatible": False}
    assert "sk-very-secret" not in shown.output + whole.output


def test_the_command_names_what_is_wrong(said):
    wrong = CliRunner().invoke(main, ["agents", "config", str(said("use_cases: {order: {turns: none}}"))])
    assert wrong.exit_code == 1 and "line 1: use_cases.order.turns: " in wrong.output
