from datetime import datetime
from decimal import Decimal

import pytest
from lab import LEA, LOU, LUX, NIA
from psycopg.types.json import Jsonb

from crm_mcp.crm import exports
from crm_mcp.crm.models import Customer, CustomField
from crm_mcp.principal import Agent
from crm_mcp.reports import definition
from taken import about, cells, content, of_csv, of_xlsx

ADA, FIN = "ada@demo.example", "fin@demo.example"
WHY = {"reason": "the board wants it"}


@pytest.fixture
def export(lab, owner_asks):
    async def make(email=LEA, **asked):
        told = await lab.ask("create_export", {**WHY, **asked}, email)
        assert "error" not in told, told
        return told["export"], content(owner_asks, told["export"])

    return make


async def test_customers_come_as_a_workbook_with_real_dates_and_exact_money(lab, export):
    name = "Ünal & Söhne 株式会社"
    await lab.add(Customer, {"name": name, "credit_limit": Decimal("1234567.8901"), "segment": "xlsx"})
    told, file = await export(entity="customers", filters={"segment": "xlsx"})
    (row,) = of_xlsx(file)
    assert (row["name"], row["credit_limit"], row["currency"]) == (name, 1234567.8901, "EUR")
    assert isinstance(row["created_at"], datetime)
    assert told["rows"] == 1 and told["format"] == "xlsx" and told["name"].endswith(".xlsx")
    assert about(file)["Filter"] == ['segment: "xlsx"'] and about(file)["Rows"] == ["1"]
    head, first = cells(file)
    money = first[[cell.value for cell in head].index("credit_limit")]
    assert money.number_format == "#,##0.0000"


async def test_csv_disarms_formulas_and_begins_with_a_byte_order_mark(lab, export):
    name = '=HYPERLINK("http://x","y")'
    await lab.add(Customer, {"name": name, "segment": "csv", "phone": "+49 30 1"})
    _, file = await export(entity="Account", filters={"segment": "csv"}, format="csv")
    (row,) = of_csv(file)
    assert (row["name"], row["phone"], row["email"]) == ("'" + name, "'+49 30 1", "")
    assert row["created_at"].endswith("+00:00")


async def test_a_formula_is_a_text_in_a_workbook_as_written(lab, export):
    await lab.add(Customer, {"name": "=1+1", "segment": "armed"})
    _, file = await export(entity="customers", filters={"segment": "armed"})
    head, first = cells(file)
    cell = first[[cell.value for cell in head].index("name")]
    assert (cell.value, cell.data_type, cell.quotePrefix) == ("=1+1", "s", True)


async def test_columns_are_chosen_and_an_amount_brings_its_currency(export):
    _, file = await export(entity="customers", columns=["credit_limit", "id"])
    assert [cell.value for cell in cells(file)[0]] == ["credit_limit", "id", "currency"]


def same(shown, taken):
    """Say whether a figure of a result and a cell say the same."""
    if isinstance(taken, datetime):
        return taken.date().isoformat() == shown
    if isinstance(taken, int | float) and not isinstance(taken, bool):
        return Decimal(str(taken)) == Decimal(shown)
    return taken == shown


@pytest.mark.parametrize("name", sorted(definition.every()))
async def test_a_report_has_the_figures_that_run_report_shows_and_its_definition(connect, owner_asks, name):
    asked = {"report": name, "parameters": {}}
    async with connect(ADA) as client:
        report = (await client.call_tool("run_report", asked)).structured_content["report"]
        made = (await client.call_tool("create_export", {**asked, **WHY})).structured_content["export"]
    file = content(owner_asks, made)
    rows, columns = of_xlsx(file), [column["name"] for column in report["columns"]]
    for shown, taken in zip(report["rows"], rows, strict=False):
        for column in columns:
            value = shown.get(column)
            assert taken[column] is None if value is None else same(value, taken[column]), column
    assert len(rows) == made["rows"] >= len(report["rows"])
    said = about(file)
    assert said["Report"] == [report["title"]] and said["Definition"] == report["notes"]
    assert said["Base currency"] == ["EUR"] and said["Made for"] == ["Ada Ahrens <ada@demo.example>"]


@pytest.mark.parametrize(
    ("entity", "filters"),
    [
        ("customers", {"owner": "me"}),
        ("leads", {"status": ["new", "contacted"]}),
        ("Opportunity", {"amount": {"from": 1}}),
        ("tasks", {"status": {"not": "done"}, "has": "due_on"}),
        ("issues", {"opened_at": {"from": "-400d"}}),
        ("deals", {"name": {"contains": "e"}}),
        ("products", {"archived": False}),
        ("notes", {}),
    ],
)
async def test_records_are_those_that_find_records_finds(connect, owner_asks, entity, filters):
    asked = {"entity": entity, "filters": filters}
    async with connect(ADA) as client:
        found = (await client.call_tool("find_records", asked)).structured_content
        made = (await client.call_tool("create_export", {**asked, **WHY, "columns": ["id"]})).structured_content
    rows = of_xlsx(content(owner_asks, made["export"]))
    ids = {row["id"] for row in rows}
    assert len(ids) == len(rows) == found["_meta"]["total"]
    assert {record["id"] for record in found["records"]} <= ids


async def test_orders_are_filtered_by_their_columns_and_come_with_their_lines(connect, owner_asks):
    filters = {"status": "completed", "placed_at": {"from": "-90d"}}
    async with connect(FIN) as client:
        asked = {"entity": "order", "filters": filters, **WHY}
        made = (await client.call_tool("create_export", asked)).structured_content["export"]
    rows = of_xlsx(content(owner_asks, made))
    lines = owner_asks(
        """select count(*) from crm.order_lines l join crm.orders o on o.org_id = l.org_id and o.id = l.order_id
         join crm.orgs g on g.id = o.org_id and g.slug = 'demo' where o.status = 'completed' and o.archived_at is null
          and o.placed_at >= (((now() at time zone g.timezone)::date - 90)::timestamp at time zone g.timezone)"""
    )
    assert len(rows) == lines > 20
    assert {row["status"] for row in rows} == {"completed"}


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({}, "INVALID_ARGUMENT"),
        ({"entity": "customers", "report": "month_end"}, "INVALID_ARGUMENT"),
        ({"entity": "customers", "parameters": {"days": 1}}, "INVALID_ARGUMENT"),
        ({"report": "month_end", "filters": {"name": "x"}}, "INVALID_ARGUMENT"),
        ({"report": "month_end", "columns": ["currency"]}, "INVALID_ARGUMENT"),
        ({"report": "month_end", "parameters": {"month": "May"}}, "INVALID_ARGUMENT"),
        ({"report": "no_such"}, "REPORT_NOT_FOUND"),
        ({"entity": "customerz"}, "UNKNOWN_ENTITY"),
        ({"entity": "api_keys"}, "UNKNOWN_ENTITY"),
        ({"entity": "customers", "columns": ["nam"]}, "UNKNOWN_FIELD"),
        ({"entity": "orders", "filters": {"statu": "x"}}, "UNKNOWN_FIELD"),
        ({"entity": "orders", "filters": {"placed_at": "soon"}}, "INVALID_FILTER"),
        ({"entity": "customers", "filters": {"owner": "nobody at all"}}, "PERSON_NOT_FOUND"),
        ({"entity": "customers", "format": "pdf"}, "INVALID_ARGUMENT"),
    ],
)
async def test_what_cannot_be_is_refused_by_name_and_leaves_nothing(lab, owner_asks, asked, error):
    before = owner_asks("select count(*) from crm.exports")
    told = await lab.ask("create_export", {**WHY, **asked})
    assert told["error"] == error
    assert owner_asks("select count(*) from crm.exports") == before


async def test_what_a_role_may_not_see_is_unknown_in_the_same_words(lab):
    hidden = await lab.ask("create_export", {**WHY, "entity": "leads"}, LUX)
    unknown = await lab.ask("create_export", {**WHY, "entity": "xeads"}, LUX)
    assert hidden["error"] == unknown["error"] == "UNKNOWN_ENTITY"
    assert hidden["context"]["known"] == unknown["context"]["known"]
    assert "leads" not in hidden["context"]["known"]
    assert hidden["context"]["hint"].replace("'leads'", "'xeads'") == unknown["context"]["hint"]


async def test_the_answer_holds_a_link_for_the_person_and_nothing_of_the_file(lab, export):
    await lab.add(Customer, {"name": "Zaphod Beeblebrox", "segment": "secret"})
    told = await lab.ask(
        "create_export", {**WHY, "entity": "customers", "filters": {"segment": "secret"}}, agent=Agent.ANALYTICS
    )
    made = told["export"]
    assert made["url"] == f"http://localhost:8787/exports/{made['id']}"
    assert "Zaphod" not in str(told) and "Never fetch it" in told["_meta"]["toOpen"]
    assert datetime.fromisoformat(made["expiresAt"]).tzinfo is not None


async def test_another_orgs_records_are_in_no_export(export, owner_asks):
    _, file = await export(entity="customers", format="csv")
    ids = {int(row["id"][5:]) for row in of_csv(file)}
    own = owner_asks(
        "select array_agg(c.id) from crm.customers c join crm.orgs o on o.id = c.org_id where o.slug = 'lab' and c.archived_at is null"
    )
    assert ids == set(own)


async def test_own_fields_of_the_org_come_behind_the_others(lab, export):
    await lab.add(CustomField, {"entity": "customers", "key": "tier", "label": "Tier", "kind": "number"})
    await lab.add(Customer, {"name": "Tiered", "segment": "own", "custom_fields": Jsonb({"tier": 3})})
    _, file = await export(entity="customers", filters={"custom.tier": {"from": 2}})
    assert [(row["name"], row["custom.tier"]) for row in of_xlsx(file)] == [("Tiered", 3)]
    assert about(file)["Column"] == ["custom.tier: Tier"]


@pytest.mark.parametrize(("bound", "value"), [("MOST_ROWS", 1), ("MOST_BYTES", 1000)])
async def test_what_is_too_large_is_refused_with_how_to_narrow_it_and_leaves_nothing(
    lab, owner_asks, monkeypatch, bound, value
):
    for name in ("One", "Two"):
        await lab.customer(name)
    monkeypatch.setattr(exports, bound, value)
    told = await lab.ask("create_export", {**WHY, "entity": "customers"})
    assert told["error"] == "EXPORT_TOO_LARGE" and "Narrow it" in told["context"]["hint"]
    assert owner_asks("select count(*) from crm.exports where sha256 is null") == 0
    assert (
        owner_asks(
            "select count(*) from crm.export_parts p where not exists (select from crm.exports e where e.id = p.export_id)"
        )
        == 0
    )


async def test_a_person_has_so_many_exports_at_a_time(lab, monkeypatch):
    asked = {**WHY, "entity": "products", "format": "csv"}
    await lab.ask("create_export", asked, LOU)
    monkeypatch.setattr(exports, "MOST_LIVE", 1)
    told = await lab.ask("create_export", asked, LOU)
    assert told["error"] == "EXPORTS_FULL" and "Delete some" in told["context"]["hint"]


async def test_the_client_hears_how_far_it_is(lab, monkeypatch):
    for number in range(7):
        await lab.add(Customer, {"name": f"Many {number}", "segment": "many"})
    monkeypatch.setattr(exports, "_BATCH", 3)
    heard = []

    async def hear(done, total, message):
        heard.append((done, total, message))

    async with lab.connect(LEA) as client:
        asked = {**WHY, "entity": "customers", "filters": {"segment": "many"}}
        await client.call_tool("create_export", asked, progress_callback=hear)
    assert heard == [(3, 7, "3 rows written"), (6, 7, "6 rows written"), (7, 7, "7 rows written")]


async def test_the_same_call_under_a_key_makes_one_file(lab, owner_asks):
    asked = {**WHY, "entity": "products", "idempotency_key": "once"}
    first, again = [await lab.ask("create_export", asked) for _ in range(2)]
    assert again["export"] == first["export"] and again["_meta"]["repeated"]


async def test_an_export_is_not_undone_but_deleted_by_its_maker(lab):
    told = await lab.ask("create_export", {**WHY, "entity": "products"})
    no = await lab.ask("undo_change", {"change": told["_meta"]["change"], **WHY})
    assert no["error"] == "NOT_UNDOABLE" and "approvals page" in no["context"]["hint"]


async def test_a_held_export_is_filled_when_it_is_approved_with_the_rows_of_then(lab, person, executor, owner_asks):
    await lab.customer("Before", segment="held")
    asked = {**WHY, "entity": "customers", "filters": {"segment": "held"}, "confidence": 0.5}
    told = await lab.ask("create_export", asked, LOU)
    assert told["type"] == "approval_required" and told["warnings"] == ["1 rows as of now."]
    assert "export Customers to customers_" in told["summary"]
    await lab.customer("After", segment="held")
    nia, draft = await person(NIA), int(told["draft"]["id"][6:])
    shown = await executor.show(nia, draft)
    assert shown.stale is None and shown.warnings == ["2 rows as of now."]
    assert owner_asks('select count(*) from crm.exports where question @> \'{"filters": {"segment": "held"}}\'') == 0
    outcome = await executor.approve(nia, draft, shown.hash)
    assert outcome.state == "approved"
    made = outcome.result["record"]
    assert [row["name"] for row in of_xlsx(content(owner_asks, made))] == ["Before", "After"]
    assert made["url"] == f"/exports/{made['id']}"
    assert (
        owner_asks(
            "select u.email from crm.exports e join crm.users u on u.id = e.created_by where e.id = %s",
            int(made["id"][4:]),
        )
        == LOU
    )
    known = await lab.ask("get_draft", {"draft": told["draft"]["id"]}, LOU)
    assert made["id"] in str(known)
