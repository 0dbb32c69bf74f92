"""A sum of quotients, rounded as the fraction that it is."""

from decimal import Decimal

from crm_mcp.money import money, summed


def test_what_lacks_its_last_digits_is_rounded_as_the_half_that_it_is() -> None:
    assert money(summed(3 * Decimal("4.2083333333333333")), "EUR").amount == "12.63"


def test_what_is_below_a_half_stays_so() -> None:
    assert money(summed(Decimal("8881.614999995647")), "USD").amount == "8881.61"


def test_the_largest_amounts_are_summed_too() -> None:
    assert summed(Decimal("99999999999999999999.995")) == Decimal("99999999999999999999.995")
