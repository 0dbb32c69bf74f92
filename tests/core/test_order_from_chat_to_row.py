"""The walking skeleton: one held order, from a chat to an approved row."""

import asyncio

import pytest

ORDER = "create_order_draft"


async def draft(client, owner_asks, quantity=2, **more):
    customer = owner_asks(
        "select 'cust_' || c.id from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo' where c.name = 'John Smith'"
    )
    product = owner_asks(
        "select 'prod_' || p.id from crm.products p join crm.orgs o on o.id = p.org_id and o.slug = 'demo'"
        " where not p.discontinued and p.currency = 'EUR' order by p.unit_price limit 1"
    )
    arguments = {
        "customer": customer,
        "lines": [{"product": product, "quantity": quantity}],
        "reason": "they asked",
        **more,
    }
    return await client.call_tool(ORDER, arguments)


def number(result):
    return int(result.structured_content["draft"]["id"].removeprefix("draft_"))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_order_is_held_and_nothing_has_changed(connect, owner_asks, mode):
    before = owner_asks("select count(*) from crm.orders")
    async with connect(mode=mode) as client:
        result = await draft(client, owner_asks, 3)
        assert not result.is_error
        body = result.structured_content
        assert body["type"] == "approval_required"
        assert body["summary"].startswith("Nothing has changed yet. It would create an order of 3 ×")
        assert body["_meta"]["waiting"] >= 1
        await client.call_tool("discard_draft", {"draft": body["draft"]["id"], "reason": "test over"})
    assert owner_asks("select count(*) from crm.orders") == before


async def test_an_approved_order_exists_once_with_its_number(connect, executor, person, owner_asks):
    mia = await person("mia@demo.example")
    async with connect() as client:
        held = number(await draft(client, owner_asks, 4))
        shown = await executor.show(mia, held)
        assert shown.may_not is None
        assert shown.stale is None
        assert shown.shown["record"]["id"] == "(new order)"
        before = owner_asks("select count(*) from crm.orders")
        outcome = await executor.approve(mia, held, shown.hash)
        assert (outcome.state, outcome.won) == ("approved", True)
        again = await executor.approve(mia, held, shown.hash)
        assert (again.state, again.won, again.result) == ("approved", False, outcome.result)
        assert owner_asks("select count(*) from crm.orders") == before + 1
        told = (await client.call_tool("get_draft", {"draft": f"draft_{held}"})).structured_content
        assert told["draft"]["state"] == "approved"
        assert told["draft"]["result"] == outcome.result["record"]["id"]
        assert told["_meta"]["decided"][0]["draft"] == f"draft_{held}"
        order = int(told["draft"]["result"].removeprefix("ord_"))
    assert owner_asks("select number from crm.orders where id = %s", order).startswith("ORD-")
    assert owner_asks(
        "select created_by = (select id from crm.users where email = 'sam@demo.example') from crm.orders where id = %s",
        order,
    )
    moved = owner_asks(
        "select -sum(quantity) from crm.stock_reservations where order_id = %s and released_at is null", order
    )
    assert moved == -4


async def test_an_identical_pending_call_joins_the_same_draft(connect, owner_asks):
    async with connect() as client:
        first, second = await draft(client, owner_asks, 5), await draft(client, owner_asks, 5, reason="again")
        assert number(first) == number(second)
        assert second.structured_content["draft"]["alreadyWaiting"] is True
        await client.call_tool("discard_draft", {"draft": f"draft_{number(first)}", "reason": "test over"})


async def test_a_price_that_moved_makes_the_draft_stale_and_writes_nothing(
    connect, executor, person, owner_asks, home
):
    import psycopg

    mia = await person("mia@demo.example")
    async with connect() as client:
        held = number(await draft(client, owner_asks, 6))
        shown = await executor.show(mia, held)
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            conn.execute(
                "select set_config('crm.call_id', '1', true), set_config('crm.org_id', %s, true)", (str(mia.org),)
            )
            conn.execute("alter table crm.changes disable trigger guard")
            conn.execute(
                "update crm.products set unit_price = unit_price + 1 where id = (select id from crm.products where not"
                " discontinued and currency = 'EUR' and org_id = %s order by unit_price limit 1)",
                (mia.org,),
            )
            conn.execute("alter table crm.changes enable trigger guard")
        before = owner_asks("select count(*) from crm.orders")
        outcome = await executor.approve(mia, held, shown.hash)
        assert outcome.state == "stale"
        assert owner_asks("select count(*) from crm.orders") == before
        told = (await client.call_tool("get_draft", {"draft": f"draft_{held}"})).structured_content["draft"]
        assert told["state"] == "stale"
        assert "changed since" in told["decisionReason"]


async def test_two_approvers_at_once_carry_it_out_once(connect, executor, person, owner_asks):
    mia, ada = await person("mia@demo.example"), await person("ada@demo.example")
    async with connect() as client:
        held = number(await draft(client, owner_asks, 7))
        seen = (await executor.show(mia, held)).hash
        before = owner_asks("select count(*) from crm.orders")
        outcomes = await asyncio.gather(*(executor.approve(who, held, seen) for who in (mia, ada, mia, ada)))
        assert sorted(outcome.won for outcome in outcomes) == [False, False, False, True]
        assert {outcome.state for outcome in outcomes} == {"approved"}
        assert owner_asks("select count(*) from crm.orders") == before + 1


async def test_a_rejection_reaches_the_requester_with_its_reason(connect, executor, person, owner_asks):
    mia = await person("mia@demo.example")
    async with connect() as client:
        held = number(await draft(client, owner_asks, 8))
        waiting = asyncio.create_task(client.call_tool("get_draft", {"draft": f"draft_{held}", "wait_seconds": 20}))
        outcome = await executor.reject(mia, held, "too many")
        assert outcome.state == "rejected"
        told = (await waiting).structured_content["draft"]
        assert (told["state"], told["decisionReason"], told["decidedBy"]) == ("rejected", "too many", "Mia Moreau")


async def test_who_may_not_approve_is_refused_by_the_page_and_by_postgres(connect, executor, person, owner_asks):
    from crm_mcp.errors import Refusal

    sam = await person("sam@demo.example")
    async with connect() as client:
        held = number(await draft(client, owner_asks, 9))
        shown = await executor.show(sam, held)
        assert shown.may_not == "you may not approve"
        with pytest.raises(Refusal, match="NOT_AN_APPROVER"):
            await executor.approve(sam, held, shown.hash)
        assert owner_asks("select state from crm.drafts where id = %s", held) == "pending"
        await client.call_tool("discard_draft", {"draft": f"draft_{held}", "reason": "test over"})


async def test_a_hash_of_something_else_approves_nothing(connect, executor, person, owner_asks):
    from crm_mcp.errors import Refusal

    mia = await person("mia@demo.example")
    async with connect() as client:
        held = number(await draft(client, owner_asks, 10))
        with pytest.raises(Refusal, match="CHANGED_SINCE_SHOWN"):
            await executor.approve(mia, held, "0" * 64)
        assert owner_asks("select state from crm.drafts where id = %s", held) == "pending"
        await client.call_tool("discard_draft", {"draft": f"draft_{held}", "reason": "test over"})


async def test_every_call_leaves_begun_and_ended_rows(connect, owner_asks):
    async with connect() as client:
        await client.call_tool("search_customers", {"query": "smith"})
        held = number(await draft(client, owner_asks, 11))
        await client.call_tool("get_customer", {"customer": "cust_999999999"})
        await client.call_tool("discard_draft", {"draft": f"draft_{held}", "reason": "test over"})
    phases = owner_asks(
        "select jsonb_agg(p) from (select tool, array_agg(phase order by id) as p from crm.audit_log"
        " where call_id in (select call_id from crm.audit_log order by id desc limit 8) group by call_id, tool) x"
    )
    assert len(phases) == 4
    assert all(p["p"] in (["begun", "ended"], ["begun", "refused"]) for p in [{"p": p} for p in phases])


async def test_two_approvals_at_once_cannot_split_past_the_approvers_limit(connect, executor, person, owner_asks):
    from crm_mcp.errors import Refusal

    fin = await person("fin@demo.example")
    gross = owner_asks(
        "select unit_price * (1 + tax_rate / 100) from crm.products where not discontinued and currency = 'EUR'"
        " and org_id = %s order by unit_price limit 1",
        fin.org,
    )
    pieces = int(3000 / gross) + 1
    async with connect() as client:
        held = [number(await draft(client, owner_asks, pieces + extra)) for extra in (0, 1)]
        seen = [(await executor.show(fin, one)).hash for one in held]
        outcomes = await asyncio.gather(
            *(executor.approve(fin, one, hash) for one, hash in zip(held, seen, strict=True)), return_exceptions=True
        )
        approved = [o for o in outcomes if not isinstance(o, BaseException)]
        (refused,) = [o for o in outcomes if isinstance(o, Refusal)]
        assert [o.state for o in approved] == ["approved"]
        assert refused.error == "NOT_AN_APPROVER"
        assert "over your limit" in refused.hint
        states = owner_asks("select array_agg(state order by state) from crm.drafts where id = any(%s)", held)
        assert states == ["approved", "pending"]
        for one in held:
            await client.call_tool("discard_draft", {"draft": f"draft_{one}", "reason": "test over"})
