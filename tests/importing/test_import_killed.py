"""A killed import leaves nothing of its rows, and can be run again."""

import subprocess
import sys
from pathlib import Path

import pytest

from crm_mcp.db import Database
from crm_mcp.embedded import Home
from orgs import sit_down

ROWS = "id,name,contact\n" + "".join(f"{at},Customer {at},Person {at}\n" for at in range(1500))


@pytest.mark.parametrize("percent", [25, 75, 99])
async def test_kill_9_in_the_middle_leaves_nothing(
    home: Home, approver: Database, tmp_path: Path, percent: int
) -> None:
    desk = await sit_down(home, approver, tmp_path, f"killed{percent}")
    file = desk.write("customers.csv", ROWS)
    words = [
        str(Path(__file__).with_name("import_until_killed.py")),
        str(home.root),
        desk.who.email,
        str(file),
        str(percent),
    ]
    with subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "now\n"
        child.kill()

    assert desk.count("customers", "contacts", "external_refs", "changes", "drafts") == [0] * 5

    report = await desk.bring("customers", file)
    assert (report.created, *desk.count("customers", "contacts")) == (1500, 1500, 1500)
