"""Personal data is taken out of what is remembered, and what only looks like it is left."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_mcp.memory.redaction import KINDS, redact, redact_throughout, region_of


@pytest.mark.parametrize(
    ("text", "left", "kind"),
    [
        ("Write to ann.o'neil+crm@mail.example.co.uk first.", "Write to [e-mail] first.", "e-mail"),
        ("jürgen@müller.example", "[e-mail]", "e-mail"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN [IBAN] please", "IBAN"),
        ("gb82west12345698765432", "[IBAN]", "IBAN"),
        ("NO93 8601 1117 947.", "[IBAN].", "IBAN"),
        ("card 4111 1111 1111 1111, exp 12/30", "card [card], exp 12/30", "card"),
        ("5500-0000-0000-0004", "[card]", "card"),
        ("378282246310005", "[card]", "card"),
        ("his number is 536-90-4399", "his number is [SSN]", "SSN"),
        ("from 192.168.10.4.", "from [IP address].", "IP address"),
        ("2001:db8::8a2e:370:7334 or ::1", "[IP address] or [IP address]", "IP address"),
        ("call +49 30 901820 today", "call [phone] today", "phone"),
        ("+1 (415) 867-5309", "[phone]", "phone"),
        ("Tel. +44 20 7946 0958;", "Tel. [phone];", "phone"),
    ],
)
def test_what_names_a_person_is_taken_out(text, left, kind):
    assert redact(text) == (left, (kind,))


def test_a_national_number_is_found_where_it_is_dialled():
    assert redact("call 030 901820 today") == ("call 030 901820 today", ())
    assert redact("call 030 901820 today", "DE") == ("call [phone] today", ("phone",))


@pytest.mark.parametrize(
    "text",
    [
        "When I say pending, include drafts.",
        "order ORD-00806 of cust_140, invoice INV-00773",
        "4111 1111 1111 1112 is one digit off",
        "DE89 3704 0044 0532 0130 01 is one digit off",
        "000-12-3456 and 666-12-3456 were never given out",
        "version 1.2.3.400 of 2026-11-30, at 10:22:20",
        "EUR 1,234,567.89 and 12.345.678,90 EUR",
        "Foo::bar is no address, nor is 10:22:20",
        "user@localhost",
        "12345678901234567890123",
        "日本語のメモ — naïve façade",
    ],
)
def test_what_only_looks_like_it_is_left(text):
    assert redact(text, "DE") == (text, ())


def test_all_kinds_are_named_once_in_a_fixed_order():
    text = "+49 30 901820 536-90-4399 10.0.0.1 4111111111111111 DE89370400440532013000 a@b.example c@d.example"
    left = redact(text)
    assert left.kinds == KINDS
    assert not any(c.isdigit() for c in left.text) and "@" not in left.text


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_taken_and_what_is_redacted_stays_so(text):
    once = redact(text, "US")
    assert redact(once.text, "US").text == once.text


def test_a_long_hostile_text_takes_no_longer_than_its_length():
    for text in ("a@" * 5_000, "1 " * 5_000, "DE89" * 2_500, ":" * 10_000, "1." * 5_000, "+" * 10_000):
        redact(text[:10_000], "US")


def test_a_zone_is_of_a_country_or_of_none():
    assert (region_of("Europe/Berlin"), region_of("America/New_York"), region_of("UTC")) == ("DE", "US", None)


def test_personal_data_is_taken_out_of_every_text_in_a_value_and_nothing_else_is_touched():
    value = {"a": ["x a@b.example", 3, None], "b": {"c": "030 901820"}, "d": True}
    left, kinds = redact_throughout(value, "DE")
    assert left == {"a": ["x [e-mail]", 3, None], "b": {"c": "[phone]"}, "d": True}
    assert kinds == ("e-mail", "phone") and value["a"][0] == "x a@b.example"
