"""The same deals moved, put in, won, lost and taken back at the same moment, by processes that each serve a client."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from campaign_moves import EXPECTED, Course, Evidence, Movers, Way, problems

ACTIONS = ("move", "move", "move", "lose", "add", "undo", "undo", "win")
NOW = datetime.now(UTC)
LATER = NOW + timedelta(seconds=9)


@pytest.fixture
def course(home, request, is_long):
    made = Course(home, request.node.name[:40], 40 if is_long else 5)
    yield made
    made.close()


@pytest.fixture
def movers(home, processes, is_long, course, request):
    """Processes that stay: 6, in the long form 16; with a planted bug where a test asks for one."""
    made = Movers(processes, home, 16 if is_long else 6, course, getattr(request, "param", ""))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("ways", "status", "made", "said"),
    [
        ([Way("Demo", "active", LATER, None, [("Lead", "Demo", LATER, 9)])], "open", 1, ""),
        (
            [Way("Demo", "active", LATER, None, [("Lead", "Demo", LATER, 9)])],
            "open",
            2,
            "1 moves kept, 2 acknowledged",
        ),
        (
            [Way("Demo", "active", LATER, None, [("Lead", "Demo", NOW, 9), ("Lead", "Demo", LATER, 9)])],
            "open",
            2,
            "left Lead, stood in Demo",
        ),
        ([Way("Lead", "active", NOW, None, [("Lead", "Demo", NOW, 9)])], "open", 1, "stands in Lead"),
        ([Way("Lost", "lost", NOW, None, [])], "open", 0, "closed at None"),
        ([Way("Lead", "active", NOW, None, [])] * 2, "open", 0, "2 open ways at once"),
        ([Way("Lead", "active", NOW, None, [])], "lost", 0, "lost on an open way"),
        ([Way("Lost", "lost", NOW, NOW, [])], "won", 0, "won at"),
        ([Way("Lost", "lost", NOW, NOW, [])], "open", 0, "0 open ways"),
    ],
)
def test_the_oracle_sees_what_a_history_may_not_be(ways, status, made, said):
    closed = None if status == "open" else LATER
    found = problems(Evidence("deal_1", status, closed, ways, sum(len(way.moves) for way in ways)), made)
    assert any(said in one for one in found) if said else found == []


@pytest.mark.parametrize("movers", ["naive"], indirect=True)
def test_the_oracle_sees_moves_that_look_before_they_write(movers, course):
    movers.race([[("move", course.deals[0])] * movers.size])
    wrong = problems(course.evidence(course.deals[0]), movers.size)
    assert any("left Lead, stood in Qualified" in one for one in wrong)


@pytest.mark.parametrize("movers", ["unlocked"], indirect=True)
def test_the_campaign_sees_that_places_are_no_longer_locked(movers, course):
    wrong, _ = raced(movers, course, 4, ("move",))
    assert any("left " in one for one in wrong), wrong


def test_what_is_moved_by_many_at_once_has_one_unbroken_history(movers, course, is_long):
    wrong, told = raced(movers, course, 60 if is_long else 10)
    assert wrong == []
    done = {action for action, said in told if said in ("done", "approved")}
    print(f"\n{sum(told.values())} calls of {movers.size} processes on {len(course.deals)} deals: {dict(told)}")
    assert done >= ({"move", "lose", "add", "undo", "win"} if is_long else {"move"}), "too little came about"
    assert any(said not in ("done", "approved", "nothing to do") for _, said in told), (
        "nobody was ever in another's way"
    )


def raced(movers, course, times, actions=ACTIONS):
    """Race over every deal so many times; return what is wrong, and how often each action was told what."""
    chance = random.Random(11)
    rounds, about = [], []
    for _ in range(times):
        for deal in course.deals:
            rounds.append([(chance.choice(actions), deal) for _ in range(movers.size)])
            about.append(deal)
    made, told = Counter(), Counter()
    for deal, round_told in zip(about, movers.race(rounds), strict=True):
        for action, said, rows in round_told:
            made[deal] += rows
            told[action, said] += 1
    wrong = [
        f"{action} was told {said}"
        for action, said in told
        if said not in EXPECTED | {"done", "approved", "nothing to do"}
    ]
    return wrong + [one for deal in course.deals for one in problems(course.evidence(deal), made[deal])], told
