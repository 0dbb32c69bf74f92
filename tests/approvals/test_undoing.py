"""Undo from the history: seen before it is done, approved like any draft, or refused with the remedy."""

import re

import pytest

from browser import text


@pytest.fixture
async def shipped(connect, signed_in, drafted, owner_asks):
    """An order that Mia approved and then approved as shipped; return its id and the draft of the shipping."""
    mia, first = await signed_in(), await drafted(quantity=1)
    await mia.press(first)
    order = owner_asks("select result::jsonb -> 'record' ->> 'id' from crm.drafts where id = %s", int(first[6:]))
    async with connect("sam@demo.example") as client:
        asked = {"order": order, "status": "shipped", "reason": "it left"}
        held = (await client.call_tool("update_order", asked)).structured_content["draft"]["id"]
    await mia.press(held)
    return order, held, first


def status(owner_asks, order):
    return owner_asks("select status from crm.orders where id = %s", int(order[4:]))


async def test_an_undo_is_shown_first_and_done_once_it_is_approved(signed_in, shipped, owner_asks, state):
    order, held, _ = shipped
    mia = await signed_in()
    assert status(owner_asks, order) == "shipped"
    answer = await mia.press(held, "undo", reason="It did not leave after all")
    assert answer.status_code == 303
    undo = re.search(r"draft_\d+", answer.headers["location"])[0]
    shown = text((await mia.get(f"/drafts/{undo}")).text)
    assert f"It would undo {held}" in shown and "status" in shown and "It did not leave after all" in shown
    assert status(owner_asks, order) == "shipped"
    await mia.press(undo)
    assert (state(undo), status(owner_asks, order)) == ("approved", "confirmed")


async def test_what_cannot_be_undone_is_said_with_the_remedy(signed_in, shipped, owner_asks):
    _, _, made = shipped
    answer = await (await signed_in()).press(made, "undo", reason="A mistake")
    assert answer.status_code == 409
    assert "cancel it with update_order" in text(answer.text)


async def test_an_undo_says_why_and_is_nobodys_who_did_not_do_or_approve_it(signed_in, shipped, owner_asks):
    _, held, _ = shipped
    assert (await (await signed_in()).press(held, "undo", reason=" ")).status_code == 422
    before = owner_asks("select count(*) from crm.drafts where tool = 'undo_change'")
    answer = await (await signed_in("fin@demo.example")).press(held, "undo", reason="Not mine")
    assert answer.status_code == 409
    assert owner_asks("select count(*) from crm.drafts where tool = 'undo_change'") == before
