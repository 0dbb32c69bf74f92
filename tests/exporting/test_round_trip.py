"""What is taken out of one org and brought into an empty one is taken out of that as the same rows."""

import csv
import io
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
    "contacts",
    "products",
    "stock",
    "orders",
    "invoices",
    "payments",
    "issues",
    "tasks",
    "notes",
    "activities",
)
ASIDE = ("created_at", "updated_at", "created_by_email", "line_id", "external_id_of_old")
FORMULAS = ("=1+1", "'=1", "''@x", "+49 30", "-", "＝1", "\t=1", "\r\n=1", " =1", 'a"b,c;d\ne')


def filled(words: list[str]) -> dict[str, str]:
    """Return the files of an org whose texts are `words`."""

    def written(header: str, *rows: list[object]) -> str:
        out = io.StringIO(newline="")
        csv.writer(out).writerows([header.split(","), *rows])
        return out.getvalue()

    return {
        "customers": written(
            "id,name,segment,tax_zone,credit_limit,payment_terms",
            *([f"c{at}", word, word, "export", "1.5", 7] for at, word in enumerate(words)),
        ),
        "contacts": written("id,customer_id,name,title", *([f"p{at}", f"c{at}", w, w] for at, w in enumerate(words))),
        "products": written(
            "id,sku,name,price,stock,tax_rate,warranty",
            *([f"g{at}", f"sku{at}", w, "9.99", at, "19", 12] for at, w in enumerate(words)),
        ),
        "orders": written(
            "id,number,customer_id,date,comment,product_id,quantity,price,discount_percent,tax_rate,order_discount_percent",
            *(
                [f"o{at}", f"N-{at}", f"c{at}", "2024-01-02T03:04:05.123456+02:00", w, f"g{at}", 3, "9.99", "12.5", "19", 3]
                for at, w in enumerate(words)
            ),
        ),
        "invoices": written(
            "id,order,date,total,description,quantity,price",
            *([f"i{at}", f"o{at}", "2024-01-03", "29.97", w, 3, "9.99"] for at, w in enumerate(words)),
            ["bare", "o0", "2024-01-04", "5", None, None, None],
        ),
        "payments": written(
            "id,invoice,date,amount,reference",
            ["y", "i0", "2024-01-05", "2", words[0][:200]],
            ["y", "bare", "2024-01-05", "3", words[0][:200]],
            *([f"y{at}", f"i{at}", "2024-01-05", "1.50", w[:200]] for at, w in enumerate(words)),
        ),
        "issues": written(
            "id,customer_id,title,date,description,order_id",
            *([f"t{at}", f"c{at}", w, "2024-01-06", w, f"o{at}"] for at, w in enumerate(words)),
        ),
        "tasks": written("id,title,order_id", *([f"k{at}", w, f"o{at}"] for at, w in enumerate(words)), ["k", "x", None]),
        "notes": written("id,body,issue_id", *([f"n{at}", w, f"t{at}"] for at, w in enumerate(words))),
        "activities": written(
            "id,kind,subject,date,product_id,body",
            *([f"a{at}", "call", w, "2024-01-07", f"g{at}", w] for at, w in enumerate(words)),
        ),
    }  # fmt: skip


async def taken(desk: Desk, kind: str) -> str:
    out = io.BytesIO()
    await run(desk.db, desk.who, kind, out, form="csv", about="-", progress=lambda _: None)  # type: ignore[arg-type]
    return out.getvalue().decode()


async def go_round(home: Home, approver: Database, folder: Path, slug: str, words: list[str]) -> None:
    first = await sit_down(home, approver, folder, slug)
    for kind, text in filled(list(map(disarm, words))).items():
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
    assert [body for (body,) in stored] == words


async def test_formulas_and_plain_words_come_back(home: Home, approver: Database, tmp_path: Path) -> None:
    await go_round(home, approver, tmp_path, "round", ["Plain", *FORMULAS])


@pytest.mark.skipif(not NASTY.is_file(), reason=f"the naughty strings are not at {NASTY}")
async def test_the_naughty_strings_come_back(home: Home, approver: Database, tmp_path: Path) -> None:
    known = json.loads(NASTY.read_text(encoding="utf-8"))
    words = [word for word in known if word.strip() and "\0" not in word and len(word) <= 400]
    assert len(words) > 400

    await go_round(home, approver, tmp_path, "naughty", words)
