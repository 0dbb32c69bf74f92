"""How budgets of models stand, in words: shared by whoever spends, whoever asks who they are, and the command line."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from .money import said

WHOSE = {"request": "of one request to a model", "user": "of yours", "org": "of your org"}
STANDING = """jsonb_build_object('scope', s.scope, 'warnAt', s.warn_at::text, 'tokensLimit', s.tokens_limit,
 'tokensSpent', s.tokens_spent, 'tokensHeld', s.tokens_held, 'moneyLimit', s.money_limit::text, 'moneySpent', s.money_spent::text,
 'moneyHeld', s.money_held::text, 'resetsAt', s.resets_at)"""
"""The SQL expression of a row `s` of crm.budget_standing."""
NEAR = "(s.tokens_spent >= s.warn_at * s.tokens_limit or s.money_spent >= s.warn_at * s.money_limit)"
"""Whether such a row is to be warned of."""


def warnings_of(row: Mapping[str, Any], currency: str) -> list[str]:
    """Return a sentence for each limit of a day that is spent up to its warning share; `row` is of `STANDING`."""
    share, scope, until = Decimal(row["warnAt"]), row["scope"], _until(row["resetsAt"])
    said_of: list[str] = []
    tokens, spent = row["tokensLimit"], row["tokensSpent"]
    if spent >= share * tokens:
        left = f"{max(0, tokens - spent):,}"
        said_of.append(_warning(scope, "tokens", percent(spent, tokens), left, until))
    if row["moneyLimit"] is not None:
        limit, cost = Decimal(row["moneyLimit"]), Decimal(row["moneySpent"])
        if cost >= share * limit:
            left = said(max(Decimal(0), limit - cost), currency)
            said_of.append(_warning(scope, "money for models", percent(cost, limit), left, until))
    return said_of


def _warning(scope: str, unit: str, share: int, left: str, until: str) -> str:
    verb = "are" if unit == "tokens" else "is"
    return f"{share} % of today's {unit} {WHOSE[scope]} {verb} spent: {left} left{until}."


def percent(spent: int | str | Decimal, limit: int | str | Decimal) -> int:
    """Return how much of a limit is spent, in whole per cent; of none at all, everything."""
    return int(100 * Decimal(spent) / Decimal(limit)) if Decimal(limit) else 100


def _until(resets: str | None) -> str:
    return "" if resets is None else f" until {moment(resets)}"


def moment(at: str) -> str:
    """Return an instant of the database's JSON as a sentence says it."""
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M} UTC"
