"""Issues of the lab: made to the value, and changed as a person approves."""

from typing import Any

from lab import LEA, LUX, Lab, ago

from crm_mcp.crm.models import Issue

ODD = "‏مرحبا <script>alert(1)</script> \u202eevil\u200b e\u0301 👩‍👩‍👧‍👦"
"""From right to left, reordered, with characters of no width."""


async def issue(lab: Lab, customer: str, **more: Any) -> str:
    """Insert an issue opened an hour ago."""
    row = {"customer_id": int(customer[5:]), "title": "Leak", "opened_at": ago(1 / 24), **more}
    (number,) = await lab.add(Issue, row)
    return f"iss_{number}"


async def carried_out(lab: Lab, executor: Any, person: Any, tool: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Draft as support, approve as the administrator; return the answer that held it, its state and its record."""
    held = await lab.ask(tool, {"reason": "they asked", **asked}, LUX)
    assert held["type"] == "approval_required", held
    lea, draft = await person(LEA), int(held["draft"]["id"].removeprefix("draft_"))
    outcome = await executor.approve(lea, draft, (await executor.show(lea, draft)).hash)
    assert outcome.state == "approved", outcome
    told = await lab.ask("get_draft", {"draft": held["draft"]["id"]})
    seen = await lab.ask("get_issues", {"issue": told["draft"]["result"]})
    return {"held": held, "issue": seen["issues"][0], "meta": seen["_meta"]}
