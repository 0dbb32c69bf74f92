from datetime import UTC, datetime

import pytest
from funnel import WHY
from lab import LOU

SERIAL = iter(range(1000))


def name():
    return f"Partner way {next(SERIAL)} {datetime.now(UTC).timestamp()}"


async def asked(lab, **more):
    return await lab.ask("create_pipeline", {**WHY, "name": name(), **more}, LOU)


@pytest.fixture
def made(lab, executor, person, way):
    async def through_approval(**more):
        held = await asked(lab, **more)
        assert (await way.approve(held)).state == "approved"
        found = await lab.ask("get_draft", {"draft": held["draft"]["id"]}, LOU)
        return (await lab.ask("get_pipelines", {"pipeline": found["draft"]["result"], "include": ["criteria"]}, LOU))[
            "pipelines"
        ][0]

    return through_approval


async def test_s4s_partner_pipeline_is_held_shown_and_made(made, lab):
    stages = [
        {"name": "Application", "exit_criteria": ["application_reviewed", "legal_check_passed"]},
        {"name": "Review", "description": "Technical", "probability": 40, "min_days": 1, "max_days": 30},
        {"name": "Training", "automation": True, "can_skip": True, "required_fields": ["jobTitle", "estimatedValue"]},
        {"name": "Active"},
    ]
    held = await asked(lab, kind="partner", stages=stages)
    assert held["type"] == "approval_required"
    assert held["draft"]["reason"] == "creates or changes a pipeline"
    assert "Application → Review → Training → Active → Lost." in held["summary"]
    told = await made(kind="partner", stages=stages)
    kinds = [(stage["name"], stage.get("kind", "active")) for stage in told["stages"]]
    assert kinds[-3:] == [("Training", "active"), ("Active", "won"), ("Lost", "lost")]
    first, review, training, active, lost = told["stages"]
    assert first["exitCriteria"] == ["application_reviewed", "legal_check_passed"]
    assert (review["probability"], review["minDays"], review["maxDays"]) == (40, 1, 30)
    assert training["requiredFields"] == ["title", "value"] and training["canSkip"] and training["automation"]
    assert (active["probability"], lost["probability"]) == (100, 0)


@pytest.mark.parametrize(
    ("stages", "what"),
    [
        ([{"name": "A"}, {"name": "a "}], "twice"),
        ([{"name": "A", "kind": "won"}], "at least one stage must be active"),
        ([{"name": "A"}, {"name": "B", "kind": "lost"}, {"name": "C", "kind": "won"}], "active stages come first"),
        ([{"name": "A"}, {"name": "B", "kind": "won"}, {"name": "C", "kind": "won"}], "one stage may be won"),
        ([{"name": "A", "min_days": 5, "max_days": 4}], "min_days is above max_days"),
        ([{"name": "A", "next_stages": ["Z"]}, {"name": "B"}], "no stage 'Z'"),
        ([{"probability": 5}], "needs a name"),
    ],
)
async def test_what_stages_may_not_be_is_said(lab, stages, what):
    told = await asked(lab, stages=stages)
    assert told["error"] == "INVALID_STAGES" and what in told["context"]["hint"], told


@pytest.mark.parametrize(
    "check",
    [{"has": "money"}, {"field": "name"}, {"field": "name", "is": "full"}, {"score_at_least": 101}, {}, {"sql": "1"},
     {"field": "value", "at_least": "much"}, {"has": "note", "field": "name"}, {"field": "name", "equals": ["x"]}],
)  # fmt: skip
async def test_a_check_outside_the_language_is_refused(lab, check):
    told = await asked(lab, stages=[{"name": "A", "exit_criteria": [{"name": "it", "check": check}]}, {"name": "B"}])
    assert told["error"] in ("INVALID_CHECK", "INVALID_ARGUMENT"), told


async def test_a_field_that_no_record_has_is_refused_with_the_nearest(lab):
    check = {"field": "expected_close", "is": "filled"}
    told = await asked(lab, stages=[{"name": "A", "exit_criteria": [{"name": "it", "check": check}]}])
    assert told["error"] == "UNKNOWN_FIELD" and "'expected_close_on'" in told["context"]["hint"]
    told = await asked(lab, stages=[{"name": "A", "required_fields": ["org_id"]}])
    assert told["error"] == "UNKNOWN_FIELD"


async def test_a_name_is_taken_whatever_its_case_and_the_default_of_a_kind_changes_hands(made, lab):
    first = await made(kind="custom", stages=[{"name": "A"}, {"name": "B"}], is_default=True)
    assert first["isDefault"] is True
    told = await lab.ask("create_pipeline", {**WHY, "name": first["name"].upper(), "stages": [{"name": "A"}]}, LOU)
    assert (told["error"], told["context"]["pipeline"]) == ("PIPELINE_EXISTS", first["id"])
    second = await made(kind="custom", stages=[{"name": "A"}], is_default=True)
    seen = await lab.ask("get_pipelines", {"pipeline": "custom"}, LOU)
    assert [one["id"] for one in seen["pipelines"]] == [second["id"]]
    again = await lab.ask("get_pipelines", {"pipeline": first["id"]}, LOU)
    assert "isDefault" not in again["pipelines"][0]


async def test_a_single_stage_stays_active(made):
    told = await made(stages=[{"name": "Only"}])
    assert [stage.get("kind", "active") for stage in told["stages"]] == ["active", "lost"]


async def test_a_stage_is_neither_automated_nor_skipped_unless_said_and_keeps_its_own_probability(made):
    stages = [{"name": "A"}, {"name": "B", "kind": "won", "probability": 90}, {"name": "C", "kind": "lost"}]
    told = await made(stages=stages)
    first, won, lost = told["stages"]
    assert not first.get("automation") and not first.get("canSkip")
    assert (won["probability"], lost["probability"], lost["name"]) == (90, 0, "C")
