"""The page of prompts says of each what the prompt says of itself."""

import re
from pathlib import Path

import pytest

from crm_mcp.prompts import registry

PAGE = (Path(__file__).parents[2] / "docs" / "prompts.md").read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"^## (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE))


def test_every_prompt_is_on_the_page_in_its_order_and_no_other():
    assert list(SHOWN) == list(registry.ORDER)


@pytest.mark.parametrize("row", registry.rows().values(), ids=lambda row: row["wire"]["name"])
def test_what_is_shown_of_a_prompt_is_so(row):
    wire, said = row["wire"], SHOWN[row["wire"]["name"]]
    assert wire["description"] in said
    for tool in (*row["calls"], *row["reads"]):
        assert tool in said
    shown = [
        f"- `{one['name']}`{' (required)' if one['required'] else ''}: {one['description']}"
        for one in wire["arguments"]
    ]
    assert re.findall(r"^- .*$", said, re.MULTILINE) == shown
