"""Duplicates merged: what survives, what moves, and that an undo brings every row back."""

from functools import partial

import psycopg
import pytest
from lab import LEA, ago
from proposing import change, done, number, propose
from psycopg.types.json import Jsonb
from sale import decide

from crm_mcp import ids
from crm_mcp.crm import pointing
from crm_mcp.crm.merging import MERGED
from crm_mcp.crm.models import (
    Activity,
    Base,
    Contact,
    CustomerParty,
    CustomField,
    Deal,
    Document,
    ExternalRef,
    Individual,
    Note,
    Organization,
    OrgSettings,
    Pipeline,
    PipelinePosition,
    PipelineStage,
    Provenance,
    Task,
)

STAMPS = "'{version,created_at,updated_at,created_by,updated_by,via_agent}'::text[]"


@pytest.fixture
def do(lab, executor, person):
    return partial(done, lab, executor, person)


@pytest.fixture
def state(home):
    """Return all rows of the lab, by table, but for stamps."""

    def read():
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            (org,) = conn.execute("select id from crm.orgs where slug = 'lab'").fetchone()
            return {
                table.name: conn.execute(
                    f"select jsonb_agg(to_jsonb(t) - {STAMPS} order by t.id) from crm.{table.name} t where org_id = %s",
                    (org,),
                ).fetchone()[0]
                for table in Base.metadata.tables.values()
            }

    return read


@pytest.fixture
async def pipeline(lab):
    (pipe,) = await lab.add(Pipeline, {"name": f"Sales {ago(0).timestamp()}"})
    (stage,) = await lab.add(PipelineStage, {"pipeline_id": pipe, "name": "New", "position": 1})
    return {"pipeline_id": pipe, "stage_id": stage, "entered_at": ago(3)}


def numbers(made):
    return [one if isinstance(one, int) else number(one) for one in made]


async def organizations(lab, *rows):
    return [ids.show("organizations", (await lab.add(Organization, row))[0]) for row in rows]


async def belongings(lab, table, record, pipeline, turn):
    """Give a record something of everything that can name it."""
    about = {"subject_type": table, "subject_id": record}
    await lab.add(Note, {**about, "body": f"note {turn}"})
    await lab.add(Task, {**about, "title": f"task {turn}"})
    await lab.add(Activity, {**about, "kind": "call", "subject": f"call {turn}", "happened_at": ago(1)})
    if table != "contacts":
        await lab.add(Document, {**about, "title": f"document {turn}"})
    await lab.add(
        ExternalRef, {"source": f"hubspot {table}", "entity": table, "external_id": f"{record}", "record_id": record}
    )
    if table != "organizations":
        await lab.add(PipelinePosition, {**about, **pipeline})
    key = f"{ids.NOUN[table]}_id"
    if table in ("organizations", "individuals", "customers"):
        await lab.add(Contact, {"name": f"Contact {turn}", key: record})
        await lab.add(Deal, {"name": f"Deal {turn}", **({} if table == "individuals" else {key: record})})
    if table == "contacts":
        await lab.add(Deal, {"name": f"Deal {turn}", key: record})


async def make(lab, table, turn):
    match table:
        case "organizations":
            (made,) = await lab.add(
                Organization, {"name": f"Org {turn}", "description": f"D{turn}", "city": f"C{turn}"}
            )
        case "individuals":
            (made,) = await lab.add(
                Individual, {"name": f"Ann {turn}", "description": f"D{turn}", "city": f"C{turn}"}
            )
        case "contacts":
            customer = number(await lab.customer(f"Customer of {turn}"))
            (made,) = await lab.add(Contact, {"name": f"Con {turn}", "customer_id": customer})
        case _:
            made = number(await lab.customer(f"Customer {turn}", city=f"C{turn}", credit_limit="100"))
            await lab.invoice(ids.show("customers", made), ago(-5).date())
    return made


@pytest.mark.parametrize("table", sorted(MERGED))
async def test_a_merge_moves_everything_and_its_undo_brings_every_row_back(
    lab, do, executor, person, state, pipeline, table
):
    records = [await make(lab, table, turn) for turn in range(3)]
    for turn, record in enumerate(records):
        await belongings(lab, table, record, pipeline, turn)
    if table in ("organizations", "individuals"):
        shared, alone = number(await lab.customer("Shared")), number(await lab.customer("Alone"))
        key = f"{ids.NOUN[table]}_id"
        for record in records:
            await lab.add(CustomerParty, {"customer_id": shared, key: record})
        await lab.add(CustomerParty, {"customer_id": alone, key: records[1]})
        await lab.add(CustomerParty, {"customer_id": alone, key: records[2]})
    before = state()
    into, *others = (ids.show(table, one) for one in records)
    held = await propose(lab, change("merge", table, id=into, duplicates=others))
    assert held["type"] == "approval_required" and held["draft"]["reason"] == "archives"
    assert "would merge" in held["summary"]
    assert state() == before, "nothing has changed yet"
    assert (await decide(executor, await person(LEA), held)).state == "approved"
    merged = state()
    for where, columns in pointing.pointing(table).items():
        for row in merged[where] or []:
            for one in columns:
                if one.column == "merged_into" or where == "data_provenance":
                    continue
                if row["archived_at"] is None and (one.kind is None or row[one.kind] == table):
                    assert row[one.column] not in records[1:], (where, row)
    gone = {row["id"]: row for row in merged[table]}
    for record in records[1:]:
        assert gone[record]["merged_into"] == records[0] and gone[record]["archived_at"]
    told = await propose(lab, change("update", table, id=others[0], data={"name": "Late"}))
    assert (told["error"], told["context"]["mergedInto"]) == ("ARCHIVED", into)
    undone = await lab.ask("undo_change", {"change": held["draft"]["id"], "reason": "not the same"}, LEA)
    assert undone["type"] == "approval_required"
    assert (await decide(executor, await person(LEA), undone)).state == "approved"
    after = state()
    for name, rows in before.items():
        assert after[name] == rows, name


async def test_the_survivor_keeps_its_own_and_takes_what_it_lacks_from_who_changed_last(lab, do, owner_asks):
    into, old, new = await organizations(
        lab,
        {"name": "Acme", "email": "info@acme.example", "description": "Makes anvils.", "technologies": Jsonb(["A"])},
        {
            "name": "ACME Ltd",
            "email": "sales@acme.example",
            "phone": "111",
            "city": "Old Town",
            "description": "Since 1920.",
        },
        {
            "name": "Acme Limited",
            "city": "New Town",
            "technologies": Jsonb(["A", "B"]),
            "industry": "Tools",
            "description": "Makes anvils.",
        },
    )
    await lab.add(
        Provenance, {"entity": "organizations", "record_id": number(new), "field": "city", "source": "their site"}
    )
    await lab.add(
        Provenance, {"entity": "organizations", "record_id": number(old), "field": "email", "source": "a card"}
    )
    told = await do(change("merge", "Organization", id=into, duplicates=[old, new], data={"industry": "Anvils"}))
    row = owner_asks("select to_jsonb(o) from crm.organizations o where id = %s", number(into))
    assert {
        name: row[name] for name in ("name", "email", "phone", "city", "industry", "technologies", "description")
    } == {
        "name": "Acme",
        "email": "info@acme.example",
        "phone": "111",
        "city": "New Town",
        "industry": "Anvils",
        "technologies": ["A", "B"],
        "description": "Makes anvils.\n\nSince 1920.",
    }
    assert set(told["record"]["fields"]) == {"phone", "city", "industry", "technologies", "description"}
    where = owner_asks(
        "select jsonb_object_agg(field, record_id) from crm.data_provenance where entity = 'organizations' and record_id in (%s, %s, %s)",
        *numbers((into, old, new)),
    )
    assert where == {"city": number(into), "email": number(old)}, "what was left behind tells nothing of the survivor"


async def test_own_fields_are_united(lab, do, owner_asks):
    for key in ("merged_tier", "merged_region"):
        await lab.add(CustomField, {"entity": "organizations", "key": key, "label": key, "kind": "text"})
    into, other = await organizations(
        lab,
        {"name": "A", "custom_fields": Jsonb({"merged_tier": "gold"})},
        {"name": "A", "custom_fields": Jsonb({"merged_tier": "silver", "merged_region": "N"})},
    )
    await do(change("merge", "Organization", id=into, duplicates=[other]))
    kept = owner_asks("select custom_fields from crm.organizations where id = %s", number(into))
    assert kept == {"merged_tier": "gold", "merged_region": "N"}


async def test_an_account_has_each_party_once_and_a_pipeline_each_record_once(lab, do, owner_asks, pipeline):
    a, b = [number(await lab.customer(name)) for name in ("A", "B")]
    (org, other) = numbers(await organizations(lab, {"name": "O"}, {"name": "P"}))
    for customer in (a, b):
        await lab.add(CustomerParty, {"customer_id": customer, "organization_id": org})
        await lab.add(PipelinePosition, {**pipeline, "subject_type": "customers", "subject_id": customer})
    await lab.add(CustomerParty, {"customer_id": b, "organization_id": other})
    await do(change("merge", "customer", id=f"cust_{a}", duplicates=[f"cust_{b}"]))
    live = "select count(*) from crm.{} where {} = %s and archived_at is null"
    assert owner_asks(live.format("customer_parties", "customer_id"), a) == 2
    assert owner_asks(live.format("customer_parties", "customer_id"), b) == 0
    assert owner_asks(live.format("pipeline_positions", "subject_type = 'customers' and subject_id"), a) == 1


async def test_a_record_merged_before_goes_on_to_where_its_survivor_went(lab, do):
    a, b, c = await organizations(lab, {"name": "Aa"}, {"name": "Bb"}, {"name": "Cc"})
    await do(change("merge", "Organization", id=b, duplicates=[c]))
    await do(change("merge", "Organization", id=a, duplicates=[b]))
    told = await propose(lab, change("update", "Organization", id=c, data={"city": "X"}))
    assert told["context"]["mergedInto"] == a
    shown = await lab.ask("get_record", {"id": c})
    assert shown["record"]["merged_into"] == a and shown["_display"]["badge"] == "archived"


async def test_a_merge_of_more_rows_than_one_call_may_change_is_refused_with_what_to_do(lab, state):
    a, b, c = await organizations(lab, {"name": "Few"}, {"name": "Many"}, {"name": "Else"})
    about = {"subject_type": "organizations", "subject_id": number(b)}
    await lab.add(Note, *({**about, "body": f"n{turn}"} for turn in range(1000)))
    told = await propose(lab, change("merge", "Organization", id=a, duplicates=[b]))
    assert told["error"] == "TOO_MANY_CHANGES" and f"Let {b} survive instead" in told["context"]["hint"]
    assert told["context"]["rows"] == 1002
    told = await propose(lab, change("merge", "Organization", id=a, duplicates=[b, c]))
    assert "one duplicate at a time" in told["context"]["hint"]
    held = await propose(lab, change("merge", "Organization", id=b, duplicates=[a]))
    assert held["type"] == "approval_required"


async def test_documents_in_closed_books_stay_where_they_are(lab, owner_asks):
    a, b = await lab.customer("Open"), await lab.customer("Closed")
    await lab.invoice(b, ago(4000).date())
    org = owner_asks("select id from crm.orgs where slug = 'lab'")
    if owner_asks("select count(*) from crm.org_settings where org_id = %s", org) == 0:
        await lab.add(OrgSettings, {"books_closed_through": ago(3000).date()})
    else:
        await lab.set(
            "org_settings",
            f"set_{owner_asks('select id from crm.org_settings where org_id = %s', org)}",
            "books_closed_through",
            ago(3000).date(),
        )
    told = await propose(lab, change("merge", "customer", id=a, duplicates=[b]))
    assert told["error"] == "BOOKS_CLOSED" and "let it survive" in told["context"]["hint"]


@pytest.mark.parametrize(
    ("entity", "more", "error", "words"),
    [
        ("deal", {"id": "deal_1", "duplicates": ["deal_2"]}, "NOT_MERGEABLE", "customers"),
        ("Organization", {"duplicates": ["org_1"]}, "INVALID_ARGUMENT", "id:"),
        ("Organization", {"id": "org_1"}, "INVALID_ARGUMENT", "duplicates:"),
        ("Organization", {"id": "org_1", "duplicates": ["org_1"]}, "INVALID_ARGUMENT", "once"),
        ("Organization", {"id": "org_1", "duplicates": ["ind_1"]}, "INVALID_ID", "individual"),
        ("Organization", {"id": "org_999999", "duplicates": ["org_999998"]}, "ORGANIZATION_NOT_FOUND", ""),
    ],
)
async def test_what_cannot_be_merged_is_said(lab, entity, more, error, words):
    told = await propose(lab, change("merge", entity, **more))
    assert told["error"] == error and words in told["context"]["hint"]


async def test_a_draft_of_a_merge_goes_stale_when_a_duplicate_moves(lab, executor, person, do):
    a, b = await organizations(lab, {"name": "Stay"}, {"name": "Move"})
    held = await propose(lab, change("merge", "Organization", id=a, duplicates=[b]))
    await lab.add(Note, {"subject_type": "organizations", "subject_id": number(b), "body": "meanwhile"})
    outcome = await decide(executor, await person(LEA), held)
    assert outcome.state == "stale"


def test_every_key_to_a_merged_record_is_known(home):
    """A table whose rows would stay behind would be lost with the duplicate."""
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        keys = conn.execute(
            """select t.relname, a.attname, r.relname from pg_constraint c
             join pg_class t on t.oid = c.conrelid join pg_class r on r.oid = c.confrelid join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[array_upper(c.conkey, 1)]
             where c.contype = 'f' and r.relnamespace = 'crm'::regnamespace and r.relname = any (%s)""",
            (sorted(MERGED),),
        ).fetchall()
    assert len(keys) > 20
    for table, column, target in keys:
        known = pointing.pointing(target).get(table, ())
        assert column in [one.column for one in known], (table, column)
