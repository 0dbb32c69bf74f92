"""`crm-mcp registry`: tables of an org's own are confined, refused where they cannot be, and taken back without a trace."""

import json
from pathlib import Path

import psycopg
import pytest

from crm_mcp.cli.doctor.own_tables import own_tables
from crm_mcp.config import Settings

HOSTILE = 'Größe "of" it; drop table crm.orgs -- \'%s {x}'


@pytest.fixture
def owner(home):
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        yield conn


@pytest.fixture
def root(home):
    with psycopg.connect(home.conninfo("postgres", "crm"), autocommit=True) as conn:
        yield conn


def registered(crm):
    return json.loads(crm("registry", "list", "--json").stdout)


def empty(crm, owner, *schemas):
    for row in [*registered(crm), *registered(crm)]:  # what views are made of goes in the second round
        crm("registry", "remove", "--org", row["org"], row["label"])
    assert registered(crm) == []
    for schema in schemas:
        owner.execute(psycopg.sql.SQL("drop schema if exists {} cascade").format(psycopg.sql.Identifier(schema)))


@pytest.fixture
def acme(owner, crm):
    """A schema of crm_owner's with a table of two orgs; afterwards nothing of it is left."""
    owner.execute(
        "create schema acme; create table acme.shipments(id bigint primary key, org_id bigint not null, customer_id bigint, "
        "carrier text, status text, photo bytea); comment on table acme.shipments is 'Parcels.'; "
        "insert into acme.shipments select g, 1 + g % 2, g, 'DHL', 'sent' from generate_series(1, 10) g"
    )
    yield "acme.shipments"
    empty(crm, owner, "acme")


@pytest.fixture
def add(crm):
    """Register a table; return what was said."""

    def register(table, *words, org="demo", ok=True):
        done = crm("registry", "add", table, "--org", org, *words)
        assert (done.exit_code == 0) is ok and "Traceback" not in done.output, done.output
        return done.output

    return register


def state(root, table):
    """What registering may change of a table: rights, policies, row level security; and the views that there are."""
    oid = f"'{table}'::regclass"
    return [
        root.execute(
            f"select coalesce(relacl, acldefault('r', relowner)), relrowsecurity, relforcerowsecurity from pg_class where oid = {oid}"
        ).fetchone(),
        root.execute(f"select attname from pg_attribute where attrelid = {oid} and attacl <> '{{}}'").fetchall(),
        root.execute(
            f"select polname, pg_get_expr(polqual, polrelid) from pg_policy where polrelid = {oid} order by 1"
        ).fetchall(),
        root.execute(
            "select relname from pg_class where relnamespace = 'query_own'::regnamespace order by 1"
        ).fetchall(),
    ]


def test_what_is_registered_is_listed_and_gone_again_without_a_trace(acme, add, crm, root):
    before = state(root, acme)
    said = add(acme, "--without", "photo", "--roles", "admin,finance", "--describe", "status=Where it is.")
    assert "acme.shipments can be queried by admin, finance of demo: 4 columns." in said
    assert "Not described: id, customer_id, carrier." in said
    (row,) = registered(crm)
    assert (row["org"], row["label"], row["orgColumn"], row["roles"]) == (
        "demo",
        acme,
        "org_id",
        ["admin", "finance"],
    )
    assert row["fault"] is None and row["backedUp"] and row["columns"]["status"] == "Where it is."
    assert "ok" in crm("registry", "list").output
    assert state(root, acme) != before
    done = crm("registry", "remove", "--org", "demo", "acme.shipments")
    assert done.output == "acme.shipments is no longer registered. acme.shipments is as it was.\n"
    assert state(root, acme) == before
    assert crm("registry", "list").output.startswith("Nothing is registered")


def test_each_registration_and_its_end_is_audited(acme, add, crm):
    add(acme, "--without", "photo")
    add(acme, "--without", "photo", "--replace", "--roles", "admin,sales")
    crm("registry", "remove", "--org", "demo", acme)
    rows = [
        row
        for row in json.loads(crm("audit", "access", "--org", "demo", "--json").stdout)
        if "own table" in row["what"]
    ]
    assert [row["what"] for row in rows[-3:]] == ["own table made", "own table changed", "own table removed"]
    assert rows[-2]["before"] == {"roles": ["admin"]} and rows[-2]["login"] == "crm_owner"
    assert "acme.shipments (acme.shipments) for admin" in crm("audit", "access", "--org", "demo").output


def test_a_table_is_registered_once_and_replaced_when_that_is_said(acme, add, crm, root):
    add(acme, "--without", "photo")
    before = state(root, acme)
    assert "registered already, as acme.shipments: give --replace" in add(acme, "--without", "photo", ok=False)
    assert state(root, acme) == before
    add(acme, "--without", "photo", "--without", "status", "--name", "parcels", "--type", "own", "--replace")
    (row,) = registered(crm)
    assert row["label"] == "own.parcels" and "status" not in row["columns"]
    assert ("status",) not in state(root, acme)[1]
    assert "no table 'acme.shipments'" in crm("registry", "remove", "--org", "demo", acme).output


def test_of_two_orgs_that_share_a_table_one_can_go(acme, add, crm, root):
    add(acme, "--without", "photo")
    first = state(root, acme)
    add(acme, "--without", "photo", "--without", "carrier", org="other")
    assert {row["org"]: row["fault"] for row in registered(crm)} == {"demo": None, "other": None}
    assert crm("registry", "remove", "--org", "other", acme).exit_code == 0
    assert state(root, acme) == first and registered(crm)[0]["fault"] is None
    assert "belong wholly" in add(acme, "--whole", "--without", "photo", org="other", ok=False)


def test_other_logins_see_and_write_what_they_did_before(acme, add, root):
    root.execute(
        "drop role if exists shop; create role shop; grant usage on schema acme to shop; grant select, insert on acme.shipments to shop"
    )
    try:
        add(acme, "--without", "photo")
        with root.transaction(force_rollback=True):
            root.execute("set local role shop")
            root.execute("insert into acme.shipments(id, org_id) values (99, 2)")
            assert root.execute("select count(*) from acme.shipments").fetchone() == (11,)
    finally:
        root.execute("drop owned by shop; drop role shop")


REFUSED = {
    "a table of Postgres": ("", "pg_catalog.pg_class", "not an org's own"),
    "the CRM's own": ("", "crm.customers", "not an org's own"),
    "its views": ("", "query_admin.customers", "not an org's own"),
    "the job queue": ("", "jobs.procrastinate_jobs", "not an org's own"),
    "what there is not": ("", "acme.nothing", "no table acme.nothing"),
    "a name without a schema": ("", "shipments", "Give SCHEMA.TABLE"),
    "a name of three parts": ("", "crm.acme.shipments", "Give SCHEMA.TABLE"),
    "a name that ends too soon": ("", 'acme."shipments', "Give SCHEMA.TABLE"),
    "a materialized view": ("create materialized view acme.x as select * from acme.shipments", "acme.x", "materialized view"),
    "a partition": (
        "create table acme.p(org_id bigint, a int) partition by list (a); create table acme.x partition of acme.p for values in (1)",
        "acme.x",
        "register acme.p",
    ),
    "a sequence": ("create sequence acme.x", "acme.x", "sequence"),
    "a column that cannot be shown": ("create table acme.x(org_id bigint, a int, b xml, c box)", "acme.x", "b (xml), c (box): leave such"),
    "no column of the org": ("create table acme.x(a int)", "acme.x", "--whole"),
    "a column of the org that is no number": ("create table acme.x(org_id text, a int)", "acme.x", "org_id is text"),
    "nothing but the org's column": ("create table acme.x(org_id bigint)", "acme.x", "No column is left"),
    "rights of everybody": ("create table acme.x(org_id bigint, a int); grant select on acme.x to public", "acme.x", "revoke all on"),
    "rights of queries": ("create table acme.x(org_id bigint, a int); grant select (a) on acme.x to crm_query", "acme.x", "revoke all on"),
    "policies that do not hold": (
        "create table acme.x(org_id bigint, a int); create policy mine on acme.x to crm_agent using (true)",
        "acme.x",
        "has policies (mine), but its row level security is off",
    ),
    "a policy that would widen": (
        "create table acme.x(org_id bigint, a int); alter table acme.x enable row level security; create policy wide on acme.x using (true)",
        "acme.x",
        "its policies wide hold for everybody",
    ),
    "a view of its owner's rights": ("create view acme.x as select * from crm.customers", "acme.x", "security_invoker = true"),
    "a view over what is not registered": (
        "create view acme.x with (security_invoker) as select id, org_id from acme.shipments",
        "acme.x",
        "acme.shipments, of which it is made, is no registered table",
    ),
    "a view over a view of its owner's rights": (
        "create view acme.y as select * from crm.orders; create view acme.x with (security_invoker) as select id, org_id from acme.y",
        "acme.x",
        "the view acme.y under it runs with the rights of its owner",
    ),
    "a view of a column that no query sees": (
        "create view acme.x with (security_invoker) as select id, org_id, email_norm from crm.customers",
        "acme.x",
        "queries may not read crm.customers.email_norm",
    ),
    "a view that calls functions": (
        "create function acme.f() returns bigint language sql as 'select 1'; "
        "create view acme.x with (security_invoker) as select id, org_id, acme.f() from crm.customers",
        "acme.x",
        "it calls acme.f()",
    ),
    "a view over the catalog": (
        "create view acme.x with (security_invoker) as select oid::bigint as org_id, rolname::text as a from pg_roles",
        "acme.x",
        "no registered table",
    ),
    "a view over people of every org": (
        "create view acme.x with (security_invoker) as select u.id as org_id, u.email from crm.users u",
        "acme.x",
        "crm.users, of which it is made, is no registered table",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("made", "table", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_confined_is_refused_with_the_reason(acme, add, owner, root, crm, made, table, reason):
    owner.execute(made)
    before = state(root, acme)
    said = add(table, "--description", "It is a test.", ok=False)
    assert reason in said and said.startswith("Error: ")
    assert state(root, acme) == before and registered(crm) == []


def test_a_foreign_table_and_one_of_somebody_elses_are_refused(acme, add, root):
    root.execute(
        "create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing; "
        "create foreign table acme.far(org_id bigint, a int) server nowhere; create role shop; grant create, usage on schema acme to shop; "
        "set role shop; create table acme.theirs(org_id bigint, a int); reset role; create schema hidden; "
        "create table hidden.away(org_id bigint, a int)"
    )
    try:
        words = ("--description", "A test.")
        assert "foreign table: row level security does not hold there" in add("acme.far", *words, ok=False)
        said = add("acme.theirs", *words, ok=False)
        assert "it belongs to shop" in said and "grant shop to crm_owner" in said
        assert "crm_owner may not use its schema" in add("hidden.away", *words, ok=False)
        root.execute("grant shop to crm_owner")
        assert "can be queried" in add("acme.theirs", *words)
        assert state(root, "acme.theirs")[0][1] is True
    finally:
        root.execute(
            "drop foreign data wrapper nothing cascade; drop schema hidden cascade; drop table acme.theirs cascade; "
            "revoke shop from crm_owner; drop owned by shop; drop role shop"
        )


def test_names_of_any_kind_are_taken_as_they_are(acme, add, crm, owner, root, connect):
    schema, table, column = (
        psycopg.sql.Identifier(HOSTILE),
        psycopg.sql.Identifier("T" * 31 + "é" * 16),
        psycopg.sql.Identifier(HOSTILE + "c"),
    )
    owner.execute(psycopg.sql.SQL("create schema {}").format(schema))
    named = psycopg.sql.SQL(".").join((schema, table))
    owner.execute(psycopg.sql.SQL('create table {} (org_id bigint, {} text, "Zeile\n2" int)').format(named, column))
    try:
        text = f'"{HOSTILE.replace(chr(34), chr(34) * 2)}"."{"T" * 31 + "é" * 16}"'
        assert "give --name" in add(text, "--description", "A test.", ok=False)
        add(
            text, "--description", HOSTILE, "--type", "odd", "--name", "x" * 63, "--describe", f"{HOSTILE}c={HOSTILE}"
        )
        (row,) = registered(crm)
        assert row["fault"] is None and row["description"] == HOSTILE and row["columns"][HOSTILE + "c"] == HOSTILE
        assert "There is no table" in add(f'"{HOSTILE}"."{"T" * 64}"'.replace('"of"', '""of""'), ok=False)
    finally:
        empty(crm, owner, HOSTILE)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--type", "crm"), "is taken"),
        (("--type", "finance"), "is taken"),
        (("--type", "query_admin"), "is taken"),
        (("--type", "pg_own"), "is taken"),
        (("--type", 'a"b'), "small letters"),
        (("--name", "Größe"), "small letters"),
        (("--name", "x" * 64), "small letters"),
        (("--roles", "boss"), "give some of admin"),
        (("--roles", ""), "give some of admin"),
        (("--org-column", "nothing"), "no column nothing"),
        (("--org-column", "carrier"), "carrier is text"),
        (("--org-column", "customer_id", "--org-value", "x"), "cannot be compared"),
        (("--whole", "--org-column", "org_id"), "not both"),
        (("--without", "nothing"), "names nothing"),
        (("--mask", "nothing=admin"), "masked names nothing"),
        (("--mask", "carrier"), "not COLUMN="),
        (("--describe", "nothing=A thing."), "columns names nothing"),
        (("--describe", "carrier=two\nlines"), "one line"),
        (("--description", "\u200b"), "characters that do not show"),
        (("--mask", "id=admin", "--mask", "customer_id=admin", "--mask", "carrier=admin", "--mask", "status=admin"), "would see no column"),
    ],
)  # fmt: skip
def test_what_is_said_wrongly_is_refused_and_nothing_is_made(acme, add, crm, root, words, reason):
    before = state(root, acme)
    assert reason in add(acme, "--without", "photo", *words, ok=False)
    assert state(root, acme) == before and registered(crm) == []


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("no json", "no JSON document"),
        ("[" * 100_000, "no JSON document"),
        ("[1]", "its root"),
        ('{"colums": {"carrier": "A."}}', "colums"),
        ('{"keyFields": ["nothing"]}', "keyFields names nothing"),
        ('{"polymorphic": ["carrier"]}', "two columns"),
        ('{"relationships": {"customer_id": "custmers"}}', "Is it customers"),
        ('{"relationships": {"customer_id": "crm.drafts"}}', "no registered table"),
        ('{"examples": [{"question": "All?", "query": "delete from acme.shipments"}]}', "cannot be run"),
        ('{"examples": [{"question": "All?", "query": "select * from crm.drafts"}]}', "cannot be run"),
        ('{"examples": [{"question": "All?", "query": "select pg_sleep(9) from acme.shipments"}]}', "cannot be run"),
        (
            '{"examples": [{"question": "One?", "query": "select * from acme.shipments where id = $1"}]}',
            "write values out",
        ),
        ('{"masked": {"carrier": ["boss"]}}', "masked.carrier"),
    ],
)
def test_hints_that_do_not_fit_are_refused(acme, add, tmp_path, document, reason):
    file = tmp_path / "hints.json"
    file.write_text(document, encoding="utf-8")
    assert reason in add(acme, "--without", "photo", "--hints", file, ok=False)


def test_hints_are_drawn_from_the_database_and_taken_back_as_they_are(acme, add, crm, owner, tmp_path):
    owner.execute(
        "create type acme.size as enum ('small', 'large'); create table acme.x(org_id bigint not null, id bigint, customer_id bigint, "
        "shipment bigint references acme.shipments, size acme.size, primary key (org_id, id), "
        "foreign key (org_id, customer_id) references crm.customers (org_id, id)); comment on column acme.x.size is 'How\n\tlarge.'"
    )
    add(acme, "--without", "photo")
    said = crm("registry", "hints", "--org", "demo", "acme.x")
    told = json.loads(said.stdout)
    assert told["relationships"] == {"customer_id": "customers", "shipment": "acme.shipments"}
    assert told["keyFields"] == ["org_id", "id"] and told["values"] == {"size": {"small": "", "large": ""}}
    assert told["columns"]["size"] == "How large."
    file = tmp_path / "hints.json"
    told |= {"description": "Boxes.", "keyFields": ["id"], "columns": {"size": told["columns"]["size"]}}
    told["values"] = {"size": {"small": "fits a hand", "large": "does not"}}
    file.write_text(json.dumps(told), encoding="utf-8")
    add("acme.x", "--hints", file)
    row = next(row for row in registered(crm) if row["label"] == "acme.x")
    assert (
        row["hints"]["values"]["size"]["small"] == "fits a hand"
        and row["hints"]["relationships"]["shipment"] == "acme.shipments"
    )


BROKEN = {
    "the table dropped": ("drop table acme.shipments cascade", "it is gone"),
    "a column dropped": ("alter table acme.shipments drop column carrier cascade", "it has no column carrier any more"),
    "a column renamed": ("alter table acme.shipments rename carrier to name", "it has no column carrier any more"),
    "the org's column renamed": ("alter table acme.shipments rename org_id to tenant", "it has no column org_id any more"),
    "row level security off": ("alter table acme.shipments disable row level security", "was switched off"),
    "the policy widened": ("alter policy crm_mcp_only on acme.shipments using (true)", "the policies that confine queries were changed"),
    "the policy dropped": ("drop policy crm_mcp_only on acme.shipments", "the policies that confine queries were changed"),
    "the policy for others": ("alter policy crm_mcp_sees on acme.shipments to public", "the policies that confine queries were changed"),
    "another policy": ("create policy wide on acme.shipments using (true)", "its policy wide also holds for queries"),
    "a policy without effect": ("create policy mine on acme.shipments to crm_agent using (false)", "has no effect beside crm_mcp_others"),
    "rights for everybody": ("grant select on acme.shipments to public", "has rights on all of it"),
    "rights taken away": ("revoke select (carrier) on acme.shipments from crm_query", "may not read its column carrier"),
    "the views dropped": ("drop schema query_own cascade; create schema query_own; grant usage on schema query_own to crm_query", "its views are missing"),
    "another of its name": (
        "drop table acme.shipments cascade; create view acme.shipments as select id, 1::bigint as org_id, id as customer_id, name as carrier, kind as status from crm.customers",
        "it is no table any more",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("done", "fault"), BROKEN.values(), ids=BROKEN.keys())
async def test_what_is_changed_behind_its_back_is_closed_and_said(acme, add, crm, owner, connect, done, fault):
    add(acme, "--without", "photo")
    owner.execute(done)
    (row,) = registered(crm)
    assert fault in row["fault"] and f"CLOSED: {row['fault']}" in crm("registry", "list").output
    async with connect("ada@demo.example", toolsets=frozenset({"query"})) as client:
        asked = {"query": "select * from acme.shipments", "reasoning": "?"}
        told = (await client.call_tool("execute_crm_query", asked)).structured_content
        listed = (await client.call_tool("get_schema", {})).structured_content["schema"]["tables"]
    assert told["error"] == "UNKNOWN_TABLE" and "acme.shipments" not in {one["table"] for one in listed}
    removed = crm("registry", "remove", "--org", "demo", acme)
    assert removed.exit_code == 0, removed.output


def test_the_doctor_tells_of_it_and_confines_it_again_as_it_was(acme, add, crm, owner, root):
    def found():
        return {one["check"]: one for one in json.loads(crm("doctor", "--json").stdout)}["own tables"]

    assert found()["said"] == "none is registered"
    add(acme, "--without", "photo")
    before = state(root, acme)
    owner.execute(
        "alter table acme.shipments disable row level security; alter policy crm_mcp_only on acme.shipments using (true)"
    )
    told = found()
    assert told["state"] == "problem" and "acme.shipments of demo: its row level security was" in told["said"]
    assert own_tables(Settings()).mend() == "confined again: acme.shipments"
    assert state(root, acme) == before and found()["said"] == "registered: 1"
    owner.execute("grant select on acme.shipments to public")
    assert own_tables(Settings()).mend() == "confined again: none"
    assert own_tables(Settings()).state == "problem"


def test_rows_of_another_key_or_all_rows_can_be_an_orgs(acme, add, crm, owner):
    owner.execute(
        "create table acme.leads(tenant text, a int); create table acme.all_ours(a int); insert into acme.leads values ('x', 1), ('y', 2)"
    )
    add("acme.leads", "--org-column", "tenant", "--org-value", "x", "--description", "A test.")
    add("acme.all_ours", "--whole", "--description", "A test.")
    assert [(row["orgColumn"], row["orgValue"], row["fault"]) for row in registered(crm)] == [
        (None, None, None),
        ("tenant", "x", None),
    ]
    assert "belongs wholly to the org demo" in add(
        "acme.all_ours", "--whole", "--description", "A test.", org="other", ok=False
    )


def test_a_table_that_registered_views_are_made_of_goes_last(acme, add, crm, owner):
    owner.execute(
        "create view acme.sent with (security_invoker) as select s.id, s.org_id, c.name from acme.shipments s join crm.customers c on c.org_id = s.org_id and c.id = s.customer_id"
    )
    add(acme, "--without", "photo")
    add("acme.sent", "--description", "Sent parcels.")
    assert "acme.sent is a view over it" in crm("registry", "remove", "--org", "demo", acme).output
    owner.execute(
        "create or replace view acme.sent with (security_invoker) as select s.id, s.org_id, s.carrier as name from acme.shipments s"
    )
    fault = next(row["fault"] for row in registered(crm) if row["label"] == "acme.sent")
    assert "was defined anew" in fault


def test_the_document_in_the_guide_is_one_that_is_taken(acme, add, crm, owner, tmp_path):
    guide = (Path(__file__).parents[2] / "docs" / "own-tables.md").read_text(encoding="utf-8")
    written = guide.partition("```json")[2].partition("```")[0].replace("sales.shipments", acme)
    owner.execute("alter table acme.shipments add column cost numeric")
    file = tmp_path / "hints.json"
    file.write_text(written, encoding="utf-8")
    add(acme, "--without", "photo", "--roles", "admin,sales", "--hints", file)
    (row,) = registered(crm)
    assert row["hints"]["masked"] == {"cost": ["sales"]} and row["hints"]["examples"][0]["reads"] == [acme]


def test_nobody_needs_to_be_there_to_list_nothing(crm):
    assert json.loads(crm("registry", "list", "--json").stdout) == []
    assert "There is no org" in crm("registry", "list", "--org", "nobody").output
    assert "has registered no table" in crm("registry", "remove", "--org", "demo", "a.b").output
