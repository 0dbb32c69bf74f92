"""Reports of an org's own: added, listed, run under the guards of free-form SQL, and unknown to everybody else."""

import re
import subprocess
import sys
from asyncio import to_thread
from pathlib import Path

import pytest
from click.testing import CliRunner

from crm_mcp.cli import main
from crm_mcp.config import quiet_environment
from crm_mcp.reports import own
from crm_mcp.reports.header import HeaderInvalid

ADA, SAM, SUE = "ada@demo.example", "sam@demo.example", "sue@demo.example"
GOOD = """-- title: Quarters
-- description: Orders by quarter.
-- roles: admin, sales
-- period: all | When orders were placed.
-- param: most integer = 3 up to 5 | How many.
-- column: month text | Month.
-- column: orders integer total | Orders.
-- column: revenue money total | Net, in base currency.
-- key: month in time
-- when: o.placed_at
-- group: status | o.status | Status.
-- filter: status text | o.status = %(status)s | In this status.
-- ids: orders
-- note: Of our own.
select {group} as {by}, count(*) as orders, sum(o.net_total) as revenue,
  (array_agg(o.id order by o.id desc))[1:20] as ids, count(*) as id_count
from crm.orders o
where o.placed_at >= %(from)s::date::timestamp at time zone %(zone)s
  and o.placed_at < (%(to)s::date + 1)::timestamp at time zone %(zone)s
  and o.currency = %(currency)s{filters}
group by 1 order by 1 desc limit %(most)s::int
"""
ONE = "-- title: T\n-- description: D\n-- roles: {roles}\n-- column: n integer | N.\n{more}select {sql} as n{rest}\n"


def _one(sql="1", rest="", roles="admin", more=""):
    return ONE.format(sql=sql, rest=rest, roles=roles, more=more)


@pytest.fixture
def reports(home, monkeypatch, tmp_path):
    """Return what runs `crm-mcp reports`; a text is written to a file of the name that stands before it."""
    monkeypatch.setenv("CRM_HOME", str(home.root))

    async def typed(command, *words, name=None, text=None):
        more = []
        if name is not None:
            file = tmp_path / f"{name}.sql"
            file.write_text(text, encoding="utf-8")
            more = [str(file)]
        by = ("--user", ADA) if command in ("add", "remove") else ()
        org = () if command == "list" else ("--org", "demo")
        return await to_thread(CliRunner().invoke, main, ["reports", command, *org, *by, *words, *more])

    return typed


@pytest.fixture
async def quarters(reports):
    added = await reports("add", name="quarters", text=GOOD)
    assert added.exit_code == 0, added.output
    yield
    assert (await reports("remove", "quarters")).exit_code == 0


async def _run(connect, email, report, **parameters):
    async with connect(email) as client:
        asked = {"report": report, "parameters": parameters, "include": ["sql"]}
        return (await client.call_tool("run_report", asked)).structured_content


async def test_an_own_report_is_listed_and_runs_like_any_other(quarters, connect, owner_asks):
    async with connect(SAM) as client:
        listed = (await client.call_tool("list_reports", {})).structured_content
    (row,) = [one for one in listed["reports"] if one["name"] == "quarters"]
    assert row["own"] is True and row["groupBy"] == "time, status" and row["filters"] == "status"
    assert "leftOut" not in listed["_meta"]
    told = (await _run(connect, SAM, "quarters", days=0, most=99))["report"]
    assert told["own"] is True and told["parameters"] == {"most": 5} and len(told["rows"]) == 5
    exact = owner_asks(
        """select sum(o.net_total) from crm.orders o join crm.orgs g on g.id = o.org_id and g.slug = 'demo'
        where to_char(o.placed_at at time zone g.timezone, 'YYYY-MM') = %s and o.currency = g.base_currency""",
        told["rows"][0]["month"],
    )
    assert told["rows"][0]["revenue"] == f"{exact:.2f}" and told["rows"][0]["ids"][0].startswith("ord_")
    assert "query_sales.orders" in told["sql"] and "%(" not in told["sql"]
    status = await _run(connect, SAM, "quarters", days=0, group_by="status", status="completed")
    assert [one["status"] for one in status["report"]["rows"]] == ["completed"]
    both = await _run(connect, ADA, "quarters", period="last 12 months", compare="previous")
    assert both["report"]["rows"] and all("before" in one for one in both["report"]["rows"])
    row = await _run(connect, ADA, "quarters", days=0, row={"month": told["rows"][0]["month"]}, ids=1)
    assert row["report"]["rows"][0]["ids"][0] == told["rows"][0]["ids"][1]


async def test_the_example_of_the_page_can_be_added(reports):
    page = (Path(__file__).parents[2] / "docs" / "reports.md").read_text(encoding="utf-8")
    example = re.search(r"```sql\n(.*?)```", page, re.DOTALL)
    told = await reports("check", name="large_orders", text=example[1])
    assert told.exit_code == 0, told.output


async def test_adding_and_removing_is_recorded_and_audited(quarters, reports, owner_asks):
    assert (await reports("add", name="quarters", text=GOOD.replace("Quarters", "Anew"))).exit_code == 0
    listed = await reports("list", "--json")
    assert '"title": "Anew"' in listed.output and '"quarters"' in listed.output
    recorded = "select array_agg(op::text order by id) from crm.changes where tbl = 'reports' and call_id in (select call_id from crm.audit_log where tool = 'reports_add')"
    assert owner_asks(recorded)[-1] == "U"
    assert owner_asks("select count(*) from crm.free_writes where tbl = 'reports'") == 0
    who = "select u.email from crm.audit_log a join crm.users u on u.id = a.user_id where a.tool = 'reports_add' order by a.id desc limit 1"
    assert owner_asks(who) == ADA


async def test_a_report_of_another_role_or_org_does_not_exist(quarters, connect, owner_asks):
    twin = owner_asks(
        """select u.email from crm.memberships m join crm.users u on u.id = m.user_id join crm.orgs o on o.id = m.org_id
        where o.slug <> 'demo' and m.role = 'admin' and m.active and u.email like '%%.example' order by o.id limit 1"""
    )
    for email in (SUE, twin):
        told, unknown = await _run(connect, email, "quarters"), await _run(connect, email, "quartexs")
        assert told["error"] == unknown["error"] == "REPORT_NOT_FOUND"
        assert told["context"].keys() == unknown["context"].keys()
        assert "quarters" not in told["context"]["suggestions"]
        async with connect(email) as client:
            listed = (await client.call_tool("list_reports", {})).structured_content
            assert "quarters" not in str(listed)
            kept = (
                await client.call_tool("execute_crm_query", {"query": "select name from reports", "reasoning": "?"})
                if email == twin
                else None
            )
            assert kept is None or kept.structured_content["result"]["rows"] == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (_one("1", " from invoices", roles="admin, support"), "support: There is no table 'invoices'"),
        (_one("1", "; select 2"), "exactly one SELECT"),
        (_one("1", " from pg_class"), "There is no table 'pg_class'"),
        (_one("1", " from crm.orders for update"), "takes no locks"),
        (_one("pg_sleep(9)::int"), "pg_sleep"),
        (_one("(select set_config('crm.org_id', '2', false))::int"), "set_config"),
        (_one("count(*)", " from query_admin.orders"), "There is no table"),
        (_one("nothing", " from orders"), "no column or alias 'nothing'"),
        (_one("1.5::float8"), "n is declared as integer and is of type double precision"),
        (_one("1", ", 2 as m"), "m is not declared"),
        (_one("%(org)s::int"), "leave %(org)s out"),
        (_one("%(who)s::int"), "which nothing declares"),
        (_one("1", " where '%(zone)s' = ''"), "within quotes"),
        (_one("1", roles="admin, king"), "line 3: 'king' is no role"),
        (_one("1", more="-- idz: orders\n"), "line 5"),
        (_one("1", more="-- org: other\n"), "it is of other, not of demo"),
        (_one("1", more="-- param: x text = a | X.\n"), "does not take %(x)s"),
        (_one("1", more="-- filter: a text | true | A.\n"), "takes no %(a)s"),
        ("select 1 as n", "a report says its title"),
    ],
)  # fmt: skip
async def test_what_cannot_be_added_is_refused_with_the_reason(reports, text, why):
    for command in ("check", "add"):
        told = await reports(command, name="some", text=text)
        assert told.exit_code == 1 and why in told.output, told.output
    assert '"some"' not in (await reports("list", "--json")).output


@pytest.mark.parametrize("name", ["revenue_by_month", "stock_below_reorder_level", "Big", "1st", "a-b", "a" * 61])
async def test_a_name_that_is_taken_or_cannot_be_asked_for_is_refused(reports, name):
    told = await reports("add", name=name, text=_one())
    assert told.exit_code == 1 and re.search("comes with crm-mcp|named by small letters", told.output)


async def test_only_an_administrator_of_the_org_adds(home, monkeypatch, tmp_path):
    monkeypatch.setenv("CRM_HOME", str(home.root))
    file = tmp_path / "some.sql"
    file.write_text(_one(), encoding="utf-8")
    for user in (SAM, "nobody@demo.example"):
        told = await to_thread(
            CliRunner().invoke, main, ["reports", "add", "--org", "demo", "--user", user, str(file)]
        )
        assert told.exit_code == 1 and "no administrator" in told.output


async def test_no_agent_writes_a_report(connect, home, owner_asks, person):
    import psycopg

    org = owner_asks("select id from crm.orgs where slug = 'demo'")
    with psycopg.connect(home.conninfo("crm_agent")) as conn:
        conn.execute("select set_config('crm.org_id', %s, true), set_config('crm.call_id', '7', true)", (str(org),))
        conn.execute("insert into crm.reports(org_id, name, definition) values (%s, 'x', 'y')", (org,))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.commit()


def _folder(tmp_path, **files):
    for name, text in files.items():
        (tmp_path / f"{name}.sql").write_text(text, encoding="utf-8")
    return tmp_path


async def test_reports_of_a_folder_are_those_of_the_orgs_they_name(connect, tmp_path):
    folder = _folder(tmp_path, ours=_one("count(*)", " from orders", more="-- org: demo, another\n"))
    found = own.of_folder(folder)
    async with connect(ADA) as client:
        client.app.reports = found
        told = (await client.call_tool("run_report", {"report": "ours"})).structured_content
        assert told["report"]["rows"][0]["n"] > 100 and told["report"]["own"]
    async with connect(SAM) as client:
        client.app.reports = found
        assert (await client.call_tool("run_report", {"report": "ours"})).structured_content[
            "error"
        ] == "REPORT_NOT_FOUND"
    theirs = own.of_folder(_folder(tmp_path, ours=_one(more="-- org: another\n")))
    async with connect(ADA) as client:
        client.app.reports = theirs
        assert (await client.call_tool("run_report", {"report": "ours"})).structured_content[
            "error"
        ] == "REPORT_NOT_FOUND"


def test_a_file_without_an_org_is_no_report(tmp_path):
    with pytest.raises(HeaderInvalid, match=r"ours\.sql, line 1: say whose"):
        own.of_folder(_folder(tmp_path, ours=_one()))


def test_a_bad_header_in_the_folder_ends_the_server_with_file_and_line(home, tmp_path):
    bad = _folder(tmp_path, ours=_one(more="-- org: demo\n-- chart: cake n n\n"))
    environment = {**quiet_environment(home.root), "CRM_REPORTS": str(bad)}
    words = [sys.executable, "-P", "-m", "crm_mcp", "serve", "--user", ADA]
    done = subprocess.run(
        words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and done.stdout == "" and "ours.sql, line 6: 'cake n n'" in done.stderr


async def test_masked_columns_and_other_orgs_stay_closed_to_a_report_that_was_added_before(connect, home, owner_asks):
    """A row that the check never saw, as a restore might bring, is judged again when it runs."""
    import psycopg

    from crm_mcp.cli.keeping import kept

    texts = {
        "sly_sleep": _one("pg_sleep(1)::int"),
        "sly_catalog": _one("count(*)::int", " from pg_catalog.pg_class"),
        "sly_org": _one("count(*)", " from orders where org_id = 2"),
    }
    with psycopg.connect(home.conninfo("crm_owner")) as conn, kept(conn, "demo", ADA, "reports", "test", {}) as org:
        for name, text in texts.items():
            conn.execute("insert into crm.reports(org_id, name, definition) values (%s, %s, %s)", (org, name, text))
    for name in texts:
        told = await _run(connect, ADA, name)
        assert told["error"] in ("FUNCTION_REFUSED", "UNKNOWN_TABLE", "UNKNOWN_COLUMN"), told
    with psycopg.connect(home.conninfo("crm_owner")) as conn, kept(conn, "demo", ADA, "reports", "test", {}) as org:
        conn.execute("update crm.reports set archived_at = now() where org_id = %s and name like 'sly%%'", (org,))
