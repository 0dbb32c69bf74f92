"""A run in somebody's hands: whoever has its lease goes on with it, and finds out when somebody else does."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from ..db import Database
from ..errors import Refusal
from ..principal import Agent, Proof
from .redacting import Message, kept, storable, without_personal_data

ATTEMPTS = 5
"""How often a run is taken up after it was interrupted."""
End = Literal["finished", "failed", "cancelled"]


class LeaseLost(Refusal):
    """Somebody else goes on with this run: whoever held it before stops at once, and writes nothing more."""

    def __init__(self) -> None:
        super().__init__("RUN_TAKEN_OVER", "Somebody else goes on with this run.")


class Taken(NamedTuple):
    """What came of taking a run: `hold` to go on with it, `later` when it may be tried again, else it is over."""

    hold: "Hold | None" = None
    later: datetime | None = None
    state: str = "running"
    attempt: int = 0


class Spent(NamedTuple):
    """What a step cost: tokens read and written, and money in the currency of agents.yaml."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Hold:
    """A run that this process goes on with. `db` connects as crm_agent or crm_worker; `lease` is the secret."""

    db: Database
    org: int
    run: int
    lease: bytes

    def over(self, db: Database) -> "Hold":
        """Return the same hold, written through another login."""
        return Hold(db, self.org, self.run, self.lease)

    def proof(self, agent: Agent) -> Proof:
        """Return what signs in the person whom the run is for, as one of our agents; by crm_agent, while the run is held."""
        return Proof("select * from crm.sign_in_run(%s, %s, %s, %s)", (self.org, self.run, self.lease, agent.value))

    async def so_far(self) -> dict[str, Any]:
        """Return the request, the messages of the run so far, and the conversation before it.

        Raises:
            LeaseLost: somebody else holds it.
        """
        return await self._asked("select crm.run_so_far(%s, %s)")

    async def beat(self) -> bool:
        """Say that this process lives; return whether the run is to end.

        Raises:
            LeaseLost: somebody else holds it.
        """
        return await self._asked("select crm.step_run(%s, %s, '{}')")

    async def tell(self, message: str, done: int | None = None, total: int | None = None) -> bool:
        """Say how far the run is; return whether it is to end.

        Raises:
            LeaseLost: somebody else holds it.
        """
        said = {"message": message, "done": done, "total": total}
        return await self._step({name: value for name, value in said.items() if value is not None})

    async def step(
        self,
        agent: Agent,
        messages: Sequence[Message],
        *,
        spent: Spent | None = None,
        done: int | None = None,
        message: str | None = None,
        drafts: Sequence[str] | None = None,
        carry: Mapping[str, Any] | None = None,
    ) -> bool:
        """Add messages that are new, in the JSON form of pydantic-ai; return whether the run is to end.

        Personal data is taken out before they are kept; as they were they stand beside it until the run has ended.

        Raises:
            LeaseLost: somebody else holds it.
        """
        items = [{"agent": agent.value, **kept(one)._asdict()} for one in messages]
        said = {"items": items, "done": done, "message": message, "drafts": drafts, "carry": carry}
        step = {name: value for name, value in said.items() if value is not None}
        return await self._step({**step, **_cost(spent), "agent": agent.value})

    async def spend(self, spent: Spent) -> None:
        """Count what was spent besides the steps.

        Raises:
            LeaseLost: somebody else holds it.
        """
        if spent != Spent():
            await self._step(_cost(spent))

    async def end(
        self,
        state: End,
        message: str,
        *,
        result: str | None = None,
        error: str | None = None,
        drafts: Sequence[str] = (),
        spent: Spent | None = None,
    ) -> None:
        """End the run; what was kept to go on with goes.

        Raises:
            LeaseLost: somebody else holds it.
        """
        told = None if result is None else without_personal_data(result)
        said = {"state": state, "message": message, "result": told, "error": error, "drafts": list(drafts)}
        await self._ended({**said, **_cost(spent)})

    async def put_off(self, at: datetime, message: str, error: str) -> None:
        """Let the run wait: it is to be tried again at `at`.

        Raises:
            LeaseLost: somebody else holds it.
        """
        await self._ended({"state": "waiting", "at": at.isoformat(), "message": message, "error": error})

    async def keep_summary(self, text: str, by: Literal["model", "digest"], upto: int) -> None:
        """Keep the conversation's older part in short, up to the run `upto`; personal data is taken out.

        Raises:
            LeaseLost: somebody else holds it.
        """
        if not await self._asked(
            "select crm.keep_summary(%s, %s, %s, %s, %s)", without_personal_data(text), by, upto
        ):
            raise LeaseLost

    async def _step(self, step: Mapping[str, Any]) -> bool:
        step = {**step, **({"message": without_personal_data(step["message"])} if "message" in step else {})}
        return await self._asked("select crm.step_run(%s, %s, %s::jsonb)", _json(step))

    async def _ended(self, outcome: Mapping[str, Any]) -> None:
        said = {name: value for name, value in outcome.items() if value is not None}
        said["message"] = without_personal_data(said["message"])
        if not await self._asked("select crm.end_run(%s, %s, %s::jsonb)", _json(said)):
            raise LeaseLost

    async def _asked(self, sql: str, *more: object) -> Any:
        row = await self.db.definer(self.org, sql, (self.run, self.lease, *more))
        if row is None or row[0] is None:
            raise LeaseLost
        return row[0]


async def take(worker: Database, org: int, run: int, patience: timedelta, most: int = ATTEMPTS) -> Taken:
    """Take a run that is due, or whose holder was silent for `patience`; `worker` connects as crm_worker."""
    lease = secrets.token_bytes(32)
    row = await worker.definer(org, "select crm.take_run(%s, %s, %s, %s)", (run, lease, patience, most))
    assert row is not None
    said = row[0]
    if "taken" in said:
        return Taken(Hold(worker, org, run, lease), attempt=said["taken"])
    if "later" in said:
        return Taken(later=datetime.fromisoformat(said["later"]))
    return Taken(state=said["over"])


def _cost(spent: Spent | None) -> dict[str, Any]:
    if spent is None:
        return {}
    return {"tokens_in": spent.tokens_in, "tokens_out": spent.tokens_out, "cost": str(spent.cost)}


def _json(value: object) -> str:
    return json.dumps(storable(value), ensure_ascii=False, default=str)
