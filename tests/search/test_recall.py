"""Somebody is found despite how they are asked for: recall@5, a category at a time, on a generated population.

`population.py` says what is done to a name. The first seed is the one that search was tuned with, the second was held out.
"""

from collections import Counter
from pathlib import Path

import psycopg
import pytest
from population import files, population, queries

from crm_mcp.search.indexer import catch_up
from orgs import sit_down

TUNED, HELD_OUT = 1, 20290
LEAST, LEAST_OF_A_CATEGORY = 0.95, 0.85
MOST = 5


@pytest.fixture(scope="session")
def people():
    return population()


@pytest.fixture
async def org(home, approver, worker, people, tmp_path: Path):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        known = conn.execute("select id from crm.orgs where slug = 'recalled'").fetchone()
    if known is not None:
        return known[0]
    desk = await sit_down(home, approver, tmp_path, "recalled")
    for kind, text in files(people):
        assert (await desk.bring(kind, text)).rejected == []
    # words of people stand in texts too, and must not crowd them out
    about = desk.ask("select id from crm.customers where org_id = %s order by id limit 1")[0][0]
    notes = "id,customer,body\n" + "".join(
        f"n{at},p{at},Spoke with {party.name} about the chairs.\n"
        for at, party in enumerate(people[:200])
        if party.table == "customers"
    )
    assert about
    await desk.bring("notes", notes)
    await catch_up(worker, desk.who.org)
    return desk.who.org


def recalled(home, org, people, seed):
    """Return how many queries of each category there were, how many found whom they meant, and what missed."""
    asked, found, missed = Counter(), Counter(), []
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        tables = sorted({party.table for party in people})
        numbers = {
            (table, name): number
            for table in tables
            for number, name in conn.execute(f"select id, name from crm.{table} where org_id = %s", (org,))
        }
    with psycopg.connect(home.conninfo("crm_agent"), autocommit=True) as conn:
        conn.execute("select set_config('crm.org_id', %s, false)", (str(org),))
        for one in queries(people, seed):
            rows = conn.execute(
                "select entity, record_id from crm.search(%s, 'admin', 1, null, null, 0, %s)", (one.text, MOST)
            ).fetchall()
            asked[one.category] += 1
            if (one.meant.table, numbers[one.meant.table, one.meant.name]) in rows:
                found[one.category] += 1
            else:
                missed.append((one.category, one.text, one.meant.name))
    return asked, found, missed


@pytest.mark.parametrize("seed", [TUNED, HELD_OUT])
def test_whoever_is_meant_is_among_the_first_five(home, org, people, seed, record_property):
    asked, found, missed = recalled(home, org, people, seed)
    shares = {category: found[category] / count for category, count in asked.items()}
    record_property("recall", shares)
    print("\n".join(f"{share:.3f}  {asked[name]:3}  {name}" for name, share in shares.items()))
    assert found.total() / asked.total() >= LEAST, missed
    assert min(shares.values()) >= LEAST_OF_A_CATEGORY, (shares, missed)


def test_every_category_is_asked_often_enough_to_say_something(people):
    assert min(Counter(one.category for one in queries(people, HELD_OUT)).values()) >= 30
