"""What becomes of every write tool: its call run once for its effects, which are judged in each case.

`make verdicts` writes the golden file anew; look at its diff as at a change of the policy itself.
"""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from township import Town

from crm_mcp import ids, stage_moves
from crm_mcp.attempt import attempt
from crm_mcp.audit import Call
from crm_mcp.catalog import SNAPSHOT, load
from crm_mcp.crm.models import Contact
from crm_mcp.db import Database
from crm_mcp.policy import MONEY, Facts, decide
from crm_mcp.policy_document import Policy, Table, changed
from crm_mcp.principal import Agent

GOLDEN = Path(__file__).parents[1] / "golden" / "verdicts.txt"
NEEDS_A_DRAFT = {"revise_draft": "judged as the call it revises"}
"""Not run here: no effects of its own."""


def settings(**said):
    return changed(Policy(), {key.replace("__", "."): value for key, value in said.items()})


LOOSE = settings(**{f"run_tables__{table}": "run" for table in Table})
PERSON = {
    "standard": {},
    "stated confidence 1": {"confidence": 1.0},
    "stated confidence 0.85": {"confidence": 0.85},
    "stated confidence 0.8499": {"confidence": 0.8499},
    "every table set to run": {"policy": LOOSE},
    "every table set to hold": {"policy": settings(**{f"run_tables__{table}": "hold" for table in Table})},
    "learning mode": {"policy": settings(learning_mode="yes")},
    "of 1,000,000": {"amount": "1000000"},
    "no exchange rate": {"amount": None},
}
AGENT = {
    "standard": {},
    "set to hold": {"policy": settings(**{f"agents__{agent}": "hold" for agent in Agent})},
    "switched off": {"policy": settings(**{f"agents__{agent}": "off" for agent in Agent})},
    "of 50,000": {"amount": "50000"},
    "of 50,000.01": {"amount": "50000.01"},
    "of 1 after 50,000": {"amount": "1", "recent": Decimal(50_000)},
}


def worth(changes, amount):
    """Return the effects as those of another amount; None where they move no money."""
    rows = [dict(row) for row in changes.rows]
    money = [row for row in rows if row["tbl"] in MONEY and MONEY[row["tbl"]][0] in (row["after"] or {})]
    for row in money:
        row["after"] = {**row["after"], MONEY[row["tbl"]][0]: None if amount is None else Decimal(amount)}
    return replace(changes, rows=tuple(rows)) if money else None


def lines_of(tool, who, changes, moves):
    """Yield a line for each case that applies to a tool."""
    agents = sorted(tool.agents)
    for kind, cases in (("person", PERSON), ("agent", AGENT if agents else {})):
        agent = agents[0] if kind == "agent" and agents else None
        for said, case in cases.items():
            judged = worth(changes, case["amount"]) if "amount" in case else changes
            if judged is None:
                continue
            facts = Facts(case.get("policy", Policy()), case.get("recent", Decimal(0)), moves)
            verdict = decide(tool, replace(who, agent=agent), case.get("confidence"), judged, facts)
            yield f"{tool.name:20} {kind:7} {said:26} {verdict.decision:5} {verdict.reason}"


async def asked_of(town: Town):
    """Return arguments for each write tool, over records that are there."""

    async def done(tool, **asked):
        told = await town.ask("ann", tool, **asked)
        outcome = await town.approve("abe", told["draft"]["id"])
        assert outcome.state == "approved", (tool, outcome)
        return outcome.result["record"]["id"]

    customer, product = await town.customer(), await town.product()
    lines = [{"product": product, "quantity": 1}]
    order = await done("create_order_draft", customer=customer, lines=lines)
    billed = await done("create_order_draft", customer=customer, lines=lines)
    invoice = await done("create_invoice", order=billed)
    quote = await done("create_quote_draft", customer=customer, lines=lines)
    issue = await done("create_issue", customer=customer, title="Leak")
    task = (await town.ask("ann", "create_task", title="Call"))["task"]["id"]
    note = await town.ask("ann", "add_note", about=customer, body="called")
    await town.ask("ann", "add_to_pipeline", records=[customer], pipeline="support")
    contact = f"cont_{await town.make(Contact, name='Pat', customer_id=int(customer[5:]))}"
    waits = await town.ask(
        "ann", "create_order_draft", customer=customer, lines=[{"product": product, "quantity": 2}]
    )
    kept = await town.ask("ann", "save_preference", text="By sent I mean shipped.")
    return {
        "add_to_pipeline": {"records": [await town.customer()], "pipeline": "support"},
        "create_pipeline": {"name": "Way", "stages": [{"name": "A"}]},
        "enrich_contact": {"record": contact, "data": {"title": "CTO"}, "sources": ["x"]},
        "move_to_stage": {"moves": [{"record": customer, "to_stage": "Triaged"}]},
        "score_contact": {"record": customer, "factors": {"fit": 50}},
        "update_pipeline": {"pipeline": "support", "description": "x"},
        "add_note": {"about": customer, "body": "x"},
        "create_export": {"report": "top_customers"},
        "save_article": {"title": "Returns", "body": "Within 30 days."},
        "save_preference": {"text": "Short answers."},
        "save_memory": {"about": customer, "kind": "lead_interaction", "text": "They like tea."},
        "delete_preference": {"preference": kept["preference"]["id"]},
        "close_books": {"through": "2020-01-31"},
        "complete_task": {"task": task},
        "create_credit_note": {"invoice": invoice, "gross": "1", "explanation": "x"},
        "create_invoice": {"order": order},
        "create_issue": {"customer": customer, "title": "Leak"},
        "create_order_draft": {"customer": customer, "lines": lines},
        "create_quote_draft": {"customer": customer, "lines": lines},
        "create_task": {"title": "Call"},
        "decline_quote": {"quote": quote, "lost_reason": "price"},
        "define_custom_field": {"entity": "organizations", "key": "tier"},
        "discard_draft": {"draft": waits["draft"]["id"]},
        "log_activity": {"about": customer, "kind": "call", "subject": "x"},
        "propose_changes": {
            "changes": [{"proposed_action": "create", "entity_type": "Organization", "data": {"name": "Acme"}}]
        },
        "record_payment": {"amount": "10", "invoices": [{"invoice": invoice}]},
        "send_email_draft": {"to": ["a@b.example"], "subject": "x", "body": "x", "about": customer},
        "undo_change": {"change": note["_meta"]["change"]},
        "update_issue": {"issue": issue, "priority": "urgent"},
        "update_order": {"order": order, "comment": "x"},
        "update_preferences": {"page_size": 30},
        "update_policy": {"settings": {"learning_mode": "yes"}},
    }


async def test_the_verdicts_are_those_of_the_golden_file(town, home):
    toolsets = {
        row["wire"]["name"]: row["toolset"]
        for row in json.loads(SNAPSHOT.read_text(encoding="utf-8"))
        if row["effect"] != "read" and row["wire"]["name"] not in NEEDS_A_DRAFT
    }
    asked = await asked_of(town)
    assert sorted(asked) == sorted(toolsets), "a write tool without a row of verdicts"
    who, lines = await town.who("ann"), []
    db = Database(home.conninfo("crm_agent"))
    try:
        for name, given in sorted(asked.items()):
            tool = load(name, toolsets[name])
            call = Call(who, name, given, id=ids.new_call())
            async with db.begin(who, call.id) as conn:
                args = tool.parse({**given, "reason": "x"})
                async with attempt(
                    conn, call, tool, args, datetime.now(UTC), *stage_moves.asked(tool, call)
                ) as tried:
                    await tried.undo()
                    lines += lines_of(tool, who, tried.changes, stage_moves.read(tried.asked))
    finally:
        await db.close()
    now = "\n".join(line.rstrip() for line in lines) + "\n"
    if os.environ.get("CRM_VERDICTS") == "write":
        GOLDEN.write_text(now, encoding="utf-8")
    assert now == GOLDEN.read_text(encoding="utf-8"), "run `make verdicts` and look at the diff"
