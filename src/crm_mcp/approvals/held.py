"""A held call as it is kept: read, described, and compared with what it would do now."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from ..changes import ChangeSet, digest
from ..crm.models import references
from ..policy_document import SURE

_FIGURE = re.compile(r"\d[\d.,]*")
_SHOW = f"""select d.*, {SURE.format(org="d.org_id")} as sure, u.name as requester_name, u.email as requester_email, a.name as approver_name,
   d.expires_at <= clock_timestamp() as overdue
 from crm.drafts d join crm.users u on u.id = d.requester left join crm.users a on a.id = d.approver
 where d.org_id = %s and d.id = %s"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A draft as an approver sees it. `hash` binds what was shown to what may be committed.

    `shown` and `changes` are the approver's own dry run; `was` is what the requester's run showed, where it
    differs. Of a draft that was decided, nothing is run again: `shown` is the run that found it stale, if that
    came to an end. `stale` says why it is or was not as drafted, `may_not` why this person may not approve,
    `passkey` why they have to sign it where they may.
    """

    draft: dict[str, Any]
    shown: dict[str, Any] | None
    changes: list[dict[str, Any]]
    was: dict[str, Any] | None
    stale: str | None
    verdict: str
    hash: str | None
    may_not: str | None
    warnings: Sequence[str] = ()
    passkey: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a decision ended: the draft's state, who decided, the result where it was carried out.

    `won` is false where somebody else had decided before.
    """

    state: str
    reason: str | None
    result: dict[str, Any] | None
    won: bool


async def read(conn: AsyncConnection, org: int, draft: int) -> Row[Any] | None:
    return (await conn.exec_driver_sql(_SHOW, (org, draft))).one_or_none()


def described(held: Row[Any]) -> dict[str, Any]:
    """Return what a page may show of a draft: not its stored effects, which only the dry run may say."""
    return {"state": state_of(held)} | {
        k: v
        for k, v in held._mapping.items()  # pyright: ignore[reportPrivateUsage] SQLAlchemy documents the name
        if k != "state" and k not in ("changes", "shown", "rerun", "executed_xact")
    }


def impossible(held: Row[Any], why: str) -> Shown:
    return Shown(described(held), None, [], json.loads(held.shown), why, held.verdict, None, None)


def past(held: Row[Any]) -> Shown:
    """Return a decided draft as it was drafted; one that fell stale beside the run that found it so."""
    stale = held.decision_reason if held.state == "stale" else None
    rerun = None if held.rerun is None else json.loads(held.rerun)
    no = f"this draft is {state_of(held)}"
    return Shown(described(held), rerun, [], json.loads(held.shown), stale, held.verdict, None, no)


def is_decided(held: Row[Any]) -> bool:
    return held.state != "pending" or held.overdue


def state_of(held: Row[Any]) -> str:
    return "expired" if held.state == "pending" and held.overdue else held.state


def decided(held: Row[Any]) -> Outcome:
    return Outcome(state_of(held), held.decision_reason, json.loads(held.result) if held.result else None, False)


def does_the_same(held: Row[Any], changes: ChangeSet, shown: dict[str, Any]) -> bool:
    return (
        ChangeSet.of(held.changes, references(), held.clock).normal() == changes.normal()
        and json.loads(held.shown) == shown
    )


def hash_of(
    held: Row[Any], changes: ChangeSet, shown: dict[str, Any], warnings: Sequence[str] = (), *, policy: int
) -> str:
    """Bind what is shown, and what it warns of: an approver who was not warned has not approved.

    `policy` is the edition it was judged by now: when that moves on, the approver looks again. Figures in warnings are not bound: how much stock is left moves with every order, and that it is short does not.
    """
    return digest(
        {
            "draft": held.id,
            "draftVersion": held.version,
            "org": held.org_id,
            "tool": held.tool,
            "version": held.tool_version,
            "arguments": held.args,
            "changes": changes.normal(),
            "shown": shown,
            "warnings": [_FIGURE.sub("#", warning) for warning in warnings],
            "policy": policy,
            "requester": held.requester,
            "expiry": held.expires_at.isoformat(),
        }
    )
