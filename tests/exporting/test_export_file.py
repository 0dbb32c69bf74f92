"""What an export writes, who may, and that it is there whole or not at all."""

import csv
import io
import json
import tracemalloc
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from crm_mcp import auth
from crm_mcp.cli import main
from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.errors import Refusal
from crm_mcp.exporting.run import run
from crm_mcp.exporting.target import opened
from crm_mcp.kinds.every import EXPORTS, KINDS, Kind
from orgs import Desk, sit_down

SLUGS = count(1)
CUSTOMERS = "id,name,email,phone,credit_limit\nA,\"=cmd|' /C calc'!A0\",a@a.example,+49 30 1,-\n".replace(
    ",-\n", ",5000\n"
)


@pytest.fixture
async def desk(home: Home, approver: Database, tmp_path: Path) -> Desk:
    made = await sit_down(home, approver, tmp_path, f"export{next(SLUGS)}")
    await made.bring("customers", CUSTOMERS)
    await made.bring("products", "id,sku,name,price,stock\n1,CH,Chair,10,7\n2,DE,Desk,99.5,\n", source="shop @home")
    return made


async def taken(desk: Desk, kind: Kind, **options: Any) -> list[dict[str, str]]:
    out = io.BytesIO()
    await run(desk.db, desk.who, kind, out, form="csv", about="-", progress=lambda _: None, **options)
    return list(csv.DictReader(io.StringIO(out.getvalue().decode(), newline="")))


async def become(desk: Desk, role: str) -> None:
    with psycopg.connect(desk.home.conninfo("crm_owner")) as conn:
        conn.execute("update crm.memberships set role = %s where org_id = %s", (role, desk.who.org))
    desk.who = await desk.db.sign_in(auth.by_email(desk.who.email))


async def test_ids_are_typed_formulas_are_texts_and_money_has_its_currency(desk: Desk) -> None:
    (row,) = await taken(desk, "customers")

    assert row["id"].startswith("cust_")
    assert row["external_id_of_old"] == "A"
    assert row["name"] == "'=cmd|' /C calc'!A0"
    assert row["phone"] == "'+49 30 1"
    assert (row["credit_limit"], row["currency"]) == ("5000.00", "EUR")
    assert row["created_at"].endswith("+00:00")
    assert row["created_by_email"] == desk.who.email


async def test_stock_is_what_is_there_less_what_is_kept(desk: Desk) -> None:
    await desk.bring("customers", "id,name\nB,Beta\n", source="shop @home")
    await desk.bring(
        "orders", "id,customer,date\n9,B,2024-01-01\n", lines="order,product,quantity,price\n9,1,9,1\n", source="shop @home"
    )  # fmt: skip

    rows = await taken(desk, "stock")

    assert [(row["sku"], row["stock"], row["reserved"], row["available"]) for row in rows] == [
        ("CH", "7", "9", "-2"),
        ("DE", "0", "0", "0"),
    ]
    assert rows[0]["external_id_of_shop @home"] == "1"


async def test_a_document_is_taken_out_with_its_worth_in_base_currency(desk: Desk) -> None:
    await desk.bring("exchange_rates", "currency,valid_from,rate\nUSD,2024-01-01,0.9\n")
    await desk.bring(
        "invoices",
        "id,customer,date,total,currency\n1,A,2024-01-02,10,USD\n2,A,2023-12-31,10,USD\n3,A,2023-12-31,10,EUR\n",
    )
    await desk.bring("payments", "id,invoice,date,amount,currency\n1,1,2024-01-03,5,USD\n2,2,2023-12-31,5,USD\n")

    told = [(row["base_total"], row["base_currency"]) for row in await taken(desk, "invoices")]
    assert told == [("9.00", "EUR"), ("", "EUR"), ("10.00", "EUR")]
    told = [(row["base_amount"], row["base_currency"]) for row in await taken(desk, "payments")]
    assert told == [("4.50", "EUR"), ("", "EUR")]


async def test_people_are_named_beside_their_addresses_and_waiting_is_counted(desk: Desk) -> None:
    await desk.bring("customers", f"id,name,owner\nC,Gamma,{desk.who.email}\n")
    await desk.bring("issues", f"id,customer_id,title,date,assignee\n1,A,Late,2024-01-06,{desk.who.email}\n")
    await desk.bring("tasks", f"id,title,assignee\n1,Call,{desk.who.email}\n2,Write,\n")

    assert [row["owner_name"] for row in await taken(desk, "customers")] == ["", "Boss"]
    assert [(row["assignee_name"], row["waited_seconds"]) for row in await taken(desk, "issues")] == [("Boss", "0")]
    assert [row["assignee_name"] for row in await taken(desk, "tasks")] == ["Boss", ""]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_can_be_taken_out_by_an_administrator(desk: Desk, kind: Kind) -> None:
    assert isinstance(await taken(desk, kind), list)


@pytest.mark.parametrize("kind", ["invoices", "payments", "credit_notes", "stock"])
async def test_a_role_does_not_take_out_what_it_may_not_see(desk: Desk, kind: Kind) -> None:
    await become(desk, "support")

    with pytest.raises(Refusal, match="ROLE_NOT_ALLOWED"):
        await taken(desk, kind)


async def test_notes_on_what_a_role_may_not_see_and_foreign_ids_stay_away_from_it(desk: Desk) -> None:
    await desk.bring("invoices", "id,customer,date,total\n1,A,2024-01-01,5\n")
    await desk.bring("notes", "id,body,customer,invoice\n1,open,A,\n2,of money,,1\n")
    assert [row["body"] for row in await taken(desk, "notes")] == ["open", "of money"]

    await become(desk, "support")

    (row,) = await taken(desk, "notes")
    assert row["body"] == "open"
    assert not any(name.startswith("external_id") for name in row)


async def test_another_org_stays_out(desk: Desk, home: Home, approver: Database, tmp_path: Path) -> None:
    other = await sit_down(home, approver, tmp_path, f"export-other{next(SLUGS)}")

    for kind in KINDS:
        assert await taken(other, kind) == []


async def test_an_export_is_audited_with_its_rows_and_a_refused_one_as_refused(desk: Desk) -> None:
    await taken(desk, "products")
    await become(desk, "support")
    with pytest.raises(Refusal):
        await taken(desk, "invoices")

    assert desk.ask(
        "select phase, outcome, payload from crm.audit_log where org_id = %s and tool = 'export' order by id"
    ) == [
        ("begun", None, json.dumps({"kind": "products", "form": "csv", "to": "-"})),
        ("ended", "ok", json.dumps({"rows": 2})),
        ("begun", None, json.dumps({"kind": "invoices", "form": "csv", "to": "-"})),
        ("refused", "ROLE_NOT_ALLOWED", json.dumps({"kind": "invoices", "form": "csv", "to": "-"})),
    ]


async def test_rows_are_read_a_batch_at_a_time(desk: Desk) -> None:
    class Sink(io.RawIOBase):
        def write(self, data: Any) -> int:
            return len(data)

    with psycopg.connect(desk.home.conninfo("postgres")) as conn:
        conn.execute("set session_replication_role = replica")
        conn.execute(
            """insert into crm.notes(org_id, customer_id, body, subject_type, subject_id)
            select c.org_id, c.id, repeat('words ', 100), 'customers', c.id
            from crm.customers c, generate_series(1, 20000) where c.org_id = %s""",
            (desk.who.org,),
        )
    steps: list[int] = []
    tracemalloc.start()
    try:
        rows = await run(
            desk.db, desk.who, "notes", Sink(), form="csv", about="-", progress=steps.append  # type: ignore[arg-type]
        )  # fmt: skip
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (rows, len(steps), steps[0]) == (20_000, 20, 1000)
    assert peak < 6_000_000  # the texts alone are 12 MB


async def test_a_file_that_fails_half_way_is_not_there(desk: Desk, tmp_path: Path) -> None:
    def fail(_: int) -> None:
        raise RuntimeError

    target = tmp_path / "out" / "products.csv"
    target.parent.mkdir()
    with pytest.raises(RuntimeError), opened(target, force=False) as out:
        await run(desk.db, desk.who, "products", out, form="csv", about="x", progress=fail)

    assert list(target.parent.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "x.csv"

    with pytest.raises(Refusal, match="FILE_EXISTS"), opened(target, force=False):
        target.write_text("mine")

    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("x.csv", "mine")]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="FILE_NOT_WRITABLE"), opened(tmp_path / "no" / "x.csv", force=False):
        pass


def test_every_table_that_an_export_reads_is_one_its_role_must_see() -> None:
    import re

    for kind, export in EXPORTS.items():
        read = set(re.findall(r"(?:from|join|^) ?crm\.(\w+)", export.source)) - {"orgs"}
        assert read <= set(export.tables), kind


async def test_the_command_writes_a_file_refuses_to_replace_it_and_speaks_json(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from asyncio import to_thread

    monkeypatch.setenv("CRM_HOME", str(desk.home.root))

    async def crm(*words: object) -> Result:
        return await to_thread(CliRunner().invoke, main, [str(word) for word in words])

    target = tmp_path / "p.csv"
    who = ("--user", desk.who.email)
    assert "2 rows of products" in (await crm("export", "products", target, *who)).stderr
    again = await crm("export", "products", target, *who)
    assert (again.exit_code, "--force" in again.stderr) == (1, True)
    assert (await crm("export", "products", target, "--force", *who)).exit_code == 0
    said = await crm("export", "products", "-", "--json", *who)
    assert said.exit_code == 0, said.output
    lines = said.stdout.splitlines()
    assert [(row["sku"], row["unit_price"], row["discontinued"]) for row in map(json.loads, lines)] == [
        ("CH", "10.00", False),
        ("DE", "99.50", False),
    ]
    assert "--user" in (await crm("export", "products", "-")).stderr
    assert (await crm("export", "nothing", "-", *who)).exit_code == 2
