import pytest
from lab import LOU

NAME = "Żółw & Größe Möbelhaus GmbH"


@pytest.fixture
async def turtle(lab, owner_asks):
    known = owner_asks("select 'cust_' || id from crm.customers where name = %s", NAME)
    if known is None:
        contact = {"email": "info@zolw.example", "phone": "+49 30 555 0199", "domain": "zolw.example"}
        known = await lab.customer(NAME, **contact)
    return known


@pytest.mark.parametrize(
    "query",
    ["Żółw & Größe Möbelhaus GmbH", "zolw grosse mobelhaus", "ZOLW GROSSE MOBELHAUS LTD", "Zolw Grosse Moblehaus", "mobelhaus", "Möbelhaus Größe Żółw",
     "info@zolw.example", " INFO@ZOLW.EXAMPLE ", "+49 30 555 0199", "0049305550199", "+49 (30) 555-0199", "www.zolw.example", "https://zolw.example"],
)  # fmt: skip
async def test_a_customer_is_found_by_what_somebody_knows_of_them(lab, turtle, query):
    found = (await lab.ask("search_customers", {"query": query}, LOU))["customers"]
    assert found[0]["id"] == turtle, found
    assert found[0]["name"] == NAME


async def test_an_id_is_found_exactly(lab, turtle):
    found = (await lab.ask("search_customers", {"query": f" {turtle} "}, LOU))["customers"]
    assert [(c["id"], c["matchReason"]) for c in found] == [(turtle, "same id")]


async def test_nobody_is_said_helpfully(lab):
    told = await lab.ask("search_customers", {"query": "qqqqqqqqxyz"})
    assert told["customers"] == []
    assert "Try a part of the name" in told["_meta"]["hint"]


async def test_more_than_asked_for_is_said(lab):
    for number in range(3):
        await lab.customer(f"Twin Peaks {number}")
    told = await lab.ask("search_customers", {"query": "twin peaks", "limit": 2})
    assert len(told["customers"]) == 2
    assert told["_meta"]["hasMore"] is True
