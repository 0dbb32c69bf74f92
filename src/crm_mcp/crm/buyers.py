"""Who buys, and what is offered to them: all that a document of sale needs to know, read in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .. import ids
from ..context import Write
from ..errors import Refusal
from ..money import said
from . import missing
from .pricing import OFFERS, Offer
from .receivables import EXPOSURE

_LATE = """select i.currency, count(*) as late, sum(i.open_total) as overdue from crm.invoices i
  where i.org_id = c.org_id and i.customer_id = c.id and i.open_total > 0 and i.due_on < %(today)s::date and i.archived_at is null
  group by i.currency"""
_SQL = f"""select c.id, c.name, c.archived_at is not null, c.credit_limit::text, c.payment_terms_days,
  (select coalesce(jsonb_agg(jsonb_build_array(w.currency, w.late, w.overdue::text) order by w.currency), '[]') from ({_LATE}) w),
  {EXPOSURE}::text, s.quote_valid_days, {OFFERS.format(zone="c.tax_zone")}
 from crm.customers c left join crm.org_settings s on s.org_id = c.org_id where c.org_id = %(org)s and c.id = %(customer)s"""


@dataclass(frozen=True, slots=True)
class Buyer:
    """A customer who buys. `overdue` is by currency: how many invoices, and how much of them is open.

    `exposure` is what they owe and what is ordered and not yet invoiced, in the org's base currency.
    """

    id: int
    name: str
    credit_limit: Decimal | None
    payment_terms_days: int | None
    overdue: tuple[tuple[str, int, Decimal], ...]
    exposure: Decimal
    quote_valid_days: int

    @property
    def shown(self) -> dict[str, str]:
        return {"id": ids.show("customers", self.id), "name": self.name}

    def warnings(self, more: Decimal | None, base: str) -> list[str]:
        """Return what to know before selling them `more` (gross, base currency; None: unknown)."""
        said_of: list[str] = []
        late = sum(count for _, count, _ in self.overdue)
        if late:
            sums = " and ".join(said(amount, currency) for currency, _, amount in self.overdue)
            said_of.append(f"{self.name} has {late} overdue invoice{'s' * (late > 1)}, {sums} open.")
        if self.credit_limit is not None and more is not None and self.exposure + more > self.credit_limit:
            said_of.append(
                f"{self.name} would owe {said(self.exposure + more, base)}, "
                f"over the credit limit of {said(self.credit_limit, base)}."
            )
        return said_of


async def buyer(ctx: Write, customer: int, products: Sequence[int]) -> tuple[Buyer, dict[int, Offer]]:
    """Return who buys, and the products they ask for as they are offered to them today, by number.

    Raises:
        Refusal: CUSTOMER_NOT_FOUND (another org's answers the same), CUSTOMER_ARCHIVED.
    """
    conn = await ctx.session.connection()
    asked: dict[str, Any] = {
        "org": ctx.principal.org,
        "customer": customer,
        "products": list(products),
        "today": ctx.principal.day(ctx.now),
        "currency": ctx.principal.currency,
    }
    row: Any = (await conn.exec_driver_sql(_SQL, asked)).one_or_none()
    shown = ids.show("customers", customer)
    if row is None:
        raise missing.customer(shown)
    number, name, is_archived, limit, terms, late, exposure, valid_days, offered = row
    if is_archived:
        raise Refusal("CUSTOMER_ARCHIVED", f"{shown} is archived; choose another with search_customers.")
    overdue = tuple((currency, int(count), Decimal(open_)) for currency, count, open_ in late)
    credit = None if limit is None else Decimal(limit)
    found = Buyer(number, name, credit, terms, overdue, Decimal(exposure), valid_days or 30)
    return found, {r[0]: Offer.read(r) for r in offered}
