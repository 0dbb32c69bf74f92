"""What model calls may cost: held before each, settled after it by what it really used, refused where a budget is spent."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from .. import ids
from ..budgets import WHOSE, moment, warnings_of
from ..db import Database
from ..errors import Refusal, is_lost
from ..money import Money, said
from ..principal import Principal

REQUEST, USER, ORG = 10_000, 500_000, 5_000_000
"""Tokens, in and out together: of one request to a model, of a person in a day, of an org in a day (S1 §4)."""
WARN_AT = Decimal("0.8")
"""The share of a limit from which a warning is given."""
ONCE_ENDED = "Try again once those calls have ended."
"""How a no ends that is so only while other calls, or those of a process that died, are held."""
_RESERVE = "select crm.reserve_tokens(%s, %s, %s, %s)"
_SETTLE = "select crm.settle_tokens(%s, %s, %s, %s, %s, %s)"


class Reservation(NamedTuple):
    """What is held for one model call until it is settled, for 15 minutes at most; `money` is in `currency`."""

    id: int
    use_case: str
    tokens: int
    money: Decimal
    currency: str


class Spent(NamedTuple):
    """What one model call used; `warnings` are sentences for a person, one for each limit that is nearly spent."""

    tokens_in: int
    tokens_out: int
    money: Decimal
    currency: str
    warnings: tuple[str, ...] = ()


class Meter(Protocol):
    """Counts model calls against the budgets of one request to a model, of a person and of their org.

    An amount of money without a currency is in the org's base currency. Every reservation is settled, with zeros
    where the model was never reached.
    """

    async def reserve(self, use_case: str, tokens: int, money: Money | Decimal) -> Reservation:
        """Hold what a model call may use at most: tokens in and out together.

        Raises:
            Refusal: OVER_BUDGET, with the limit that has no room; NO_RATE, where money is limited and its currency
                has no stated rate.
        """
        ...

    async def settle(
        self,
        reservation: Reservation,
        tokens_in: int,
        tokens_out: int,
        money: Money | Decimal,
        *,
        model: str = "",
    ) -> Spent:
        """Count what a model call really used, once however often it is settled; `model` answered it."""
        ...


class PostgresMeter:
    """The meter kept by Postgres: exact over every process, by the database's clock.

    The principal is proven to Postgres by its token, so nobody spends in another's name.
    """

    def __init__(self, db: Database, who: Principal) -> None:
        self._db, self._who = db, who

    async def reserve(self, use_case: str, tokens: int, money: Money | Decimal) -> Reservation:
        amount, currency = self._amount(money)
        got = await self._ask(_RESERVE, (use_case, tokens, amount, currency))
        if "id" not in got:
            raise _refusal(got, self._who.currency)
        return Reservation(got["id"], use_case, tokens, amount, currency)

    async def settle(
        self,
        reservation: Reservation,
        tokens_in: int,
        tokens_out: int,
        money: Money | Decimal,
        *,
        model: str = "",
    ) -> Spent:
        amount, currency = self._amount(money)
        params = (reservation.id, tokens_in, tokens_out, amount, currency, model[:100])
        try:
            got = await self._ask(_SETTLE, params)
        except Exception as problem:
            if not is_lost(problem):
                raise
            got = await self._ask(_SETTLE, params)  # it counts once, also where only the answer was lost
        warnings = [line for row in got["standing"] for line in warnings_of(row, self._who.currency)]
        if not got["isPriced"]:
            warnings.append(f"There is no rate from {currency} to {self._who.currency}: this call counts no money.")
        return Spent(tokens_in, tokens_out, amount, currency, tuple(warnings))

    def _amount(self, money: Money | Decimal) -> tuple[Decimal, str]:
        if isinstance(money, Money):
            return Decimal(money.amount), money.currency
        return money, self._who.currency

    async def _ask(self, sql: str, params: tuple[object, ...]) -> dict[str, Any]:
        async with self._db.opened(self._who, ids.new_call(), (sql, params)) as (_, found):
            return found[0][0][0]


def _refusal(got: Mapping[str, Any], currency: str) -> Refusal:
    """Return the no of a limit without room: which, what is left, when it resets, and how to go on."""
    scope, unit = got["scope"], got["unit"]
    if unit == "rate":
        return Refusal(
            "NO_RATE",
            f"Money for models is limited, and there is no rate from {got['currency']} to {currency}. Have one stated.",
            currency=got["currency"],
        )
    limit, spent, held, asked = (Decimal(got[key]) for key in ("limit", "spent", "held", "asked"))
    left = max(Decimal(0), limit - spent - held)

    def words(amount: Decimal) -> str:
        return f"{int(amount):,} tokens" if unit == "tokens" else said(amount, currency)

    def figure(amount: Decimal) -> object:
        return int(amount) if unit == "tokens" else {"amount": f"{amount:f}", "currency": currency}

    held_words = f", {words(held)} held by calls that still run" if held else ""
    stands = f" for today: {words(spent)} spent{held_words}, {words(left)} left" if scope != "request" else ""
    facts = f"The limit {WHOSE[scope]} is {words(limit)}{stands}, and this call may need {words(asked)}."
    context: dict[str, object] = {
        "scope": scope,
        "unit": unit,
        "limit": figure(limit),
    }
    if scope != "request":
        context |= {"spent": figure(spent), "left": figure(left), "resetsAt": got["resetsAt"]}
    way_on = (
        "Ask for less at once: it is more than the whole limit."
        if asked > limit
        else "Try again once those calls have ended."
        if asked <= limit - spent
        else f"It resets at {moment(got['resetsAt'])}; an administrator may raise or reset it (crm-mcp usage)."
    )
    return Refusal("OVER_BUDGET", f"{facts} {way_on}", **context)
