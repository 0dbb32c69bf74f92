import asyncio

from drafting import held
from lab import LEA, LOU


async def test_a_draft_that_waits_says_where_it_is_decided(lab):
    draft = await held(lab)
    told = await lab.ask("get_draft", {"draft": draft})
    assert (told["draft"]["state"], told["draft"]["requestedBy"]) == ("pending", "Lea Lang")
    assert told["_meta"]["reviewUrl"].endswith(f"/drafts/{draft}")


async def test_waiting_ends_with_the_decision_and_reports_progress(lab, executor, person):
    draft = await held(lab, LOU)
    said, first = [], asyncio.Event()

    async def progress(done, total, message):
        said.append(message)
        first.set()

    async with lab.connect(LOU, mode="legacy") as client:
        waiting = asyncio.create_task(
            client.call_tool("get_draft", {"draft": draft, "wait_seconds": 30}, progress_callback=progress)
        )
        async with asyncio.timeout(20):
            await first.wait()
        lea = await person(LEA)
        await executor.approve(lea, int(draft[6:]), (await executor.show(lea, int(draft[6:]))).hash)
        told = (await waiting).structured_content
    assert told["draft"]["state"] == "approved"
    assert told["draft"]["result"].startswith("ord_")
    assert told["draft"]["decidedBy"] == "Lea Lang"
    assert set(said) == {"waiting for a person to decide"}


async def test_an_administrator_sees_a_colleagues_draft_and_the_colleague_not_theirs(lab):
    mine, theirs = await held(lab, LEA), await held(lab, LOU)
    assert (await lab.ask("get_draft", {"draft": theirs}, LEA))["draft"]["requestedBy"] == "Lou Lind"
    assert (await lab.ask("get_draft", {"draft": mine}, LOU))["error"] == "DRAFT_NOT_FOUND"
