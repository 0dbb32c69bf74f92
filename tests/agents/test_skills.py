"""Skills: what their files say, who has which, what limits they tell, and what an export makes of them."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from acting import acting
from click.testing import CliRunner
from mcp import MCPError
from mcp.types import ResourceTemplateReference

from crm_mcp.agents.files import MARK
from crm_mcp.agents.roster import ROSTER
from crm_mcp.catalog import Catalog, Narrowing, rows
from crm_mcp.cli import main
from crm_mcp.policy_document import Policy
from crm_mcp.principal import Agent, Role
from crm_mcp.skills import skill
from crm_mcp.skills.limits import _LIMITS, Constraint, limits

SKILLS = list(skill.skills().values())
SAM, FIN, SUE = "sam@demo.example", "fin@demo.example", "sue@demo.example"
NUMBER = re.compile(r"\d{3,}")


async def read(client, uri):
    (content,) = (await client.read_resource(uri)).contents
    return json.loads(content.text)


def test_every_specialist_has_a_skill_and_each_file_is_named_as_it_says():
    assert {one.agent for one in SKILLS} == set(ROSTER)
    assert {file.stem for file in skill.FILES.glob("*")} == {one.name for one in SKILLS}


@pytest.mark.parametrize("one", SKILLS, ids=lambda one: one.name)
def test_a_skills_tools_exist_and_its_agent_may_call_them_for_somebody(one):
    assert set(one.capabilities) <= set(rows())
    seen = [set(Catalog(Narrowing(usual=True)).listed(acting(role, one.agent))) for role in Role]
    assert any(set(one.capabilities) <= tools for tools in seen)


@pytest.mark.parametrize("one", SKILLS, ids=lambda one: one.name)
def test_an_examples_tools_are_the_skills_own(one):
    for example in one.training_examples:
        assert set(example.expected_tools) <= set(one.capabilities), example.input


@pytest.mark.parametrize("one", SKILLS, ids=lambda one: one.name)
def test_no_figure_of_a_policy_stands_in_a_file(one):
    said = [one.description, *one.work]
    assert not [text for text in said if NUMBER.search(text)]


def test_every_limit_is_told_and_used():
    assert set(_LIMITS) == set(Constraint) == {name for one in SKILLS for name in one.constraints}


def test_limits_are_those_of_the_policy():
    who, agent = acting(Role.SALES, Agent.ORDER), Agent.ORDER
    document = {
        "deny_agents_above": "1234.50",
        "approval_limit": 77,
        "hold_below_confidence": "0.9",
        "stage_moves": {"max_value": 5},
    }
    told = limits(tuple(Constraint), agent, Policy.of(3, document), who)
    assert told["max_order_value"].value == {"amount": "1234.5", "currency": who.currency}
    assert told["max_order_value"].text() == f"{who.currency} 1234.5"
    assert told["requires_approval_above"].value["amount"] == "77"
    assert told["max_stage_move_value"].value["amount"] == "5"
    assert told["hold_below_confidence"].value == "0.9"
    assert "tasks" in told["runs_at_once"].value and told["agent_writes"].value == "normal"
    off = limits(tuple(Constraint), agent, Policy.of(4, {"agents": {"order": "off"}}), who)
    assert (off["agent_writes"].value, off["runs_at_once"].value) == ("off", [])
    learning = limits(tuple(Constraint), agent, Policy.of(5, {"learning_mode": True}), who)
    assert (learning["agent_writes"].value, learning["runs_at_once"].text()) == ("hold", "nothing")


async def test_a_skill_is_read_with_the_limits_in_force(connect):
    async with connect(SAM, agent=Agent.ORDER) as client:
        listed = await read(client, "crm://skills")
        assert [one["name"] for one in listed["skills"]] == ["order-management"]
        told = await read(client, "crm://skills/order-management")
        policy = await read(client, "crm://policy")
    assert told["constraints"]["max_order_value"]["value"] == {
        "amount": policy["settings"]["deny_agents_above"],
        "currency": "EUR",
    }
    assert told["constraints"]["requires_approval_above"]["value"]["amount"] == policy["settings"]["approval_limit"]
    assert told["policyVersion"] == policy["version"]
    assert told["training_examples"][0]["expected_tools"] == ["get_customer", "search_products", "create_order_draft"]
    assert "server decides" in told["decides"]


@pytest.mark.parametrize(
    ("email", "has", "lacks"),
    [
        (SAM, "pipeline-review", "support-desk"),
        (FIN, "month-end", "order-management"),
        (SUE, "support-desk", "pipeline-review"),
    ],
)
async def test_a_skill_whose_tools_one_may_not_call_is_not_there(connect, email, has, lacks):
    async with connect(email) as client:
        names = {one["name"] for one in (await read(client, "crm://skills"))["skills"]}
        assert has in names and lacks not in names
        errors = []
        for name in (lacks, "no-such-skill"):
            with pytest.raises(MCPError) as refused:
                await client.read_resource(f"crm://skills/{name}")
            errors.append(
                json.dumps([refused.value.error.code, refused.value.error.message, refused.value.error.data])
            )
        assert errors[0].replace(lacks, "…") == errors[1].replace("no-such-skill", "…")
        offered = await client.complete(
            ResourceTemplateReference(uri="crm://skills/{name}"), {"name": "name", "value": ""}
        )
        assert set(offered.completion.values) == names


async def test_what_a_client_leaves_out_leaves_out_the_skill(connect):
    async with connect(SAM, excluded=frozenset({"create_order_draft"})) as client:
        assert "order-management" not in {one["name"] for one in (await read(client, "crm://skills"))["skills"]}
    async with connect(SAM, read_only=True) as client:
        assert {one["name"] for one in (await read(client, "crm://skills"))["skills"]} <= {"month-end", "forecasting"}


@pytest.fixture
def export(home, monkeypatch, tmp_path):
    monkeypatch.setenv("CRM_HOME", str(home.root))

    def exported(email=SAM, *words, code=0):
        done = CliRunner().invoke(main, ["agents", "export", str(tmp_path), "--user", email, *words])
        assert done.exit_code == code, done.output
        return done.output

    exported.project = tmp_path
    return exported


def files_of(project):
    found = {}
    for file in (project / ".claude/skills").glob("*/SKILL.md"):
        _, head, body = file.read_text(encoding="utf-8").split("---\n", 2)
        found[file.parent.name] = yaml.safe_load(head), body
    return found


def test_an_export_writes_the_skills_of_that_persons_agents_in_the_open_format(export):
    said = export()
    files = files_of(export.project)
    assert set(files) == {f"crm-{one.name}" for one in SKILLS} - {"crm-support-desk"}
    for name, (head, body) in files.items():
        assert head["name"] == name and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) and len(name) <= 64
        assert 0 < len(head["description"]) <= 1024 and len(head["compatibility"]) <= 500
        assert head["metadata"] == {"version": "1"} and set(head) == {
            "name",
            "description",
            "compatibility",
            "metadata",
        }
        assert body.startswith(MARK) and "The server decides every call" in body
        assert f".claude/skills/{name}/SKILL.md" in said
    order = files["crm-order-management"][1]
    assert "max_order_value: EUR 50000." in order and "requires_approval_above: EUR 5000." in order
    assert "mcp__crm-order__…" in order and "crm://skills/order-management" in order


def test_one_agent_brings_its_skills_alone_and_a_second_export_changes_nothing(export):
    export(SAM, "--agent", "order")
    assert set(files_of(export.project)) == {"crm-order-management"}
    before = {file: file.read_bytes() for file in export.project.rglob("*") if file.is_file()}
    export(SAM, "--agent", "order")
    assert {file: file.read_bytes() for file in export.project.rglob("*") if file.is_file()} == before


def test_a_skill_of_somebody_elses_is_not_overwritten_and_nothing_else_is_written(export):
    theirs = export.project / ".claude/skills/crm-order-management/SKILL.md"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("a skill of mine")
    said = export(code=1)
    assert "crm-order-management/SKILL.md" in said and "move it away" in said
    assert [file for file in export.project.rglob("*") if file.is_file()] == [theirs]
    assert theirs.read_text() == "a skill of mine"


def test_a_server_that_lists_resources_has_not_read_a_skill():
    program = (
        "import sys; from crm_mcp import server; from crm_mcp.resources import registry;"
        "assert any(r.uri == 'crm://skills' for r in registry.RESOURCES); assert 'yaml' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
