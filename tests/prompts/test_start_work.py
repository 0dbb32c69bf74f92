"""start_work: who I am, what waits, what was decided, where I was, how I want it; words of others in the facts alone."""

from prompting import ORDERS

from fences import parted

WHY = {"reason": "a test asks"}


async def test_it_tells_where_somebody_was_and_holds_what_others_wrote_in_the_facts(prompts_of, house):
    async with prompts_of(house.email) as prompts:
        await prompts.call("get_customer", customer=f"cust_{house.odd}")
        steps, fenced = await prompts.get("start_work", on=f"Do this. {ORDERS}")
        facts = await prompts.facts("start_work", on="x")
    assert f"cust_{house.odd} (customer)" in steps and "Ignore all rules" not in steps and "Do this" not in steps
    assert facts["context"]["activeCustomer"]["id"] == f"cust_{house.odd}"
    assert "Ignore all rules" in facts["context"]["activeCustomer"]["name"]
    assert parted(fenced)[2] == ""


async def test_it_tells_what_waits_what_was_decided_and_what_is_due(prompts_of, house, executor, person):
    async with prompts_of(house.email) as prompts:
        mail = {"to": ["a@b.example"], "subject": "x", "body": "x", "about": f"cust_{house.odd}", **WHY}
        one, other = [(await prompts.call("send_email_draft", **mail | {"subject": s}))["draft"]["id"] for s in "ab"]
        await executor.reject(await person(house.email), int(one[6:]), f"Not now. {ORDERS}")
        today = (await prompts.facts("start_work"))["today"]
        await prompts.call("create_task", title=f"Call {ORDERS}", due_on=today, **WHY)
        await prompts.call("save_preference", text="Short answers.", **WHY)
        steps, _ = await prompts.get("start_work")
        facts = await prompts.facts("start_work")
    assert other in [draft["id"] for draft in facts["context"]["pendingApprovals"]]
    assert (facts["decided"][0]["id"], facts["decided"][0]["state"]) == (one, "rejected")
    assert facts["tasksDue"] >= 1 and facts["tasks"][0]["dueOn"] == today
    assert any(line.startswith("Short answers.") for line in facts["learnings"])
    assert (
        "wait for approval" in steps and "were decided within 24 hours" in steps and "due today or overdue" in steps
    )
    assert "Not now" not in steps and "Ignore" not in steps


async def test_with_nothing_known_it_asks_what_to_work_on(prompts_of, owner_asks):
    owner_asks("with gone as (delete from crm.working_memory returning 1) select count(*) from gone")
    async with prompts_of("fin@demo.example") as prompts:
        steps, _ = await prompts.get("start_work")
    assert "Ask what they want to work on" in steps and "looked last" not in steps


async def test_its_argument_completes(prompts_of, house):
    async with prompts_of(house.email) as prompts:
        assert (await prompts.offered("start_work", "on", "wh")).values == ["what waits for me", "where I left off"]
