"""What a notice says: the action's name, amount, risk, who asked, when it expires, and where to decide.

No word of a customer, of an agent or of the call itself: a notice leaves the house, through whoever carries mail.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from html import escape
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from .. import ids
from ..catalog import SNAPSHOT
from ..invisible import is_invisible

LISTED = 20
"""Drafts that one message names; of more it says how many."""
_LONGEST = 80
_OUTCOMES = {"stale": "out of date: draft it again", "failed": "given up: it crashed", "expired": "expired"}


@dataclass(frozen=True, slots=True)
class Subject:
    """One draft as a notice tells of it; `sure` is the confidence that the policy wants, `state` and `decider` once it is decided."""

    draft: int
    tool: str
    amount: Decimal | None
    no_rate: bool
    sends: bool
    deletes: bool
    confidence: Decimal | None
    sure: Decimal
    expires_at: datetime
    state: str = "pending"
    decider: str | None = None

    @property
    def risks(self) -> list[str]:
        said: list[str] = []
        if self.deletes:
            said.append("deletes")
        if self.sends:
            said.append("sends an e-mail")
        if self.no_rate:
            said.append("amount unknown")
        if self.confidence is not None and self.confidence < self.sure:
            said.append(f"the agent is {self.confidence * 100:.0f} % sure")
        return said


class Said(Protocol):
    """What a message is, whatever it tells of."""

    @property
    def org_name(self) -> str: ...

    @property
    def identity(self) -> str:
        """The name under which a receiver knows the message again."""
        ...

    @property
    def url(self) -> str: ...

    def headline(self) -> str:
        """One line: of an e-mail's subject, of a notification's title."""
        ...

    def line(self) -> str:
        """A few words for a notification beside its title."""
        ...

    def body(self) -> str:
        """The text of an e-mail."""
        ...


@dataclass(frozen=True, slots=True)
class Telling:
    """What one message tells: of which drafts of one requester, on which occasion, in which org."""

    message: int
    occasion: str
    to_admins: bool
    requester: str
    agent: str | None
    org: int
    org_slug: str
    org_name: str
    currency: str
    timezone: str
    page: str
    drafts: Sequence[Subject]

    @property
    def identity(self) -> str:
        """The name under which a receiver knows the message again."""
        return f"notice_{self.org}_{self.message}"

    @property
    def url(self) -> str:
        return self._link(self.drafts[0]) if len(self.drafts) == 1 else self.page

    @property
    def who(self) -> str:
        """The person who asked, and the agent that acts for them."""
        return plain(self.requester) + (f" (by way of the {self.agent} agent)" if self.agent else "")

    def headline(self) -> str:
        """One line: of an e-mail's subject, of a notification's title."""
        first = self.drafts[0]
        if self.occasion == "decided":
            return (
                f"{_title(first)}: {_outcome(first)}"
                if len(self.drafts) == 1
                else f"{len(self.drafts)} drafts decided"
            )
        if len(self.drafts) == 1:
            said = ", ".join(part for part in (_title(first), self._amount(first)) if part)
        else:
            said = f"{len(self.drafts)} drafts by {plain(self.requester)}"
        match self.occasion:
            case "reminder":
                return f"Reminder: {said} {'expires' if len(self.drafts) == 1 else 'expire'} soon"
            case "revised":
                return f"Edited, waits for approval: {said}"
            case _:
                return f"Waits for approval: {said}"

    def lead(self) -> str:
        """One sentence: who asks whom for what."""
        if self.occasion == "decided":
            return f"What you asked for at {plain(self.org_name)} is decided."
        asks = f"{self.who} asks for approval at {plain(self.org_name)}."
        if self.occasion == "revised":
            asks = f"What {self.who} asked for at {plain(self.org_name)} was edited; it waits for approval."
        none = " Nobody else there may approve this, so you are told as an administrator: see who may approve, and up to what amount."
        return asks + (none if self.to_admins else "")

    def body(self) -> str:
        """The text of an e-mail."""
        parts = [self.lead(), *(self._paragraph(draft) for draft in self.drafts[:LISTED])]
        if (more := len(self.drafts) - LISTED) > 0:
            parts.append(f"and {more} more")
        if len(self.drafts) > 1:
            parts.append(f"All of them: {self.page}")
        if self.occasion != "decided":
            parts.append(
                "Nothing has changed yet. What it would do stands on the page; no link here signs anybody in."
            )
        return "\n\n".join(parts) + "\n"

    def line(self) -> str:
        """A few words for a notification beside its title."""
        if self.occasion == "decided":
            return self.lead()
        first = min(draft.expires_at for draft in self.drafts)
        kinds = Counter(_title(draft) for draft in self.drafts)
        counted = ", ".join(f"{n} × {kind}" if n > 1 else kind for kind, n in kinds.most_common(3))
        risks = list(dict.fromkeys(risk for draft in self.drafts for risk in draft.risks))
        said = [f"{counted}. Asked by {self.who}."]
        if len(self.drafts) > 1 and (total := self._total()):
            said.append(f"Together {total}.")
        if risks:
            said.append(f"Risk: {', '.join(risks)}.")
        if self.to_admins:
            said.append("Nobody else may approve it.")
        said.append(f"Expires {self._time(first)}.")
        return " ".join(said)

    def payload(self, people: Sequence[str]) -> dict[str, Any]:
        """What is posted to a webhook: `text` as Slack and its like read it, and the same as fields.

        `people`: the names of those who are asked.
        """
        text = f"*{escape(self.headline(), quote=False)}*\n{escape(self.line(), quote=False)}\n{self.url}"
        return {
            "text": text,
            "id": self.identity,
            "type": f"draft.{self.occasion}",
            "org": self.org_slug,
            "requestedBy": plain(self.requester),
            "viaAgent": self.agent,
            "approvers": [plain(name) for name in people],
            "toAdministrators": self.to_admins,
            "count": len(self.drafts),
            "url": self.url,
            "drafts": [self._fields(draft) for draft in self.drafts[:LISTED]],
        }

    def _fields(self, draft: Subject) -> Mapping[str, Any]:
        money = None if draft.amount is None else {"amount": f"{draft.amount:.2f}", "currency": self.currency}
        return {
            "id": ids.show("drafts", draft.draft),
            "action": draft.tool,
            "title": _title(draft),
            "amount": money,
            "risk": draft.risks,
            "expiresAt": draft.expires_at.isoformat(),
            "url": self._link(draft),
        }

    def _paragraph(self, draft: Subject) -> str:
        lines = [_title(draft)]
        if amount := self._amount(draft):
            lines.append(f"Amount: {amount}")
        if self.occasion == "decided":
            lines.append(f"Now: {_outcome(draft)}")
        else:
            if draft.risks:
                lines.append(f"Risk: {', '.join(draft.risks)}")
            lines.append(f"Expires: {self._time(draft.expires_at)}")
        return "\n".join([*lines, self._link(draft)])

    def _amount(self, draft: Subject) -> str:
        return "" if draft.amount is None else f"{self.currency} {draft.amount:,.2f}"

    def _total(self) -> str:
        known = [draft.amount for draft in self.drafts if draft.amount is not None]
        return f"{self.currency} {sum(known, Decimal(0)):,.2f}" if known else ""

    def _time(self, at: datetime) -> str:
        return f"{at.astimezone(ZoneInfo(self.timezone)):%d %b %Y, %H:%M} ({self.timezone})"

    def _link(self, draft: Subject) -> str:
        return f"{self.page}/drafts/{ids.show('drafts', draft.draft)}"


def plain(name: str | None) -> str:
    """Return a name on one line, without characters that nobody sees, and not too long."""
    shown = " ".join("".join(" " if is_invisible(char) else char for char in name or "").split())
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


@cache
def _titles() -> Mapping[str, str]:
    rows: list[dict[str, Any]] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    return {row["wire"]["name"]: row["wire"]["title"] for row in rows}


def _title(draft: Subject) -> str:
    return _titles().get(draft.tool, "Draft")


def _outcome(draft: Subject) -> str:
    by = f" by {plain(draft.decider)}" if draft.decider else ""
    return _OUTCOMES.get(draft.state, draft.state) + by
