"""Each report's figures beside the same added up here, from records made to the value."""

from collections import Counter, defaultdict
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest
from bureau import ZONE, local, today
from lab import ago

from crm_mcp.crm.models import (
    Activity,
    CreditNote,
    Issue,
    Payment,
    PaymentAllocation,
    Quote,
    StockMovement,
    StockReservation,
    Task,
)
from crm_mcp.reports import definition

DAY = timedelta(days=1)


def cents(value):
    return str(Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_UP))


def net_in_base(order):
    """Net of an order in base currency; without a rate it counts as nothing."""
    if order.get("currency", "EUR") == "EUR":
        return Decimal(order["net"])
    if order["base"] is None:
        return Decimal(0)
    gross = Decimal(order["net"]) + Decimal(order.get("tax", "0"))
    return Decimal(order["net"]) * order["base"] / gross


@pytest.mark.parametrize("name", sorted(definition.every()))
async def test_a_report_of_nothing_has_no_rows_and_totals_of_nought(bureau, name):
    told = await bureau.report(name)
    assert told["rows"] == []
    for value in told["totals"].values():
        assert value in (0, "0.00", {})


def orders_of(a, b, chair, desk):
    """Orders around the ends of months in a zone fourteen hours ahead of UTC."""
    usd = {"currency": "USD", "tax": "19.00", "net": "100.00", "customer": b, "product": desk}
    return [
        {"customer": a, "placed": local(2025, 2, 28, 23, 59, 59), "net": "10.01", "product": chair, "salesperson": "Ann"},
        {"customer": a, "placed": local(2025, 3, 1), "net": "20.02", "tax": "3.80", "product": chair, "quantity": 3},
        {"customer": b, "placed": local(2025, 3, 31, 23, 59, 59), "net": "40.04", "product": desk, "salesperson": "Ann"},
        {"customer": b, "placed": local(2025, 4, 1), "net": "80.08", "product": desk, "salesperson": " "},
        {"customer": a, "placed": local(2025, 3, 15), "net": "999.00", "product": chair, "status": "cancelled"},
        {**usd, "placed": local(2025, 3, 2), "base": Decimal("109.37"), "salesperson": "Zoë"},
        {**usd, "placed": local(2025, 3, 3), "base": None, "salesperson": "Zoë"},
        {"customer": a, "placed": local(2024, 12, 31, 23, 59, 59), "net": "7.00", "product": chair},
        {"customer": a, "placed": local(2025, 1, 1), "net": "8.00", "product": chair},
    ]  # fmt: skip


PERIODS = (
    ({"month": "2025-03"}, "2025-03-01", "2025-03-31"),
    ({"year": 2025}, "2025-01-01", "2025-12-31"),
    ({"from": "2025-03-01", "to": "2025-03-31"}, "2025-03-01", "2025-03-31"),
    ({"to": "2024-12-31"}, "0001-01-01", "2024-12-31"),
    ({"from": "2025-04-01"}, "2025-04-01", "9999-12-31"),
    ({"days": 0}, "0001-01-01", "9999-12-31"),
)


@pytest.mark.parametrize(("given", "since", "until"), PERIODS, ids=lambda v: str(v))
async def test_revenue_by_month_product_person_and_customer_counts_the_orgs_days(bureau, given, since, until):
    a, b = await bureau.buyers("Alpha", "Beta")
    chair, desk = await bureau.goods("1", "2")
    made = orders_of(a, b, chair, desk)
    numbers = await bureau.orders(*made)
    counted = [
        (f"ord_{number}", order)
        for number, order in zip(numbers, made, strict=True)
        if order.get("status") != "cancelled"
        and since <= order["placed"].astimezone(ZONE).date().isoformat() <= until
    ]

    def by(key):
        groups = defaultdict(list)
        for number, order in counted:
            groups[key(order)].append((number, order))
        return {
            at: (
                cents(sum(net_in_base(order) for _, order in group)),
                sorted(number for number, _ in group),
                sum(order.get("base", "") is None for _, order in group),
            )
            for at, group in groups.items()
        }

    def told(report, key):
        return {r[key]: (r["revenue"], sorted(r["ids"]), r["unconverted"]) for r in report["rows"]}

    months = await bureau.report("revenue_by_month", **given)
    assert told(months, "month") == by(lambda order: order["placed"].astimezone(ZONE).strftime("%Y-%m"))
    assert [row["month"] for row in months["rows"]] == sorted(row["month"] for row in months["rows"])
    whole = cents(sum(net_in_base(order) for _, order in counted))
    assert months["totals"]["revenue"] == whole and months["totals"]["orders"] == len(counted)
    products = await bureau.report("revenue_by_product", **given)
    assert told(products, "id") == by(lambda order: f"prod_{order['product']}")
    assert products["totals"]["units"] == sum(order.get("quantity", 1) for _, order in counted)
    people = await bureau.report("revenue_by_person", **given)
    assert told(people, "person") == by(lambda order: (order.get("salesperson") or "").strip() or "(not stated)")
    customers = await bureau.report("top_customers", **given)
    assert told(customers, "id") == by(lambda order: f"cust_{order['customer']}")
    revenue = [Decimal(row["revenue"]) for row in customers["rows"]]
    assert revenue == sorted(revenue, reverse=True)


async def test_what_is_overdue_falls_into_its_days_and_its_currency(bureau):
    a, b = await bureau.buyers("Alpha", "Beta")
    late = (-5, 0, 1, 30, 31, 60, 61, 90, 91, 400)
    rows = [
        {"customer": a, "issued": today() - 500 * DAY, "due": today() - days * DAY, "gross": f"{100 + n}.00"}
        for n, days in enumerate(late)
    ]
    rows += [
        {**rows[2], "gross": "50.00", "paid": "20.00", "credited": "10.00"},
        {**rows[2], "gross": "60.00", "paid": "60.00"},
        {**rows[2], "gross": "60.00", "paid": "60.00", "credited": "5.00"},
        {**rows[3], "currency": "USD", "gross": "200.00", "base": Decimal("180.01"), "paid": "100.00"},
        {**rows[3], "customer": b, "currency": "USD", "gross": "200.00", "base": None},
    ]
    numbers = await bureau.invoices(*rows)
    told = await bureau.report("receivables_ageing")

    assert [(r["customer"], r["currency"]) for r in told["rows"]] == [
        ("Alpha", "EUR"),
        ("Alpha", "USD"),
        ("Beta", "USD"),
    ]
    euro, dollar, beta = told["rows"]
    assert {name: euro[name] for name in ("not_due", "days_1_30", "days_31_60", "days_61_90", "over_90")} == {
        "not_due": "201.00", "days_1_30": cents(102 + 103 + 20), "days_31_60": "209.00", "days_61_90": "213.00", "over_90": "217.00",
    }  # fmt: skip
    assert euro["overdue_base"] == cents(102 + 103 + 20 + 209 + 213 + 217) and euro["oldest"] == 400
    assert set(euro["ids"]) == {f"inv_{n}" for n in [*numbers[2:10], numbers[10]]} and euro["idCount"] == 9
    assert (dollar["days_1_30"], dollar["overdue_base"]) == ("100.00", cents(Decimal("90.005")))
    assert (beta["days_1_30"], beta["overdue_base"]) == ("200.00", "0.00")
    assert told["totals"]["days_1_30"] == {"EUR": "225.00", "USD": "300.00"}


async def test_the_pipeline_knows_value_and_age_of_each_status(bureau):
    (a,) = await bureau.buyers("Alpha")
    made = [
        {"customer": a, "placed": ago(2.5), "net": "10", "status": "confirmed"},
        {"customer": a, "placed": ago(5.5), "net": "20", "status": "confirmed"},
        {"customer": a, "placed": ago(9.5), "net": "40", "tax": "60", "currency": "USD", "base": Decimal(50), "status": "shipped"},
        {"customer": a, "placed": ago(90), "net": "80", "status": "completed"},
        {"customer": a, "placed": ago(91), "net": "160", "status": "cancelled"},
    ]  # fmt: skip
    numbers = await bureau.orders(*made)
    told = await bureau.report("order_pipeline")
    assert [(r["status"], r["orders"], r["value"], r.get("mean_age"), r.get("oldest_age")) for r in told["rows"]] == [
        ("confirmed", 2, "30.00", 4, 5),
        ("shipped", 1, "20.00", 9, 9),
        ("completed", 1, "80.00", None, None),
        ("cancelled", 1, "160.00", None, None),
    ]
    assert told["rows"][0]["ids"] == [f"ord_{numbers[1]}", f"ord_{numbers[0]}"], "the oldest first"


async def test_customers_without_contact_are_those_silent_for_the_days_asked_for(bureau):
    _, old, edge, fresh, gone = await bureau.buyers("Never", "Old", "Edge", "Fresh", "Gone")
    await bureau.add(
        Activity,
        *(
            {"customer_id": customer, "kind": "call", "subject": "x", "happened_at": ago(days)}
            for customer, days in ((old, 200), (old, 100.1), (edge, 90.01), (fresh, 89.9), (gone, 300), (gone, 1))
        ),
    )
    await bureau.orders(
        {"customer": old, "placed": ago(9), "net": "70"}, {"customer": old, "placed": ago(9), "net": "500", "status": "cancelled"}
    )  # fmt: skip
    told = await bureau.report("customers_without_contact")
    assert [(r["customer"], r.get("silent"), r["value"]) for r in told["rows"]] == [
        ("Old", 100, "70.00"), ("Never", None, "0.00"), ("Edge", 90, "0.00"),
    ]  # fmt: skip
    assert [r["customer"] for r in (await bureau.report("customers_without_contact", days=100))["rows"]] == [
        "Old",
        "Never",
    ]


async def test_stock_is_short_by_what_is_reserved(bureau):
    (a,) = await bureau.buyers("Alpha")
    chair, desk, lamp = await bureau.goods("2.50", "10", "3")
    (dear,) = await bureau.goods("7", currency="USD")
    (order,) = await bureau.orders({"customer": a, "placed": ago(1), "net": "1"})
    await bureau.add(
        StockMovement,
        *({"product_id": p, "quantity": n, "kind": "opening"} for p, n in ((chair, 10), (chair, -3), (desk, 4), (dear, 2))),
    )  # fmt: skip
    kept = [(chair, 5, None), (chair, 2, ago(1)), (lamp, 1, None)]
    await bureau.add(
        StockReservation,
        *({"product_id": p, "order_id": order, "quantity": n, "released_at": at} for p, n, at in kept),
    )
    told = await bureau.report("stock_on_hand")
    assert {r["id"]: (r["in_stock"], r["reserved"], r["available"], r["value"]) for r in told["rows"]} == {
        f"prod_{chair}": (7, 5, 2, "17.50"), f"prod_{desk}": (4, 0, 4, "40.00"),
        f"prod_{lamp}": (0, 1, -1, "0.00"), f"prod_{dear}": (2, 0, 2, "14.00"),
    }  # fmt: skip
    assert told["totals"]["value"] == {"EUR": "57.50", "USD": "14.00"}
    short = await bureau.report("stock_below_reorder")
    assert [(r["id"], r["available"], r["missing"]) for r in short["rows"]] == [(f"prod_{lamp}", -1, 1)]
    assert (await bureau.report("stock_below_reorder_level"))["rows"] == short["rows"], "under its former name"


async def test_open_issues_are_counted_by_their_age(bureau):
    (a,) = await bureau.buyers("Alpha")
    ages = (0.5, 1.9, 2.1, 7.9, 8.1, 30.9, 31.1)
    rows = [
        {
            "customer_id": a, "title": "x", "status": "open", "priority": "urgent", "opened_at": ago(days),
            "resolve_by": ago(days - 5), "type": "problem",
        }
        for days in ages
    ]  # fmt: skip
    rows += [{**rows[6], "status": "waiting", "priority": "high"}, {**rows[6], "status": "resolved"}]
    await bureau.add(Issue, *rows)
    told = await bureau.report("open_issues_by_age")
    assert [(r["age"], r["issues"], r["urgent"], r["high"], r["waiting"], r["late"]) for r in told["rows"]] == [
        ("0-1", 2, 2, 0, 0, 0), ("2-7", 2, 2, 0, 0, 1), ("8-30", 2, 2, 0, 0, 2), ("over 30", 2, 1, 1, 1, 1),
    ]  # fmt: skip
    assert told["totals"]["issues"] == told["totals"]["unassigned"] == 8


async def test_service_levels_are_kept_to_the_moment(bureau):
    (a,) = await bureau.buyers("Alpha")
    opened, answer, solution = ago(5), ago(4), ago(2)
    second = timedelta(seconds=1)
    clock = {
        "customer_id": a, "title": "x", "opened_at": opened, "respond_by": answer, "resolve_by": solution,
        "priority": "high", "status": "open", "type": "problem",
    }  # fmt: skip
    over = {**clock, "status": "resolved", "responded_at": answer}
    numbers = await bureau.add(
        Issue,
        {**over, "resolved_at": solution},
        {**over, "resolved_at": solution + second},
        {**over, "responded_at": answer + second, "resolved_at": solution - second},
        {**clock, "responded_at": opened},
        {**clock, "responded_at": opened, "resolve_by": ago(-1)},
        {**clock, "respond_by": ago(-1), "resolve_by": ago(-2)},
        {**clock, "status": "waiting", "responded_at": opened, "waiting_since": solution - second},
        {**clock, "status": "waiting", "responded_at": opened, "waiting_since": solution + second},
        {**clock, "respond_by": None, "resolve_by": None},
        {**over, "priority": "low", "resolved_at": solution},
        {**over, "opened_at": ago(200), "resolved_at": solution + second},
    )
    high, low = (await bureau.report("issues_sla"))["rows"]
    assert (high["issues"], high["answer_kept"], high["answer_breached"]) == (9, 6, 1)
    assert (high["kept"], high["breached"], high["running"]) == (2, 3, 3)
    assert (high["answer_rate"], high["rate"]) == ("85.7", "40.0")
    assert set(high["ids"]) == {f"iss_{numbers[n]}" for n in (1, 2, 3, 7)}
    assert (low["priority"], low["rate"]) == ("low", "100.0")


async def test_payments_are_added_up_by_currency_and_method(bureau):
    (a,) = await bureau.buyers("Alpha")
    first = today().replace(day=1)
    row = {
        "customer_id": a,
        "currency": "EUR",
        "amount": Decimal(100),
        "base_amount": Decimal(100),
        "received_on": first,
    }
    usd = {**row, "currency": "USD", "method": "card"}
    await bureau.add(
        Payment,
        *(
            {"method": "transfer", "allocated_total": Decimal(0), "archived_at": None, **payment}
            for payment in (
                {**row, "allocated_total": Decimal(60)},
                {**row, "amount": Decimal("0.01"), "base_amount": Decimal("0.01")},
                {**row, "received_on": first - DAY},
                {**row, "archived_at": ago(1)},
                {**usd, "base_amount": Decimal("90.50")},
                {**usd, "base_amount": None},
            )
        ),
    )
    told = await bureau.report("payments_received")
    assert [
        (r["currency"], r["method"], r["payments"], r["received"], r["allocated"], r["on_account"], r["received_base"], r["unconverted"])
        for r in told["rows"]
    ] == [
        ("EUR", "transfer", 2, "100.01", "60.00", "40.01", "100.01", 0),
        ("USD", "card", 2, "200.00", "0.00", "200.00", "90.50", 1),
    ]  # fmt: skip
    assert told["totals"]["received"] == {"EUR": "100.01", "USD": "200.00"}
    assert told["totals"]["received_base"] == "190.51"


async def test_quotes_are_won_lost_expired_and_open(bureau):
    (a,) = await bureau.buyers("Alpha")
    row = {
        "customer_id": a, "currency": "EUR", "tax_total": Decimal(0), "quoted_at": ago(10), "valid_until": today(),
        "status": "open",
    }  # fmt: skip
    values = (
        ("accepted", None, 100, 0), ("accepted", None, 50, 0), ("declined", "Price", 30, 0), ("declined", "Price ", 30, 0),
        ("declined", "Late", 40, 0), ("open", None, 250, -1), ("open", None, 70, 0),
    )  # fmt: skip
    await bureau.add(
        Quote,
        *(
            {
                **row, "status": status, "lost_reason": why, "valid_until": today() + more * DAY,
                "net_total": Decimal(n), "gross_total": Decimal(n), "base_total": Decimal(n),
            }
            for status, why, n, more in values
        ),
    )  # fmt: skip
    told = await bureau.report("quotes_won_lost")
    assert [(r["outcome"], r.get("reason"), r["quotes"], r["value"], r.get("rate"), r.get("value_rate")) for r in told["rows"]] == [
        ("won", None, 2, "150.00", "33.3", "30.0"), ("lost", "Price", 2, "60.00", "33.3", "12.0"),
        ("lost", "Late", 1, "40.00", "16.7", "8.0"), ("expired", None, 1, "250.00", "16.7", "50.0"),
        ("open", None, 1, "70.00", None, None),
    ]  # fmt: skip


async def test_tasks_fall_due_by_the_orgs_day(bureau):
    boss = bureau.people[bureau.boss]
    days = (-1, 0, 1, 7, 8)
    rows = [
        {"title": "x", "assignee_id": boss, "due_on": today() + n * DAY, "status": "open", "priority": "normal"}
        for n in days
    ]
    rows += [
        {**rows[0], "due_on": None, "priority": "urgent"},
        {**rows[0], "status": "done"},
        {**rows[0], "assignee_id": None},
    ]
    numbers = await bureau.add(Task, *rows)
    mine, nobodys = (await bureau.report("tasks_due"))["rows"]
    assert mine == {
        "person": "Bo Boss", "open": 6, "overdue": 1, "today": 1, "soon": 2, "later": 1, "no_date": 1, "urgent": 1,
        "ids": [f"task_{n}" for n in numbers[:6]], "idCount": 6,
    }  # fmt: skip
    assert (nobodys["person"], nobodys["overdue"]) == ("(nobody)", 1)


def month_end(invoices, credits, payments, allocations, since, until):
    """Open items day by day: what each document added or took on its day, added up by currency."""
    added = defaultdict(Counter)
    by_id = {row["id"]: row for row in invoices}
    noted, paid = Counter(), Counter()

    def take(invoice, day, amount, kind):
        row = by_id[invoice]
        what = added[row["currency"]]
        if max(day, row["issued_on"]) < since:
            what["open_before"] -= amount
        if max(day, row["issued_on"]) <= until:
            what["open_after"] -= amount
            what["open_base"] -= amount * (row["base_total"] or 0) / row["gross_total"]
            if since <= max(day, row["issued_on"]):
                what[kind] += amount

    for row in invoices:
        take(row["id"], row["issued_on"], -row["gross_total"], "invoiced_less")
        if since <= row["issued_on"] <= until:
            added[row["currency"]]["invoiced"] += row["gross_total"]
            added[row["currency"]]["invoiced_base"] += row["base_total"] or 0
    for row in credits:
        take(row["invoice_id"], row["issued_on"], row["gross_total"], "credited")
        noted[row["invoice_id"]] += row["gross_total"]
        if since <= row["issued_on"] <= until:
            added[row["currency"]]["credited_base"] += row["base_total"] or 0
    received_on = {row["id"]: row["received_on"] for row in payments}
    for row in allocations:
        take(row["invoice_id"], received_on[row["payment_id"]], row["amount"], "settled")
        paid[row["invoice_id"]] += row["amount"]
    for row in invoices:
        unexplained = row["paid_total"] + row["credited_total"] - paid[row["id"]] - noted[row["id"]]
        take(row["id"], row["issued_on"], unexplained, "settled")
    for row in payments:
        if since <= row["received_on"] <= until:
            added[row["currency"]]["received"] += row["amount"]
            added[row["currency"]]["received_base"] += row["base_amount"] or 0
    names = (
        "open_before",
        "invoiced",
        "credited",
        "received",
        "settled",
        "open_after",
        "invoiced_base",
        "credited_base",
    )
    kept = {c: {n: cents(what[n]) for n in (*names, "received_base", "open_base")} for c, what in added.items()}
    return {c: row for c, row in kept.items() if any(Decimal(row[n]) for n in names)}


def shown(report):
    names = (
        "open_before",
        "invoiced",
        "credited",
        "received",
        "settled",
        "open_after",
        "invoiced_base",
        "credited_base",
    )
    return {r["currency"]: {n: r[n] for n in (*names, "received_base", "open_base")} for r in report["rows"]}


async def test_month_end_is_what_the_documents_add_up_to_day_by_day(bureau):
    (a,) = await bureau.buyers("Alpha")
    first = (today().replace(day=1) - 70 * DAY).replace(day=1)
    second = (first + 32 * DAY).replace(day=1)
    third = (second + 32 * DAY).replace(day=1)
    invoices = [
        {"issued": first, "gross": "100.00", "paid": "100.00"},
        {"issued": second - DAY, "gross": "200.00", "paid": "150.00", "credited": "50.00"},
        {"issued": second, "gross": "300.30", "paid": "100.10"},
        {"issued": third - DAY, "gross": "400.00"},
        {"issued": third, "gross": "500.00", "paid": "500.00"},
        {"issued": second, "gross": "77.00", "paid": "77.00"},
        {"issued": second, "gross": "90.00", "paid": "90.00", "credited": "9.00"},
        {"issued": second, "gross": "119.00", "currency": "USD", "base": Decimal("109.37"), "paid": "19.00"},
        {"issued": third, "gross": "50.00", "currency": "USD", "base": None},
    ]
    numbers = await bureau.invoices(*({"customer": a, **row} for row in invoices))
    kept = [
        {
            "id": number, "currency": row.get("currency", "EUR"), "issued_on": row["issued"],
            "gross_total": Decimal(row["gross"]), "base_total": row["base"] if "base" in row else Decimal(row["gross"]),
            "paid_total": Decimal(row.get("paid", 0)), "credited_total": Decimal(row.get("credited", 0)),
        }
        for number, row in zip(numbers, invoices, strict=True)
    ]  # fmt: skip
    eur, usd = {"customer_id": a, "currency": "EUR"}, {"customer_id": a, "currency": "USD"}
    credits = [
        {**eur, "invoice_id": numbers[1], "gross_total": Decimal(50), "base_total": Decimal(50), "issued_on": second},
        {
            **eur,
            "invoice_id": numbers[6],
            "gross_total": Decimal(9),
            "base_total": Decimal(9),
            "issued_on": third - DAY,
        },
    ]
    await bureau.add(
        CreditNote,
        *({**row, "net_total": row["gross_total"], "tax_total": Decimal(0), "explanation": "x"} for row in credits),
    )
    payments = [
        {**eur, "amount": Decimal(250), "base_amount": Decimal(250), "received_on": second - DAY},
        {**eur, "amount": Decimal("100.10"), "base_amount": Decimal("100.10"), "received_on": third},
        {**eur, "amount": Decimal(600), "base_amount": Decimal(600), "received_on": third - DAY},
        {**eur, "amount": Decimal(90), "base_amount": Decimal(90), "received_on": second},
        {**usd, "amount": Decimal(19), "base_amount": Decimal("17.17"), "received_on": third},
    ]
    paying = await bureau.add(
        Payment, *({**row, "allocated_total": Decimal(0), "method": "transfer"} for row in payments)
    )
    payments = [{"id": number, **row} for number, row in zip(paying, payments, strict=True)]
    links = ((0, 0, "100.00"), (0, 1, "150.00"), (1, 2, "100.10"), (2, 4, "500.00"), (3, 6, "90.00"), (4, 7, "19.00"))
    allocations = [{"payment_id": paying[p], "invoice_id": numbers[i], "amount": Decimal(n)} for p, i, n in links]
    await bureau.add(PaymentAllocation, *allocations)

    for begin, end in ((first, second - DAY), (second, third - DAY), (third, today()), (first, today())):
        told = await bureau.report("month_end", **{"from": begin.isoformat(), "to": end.isoformat()})
        expected = month_end(kept, credits, payments, allocations, begin, end)
        assert shown(told) == expected, (begin, end)
    by_month = await bureau.report("month_end", month=f"{second:%Y-%m}")
    assert shown(by_month) == month_end(kept, credits, payments, allocations, second, third - DAY)
    assert by_month["totals"]["invoiced_base"] == cents(Decimal("300.30") + 400 + 77 + 90 + Decimal("109.37"))


async def test_month_end_of_the_demo_equals_its_invoices_to_the_cent(connect, home):
    import psycopg
    from psycopg.rows import dict_row

    with psycopg.connect(home.conninfo("crm_owner"), row_factory=dict_row) as conn:
        invoices, credits, payments, allocations = (
            conn.execute(
                f"select t.* from crm.{table} t join crm.orgs g on g.id = t.org_id where g.slug = 'demo' and t.archived_at is null"
            ).fetchall()
            for table in ("invoices", "credit_notes", "payments", "payment_allocations")
        )
    assert len(invoices) > 700 and len(allocations) > 700 and credits
    until = max(row["issued_on"] for row in invoices)
    months = {(until.replace(day=1) - n * 28 * DAY).replace(day=1) for n in range(0, 24, 3)}
    async with connect("fin@demo.example") as client:
        for month in sorted(months):
            asked = {"report": "month_end", "parameters": {"month": f"{month:%Y-%m}"}}
            told = (await client.call_tool("run_report", asked)).structured_content["report"]
            end = (month + 32 * DAY).replace(day=1) - DAY
            assert shown(told) == month_end(invoices, credits, payments, allocations, month, end), month
        asked = {"report": "month_end", "parameters": {"days": 0}}
        told = (await client.call_tool("run_report", asked)).structured_content["report"]
    for row in told["rows"]:
        owed = sum(
            i["gross_total"] - i["paid_total"] - i["credited_total"]
            for i in invoices
            if i["currency"] == row["currency"]
        )
        assert row["open_after"] == cents(owed)
