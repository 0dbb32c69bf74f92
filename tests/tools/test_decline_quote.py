from functools import partial

import pytest
from lab import LOU
from sale import approved


@pytest.fixture
def do(lab, executor, person):
    return partial(approved, lab, executor, person)


async def test_a_declined_quote_keeps_the_reason_and_is_no_order_any_more(lab, do):
    customer, product = await lab.customer("Decliner"), await lab.product("10", 9)
    asked = {"customer": customer, "lines": [{"product": product, "quantity": 1}]}
    quote = (await do("create_quote_draft", asked))["record"]["id"]
    await do("decline_quote", {"quote": quote, "lost_reason": "Bought elsewhere"})
    (told,) = (await lab.ask("get_quotes", {"quote": quote}))["quotes"]
    assert (told["status"], told["lostReason"]) == ("declined", "Bought elsewhere")
    for tool, more in (("create_order_draft", {}), ("decline_quote", {"lost_reason": "again"})):
        refused = await lab.ask(tool, {"quote": quote, "reason": "a test", **more}, LOU)
        assert (refused["error"], refused["context"]["status"]) == ("QUOTE_DECIDED", "declined")


async def test_a_reason_of_nothing_is_refused(lab):
    told = await lab.ask("decline_quote", {"quote": "quo_1", "lost_reason": " \u200b", "reason": "a test"}, LOU)
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "lost_reason")


async def test_a_quote_that_is_not_there_is_said_so(lab):
    told = await lab.ask("decline_quote", {"quote": "quo_99999999", "lost_reason": "gone", "reason": "a test"}, LOU)
    assert told["error"] == "QUOTE_NOT_FOUND"
