from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from lab import LEA, LOU, ago


@pytest.fixture
async def buyer(lab):
    customer = await lab.customer("Buyer")
    placed = ago(10)
    for number in range(7):
        # Three at the very same instant: the id decides.
        await lab.order(customer, "10", placed + timedelta(days=max(0, number - 2)))
    return customer


async def test_a_walk_with_cursors_has_no_gap_and_no_repeat(lab, buyer):
    async with lab.connect(LEA) as client:
        seen, asked = [], {"customer": buyer, "limit": 2}
        for _ in range(4):
            told = (await client.call_tool("get_orders", asked)).structured_content
            seen += [order["id"] for order in told["orders"]]
            assert told["_meta"]["total"] == 7
            asked["cursor"] = told["_meta"].get("nextCursor")
        whole = (await client.call_tool("get_orders", {"customer": buyer})).structured_content["orders"]
        assert seen == [order["id"] for order in whole]
        assert len(set(seen)) == 7
        assert asked["cursor"] is None


async def test_a_cursor_of_another_filter_or_person_is_refused(lab, buyer):
    async with lab.connect(LEA) as client, lab.connect(LOU) as other:
        other.app.cursors = client.app.cursors
        cursor = (await client.call_tool("get_orders", {"customer": buyer, "limit": 2})).structured_content["_meta"][
            "nextCursor"
        ]
        for asker, asked in (
            (client, {"limit": 2, "cursor": cursor}),
            (client, {"customer": buyer, "status": "completed", "cursor": cursor}),
            (client, {"customer": buyer, "cursor": cursor[:-2] + "xx"}),
            (other, {"customer": buyer, "limit": 2, "cursor": cursor}),
        ):
            assert (await asker.call_tool("get_orders", asked)).structured_content["error"] == "INVALID_CURSOR"


async def test_days_are_those_of_the_orgs_zone(lab):
    customer = await lab.customer("Midnight")
    zone = ZoneInfo("Pacific/Kiritimati")
    first = await lab.order(customer, "1", datetime(2026, 3, 2, 0, 0, tzinfo=zone))
    last = await lab.order(customer, "2", datetime(2026, 3, 2, 23, 59, 59, tzinfo=zone))
    await lab.order(customer, "3", datetime(2026, 3, 3, 0, 0, tzinfo=zone))
    await lab.order(customer, "4", datetime(2026, 3, 1, 23, 59, 59, tzinfo=zone))
    told = await lab.ask("get_orders", {"customer": customer, "placed_from": "2026-03-02", "placed_to": "2026-03-02"})
    assert [order["id"] for order in told["orders"]] == [last, first]


async def test_a_status_filters(lab, buyer):
    cancelled = await lab.order(buyer, "5", ago(1), "cancelled")
    told = await lab.ask("get_orders", {"customer": buyer, "status": "cancelled"})
    assert [order["id"] for order in told["orders"]] == [cancelled]
