"""Judge what a call actually did. Pure: the facts come in, RUN, HOLD or DENY goes out, with its reason.

`RULES` is DESIGN 5's table, the strictest rule first; what `crm://policy` and the command line tell of a policy is
said by the same rules.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from .changes import ChangeSet
from .policy_document import IN_FORCE, Mode, Policy, Progress, Switch, Table
from .principal import Principal
from .tool import Effect, Tool

__all__ = [
    "IN_FORCE",
    "RULES",
    "Decision",
    "Facts",
    "Policy",
    "StageMove",
    "Stakes",
    "Verdict",
    "approving_in_words",
    "decide",
    "in_words",
]


class Decision(StrEnum):
    RUN = "run"
    HOLD = "hold"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Verdict:
    decision: Decision
    reason: str


@dataclass(frozen=True, slots=True)
class StageMove:
    """What is known of one move into a stage, or one adding to a pipeline. `value` is gross, in base currency."""

    pipeline: str
    stage: str
    value: Decimal | None
    criteria_met: bool
    allows_automation: bool
    into_won: bool
    pipeline_allows: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What a judgement needs to know besides the call: the policy, what the requester did lately, where it moves to.

    `recent` is the sum of the requester's orders for the same customer in 24 hours, base currency, gross.
    """

    policy: Policy
    recent: Decimal = Decimal(0)
    moves: tuple[StageMove, ...] = ()


@dataclass(frozen=True, slots=True)
class Stakes:
    """What is at stake: the gross amount in base currency (None: no money), whose, whether it is unknown, and
    whether an e-mail goes out."""

    amount: Decimal | None
    subject: str | None
    no_rate: bool
    sends: bool = False


AGGREGATE = {
    "order_lines": "orders",
    "stock_movements": "orders",
    "stock_reservations": "orders",
    "quote_lines": "quotes",
    "invoice_lines": "invoices",
    "payment_allocations": "payments",
    "email_attachments": "emails",
    "blobs": "emails",
    "outbox": "emails",
    "stage_transitions": "pipeline_positions",
    "customer_parties": "customers",
    "jobs": "leads",
    "opportunities": "leads",
    "partnerships": "leads",
    "pipeline_stages": "pipelines",
    "personal_settings": "preferences",
}
"""Rows that belong to another record and do not count as one of their own."""
MOVES = frozenset({"pipeline_positions", "stage_transitions"})
BESIDE = frozenset({"data_provenance"})
"""Rows that say where a value came from: nothing is decided about them."""
UNDOES = "undo_change"
"""The tool that archives what was made by mistake: judged as what is undone."""
UNCOUNTED = frozenset({"stage_transitions", "activities"}) | BESIDE
"""What tells of a change to another record, and is none itself."""
MONEY = {
    "orders": ("base_total", "customer_id"),
    "quotes": ("base_total", "customer_id"),
    "invoices": ("base_total", "customer_id"),
    "credit_notes": ("base_total", "customer_id"),
    "payments": ("base_amount", "customer_id"),
}
"""Tables whose new rows move money: the column of the amount, and whose it is."""
NAMES = {
    "orders": "an order",
    "quotes": "a quote",
    "invoices": "an invoice",
    "credit_notes": "a credit note",
    "payments": "a payment",
    "customers": "a customer",
    "contacts": "a contact",
    "organizations": "an organization",
    "individuals": "an individual",
    "leads": "a lead",
    "deals": "a deal",
    "projects": "a project",
    "documents": "a document",
    "pipelines": "a pipeline",
    "articles": "an article",
    "custom_field_definitions": "a custom field",
    "issues": "an issue",
    "products": "a product",
    "notes": "a note",
    "org_settings": "the org's settings",
    "emails": "an e-mail",
    "policies": "the policy",
    "exports": "an export",
    "learnings": "a memory",
}


def stakes(changes: ChangeSet) -> Stakes:
    """Return the money in a ChangeSet: new amounts whole, changed amounts by their new value."""
    amount: Decimal | None = None
    subject, no_rate = None, False
    for row in changes.rows:
        if row["tbl"] not in MONEY or row["op"] == "D":
            continue
        column, whose = MONEY[row["tbl"]]
        after = row["after"]
        if column in after:
            if after[column] is None:
                no_rate = True
            else:
                amount = (amount or Decimal(0)) + Decimal(str(after[column]))
        if after.get(whose) is not None:
            subject = f"{row['tbl']}.{whose}:{after[whose]}"
    return Stakes(amount, subject, no_rate, "emails" in changes.tables())


@dataclass(frozen=True, slots=True)
class Case:
    """A call and what it did: what a rule looks at."""

    tool: Tool
    who: Principal
    confidence: float | None
    changes: ChangeSet
    facts: Facts
    stake: Stakes

    @property
    def policy(self) -> Policy:
        return self.facts.policy

    @property
    def switch(self) -> Switch:
        return Switch.NORMAL if self.who.agent is None else self.policy.agents[self.who.agent]

    @property
    def exposed(self) -> Decimal:
        """The amount at stake with that of the last 24 hours; nothing where the call moves no money."""
        return Decimal(0) if self.stake.amount is None else self.stake.amount + self.facts.recent

    @property
    def records(self) -> set[str]:
        """The tables of the records it changed, parts under what they belong to; where a move leads is judged apart."""
        return {AGGREGATE.get(table, table) for table in self.changes.tables()} - MOVES - BESIDE


def aggregates(changes: ChangeSet) -> int:
    """Count the records a call changed: an order with its lines is one; transitions and activities are none."""
    heads = {(row["tbl"], row["key"]["id"]) for row in changes.rows if row["tbl"] not in AGGREGATE}
    kinds = {table for table, _ in heads}
    alone = {AGGREGATE[table] for table in changes.tables() - UNCOUNTED if table in AGGREGATE} - kinds
    return sum(table not in UNCOUNTED for table, _ in heads) + len(alone)


def _agent_off(case: Case) -> Verdict | None:
    if case.switch is Switch.OFF:
        return Verdict(Decision.DENY, f"The {case.who.agent} agent is switched off; a person may do it.")
    return None


def _too_much_for_an_agent(case: Case) -> Verdict | None:
    most = case.policy.deny_agents_above
    if case.who.agent is not None and case.exposed > most:
        return Verdict(Decision.DENY, f"Above {most:,} {case.who.currency} an agent may not; a person may.")
    return None


def _nothing(case: Case) -> Verdict | None:
    return None if case.changes.rows else Verdict(Decision.RUN, "changes nothing")


def _learning(case: Case) -> Verdict | None:
    return _held("learning mode holds every write") if case.policy.learning_mode else None


def _agent_held(case: Case) -> Verdict | None:
    return _held(f"every write of the {case.who.agent} agent is held") if case.switch is Switch.HOLD else None


def _deletes(case: Case) -> Verdict | None:
    """Hold what goes, and what is archived: a record that was there, out of sight. Taking back one's own is neither."""
    if case.tool.effect is Effect.DELETE or any(table not in AGGREGATE for table in case.changes.tables("D")):
        return _held("deletes")
    archived = any(
        row["op"] == "U" and row["after"].get("archived_at") is not None
        for row in case.changes.rows
        if row["tbl"] not in MOVES | BESIDE and row["tbl"] not in AGGREGATE
    )
    return _held("archives") if archived and case.tool.name != UNDOES else None


def _unsure(case: Case) -> Verdict | None:
    least = case.policy.hold_below_confidence
    if case.confidence is not None and Decimal(str(case.confidence)) < least:
        return _held(f"the agent's own confidence is below {least}")
    return None


def _unknown_amount(case: Case) -> Verdict | None:
    if case.stake.no_rate:
        return _held(f"no exchange rate to {case.who.currency}, so the amount is unknown")
    return None


def _draft_tool(case: Case) -> Verdict | None:
    return _held("a person approves it before it exists") if case.tool.name.endswith("_draft") else None


def _consequential(case: Case) -> Verdict | None:
    held = case.records - case.policy.runs
    if not held:
        return None
    return _held(f"creates or changes {', '.join(sorted(NAMES.get(table, table) for table in held))}")


def _stage_move(case: Case) -> Verdict | None:
    if not any("stage_id" in row["after"] for row in case.changes.rows if row["tbl"] == "pipeline_positions"):
        return None
    if not case.facts.moves:
        return _held("what is known of the stage is missing")
    return next((held for move in case.facts.moves if (held := _into_stage(case, move)) is not None), None)


def _into_stage(case: Case, move: StageMove) -> Verdict | None:
    limits = case.policy.stage_moves
    if not move.pipeline_allows:
        return _held(f"the pipeline {move.pipeline} does not allow automation")
    if limits.pipelines.get(move.pipeline) is Progress.HOLD:
        return _held(f"every move in the pipeline {move.pipeline} is held")
    if not limits.stages.get(move.stage, move.allows_automation):
        return _held(f"the stage {move.stage} does not allow automation")
    if move.into_won:
        return _held(f"{move.stage} is a won stage")
    if not move.criteria_met:
        return _held(f"the criteria of {move.stage} are not met")
    if move.value is None:
        return _held("its value is unknown")
    if move.value > limits.max_value:
        return _held(f"its value is above {limits.max_value:,} {case.who.currency}")
    return None


def _several(case: Case) -> Verdict | None:
    many = aggregates(case.changes)
    return _held(f"changes {many} records, decided as one group") if many > 1 else None


def _held(reason: str) -> Verdict:
    return Verdict(Decision.HOLD, reason)


class Said(NamedTuple):
    """A rule in words: which writes, and what becomes of them under a policy; `verdict` off where it applies to none."""

    writes: str
    verdict: str


OFF = "no rule now"


def _listed(words: list[str]) -> str:
    return ", ".join(words) or "none"


def _agents(policy: Policy, switch: Switch) -> str:
    return _listed([agent.value for agent, now in policy.agents.items() if now is switch])


def _tables(policy: Policy, mode: Mode) -> str:
    return _listed([table.value for table in Table if policy.run_tables[table] is mode])


def _switched(policy: Policy) -> str:
    limits = policy.stage_moves
    held = [f"pipeline {name}" for name, now in limits.pipelines.items() if now is Progress.HOLD]
    held += [f"stage {name}" for name, allowed in limits.stages.items() if not allowed]
    free = [f"stage {name}" for name, allowed in limits.stages.items() if allowed]
    return (f" Held: {_listed(held)}." if held else "") + (f" Automated: {_listed(free)}." if free else "")


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table: how it judges, and how it says so under a policy and its currency."""

    judge: Callable[[Case], Verdict | None]
    says: Callable[[Policy, str], Said]


RULES: tuple[Rule, ...] = (
    Rule(_agent_off, lambda p, _: Said(f"any write of an agent switched off ({_agents(p, Switch.OFF)})", "DENY")),
    Rule(
        _too_much_for_an_agent,
        lambda p, c: Said(
            f"more than {p.deny_agents_above:,} {c} with what was asked for the customer in 24 hours",
            "DENY to agents; people may",
        ),
    ),
    Rule(_nothing, lambda _, __: Said("a call that changes nothing; withdrawing one's own draft", "RUN")),
    Rule(_learning, lambda p, _: Said("any write, in learning mode", "HOLD" if p.learning_mode else OFF)),
    Rule(_agent_held, lambda p, _: Said(f"any write of an agent on hold ({_agents(p, Switch.HOLD)})", "HOLD")),
    Rule(_deletes, lambda _, __: Said("any deletion, and any archiving but by an undo", "HOLD")),
    Rule(
        _unsure,
        lambda p, _: Said(
            f"stated confidence below {p.hold_below_confidence}", "HOLD; a stated confidence never loosens anything"
        ),
    ),
    Rule(_unknown_amount, lambda _, c: Said(f"an amount without an exchange rate to {c}", "HOLD")),
    Rule(_draft_tool, lambda _, __: Said("a tool named *_draft", "HOLD, always")),
    Rule(
        _consequential,
        lambda p, _: Said(
            f"orders, quotes, invoices, payments, e-mails, settings and all else but {_tables(p, Mode.RUN)}",
            f"HOLD; an org may set RUN for {_tables(p, Mode.HOLD)}",
        ),
    ),
    Rule(
        _stage_move,
        lambda p, c: Said(
            "a stage move or adding to a pipeline",
            "RUN if pipeline and stage allow automation, its criteria are met, the value is at most "
            f"{p.stage_moves.max_value:,} {c} and it is no won stage; else HOLD.{_switched(p)}",
        ),
    ),
    Rule(_several, lambda _, __: Said("more than one record (an order with its lines is one)", "HOLD as one group")),
    Rule(
        lambda _: Verdict(Decision.RUN, "reversible and of low risk"),
        lambda p, _: Said(f"one record of {_tables(p, Mode.RUN)}", "RUN"),
    ),
)


def decide(tool: Tool, who: Principal, confidence: float | None, changes: ChangeSet, facts: Facts) -> Verdict:
    """Judge the effects of a call by the first rule that has something to say (DESIGN 5)."""
    case = Case(tool, who, confidence, changes, facts, stakes(changes))
    return next(verdict for rule in RULES if (verdict := rule.judge(case)) is not None)


def in_words(policy: Policy, currency: str) -> list[Said]:
    """Return the policy as its rules say it, the strictest first."""
    return [Said("any read", "RUN"), *(rule.says(policy, currency) for rule in RULES)]


def approving_in_words(policy: Policy, currency: str) -> list[str]:
    """Return who may approve what is held; Postgres judges it (`crm.decide`, `crm.decide_policy`)."""
    said = [
        "Amounts count with what was approved for the same requester and customer in 24 hours.",
        f"Over an approver's own limit (standard {policy.approval_limit:,} {currency}): an approver with a higher one.",
        "Without an exchange rate, and for the policy itself: an administrator.",
        "E-mail: an approver who may send e-mail.",
    ]
    if policy.solo:
        return [*said, "Solo mode: one person approves alone what they drafted."]
    return [
        *said,
        "What a person drafted above their own limit, or without an exchange rate: another person.",
        "What loosens the policy: another administrator than who proposed it.",
    ]
