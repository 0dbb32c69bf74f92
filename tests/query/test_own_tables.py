"""Own tables under attack: a second org's rows, names and descriptions never show, whichever layer is taken away."""

import asyncio
import json

import psycopg
import pytest

from crm_mcp.errors import Refusal
from crm_mcp.query import views
from crm_mcp.query.own import confine, register
from crm_mcp.query.own.described import Document, Example
from crm_mcp.query.own.register import Asked

ADMIN, FINANCE, OTHER = "ada@demo.example", "fin@demo.example", "otto@other.example"
CANARY = "zqxk"
"""Begins every text of the second org, in rows, names and descriptions."""
TWIN = """create schema twin;
create table twin.parcels(id bigint, org_id bigint not null, name text, note jsonb, weight numeric);
insert into twin.parcels select g, %(mine)s, 'ours ' || g, '{"a": 1}', g from generate_series(1, 20) g;
insert into twin.parcels select g, %(other)s, 'zqxk ' || g, '{"zqxk": "zqxk"}', 1000000 + g from generate_series(1, 30) g;
create table twin.zqxk_hidden(zqxk_column text); insert into twin.zqxk_hidden values ('zqxk');
create view twin.heavy with (security_invoker) as select p.id, p.org_id, p.name, c.name as customer from twin.parcels p
 left join crm.customers c on c.org_id = p.org_id and c.id = p.id where p.weight > 5"""


@pytest.fixture(scope="module")
def orgs(home):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        return dict(conn.execute("select slug, id from crm.orgs").fetchall())


def asked(table, document, *, type="twin", name=None, whole=False, roles=("admin",)):
    return Asked("twin", table, type, name, None, None, whole, roles, (), document)


def parcels(**more):
    return asked(
        "parcels",
        Document(
            description="Parcels.",
            examples=[Example(question="How many?", query="select count(*) from twin.parcels")],
            **more,
        ),
    )


@pytest.fixture(scope="module")
def twin(home, orgs):
    """A table that both orgs have registered, a view over it, and one of the second org's alone with canaries in every name."""
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        named = {"mine": str(orgs["demo"]), "other": str(orgs["other"])}
        conn.execute(TWIN % named)
        ids = {}
        for slug in ("demo", "other"):
            ids[slug] = register.add(conn, orgs[slug], parcels())[0].id
            register.add(conn, orgs[slug], asked("heavy", Document(description="Heavy ones.")))
        said = Document(
            description="zqxk words", columns={"zqxk_column": "zqxk meaning"}, values={"zqxk_column": {"zqxk": "zqxk"}},
            examples=[Example(question="zqxk?", query="select * from zqxk_type.zqxk_table")],
        )  # fmt: skip
        hidden = asked("zqxk_hidden", said, type="zqxk_type", name="zqxk_table", whole=True)
        ids["hidden"] = register.add(conn, orgs["other"], hidden)[0].id
    yield ids
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        for _ in range(2):
            for one in register.listed(conn):
                try:
                    register.remove(conn, one.entry.org, one.entry.label)
                except Refusal:
                    continue
        assert register.listed(conn) == []
        conn.execute("drop schema twin cascade")


@pytest.fixture
def served(connect, twin):
    def client(email=ADMIN):
        return connect(email, toolsets=frozenset({"query"}))

    return client


async def _ask(client, query, limit=200):
    given = {"query": query, "reasoning": "an attack", "limit": limit}
    return (await client.call_tool("execute_crm_query", given)).structured_content


ATTACKS = (
    "select * from twin.parcels",
    "select * from parcels",
    "select * from twin.heavy",
    "select p.*, h.* from twin.parcels p full join twin.heavy h on true",
    "select string_agg(name, ',') from twin.parcels",
    "select max(name), min(name), max(weight), count(*) from twin.parcels",
    "select jsonb_agg(to_jsonb(p)) from twin.parcels p",
    "select p::text from twin.parcels p",
    "select name::int from twin.parcels",
    "select note ->> 'a' from twin.parcels where (note ->> 'a')::int > 0",
    "select * from twin.parcels where 1 / (case when weight > 1000 then 0 else 1 end) = 1",
    "select * from twin.parcels where name ~ '(' or true",
    "select * from twin.parcels order by weight desc",
    "select weight from twin.parcels union all select 1 / nullif(weight - weight, 1) from twin.parcels",
    "with p as (select * from twin.parcels) select * from p where weight > 1000",
    "select (select name from twin.parcels where weight > 1000 limit 1)",
    "select * from twin.parcels p, lateral (select * from twin.heavy h where h.id = p.id) x",
    "select org_id from twin.parcels",
    "select * from twin.parcel",
    "select * from twin.hidden",
    "select * from zqx_type.zqx_table",
    "select * from zq_table",
    "select * from query_own.t1_admin",
    "select * from twin.zqx_hidden",
    "select nothing from twin.parcels",
    "select zq_column from twin.parcels",
    "select * from crm.own_tables",
    "select * from own_tables",
    "select crm.own_table_fault(null)",
    "select * from pg_class where relname like 'z%'",
    "select * from information_schema.columns",
    "select 'twin.zqx'::regclass",
    "select * from twin.parcels p join zqx_table using (id)",
    "select table_name from twin.parcels",
    "select * from twin.parcels; select * from twin.parcels",
    "select * from customers.twin.parcels",
    'select * from "twin"."parcels"',
    'select * from "twin.parcels"',
)


async def test_a_second_org_never_shows_in_answers_errors_or_suggestions(served):
    async with served() as client:
        answers = [(one, await _ask(client, one)) for one in ATTACKS]
    assert [one for one in answers if CANARY in json.dumps(one[1])] == []
    rows = dict(answers)["select * from twin.parcels"]["result"]["rows"]
    assert len(rows) == 20 and all(row[1].startswith("ours") for row in rows)
    assert sum("error" not in told for _, told in answers) >= 14
    assert [one for one in answers if one[1].get("error") in ("INTERNAL_ERROR", "CRASHED")] == []


async def test_its_names_are_in_no_schema_resource_or_completion(served):
    async with served() as client:
        for given in (
            {},
            {"search": "zq"},
            {"search": "words"},
            {"table": "zqxk_typ.zqxk_tabl"[:3]},
            {"table": "twin.parcels"},
        ):
            told = (await client.call_tool("get_schema", given)).structured_content
            assert CANARY not in json.dumps(told), given
        refused = []
        for table in ("zqxk_type.zqxk_table", "nothing_type.nothing_table"):
            told = (await client.call_tool("get_schema", {"table": table})).structured_content
            refused.append(json.dumps(told["context"]).replace(table, "X"))
        assert refused[0] == refused[1]
        listed = (await client.read_resource("crm://schema")).contents[0].text
        assert CANARY not in listed and '"twin"' in listed
        assert CANARY not in (await client.read_resource("crm://schema/twin/parcels")).contents[0].text
        said = []
        for uri in ("crm://schema/zqxk_type/zqxk_table", "crm://schema/other/other", "crm://schema/zqxk_type"):
            with pytest.raises(Exception, match="RESOURCE_NOT_FOUND") as caught:
                await client.read_resource(uri)
            said.append(str(caught.value).replace(uri, "X"))
        assert said[0] == said[1] == said[2]


async def test_its_names_complete_nothing(served):
    from mcp_types import ResourceTemplateReference

    template = ResourceTemplateReference(type="ref/resource", uri="crm://schema/{type}/{table}")
    async with served() as client:
        for name in ("type", "table"):
            for start in ("", "z", "zqxk", "t", "p"):
                found = (await client.complete(template, {"name": name, "value": start})).completion.values
                assert not [one for one in found if CANARY in one], (name, start, found)
        assert "twin" in (await client.complete(template, {"name": "type", "value": "t"})).completion.values
        own = await client.complete(template, {"name": "table", "value": ""}, {"type": "twin"})
        assert own.completion.values == ["heavy", "parcels"]


async def test_each_org_sees_its_own_rows_and_its_own_tables(served, owner_asks, orgs):
    async with served(OTHER) as client:
        rows = (await _ask(client, "select name from twin.parcels"))["result"]["rows"]
        assert len(rows) == 30 and all(CANARY in row[0] for row in rows)
        assert (await _ask(client, "select zqxk_column from zqxk_type.zqxk_table"))["result"]["rows"] == [[CANARY]]
        told = (await client.call_tool("get_schema", {"table": "zqxk_table"})).structured_content["schema"]["table"]
        assert told["columns"] == [
            {"name": "zqxk_column", "type": "text", "meaning": "zqxk meaning", "values": {"zqxk": "zqxk"}}
        ]
        assert told["examples"][0]["question"] == "zqxk?"
    async with served() as client:
        seen = (await _ask(client, "select id, customer from twin.heavy where customer is not null order by id"))[
            "result"
        ]["rows"]
    assert seen and seen[0][1] == owner_asks(
        "select name from crm.customers where org_id = %s and id = %s", orgs["demo"], seen[0][0]
    )


async def test_a_role_that_it_is_not_for_does_not_know_of_it(served):
    async with served(FINANCE) as client:
        answers = [(one, await _ask(client, one)) for one in ATTACKS]
        listed = (await client.call_tool("get_schema", {})).structured_content
    assert not [one for one in answers if "ours" in json.dumps(one[1])]
    assert "twin" not in json.dumps(listed) and "twin" not in json.dumps(
        [one[1].get("context", {}).get("suggestions") for one in answers]
    )


PAST = (
    "select * from query_own.t{mine}_admin",
    "select * from query_own.t{theirs}_admin",
    "select * from query_own.t{hidden}_admin",
    "select count(*) from query_own.t{hidden}_admin having count(*) > 0",
    "select * from twin.parcels",
    "select name from twin.parcels",
    "select * from twin.zqxk_hidden",
    "select set_config('crm.org_id', '{other}', true), p.* from query_own.t{theirs}_admin p",
    "select set_config('crm.query_token', 'query.{other}.1.1.99999999999.x', true), p.* from query_own.t{theirs}_admin p",
    "select * from crm.own_tables",
    "select * from query_own.t{theirs}_admin where 1 / (case when name like 'z%' then 0 else 1 end) = 1",
    "select most_common_vals from pg_stats where schemaname = 'twin'",
    "select * from pg_stats_ext where schemaname = 'twin'",
    "select * from query_admin_finance.ledger",
    "select * from query_admin_analytics.events",
    "select * from query_admin_analytics.customer_value",
)


@pytest.fixture
def past(home, orgs, twin, queries_of, person):
    """Run a statement as crm_query without its judge, as somebody of the first org."""

    async def run(statement):
        named = {"mine": twin["demo"], "theirs": twin["other"], "hidden": twin["hidden"], "other": orgs["other"]}
        for name, value in named.items():
            statement = statement.replace(f"{{{name}}}", str(value))
        try:
            return (await queries_of(home).run(await person(ADMIN), statement, (), 200)).rows
        except psycopg.Error as refused:
            return type(refused).__name__

    return run


async def test_past_the_judge_postgres_holds_alone(past):
    answers = [(one, await past(one)) for one in PAST]
    assert [one for one in answers if CANARY in json.dumps(one[1], default=str)] == []
    assert len(answers[0][1]) == 20 and answers[1][1] == [] and answers[2][1] == []


LAYERS = {
    "both dropped": (True, True, True),
    "the view's filter dropped": (True, False, False),
    "the policies dropped": (False, True, False),
}


@pytest.mark.parametrize(("view", "policies", "leaks"), LAYERS.values(), ids=LAYERS.keys())
async def test_one_layer_is_enough_and_a_planted_leak_is_seen(home, twin, orgs, past, view, policies, leaks):
    name = f"query_own.t{twin['demo']}_admin"
    wide = f"create or replace view {name} with (security_invoker, security_barrier) as select t.id, t.name, t.note, t.weight from twin.parcels t"
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as owner:
        try:
            if view:
                owner.execute(wide)
            if policies:
                owner.execute(
                    "alter policy crm_mcp_only on twin.parcels using (true); alter policy crm_mcp_sees on twin.parcels using (true)"
                )
            found = await past("select * from query_own.t{mine}_admin")
        finally:
            _renewed(owner)
    assert (CANARY in json.dumps(found, default=str)) is leaks
    assert len(await past("select * from query_own.t{mine}_admin")) == 20


async def test_with_its_policies_changed_the_tool_does_not_know_it_any_more(home, twin, served):
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as owner:
        owner.execute("alter policy crm_mcp_only on twin.parcels using (true)")
        async with served() as client:
            for table in ("parcels", "heavy"):
                assert (await _ask(client, f"select * from twin.{table}"))["error"] == "UNKNOWN_TABLE"
            assert "parcels" not in json.dumps((await client.call_tool("get_schema", {})).structured_content)
            with pytest.raises(Exception, match="RESOURCE_NOT_FOUND"):
                await client.read_resource("crm://schema/twin/parcels")
        _renewed(owner)


def _renewed(owner):
    for one in sorted(register.listed(owner), key=lambda one: one.entry.kind):
        assert confine.renew(owner, one.entry) == []


async def test_a_masked_column_is_not_told_of_to_its_role(home, orgs, twin, served):
    said = Document(
        description="What it took.", columns={"hours": "Hours.", "price": "Price."}, masked={"price": ["finance"]}, key_fields=["price"],
        searchable=["hours"], values={"price": {"1": "one"}}, relationships={"price": "orders", "hours": "issues"},
        examples=[
            Example(question="What did it cost?", query="select sum(price) from twin.costs"),
            Example(question="How many hours?", query="select sum(hours) from twin.costs"),
            Example(question="How many issues?", query="select count(*) from twin.costs c join issues i on i.id = c.hours"),
        ],
    )  # fmt: skip
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as owner:
        owner.execute("create table twin.costs(org_id bigint, hours bigint, price text)")
        register.add(owner, orgs["demo"], asked("costs", said, roles=("admin", "finance")))
        try:
            told = {}
            for email in (ADMIN, FINANCE):
                async with served(email) as client:
                    tool = (await client.call_tool("get_schema", {"table": "twin.costs"})).structured_content[
                        "schema"
                    ]["table"]
                    resource = json.loads((await client.read_resource("crm://schema/twin/costs")).contents[0].text)
                    told[email] = (tool, resource, await _ask(client, "select price from twin.costs"))
        finally:
            register.remove(owner, orgs["demo"], "twin.costs")
            owner.execute("drop table twin.costs")
    tool, resource, answer = told[FINANCE]
    assert answer["error"] == "UNKNOWN_COLUMN"
    for one in (tool, resource):
        assert "price" not in json.dumps(one) and "issues" not in json.dumps(one) and "hours" in json.dumps(one)
        assert [example["question"] for example in one["examples"]] == ["How many hours?"]
    tool, resource, answer = told[ADMIN]
    assert answer["type"] == "result" and len(tool["examples"]) == len(resource["examples"]) == 3
    assert tool["relationships"] == {"price": "orders.id", "hours": "issues.id"} and resource["keyFields"] == [
        "price"
    ]
    assert "masked" not in tool and "masked" not in resource


async def test_while_it_is_registered_and_taken_out_again_a_query_sees_its_rows_or_no_table(home, orgs, twin, served):
    document = Document(description="Boxes.")

    def change(slug):
        for _ in range(12):
            for doing in ("add", "remove"):
                with psycopg.connect(home.conninfo("crm_owner")) as conn:
                    register.begin(conn)
                    if doing == "add":
                        register.add(conn, orgs[slug], asked("boxes", document))
                    else:
                        register.remove(conn, orgs[slug], "twin.boxes")

    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as owner:
        owner.execute("create table twin.boxes(org_id bigint not null, name text)")
        owner.execute("insert into twin.boxes select %s, 'ours' from generate_series(1, 5)", (orgs["demo"],))
        owner.execute("insert into twin.boxes select %s, 'zqxk' from generate_series(1, 7)", (orgs["other"],))
        before = owner.execute(
            "select relrowsecurity, relacl from pg_class where oid = 'twin.boxes'::regclass"
        ).fetchone()
        answers = []
        async with served() as client:
            changing = asyncio.gather(*(asyncio.to_thread(change, slug) for slug in ("demo", "other")))
            while not changing.done():
                answers.append(await _ask(client, "select name from twin.boxes"))
            await changing
        kinds = {told.get("error", "rows") for told in answers}
        assert kinds <= {"rows", "UNKNOWN_TABLE", "BUSY"} and len(answers) > 10, kinds
        assert all(told["result"]["rows"] in ([["ours"]] * 5, []) for told in answers if "result" in told)
        after = owner.execute(
            "select relrowsecurity, relacl from pg_class where oid = 'twin.boxes'::regclass"
        ).fetchone()
        assert before[0] == after[0] is False
        assert owner.execute("select count(*) from pg_policy where polrelid = 'twin.boxes'::regclass").fetchone() == (
            0,
        )


async def test_what_is_made_anew_after_a_migration_is_what_was(home, twin, served):
    with psycopg.connect(home.conninfo("crm_owner")) as owner:
        views.make(owner)
        confine.make(owner)
        assert [one.fault for one in register.listed(owner)] == [None] * 5
    async with served() as client:
        assert len((await _ask(client, "select * from twin.parcels"))["result"]["rows"]) == 20
