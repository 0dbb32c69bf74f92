"""`crm-mcp serve` is killed while it revises a draft for the chat: one version stands, whole, and can be approved."""

import uuid

import pytest
from campaign_bugs import revise_by_halves_until
from campaign_client import Server
from campaign_drafts import halves
from campaign_processes import COMMENT, kill

from crm_mcp.errors import Refusal

SHORT = ("revised", "audited, not committed", "committed, not answered")
LONG = ("before anything", "begun", "run again", "before the revision", *SHORT, "answered")
THERE = frozenset({"committed, not answered", "answered"})
TOOL = "revise_draft"
WHOLE = ["begun", "ended"]


def test_the_oracle_sees_a_version_counted_in_a_transaction_of_its_own(home, processes, desk):
    (draft,) = desk.drafts(1)
    before = desk.standing(draft, TOOL)
    kill(processes, revise_by_halves_until, "between", home.conninfo("crm_owner"), draft, COMMENT)
    found = halves(before, desk.standing(draft, TOOL), desk.seller, COMMENT)
    assert {"shown did not move", "what it was is not kept", "audited as []"} <= set(found)


def pytest_generate_tests(metafunc):
    if "point" in metafunc.fixturenames:
        metafunc.parametrize("point", LONG if metafunc.config.getoption("--long") else SHORT)


def test_a_server_killed_while_it_revises_leaves_one_version_whole(home, desk, is_long, point):
    """Half of them are sent again by another server, under their key, which counts no version twice."""
    drafts, sent_again = desk.drafts(50 if is_long else 1), 0
    with Server(home) as other:
        for turn, draft in enumerate(drafts):
            again = (turn + LONG.index(point)) % 2 == 0
            sent_again += again
            _kill_and_approve(home, desk, other if again else None, point, draft)
    assert desk.audit_problems() == []
    print(
        f"\n{len(drafts)} servers killed at {point!r}, {sent_again} sent again: one version each, whole, and approved"
    )


def _kill_and_approve(home, desk, other: Server | None, point: str, draft: int) -> None:
    before, (seen,) = desk.standing(draft, TOOL), desk.shown([draft])
    arguments = {
        "draft": f"draft_{draft}",
        "arguments": {"comment": COMMENT},
        "reason": "a campaign",
        "idempotency_key": uuid.uuid4().hex,
    }
    with Server(home, point) as server:
        answer = server.call(TOOL, arguments)
        server.kill()
    assert (answer is not None) == (point == "answered"), (point, answer)
    there = point in THERE
    killed = [] if point == "before anything" else [WHOLE] if there else [["begun"]]
    after = desk.standing(draft, TOOL)
    assert halves(before, after, desk.seller, COMMENT, killed) == [], point
    assert after.row["version"] == (2 if there else 1), point
    assert desk.locked([draft]) == [], point
    if other is not None:
        told = other.call(TOOL, arguments)
        assert told is not None, point
        assert (told["type"], told["draft"]["version"]) == ("result", 2), (point, told)
        assert halves(before, desk.standing(draft, TOOL), desk.seller, COMMENT, [*killed, WHOLE]) == [], point
        there = True
    (now,) = desk.shown([draft])
    assert (now != seen) == there, point
    if there:
        with pytest.raises(Refusal, match="CHANGED_SINCE_SHOWN"):
            desk.approve(draft, seen)
    assert desk.approve(draft, now).won, point
    assert desk.comments(draft) == [COMMENT if there else None], point
