import math
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from bureau import Bureau
from history import History, ago
from lab import LUX

from crm_mcp.crm import likeness
from crm_mcp.crm.models import Customer, CustomerParty, Deal, Job, Lead, Organization
from crm_mcp.tools.customers import find_similar_customers


async def similar(bureau, record, **asked):
    found = await bureau.ask("find_similar_customers", {"record": record, "limit": 20, **asked})
    return {one["record"]["name"]: one for one in found["similar"]}, found["_meta"]


def test_words_are_alike_whatever_their_case_and_numbers_by_their_ratio():
    weights = {"segment": 1.0, "size": 1.0}
    whole, parts = likeness.compare({"segment": "Retail", "size": 100}, {"segment": " retail ", "size": 10}, weights)
    assert whole == 0.5
    assert parts == [
        {"attribute": "segment", "similarity": 1.0, "contribution": 0.5},
        {"attribute": "size", "similarity": 0.0, "contribution": 0.0},
    ]
    assert likeness.compare({"size": 100}, {"size": 1000}, weights)[0] == 0
    assert likeness.compare({"size": 100}, {"size": 999}, weights)[0] == 0.0
    assert likeness.compare({"size": 100}, {"size": 50}, weights)[0] == 0.699  # 1 − log10 2


def test_what_the_asked_lacks_is_left_out_and_what_the_other_lacks_counts_as_unlike():
    weights = {"segment": 1.0, "size": 1.0}
    assert likeness.compare({"segment": "a"}, {"segment": "a", "size": 5}, weights)[0] == 1
    assert likeness.compare({"segment": "a", "size": 5}, {"segment": "a"}, weights)[0] == 0.5
    assert likeness.compare({}, {"segment": "a"}, weights) == (0.0, [])


def test_what_is_nought_or_less_is_like_its_own_kind_alone():
    def alike(one, other):
        return likeness.similarity({"size": one}, {"size": other}, {"size": 1.0})

    assert (alike(0, 0), alike(0, 1), alike(1, 0), alike(-2, -2), alike(-2, 2)) == (1, 0, 0, 1, 0)
    assert (alike(1, 1), alike(1, 0.5), alike(0.5, 1)) == (1, 0.699, 0.699)
    mixes = {"product_mix": 1.0}
    assert likeness.similarity({"product_mix": {"a": 0}}, {"product_mix": {"a": 5}}, mixes) == 0
    assert (
        likeness.similarity({"product_mix": {"a": 0.1, "b": 0.7}}, {"product_mix": {"a": 0.1, "b": 0.7}}, mixes) == 1
    )


def test_false_is_known_and_like_false():
    assert likeness.compare({"remote": False}, {"remote": False}, {"remote": 1.0})[0] == 1
    assert likeness.compare({"remote": False}, {"remote": True}, {"remote": 1.0})[0] == 0


def test_similarity_is_what_a_plain_recomputation_says_and_contributions_add_up_to_it():
    chance = Random(2)
    for _ in range(200):
        one, other = (
            {
                "segment": chance.choice(["a", "b"]), "country": chance.choice(["x", None]), "size": chance.choice([None, chance.randint(1, 5000)]),
                "product_mix": {name: chance.randint(1, 99) for name in "pqr" if chance.random() < 0.6},
            }
            for _ in range(2)
        )  # fmt: skip
        total = whole = 0.0
        for name, weight in likeness.CUSTOMER.items():
            if not one.get(name):
                continue
            whole += weight
            if not other.get(name):
                continue
            if name == "size":
                total += weight * max(0, 1 - abs(math.log10(one[name] / other[name])))
            elif name == "product_mix":
                dot = sum(one[name].get(part, 0) * other[name].get(part, 0) for part in "pqr")
                norms = [math.sqrt(sum(number**2 for number in mix[name].values())) for mix in (one, other)]
                total += weight * dot / (norms[0] * norms[1])
            else:
                total += weight * (one[name] == other[name])
        found, parts = likeness.compare(one, other, likeness.CUSTOMER)
        assert found == pytest.approx(total / whole, abs=0.00051)
        assert sum(part["contribution"] for part in parts) == pytest.approx(found, abs=0.004)


async def test_customers_are_compared_by_all_that_is_known_of_the_asked(bureau):
    asked, twin, firm, none = await bureau.add(
        Customer,
        {"name": "Asked", "segment": "retail", "country": "DE", "kind": "organization"},
        {"name": "Twin", "segment": "Retail", "country": "de", "kind": "organization"},
        {"name": "Firm", "segment": "trade", "country": "DE", "kind": "organization"},
        {"name": "None", "segment": "trade", "country": "FR", "kind": "person"},
    )
    big, small = await bureau.add(
        Organization,
        {"name": "O", "industry": "Steel", "employees": 100},
        {"name": "P", "industry": "Steel", "employees": 50},
    )
    await bureau.add(
        CustomerParty, {"customer_id": asked, "organization_id": big}, {"customer_id": firm, "organization_id": small}
    )
    (bolt, oil) = await bureau.goods("1", "2")
    await bureau.orders(
        {"customer": asked, "net": "100", "placed": ago(5), "product": bolt},
        {"customer": twin, "net": "100", "placed": ago(5), "product": bolt},
        {"customer": twin, "net": "500", "placed": ago(731), "product": oil},  # too long ago
        {"customer": none, "net": "900", "placed": ago(5), "product": bolt, "status": "cancelled"},
    )
    found, meta = await similar(bureau, f"cust_{asked}")
    assert meta["comparedBy"] == ["segment", "industry", "country", "size", "kind", "product_mix", "order_volume"]
    assert list(found) == ["Twin", "Firm"]
    # segment 2, country 1, kind 1, mix 2, volume 1 of 10; industry 2, country 1, size 1 − log10 2, kind 1
    assert found["Twin"]["similarity"] == 0.7
    assert found["Firm"]["similarity"] == pytest.approx((4 + 1 - math.log10(2)) / 10, abs=0.0006)
    assert {one["attribute"]: one["contribution"] for one in found["Twin"]["factors"]}["product_mix"] == 0.2
    assert meta["n"] == 3


async def test_how_deals_of_similar_customers_ended_is_told_from_five_on(bureau):
    asked, near, unlike = await bureau.add(
        Customer,
        {"name": "A", "segment": "s", "kind": "organization"},
        {"name": "B", "segment": "s", "kind": "organization"},
        {"name": "C", "segment": "t", "kind": "person"},
    )

    async def close(customer, status, **more):
        closed = {"closed_at": datetime.now(UTC) + timedelta(days=50)}
        await bureau.add(Deal, {"name": "D", "customer_id": customer, "status": status, **closed, **more})

    def signed(days):
        return (datetime.now(UTC) + timedelta(days=days)).date()

    for days in (10, 20, 40):
        await close(near, "won", signed_on=signed(days))
    await close(near, "lost")
    await close(unlike, "lost")
    _, meta = await similar(bureau, f"cust_{asked}")
    assert meta["history"] == {"won": 3, "lost": 1, "because": "5 closed deals are needed to tell a win rate"}
    await close(near, "lost")
    found, meta = await similar(bureau, f"cust_{asked}")
    assert found["B"]["deals"] == {"won": 3, "lost": 2}
    history = meta["history"]
    assert (history["winProbability"], history["medianDaysToClose"]) == (0.6, pytest.approx(20, abs=1))
    assert "Of 5 closed deals of those shown, 3 were won" in history["insight"]
    found, meta = await similar(bureau, f"cust_{unlike}")
    assert "history" not in meta


async def test_only_those_that_ordered_are_winners(bureau):
    asked, bought, never = await bureau.add(Customer, *[{"name": name, "segment": "s"} for name in ("A", "B", "C")])
    await bureau.orders(
        {"customer": bought, "net": "1", "placed": ago(900)},
        {"customer": never, "net": "1", "placed": ago(1), "status": "cancelled"},
    )
    found, meta = await similar(bureau, f"cust_{asked}", reached="won")
    assert (list(found), meta["n"]) == (["B"], 1)
    told = await bureau.ask("find_similar_customers", {"record": f"cust_{asked}", "reached": "interview"})
    assert told["context"]["argument"] == "reached"


async def test_job_leads_like_those_that_reached_interview(bureau):
    leads = await bureau.add(
        Lead,
        *[
            {"kind": "job", "name": name, "status": status}
            for name, status in (
                ("Asked", "new"), ("Talked", "interview"), ("Hired", "converted"), ("Early", "qualified"), ("Gone", "lost"), ("Was", "lost"),
            )
        ],
    )  # fmt: skip
    roles = ("Engineer", "engineer", "Cook", "Engineer", "Engineer", "Engineer")
    await bureau.add(
        Job, *[{"lead_id": lead, "role": role, "is_remote": True} for lead, role in zip(leads, roles, strict=True)]
    )
    history = await History(bureau).open(Demo={"name": "Interview"})
    await history.walk([("leads", leads[5], [("Lead", 9), ("Demo", 5), ("Lost", 2)], {})])
    found, meta = await similar(bureau, f"lead_{leads[0]}", reached="Interview")
    assert list(found) == ["Talked", "Was", "Hired"]
    assert found["Talked"]["similarity"] == 1.0
    assert found["Hired"]["similarity"] == 0.333  # remote 1 of 3
    assert meta["comparedBy"] == ["role", "remote"]
    found, _ = await similar(bureau, f"lead_{leads[0]}")
    assert len(found) == 5
    assert list((await similar(bureau, f"lead_{leads[0]}", reached="won"))[0]) == ["Hired"]


async def test_a_lead_is_compared_with_leads_of_its_own_kind_alone(bureau):
    kinds = ("job", "opportunity", "partnership", "job")
    leads = await bureau.add(
        Lead,
        *[{"kind": kind, "name": f"{kind} {at}", "source": "fair", "status": "new"} for at, kind in enumerate(kinds)],
    )
    found, meta = await similar(bureau, f"lead_{leads[0]}")
    assert (list(found), meta["n"], meta["comparedBy"]) == (["job 3"], 1, ["source"])
    assert (await similar(bureau, f"lead_{leads[1]}"))[0] == {}


async def test_the_leads_most_alike_are_compared_however_old_they_are(bureau, monkeypatch):
    monkeypatch.setattr(find_similar_customers, "LEADS", find_similar_customers.LEADS.replace("limit 301", "limit 3"))
    rows = [
        {"kind": "partnership", "name": f"P{at}", "source": "mail" if at < 3 else "fair", "status": "new"}
        for at in range(9)
    ]
    leads = await bureau.add(Lead, *rows)
    found, meta = await similar(bureau, f"lead_{leads[0]}")
    assert ({name for name, one in found.items() if one["similarity"] == 1}, meta["n"]) == ({"P1", "P2"}, 2)


async def test_archived_ones_and_another_orgs_are_never_compared(bureau, home, approver, connect):
    other = Bureau(approver, connect)
    await other.open(home.conninfo("crm_owner"))
    (their,) = await other.add(Customer, {"name": "Theirs", "segment": "s"})
    asked, _ = await bureau.add(
        Customer, {"name": "A", "segment": "s"}, {"name": "Old", "segment": "s", "archived_at": ago(1)}
    )
    assert await similar(bureau, f"cust_{asked}") == ({}, (await similar(bureau, f"cust_{asked}"))[1])
    assert (await bureau.ask("find_similar_customers", {"record": f"cust_{their}"}))["error"] == "CUSTOMER_NOT_FOUND"


async def test_who_may_not_see_leads_finds_none(lab):
    (lead,) = await lab.add(Lead, {"kind": "job", "name": "J", "status": "new"})
    assert (await lab.ask("find_similar_customers", {"record": f"lead_{lead}"}, LUX))["error"] == "LEAD_NOT_FOUND"
    assert (await lab.ask("find_similar_customers", {"record": f"lead_{lead}"}))["type"] == "result"
