"""The changes of one call on the page: one entry in the queue, each decided by itself or all that one may together."""

import itertools

import pytest

from browser import hidden, text

_TURN = itertools.count(1)


@pytest.fixture
def proposed(connect):
    """Have organizations proposed in one call; return the group's address and the drafts."""

    async def make(*names, email="sam@demo.example", more=()):
        changes = [
            {"proposed_action": "create", "entity_type": "Organization", "data": {"name": name}} for name in names
        ]
        asked = {
            "changes": [*changes, *more],
            "reason": "found at the fair",
            "idempotency_key": f"group-{next(_TURN)}",
        }
        async with connect(email) as client:
            told = (await client.call_tool("propose_changes", asked)).structured_content
        return f"/groups/{told['group']}", [item["draft"]["id"] for item in told["items"] if "draft" in item]

    return make


def fields(shown, action):
    """Return the hidden fields of the form that posts to an address."""
    form = shown.partition(f'action="{action}"')[2].partition("</form>")[0]
    return hidden(form)


async def test_the_queue_shows_the_changes_of_a_call_as_one_entry(signed_in, proposed):
    address, drafts = await proposed("Queue One", "Queue Two", "Queue Three")
    mia = await signed_in()
    shown = (await mia.get("/?q=Queue+One")).text
    shown = (await mia.get("/?kind=propose_changes")).text
    assert shown.count(f'href="{address}"') == 1
    assert "3 changes" in text(shown)
    said = text(shown).replace(" ;", ";")
    assert "create the organization Queue One; create the organization Queue Two; and 1 more" in said
    assert not any(f'href="/drafts/{draft}"' in shown for draft in drafts)
    alone = (await mia.get(f"/drafts/{drafts[1]}")).text
    assert f'href="{address}"' in alone


async def test_each_is_approved_or_rejected_by_itself_and_one_comes_back_to_the_group(signed_in, proposed, state):
    address, (wanted, unwanted, left) = await proposed("Each One", "Each Two", "Each Three")
    mia = await signed_in()
    shown = (await mia.get(address)).text
    assert "3 changes proposed together" in text(shown) and "3 of 3 wait" in text(shown)
    for name in ("Each One", "Each Two", "Each Three"):
        assert f"It would create the organization {name}" in text(shown)
    answer = await mia.post(f"/drafts/{wanted}/approve", fields(shown, f"/drafts/{wanted}/approve"))
    assert answer.status_code == 303 and answer.headers["location"] == address
    form = fields(shown, f"/drafts/{unwanted}/reject")
    answer = await mia.post(f"/drafts/{unwanted}/reject", {**form, "reason": "not ours"})
    assert answer.headers["location"] == address
    assert [state(draft) for draft in (wanted, unwanted, left)] == ["approved", "rejected", "pending"]
    shown = text((await mia.get(address)).text)
    assert "1 of 3 waits" in shown and "Done: create the organization Each One" in shown


async def test_all_that_one_may_are_approved_once_their_number_is_confirmed(signed_in, proposed, state, owner_asks):
    address, drafts = await proposed("All One", "All Two", "All Three")
    mia = await signed_in()
    shown = (await mia.get(address)).text
    form = fields(shown, f"{address}/approve")
    assert (await mia.post(f"{address}/approve", {**form, "count": "2"})).status_code == 422
    assert {state(draft) for draft in drafts} == {"pending"}
    done = await mia.post(f"{address}/approve", {**form, "count": "3"})
    assert done.status_code == 200 and {state(draft) for draft in drafts} == {"approved"}
    assert text(done.text).count("approved") >= 3
    assert owner_asks("select count(*) from crm.organizations where name like 'All %%'") == 3


async def test_one_that_moved_meanwhile_stops_no_other(signed_in, proposed, state):
    address, drafts = await proposed("Moved One", "Moved Two", "Moved Three")
    mia, ada = await signed_in(), await signed_in("ada@demo.example")
    shown = (await mia.get(address)).text
    form = await ada.form(drafts[1], "reject")
    await ada.post(f"/drafts/{drafts[1]}/reject", {**form, "reason": "Not this one"})
    done = await mia.post(f"{address}/approve", {**fields(shown, f"{address}/approve"), "count": "3"})
    assert done.status_code == 200
    assert [state(draft) for draft in drafts] == ["approved", "rejected", "approved"]


async def test_a_form_of_one_group_approves_nothing_of_another(signed_in, proposed, state):
    address, drafts = await proposed("Mine One", "Mine Two")
    other, others = await proposed("Other One", "Other Two")
    mia = await signed_in()
    form = fields((await mia.get(other)).text, f"{other}/approve")
    assert (await mia.post(f"{address}/approve", {**form, "count": "2"})).status_code == 400
    assert (await mia.post(f"{address}/approve/options", {**form, "count": "2"})).status_code == 400
    assert {state(draft) for draft in (*drafts, *others)} == {"pending"}


async def test_who_may_not_approve_sees_their_own_group_and_nobody_elses(signed_in, proposed):
    address, _ = await proposed("Own One", "Own Two")
    sam, sue, otto = [await signed_in(f"{name}@demo.example") for name in ("sam", "sue")] + [
        await signed_in("otto@other.example")
    ]
    shown = (await sam.get(address)).text
    assert "Own One" in shown and "Approve all" not in shown
    for stranger in (sue, otto):
        assert (await stranger.get(address)).status_code == 404


@pytest.mark.parametrize("call", ["0", "1", "x", "01", "9" * 19, "9" * 40, "1%20", "-1"])
async def test_a_group_that_there_is_not_is_not_found(signed_in, call):
    assert (await (await signed_in()).get(f"/groups/{call}")).status_code == 404


async def test_what_an_agent_wrote_does_not_speak_for_the_page(signed_in, proposed):
    address, _ = await proposed("<script>alert(1)</script>", "A\u202eevil")
    shown = (await (await signed_in()).get(address)).text
    assert "<script>alert" not in shown and "U+202E" in shown


async def test_each_says_where_its_values_come_from(signed_in, proposed):
    more = [
        {
            "proposed_action": "create",
            "entity_type": "Organization",
            "data": {"name": f"Sourced {at}", "city": "Sète"},
            "source": source,
        }
        for at, source in enumerate(("LinkedIn search", "<b>the fair</b>"))
    ]
    address, _ = await proposed("Unsourced", more=more)
    html = (await (await signed_in()).get(address)).text
    assert text(html).count("Its values come from") == 2
    assert "Its values come from “ LinkedIn search ”, says" in text(html)
    assert "&lt;b&gt;the fair&lt;/b&gt;" in html and "<b>the fair</b>" not in html
