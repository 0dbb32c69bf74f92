"""An org made by chance, whose records agree with one another: of every kind that a report reads, with what is odd in each."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from chance import YEAR, Chance
from sqlalchemy.ext.asyncio import AsyncSession

from crm_mcp.crm import models
from crm_mcp.importing.rows import add
from crm_mcp.money import rounded
from crm_mcp.principal import Principal

Row = dict[str, Any]
SELLERS = ("Ann", " Ann", "Ann ", "ann", "Bo", "Łukasz", "", " ", None, '=HYPERLINK("x")')
SEGMENTS = ("Retail", " Retail", "retail", "Öl & Gas", "", "  ", None, "-1+1", 'a,"b";c\nd')
COUNTRIES = ("DE", "de", "Côte d’Ivoire", " ", None, "US")
REASONS = (
    "Too dear",
    " Too dear",
    "Too dear ",
    "",
    "x" * 100 + "y",
    "x" * 99 + " y",
    "👩‍👩‍👧 " * 40,
    "é" * 120,
    "later",
)


class Org:
    """Rows of an org, put in kind by kind; each method needs those before it."""

    def __init__(self, session: AsyncSession, who: Principal, chance: Chance, people: list[int]) -> None:
        self._session, self._who, self._chance, self._people = session, who, chance, people
        self._customers: list[int] = []
        self._products: list[int] = []
        self._quotes: list[tuple[int, Row]] = []

    async def fill(self) -> None:
        await self._parties_and_goods()
        await self._offers()
        await self._sales()
        await self._bills()
        await self._work()

    async def _put(self, model: Any, rows: list[Row]) -> list[int]:
        names = dict.fromkeys(name for row in rows for name in row)
        return await add(self._session, model, self._who.org, [{**dict.fromkeys(names), **row} for row in rows])

    def _many(self, number: int, make: Callable[[int], Row]) -> list[Row]:
        return [make(n) for n in range(number)]

    def _gone(self, share: float = 0.06) -> Any:
        return self._chance.maybe(share, self._chance.now)

    async def _parties_and_goods(self) -> None:
        x = self._chance
        self._customers = await self._put(
            models.Customer,
            self._many(
                40,
                lambda n: {
                    "name": x.one("Acme", "Ümlaut & Söhne", "O'Neil", '"Quoted"', "+49 GmbH") + f" {n}",
                    "kind": "organization",
                    "email": x.one(f"a{n}@x.example", "", " ", None),
                    "phone": x.one("+49 30 1", None),
                    "segment": x.choice(SEGMENTS),
                    "country": x.choice(COUNTRIES),
                    "owner_id": x.choice([*self._people, None]),
                    "archived_at": self._gone(),
                },
            ),
        )
        self._products = await self._put(
            models.Product,
            self._many(
                25,
                lambda n: {
                    "sku": f"SKU-{n}",
                    "name": x.one("Chair", "=1+1", "Tisch") + f" {n}",
                    "category": x.one("a", None),
                    "unit_price": x.amount(x.base, 900),
                    "currency": x.currency(),
                    "tax_rate": Decimal(0),
                    "reorder_level": x.one(0, 5, 40),
                    "discontinued": x.often(0.15),
                    "tax_class": "standard",
                    "warranty_months": 0,
                    "archived_at": self._gone(),
                },
            ),
        )
        moved = [
            {"product_id": x.choice(self._products), "quantity": x.choice([-7, -1, 1, 3, 30]), "kind": "correction"}
            for _ in range(60)
        ]
        await self._put(models.StockMovement, [*moved, {**moved[0], "archived_at": x.now}])

    def _lines(self, currency: str) -> list[Row]:
        """Return priced lines: with discount or none, with tax of a rate, each amount rounded to minor units or kept."""
        x, lines = self._chance, list[Row]()
        goods = x.some(self._products, 4)
        for position, product in enumerate([*goods, *goods[: x.one(0, 0, 0, 1)]], 1):
            price, quantity = x.amount(currency, 2_000), x.one(1, 2, 3, x.randint(1, 400))
            discount, tax = (
                Decimal(x.one("0", "0", "5", "12.5", "33.333", "100")),
                Decimal(x.one("0", "7", "19", "8.875")),
            )
            if x.is_even:
                price, quantity, discount, tax = (
                    Decimal(x.randint(1, 40) * 5),
                    x.randint(1, 9),
                    Decimal(0),
                    Decimal(20),
                )
            net = (price * quantity * (100 - discount) / 100).quantize(Decimal("0.0001"))
            net = net if x.often(0.1) else rounded(net, currency)
            lines.append(
                {
                    "product_id": product,
                    "position": position,
                    "description": "x",
                    "quantity": quantity,
                    "unit_price": price,
                    "discount_percent": discount,
                    "tax_rate": tax,
                    "net_amount": net,
                    "tax_amount": rounded(net * tax / 100, currency),
                }
            )
        return lines

    def _worth(self, lines: list[Row]) -> Row:
        net = sum((line["net_amount"] for line in lines), Decimal(0))
        tax = sum((line["tax_amount"] for line in lines), Decimal(0))
        return {"net_total": net, "tax_total": tax, "gross_total": net + tax}

    async def _papers(self, model: Any, part: Any, key: str, papers: list[tuple[Row, list[Row]]]) -> list[int]:
        made = await self._put(model, [{**row, **self._worth(lines)} for row, lines in papers])
        await self._put(
            part, [{key: one, **line} for one, (_, lines) in zip(made, papers, strict=True) for line in lines]
        )
        return made

    def _paper(self, **more: Any) -> tuple[Row, list[Row]]:
        x, currency = self._chance, self._chance.currency()
        lines = self._lines(currency)
        base = x.in_base(self._worth(lines)["gross_total"], currency)
        customer, seller = x.choice(self._customers), x.choice(SELLERS)
        row = {"customer_id": customer, "currency": currency, "base_total": base, "salesperson": seller}
        return {**row, "discount_percent": Decimal(0), **more}, lines

    async def _offers(self) -> None:
        x = self._chance
        papers: list[tuple[Row, list[Row]]] = []
        for _ in range(70):
            status, at = x.one("open", "accepted", "accepted", "declined"), x.moment()
            papers.append(
                self._paper(
                    status=status,
                    quoted_at=at,
                    decided_at=None if status == "open" else max(at, x.moment()),
                    valid_until=x.one(x.today, x.today - timedelta(days=1), x.day()),
                    lost_reason=x.choice(REASONS) if status == "declined" or x.often(0.1) else None,
                    archived_at=self._gone(),
                )
            )
        made = await self._papers(models.Quote, models.QuoteLine, "quote_id", papers)
        self._quotes = list(zip(made, (row for row, _ in papers), strict=True))

    async def _sales(self) -> None:
        x = self._chance
        papers: list[tuple[Row, list[Row]]] = []
        x.shuffle(self._quotes)
        for n in range(260):
            quote, of = self._quotes[n] if n < len(self._quotes) // 2 else (None, {})
            at = of["quoted_at"] + timedelta(seconds=x.randint(0, 60 * 86_400)) if of else x.moment()
            status = x.one("confirmed", "shipped", "completed", "completed", "cancelled")
            papers.append(self._paper(status=status, placed_at=at, quote_id=quote))
        made = await self._papers(models.Order, models.OrderLine, "order_id", papers)
        await self._put(
            models.StockReservation,
            [
                {"order_id": order, "product_id": line["product_id"], "quantity": line["quantity"], "released_at": self._gone(0.2)}
                for order, (row, lines) in zip(made, papers, strict=True)
                if row["status"] == "confirmed"
                for line in lines
            ]
            + [{"order_id": made[0], "product_id": x.choice(self._products), "quantity": 500, "archived_at": x.now}],
        )  # fmt: skip

    async def _bills(self) -> None:
        x, bills = self._chance, list[Row]()
        late = (-1, 0, 1, 30, 31, 60, 61, 90, 91)
        for _ in range(160):
            currency = x.currency()
            net = x.amount(currency)
            tax = rounded(net * Decimal(x.one("0", "0.19", "0.2")), currency)
            issued = x.day()
            bills.append(
                {
                    "customer_id": x.choice(self._customers),
                    "currency": currency,
                    "net_total": net,
                    "tax_total": tax,
                    "gross_total": net + tax,
                    "base_total": x.in_base(net + tax, currency),
                    # paid or credited in the system that it came from, of which there is no record here
                    "paid_total": rounded((net + tax) / x.one(2, 3), currency) if x.often(0.1) else Decimal(0),
                    "credited_total": rounded((net + tax) / 7, currency) if x.often(0.05) else Decimal(0),
                    "issued_on": issued,
                    "due_on": x.one(
                        issued + timedelta(days=x.one(0, 14, 30)), x.today - timedelta(days=x.choice(late))
                    ),
                    "archived_at": self._gone(0.04),
                }
            )
        notes, received, parts = self._credits(bills), *self._receipts(bills)
        made = await self._put(models.Invoice, bills)
        given: list[Row] = [{**note, "invoice_id": made[note["invoice_id"]]} for note in notes]
        await self._put(models.CreditNote, [*given, {**given[0], "archived_at": x.now}])
        payments = await self._put(models.Payment, received)
        taken: list[Row] = [
            {"payment_id": payments[p], "invoice_id": made[i], "amount": amount} for p, i, amount in parts
        ]
        # what was taken back, and does not count
        mine: set[int] = {i for p, i, _ in parts if p == 0}
        back: list[int] = [made[note["invoice_id"]] for note in notes if note["invoice_id"] not in mine]
        gone: Row = {"payment_id": payments[0], "amount": Decimal(7), "archived_at": x.now}
        await self._put(models.PaymentAllocation, [*taken, *({**gone, "invoice_id": one} for one in back)])

    def _credits(self, bills: list[Row]) -> list[Row]:
        """Credit some bills, some of them in full and some that are paid; `invoice_id` is a bill's place."""
        x, notes = self._chance, list[Row]()
        for place, bill in enumerate(bills):
            if bill["archived_at"] or not x.often(0.25):
                continue
            gross = (
                bill["gross_total"]
                if x.often(0.3)
                else rounded(bill["gross_total"] / x.one(2, 3, 9), bill["currency"])
            )
            gross = min(gross, bill["gross_total"] - bill["credited_total"])
            if gross <= 0:
                continue
            bill["credited_total"] += gross
            tax = rounded(gross / 6, bill["currency"]) if bill["tax_total"] else Decimal(0)
            note = {name: bill[name] for name in ("customer_id", "currency")}
            note |= {"net_total": gross - tax, "tax_total": tax, "gross_total": gross, "explanation": "x"}
            base = None if bill["base_total"] is None else x.in_base(gross, bill["currency"])
            issued = x.day(bill["issued_on"], max(bill["issued_on"], date(YEAR + 1, 3, 1)))
            notes.append({**note, "invoice_id": place, "base_total": base, "issued_on": issued})
        return notes

    def _receipts(self, bills: list[Row]) -> tuple[list[Row], list[tuple[int, int, Decimal]]]:
        """Pay bills, some before their day, in parts, together, and with a rest on account; some payments were taken back."""
        x, received, parts = self._chance, list[Row](), list[tuple[int, int, Decimal]]()
        for _ in range(150):
            currency = x.currency()
            mine = [n for n, bill in enumerate(bills) if bill["currency"] == currency and not bill["archived_at"]]
            back, allocated = self._gone(0.05), Decimal(0)
            for place in x.some(mine, 3) if mine and not back and x.often(0.9) else ():
                bill = bills[place]
                left = bill["gross_total"] - bill["paid_total"]
                part = left if x.often(0.6) else rounded(left / x.one(2, 3), currency)
                if part > 0:
                    bill["paid_total"] += part
                    allocated += part
                    parts.append((len(received), place, part))
            amount = allocated + (x.amount(currency, 500) if x.often(0.2) or not allocated else 0)
            received.append(
                {
                    "customer_id": x.choice(self._customers),
                    "currency": currency,
                    "amount": amount,
                    "base_amount": x.in_base(amount, currency),
                    "allocated_total": allocated,
                    "received_on": x.day(),
                    "method": x.one("transfer", "card", "cash"),
                    "archived_at": back,
                }
            )
        return received, parts

    async def _work(self) -> None:
        x = self._chance
        await self._put(models.Issue, [self._issue() for _ in range(140)])
        await self._put(
            models.Task,
            self._many(
                80,
                lambda n: {
                    "title": f"Task {n}",
                    "status": x.one("open", "open", "done", "cancelled"),
                    "priority": x.one("normal", "urgent"),
                    "due_on": x.maybe(0.8, x.today + timedelta(days=x.one(-1, 0, 1, 7, 8, x.randint(-90, 90)))),
                    "assignee_id": x.choice([*self._people, None]),
                    "archived_at": self._gone(),
                },
            ),
        )
        calls = [(x.choice(self._customers[: len(self._customers) * 3 // 4]), x.ago(200)) for _ in range(60)]
        about = [
            {"customer_id": c, "subject_type": "customers", "subject_id": c, "happened_at": at} for c, at in calls
        ]
        more = [{"kind": "call", "subject": "x", "archived_at": self._gone()} for _ in about]
        await self._put(models.Activity, [{**one, **other} for one, other in zip(about, more, strict=True)])
        deals: list[Row] = [
            {
                "name": f"Deal {n}",
                "status": status,
                "amount": x.amount(x.base),
                "currency": x.base,
                "closed_at": None if status == "open" else x.ago(90),
                "customer_id": x.choice(self._customers),
            }
            for n, status in enumerate(x.choices(("open", "won", "lost"), k=20))
        ]
        await self._put(models.Deal, deals)

    def _issue(self) -> Row:
        x = self._chance
        at = x.ago(60) if x.often(0.5) else x.moment()
        status = x.one("open", "waiting", "resolved", "closed")
        took = x.randint(0, min(40 * 86_400, int((x.now - at).total_seconds())))
        opened = at - timedelta(seconds=took) if x.often(0.5) else at
        ended = opened + timedelta(seconds=took) if status in ("resolved", "closed") else None
        due = opened + timedelta(seconds=x.one(took, took + 1, max(took - 1, 0), 4 * 3600, 5 * 86_400))
        return {
            "customer_id": x.choice(self._customers),
            "title": "x",
            "type": "problem",
            "status": status,
            "priority": x.one("low", "normal", "high", "urgent"),
            "opened_at": opened,
            "assignee_id": x.choice([*self._people, None]),
            "respond_by": x.maybe(0.8, opened + timedelta(hours=4)),
            "resolve_by": x.maybe(0.8, due),
            "responded_at": x.maybe(0.7, opened + timedelta(seconds=x.one(14_400, 14_401, x.randint(0, took)))),
            "waiting_since": opened + timedelta(hours=1) if status == "waiting" else None,
            "waited_seconds": x.one(0, x.randint(0, took)),
            # one that was closed at once was never resolved
            "resolved_at": ended if status == "resolved" or x.often(0.7) else None,
            "closed_at": ended if status == "closed" else None,
            "archived_at": self._gone(),
        }
