"""Judge what a call actually did. Pure: the facts come in, RUN, HOLD or DENY goes out, with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from .changes import ChangeSet
from .principal import Principal
from .tool import Effect, Tool

IN_FORCE = "select version, document from crm.policies where org_id = %s order by version desc limit 1"
"""The statement whose row, if there is one, `Policy.in_force` reads."""


class Decision(StrEnum):
    RUN = "run"
    HOLD = "hold"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Verdict:
    decision: Decision
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """An org's policy document. Amounts are gross, in the org's base currency."""

    version: int = 1
    learning_mode: bool = False
    hold_below_confidence: Decimal = Decimal("0.85")
    deny_agents_above: Decimal = Decimal(50_000)
    run_tables: frozenset[str] = frozenset({"notes", "tasks", "activities", "preferences"})

    @classmethod
    def of(cls, version: int, document: Mapping[str, Any]) -> "Policy":
        """Read a stored document; what it does not say is as by default."""
        default = cls()
        return cls(
            version,
            bool(document.get("learning_mode", default.learning_mode)),
            Decimal(str(document.get("hold_below_confidence", default.hold_below_confidence))),
            Decimal(str(document.get("deny_agents_above", default.deny_agents_above))),
            frozenset(document.get("run_tables", default.run_tables)),
        )

    @classmethod
    def in_force(cls, row: Sequence[Any] | None) -> "Policy":
        """Return an org's policy, by default where it has stored none."""
        return cls() if row is None else cls.of(row[0], row[1])

    def document(self) -> dict[str, Any]:
        return {
            "learning_mode": self.learning_mode,
            "hold_below_confidence": str(self.hold_below_confidence),
            "deny_agents_above": str(self.deny_agents_above),
            "run_tables": sorted(self.run_tables),
        }


@dataclass(frozen=True, slots=True)
class Facts:
    """What a judgement needs to know besides the call: the policy, and what the requester did lately.

    `recent` is the sum of the requester's orders for the same customer in 24 hours, base currency, gross.
    """

    policy: Policy
    recent: Decimal = Decimal(0)


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
}
"""Rows that belong to another record and do not count as one of their own."""
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
    "issues": "an issue",
    "products": "a product",
    "notes": "a note",
    "org_settings": "the org's settings",
    "emails": "an e-mail",
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


def decide(tool: Tool, who: Principal, confidence: float | None, changes: ChangeSet, facts: Facts) -> Verdict:
    """Judge the effects of a call, the strictest rule first (DESIGN 5)."""
    policy, stake = facts.policy, stakes(changes)
    exposed = (stake.amount or Decimal(0)) + (facts.recent if stake.amount is not None else Decimal(0))
    if who.agent is not None and exposed > policy.deny_agents_above:
        return Verdict(
            Decision.DENY, f"Above {policy.deny_agents_above:,} {who.currency} an agent may not; a person may."
        )
    if not changes.rows:
        return Verdict(Decision.RUN, "changes nothing")
    if policy.learning_mode:
        return Verdict(Decision.HOLD, "learning mode holds every write")
    if any(table not in AGGREGATE for table in changes.tables("D")) or tool.effect is Effect.DELETE:
        return Verdict(Decision.HOLD, "deletes")
    if confidence is not None and Decimal(str(confidence)) < policy.hold_below_confidence:
        return Verdict(Decision.HOLD, f"the agent's own confidence is below {policy.hold_below_confidence}")
    if stake.no_rate:
        return Verdict(Decision.HOLD, f"no exchange rate to {who.currency}, so the amount is unknown")
    if tool.name.endswith("_draft"):
        return Verdict(Decision.HOLD, "a person approves it before it exists")
    consequential = {AGGREGATE.get(table, table) for table in changes.tables()} - policy.run_tables
    if consequential:
        named = ", ".join(sorted(NAMES.get(table, table) for table in consequential))
        return Verdict(Decision.HOLD, f"creates or changes {named}")
    if len(changes.rows) > 1:
        return Verdict(Decision.HOLD, "changes more than one record")
    return Verdict(Decision.RUN, "reversible and of low risk")
