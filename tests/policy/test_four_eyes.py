"""Who may approve what was drafted: both sides of each limit, in Postgres as on the page."""

from decimal import Decimal
from types import SimpleNamespace

import psycopg
import pytest
from township import STAFF, bind

from crm_mcp.authority import Asked, why_not
from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent, Role


async def drafted(town, name, price, customer=None, **more):
    told = await town.order(name, customer or await town.customer(), price, **more)
    assert told["type"] == "approval_required", told
    return told["draft"]["id"]


async def refused(town, name, draft):
    """Return why the page refuses; then see that Postgres does, whatever the page says."""
    why = (await town.show(name, draft)).may_not
    with pytest.raises(Refusal) as no:
        await town.approve(name, draft)
    assert no.value.error == "NOT_AN_APPROVER"
    amount, subject = town.one("select amount, subject from crm.drafts where id = %s", int(draft[6:]))
    with psycopg.connect(town.home.conninfo("crm_approver")) as conn:
        bind(conn, town, name, draft_id=draft[6:])
        said = "update crm.drafts set state = 'approved', amount = %s, subject = %s where org_id = %s and id = %s"
        with pytest.raises(psycopg.Error) as caught:
            conn.execute(said, (amount, subject, town.org, int(draft[6:])))
    assert caught.value.sqlstate == "42501"
    return why


async def approved(town, name, draft):
    return (await town.approve(name, draft)).state == "approved"


async def test_an_amount_at_the_limit_is_approved_and_a_cent_more_is_not(town):
    assert await approved(town, "mel", await drafted(town, "sal", "5000"))
    over = await drafted(town, "sal", "5000.01")
    assert "is over your limit of EUR 5,000.00" in await refused(town, "mel", over)
    assert await approved(town, "big", over)


async def test_what_was_approved_for_a_customer_in_a_day_counts_against_the_limit(town):
    customer = await town.customer()
    assert await approved(town, "mel", await drafted(town, "sal", "3000", customer))
    assert await approved(town, "mel", await drafted(town, "sal", "2000", customer))
    cent = await drafted(town, "sal", "0.01", customer)
    assert "with what was approved for this customer in 24 hours" in await refused(town, "mel", cent)
    assert await approved(town, "big", cent)


async def test_another_customer_another_requester_and_yesterday_do_not_count(town):
    customer = await town.customer()
    first = await drafted(town, "sal", "5000", customer)
    assert await approved(town, "mel", first)
    assert await approved(town, "mel", await drafted(town, "sal", "5000", await town.customer("Andere")))
    assert await approved(town, "mel", await drafted(town, "big", "5000", customer))
    more = await drafted(town, "sal", "1", customer)
    moved = "update crm.drafts set decided_at = clock_timestamp() - interval '24 hours' + %s::interval where id = %s"
    town.change(moved, "1 minute", int(first[6:]))
    await refused(town, "mel", more)
    town.change(moved, "-1 second", int(first[6:]))
    assert await approved(town, "mel", more)


async def test_what_an_agent_asks_for_in_a_day_is_denied_above_fifty_thousand(town):
    customer = await town.customer()
    await drafted(town, "sal", "30000", customer, agent=Agent.ORDER)
    await drafted(town, "sal", "20000", customer, agent=Agent.ORDER)
    told = await town.order("sal", customer, "0.01", agent=Agent.ORDER)
    assert (told["error"], told["context"]["hint"]) == (
        "DENIED",
        "Above 50,000 EUR an agent may not; a person may.",
    )
    assert (await town.order("sal", await town.customer("B"), "50000.01", agent=Agent.ORDER))["error"] == "DENIED"
    assert await drafted(town, "sal", "50000", await town.customer("C"), agent=Agent.ORDER)
    assert await drafted(town, "sal", "50000.01", await town.customer("D"))


async def test_without_a_rate_only_an_administrator_approves_and_with_one_the_base_amount_counts(town):
    customer = await town.customer()
    unknown = await drafted(town, "sal", "1", customer, currency="USD")
    assert "for want of an exchange rate" in (await town.show("big", unknown)).may_not
    assert await approved(town, "ann", unknown)
    await town.rate("CHF", "2")
    assert await approved(town, "mel", await drafted(town, "sal", "2500", await town.customer("B"), currency="CHF"))
    over = await drafted(town, "sal", "2500.01", await town.customer("C"), currency="CHF")
    assert "EUR 5,000.02 is over your limit" in await refused(town, "mel", over)


async def test_an_approver_approves_their_own_up_to_their_own_limit_alone(town):
    assert await approved(town, "mel", await drafted(town, "mel", "5000"))
    over = await drafted(town, "mel", "5000.01")
    await refused(town, "mel", over)
    assert await approved(town, "big", over)


async def test_in_a_team_an_approver_whose_right_lies_below_may_not_approve_their_own(another):
    """The requester's own limit counts, not only the approver's: here they are one person with nothing left."""
    lower = tuple(one._replace(limit=Decimal(0)) if one.email == "mel" else one for one in STAFF)
    town = await another().settle(lower)
    await refused(town, "mel", await drafted(town, "mel", "1"))


@pytest.mark.parametrize("solo", [False, True])
@pytest.mark.parametrize("spent", [Decimal(0), Decimal("0.01"), Decimal(5000), Decimal(10**9)])
@pytest.mark.parametrize("how", ["by them", "by their agent", "edited by them", "by another"])
def test_above_ones_own_limit_the_limit_alone_asks_for_another_person(how, spent, solo):
    """So no rule has to ask who drafted it: approver and drafter are one person, whose limit it is over.

    What was spent is never below zero: Postgres and the page add up amounts above zero alone.
    """
    limit = Decimal(5000)
    one = SimpleNamespace(user=1, role=Role.ADMIN, may_approve=True, approval_limit=limit, may_send_email=True)
    requester = 1 if how.startswith("by the") else 2
    agent = Agent.ORDER if "agent" in how else None
    editors = [1] if "edited" in how else []
    for over in (limit + Decimal("0.01"), limit + 10**6):
        asked = Asked(requester, agent, editors, over, False, False, spent, solo)
        assert "is over your limit of EUR 5,000.00" in (why_not(one, asked, "EUR") or "")
    asked = Asked(requester, agent, editors, limit, False, False, Decimal(0), solo)
    assert why_not(one, asked, "EUR") is None


async def test_of_an_unknown_amount_whoever_drafted_or_edited_it_needs_another_administrator(town):
    own = await drafted(town, "ann", "1", currency="USD")
    edited = await drafted(town, "sal", "1", await town.customer("B"), currency="USD")
    ann = await town.who("ann")
    await town.executor.edit(ann, int(edited[6:]), 1, {"comment": "by ann"}, "they called")
    for draft in (own, edited):
        assert "another administrator must approve what you drafted" in (await town.show("ann", draft)).may_not
        with pytest.raises(Refusal, match="NOT_AN_APPROVER"):
            await town.approve("ann", draft)
        assert await approved(town, "abe", draft)
    asked_by_agent = await drafted(town, "ann", "1", await town.customer("C"), currency="USD", agent=Agent.ORDER)
    assert await approved(town, "ann", asked_by_agent)


async def test_in_solo_mode_one_approves_an_unknown_amount_of_ones_own(another):
    one = await another().settle(STAFF[:1], solo=True)
    assert await approved(one, "ann", await drafted(one, "ann", "1", currency="USD"))


async def test_in_solo_mode_the_limit_still_holds(another):
    one = await another().settle((STAFF[0]._replace(limit=Decimal(100)),), solo=True)
    assert await approved(one, "ann", await drafted(one, "ann", "100"))
    assert "over your limit" in await refused(
        one, "ann", await drafted(one, "ann", "100.01", await one.customer("B"))
    )


async def test_a_draft_past_its_expiry_is_not_approved(town):
    draft = await drafted(town, "sal", "10")
    seen = (await town.show("big", draft)).hash
    town.change(
        "update crm.drafts set expires_at = clock_timestamp() + interval '1 hour' where id = %s", int(draft[6:])
    )
    assert (await town.show("big", draft)).may_not is None
    town.change("update crm.drafts set expires_at = clock_timestamp() where id = %s", int(draft[6:]))
    assert (await town.approve("big", draft, seen)).state == "expired"
