"""The policy at the terminal: shown, compared, proposed; changed by nobody at once."""

import json
from asyncio import to_thread

import pytest
from click.testing import CliRunner

from crm_mcp.cli import main
from crm_mcp.policy import in_words
from crm_mcp.policy_document import Policy


@pytest.fixture
def crm(home, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(home.root))

    async def run(*words, status=0):
        result = await to_thread(CliRunner().invoke, main, ["policy", *map(str, words)])
        assert result.exit_code == status, result.output
        return result.output

    return run


async def test_it_is_shown_in_settings_rules_and_approvers(town, crm):
    for asked in (("--org", town.slug), ("--user", town.email("sal"))):
        said = await crm("show", *asked)
        assert "Edition 1" in said and "deny_agents_above" in said and "base currency" in said
        assert all(rule.writes in said for rule in in_words(Policy(), "EUR"))
    told = json.loads(await crm("show", "--org", town.slug, "--json"))
    assert told["document"] == Policy().document() and told["edition"] == 1
    assert "There is no org" in await crm("show", "--org", "nowhere", status=1)
    assert "--user EMAIL" in await crm("show", status=1)


async def test_set_makes_a_draft_that_the_page_shows_and_an_administrator_approves(town, crm):
    settings = ("learning_mode=yes", "run_tables.issues=run", "stage_moves.pipelines.New sales=hold")
    said = await crm("set", *settings, "--user", town.email("ann"), "--reason", "Until we know it better.")
    assert said.startswith("Nothing has changed yet. draft_") and "learning_mode from no to yes" in said
    assert town.edition() == 1
    draft = said.split()[4]
    shown = await town.show("abe", draft)
    assert shown.draft["client"] == "crm-mcp policy set" and shown.may_not is None
    assert shown.warnings == ["It loosens the policy: run_tables.issues from hold to run."]
    assert (await town.approve("abe", draft)).state == "approved"
    assert town.edition() == 2
    assert "stage_moves.pipelines.New sales" in await crm("show", "--org", town.slug)


@pytest.mark.parametrize(
    ("settings", "name", "says", "status"),
    [
        (("learning_mode=yes",), "sal", "For admin", 1),
        (("learnin_mode=yes",), "ann", "Did you mean 'learning_mode'?", 1),
        (("learning_mode=perhaps",), "ann", "is yes or no", 1),
        (("run_tables.orders=run",), "ann", "Only these may run", 1),
        (("learning_mode=no",), "ann", "says so already", 1),
        (("learning_mode",), "ann", "not KEY=VALUE", 2),
        (("learning_mode=yes", "learning_mode=no"), "ann", "each key once", 2),
    ],
)
async def test_what_cannot_be_set_is_said(town, crm, settings, name, says, status):
    said = await crm("set", *settings, "--user", town.email(name), "--reason", "x", status=status)
    assert says in said
    assert town.one("select count(*) from crm.drafts where org_id = %s", town.org) == (0,)


async def test_an_api_key_proposes_too(town, crm, home, monkeypatch):
    made = await to_thread(
        CliRunner().invoke, main, ["keys", "create", "--org", town.slug, "--user", town.email("ann"), "ci"]
    )
    monkeypatch.setenv("CRM_API_KEY", made.output.strip().splitlines()[-1])
    assert "Nothing has changed yet." in await crm("set", "learning_mode=yes", "--reason", "x")
    assert "Edition 1" in await crm("show")


async def test_editions_and_documents_are_compared(town, crm, tmp_path):
    await town.govern(learning_mode="yes")
    await town.govern(learning_mode="no", agents__order="off")
    org = ("--org", town.slug)
    latest, whole = await crm("diff", *org), await crm("diff", "1", *org)
    assert [line.split()[0] for line in latest.splitlines()] == ["learning_mode", "agents.order"]
    assert "yes -> no  (loosens)" in latest and "normal -> off" in whole and "learning_mode" not in whole
    assert (await crm("diff", "3", *org)) == "Nothing differs.\n"
    assert "no edition 9" in await crm("diff", "9", *org, status=1)
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"run_tables": {"issues": "run"}}))
    rows = json.loads(await crm("diff", "--file", file, "--json", *org))
    assert {"setting": "run_tables.issues", "before": "hold", "after": "run", "loosens": True} in rows
    for text, says in (('{"learnin_mode": true}', "Did you mean"), ("{", "no JSON"), ("[]", "JSON object")):
        file.write_text(text)
        assert says in await crm("diff", "--file", file, *org, status=1)
    assert "not both" in await crm("diff", "1", "--file", file, *org, status=2)


async def test_the_page_shows_each_setting_old_and_new_with_what_it_loosens(town):
    from datetime import UTC, datetime

    from crm_mcp.approvals.views import draft_of

    draft = await town.propose("ann", run_tables__issues="run", learning_mode="yes")
    seen = draft_of(await town.show("abe", draft), [], await town.who("abe"), datetime.now(UTC))
    (change,) = seen.changes
    lines = {line.label: (line.before.text, line.after.text, line.after.warning) for line in change.lines}
    assert lines["learning_mode"] == ("no", "yes", None)
    assert lines["run_tables.issues"][:2] == ("hold", "run") and "loosens" in lines["run_tables.issues"][2]
    assert "changes the policy" in [chip.text for chip in seen.item.chips]
