import pytest
from lab import LOU

from crm_mcp.crm.models import Contact

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


BERLIN, LONDON, US = "30 1234567", "20 7946 0991", "206 555 0142"


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        (f"+49 {BERLIN}", f"0{BERLIN}"),
        (f"0{BERLIN}", f"+49 {BERLIN}"),
        (f"0{BERLIN}", f"0049 {BERLIN}"),
        (f"0049-{BERLIN}", f"(0{BERLIN[:2]}) 123 45-67"),
        (f"+49 (0) {BERLIN}", f"+49 {BERLIN}"),
        (f"+49 (0){BERLIN}", f"0{BERLIN}"),
        (f"+44 {LONDON}", f"0{LONDON}"),
        (f"(0{LONDON[:2]}) 7946 0991", f"0044 {LONDON}"),
        (f"+1 {US}", f"({US[:3]}) {US[4:]}"),
        (US, f"+1 {US}"),
        (f"+49 {BERLIN}", "1234567"),
        ("123 45 67", f"+49 {BERLIN}"),
    ],
)
async def test_a_phone_number_is_found_with_its_country_code_and_without(lab, stored, typed):
    customer = await lab.customer("Numbered", phone=stored)
    bystander = await lab.customer("Numbered", phone="+49 30 7654321")
    found = {c["id"]: c for c in (await lab.ask("search_customers", {"query": typed, "limit": 50}))["customers"]}
    assert found[customer]["score"] >= 0.8, found
    assert bystander not in found


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("+49 30 9234561", "234561"),
        ("234561", "+49 30 9234561"),
        ("+49 40 9234561", "+49 30 9234561"),
        ("+44 30 9234561", "+49 30 9234561"),
        ("+49 30 9234561 9", "030 9234561"),
    ],
)
async def test_another_number_is_not_found_by_its_likeness(lab, stored, typed):
    customer = await lab.customer("Otherwise", phone=stored)
    found = (await lab.ask("search_customers", {"query": typed, "limit": 50}))["customers"]
    assert customer not in [c["id"] for c in found]


async def test_the_same_number_comes_before_one_that_ends_alike(lab):
    coded = await lab.customer("Zacharias", phone="+49 30 8887771")
    brief = await lab.customer("Zacharias", phone="8887771")
    same = await lab.customer("Zacharias", phone="030 888 77 71")
    found = (await lab.ask("search_customers", {"query": "030/8887771"}))["customers"]
    assert [(c["id"], c["matchReason"]) for c in found] == [
        (same, "same phone"),
        (coded, "phone ends alike"),
        (brief, "phone ends alike"),
    ]
    assert (found[0]["score"], [0.8 < c["score"] <= 0.9 for c in found[1:]]) == (1, [True, True])


async def test_a_contacts_phone_is_found_with_its_country_code_and_without(lab):
    customer = await lab.customer("Reached Through Ina")
    about = {"customer_id": int(customer[5:]), "name": "Ina Ilk"}
    await lab.add(Contact, {**about, "phone": "0171 5550123"}, {**about, "phone": "+49 171 5550123"})
    found = (await lab.ask("search_customers", {"query": "+49 171 5550123"}))["customers"]
    assert [(c["id"], c["matchReason"], c["score"]) for c in found] == [(customer, "phone of contact Ina Ilk", 1)]
    found = (await lab.ask("search_customers", {"query": "1715550123"}))["customers"]
    assert found[0]["matchReason"] == "phone ends like that of contact Ina Ilk"


async def test_another_orgs_number_that_ends_alike_is_not_found(lab):
    customer = await lab.customer("Ours Alone", phone="+49 30 4443331")
    told = await lab.ask("search_customers", {"query": "030 4443331"}, "sam@demo.example")
    assert customer not in [c["id"] for c in told["customers"]]
