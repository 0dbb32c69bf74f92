"""One draft, several deciders at the same moment, each in a process of its own."""

import random

import psycopg
import pytest
from campaign_drafts import Evidence, problems

OTHERS = ("approve", "reject", "discard", "expire", "edit")


def naive_table(home) -> None:
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as owner:
        owner.execute("create schema if not exists campaign")
        owner.execute(
            "create table if not exists campaign.drafts(id bigint primary key, state text not null default 'pending')"
        )
        owner.execute("create table if not exists campaign.orders(draft bigint not null)")
        owner.execute("truncate campaign.drafts, campaign.orders")


@pytest.fixture
def naive(home):
    naive_table(home)
    yield
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as owner:
        owner.execute("drop schema campaign cascade")


def test_the_oracle_sees_an_approval_that_looks_before_it_writes(home, crew, desk, naive):
    desk.owner.execute("insert into campaign.drafts(id) values (1)")
    (said,) = crew.race([[("naive", 1, "", 0)] * crew.size])
    orders, state = desk.owner.execute(
        "select (select count(*) from campaign.orders), (select state from campaign.drafts)"
    ).fetchone()
    found = problems(Evidence(1, state, orders, orders, 1), said)
    assert any(f"{crew.size} orders" in problem for problem in found)
    assert any(f"{crew.size} winners" in problem for problem in found)


def test_the_oracle_sees_an_approval_of_what_was_edited():
    said = [("edit", "silent", True), ("approve", "approved", True)]
    assert problems(Evidence(1, "approved", 1, 1, 1, 2), said) == ["draft 1: approved as nobody was shown it"]
    assert problems(Evidence(1, "pending", 0, 0, 1, 2), said[:1]) == []
    assert problems(Evidence(1, "pending", 0, 0, 1, 1), said[:1]) == ["draft 1: version 1 after 1 edits"]


def wins(evidence, told) -> dict[str, int]:
    """Return how often each operation came about; what expires is told to nobody in particular."""
    found = {action: sum(won for said in told for did, _, won in said if did == action) for action in OTHERS}
    return {**found, "expire": sum(one.state == "expired" for one in evidence.values())}


def test_a_raced_draft_is_decided_once_and_everybody_is_told_the_same(crew, desk, is_long):
    chance = random.Random(20)
    orders, stock = desk.totals()
    drafts = desk.drafts(1000 if is_long else 60)
    rounds = []
    for draft, seen in zip(drafts, desk.shown(drafts), strict=True):
        other = OTHERS[len(rounds) % len(OTHERS)]
        jobs = ["approve", other] + [
            chance.choice(["approve", other]) for _ in range(chance.randint(0, crew.size - 2))
        ]
        chance.shuffle(jobs)
        # whoever decides locks at once, whoever edits runs the call first: it takes them a look or two to be even
        looks = chance.randint(0, 3) if other == "edit" else 0
        rounds.append([(action, draft, seen, 0 if action == "edit" else looks) for action in jobs])
    told = crew.race(rounds)
    evidence = desk.evidence(drafts)
    wrong = [p for draft, said in zip(drafts, told, strict=True) for p in problems(evidence[draft], said)]
    assert wrong == []
    won = wins(evidence, told)
    print(
        f"\n{len(drafts)} races of 2 to {crew.size} processes, {sum(map(len, rounds)) - sum(won.values())} losers; won: {won}"
    )
    waiting = [draft for draft in drafts if evidence[draft].state == "pending"]
    again = crew.race([[("approve", d, seen, 0)] for d, seen in zip(waiting, desk.shown(waiting), strict=True)])
    assert [said for (said,) in again] == [("approve", "approved", True)] * len(waiting)
    evidence = desk.evidence(drafts)
    approved = [e for e in evidence.values() if e.state == "approved"]
    assert desk.totals() == (orders + len(approved), stock - sum(e.wanted for e in approved))
    assert desk.locked(drafts) == []
    idle = [action for action, times in won.items() if not times]
    assert not (is_long and idle), f"these never won, so were in no race: {idle}"
    assert len(won) - len(idle) > 1, "only one side ever won: these were no races"
