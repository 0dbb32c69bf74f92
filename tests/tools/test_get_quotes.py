from functools import partial

import pytest
from lab import LEA, LOU, LUX
from sale import approved


@pytest.fixture
async def made(lab, executor, person):
    do = partial(approved, lab, executor, person)
    customer, product = await lab.customer("Asker"), await lab.product("10", 9)
    asked = {"customer": customer, "lines": [{"product": product, "quantity": 1}]}
    quotes = [(await do("create_quote_draft", {**asked, "comment": f"number {n}"}))["record"]["id"] for n in range(3)]
    return customer, quotes


async def test_quotes_of_a_customer_come_newest_first_page_by_page(lab, made):
    customer, quotes = made
    async with lab.connect(LEA) as client:

        async def ask(**more):
            return (
                await client.call_tool("get_quotes", {"customer": customer, "limit": 2, **more})
            ).structured_content

        first = await ask()
        rest = await ask(cursor=first["_meta"]["nextCursor"])
    assert [q["id"] for q in first["quotes"]] == quotes[:0:-1]
    assert first["_meta"]["total"] == 3
    assert [q["id"] for q in rest["quotes"]] == quotes[:1] and "nextCursor" not in rest["_meta"]


async def test_one_quote_shows_its_lines_and_comment_to_support_too(lab, made):
    told = (await lab.ask("get_quotes", {"quote": made[1][1]}, LUX))["quotes"]
    assert [(q["comment"], q["lines"][0]["quantity"]) for q in told] == [("number 1", 1)]


async def test_a_quote_that_is_not_there_is_said_so(lab, made):
    assert (await lab.ask("get_quotes", {"quote": "quo_99999999"}))["error"] == "QUOTE_NOT_FOUND"


async def test_quotes_are_found_by_what_became_of_them(lab, made, executor, person):
    customer, quotes = made
    declined = {"quote": quotes[0], "lost_reason": "Too dear"}
    await approved(lab, executor, person, "decline_quote", declined, LOU)
    ask = partial(lab.ask, "get_quotes")
    assert [q["id"] for q in (await ask({"customer": customer, "status": "declined"}))["quotes"]] == quotes[:1]
    assert len((await ask({"customer": customer, "status": "open"}))["quotes"]) == 2
    assert (await ask({"customer": customer, "status": "expired"}))["quotes"] == []
