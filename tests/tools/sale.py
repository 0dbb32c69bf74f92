"""Drafts of sale in the lab, decided as its people would on the page."""

from typing import Any

from lab import LEA, LOU, Lab

from crm_mcp.approvals.executor import Executor


async def approved(lab: Lab, executor: Executor, person: Any, tool: str, arguments: Any, by: str = LOU) -> Any:
    """Have a call held and approved; return its result: record and sentence."""
    held = await lab.ask(tool, {"reason": "a test asks", **arguments}, by)
    assert held["type"] == "approval_required", held
    outcome = await decide(executor, await person(LEA), held)
    assert outcome.state == "approved", outcome
    return outcome.result


async def decide(executor: Executor, who: Any, held: Any) -> Any:
    """Approve what is held as it is shown now."""
    draft = int(held["draft"]["id"][6:])
    return await executor.approve(who, draft, (await executor.show(who, draft)).hash or "")
