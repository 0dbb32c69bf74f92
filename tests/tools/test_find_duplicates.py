from lab import LOU, LUX, ago

from crm_mcp.crm.models import Contact, Individual, Organization


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
