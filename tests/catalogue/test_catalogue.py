"""Every tool there is, held to what every tool must be; nothing here names one, but for S0's matrix."""

import contextlib
import json
import re
from pathlib import Path

import jsonschema
import pytest
from listed import FOR_AGENTS_ALONE, NAMES, ROWS, WIRE, principals
from tokens import costs, somebody

from crm_mcp.catalog import HERE, USUAL, Catalog, Narrowing, describe, every_tool, load
from crm_mcp.cli.inspect import matrix_lines
from crm_mcp.errors import UnknownTool
from crm_mcp.principal import Agent, Role
from crm_mcp.serving import narrowing
from crm_mcp.tool import Effect

GOLDEN = Path(__file__).parents[1] / "golden" / "matrix.txt"
TOOLS = {tool.name: tool for tool in every_tool()}
VERBS = frozenset(
    [
        "add",
        "analyze",
        "calculate",
        "close",
        "complete",
        "create",
        "decline",
        "define",
        "delete",
        "discard",
        "enrich",
        "execute",
        "find",
        "forecast",
        "get",
        "handoff",
        "identify",
        "list",
        "log",
        "move",
        "predict",
        "record",
        "revise",
        "run",
        "save",
        "score",
        "search",
        "send",
        "show",
        "suggest",
        "undo",
        "update",
        "propose",
    ]
)
NO_TOOLS = frozenset({"approval_required", "not_updated_for_days", "updated_since"})
"""Words in descriptions that are written as the names of tools are."""
NEED_NO_WORDS = frozenset({"query", "cursor", "description", "idempotency_key"}) | frozenset(
    [
        "name",
        "number",
        "report",
        "stage",
        "company",
        "title",
        "job_title",
        "industry",
        "linkedin_url",
        "explanation",
        "lost_reason",
        "override_reason",
    ]
)
"""Texts that their names explain: a model pays for every word of every list."""
S0 = {
    "handoff_to_agent": {"triage"},
    "get_customer": {"customer", "order", "analytics", "support"},
    "search_customers": {"customer"},
    "get_orders": {"customer", "order", "analytics"},
    "create_order_draft": {"order"},
    "run_report": {"analytics"},
    "get_issues": {"support"},
    "update_preferences": {"settings"},
    "send_email_draft": {"customer", "order", "support"},
}
"""The tool access matrix of S0 §3."""
S0_AGENTS = frozenset({"triage", "customer", "order", "analytics", "support", "settings"})


def test_the_snapshot_is_what_the_code_says():
    assert json.loads(json.dumps([describe(tool) for tool in every_tool()])) == ROWS, "run: python -m crm_mcp.catalog"


def test_every_tool_is_one_file_of_its_name_in_its_toolset():
    files = {file.stem: file.parent.name for file in HERE.glob("tools/*/*.py") if file.stem != "__init__"}
    assert files == {row["wire"]["name"]: row["toolset"] for row in ROWS}
    for name, toolset in files.items():
        assert load(name, toolset).handler.__name__ == name


@pytest.mark.parametrize("name", NAMES)
def test_a_tool_has_a_test_file_of_its_name(name):
    assert (Path(__file__).parents[1] / "tools" / f"test_{name}.py").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_verb_and_a_noun(name):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", name) or name == "whoami"
    assert name.partition("_")[0] in VERBS | {"whoami"}


@pytest.mark.parametrize("name", NAMES)
def test_a_description_tells_a_model_what_to_do_and_when(name):
    text = WIRE[name]["description"]
    assert len(text) <= 1024
    assert re.match(r"[A-Z][a-z]+ ", text)
    first = text.split()[0]
    assert not first.endswith(("s", "ing")) and first not in ("This", "The", "A", "An"), (
        f"{first}: say it as an order"
    )
    assert re.search(r"\bUse (when|after|at|for|if|before)\b", text)


@pytest.mark.parametrize("name", NAMES)
def test_a_description_names_only_tools_that_exist(name):
    texts = [
        WIRE[name]["description"],
        *re.findall(r'"description": "([^"]*)"', json.dumps(WIRE[name]["inputSchema"])),
    ]
    named = {word for text in texts for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text)}
    arguments = set(re.findall(r'"(\w+)": {', json.dumps(WIRE[name]["inputSchema"])))
    assert named - arguments - NO_TOOLS <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", ["inputSchema", "outputSchema"])
def test_a_schema_is_a_root_object_that_every_client_takes(name, side):
    schema = WIRE[name][side]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    assert not {"anyOf", "oneOf", "allOf", "$ref"} & set(schema)


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_explains_itself(name):
    schema = WIRE[name]["inputSchema"]
    assert schema["additionalProperties"] is False
    for where in [schema, *schema.get("$defs", {}).values()]:
        for argument, part in where.get("properties", {}).items():
            assert {"description", "enum", "type", "anyOf", "$ref"} & set(part), argument
            if part.get("type") == "string" and "enum" not in part:
                assert "description" in part or argument in NEED_NO_WORDS or "format" in part, argument


@pytest.mark.parametrize("name", NAMES)
def test_hints_follow_from_the_effect(name):
    effect, hints = TOOLS[name].effect, WIRE[name]["annotations"]
    assert hints["title"] == WIRE[name]["title"] == TOOLS[name].title
    assert hints["readOnlyHint"] is (effect is Effect.READ)
    assert hints["destructiveHint"] is (effect is Effect.DELETE)
    assert hints["idempotentHint"] in (True, False)
    assert hints["openWorldHint"] is False


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_a_tool_belongs_to_somebody(row):
    assert row["roles"] and set(row["roles"]) <= set(Role)
    assert set(row["agents"]) <= set(Agent) - {Agent.TRIAGE} or row["wire"]["name"] == "handoff_to_agent"


def test_the_matrix_is_the_golden_one():
    golden, now = GOLDEN.read_text(encoding="utf-8").splitlines(), matrix_lines()
    missing, stale = [line for line in now if line not in golden], [line for line in golden if line not in now]
    assert not missing, "lines the golden file lacks:\n" + "\n".join(missing)
    assert not stale, "lines only the golden file has:\n" + "\n".join(stale)
    assert golden == now


@pytest.mark.parametrize("name", sorted(set(S0) & set(NAMES)))
def test_s0s_matrix_holds(name):
    row = next(row for row in ROWS if row["wire"]["name"] == name)
    assert set(row["agents"]) & S0_AGENTS == S0[name]


@pytest.mark.parametrize(("who", "tools", "tokens", "most"), costs(), ids=lambda v: v if isinstance(v, str) else "")
def test_a_list_costs_no_more_than_agreed(who, tools, tokens, most):
    assert tokens <= most


@pytest.mark.parametrize("who", principals(), ids=lambda who: f"{who.role}-{who.agent or 'person'}")
def test_a_principal_finds_exactly_the_tools_in_their_list(who):
    catalog = Catalog()
    seen = {tool["name"] for tool in catalog.visible_to(who)}
    found = set()
    for name in NAMES:
        with contextlib.suppress(UnknownTool):
            found.add(catalog.find(name, who).name)
    assert found == seen
    alone = {t["name"] for t in catalog.visible_to(somebody(who.role))}
    assert seen - FOR_AGENTS_ALONE <= alone, "an agent sees no more than its person"


def test_triage_has_the_hand_off_and_nobody_else_does():
    assert {"handoff_to_agent"} == FOR_AGENTS_ALONE
    for role in Role:
        for agent in (None, *Agent):
            seen = {tool["name"] for tool in Catalog().visible_to(somebody(role, agent))}
            assert (seen == FOR_AGENTS_ALONE) if agent is Agent.TRIAGE else not seen & FOR_AGENTS_ALONE


def narrowings() -> list[Narrowing]:
    toolsets = sorted({row["toolset"] for row in ROWS})
    some: list[frozenset[str] | None] = [
        None,
        frozenset(),
        frozenset(toolsets[:1]),
        frozenset(toolsets),
        frozenset({"nonsense"}),
    ]
    names: list[frozenset[str] | None] = [
        None,
        frozenset(NAMES),
        frozenset({"create_order_draft"}),
        frozenset({"nonsense"}),
    ]
    out = [frozenset[str](), frozenset(NAMES[:3]), frozenset(NAMES)]
    return [Narrowing(a, b, c, d) for a in some for b in names for c in out for d in (False, True)]


def test_narrowing_never_widens_and_read_only_always_wins():
    writes = {row["wire"]["name"] for row in ROWS if row["effect"] != "read"}
    assert writes
    for who in (somebody(Role.ADMIN), somebody(Role.SUPPORT), somebody(Role.SALES, Agent.ORDER)):
        whole = {tool["name"] for tool in Catalog().visible_to(who)}
        for narrowed in narrowings():
            seen = {tool["name"] for tool in Catalog(narrowed).visible_to(who)}
            assert seen <= whole
            assert not seen & narrowed.excluded
            if narrowed.read_only:
                assert not seen & writes


def test_a_list_keeps_its_order():
    order = [tool["name"] for tool in Catalog().visible_to(somebody(Role.ADMIN))]
    assert order == [name for name in NAMES if name in order]


@pytest.mark.parametrize("role", Role)
def test_the_usual_list_is_the_roles_day_and_an_agents_stays_whole(role):
    usual = Catalog(Narrowing(usual=True))
    toolsets = {row["wire"]["name"]: row["toolset"] for row in ROWS}
    seen = {toolsets[tool["name"]] for tool in usual.visible_to(somebody(role))}
    assert seen <= USUAL[role].toolsets and not USUAL[role].seldom & {
        tool["name"] for tool in usual.visible_to(somebody(role))
    }
    for agent in Agent:
        assert usual.visible_to(somebody(role, agent)) == Catalog().visible_to(somebody(role, agent))


def test_who_asks_for_all_toolsets_gets_all_of_the_role():
    whole = Catalog().visible_to(somebody(Role.ADMIN))
    assert Catalog(narrowing("all", None, "", False)).visible_to(somebody(Role.ADMIN)) == whole
    assert len(Catalog(narrowing(None, None, "", False)).visible_to(somebody(Role.ADMIN))) < len(whole)
