"""`crm-mcp agents run`: a process of its own, servers of its own over stdio, a scripted model over HTTP."""

import json
import re
import signal
import subprocess
import sys
import threading

import psycopg
import pytest
from click.testing import CliRunner
from hubs import SPECIALIST, TRIAGE, hands_to, plan_at
from standin import Call, StandIn

from crm_mcp.cli import main
from crm_mcp.config import agents_environment, quiet_environment

KEY = "sk-secret-of-the-test"


class Program:
    """The command as a person runs it, against a stand-in."""

    def __init__(self, home, folder):
        self._home, self._folder = home, folder

    def command(self, *words):
        return [sys.executable, "-P", "-m", "crm_mcp", "agents", "run", *words]

    def environment(self, url, key=KEY, use_cases=None):
        file = plan_at(self._folder, url, **(use_cases or {}))
        known = {"CRM_AGENTS": str(file)} | ({"CRM_ANTHROPIC_KEY": key} if key else {})
        return quiet_environment(self._home.root) | known

    def __call__(self, scripts, *words, **known):
        with StandIn(scripts) as url:
            env = self.environment(url, **known)
            return subprocess.run(self.command(*words), env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture
def run(home, tmp_path):
    return Program(home, tmp_path)


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


def test_as_json_each_event_is_a_line_and_the_last_is_how_it_ended(run):
    scripts = {TRIAGE: hands_to("order"), SPECIALIST["order"]: order}
    done = run(scripts, "Order a chair", "--as", "sam@demo.example", "--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["spent", "handoff"] and kinds[-1] == "ended" and {"tool", "answered", "text"} <= set(kinds)
    (waiting,) = events[-1]["waiting"]
    assert events[-1]["end"] == "done" and waiting["id"] in events[-1]["text"]
    assert events[-1]["run"].startswith("run_")


def test_without_a_key_it_says_so_and_what_to_set(run):
    cases = {"order": {"fallback": None}}
    done = run({}, "Order", "--as", "sam@demo.example", "--agent", "order", key=None, use_cases=cases)
    assert done.returncode == 3
    assert done.stderr.strip() == (
        "Ended before it was done (no_key): There is no key for the provider anthropic: set CRM_ANTHROPIC_KEY."
    )


def test_over_a_budget_of_the_org_no_model_is_asked_and_it_says_which_and_what_is_left(run, home):
    with psycopg.connect(home.conninfo("postgres"), autocommit=True) as root:
        root.execute(
            "insert into crm.budgets(org_id, scope, user_id, tokens) select id, 'user', 0, 10 from crm.orgs where slug = 'demo'"
        )
        try:
            done = run({}, "Order", "--as", "sam@demo.example", "--agent", "order")
        finally:
            root.execute("delete from crm.budgets")
    assert done.returncode == 5
    assert "(over_budget): The limit of yours is 10 tokens for today: " in done.stderr and "left" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Order", "--as", "nobody@demo.example"], "No such person"),
        (["Order"], "Say who asks"),
        (["   ", "--as", "sam@demo.example"], "Say what is to be done."),
        (["Order", "--as", "sam@demo.example", "--about", "inv_1"], "--about takes the id of a customer"),
        (["Order", "--as", "sam@demo.example", "--agent", "triage"], "Invalid value for '--agent'"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_sentence(home, monkeypatch, words, said):
    monkeypatch.setenv("CRM_HOME", str(home.root))
    done = CliRunner().invoke(main, ["agents", "run", *words])
    assert done.exit_code in (1, 2) and said in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_an_interrupt_ends_it_in_order_and_what_waits_is_told(run):
    silent = threading.Event()

    def slow(tools):
        (products,) = yield Call("search_products", {"query": "chair", "limit": 1})
        (orders,) = yield Call("get_orders", {"limit": 1})
        line = {"product": products["products"][0]["id"], "quantity": 11}
        customer = orders["orders"][0]["customer"]["id"]
        yield Call("create_order_draft", {"customer": customer, "lines": [line], "reason": "They asked."})
        silent.wait(120)
        return "too late"

    with StandIn({SPECIALIST["order"]: slow}) as url:
        words = ("Order", "--as", "sam@demo.example", "--agent", "order", "--json")
        process = subprocess.Popen(
            run.command(*words), env=run.environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        events = []
        while not (events and events[-1]["type"] == "answered" and "drafts" in events[-1]):
            events.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=120)
        silent.set()
    assert process.returncode == 130, errors
    ended = json.loads(rest.splitlines()[-1])
    assert (ended["type"], ended["end"]) == ("ended", "cancelled")
    assert [one["id"] for one in ended["waiting"]] == events[-1]["drafts"]
    assert "Traceback" not in errors


def test_a_server_of_an_agent_never_gets_the_models_keys(monkeypatch, tmp_path):
    monkeypatch.setenv("CRM_ANTHROPIC_KEY", KEY)
    monkeypatch.setenv("CRM_OPENAI_COMPATIBLE_KEY", KEY)
    assert KEY not in agents_environment(tmp_path).values()
