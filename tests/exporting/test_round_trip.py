"""What is taken out of one org and brought into an empty one is taken out of that as the same rows."""

import csv
import io
import itertools
import json
from pathlib import Path

import pytest

from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.exporting.run import run
from crm_mcp.formulas import disarm
from orgs import Desk, sit_down

NASTY = Path(__file__).parents[2].parent / "shared" / "data" / "nasty_strings" / "blns.json"
KINDS = (
    "customers",
    "organizations",
    "individuals",
    "contacts",
    "leads",
    "deals",
    "projects",
    "products",
    "stock",
    "orders",
    "invoices",
    "payments",
    "issues",
    "tasks",
    "notes",
    "activities",
    "documents",
)
ASIDE = ("created_at", "updated_at", "created_by_email", "line_id", "external_id_of_old")
FORMULAS = ("=1+1", "'=1", "''@x", "+49 30", "-", "＝1", "\t=1", "\r\n=1", " =1", 'a"b,c;d\ne')


TEXTS = (
    "customers", "organizations", "individuals", "contacts", "leads", "deals", "projects", "products", "orders",
    "invoices", "issues", "tasks", "notes", "activities", "documents",
)  # fmt: skip
"""Kinds whose texts are as long as any of the words."""


def dealt(words: list[str], many: int) -> dict[str, list[str]]:
    """Return `many` of the words for each kind, which begins where the one before it ended."""
    turning = itertools.cycle(words)
    return {kind: list(itertools.islice(turning, many)) for kind in TEXTS}


def filled(texts: dict[str, list[str]]) -> dict[str, str]:
    """Return the files of an org whose records of each kind have these texts."""

    def written(header: str, *rows: list[object]) -> str:
        out = io.StringIO(newline="")
        csv.writer(out).writerows([header.split(","), *rows])
        return out.getvalue()

    return {
        "customers": written(
            "id,name,segment,tax_zone,credit_limit,payment_terms",
            *([f"c{at}", word, word, "export", "1.5", 7] for at, word in enumerate(texts["customers"])),
        ),
        "organizations": written(
            "id,name,domain,industry,employees,technologies,description",
            *(
                [f"f{at}", w, f"f{at}.example", w[:200], at, "Postgres;Python", w]
                for at, w in enumerate(texts["organizations"])
            ),
        ),
        "individuals": written(
            "id,name,last_name,email,city",
            *([f"h{at}", w, w[:200], f"h{at}@f.example", w[:200]] for at, w in enumerate(texts["individuals"])),
        ),
        "contacts": written(
            "id,customer_id,organization_id,individual_id,name,title",
            *([f"p{at}", f"c{at}", None, None, w, w] for at, w in enumerate(texts["contacts"])),
            ["alone", None, None, "h0", "Anna", None],
            ["firm", None, "f0", None, "Bernd", None],
        ),
        "leads": written(
            "id,kind,name,organization_id,individual_id,amount,currency,need,salary_min,salary_max,is_remote,scope,starts_on",
            *(
                [f"l{at}", "opportunity", w, f"f{at}", None, "12.50", "USD", w, None, None, None, None, None]
                for at, w in enumerate(texts["leads"])
            ),
            ["lj", "job", "Engineer", None, "h0", None, "EUR", None, "70000", "90000", "yes", None, None],
            ["lp", "partnership", "Reseller", "f0", None, None, None, None, None, None, None, "Resale", "2024-02-03"],
        ),
        "deals": written(
            "id,name,status,amount,currency,probability,expected_close_on,closed_at,lost_reason,organization_id,contact_id,lead_id",
            *(
                [f"d{at}", w, "lost", "99.90", "EUR", "12.5", "2024-03-01", "2024-03-02T10:00:00Z", w, f"f{at}", "firm", f"l{at}"]
                for at, w in enumerate(texts["deals"])
            ),
            ["d", "open", "open", None, None, None, None, None, None, None, None, None],
        ),
        "projects": written(
            "id,name,status,description,deal_id,due_on",
            *([f"j{at}", w, "active", w, f"d{at}", "2025-01-31"] for at, w in enumerate(texts["projects"])),
        ),
        "products": written(
            "id,sku,name,price,stock,tax_rate,warranty",
            *([f"g{at}", f"sku{at}", w, "9.99", at, "19", 12] for at, w in enumerate(texts["products"])),
        ),
        "orders": written(
            "id,number,customer_id,date,comment,product_id,quantity,price,discount_percent,tax_rate,order_discount_percent",
            *(
                [f"o{at}", f"N-{at}", f"c{at}", "2024-01-02T03:04:05.123456+02:00", w, f"g{at}", 3, "9.99", "12.5", "19", 3]
                for at, w in enumerate(texts["orders"])
            ),
        ),
        "invoices": written(
            "id,order,date,total,description,quantity,price",
            *([f"i{at}", f"o{at}", "2024-01-03", "29.97", w, 3, "9.99"] for at, w in enumerate(texts["invoices"])),
            ["bare", "o0", "2024-01-04", "5", None, None, None],
        ),
        "payments": written(
            "id,invoice,date,amount,reference",
            ["y", "i0", "2024-01-05", "2", texts["customers"][0][:200]],
            ["y", "bare", "2024-01-05", "3", texts["customers"][0][:200]],
            *([f"y{at}", f"i{at}", "2024-01-05", "1.50", w[:200]] for at, w in enumerate(texts["customers"])),
        ),
        "issues": written(
            "id,customer_id,title,date,description,order_id",
            *([f"t{at}", f"c{at}", w, "2024-01-06", w, f"o{at}"] for at, w in enumerate(texts["issues"])),
        ),
        "tasks": written("id,title,order_id", *([f"k{at}", w, f"o{at}"] for at, w in enumerate(texts["tasks"])), ["k", "x", None]),
        "notes": written(
            "id,body,issue_id,deal_id",
            *([f"n{at}", w, *((f"t{at}", None) if at % 2 else (None, f"d{at}"))] for at, w in enumerate(texts["notes"])),
        ),
        "activities": written(
            "id,kind,subject,date,product_id,body",
            *([f"a{at}", "call", w, "2024-01-07", f"g{at}", w] for at, w in enumerate(texts["activities"])),
        ),
        "documents": written(
            "id,title,description,url,media_type,deal_id,customer_id",
            *(
                [f"w{at}", w, w, f"https://files.example/{at}", "application/pdf", *((f"d{at}", None) if at % 2 else (None, f"c{at}"))]
                for at, w in enumerate(texts["documents"])
            ),
            ["w", "About nothing", None, None, None, None, None],
        ),
    }  # fmt: skip


async def taken(desk: Desk, kind: str) -> str:
    out = io.BytesIO()
    await run(desk.db, desk.who, kind, out, form="csv", about="-", progress=lambda _: None)  # type: ignore[arg-type]
    return out.getvalue().decode()


async def go_round(home: Home, approver: Database, folder: Path, slug: str, texts: dict[str, list[str]]) -> None:
    first = await sit_down(home, approver, folder, slug)
    for kind, text in filled({kind: list(map(disarm, words)) for kind, words in texts.items()}).items():
        report = await first.bring(kind, text)  # type: ignore[arg-type]
        assert report.rejected == []
    files = {kind: await taken(first, kind) for kind in KINDS}
    second = await sit_down(home, approver, folder, f"{slug}-again")
    for kind in KINDS:
        report = await second.bring("products" if kind == "stock" else kind, files[kind], source="first")  # type: ignore[arg-type]
        assert report.rejected == []
    names: dict[str, str] = {}
    rows = {kind: list(csv.DictReader(io.StringIO(await taken(second, kind), newline=""))) for kind in KINDS}
    for kind in KINDS:
        names |= {row["id"]: row["external_id_of_first"] for row in rows[kind]}
    for kind in KINDS:
        before = list(csv.DictReader(io.StringIO(files[kind], newline="")))
        after = [
            {k: names.get(v, v) if k.endswith("id") else v for k, v in row.items() if k != "external_id_of_first"}
            for row in rows[kind]
        ]
        for row in (*before, *after):
            for name in ASIDE:
                row.pop(name, None)
        assert after == before, kind
    stored = second.ask("select body from crm.notes where org_id = %s order by id")
    assert [body for (body,) in stored] == texts["notes"]


async def test_formulas_and_plain_words_come_back(home: Home, approver: Database, tmp_path: Path) -> None:
    words = ["Plain", *FORMULAS]
    await go_round(home, approver, tmp_path, "round", dealt(words, len(words)))


@pytest.mark.skipif(not NASTY.is_file(), reason=f"the naughty strings are not at {NASTY}")
async def test_the_naughty_strings_come_back(home: Home, approver: Database, tmp_path: Path, is_long: bool) -> None:
    """In the short form each of them is the text of records of one kind or two."""
    known = json.loads(NASTY.read_text(encoding="utf-8"))
    words = [word for word in known if word.strip() and "\0" not in word and len(word) <= 400]
    assert len(words) > 400

    await go_round(
        home, approver, tmp_path, "naughty", dealt(words, len(words) if is_long else -(-len(words) // len(TEXTS)))
    )
