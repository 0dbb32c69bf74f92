"""The rule by which texts are cut: nothing lost, nothing longer than it may be, and hostile texts in short time."""

import json
import random
from itertools import pairwise
from pathlib import Path

import pytest

from crm_mcp.search.chunking import LONGEST, MOST, OVERLAP, passages

SHARED = Path(__file__).parents[3] / "shared" / "data"
SENTENCE = "The delivery came on Tuesday and two of the boxes were dented. "


def said(text):
    return "".join(text.split())


def held(text):
    """Return the passages of a text, once they hold all of it in its order and none is too long."""
    found = [passage.body for passage in passages(text)]
    whole, at = said(text), 0
    for body in found:
        assert 0 < len(body) <= LONGEST
        piece = said(body)
        start = whole.rfind(piece, 0, at + len(piece))
        assert start >= 0, "a passage that the text does not hold"
        assert start <= at, "something between two passages is lost"
        at = start + len(piece)
    assert at == len(whole), "the end is lost"
    return found


def test_a_short_text_is_one_passage_as_it_is():
    assert [p.body for p in passages("They called.\n\nTwice.")] == ["They called.\n\nTwice."]


@pytest.mark.parametrize("nothing", ["", " \n\t\n ", "\r\n\r\n"])
def test_what_says_nothing_has_no_passage(nothing):
    assert passages(nothing) == []


def test_a_long_text_is_cut_after_sentences_and_each_passage_begins_with_the_end_of_the_one_before():
    found = held("".join(f"Delivery {number} came and a box was dented. " for number in range(150)))
    assert len(found) > 4
    for before, after in pairwise(found):
        assert before.endswith("dented.")
        assert after.startswith("Delivery ")
        overlap = next(n for n in range(len(after), -1, -1) if before.endswith(after[:n]))
        assert 0 < overlap <= OVERLAP


def test_paragraphs_stay_whole_where_they_can():
    paragraph = (SENTENCE * 10).strip()
    found = [p.body for p in passages("\n\n".join([paragraph] * 4))]
    assert all(body.endswith("dented.") for body in found)
    assert found[0] == paragraph


def test_the_headings_that_a_passage_stands_under_are_kept():
    text = "Before.\n# Returns\nAll of it.\n## Damaged ##\nSend a photo.\n### Late\nSeven days.\n# Warranty\nTwo years.\n"
    assert [(p.section, p.body) for p in passages(text)] == [
        ("", "Before."),
        ("Returns", "Returns\nAll of it."),
        ("Returns › Damaged", "Damaged\nSend a photo."),
        ("Returns › Damaged › Late", "Late\nSeven days."),
        ("Warranty", "Warranty\nTwo years."),
    ]


def test_a_comment_in_a_block_of_code_is_no_heading():
    assert [p.section for p in passages("# One\n```\n# no heading\n```\nend")] == ["One"]


def test_no_overlap_reaches_across_a_heading():
    found = passages("# One\n" + SENTENCE * 30 + "\n# Two\nAnother matter.")
    assert found[-1].body == "Two\nAnother matter."


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "é" * 50_000,
        "e\u0301" * 20_000,
        "👩‍👩‍👧‍👦" * 5_000,
        "שלום עולם. " * 5_000,
        "مرحبا بالعالم؟ " * 5_000,
        "お世話になっております。" * 5_000,
        "ก" * 30_000,
        "." * 30_000,
        "# " * 20_000,
        "#" * 20_000 + "\n",
        "`" * 30_000,
        " x" * 100_000,
        ("a" * 1199 + " ") * 40,
        ("a" * 1201 + " ") * 40,
        "\u202e" + "gnikcatta " * 3000,
        "a\u2028b\u2029" * 10_000,
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_hostile_texts_are_cut_and_nothing_of_them_is_lost(text):
    held(text)


def test_a_joined_emoji_is_not_cut_in_two():
    family = "👩‍👩‍👧‍👦"
    for body in held("x" * 3 + family * 2_000):
        assert body.startswith(("x", "👩")), ascii(body[:3])
        assert not body.endswith("\u200d")


def test_texts_of_chance_lose_nothing():
    chance = random.Random(11)
    alphabet = ["word ", "longer-word ", ". ", "\n", "\n\n", "# Head\n", "x" * 300, "```\n", "ü", "。", "\t", "  "]
    for _ in range(60):
        text = "".join(chance.choices(alphabet, k=chance.randrange(1, 900)))
        assert all(len(p.body) <= LONGEST for p in passages(text))
        if "# " not in text:
            held(text)


def test_no_record_has_more_passages_than_are_said():
    assert len(passages("# h\nx\n" * (MOST + 50))) == MOST


def test_naughty_strings_are_cut():
    file = SHARED / "nasty_strings" / "blns.json"
    if not file.exists():
        pytest.skip("the shared test material is not there")
    for text in json.loads(file.read_text(encoding="utf-8")):
        assert all(len(p.body) <= LONGEST for p in passages(text))
