"""The process that approves a group signed by one passkey is killed at or between its items; the approver sends it again.

Each item is decided once, by what was signed; the signature is good for nothing that it does not cover.
"""

import json

import psycopg
import pytest
from campaign_bugs import decide_item_until, spend_item_until
from campaign_groups import Signer, forgeries, group_of, problems, send_until
from campaign_processes import kill
from click.testing import CliRunner

from crm_mcp.cli import main
from stated_policy import state_policy

POINTS = (
    "before anything",
    "begun",
    "locked",
    "run again",
    "item used up",
    "signature kept",
    "before the decision",
    "decided, not committed",
    "committed, not answered",
)
"""Of one item; the first is between the item before and it, the last between it and the next or the answer."""
SIZE = 3


@pytest.fixture(scope="module", autouse=True)
def _everything_is_signed(home, desk):
    # a reminder that another file left waiting would stand in the groups of this one
    desk.owner.execute(
        "update crm.drafts set state = 'discarded' where org_id = %s and state = 'pending'", (desk.org,)
    )
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        state_policy(conn, desk.org, {"passkeys": "always"})
        yield
        state_policy(conn, desk.org, None)


@pytest.fixture(scope="module")
def signer(home, desk):
    made = Signer(desk, home)
    yield made
    made.close()


@pytest.fixture
def verified(home, desk, monkeypatch):
    """Return what is wrong with the kept signatures, verified from the terminal against the sealed audit."""
    monkeypatch.setenv("CRM_HOME", str(home.root))

    def run():
        assert desk.audit_problems() == []
        done = CliRunner().invoke(main, ["audit", "signatures", "--verify", "--json"])
        return [problem for org in json.loads(done.output) for problem in org["problems"]]

    return run


@pytest.mark.parametrize(
    ("bug", "seen"),
    [
        (spend_item_until, "is pending, not approved"),
        (decide_item_until, "has 0 signatures of its decision, not 1"),
    ],
)
def test_the_oracle_sees_an_item_in_two_transactions(home, processes, desk, signer, bug, seen):
    drafts = signer.reminders(SIZE)
    form = signer.signed(drafts[0], SIZE)
    kill(processes, bug, "between", home.conninfo("crm_owner"), drafts[1])
    assert signer.send(group_of(drafts[0]), form) == 200
    found = problems(signer.items(drafts), drafts)
    assert f"draft {drafts[1]} {seen}" in found
    assert all(problem.startswith(f"draft {drafts[1]} ") for problem in found)


@pytest.mark.parametrize("point", POINTS)
def test_a_group_killed_at_an_item_is_decided_once_each_and_nothing_else_is(
    home, processes, desk, signer, verified, is_long, point
):
    """Every second time the same form is sent again; else the page is opened again and what is left signed anew."""
    turns, first_decided = 50 if is_long else 2, 0
    others = desk.drafts(turns)
    for turn, (other, shown) in enumerate(zip(others, desk.shown(others), strict=True)):
        drafts, at = signer.reminders(SIZE), (turn + 1) % SIZE
        form = signer.signed(drafts[0], SIZE)
        forged = forgeries(form, other, shown)
        everything = [*drafts, other]
        kill(
            processes,
            send_until,
            point,
            home.conninfo("crm_approver"),
            signer.secret,
            group_of(drafts[0]),
            form,
            drafts[at],
        )
        desk.wait_for(drafts)

        done = drafts[: at + (point == POINTS[-1])]
        first_decided += len(done)
        assert problems(signer.items(everything), done) == [], (point, at)
        assert signer.send(*forged[turn % len(forged)]) in (200, 409)
        assert problems(signer.items(everything), done) == [], (point, at, "a forgery before the retry")

        left = drafts[len(done) :]
        if turn % 2 == 0:
            assert signer.send(group_of(drafts[0]), form) == 200
        elif left:
            assert signer.send(group_of(left[0]), signer.signed(left[0], len(left))) == 200
        assert problems(signer.items(everything), drafts) == [], (point, at)
        for address, brought in [(group_of(drafts[0]), form), *forged]:
            assert signer.send(address, brought) in (200, 409)
        assert problems(signer.items(everything), drafts) == [], (point, at, "sent again")
        calls = [call for draft in drafts for call in desk.audit(draft, "approve")]
        assert calls.count(["begun"]) == (point not in (POINTS[0], POINTS[-1])), (point, at, calls)
        assert desk.locked(everything) == []
    assert verified() == []
    print(
        f"\n{turns} groups of {SIZE} killed at {point!r} of an item, {first_decided} items decided before, {turns * SIZE} in the end: each once"
    )
