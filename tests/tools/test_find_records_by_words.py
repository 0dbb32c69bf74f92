"""Records found by words through the definer: what it holds back, how many it gives, which index it takes."""

import pytest
from lab import LEA, LUX, ago

from crm_mcp.crm.entities import ENTITIES
from crm_mcp.crm.models import Organization, Task

WORDS = "select record, changed from crm.find_words(%s, %s, %s, %s, %s, %s)"


def ids(told):
    assert "records" in told, told
    return [record["id"] for record in told["records"]]


async def ask(lab, email=LEA, **asked):
    async with lab.connect(email) as client:
        return (await client.call_tool("find_records", {"entity": "organizations", **asked})).structured_content


@pytest.fixture
def find(home, owner_asks):
    """Ask the definer itself as the login that serves, bound to the lab's org or to another."""
    import psycopg

    def asked(kind, query, *, role="admin", most=10_000, live=True, slug="lab"):
        org = owner_asks("select id from crm.orgs where slug = %s", slug)
        with psycopg.connect(home.conninfo("crm_agent")) as conn:
            conn.execute("select set_config('crm.org_id', %s, true)", (str(org),))
            return conn.execute(WORDS, (kind, query, role, 0, live, most)).fetchall()

    return asked


@pytest.fixture
def crowd(home, owner_asks):
    """Fill the lab's org with so many organizations of common and rare words; gone again afterwards."""
    import psycopg

    org = owner_asks("select id from crm.orgs where slug = 'lab'")
    with psycopg.connect(home.conninfo("postgres"), autocommit=True) as conn:

        def made(n, words):
            conn.execute("set session_replication_role = replica")
            conn.execute(
                "insert into crm.organizations(org_id, name, city, updated_at) select %s, %s || ' ' || md5(g::text), 'crowdtown',"
                " now() - g * interval '1 minute' from generate_series(1, %s) g",
                (org, words, n),
            )
            conn.execute("vacuum analyze crm.organizations")

        yield made
        conn.execute("delete from crm.organizations where city = 'crowdtown'")


@pytest.mark.parametrize("text", ["%", "_", "\\", "%%' or true --", "\N{GRINNING FACE}", "'", "zz " * 100, "x" * 300])
async def test_signs_of_patterns_and_texts_without_words_match_nothing(lab, text):
    await lab.add(Organization, {"name": "Hostile a%b_c\\d"})
    told = await ask(lab, query=text, limit=1)
    assert (ids(told), told["_meta"]["total"]) == ([], 0)


async def test_a_text_with_a_nul_is_refused_as_an_argument(lab):
    told = await ask(lab, query="a\0b")
    assert told.get("error") not in (None, "INTERNAL", "DATABASE_UNAVAILABLE")


async def test_one_or_two_letters_count_at_the_beginning_of_a_word(lab):
    (made,) = await lab.add(Organization, {"name": "Shortword xqbert"})
    assert ids(await ask(lab, query="shortword xq")) == [f"org_{made}"]
    assert ids(await ask(lab, query="xq")) == [f"org_{made}"]
    assert ids(await ask(lab, query="shortword qb")) == []
    assert ids(await ask(lab, query="shortword qbe")) == [f"org_{made}"]
    assert ids(await ask(lab, filters={"name": {"contains": "qb"}, "city": None}, query="shortword")) == [
        f"org_{made}"
    ]


async def test_common_words_are_found_through_the_list_with_the_same_rows(lab, crowd, find):
    crowd(900, "Allover")
    assert find("organizations", "allover") == [(None, None)]
    seen, more = [], {}
    async with lab.connect(LEA) as client:
        while True:
            asked = {"entity": "organizations", "query": "ALLOVER", "limit": 100, **more}
            told = (await client.call_tool("find_records", asked)).structured_content
            assert told["_meta"]["total"] == 900
            seen += ids(told)
            if "nextCursor" not in told["_meta"]:
                break
            more = {"cursor": told["_meta"]["nextCursor"]}
    assert len(seen) == len(set(seen)) == 900
    told = await ask(
        lab, query="allover", filters={"city": "Crowdtown", "name": {"contains": "over"}}, sort="name", limit=1
    )
    assert told["_meta"]["total"] == 900


async def test_more_than_are_counted_is_said_and_each_page_still_comes(lab, crowd, find):
    crowd(10_050, "Plenty")
    assert len(find("organizations", "plenty", most=20)) in (1, 21)
    told = await ask(lab, query="plenty", limit=2)
    assert told["_meta"]["total"] == "10000+"
    assert "add a filter or words" in told["_meta"]["hint"]
    assert len(ids(told)) == 2 and told["_meta"]["nextCursor"]


def test_rare_words_are_found_by_their_index(home, crowd, owner_asks):
    import psycopg

    crowd(3000, "Ordinary")
    org = owner_asks("select id from crm.orgs where slug = 'lab'")
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        question = f"explain select x.id from crm.organizations x where x.org_id = {org} and x.search_key like '%c4ca4238a0b9%'"
        plan = "\n".join(row[0] for row in conn.execute(question.encode()))
    assert "organizations_words" in plan


async def test_what_is_hidden_from_a_role_is_neither_given_nor_counted(lab, find):
    (deal,) = await lab.add(ENTITIES["deals"].model, {"name": "Veil"})
    (task,) = await lab.add(Task, {"title": "veiled matter", "subject_type": "deals", "subject_id": deal})
    (below,) = await lab.add(Task, {"title": "veiled matter", "subject_type": "tasks", "subject_id": task})
    assert {row[0] for row in find("tasks", "veiled matter")} == {task, below}
    assert (
        find("tasks", "veiled matter", role="support") == find("tasks", "veiled matter", role="support", most=0) == []
    )
    assert find("deals", "veil", role="support") == find("tasks", "veiled", role="nobody") == []
    assert find("memberships", "a") == find("users", "a") == []
    told = await ask(lab, LUX, entity="tasks", query="veiled")
    assert (ids(told), told["_meta"]["total"]) == ([], 0)


async def test_words_of_another_org_and_of_what_is_archived_are_not_given(lab, find):
    live, gone = await lab.add(
        Organization, {"name": "Sundered one", "archived_at": None}, {"name": "Sundered two", "archived_at": ago(1)}
    )
    assert [row[0] for row in find("organizations", "sundered")] == [live]
    assert {row[0] for row in find("organizations", "sundered", live=False)} == {live, gone}
    assert find("organizations", "sundered", slug="demo") == []
