from funnel import deal


async def changed(way, **asked):
    held = await way.ask("update_pipeline", pipeline=asked.pop("pipeline", way.name), **asked)
    assert held["type"] == "approval_required", held
    outcome = await way.approve(held)
    assert outcome.state == "approved", outcome
    found = await way.ask_read("get_pipelines", pipeline=way.id, include=["criteria"])
    return held, found["pipelines"][0]


async def test_a_stage_changes_in_what_is_said_and_stays_in_the_rest(way):
    held, now = await changed(
        way,
        stages=[
            {"stage": "demo", "name": "Showroom", "automation": False, "max_days": 9, "exit_criteria": ["seen"]},
            {"stage": "Qualified", "clear": ["exit_criteria"]},
        ],
    )
    assert "change name, max_days, exit_criteria, automation of the stage Demo" in held["summary"]
    showroom = next(stage for stage in now["stages"] if stage["name"] == "Showroom")
    assert (showroom["id"], showroom["maxDays"], showroom["automation"]) == (
        f"stage_{way.stages['Demo']}",
        9,
        False,
    )
    qualified = next(stage for stage in now["stages"] if stage["name"] == "Qualified")
    assert "exitCriteria" not in qualified and qualified["automation"] is True


async def test_a_stage_named_as_one_that_is_there_is_that_one(way):
    held, now = await changed(way, stages=[{"name": "demo", "max_days": 9}])
    assert "add the stage" not in held["summary"] and "max_days" in held["summary"]
    demos = [stage for stage in now["stages"] if stage["name"].casefold() == "demo"]
    assert [(stage["id"], stage["maxDays"]) for stage in demos] == [(f"stage_{way.stages['Demo']}", 9)]


async def test_stages_are_added_moved_and_archived_in_order(way):
    _, now = await changed(
        way,
        stages=[
            {"name": "Contract", "position": 5},
            {"name": "Pilot"},
            {"stage": "Proposal", "position": 1},
            {"stage": "Lead", "archive": True},
        ],
    )
    names = [stage["name"] for stage in now["stages"]]
    assert names == ["Proposal", "Qualified", "Demo", "Contract", "Pilot", "Customer", "Lost"]


async def test_what_records_stand_in_is_not_archived(way, lab):
    it = await deal(lab)
    await way.put(it, "Demo")
    for asked in (
        {"stages": [{"stage": "Demo", "archive": True}]},
        {"archive": True},
        {"stages": [{"stage": "Demo", "kind": "won"}]},
    ):
        told = await way.ask("update_pipeline", pipeline=way.name, **asked)
        assert (told["error"], told["context"]["records"]) == ("IN_USE", 1)


async def test_an_empty_pipeline_is_renamed_switched_off_and_archived(way):
    held, now = await changed(way, name=f"{way.name} B", automation=False, description="Old")
    assert "rename it" in held["summary"] and now["automation"] is False and now["description"] == "Old"
    held = await way.ask("update_pipeline", pipeline=way.id, archive=True)
    await way.approve(held)
    told = await way.ask_read("get_pipelines", pipeline=way.id)
    assert told["error"] == "PIPELINE_NOT_FOUND"


async def test_what_is_so_already_changes_nothing(way):
    told = await way.ask(
        "update_pipeline", pipeline=way.name, automation=True, stages=[{"stage": "Demo", "automation": True}]
    )
    assert told["type"] == "result" and "change nothing" in told["summary"]


async def test_the_rules_of_stages_hold_for_changes_too(way):
    told = await way.ask("update_pipeline", pipeline=way.name, stages=[{"stage": "Demo", "name": "Lead"}])
    assert told["error"] == "INVALID_STAGES"
    told = await way.ask("update_pipeline", pipeline=way.name, stages=[{"stage": "Won", "name": "Lead"}])
    assert told["error"] == "INVALID_STAGES"
    told = await way.ask("update_pipeline", pipeline=way.name, stages=[{"stage": "Nowhere"}])
    assert told["error"] == "STAGE_NOT_FOUND"


async def test_archiving_a_pipeline_is_said(way):
    held = await way.ask("update_pipeline", pipeline=way.name, archive=True)
    assert f"archive it: the pipeline {way.name}" in held["summary"]


async def test_a_stage_moves_to_the_place_it_is_given(way):
    _, now = await changed(way, stages=[{"stage": "Lead", "position": 3}])
    assert [stage["name"] for stage in now["stages"]][:4] == ["Qualified", "Demo", "Lead", "Proposal"]
