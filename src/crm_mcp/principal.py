"""Who is asking: a person in an org, and the agent that acts for them, if one does."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Role(StrEnum):
    ADMIN = "admin"
    SALES = "sales"
    OPERATIONS = "operations"
    FINANCE = "finance"
    SUPPORT = "support"


class Agent(StrEnum):
    TRIAGE = "triage"
    CUSTOMER = "customer"
    ORDER = "order"
    ANALYTICS = "analytics"
    SUPPORT = "support"
    SETTINGS = "settings"
    SALES = "sales"
    RESEARCH = "research"


class Proof(NamedTuple):
    """The statement by which a database connection learns who is asking; it returns a `crm.signed_in`.

    `key` is the SHA-256 of the API key it rests on, if it does: what it proved ends with the key.
    """

    statement: str
    arguments: tuple[object, ...]
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """A signed-in person, with the agent acting for them; what both may do is what the call may do.

    `approval_limit` is gross, in the org's base currency. `stamp` changes whenever the membership does.
    """

    org: int
    org_slug: str
    org_name: str
    currency: str
    timezone: str
    user: int
    name: str
    email: str
    role: Role
    may_approve: bool
    approval_limit: Decimal
    may_send_email: bool
    stamp: int
    agent: Agent | None = None
    proof: Proof | None = field(default=None, repr=False, compare=False)

    def day(self, at: datetime) -> date:
        """Return the day of an instant in the org's zone."""
        return at.astimezone(ZoneInfo(self.timezone)).date()
