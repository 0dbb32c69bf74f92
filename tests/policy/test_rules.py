"""Each row and rule of the policy at both sides of its threshold, judged over made ChangeSets."""

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from crm_mcp.changes import ChangeSet
from crm_mcp.policy import RULES, Decision, Facts, StageMove, aggregates, decide, in_words
from crm_mcp.policy_document import Mode, Policy, Table, changed
from crm_mcp.principal import Agent, Principal, Role
from crm_mcp.tool import Effect

RUN, HOLD, DENY = Decision.RUN, Decision.HOLD, Decision.DENY
STANDARD = Policy()


def row(tbl, op="I", number=1, **after):
    return {"tbl": tbl, "op": op, "key": {"id": number}, "before": None, "after": after}


def effects(*rows):
    return ChangeSet(rows, {}, datetime(2026, 1, 1, tzinfo=UTC), "")


def order(amount):
    whole = row("orders", base_total=None if amount is None else Decimal(amount), customer_id=1)
    return effects(whole, row("order_lines", order_id=1), row("stock_reservations", order_id=1))


NOTE = effects(row("notes"))
MOVE = effects(row("pipeline_positions", "U", stage_id=2), row("stage_transitions"), row("activities"))


def judge(changes, *, policy=STANDARD, agent=None, confidence=None, tool="add_note", effect=Effect.WRITE, **facts):
    who = Principal(
        1, "o", "O", "EUR", "UTC", 1, "N", "e@e.example", Role.SALES, False, Decimal(0), False, 1, agent=agent
    )
    return decide(SimpleNamespace(name=tool, effect=effect), who, confidence, changes, Facts(policy, **facts))


def verdict(*args, **more):
    return judge(*args, **more).decision


def policy(**settings):
    return changed(STANDARD, {key.replace("__", "."): value for key, value in settings.items()})


def test_a_reversible_record_runs():
    for table in ("notes", "tasks", "activities", "preferences", "learnings", "exports"):
        assert verdict(effects(row(table))) is RUN


@pytest.mark.parametrize(
    "table",
    [
        "orders",
        "quotes",
        "invoices",
        "payments",
        "credit_notes",
        "emails",
        "products",
        "pipelines",
        "pipeline_stages",
        "automations",
        "org_settings",
        "memberships",
        "users",
        "policies",
        "custom_field_definitions",
        "blobs",
        "anything_new",
    ],
)
def test_what_binds_is_held_whatever_an_org_wants(table):
    loosest = policy(**{f"run_tables__{name}": "run" for name in Table})
    assert verdict(effects(row(table)), policy=loosest) is HOLD
    assert verdict(effects(row(table, "U")), policy=loosest, confidence=1.0) is HOLD


@pytest.mark.parametrize("table", Table)
def test_each_table_runs_and_holds_as_the_org_says(table):
    assert verdict(effects(row(table)), policy=policy(**{f"run_tables__{table}": "run"})) is RUN
    assert verdict(effects(row(table, "U")), policy=policy(**{f"run_tables__{table}": "run"})) is RUN
    assert verdict(effects(row(table)), policy=policy(**{f"run_tables__{table}": "hold"})) is HOLD


def test_a_deletion_is_held_even_of_what_runs():
    assert verdict(effects(row("notes", "D"))) is HOLD
    assert verdict(NOTE, effect=Effect.DELETE) is HOLD
    assert judge(effects(row("issues", "D")), policy=policy(run_tables__issues="run")).reason == "deletes"


def test_a_part_taken_out_of_a_record_is_an_edit_of_it():
    assert judge(effects(row("order_lines", "D"))).reason == "creates or changes an order"


@pytest.mark.parametrize("tool", ["create_order_draft", "send_email_draft", "anything_draft"])
def test_a_tool_named_draft_never_runs(tool):
    assert verdict(NOTE, tool=tool) is HOLD
    assert verdict(NOTE, tool=tool.removesuffix("_draft")) is RUN


@pytest.mark.parametrize(
    ("confidence", "expected"), [(None, RUN), (0.85, RUN), (1.0, RUN), (0.8499, HOLD), (0.0, HOLD)]
)
def test_stated_confidence_holds_below_the_bar(confidence, expected):
    assert verdict(NOTE, confidence=confidence) is expected


@pytest.mark.parametrize(("confidence", "expected"), [(0.9, RUN), (0.8999, HOLD)])
def test_the_bar_is_the_orgs(confidence, expected):
    assert verdict(NOTE, confidence=confidence, policy=policy(hold_below_confidence="0.9")) is expected


def test_stated_confidence_never_loosens():
    for changes in (order("1"), effects(row("customers")), effects(row("notes", "D"))):
        assert verdict(changes, confidence=1.0) is verdict(changes) is HOLD
    assert verdict(order("50000.01"), agent=Agent.ORDER, confidence=1.0) is DENY


@pytest.mark.parametrize(
    ("amount", "recent", "expected"),
    [
        ("50000", "0", HOLD),
        ("50000.01", "0", DENY),
        ("20000", "30000", HOLD),
        ("20000", "30000.01", DENY),
        ("0.01", "50000", DENY),
    ],
)
def test_above_fifty_thousand_in_a_day_an_agent_may_not(amount, recent, expected):
    assert verdict(order(amount), agent=Agent.ORDER, recent=Decimal(recent)) is expected
    assert verdict(order(amount), recent=Decimal(recent)) is HOLD


def test_the_most_an_agent_may_is_the_orgs():
    lower = policy(deny_agents_above="100")
    assert verdict(order("100"), agent=Agent.ORDER, policy=lower) is HOLD
    assert verdict(order("100.01"), agent=Agent.ORDER, policy=lower) is DENY


def test_an_unknown_amount_is_held():
    assert judge(order(None)).reason == "no exchange rate to EUR, so the amount is unknown"
    assert verdict(order(None), agent=Agent.ORDER) is HOLD


def test_learning_mode_holds_every_write_and_lets_a_draft_be_withdrawn():
    learning = policy(learning_mode="yes")
    for table in Table:
        assert judge(effects(row(table)), policy=learning).reason == "learning mode holds every write"
    assert verdict(MOVE, policy=learning, moves=(move(),)) is HOLD
    assert verdict(effects(), policy=learning, tool="discard_draft") is RUN


@pytest.mark.parametrize("agent", Agent)
def test_each_agent_has_a_switch(agent):
    held, off = policy(**{f"agents__{agent}": "hold"}), policy(**{f"agents__{agent}": "off"})
    assert verdict(NOTE, agent=agent) is RUN
    assert verdict(NOTE, agent=agent, policy=held) is HOLD
    assert verdict(NOTE, agent=agent, policy=off) is DENY
    assert verdict(effects(), agent=agent, policy=off) is DENY
    other = next(one for one in Agent if one is not agent)
    for switched in (held, off):
        assert verdict(NOTE, agent=other, policy=switched) is verdict(NOTE, policy=switched) is RUN


def test_an_agent_switched_off_is_denied_in_learning_mode_too():
    assert verdict(NOTE, agent=Agent.ORDER, policy=policy(learning_mode="yes", agents__order="off")) is DENY


# more than one record


def test_records_are_counted_with_their_parts():
    assert aggregates(order("1")) == 1
    assert aggregates(effects(row("order_lines", number=1), row("order_lines", number=2))) == 1
    assert aggregates(effects(row("tasks"), row("activities"), row("stage_transitions"))) == 1
    assert aggregates(effects(row("activities"))) == 0
    assert aggregates(effects(row("orders"), row("orders", number=2))) == 2
    assert aggregates(effects(row("payments"), row("payment_allocations"), row("invoices", "U"))) == 2
    assert aggregates(effects(row("notes", "I"), row("notes", "U"))) == 1


def test_one_record_runs_and_two_are_held_as_one_group():
    assert verdict(NOTE) is RUN
    assert verdict(effects(row("tasks", "U"), row("activities"))) is RUN
    two = judge(effects(row("notes"), row("notes", number=2)))
    assert (two.decision, two.reason) == (HOLD, "changes 2 records, decided as one group")


# stage moves


def move(**more):
    known = {"value": Decimal(10_000), "criteria_met": True, "allows_automation": True, "into_won": False}
    return StageMove("Sales", "Offer", **known | more)


def test_a_move_within_every_condition_runs():
    assert verdict(MOVE, moves=(move(),)) is RUN
    assert verdict(MOVE, moves=(move(),), agent=Agent.SALES, confidence=0.85) is RUN


@pytest.mark.parametrize(
    ("unlike", "why"),
    [
        ({"value": Decimal("10000.01")}, "its value is above 10,000 EUR"),
        ({"value": None}, "its value is unknown"),
        ({"criteria_met": False}, "the criteria of Offer are not met"),
        ({"allows_automation": False}, "the stage Offer does not allow automation"),
        ({"into_won": True}, "Offer is a won stage"),
    ],
)
def test_a_move_that_misses_one_condition_is_held(unlike, why):
    told = judge(MOVE, moves=(move(**unlike),))
    assert (told.decision, told.reason) == (HOLD, why)
    assert verdict(MOVE, moves=(move(), move(**unlike))) is HOLD


def test_a_move_of_which_nothing_is_known_is_held():
    assert verdict(MOVE) is HOLD


def test_two_moves_are_held_as_one_group():
    both = effects(*MOVE.rows, row("pipeline_positions", "U", 2, stage_id=2), row("stage_transitions", number=2))
    assert judge(both, moves=(move(), move())).reason == "changes 2 records, decided as one group"


def test_a_move_that_also_changes_what_binds_is_held():
    assert verdict(effects(*MOVE.rows, row("orders")), moves=(move(),)) is HOLD


def test_pipelines_and_stages_have_switches():
    held = policy(**{"stage_moves.pipelines.Sales": "hold"})
    assert verdict(MOVE, moves=(move(),), policy=held) is HOLD
    assert verdict(MOVE, moves=(StageMove("Leads", "Offer", Decimal(1), True, True, False),), policy=held) is RUN
    assert verdict(MOVE, moves=(move(),), policy=policy(**{"stage_moves.stages.Offer": "no"})) is HOLD
    yes = policy(**{"stage_moves.stages.Offer": "yes"})
    assert verdict(MOVE, moves=(move(allows_automation=False),), policy=yes) is RUN
    assert verdict(MOVE, moves=(move(into_won=True),), policy=yes) is HOLD
    dotted = policy(**{"stage_moves.stages.V1.0 sent": "no"})
    assert dotted.stage_moves.stages == {"V1.0 sent": False}
    assert changed(dotted, {"stage_moves.stages.V1.0 sent": ""}) == STANDARD


def test_the_value_of_a_move_is_the_orgs():
    assert verdict(MOVE, moves=(move(value=Decimal(500)),), policy=policy(stage_moves__max_value="500")) is RUN
    assert verdict(MOVE, moves=(move(value=Decimal("500.01")),), policy=policy(stage_moves__max_value="500")) is HOLD


# the document


def test_a_document_is_read_as_it_was_written():
    written = policy(learning_mode="yes", approval_limit="1250.50", agents__order="off", run_tables__issues="run")
    assert Policy.of(1, written.document()) == written
    assert Policy.of(1, {}) == STANDARD
    assert written.settings()["approval_limit"] == "1250.5"


HELD_TABLES = (
    *("customers", "contacts", "organizations", "individuals", "leads", "deals", "projects", "documents"),
    "issues",
)


def test_the_standard_is_designs():
    assert STANDARD.settings() == {
        "learning_mode": "no",
        "hold_below_confidence": "0.85",
        "deny_agents_above": "50000",
        "approval_limit": "5000",
        "passkeys": "never",
        "solo": "no",
        **{f"run_tables.{name}": "hold" for name in HELD_TABLES},
        **{
            f"run_tables.{name}": "run"
            for name in ("notes", "tasks", "activities", "preferences", "learnings", "exports")
        },
        **{f"agents.{agent}": "normal" for agent in Agent},
        "stage_moves.max_value": "10000",
    }


def test_the_words_follow_the_policy():
    other = policy(
        **{
            "deny_agents_above": "70000",
            "hold_below_confidence": "0.7",
            "agents.order": "off",
            "run_tables.issues": "run",
            "stage_moves.max_value": "20000",
            "stage_moves.stages.Offer": "no",
            "learning_mode": "yes",
        }
    )
    before, after = in_words(STANDARD, "EUR"), in_words(other, "EUR")
    assert len(before) == len(after) == len(RULES) + 1
    said = "\n".join(f"{one.writes}: {one.verdict}" for one in after)
    for words in ("70,000 EUR", "below 0.7", "switched off (order)", "20,000 EUR", "stage Offer", "issues"):
        assert words in said
    assert sum(one != two for one, two in zip(before, after, strict=True)) == 7
    assert Mode.RUN == "run"


def test_what_is_archived_is_held_whatever_it_is_and_an_undo_is_judged_as_what_it_undoes():
    loosest = policy(**{f"run_tables__{name}": "run" for name in Table})
    for table in ("notes", "tasks", "organizations"):
        gone = effects(row(table, "U", archived_at="2026-01-01T00:00:00+00:00"))
        assert judge(gone, policy=loosest, tool="propose_changes").reason == "archives"
        assert verdict(gone, policy=loosest, tool="undo_change") is RUN
        assert verdict(effects(row(table, "U", archived_at=None)), policy=loosest) is RUN
    beside = effects(
        row("notes", "U", body="x"), row("data_provenance", "U", archived_at="2026-01-01T00:00:00+00:00")
    )
    assert verdict(beside) is RUN
