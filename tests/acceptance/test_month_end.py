"""The end of a month in finance: reminders, payments, an invoice, the report, closed books."""

import asyncio
import os
import sys
from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from workday import Colleague, Workday

from postbox import Postbox, postbox


def amount(money: dict[str, str]) -> Decimal:
    return Decimal(money["amount"])


def added(rows: list[dict[str, Any]], column: str) -> defaultdict[str, Decimal]:
    """Add up a column by currency."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row[column]["currency"]] += amount(row[column])
    return sums


async def month_end(fin: Colleague, month: str) -> dict[str, dict[str, Any]]:
    report = (await fin.asks("run_report", report="month_end", parameters={"month": month}))["report"]
    return {row["currency"]: row for row in report["rows"]}


async def overdue_customers(fin: Colleague, late: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the overdue invoices in euros of three customers who can be written to; of the first, several."""
    owed: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for invoice in late:
        if invoice["open"]["currency"] == "EUR":
            owed[invoice["customer"]["id"]].append(invoice)
    found: list[list[dict[str, Any]]] = []
    for customer, invoices in sorted(owed.items(), key=lambda one: -len(one[1])):
        shown = (await fin.asks("get_customer", customer=customer, include=["summary"]))["customer"]
        if "email" in shown and "archivedAt" not in shown:
            found.append(invoices)
        if len(found) == 3:
            return found
    raise AssertionError("fewer than three overdue customers have an address")


async def deliver(day: Workday, box: Postbox) -> None:
    """Run the worker once, as its own process."""
    env = {**os.environ, "CRM_HOME": str(day.home.root), "CRM_SMTP_URL": f"smtp://127.0.0.1:{box.port}"}
    words = [sys.executable, "-m", "crm_mcp", "worker", "--once"]
    worker = await asyncio.create_subprocess_exec(*words, env=env, stdin=asyncio.subprocess.DEVNULL)
    assert await worker.wait() == 0


def reminder(invoice: dict[str, Any]) -> dict[str, Any]:
    open_, number = invoice["open"], invoice["number"]
    return {
        "to": [invoice["customer"]["id"]],
        "subject": f"Reminder: invoice {number}",
        "body": f"Dear {invoice['customer']['name']},\n\n{open_['currency']} {open_['amount']} of {number} "
        f"was due on {invoice['dueOn']}. Please let us know when we can expect it.\n",
        "about": invoice["id"],
    }


async def test_reminders_are_read_by_a_person_and_then_delivered_once_each(day: Workday) -> None:
    async with (
        postbox() as box,
        day.clients("fin") as [fin],
        day.at_the_page("fin") as finance,
        day.at_the_page("mia") as mia,
        day.at_the_page("ada") as ada,
    ):
        late = await fin.all("get_invoices", status="overdue")
        assert all(invoice["daysOverdue"] > 0 for invoice in late)
        ageing = (await fin.asks("get_invoices", status="overdue", limit=1))["_meta"]["ageing"]
        owed = {row.pop("currency"): row for row in ageing}
        assert {currency: sum(map(Decimal, ages.values())) for currency, ages in owed.items()} == added(late, "open")
        assert {ages["notDue"] for ages in owed.values()} == {"0.00"}

        invoices = [one[0] for one in await overdue_customers(fin, late)]
        letters = [reminder(invoice) for invoice in invoices]
        held = [await fin.drafts("send_email_draft", **letter) for letter in letters]
        waiting = (await fin.asks("list_drafts"))["drafts"]
        assert {one["draft"]["id"] for one in held} <= {draft["id"] for draft in waiting}
        for one in held:
            assert "you may not send e-mail" in await finance.reads(one)
            assert "you may not send e-mail" in await finance.may_not_approve(one)

        # what still waits is not delivered with what was approved
        read = await mia.approves(*held[:2])
        await deliver(day, box)
        assert len(box.mails) == 2
        read += await ada.approves(held[2])
        await deliver(day, box)
        addresses = [
            (await fin.asks("get_customer", customer=i["customer"]["id"]))["customer"]["email"] for i in invoices
        ]
        for shown, letter, address in zip(read, letters, addresses, strict=True):
            assert address in shown and letter["subject"] in shown
            assert " ".join(letter["body"].split()) in shown
        sent = {mail.rcpt_tos[0]: box.read(at) for at, mail in enumerate(box.mails)}
        assert len(box.mails) == 3 and set(sent) == set(addresses)
        for letter, address in zip(letters, addresses, strict=True):
            assert sent[address]["Subject"] == letter["subject"]
            assert sent[address].get_body().get_content().replace("\r\n", "\n") == letter["body"]
        assert [(await fin.outcome(one))["delivery"] for one in held] == ["sent"] * 3
    assert day.audited() == day.calls
    assert day.problems_of_the_audit() == []


async def test_a_month_end_from_payments_to_closed_books_in_which_sales_only_looks_on(day: Workday) -> None:
    async with (
        day.clients("fin", "sam", toolsets="all") as [fin, sam],
        day.at_the_page("fin") as finance,
        day.at_the_page("ada") as ada,
    ):
        today = date.fromisoformat((await fin.asks("run_report", report="month_end"))["report"]["asOf"][:10])
        several, (second, *_), (third, *_) = await overdue_customers(
            fin, await fin.all("get_invoices", status="overdue")
        )
        first_two = sorted(several, key=lambda invoice: invoice["dueOn"])[:2]
        assert len(first_two) == 2

        # one pays a part, one too much, one two invoices together
        part = (amount(second["open"]) / 3).quantize(Decimal("0.01"))
        over = amount(third["open"]) + Decimal("12.34")
        both = amount(first_two[0]["open"]) + amount(first_two[1]["open"])
        drafts = [
            await fin.drafts("record_payment", amount=str(part), invoices=[{"invoice": second["id"]}]),
            await fin.drafts("record_payment", amount=str(over), invoices=[{"invoice": third["id"]}]),
            await fin.drafts(
                "record_payment", amount=str(both), invoices=[{"invoice": one["id"]} for one in first_two]
            ),
        ]
        paid_day = date.fromisoformat(drafts[0]["summary"].partition(" on ")[2][:10])
        assert abs(paid_day - today) <= timedelta(days=1)
        month = f"{paid_day:%Y-%m}"
        before = await month_end(fin, month)
        await finance.approves(drafts[0])
        await ada.approves(*drafts[1:])
        payments = [
            (await fin.asks("get_payments", payment=(await fin.outcome(one))["result"]))["payments"][0]
            for one in drafts
        ]
        assert [amount(payment["amount"]) for payment in payments] == [part, over, both]
        assert [amount(payment["onAccount"]) for payment in payments] == [0, Decimal("12.34"), 0]
        assert [len(payment["allocated"]) for payment in payments] == [1, 1, 2]
        for invoice, left in (
            (second, amount(second["open"]) - part),
            (third, 0),
            (first_two[0], 0),
            (first_two[1], 0),
        ):
            (now,) = (await fin.asks("get_invoices", invoice=invoice["id"]))["invoices"]
            assert amount(now["open"]) == left and now["status"] == ("overdue" if left else "paid")
        after = await month_end(fin, month)
        moved = {
            column: Decimal(after["EUR"][column]) - Decimal(before["EUR"][column])
            for column in ("invoiced", "credited", "received", "settled", "open_after")
        }
        settled = part + amount(third["open"]) + both
        assert moved == {
            "invoiced": 0,
            "credited": 0,
            "received": part + over + both,
            "settled": settled,
            "open_after": -settled,
        }

        # an order is shipped and billed; an invoice that was turned down leaves no gap in the numbers
        (order,) = (await sam.asks("get_orders", status="confirmed", limit=1))["orders"]
        await ada.approves(await sam.drafts("update_order", order=order["id"], status="shipped"))
        await sam.finds_no("record_payment", "create_invoice", "create_credit_note", "close_books")
        numbers = [int(invoice["number"].removeprefix("INV-")) for invoice in await fin.all("get_invoices")]
        turned_down = await fin.drafts("create_invoice", order=order["id"], due_on=str(paid_day))
        await ada.rejects(turned_down, "They have thirty days.")
        held = await fin.drafts("create_invoice", order=order["id"])
        await ada.approves(held)
        billed = (await fin.outcome(held))["result"]
        (invoice,) = (await sam.asks("get_invoices", invoice=billed))["invoices"]
        assert int(invoice["number"].removeprefix("INV-")) == max(numbers) + 1
        assert (invoice["order"]["id"], invoice["gross"], invoice["open"]) == (
            order["id"],
            order["total"],
            order["total"],
        )
        assert (await fin.is_refused("create_invoice", order=order["id"], reason="again"))["error"]

        await adds_up(fin, month, paid_day)
        last = paid_day.replace(day=1) - timedelta(days=1)
        await adds_up(fin, f"{last:%Y-%m}", paid_day)

        # the month before is closed: from then on nothing is posted in it
        late = {"amount": "1.00", "invoices": [{"invoice": second["id"]}], "received_on": str(last)}
        held = await fin.drafts("close_books", through=str(last))
        waits = await fin.drafts("record_payment", **late)
        await ada.approves(held)
        no = await fin.is_refused("record_payment", **late, reason="found in the post")
        assert (no["error"], no["context"]["closedThrough"]) == ("BOOKS_CLOSED", str(last))
        assert "closed through" in await ada.reads(waits)
        await fin.drafts("record_payment", **{**late, "received_on": str(paid_day)})
    assert day.audited() == day.calls
    assert day.problems_of_the_audit() == []


async def adds_up(fin: Colleague, month: str, today: date) -> None:
    """What month_end says of a month is what the lists of invoices and payments add up to."""
    first = date.fromisoformat(f"{month}-01")
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    rows = await month_end(fin, month)
    invoices = await fin.all("get_invoices", issued_from=str(first), issued_to=str(last))
    invoiced, counted = added(invoices, "gross"), Counter(invoice["gross"]["currency"] for invoice in invoices)
    payments = await fin.all("get_payments", received_from=str(first), received_to=str(last))
    received = added(payments, "amount")
    assert invoices and payments and {*invoiced, *received} <= set(rows)
    for currency, row in rows.items():
        assert row["invoices"] == counted[currency]
        assert Decimal(row["invoiced"]) == invoiced[currency]
        assert Decimal(row["received"]) == received[currency]
        owed = Decimal(row["open_before"]) + Decimal(row["invoiced"])
        assert Decimal(row["open_after"]) == owed - Decimal(row["credited"]) - Decimal(row["settled"])
    if first <= today <= last:
        still_open = added(await fin.all("get_invoices", status="open"), "open")
        assert {currency: Decimal(row["open_after"]) for currency, row in rows.items()} == still_open
