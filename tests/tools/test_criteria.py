"""Criteria and the ways that stages allow, judged on records that no database holds."""

from decimal import Decimal

import pytest

from crm_mcp.crm import criteria, moving
from crm_mcp.crm.criteria import Evidence, Judged
from crm_mcp.crm.models import PipelineStage
from crm_mcp.crm.subjects import Subject


def evidence(table="leads", has=(), score=None, factors=None, **fields):
    score = None if score is None else Decimal(str(score))
    return Evidence(Subject(table, 1, None, "It"), fields, has, None, None, False, score, factors)


def judged(names, stated=(), required=(), **more):
    return evidence(**more).judge([{"name": name} for name in names], required, stated)


@pytest.mark.parametrize(
    ("check", "value", "holds"),
    [
        ({"is": "filled"}, "x", True),
        ({"is": "filled"}, "  ", False),
        ({"is": "filled"}, 0, True),
        ({"is": "filled"}, [], False),
        ({"is": "filled"}, {}, False),
        ({"is": "filled"}, ["x"], True),
        ({"is": "empty"}, None, True),
        ({"is": "empty"}, False, False),
        ({"equals": True}, True, True),
        ({"equals": True}, 1, False),
        ({"equals": 1}, True, False),
        ({"equals": 5}, "5.00", True),
        ({"equals": 5}, "5.01", False),
        ({"equals": "Fair  play"}, " fair play", True),
        ({"equals": "fair"}, None, False),
        ({"at_least": 5}, "5", True),
        ({"at_least": 5}, 4.99, False),
        ({"at_least": 5}, None, False),
        ({"at_least": 5}, True, False),
        ({"at_least": 5}, "NaN", False),
        ({"at_least": 5}, "much", False),
        ({}, "x", False),
    ],
)
def test_a_check_of_a_field_holds_or_not(check, value, holds):
    assert evidence(source=value).proves({"field": "source", **check}) is holds


def test_a_check_says_nothing_of_a_field_that_the_record_lacks_or_in_another_language():
    assert evidence().proves({"field": "source", "is": "filled"}) is None
    assert evidence().proves({"sql": "1"}) is None
    assert evidence(title="x").proves({"field": "jobTitle", "is": "filled"}) is True
    assert evidence(has=("note",)).proves({"has": "note"}) is True
    assert evidence(has=("note",)).proves({"has": "order"}) is False


@pytest.mark.parametrize(
    ("name", "met"),
    [
        ("score >= 60", True), ("Score > 59.9", True), ("score > 60", False), ("score >= 60.1", False),
        ("fit_score >= 40", True), ("fit_score > 40", False), ("intent_score >= 0", False),
    ],
)  # fmt: skip
def test_a_criterion_that_names_a_score_is_proved_by_it_whatever_is_stated(name, met):
    found = judged([name], stated=[name], score=60, factors={"fit": 40})
    assert (found.proved, found.missing) == (((name,), ()) if met else ((), (name,)))
    assert judged([name], score=None).missing == (name,)


def test_a_score_reaches_what_it_equals():
    assert evidence(score=60).proves({"score_at_least": 60}) is True
    assert evidence(score=59.99).proves({"score_at_least": 60}) is False
    assert evidence().proves({"score_at_least": 0}) is False


def test_one_of_several_proofs_is_enough_and_a_kind_without_any_is_taken_at_its_word():
    assert judged(["timeline_defined"], timeline=None, expected_close_on="2026-12-01").is_met
    assert judged(["timeline_defined"], timeline="May", expected_close_on=None).is_met
    lacking = judged(["timeline_defined"], stated=["timeline_defined"], timeline=None, expected_close_on=None)
    assert lacking.missing == ("timeline_defined",)
    assert lacking.needs == {
        "timeline_defined": "the record must show it: timeline is filled or expected_close_on is filled"
    }
    assert judged(["timeline_defined"], stated=["Timeline_Defined"], table="contacts").stated == ("timeline_defined",)
    for name in ("has_budget_confirmed", "budget_confirmed"):
        assert judged([name], budget_confirmed=True).proved == (name,)
        assert judged([name], stated=[name], budget_confirmed=False).missing == (name,)
    assert judged(["has_decision_maker_contact"], decision_maker="Ann").is_met
    assert judged(["has_decision_maker_contact"], table="deals", contact="cont_1").is_met
    assert judged(["has_decision_maker_contact"], table="customers", has=("contact",)).is_met
    assert not judged(["has_decision_maker_contact"], table="customers").is_met
    for table in ("contacts", "deals", "leads"):
        assert judged(["company_identified"], table=table, organization=None, customer="cust_1").is_met
        assert judged(["company_identified"], table=table, organization="org_1", customer=None).is_met
        assert not judged(["company_identified"], table=table, organization=None, customer=None).is_met


def test_what_is_stated_of_no_criterion_is_kept_besides_and_a_name_counts_once():
    found = judged(["a", "A ", "b"], stated=["b", "more"])
    assert (found.stated, found.missing, found.also) == (("b",), ("a",), ("more",))
    assert found.needs == {"a": "state it, if it is so"}


def test_a_check_of_its_own_comes_before_what_the_name_would_prove():
    found = evidence(budget_confirmed=True, source=None).judge(
        [{"name": "budget_confirmed", "check": {"field": "source", "is": "filled"}}], (), ["budget_confirmed"]
    )
    assert found.missing == ("budget_confirmed",)
    assert found.needs == {"budget_confirmed": "the record must show it: source is filled"}


def test_required_fields_are_those_of_the_record_that_are_empty_each_once():
    found = judged([], required=["jobTitle", "title", "source", "lacks"], title=" ", source="x")
    assert (found.fields, found.is_met, found.lacking) == (("title",), False, "the field title")
    assert found.document() == {"missing_fields": ["title"]}
    assert Judged(missing=("a",), fields=("b",)).lacking == "a, the field b"
    assert not Judged(missing=("a",)).is_met and Judged().is_met and Judged().document() == {}


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ({"has": "task_done"}, "it has task done"),
        ({"score_at_least": 5}, "its score is at least 5"),
        ({"field": "source", "is": "empty"}, "source is empty"),
        ({"field": "won", "equals": True}, "won equals true"),
        ({"field": "source", "equals": "Fair"}, "source equals Fair"),
        ({"field": "value", "at_least": 9}, "value is at least 9"),
        ({}, "a check"),
    ],
)
def test_a_check_is_said_in_words(check, words):
    assert criteria.in_words(check) == words


@pytest.mark.parametrize(
    ("given", "ours"),
    [("jobTitle", "title"), (" company ", "organization"), ("estimatedValue", "value"), ("amount", "value"),
     ("linkedInUrl", "linkedin_url"), ("expectedCloseOn", "expected_close_on"), ("source", "source")],
)  # fmt: skip
def test_fields_may_be_named_as_s4_names_them(given, ours):
    assert criteria.field_name(given) == ours


def stages(*wanted):
    return [
        PipelineStage(
            id=at, position=at, name=name, kind=kind, can_skip=more.get("skip", False), next_stages=more.get("next"),
            archived_at=more.get("gone"),
        )
        for at, (name, kind, more) in enumerate(wanted, 1)
    ]  # fmt: skip


PLAIN = (
    ("A", "active", {}),
    ("B", "active", {"skip": True}),
    ("C", "active", {}),
    ("Won", "won", {}),
    ("Lost", "lost", {}),
)


@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        ("A", ["B", "C", "Lost"]),
        ("B", ["A", "C", "Lost"]),
        ("C", ["A", "B", "Won", "Lost"]),
        ("Won", ["A", "B", "C", "Lost"]),
        ("Lost", ["A", "B", "C"]),
    ],
)
def test_a_stage_leads_back_anywhere_on_past_those_to_be_skipped_and_to_lost(now, allowed):
    made = stages(*PLAIN)
    at = next(stage for stage in made if stage.name == now)
    assert [stage.name for stage in moving.follow_from(at, made)] == allowed


def test_a_list_of_followers_stands_for_what_comes_after_and_an_archived_stage_for_nothing():
    made = stages(("A", "active", {"next": ["c", "WON"]}), *PLAIN[1:])
    assert [stage.name for stage in moving.follow_from(made[0], made)] == ["C", "Won", "Lost"]
    none = stages(("A", "active", {"next": []}), *PLAIN[1:])
    assert [stage.name for stage in moving.follow_from(none[0], none)] == ["Lost"]
    gone = stages(PLAIN[0], ("B", "active", {"skip": True, "gone": 1}), *PLAIN[2:])
    assert [stage.name for stage in moving.follow_from(gone[0], gone)] == ["C", "Lost"]
    back = stages(("A", "active", {"gone": 1}), *PLAIN[1:])
    assert [stage.name for stage in moving.follow_from(back[2], back)] == ["B", "Won", "Lost"]
