import pytest
from lab import LEA


@pytest.fixture
async def shelf(lab, owner_asks):
    if not owner_asks("select count(*) from crm.products where category = 'Shelving'"):
        for number in range(7):
            await lab.product("10", number, name=f"Shelf {number}", category="Shelving", discontinued=number == 6)


async def test_a_walk_with_cursors_has_no_gap_and_no_repeat(lab, shelf):
    async with lab.connect(LEA) as client:
        seen, asked = [], {"query": "shelving", "limit": 2}
        for _ in range(3):
            told = (await client.call_tool("search_products", asked)).structured_content
            seen += [product["name"] for product in told["products"]]
            asked["cursor"] = told["_meta"].get("nextCursor")
    assert asked["cursor"] is None
    assert sorted(seen) == [f"Shelf {n}" for n in range(6)]
    assert told["_meta"]["total"] == 6


async def test_what_is_no_longer_sold_shows_only_when_asked_for(lab, shelf):
    told = await lab.ask("search_products", {"query": "shelving", "include_discontinued": True})
    assert [p["name"] for p in told["products"] if p.get("discontinued")] == ["Shelf 6"]


async def test_stock_is_the_sum_of_movements(lab, shelf):
    told = await lab.ask("search_products", {"query": "Shelf 5"})
    assert (told["products"][0]["name"], told["products"][0]["inStock"]) == ("Shelf 5", 5)
