"""The process that approves, or edits, is killed at a named point; the approver tries again."""

import pytest
from campaign_bugs import approve_naively_until, edit_by_halves_until
from campaign_drafts import Evidence, halves, problems
from campaign_processes import COMMENT, approve_until, edit_until, kill
from test_approval_races import naive as naive

from crm_mcp.errors import Refusal

POINTS = (
    "begun",
    "locked",
    "run again",
    "before the decision",
    "decided, not committed",
    "committed, not answered",
)

EDITING = (
    "begun",
    "run again",
    "before the revision",
    "revised",
    "audited, not committed",
    "committed, not answered",
)


def test_the_oracle_sees_an_approval_in_two_transactions(home, processes, desk, naive):
    desk.owner.execute("insert into campaign.drafts(id) values (1)")
    kill(processes, approve_naively_until, "between", home.conninfo("crm_owner"), 1)
    desk.owner.execute("insert into campaign.orders(draft) values (1)")
    desk.owner.execute("update campaign.drafts set state = 'approved'")
    (orders,) = desk.owner.execute("select count(*) from campaign.orders").fetchone()
    assert problems(Evidence(1, "approved", orders, orders, 1), [("approve", "approved", True)])


@pytest.mark.parametrize("point", POINTS)
def test_an_approver_killed_at_a_point_leaves_one_order_after_the_retry(home, processes, desk, is_long, point):
    drafts = desk.drafts(50 if is_long else 2)
    orders, stock = desk.totals()
    for draft, seen in zip(drafts, desk.shown(drafts), strict=True):
        kill(processes, approve_until, point, home.conninfo("crm_approver"), draft, seen)
        outcome = desk.approve(draft, seen)
        assert outcome.state == "approved"
        assert outcome.won == (point != "committed, not answered")
        assert outcome.result["record"]["id"].startswith("ord_")
        killed, again = desk.audit(draft, "approve")
        assert killed == (["begun"] if outcome.won else ["begun", "ended"])
        assert again == ["begun", "ended"]
    evidence = desk.evidence(drafts)
    wrong = [p for draft in drafts for p in problems(evidence[draft], [("approve", "approved", True)])]
    assert wrong == []
    assert desk.totals() == (orders + len(drafts), stock - sum(e.wanted for e in evidence.values()))
    assert desk.locked(drafts) == []
    assert desk.audit_problems() == []
    print(f"\n{len(drafts)} kills at {point!r}: each approved once")


def test_the_oracle_sees_an_edit_in_two_transactions(home, processes, desk):
    (draft,) = desk.drafts(1)
    before = desk.standing(draft)
    kill(processes, edit_by_halves_until, "between", home.conninfo("crm_owner"), draft)
    assert "1 versions kept" in halves(before, desk.standing(draft), desk.approver, COMMENT)


@pytest.mark.parametrize("point", EDITING)
def test_an_editor_killed_at_a_point_leaves_one_version_whole(home, processes, desk, is_long, point):
    drafts = desk.drafts(50 if is_long else 1)
    there, wrong = point == "committed, not answered", []
    for draft, seen in zip(drafts, desk.shown(drafts), strict=True):
        before = desk.standing(draft)
        kill(processes, edit_until, point, home.conninfo("crm_approver"), draft)
        after = desk.standing(draft)
        wrong += halves(before, after, desk.approver, COMMENT)
        assert after.row["version"] == (2 if there else 1)
        (now,) = desk.shown([draft])
        assert (now != seen) == there
        if there:
            with pytest.raises(Refusal, match="CHANGED_SINCE_SHOWN"):
                desk.approve(draft, seen)
        assert desk.approve(draft, now).won
        assert desk.comments(draft) == [COMMENT if there else None]
    assert wrong == []
    assert desk.locked(drafts) == []
    assert desk.audit_problems() == []
    print(
        f"\n{len(drafts)} edits killed at {point!r}: each draft {'the new' if there else 'the old'} version, whole, and approved"
    )
