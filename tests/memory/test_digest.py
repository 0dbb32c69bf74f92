"""Old memories in fewer words: their own sentences, those that say most of what they have in common."""

from hypothesis import given, settings
from hypothesis import strategies as st

from crm_mcp.memory.digest import LONGEST, digest, sentences, span


def test_what_is_said_most_is_kept_and_in_its_order():
    texts = [["The crane is late."], ["Lunch was good."], ["The crane was discussed."], ["The crane arrives in May."]]
    short = digest(texts, 55).split("\n")
    assert all("crane" in line for line in short) and "Lunch was good." not in short
    assert digest(texts) == "\n".join(text for (text,) in texts)


def test_the_same_sentence_stands_once():
    assert digest([["They want blue."], ["They want blue."]]) == "They want blue."


def test_sentences_are_of_the_text_and_of_the_lists_of_its_fields():
    found = sentences("First. Second!\nThird", {"next_steps": ["Call."], "outcome": "positive", "count": 3})
    assert found == ["First.", "Second!", "Third", "Call."]


def test_days_span_from_the_first_to_the_last():
    assert span(["2026-03-02", "2026-01-05", "2026-02-01"]) == ("2026-01-05", "2026-03-02")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.text(max_size=300), max_size=5), max_size=20))
def test_any_texts_give_a_digest_of_their_own_sentences_that_is_not_too_long(texts):
    made = digest(texts)
    assert len(made) <= LONGEST
    assert set(made.split("\n")) <= {line for text in texts for one in text for line in one.split("\n")} | {""}
