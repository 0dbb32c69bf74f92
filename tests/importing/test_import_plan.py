"""Plans that make no sense are refused before a file is opened."""

from pathlib import Path
from typing import Any

import pytest

from crm_mcp.db import Database
from crm_mcp.embedded import Home
from crm_mcp.errors import Refusal
from orgs import sit_down


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"lines": "a,b\n"}, "LINES_FILE_UNUSED"),
        ({"currency": "euro"}, "UNKNOWN_CURRENCY"),
        ({"source": " "}, "SOURCE_MISSING"),
        ({"mapping": {"colour": "Farbe"}}, "UNKNOWN_FIELD"),
    ],
)
async def test_a_plan_that_makes_no_sense_is_refused(
    home: Home, approver: Database, tmp_path: Path, options: dict[str, Any], error: str
) -> None:
    desk = await sit_down(home, approver, tmp_path, f"plan-{error.lower().replace('_', '-')}")

    with pytest.raises(Refusal, match=error):
        await desk.bring("customers", "id,name\nA,Alfa\n", **options)
