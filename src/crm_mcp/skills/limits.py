"""A skill's limits: never figures in a file, always what the policy in force and the principal's rights are."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from ..jsonvalue import is_array, is_object
from ..policy_document import Policy, Switch
from ..principal import Agent, Principal


class Constraint(StrEnum):
    """The limits that a skill may name; the first two are S0's."""

    MAX_ORDER_VALUE = "max_order_value"
    REQUIRES_APPROVAL_ABOVE = "requires_approval_above"
    HOLD_BELOW_CONFIDENCE = "hold_below_confidence"
    AGENT_WRITES = "agent_writes"
    MAX_STAGE_MOVE_VALUE = "max_stage_move_value"
    RUNS_AT_ONCE = "runs_at_once"
    SENDS_EMAIL = "sends_email"
    READS_ONLY = "reads_only"


class Limit(NamedTuple):
    """A limit as it is now: its value (money with its currency), and what it means in a sentence."""

    value: Any
    says: str

    def text(self) -> str:
        """Return the value as a person reads it."""
        if is_object(self.value):
            return f"{self.value['currency']} {self.value['amount']}"
        if is_array(self.value):
            return ", ".join(self.value) or "nothing"
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        return str(self.value)


def limits(names: tuple[Constraint, ...], agent: Agent, policy: Policy, who: Principal) -> dict[str, Limit]:
    """Return the named limits as they are for a principal whose work an agent does."""
    return {name.value: _LIMITS[name](policy, who, agent) for name in names}


def _money(amount: Decimal, who: Principal) -> dict[str, str]:
    return {"amount": f"{amount:f}", "currency": who.currency}


def _max_order_value(policy: Policy, who: Principal, agent: Agent) -> Limit:
    says = "Gross, with the last 24 hours for the same customer. Above it agents are denied; a person may draft it."
    return Limit(_money(policy.deny_agents_above, who), says)


def _requires_approval_above(policy: Policy, who: Principal, agent: Agent) -> Limit:
    says = (
        "Every order waits for a person, whatever it is worth; above this, for an approver whose own limit is higher."
    )
    return Limit(_money(policy.approval_limit, who), says)


def _hold_below_confidence(policy: Policy, who: Principal, agent: Agent) -> Limit:
    return Limit(
        f"{policy.hold_below_confidence:f}",
        "A write with a lower stated confidence waits for a person; a higher one loosens nothing.",
    )


def _agent_writes(policy: Policy, who: Principal, agent: Agent) -> Limit:
    if policy.learning_mode:
        return Limit("hold", "Learning mode: every write waits for a person.")
    switch = policy.agents[agent]
    says = {
        Switch.NORMAL: "Writes of this agent are judged as anybody's.",
        Switch.HOLD: "Every write of this agent waits for a person.",
        Switch.OFF: "This agent's writes are denied.",
    }
    return Limit(switch.value, says[switch])


def _max_stage_move_value(policy: Policy, who: Principal, agent: Agent) -> Limit:
    says = "A move of more, into a won stage, or against a stage's criteria or switch waits for a person."
    return Limit(_money(policy.stage_moves.max_value, who), says)


def _runs_at_once(policy: Policy, who: Principal, agent: Agent) -> Limit:
    if policy.learning_mode or policy.agents[agent] is not Switch.NORMAL:
        return Limit([], "Nothing that is written runs at once now.")
    return Limit(
        sorted(policy.runs), "Creating or editing one such record runs at once; other writes wait for a person."
    )


def _sends_email(policy: Policy, who: Principal, agent: Agent) -> Limit:
    says = (
        "Every e-mail waits for a person who may send e-mail; the value says whether that may be whoever you act for."
    )
    return Limit(who.may_send_email and who.may_approve, says)


def _reads_only(policy: Policy, who: Principal, agent: Agent) -> Limit:
    return Limit(True, "This skill changes no record.")


_LIMITS: Mapping[Constraint, Callable[[Policy, Principal, Agent], Limit]] = {
    Constraint.MAX_ORDER_VALUE: _max_order_value,
    Constraint.REQUIRES_APPROVAL_ABOVE: _requires_approval_above,
    Constraint.HOLD_BELOW_CONFIDENCE: _hold_below_confidence,
    Constraint.AGENT_WRITES: _agent_writes,
    Constraint.MAX_STAGE_MOVE_VALUE: _max_stage_move_value,
    Constraint.RUNS_AT_ONCE: _runs_at_once,
    Constraint.SENDS_EMAIL: _sends_email,
    Constraint.READS_ONLY: _reads_only,
}
