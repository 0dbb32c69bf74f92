"""The page of tools shows each with a call that it takes, and says of it what the catalogue says."""

import json
import re
from pathlib import Path

import pytest
from listed import ROWS

from crm_mcp.catalog import load

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE))


def test_every_tool_is_on_the_page_and_no_other():
    assert sorted(SHOWN) == sorted(row["wire"]["name"] for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["wire"]["name"])
def test_what_is_shown_of_a_tool_is_so(row):
    name, said = row["wire"]["name"], SHOWN[row["wire"]["name"]]
    assert row["wire"]["description"] in said
    assert f"For {', '.join(row['roles'])}" in said
    (example,) = re.findall(r"```json\n(.*?)\n```", said, re.DOTALL)
    load(name, row["toolset"]).parse(json.loads(example))
