from datetime import date

from funnel import WHY, contact, deal, lead
from lab import LOU, ago

DEFAULTS = {"Sales", "Support", "Onboarding", "Partner"}


async def test_a_new_org_has_its_four_pipelines(way, lab):
    told = await way.ask_read("get_pipelines")
    found = {one["name"]: one for one in told["pipelines"] if one["name"] in DEFAULTS}
    assert set(found) == DEFAULTS
    assert [stage["name"] for stage in found["Sales"]["stages"]] == [
        "Lead",
        "Qualified",
        "Demo",
        "Proposal",
        "Customer",
        "Lost",
    ]
    assert all(one["isDefault"] for one in found.values())


async def test_counts_and_value_stand_by_stage_and_currency(way, lab):
    for amount in ("100.50", "200"):
        await way.put(await deal(lab, amount=amount))
    await way.put(await contact(lab), "Demo", "7")
    await way.put(await contact(lab), "Demo")
    francs = await contact(lab)
    await way.put(francs, "Demo", "9")
    await lab.set("pipeline_positions", await way.put(await contact(lab), "Demo", "3"), "currency", "CHF")
    won = await deal(lab)
    await way.put(won, "Customer", closed_at=ago(1))
    (told,) = (await way.ask_read("get_pipelines", pipeline=way.name))["pipelines"]
    stages = {stage["name"]: stage for stage in told["stages"]}
    assert (stages["Lead"]["count"], stages["Lead"]["value"]) == (2, [{"amount": "300.50", "currency": "EUR"}])
    assert stages["Demo"]["count"] == 4
    assert stages["Demo"]["value"] == [{"amount": "3.00", "currency": "CHF"}, {"amount": "16.00", "currency": "EUR"}]
    assert (stages["Customer"]["count"], stages["Customer"]["kind"]) == (1, "won")
    assert stages["Qualified"] == {"name": "Qualified", "count": 0}


async def test_the_records_of_a_stage_come_page_by_page_the_longest_there_first(way, lab):
    made = []
    for days in (3, 9, 6):
        it = await lead(lab, f"Waits {days}")
        await way.put(it, "Qualified", "5", entered_at=ago(days))
        made.append(it)
    await way.put(await lead(lab), "Lead", "5")
    async with lab.connect(LOU) as client:
        asked = {"pipeline": way.name, "stage": "qualified", "limit": 2}
        first = (await client.call_tool("get_pipelines", asked)).structured_content
        more = {**asked, "cursor": first["_meta"]["nextCursor"]}
        rest = (await client.call_tool("get_pipelines", more)).structured_content
    records = first["pipelines"][0]["records"]
    assert [(one["record"]["id"], one["daysInStage"]) for one in records] == [(made[1], 9), (made[2], 6)]
    assert records[0]["value"] == {"amount": "5.00", "currency": "EUR"} and first["_meta"]["total"] == 3
    assert [one["record"]["id"] for one in rest["pipelines"][0]["records"]] == [made[0]]
    assert "nextCursor" not in rest["_meta"]
    all_of_it = await way.ask_read("get_pipelines", pipeline=way.id, include=["records"])
    assert all_of_it["_meta"]["total"] == 4


async def test_a_full_page_that_does_not_fit_goes_on_where_it_was_cut(way, lab):
    for at in range(30):
        await way.put(await lead(lab, f"{at} " + "ä" * 180), "Lead", "5", entered_at=ago(40 - at))
    seen, cursor, asked = [], None, {"pipeline": way.name, "stage": "Lead", "limit": 30}
    async with lab.connect(LOU) as client:
        while cursor is not None or not seen:
            more = {**asked, **({"cursor": cursor} if cursor else {})}
            told = (await client.call_tool("get_pipelines", more)).structured_content
            seen += [one["record"]["name"].split()[0] for one in told["pipelines"][0]["records"]]
            cursor = told["_meta"].get("nextCursor")
    assert seen == [str(at) for at in range(30)]


async def test_where_a_record_stands_and_how_it_came_there(way, lab):
    it = await lead(lab, "Shop", budget_confirmed=True, timeline="May")
    await way.ask("add_to_pipeline", records=[it], pipeline=way.name)
    await way.move(it, "Qualified", explanation="Rang back")
    await way.move(it, "Demo", criteria_met=["reference_called"])
    await way.ask("score_contact", record=it, next_follow_up_on=date.today().isoformat(), factors={"fit": 50})
    (told,) = (await way.ask_read("get_pipelines", record=it, include=["history"]))["pipelines"]
    assert (told["name"], told["positions"][0]["stage"]) == (way.name, "Demo")
    assert told["positions"][0]["followUpOn"] == date.today().isoformat()
    ways = [(move.get("from"), move["to"], move["by"]) for move in told["history"]]
    assert ways == [("Qualified", "Demo", "Lou Lind"), ("Lead", "Qualified", "Lou Lind"), (None, "Lead", "Lou Lind")]
    assert told["history"][0]["criteria"]["stated"] == ["reference_called"]
    assert told["history"][1]["explanation"] == "Rang back"


async def test_criteria_are_said_in_words(way, lab):
    (told,) = (await way.ask_read("get_pipelines", pipeline=way.name, include=["criteria"]))["pipelines"]
    assert told["stages"][1]["exitCriteria"] == ["has_budget_confirmed", "timeline_defined", "reference_called"]


async def test_what_is_not_there_is_said(way, lab, owner_asks):
    theirs = owner_asks(
        "select 'pipe_' || min(p.id) from crm.pipelines p join crm.orgs o on o.id = p.org_id where o.slug = 'demo'"
    )
    for asked in ("pipe_999999999", theirs, "Slaes"):
        told = await way.ask_read("get_pipelines", pipeline=asked)
        assert told["error"] == "PIPELINE_NOT_FOUND"
    assert "'Sales'" in told["context"]["hint"]
    assert (await way.ask_read("get_pipelines", pipeline=way.name, stage="Dmo"))["error"] == "STAGE_NOT_FOUND"
    assert (await way.ask_read("get_pipelines", stage="Demo"))["context"]["argument"] == "pipeline"
    assert (await way.ask_read("get_pipelines", record="lead_999999999"))["error"] == "LEAD_NOT_FOUND"
    assert (await way.ask_read("get_pipelines", record=await contact(lab)))["pipelines"] == []


async def test_move_all_qualified_leads_to_the_demo_stage(way, lab, owner_asks):
    """S4: twelve qualified leads, of which eight meet all criteria and four lack a confirmed budget."""
    for at in range(12):
        it = await lead(lab, f"Lead {at}", budget_confirmed=True if at % 3 else None, timeline="this quarter")
        await way.put(it, "Qualified", "900", entered_at=ago(20 - at))
    async with lab.connect(LOU) as client:

        async def ask(tool, **asked):
            return (await client.call_tool(tool, asked)).structured_content

        found = (await ask("get_pipelines", pipeline=way.name, stage="Qualified", include=["criteria"]))["pipelines"][
            0
        ]
        assert len(found["records"]) == 12
        moves = [
            {
                "record": one["record"]["id"],
                "to_stage": "Demo",
                "from_stage": "Qualified",
                "criteria_met": ["reference_called", "has_budget_confirmed"],
            }
            for one in found["records"]
        ]
        told = await ask("move_to_stage", moves=moves, **WHY)
        assert told["summary"] == "12 items: 8 done, 4 refused."
        refused = [item for item in told["items"] if item["type"] == "error"]
        assert all(item["context"]["missing"] == ["has_budget_confirmed"] for item in refused)
        flagged = [
            {
                "record": item["context"]["record"],
                "to_stage": "Demo",
                "criteria_met": ["reference_called"],
                "despite_missing": True,
            }
            for item in refused
        ]
        held = await ask("move_to_stage", moves=flagged, **WHY)
        assert held["summary"] == "4 items: 4 waiting for approval." and held["_meta"]["waiting"] >= 4
        now = (await ask("get_pipelines", pipeline=way.name))["pipelines"][0]["stages"]
        assert [(stage["name"], stage["count"]) for stage in now[1:3]] == [("Qualified", 4), ("Demo", 8)]
        for item in held["items"][:1]:
            assert (await way.approve({**item, "type": "approval_required"})).state == "approved"
        now = (await ask("get_pipelines", pipeline=way.name))["pipelines"][0]["stages"]
        assert [(stage["name"], stage["count"]) for stage in now[1:3]] == [("Qualified", 3), ("Demo", 9)]
