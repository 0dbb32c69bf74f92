"""Each leg of search looks in its index, and the indexer finds its place in the record of changes by one."""

import psycopg
import pytest

LEGS = {
    "words": ("search_chunks_words", "select id from crm.search_chunks where org_id = 1 and words @@ 'veneer'::tsquery limit 1000"),
    "a name's words": (
        "search_chunks_words",
        "select id from crm.search_chunks where org_id = 1 and names is not null and words @@ 'veneer:A'::tsquery limit 500",
    ),
    "names": (
        "search_chunks_names",
        "select id from crm.search_chunks where org_id = 1 and names is not null and names operator(public.%>) 'wetherby' limit 1000",
    ),
    "changes": (
        "changes_in_order",
        "select id from crm.changes where org_id = 1 and (xact, id) > ('5'::xid8, 7) and xact < '9'::xid8 order by xact, id limit 500",
    ),
    "phones": (
        "individuals_phone_ending",
        "select id from crm.individuals where org_id = 1 and phone_ending ~>=~ '7771' and phone_ending ~<~ '7771:'",
    ),
}  # fmt: skip


def plan(home, sql):
    """Return a plan of a transaction that is rolled back: there no other index of the passages will do, small as they are."""
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        for key in ("pkey", "org_id_entity_record_id_part_key"):
            conn.execute(f"alter table crm.search_chunks drop constraint search_chunks_{key} cascade".encode())
        conn.execute("set local role crm_definer")
        conn.execute("select set_config('crm.org_id', '1', true)")
        conn.execute("set local enable_seqscan = off")
        told = "\n".join(row[0] for row in conn.execute(f"explain (costs off) {sql}".encode()))
        conn.rollback()
    return told


@pytest.mark.parametrize("leg", LEGS)
def test_a_definer_looks_in_the_index(home, leg):
    index, sql = LEGS[leg]
    told = plan(home, sql)
    assert index in told, told
    assert "Filter: (words" not in told


def test_without_the_policy_of_definers_row_level_security_would_hide_the_index(home):
    _, sql = LEGS["names"]
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("drop policy searched on crm.search_chunks")
        conn.execute("set local role crm_definer")
        conn.execute("select set_config('crm.org_id', '1', true)")
        told = "\n".join(row[0] for row in conn.execute(f"explain (costs off) {sql}".encode()))
        conn.rollback()
    assert "Filter" in told
    assert "names %>" in told.partition("Filter")[2], told
