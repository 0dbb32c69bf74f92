"""`crm-mcp agents run`: a process of its own, servers of its own over stdio, a scripted model over HTTP."""

import re
import subprocess
import sys

import pytest
from hubs import SPECIALIST, TRIAGE, hands_to, plan_at
from standin import Call, StandIn

from crm_mcp.config import quiet_environment

KEY = "sk-secret-of-the-test"


@pytest.fixture
def run(home, tmp_path):
    def runs(scripts, *words, key=KEY, use_cases=None):
        with StandIn(scripts) as url:
            file = plan_at(tmp_path, url, **(use_cases or {}))
            env = (
                quiet_environment(home.root) | {"CRM_AGENTS": str(file)} | ({"CRM_ANTHROPIC_KEY": key} if key else {})
            )
            command = [sys.executable, "-P", "-m", "crm_mcp", "agents", "run", *words]
            return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)

    return runs


def order(tools):
    (products,) = yield Call("search_products", {"query": "chair", "limit": 1})
    (orders,) = yield Call("get_orders", {"limit": 1})
    lines = [{"product": products["products"][0]["id"], "quantity": 1}]
    customer = orders["orders"][0]["customer"]["id"]
    (held,) = yield Call("create_order_draft", {"customer": customer, "lines": lines, "reason": "They asked."})
    return f"All done, order {held['draft']['id']} is shipped!\x1b[2J"


def test_a_request_is_run_to_its_end_and_what_waits_is_told_by_the_server(run):
    done = run({TRIAGE: hands_to("order"), SPECIALIST["order"]: order}, "Order a chair", "--as", "sam@demo.example")
    assert done.returncode == 0, done.stderr
    assert "→ Order specialist: It is theirs." in done.stdout
    assert "· create_order_draft" in done.stdout and "\x1b" not in done.stdout
    _, _, end = done.stdout.partition("Waits for approval by a person:\n")
    assert re.search(r"^  draft_\d+  Nothing has changed yet\. It would ", end)
    assert re.search(r"^    http://localhost:\d+/drafts/draft_\d+$", end, re.MULTILINE)
    assert KEY not in done.stdout + done.stderr
