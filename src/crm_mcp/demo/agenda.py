"""What the people of the demo orgs have to do, and did."""

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from .staff import Member

Row = dict[str, Any]
_FOR = {
    "admin": ("Approve the budget of the showroom", "Review the terms of {customer}", "Sign the lease addendum"),
    "sales": (
        "Call {customer} about the refit",
        "Send samples to {customer}",
        "Follow up the quote for {customer}",
        "Prepare the visit at {customer}",
    ),
    "operations": (
        "Book a carrier for {customer}",
        "Count the chairs in hall 2",
        "Ask {customer} for a delivery slot",
    ),
    "finance": (
        "Remind {customer} of the open invoice",
        "Reconcile the bank account",
        "Check the VAT id of {customer}",
    ),
    "support": ("Call {customer} back", "Order a spare part for {customer}", "Write the assembly guide anew"),
}
_OUTCOMES = ("Done as agreed.", "They will come back to us next week.", "Left a message and got an answer.", None)


def tasks(
    chance: Random, today: date, members: tuple[Member, ...], names: list[str], count: int
) -> list[tuple[int | None, str, Row]]:
    """Return tasks with the place of their customer, if one is meant, and the e-mail of whoever is to do them.

    Half are done; of the open ones a third are overdue.
    """
    made: list[tuple[int | None, str, Row]] = []
    for number in range(count):
        member = members[number % len(members)]
        wording = chance.choice(_FOR[member.role])
        at = chance.randrange(len(names)) if "{customer}" in wording else None
        kind = number // len(members) % 6
        ahead = -chance.randrange(1, 21) if kind == 0 else chance.randrange(0, 25)
        due = today - timedelta(days=chance.randrange(5, 90)) if kind > 2 else today + timedelta(days=ahead)
        done = kind > 2 and chance.random() < 0.95
        row: Row = {
            "title": wording.format(customer=names[at] if at is not None else ""),
            "status": "done" if done else "cancelled" if kind > 2 else "open",
            "priority": chance.choice(("low", "normal", "normal", "normal", "high", "urgent")),
            "due_on": due,
            "completed_at": _moment(chance, due - timedelta(days=chance.randrange(-3, 4))) if done else None,
            "outcome": chance.choice(_OUTCOMES) if done else None,
        }
        made.append((at, member.email, row))
    return made


def _moment(chance: Random, day: date) -> datetime:
    return datetime.combine(day, time(chance.randrange(7, 16), chance.randrange(60), tzinfo=UTC))
