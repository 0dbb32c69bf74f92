"""The demo's records before any database: the same for everybody, and true to their own rules."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest

from crm_mcp.demo import desk, scene
from crm_mcp.demo.scene import Scene
from crm_mcp.money import rounded

TODAY = date(2026, 11, 21)
MONEY = ("net_total", "tax_total", "gross_total", "net_amount", "tax_amount", "paid_total")

CLOCK = ("opened_at", "responded_at", "waiting_since", "resolved_at", "closed_at")
ENDS = ("completed_at", "cancelled_at")
QUOTED = ("quoted_at", "decided_at")


@pytest.fixture(scope="module")
def demo() -> Scene:
    return scene.demo(TODAY)


def test_the_same_day_gives_the_same_records(demo: Scene) -> None:
    assert scene.demo(TODAY) == demo
    assert scene.other(TODAY) == scene.other(TODAY)


def test_another_day_moves_the_dates_and_keeps_the_rest(demo: Scene) -> None:
    later = scene.demo(TODAY + timedelta(days=400))

    assert [party.customer for party in later.parties] == [party.customer for party in demo.parties]
    assert Counter(deal.customer for deal in later.deals) == Counter(deal.customer for deal in demo.deals)
    moved = [
        a.order["placed_at"].date() - b.order["placed_at"].date()
        for a, b in zip(later.deals, demo.deals, strict=True)
    ]
    assert {days.days for days in moved} <= {399, 400, 401}


def test_nothing_happens_today_or_later(demo: Scene) -> None:
    moments = [deal.order["placed_at"] for deal in demo.deals]
    moments += [deal.order["shipped_at"] for deal in demo.deals if deal.order["shipped_at"]]
    moments += [row["happened_at"] for _, row in demo.activities]
    moments += [moment for case in demo.cases for name in CLOCK if (moment := case.issue[name])]
    moments += [moment for deal in demo.deals for name in ENDS if (moment := deal.order[name])]
    moments += [moment for made in demo.quotations for name in QUOTED if (moment := made.quote[name])]
    moments += [row["completed_at"] for _, _, row in demo.tasks if row["completed_at"]]
    moments += [stop.at for way in demo.selling.journeys for stop in way.stops]
    moments += [touch["happened_at"] for way in demo.selling.journeys for touch in way.touches]

    assert max(moments).date() < TODAY
    assert max(made.payment["received_on"] for made in demo.receipts) < TODAY
    assert max(credit.note["issued_on"] for credit in demo.credits) < TODAY
    assert min(deal.order["placed_at"] for deal in demo.deals).date() >= TODAY - timedelta(days=730)


def test_there_are_as_many_records_as_promised(demo: Scene) -> None:
    assert (len(demo.parties), len(demo.goods), len(demo.deals)) == (240, 60, 900)
    assert {len(party.contacts) for party in demo.parties} == {1, 2, 3}
    assert {party.customer["kind"] for party in demo.parties} == {"organization", "person"}
    assert len({party.customer["country"] for party in demo.parties}) == 13


def test_amounts_add_up_within_minor_units(demo: Scene) -> None:
    for deal in demo.deals:
        order = deal.order
        assert order["net_total"] == sum(line["net_amount"] for line in deal.lines)
        assert order["tax_total"] == sum(line["tax_amount"] for line in deal.lines)
        assert order["gross_total"] == order["net_total"] + order["tax_total"]
        for row in (order, *deal.lines, deal.invoice or {}):
            for name in MONEY:
                assert name not in row or rounded(row[name], order["currency"]) == row[name]
        assert rounded(order["base_total"], "EUR") == order["base_total"]


def test_an_order_in_dollars_is_worth_its_days_rate_in_euros(demo: Scene) -> None:
    imported = [deal.order for deal in demo.deals if deal.order["currency"] == "USD"]

    assert len(imported) > 20
    middle = TODAY - timedelta(days=365)
    for order in imported:
        rate = Decimal("0.9182") if order["placed_at"].date() >= middle else Decimal("0.9415")
        assert order["base_total"] == rounded(order["gross_total"] * rate, "EUR")


def test_few_customers_place_most_orders(demo: Scene) -> None:
    largest = Counter(deal.customer for deal in demo.deals).most_common(24)

    assert sum(count for _, count in largest) > 450


def test_some_invoices_are_overdue_and_most_are_paid(demo: Scene) -> None:
    invoices = [deal.invoice for deal in demo.deals if deal.invoice]
    paid = [row for row in invoices if row["paid_total"] == row["gross_total"]]
    overdue = [row for row in invoices if row["paid_total"] < row["gross_total"] and row["due_on"] < TODAY]

    assert len(paid) > len(invoices) * 0.8
    assert 20 < len(overdue) < 80
    assert min(row["number"] for row in invoices) == "INV-00001"
    assert len({row["number"] for row in invoices}) == len(invoices)


def test_john_smith_owes_money_and_ordered_lately(demo: Scene) -> None:
    (number,) = [at for at, party in enumerate(demo.parties) if party.customer["name"] == "John Smith"]
    deals = [deal for deal in demo.deals if deal.customer == number]

    assert demo.parties[number].customer["kind"] == "person"
    assert any(deal.order["placed_at"].date() > TODAY - timedelta(days=7) for deal in deals)
    owed = [deal.invoice for deal in deals if deal.invoice and deal.invoice["due_on"] < TODAY]
    assert sum(row["paid_total"] < row["gross_total"] for row in owed) == 2
    assert "J. Smith Inc" in {party.customer["name"] for party in demo.parties}


def test_every_amount_paid_came_in_by_payments_on_plausible_days(demo: Scene) -> None:
    came: Counter[int] = Counter()
    for receipt in demo.receipts:
        payment = receipt.payment
        assert payment["allocated_total"] == sum(amount for _, amount in receipt.allocations) <= payment["amount"]
        for at, amount in receipt.allocations:
            deal = demo.deals[at]
            assert deal.invoice and deal.customer == receipt.customer
            assert deal.invoice["currency"] == payment["currency"]
            assert 0 <= (payment["received_on"] - deal.invoice["issued_on"]).days <= 60
            came[at] += amount  # type: ignore[assignment]
    paid = {at: deal.invoice["paid_total"] for at, deal in enumerate(demo.deals) if deal.invoice}

    assert dict(came) == {at: amount for at, amount in paid.items() if amount}
    assert sum(not receipt.allocations for receipt in demo.receipts) == 5


def test_credited_invoices_are_settled_by_what_was_paid(demo: Scene) -> None:
    assert 5 < len(demo.credits) < 20
    for credit in demo.credits:
        bill = demo.deals[credit.deal].invoice
        assert bill and bill["paid_total"] + bill["credited_total"] == bill["gross_total"]
        assert bill["credited_total"] == credit.note["gross_total"]
        assert credit.note["issued_on"] > bill["issued_on"]


def test_quotes_are_open_expired_declined_with_a_reason_or_became_their_order(demo: Scene) -> None:
    kinds = Counter(
        "expired" if quote["status"] == "open" and quote["valid_until"] < TODAY else quote["status"]
        for quote in (made.quote for made in demo.quotations)
    )
    assert len(demo.quotations) == 80 and set(kinds) == {"open", "expired", "declined", "accepted"}
    assert min(kinds.values()) > 8
    for made in demo.quotations:
        assert (made.quote["status"] == "declined") == bool(made.quote["lost_reason"])
        assert (made.quote["status"] == "accepted") == (made.deal is not None)
        if made.deal is not None:
            order = demo.deals[made.deal].order
            assert order["status"] != "cancelled" and order["net_total"] == made.quote["net_total"]
            assert made.quote["quoted_at"] < order["placed_at"] == made.quote["decided_at"]


def test_orders_say_when_they_ended(demo: Scene) -> None:
    for order in (deal.order for deal in demo.deals):
        assert (order["status"] == "completed") == bool(order["completed_at"])
        assert (order["status"] == "cancelled") == bool(order["cancelled_at"]) == bool(order["cancel_reason"])
        assert not order["completed_at"] or order["completed_at"] > order["shipped_at"]


def test_issues_were_resolved_in_time_and_late_and_are_about_what_was_bought(demo: Scene) -> None:
    over = [case.issue for case in demo.cases if case.issue["resolved_at"]]
    late = sum(issue["resolved_at"] > issue["resolve_by"] for issue in over)

    assert 10 < late < len(over) / 2
    assert all(bool(c.issue["resolved_at"]) == (c.issue["status"] in ("resolved", "closed")) for c in demo.cases)
    for case in demo.cases:
        if case.deal is not None:
            deal = demo.deals[case.deal]
            assert deal.customer == case.customer and deal.order["shipped_at"] < case.issue["opened_at"]
            assert case.product is None or case.product in {line["product_id"] for line in deal.lines}
    assert sum(case.issue["warranty_until"] is not None for case in demo.cases) > 20


def test_everybody_has_tasks_and_some_are_overdue(demo: Scene) -> None:
    overdue = [row for _, _, row in demo.tasks if row["status"] == "open" and row["due_on"] < TODAY]

    assert len(demo.tasks) == 120 and 10 < len(overdue) < 40
    assert {email for _, email, _ in demo.tasks} == {member.email for member in demo.org.members}


def test_the_books_are_closed_through_the_month_before_last(demo: Scene) -> None:
    assert demo.settings["books_closed_through"] == date(2026, 9, 30)
    assert scene.demo(date(2027, 1, 31)).settings["books_closed_through"] == date(2026, 11, 30)
    assert {row["zone"] for row in demo.taxes} == {"domestic", "eu_business", "export"}


def test_stock_is_short_of_some_products_and_one_is_no_longer_sold(demo: Scene) -> None:
    assert [good.discontinued for good in demo.goods].count(True) == 1
    assert 3 <= sum(good.stock < good.reorder for good in demo.goods) <= 12
    assert [good.currency for good in demo.goods].count("USD") == 2
    assert len({good.sku for good in demo.goods}) == 60


def test_one_note_carries_a_planted_instruction(demo: Scene) -> None:
    (at,) = [at for at, row in demo.notes if row["body"] == desk.PLANTED]

    assert demo.parties[at].customer["name"] == "J. Smith Inc"


def test_no_address_of_the_demo_reaches_anybody(demo: Scene) -> None:
    rows = [{"email": demo.settings["sender_email"]}, *(party.customer for party in demo.parties)]
    rows += [row for party in demo.parties for row in party.contacts]

    assert all(row["email"] is None or row["email"].endswith(".example") for row in rows)
    assert all(row["email"] is None or row["email"].isascii() for row in rows)


def test_the_neighbour_has_namesakes_of_the_demos_customers(demo: Scene) -> None:
    neighbour = scene.other(TODAY)
    names = {party.customer["name"] for party in neighbour.parties}

    assert (len(neighbour.parties), len(neighbour.deals)) == (40, 100)
    assert "John Smith" in names
    assert len(names & {party.customer["name"] for party in demo.parties}) >= 10


@pytest.mark.parametrize("today", [TODAY, date(2026, 11, 30), date(2027, 1, 1), date(2028, 2, 29)])
def test_every_way_through_a_pipeline_goes_forward_in_time_and_is_over_by_yesterday(today: date) -> None:
    for made in (scene.demo(today), scene.other(today)):
        for way in made.selling.journeys:
            moments = [stop.at for stop in way.stops]
            assert moments == sorted(set(moments))
            assert moments[-1].date() < today


def test_the_sales_pipeline_has_the_stories_that_people_ask_for(demo: Scene) -> None:
    sold, leads = demo.selling, demo.selling.leads
    status = Counter(row["status"] for _, _, row in sold.deals)
    assert status["won"] >= 30 and status["lost"] >= 30 and status["open"] >= 25
    held_up = [
        way
        for way in sold.journeys
        if way.deal is not None and not way.place["closed_at"] and way.place["risk_factors"]
    ]
    late = [sold.deals[way.deal][2] for way in held_up if way.deal is not None]
    assert sum(row["amount"] for row in late if row["expected_close_on"] < TODAY) >= 250_000
    qualified = [part for _, row, kind, part in leads if row["status"] == "qualified" and kind == "opportunity"]
    assert (len(qualified), sum(part["budget_confirmed"] is None for part in qualified)) == (12, 4)
    jobs = [(row["status"], part["role"]) for _, row, kind, part in leads if kind == "job"]
    assert len(jobs) == 15 and sum(status == "interview" for status, _ in jobs) >= 4
