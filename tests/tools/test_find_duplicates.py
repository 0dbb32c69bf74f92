import asyncio
import json
import shutil
from types import SimpleNamespace

import pytest
from lab import LOU, LUX, ago

from crm_mcp.crm import duplicates, searching_apart
from crm_mcp.crm.models import Contact, Individual, Organization
from crm_mcp.crm.searching_apart import Apart, SearchFailed


def rows(*some):
    """Return rows that all have all fields of any."""
    names = dict.fromkeys(name for row in some for name in row)
    return [{name: row.get(name) for name in names} for row in some]


async def test_two_spellings_are_one_group_and_the_holding_stays_out(lab):
    firm = {"city": "Berlin", "country": "Germany", "website": "dupetools.example"}
    long = "DUPETOOLS Gesellschaft mit beschränkter Haftung"
    one, two, _ = await lab.add(
        Organization,
        *rows(
            {"name": "Dupetools GmbH", **firm, "phone": "+49 30 5551234", "email": "info@dupetools.example"},
            {"name": long, "domain": "dupetools.example", "phone": "030 5551234"},
            {"name": "Dupetools Holding GmbH", **firm, "phone": "+49 30 5551234"},
        ),
    )
    told = await lab.ask("find_duplicates", {"entity": "organizations", "query": "dupetools"})
    (group,) = told["duplicates"]
    assert [record["id"] for record in group["records"]] == [f"org_{one}", f"org_{two}"]
    assert group["survivor"] == f"org_{one}"
    assert group["sure"]
    assert told["_meta"]["total"] == 1
    assert "propose_changes" in told["_meta"]["toMerge"]


async def test_a_group_says_field_by_field_why(lab):
    await lab.add(
        Individual,
        *rows(
            {"name": "Jane Dupewell", "email": "jane@dupewell.example", "phone": "+49 171 5550000"},
            {"name": "Dupewell, Jane", "email": "Jane+crm@dupewell.example"},
            {"name": "John Dupewell", "phone": "+49 171 5550000"},
        ),
    )
    told = await lab.ask("find_duplicates", {"entity": "Individual", "query": "dupewell"})
    (group,) = told["duplicates"]
    assert {record["name"] for record in group["records"]} == {"Jane Dupewell", "Dupewell, Jane"}
    why = {said["field"]: said for said in group["why"]}
    assert why["email"]["right"] != why["email"]["left"]
    assert why["email"]["what"] == "same after normalising"
    assert why["email"]["weight"] > 5


async def test_contacts_are_told_apart_by_what_they_have(lab):
    at = int((await lab.customer("Dupehouse"))[5:])
    await lab.add(
        Contact,
        *rows(
            {"customer_id": at, "name": "Ann Dupecontact", "email": "ann@dupecontact.example"},
            {"customer_id": at, "name": "A. Dupecontact", "email": "ANN@dupecontact.example"},
            {"customer_id": at, "name": "Bob Dupecontact"},
        ),
    )
    told = await lab.ask("find_duplicates", {"entity": "contacts", "query": "dupecontact"})
    assert [len(group["records"]) for group in told["duplicates"]] == [2]


async def test_a_person_is_never_a_duplicate_of_an_organization(lab):
    for kind in ("person", "organization"):
        await lab.customer("Dupe Lindqvist", kind=kind, email="dupe@lindqvist.example")
    told = await lab.ask("find_duplicates", {"entity": "accounts", "query": "lindqvist"})
    assert told["duplicates"] == []


async def test_archived_records_and_those_of_another_org_are_not_compared(lab):
    one = await lab.customer("Dupearchive AB", email="x@dupearchive.example")
    await lab.customer("Dupearchive AB", email="x@dupearchive.example")
    assert (await lab.ask("find_duplicates", {"entity": "customers", "query": "dupearchive"}))["duplicates"]
    elsewhere = await lab.ask("find_duplicates", {"entity": "customers", "query": "dupearchive"}, "sam@demo.example")
    assert elsewhere["duplicates"] == []
    await lab.set("customers", one, "archived_at", ago(1))
    assert not (await lab.ask("find_duplicates", {"entity": "customers", "query": "dupearchive"}))["duplicates"]


async def test_the_list_goes_on_behind_its_cursor(lab):
    for name in ("Pagedupe Alpha", "Pagedupe Beta", "Pagedupe Gamma"):
        for _ in range(2):
            await lab.customer(name, email=f"{name[9:]}@{name[9:]}.example")
    asked = {"entity": "customers", "query": "pagedupe", "limit": 2}
    async with lab.connect(LOU) as client:
        first = (await client.call_tool("find_duplicates", asked)).structured_content
        asked["cursor"] = first["_meta"]["nextCursor"]
        rest = (await client.call_tool("find_duplicates", asked)).structured_content
    names = [group["records"][0]["name"] for told in (first, rest) for group in told["duplicates"]]
    assert sorted(names) == ["Pagedupe Alpha", "Pagedupe Beta", "Pagedupe Gamma"]
    assert "nextCursor" not in rest["_meta"]


async def test_what_is_not_compared_is_named(lab):
    told = await lab.ask("find_duplicates", {"entity": "products"}, LUX)
    assert told["error"] == "NOT_COMPARED"
    assert told["context"]["known"] == ["organizations", "individuals", "contacts", "customers"]
    told = await lab.ask("find_duplicates", {"entity": "organisation"}, LUX)
    assert told["error"] == "UNKNOWN_ENTITY"


PAIRS = {"entity": "individuals", "query": "doppel"}


@pytest.fixture
async def doubled(lab):
    """Return the lab with two persons that stand twice each."""
    await lab.add(
        Individual,
        *rows(
            {"name": "Ida Doppelstein", "email": "ida@doppelstein.example"},
            {"name": "Doppelstein, Ida", "email": "IDA@doppelstein.example"},
            {"name": "Udo Doppelwald", "email": "udo@doppelwald.example"},
            {"name": "Udo Doppelwalt", "email": "udo+news@doppelwald.example"},
        ),
    )
    return lab


@pytest.fixture
def searches(monkeypatch):
    """Return the tables that were searched, not what was kept."""
    seen, search = [], duplicates._search

    async def counted(ctx, table, least):
        seen.append(table)
        return await search(ctx, table, least)

    monkeypatch.setattr(duplicates, "_search", counted)
    return seen


async def test_a_process_of_its_own_finds_what_a_thread_finds_and_says_how_far_it_is(doubled, monkeypatch):
    here = await doubled.ask("find_duplicates", PAIRS)
    monkeypatch.setattr(duplicates, "APART_ABOVE", 0)
    monkeypatch.setattr(duplicates, "_EVERY", 0.001)
    heard = []

    async def hear(done, total, message):
        heard.append((done, total, message))

    async with doubled.connect(LOU) as client:
        apart = (await client.call_tool("find_duplicates", PAIRS, progress_callback=hear)).structured_content
    assert apart["duplicates"] == here["duplicates"]
    assert len(apart["duplicates"]) >= 2
    assert heard and all(0 <= done <= total for done, total, _ in heard)
    assert heard[0][2].endswith("records compared")


async def test_batches_are_read_to_the_end(doubled, monkeypatch):
    whole = await doubled.ask("find_duplicates", PAIRS)
    monkeypatch.setattr(duplicates, "APART_ABOVE", 0)
    monkeypatch.setattr(duplicates, "BATCH", 1)
    assert (await doubled.ask("find_duplicates", PAIRS))["duplicates"] == whole["duplicates"]


async def test_the_next_page_and_another_query_search_no_more(doubled, searches):
    async with doubled.connect(LOU) as client:
        asked = {**PAIRS, "limit": 1}
        first = (await client.call_tool("find_duplicates", asked)).structured_content
        more = {**asked, "cursor": first["_meta"]["nextCursor"]}
        second = (await client.call_tool("find_duplicates", more)).structured_content
        other = (await client.call_tool("find_duplicates", {**PAIRS, "query": "doppelwald"})).structured_content
    assert searches == ["individuals"]
    assert first["duplicates"] != second["duplicates"]
    assert len(other["duplicates"]) == 1


@pytest.mark.parametrize("change", ["edited", "new", "archived"])
async def test_once_a_record_has_changed_it_is_searched_anew(doubled, searches, change):
    async with doubled.connect(LOU) as client:
        told = (await client.call_tool("find_duplicates", PAIRS)).structured_content
        one = told["duplicates"][0]["records"][0]["id"]
        if change == "edited":
            await doubled.set("individuals", one, "city", "Leeds")
        elif change == "archived":
            await doubled.set("individuals", one, "archived_at", ago(1))
        else:
            await doubled.add(Individual, {"name": "Otto Doppelneu"})
        await client.call_tool("find_duplicates", PAIRS)
    assert searches == ["individuals"] * 2


async def test_an_employer_renamed_is_a_change_of_its_contacts(doubled, searches):
    customer = await doubled.customer("Doppelhaus")
    async with doubled.connect(LOU) as client:
        asked = {"entity": "contacts", "query": "doppel"}
        await client.call_tool("find_duplicates", asked)
        await doubled.set("customers", customer, "name", "Doppelheim")
        await client.call_tool("find_duplicates", asked)
    assert searches == ["contacts"] * 2


async def test_what_was_kept_for_one_org_is_told_to_no_other(doubled, searches):
    await doubled.ask("find_duplicates", PAIRS)
    elsewhere = await doubled.ask("find_duplicates", PAIRS, "sam@demo.example")
    assert elsewhere["duplicates"] == []


class Asked:
    """A read of some persons, whose progress says that it has begun."""

    def __init__(self, persons):
        self.principal = SimpleNamespace(org=1)
        self.keeps = {}
        self.begun = asyncio.Event()
        self._persons = persons

    async def one(self, sql, **params):
        return ("1/1/1",)

    async def long(self, sql, **params):
        return json.dumps(self._persons), len(self._persons), len(self._persons)

    async def progress(self, done, total, message):
        self.begun.set()


@pytest.mark.parametrize("apart", [True, False], ids=["process", "thread"])
async def test_a_cancelled_search_is_gone_and_the_next_one_runs(monkeypatch, apart):
    monkeypatch.setattr(duplicates, "APART_ABOVE", 0 if apart else 10_000)
    monkeypatch.setattr(duplicates, "_EVERY", 0.0)
    made = []

    class Seen(Apart):
        def __init__(self, *given):
            super().__init__(*given)
            made.append(self._process)

    monkeypatch.setattr(duplicates, "Apart", Seen)
    person = {"kind": "individual", "name": "Ann Doe", "email": "ann@doe.example"}
    ctx = Asked([{**person, "id": at + 1} for at in range(200)])
    search = asyncio.create_task(duplicates.find(ctx, "individuals"))
    begun = asyncio.create_task(ctx.begun.wait())
    await asyncio.wait({search, begun}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    assert begun.done(), search  # one that failed is told of, not waited for
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search
    assert [process.returncode is not None for process in made] == [True] * apart
    found = await duplicates.find(ctx, "individuals")
    assert found.read == 200


async def test_a_search_whose_process_dies_is_a_failure_and_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(duplicates, "APART_ABOVE", 0)
    monkeypatch.setattr(searching_apart.sys, "executable", shutil.which("true"))
    ctx = Asked([{"kind": "individual", "name": "Ann Doe", "id": 1}])
    with pytest.raises((SearchFailed, BrokenPipeError)):
        await duplicates.find(ctx, "individuals")
    monkeypatch.undo()
    assert (await duplicates.find(ctx, "individuals")).read == 1
