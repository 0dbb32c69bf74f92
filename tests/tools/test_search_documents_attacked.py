"""Whatever is asked, search answers or refuses: never with an error of the database, never with what is not theirs."""

import json
from pathlib import Path

import psycopg
import pytest
from lab import LEA, LUX
from written import SEEN, TOOL, ids_of

SHARED = Path(__file__).parents[3] / "shared" / "data"
HOSTILE = [
    "%", "_", "\\", "'", '"', '"unclosed', "a & b | !c", "((((", ":*", "<->", "-", "--", "- - -", "or", "OR OR", '"" ""', "%%%' or 1=1--", "\u202e", "٣٤٥",
    "'; drop table crm.notes; --", "art_0", "art_99999999999999999999", "note_1 note_2", "@", "a@", "@b", "+", "+" * 400, "0" * 400, "x " * 240,
    "http://", "https://a", "www.", ".", "a.b.c.d", "to_tsquery('a')", "{}", "[]", "\t", "字" * 200, "👩‍👩‍👧‍👦", "e\u0301" * 100, "NaN", "1e999", "-1",
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE, ids=lambda text: ascii(text[:16]))
async def test_a_hostile_query_is_answered_or_refused(lab, scene, query):
    told = await lab.ask(TOOL, {"query": query}, LUX)
    assert "passages" in told or told["error"] == "INVALID_ARGUMENT", told
    assert not ids_of(told.get("passages", ())) & {scene[name] for name in SEEN[LEA] - SEEN[LUX]}


def lines():
    texts = [*json.loads((SHARED / "nasty_strings" / "blns.json").read_text(encoding="utf-8"))]
    for file in sorted((SHARED / "sql_injection").rglob("*")):
        if file.is_file():
            texts += file.read_text(encoding="utf-8", errors="replace").splitlines()
    return [text[:500] for text in texts if text.strip() and "\0" not in text]


async def test_lists_of_hostile_lines_are_answered_without_an_error_of_the_database(
    lab, scene, home, owner_asks, is_long
):
    if not SHARED.exists():
        pytest.skip("the shared test material is not there")
    org = owner_asks("select id from crm.orgs where slug = 'lab'")
    every = lines()
    tried = 0
    async with await psycopg.AsyncConnection.connect(home.conninfo("crm_agent"), autocommit=True) as conn:
        await conn.execute("select set_config('crm.org_id', %s, false)", (str(org),))
        for text in every if is_long else every[:: max(1, len(every) // 250)]:
            if any("\ud800" <= c <= "\udfff" for c in text):
                continue
            rows = await conn.execute(
                "select entity, record_id from crm.search(%s, 'support', 0, null, null, 0, 25)", (text,)
            )
            assert "deals" not in {entity for entity, _ in await rows.fetchall()}
            tried += 1
    assert tried > 200
