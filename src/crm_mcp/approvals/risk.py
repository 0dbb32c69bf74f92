"""How risky a waiting draft is: one rule, which orders the queue, filters it and stands explained on the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..principal import Principal, Role
from ..suspicious import finding
from .chip import Chip, Tone
from .letter import TOOL as EMAIL
from .text import has_hidden

LARGE = Decimal(10_000)
"""In the org's base currency: the value above which no stage moves by itself either (DESIGN 5)."""
SOON = 2 * 3600
"""Seconds before its expiry from which a draft is in a hurry."""


@dataclass(frozen=True, slots=True)
class Risk:
    """One way in which a draft is risky; `rule` says exactly when, as the page explains it."""

    key: str
    name: str
    rule: str
    tone: Tone


RISKS: Sequence[Risk] = (
    Risk(
        "over",
        "over your limit",
        "its amount, with what was approved in 24 hours for the same requester and customer, is more than you may approve",
        "warn",
    ),
    Risk("deletes", "deletes", "a record would be deleted", "danger"),
    Risk("policy", "changes the policy", "it changes what agents may do without a person", "warn"),
    Risk("unknown", "amount unknown", "there is no exchange rate for its currency", "warn"),
    Risk("large", "large amount", "its amount is {large} or more", "warn"),
    Risk("unsure", "agent unsure", "the agent's own confidence is below {sure} %", "warn"),
    Risk("hidden", "hidden characters", "its texts hold characters that do not show", "danger"),
    Risk(
        "suspicious", "suspicious text", "its summary or reason looks as if it was written to move a model", "danger"
    ),
    Risk("soon", "expires soon", "it expires within two hours", "warn"),
)
"""The riskiest first. A draft stands where its first risk does; then by the number of risks, the amount, the expiry."""
NAMES = {risk.key: risk for risk in RISKS}
Key = tuple[int, int, Decimal, int, int]


def rules(who: Principal, sure: Decimal) -> list[tuple[str, str]]:
    """Return each risk with its rule in words, the riskiest first; `sure` is the confidence that the policy wants."""
    figures = {"large": f"{who.currency} {LARGE:,.0f}", "sure": f"{sure * 100:f}".rstrip("0").rstrip(".")}
    return [(risk.name, risk.rule.format(**figures)) for risk in RISKS]


def risks_of(row: Mapping[str, Any], who: Principal, now: datetime) -> list[Risk]:
    """Return the risks of a waiting draft, the riskiest first, as stored: its own page runs it anew.

    `sure` in the row is the confidence that the org's policy wants, `spent` what was approved in a day.
    """
    if row["state"] != "pending":
        return []
    amount, confidence = row["amount"], row.get("confidence")
    holds = {
        "over": amount is not None and who.may_approve and amount + row.get("spent", 0) > who.approval_limit,
        "deletes": row["verdict"] == "deletes",
        "policy": "the policy" in str(row["verdict"]),
        "unknown": has_no_rate(row),
        "large": amount is not None and amount >= LARGE,
        "unsure": confidence is not None and Decimal(str(confidence)) < row["sure"],
        "hidden": has_hidden([row["summary"], row.get("reason")]),
        "suspicious": bool(finding.orders([row["summary"], row.get("reason")])),
        "soon": (row["expires_at"] - now).total_seconds() < SOON,
    }
    return [risk for risk in RISKS if holds[risk.key]]


def has_no_rate(row: Mapping[str, Any]) -> bool:
    return row["amount"] is None and "exchange rate" in str(row["verdict"])


def may_approve(row: Mapping[str, Any], risks: Sequence[Risk], who: Principal) -> bool:
    """Say whether a person may approve a draft, as far as is known without running it: the executor judges anew."""
    return (
        who.may_approve
        and not any(risk.key == "over" for risk in risks)
        and (row["tool"] != EMAIL or who.may_send_email)
        and (not has_no_rate(row) or who.role is Role.ADMIN)
    )


def key_of(row: Mapping[str, Any], risks: Sequence[Risk]) -> Key:
    """Return where a draft stands in the queue: the smaller, the nearer to the top."""
    first = RISKS.index(risks[0]) if risks else len(RISKS)
    amount = Decimal(0) if row["amount"] is None else -row["amount"]
    expires = int(row["expires_at"].timestamp() * 1_000_000)
    return first, -len(risks), amount, expires, int(row["id"])


def chips(risks: Sequence[Risk], row: Mapping[str, Any]) -> list[Chip]:
    """Return risks as a list shows them: what is over the limit need not be called large besides."""
    is_over = any(risk.key == "over" for risk in risks)
    return [Chip(_said(risk, row), risk.tone) for risk in risks if not (is_over and risk.key == "large")]


def _said(risk: Risk, row: Mapping[str, Any]) -> str:
    if risk.key != "unsure":
        return risk.name
    return f"agent {Decimal(str(row['confidence'])) * 100:.0f} % sure"
