"""No text leaves as a formula, and every text comes back as it was."""

import pytest

from crm_mcp.formulas import disarm, rearm


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@sum(A1)",
        "\t=1",
        "\rx",
        "\nx",
        "＝1",
        "＋1",
        "－1",
        "＠x",
        "﹣1",
        " =1",
        "\u200b=1",
        "'=1",
        "''+1",
    ],
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe_that_comes_off_again(text: str) -> None:
    assert disarm(text) == f"'{text}"
    assert rearm(disarm(text)) == text


@pytest.mark.parametrize("text", ["", "a=1", "'", "it's", "'quoted'", "1-2", "ü", "  spaced", "'70s", "µ", "€5"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert disarm(text) == text
    assert rearm(text) == text
