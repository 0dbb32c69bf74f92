"""Who may approve a held call: one rule for the page, which asks it for one person, and for the notices, which ask it
for everybody. Postgres judges again (crm.decide)."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from .principal import Role


class Approver(Protocol):
    """What the rule looks at in a person."""

    @property
    def user(self) -> int: ...
    @property
    def role(self) -> Role: ...
    @property
    def may_approve(self) -> bool: ...
    @property
    def approval_limit(self) -> Decimal: ...
    @property
    def may_send_email(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What the rule looks at in a held call; amounts gross, in the org's base currency.

    `spent`: approved for the same requester and customer in 24 hours. `solo`: the org has one person.
    """

    requester: int
    agent: str | None
    editors: Collection[int]
    amount: Decimal | None
    no_rate: bool
    sends: bool
    spent: Decimal
    solo: bool

    @property
    def exposed(self) -> Decimal:
        """What an approver answers for: the amount with what was approved before it."""
        return Decimal(0) if self.amount is None else self.amount + self.spent


def why_not(who: Approver, asked: Asked, currency: str) -> str | None:
    """Return why a person may not approve a held call, None where they may.

    Above their own limit, whoever drafted it needs another person: the limit itself says so, of a drafter as of
    anybody. Only an amount that no limit can be held against has to ask who drafted it.
    """
    if not who.may_approve:
        return "you may not approve"
    if asked.sends and not who.may_send_email:
        return "it sends an e-mail, and you may not send e-mail"
    if asked.no_rate and who.role is not Role.ADMIN:
        return "its amount is unknown for want of an exchange rate, so only an administrator may approve it"
    amount = asked.amount or Decimal(0)
    if asked.exposed > who.approval_limit:
        earlier = " with what was approved for this customer in 24 hours" if asked.exposed > amount else ""
        return f"{currency} {asked.exposed:,.2f}{earlier} is over your limit of {currency} {who.approval_limit:,.2f}"
    is_drafter = (asked.requester == who.user and asked.agent is None) or who.user in asked.editors
    if asked.no_rate and is_drafter and not asked.solo:
        return "its amount is unknown for want of an exchange rate, so another administrator must approve what you drafted"
    return None
