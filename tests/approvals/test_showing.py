"""Rows, records and texts as a person reads them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from crm_mcp.approvals.cells import moment, money, relative, zone_of
from crm_mcp.approvals.diff import changes_of, moved_of
from crm_mcp.approvals.record import record_of
from crm_mcp.approvals.text import has_hidden, label, visible


def row(table, op, before, after, number=7):
    return {"tbl": table, "key": {"id": number}, "op": op, "before": before, "after": after}


def lines(change):
    return {line.label: (line.before and line.before.text, line.after and line.after.text) for line in change.lines}


def test_a_changed_record_shows_each_field_before_and_after():
    rows = [
        row(
            "customers",
            "U",
            {"name": "Old", "credit_limit": None, "version": 1},
            {"name": "New", "credit_limit": Decimal("5000.0000"), "version": 2},
        )
    ]
    (change,) = changes_of(rows, "EUR", UTC)
    assert (change.title, change.name) == ("Change to customer", "Old · cust_7")
    assert lines(change) == {"Name": ("Old", "New"), "Credit limit": ("none", "EUR 5,000.00")}


def test_a_moved_reference_is_shown_and_technical_columns_are_not():
    rows = [row("contacts", "U", {"customer_id": 4, "updated_at": "x"}, {"customer_id": 5, "updated_at": "y"})]
    assert lines(changes_of(rows, "EUR", UTC)[0]) == {"Customer": ("cust_4", "cust_5")}


def test_a_deleted_record_shows_what_goes():
    (change,) = changes_of([row("notes", "D", {"id": 7, "org_id": 1, "body": "remember"}, None)], "EUR", UTC)
    assert (change.title, change.name) == ("Delete note", "note_7")
    assert lines(change) == {"Body": ("remember", None)}
    assert change.lines[0].before.kind == "written"


def test_ids_and_numbers_of_a_dry_run_are_not_said():
    rows = [
        row(
            "orders", "I", None, {"id": 7, "number": "ORD-1", "currency": "JPY", "gross_total": Decimal("1200.0000")}
        ),
        row("order_lines", "I", None, {"id": 8, "order_id": 7, "unit_price": Decimal("0.0125")}, 8),
    ]
    order, line = changes_of(rows, "EUR", UTC)
    assert lines(order) == {"Currency": (None, "JPY"), "Gross total": (None, "JPY 1,200")}
    assert lines(line) == {"Order": (None, "(new order)"), "Unit price": (None, "JPY 0.0125")}
    assert (order.name, order.made) == (None, None)
    done, part = changes_of(rows, "EUR", UTC, is_done=True)
    assert done.made == ("order", "ORD-1 · ord_7")
    assert part.made is None
    assert lines(part)["Order"] == (None, "ord_7")


def test_lines_become_a_table_with_their_totals():
    amount = {"amount": "10.00", "currency": "EUR"}
    line = {
        "product": "prod_1",
        "description": "Desk",
        "quantity": 5,
        "unitPrice": amount,
        "discountPercent": "0",
        "inStock": 2,
    }
    shown = record_of(
        {"id": "ord_1", "customer": {"id": "cust_1", "name": "Ann"}, "lines": [line], "gross": amount}, UTC
    )
    assert [(f.label, f.cell.text, f.cell.hint) for f in shown.fields] == [
        ("ID", "ord_1", None),
        ("Customer", "Ann", "cust_1"),
    ]
    (grid,) = shown.grids
    assert grid.columns == ["Description", "Quantity", "Unit price", "In stock"]
    assert grid.numeric == [False, True, True, True]
    assert (grid.rows[0][0].hint, grid.rows[0][1].warning) == ("prod_1", "only 2 in stock")
    assert [(t.label, t.cell.text) for t in grid.totals] == [("Gross", "EUR 10.00")]


@pytest.mark.parametrize("odd", [None, {}, [], "text", 7, [1, 2], {"a": [[]]}, {"a": {"b": {"c": 1}}}, [{"a": None}]])
def test_records_of_any_shape_are_shown_or_left_out(odd):
    record_of(odd, UTC)


def test_what_moved_is_named_by_its_place():
    was = {"record": {"gross": {"amount": "1", "currency": "EUR"}, "lines": [{"quantity": 1}]}, "did": "a"}
    now = {
        "record": {"gross": {"amount": "2", "currency": "EUR"}, "lines": [{"quantity": 1}, {"quantity": 3}]},
        "did": "b",
    }
    moved = {line.label: (line.before.text, line.after.text) for line in moved_of(was, now, UTC)}
    assert moved["Gross"] == ("EUR 1.00", "EUR 2.00")
    assert moved["Summary"] == ("a", "b")
    assert "Lines · 2" in moved


@pytest.mark.parametrize(
    "char",
    [
        "\u202e",
        "\u2066",
        "\u200b",
        "\u200d",
        "\u00ad",
        "\ufeff",
        "\u3164",
        "\U000e0041",
        "\x1b",
        "\0",
        "\u2028",
        "\ufe0f",
    ],
)
def test_hidden_characters_are_named_and_left_out(char):
    assert has_hidden(["fine", {"x": f"a{char}b"}])
    said = visible(f"a{char}b")
    assert char not in said
    assert f"U+{ord(char):04X}" in said


@pytest.mark.parametrize(
    "fine", ["Müller & Söhne", "株式会社桜ホテル", "שלום", "👩‍💻 ❤️", "line\nline\ttab", "naïve – “quoted” 1 000"]
)
def test_honest_text_stays_as_it_is(fine):
    assert not has_hidden(fine)
    assert "hidden-char" not in visible(fine)


def test_times_money_and_names_are_said_as_people_say_them():
    now = datetime(2025, 11, 4, 13, 5, tzinfo=UTC)
    assert moment(now, zone_of("Europe/Berlin")) == "Tue 4 Nov 2025, 14:05 CET"
    assert zone_of("No/Where") is UTC
    assert zone_of("../../etc/passwd") is UTC
    assert [relative(now + timedelta(minutes=m), now) for m in (-1500, -60, 0, 1, 90, 1439, 4320)] == [
        "25 hours ago", "60 minutes ago", "just now", "in 1 minute", "in 2 hours", "in 24 hours", "in 3 days",
    ]  # fmt: skip
    assert money("1240", "EUR") == "EUR 1,240.00"
    assert money(Decimal("12.3456"), "EUR") == "EUR 12.3456"
    assert [money(odd, "EUR") for odd in ("NaN", "1E+999999", "x")] == ["EUR NaN", "EUR 1E+999999", "EUR x"]
    assert [label(name) for name in ("unitPrice", "gross_total", "sku", "discountPercent")] == [
        "Unit price", "Gross total", "SKU", "Discount %",
    ]  # fmt: skip
