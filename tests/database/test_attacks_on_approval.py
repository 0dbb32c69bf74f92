"""The approver's login commits what an approver decided, in that transaction, and no more."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from database_logins import APPROVE, APPROVE_AMOUNT, DENIED, NOTE, ORDER, UNBOUND, Login, Scene, Weaken, refused

MIA, ADA, FIN, SAM = (f"{name}@demo.example" for name in ("mia", "ada", "fin", "sam"))
UNCHECKED = {"crm.record()": ("if draft is not null", "if false")}


@pytest.fixture
def draft(agent: Login, scene: Scene) -> Callable[..., int]:
    """Hold a call as a person."""
    return lambda email=SAM, of=None, **held: agent.hold(scene.org, agent.token(email, of), **held)


@pytest.fixture
def state(root: psycopg.Connection) -> Callable[[int], str]:
    return lambda number: str(
        (root.execute("select state from crm.drafts where id = %s", (number,)).fetchone() or [""])[0]
    )


def add_order(who: Login, scene: Scene) -> int:
    return int(who.ask(ORDER, scene.org, scene.customer))


def test_an_approved_call_commits_with_its_number(
    approving: Login, scene: Scene, draft, state, root: psycopg.Connection
):
    number = draft()
    with approving.bound(scene.org, token=approving.token(MIA), draft=number):
        order = add_order(approving, scene)
        approving.ask(APPROVE, scene.org, number)
    assert state(number) == "approved"
    row = root.execute(
        "select approver, executed_xact is not null from crm.drafts where id = %s", (number,)
    ).fetchone()
    assert row == (scene.users["mia"], True)
    assert (root.execute("select number from crm.orders where id = %s", (order,)).fetchone() or [""])[0].startswith(
        "ORD-"
    )


def test_the_approvers_login_alone_approves_nothing(approving: Login, scene: Scene, draft):
    with refused(DENIED, "unapproved"), approving.bound(scene.org, token=approving.token(MIA)):
        add_order(approving, scene)
    with refused(DENIED, "unapproved"), approving.bound(scene.org, token=approving.token(MIA), draft=draft()):
        add_order(approving, scene)
    number = draft()
    with refused(UNBOUND), approving.bound(scene.org, draft=number):
        add_order(approving, scene)
        approving.ask(APPROVE, scene.org, number)


def test_effects_under_one_draft_do_not_ride_on_another(approving: Login, scene: Scene, draft, state):
    first, second = draft(), draft()
    with refused(DENIED, "unapproved"), approving.bound(scene.org, token=approving.token(MIA), draft=first):
        add_order(approving, scene)
        approving.ask(APPROVE, scene.org, second)
    with refused(DENIED, "unapproved"), approving.bound(scene.org, token=approving.token(MIA)):
        add_order(approving, scene)
        approving.set("crm.draft_id", first)
        approving.ask(APPROVE, scene.org, first)
    assert (state(first), state(second)) == ("pending", "pending")
    with approving.bound(scene.org, token=approving.token(MIA)):
        for number in (first, second):
            approving.set("crm.draft_id", number)
            add_order(approving, scene)
            approving.ask(APPROVE, scene.org, number)
    assert (state(first), state(second)) == ("approved", "approved")


def test_nothing_is_added_once_it_is_approved(approving: Login, scene: Scene, draft, weakened: Weaken):
    def attack() -> None:
        number = draft()
        with approving.bound(scene.org, token=approving.token(MIA), draft=number):
            approving.ask(APPROVE, scene.org, number)
            add_order(approving, scene)

    with refused(DENIED, "draft is not pending"):
        attack()
    with weakened(functions=UNCHECKED):
        attack()


def test_nothing_partly_free_is_added_once_it_is_approved(approving: Login, scene: Scene, draft):
    number = draft()
    with (
        refused(DENIED, "draft is not pending"),
        approving.bound(scene.org, token=approving.token(MIA), draft=number),
    ):
        note = approving.ask(NOTE, scene.org, scene.customer)
        approving.ask(APPROVE, scene.org, number)
        approving.ask(
            "update crm.notes set customer_id = %s where org_id = %s and id = %s", scene.second, scene.org, note
        )


def test_an_approval_that_is_undone_after_the_guard_looked_counts_for_nothing(
    approving: Login, scene: Scene, draft, state
):
    number = draft()
    with refused(DENIED, "unapproved"), approving.bound(scene.org, token=approving.token(MIA), draft=number):
        add_order(approving, scene)
        with approving.conn.transaction(force_rollback=True):
            approving.ask(APPROVE, scene.org, number)
            approving.ask("set constraints all immediate")
        approving.ask("set constraints all deferred")
    assert state(number) == "pending"


def test_switching_the_org_before_the_commit_loses_the_approval(approving: Login, scene: Scene, draft):
    number = draft()
    with refused(DENIED, "unapproved"), approving.bound(scene.org, token=approving.token(MIA), draft=number):
        add_order(approving, scene)
        approving.ask(APPROVE, scene.org, number)
        approving.set("crm.org_id", scene.other)


def test_a_draft_of_one_org_opens_no_other(approving: Login, scene: Scene, draft, weakened: Weaken):
    number = draft()
    stranger = "insert into crm.customers(org_id, name) values (%s, 'x')"

    def attack() -> None:
        with approving.bound(scene.org, token=approving.token(MIA), draft=number):
            approving.set("crm.org_id", scene.other)
            approving.ask(stranger, scene.other)
            approving.set("crm.org_id", scene.org)
            approving.ask(APPROVE, scene.org, number)
            approving.set("crm.org_id", scene.other)

    with refused(DENIED, "draft is not pending"):
        attack()
    open_policy = ("alter policy tenant on crm.drafts using (true)", "alter policy tenant on crm.drafts using (org_id = nullif(current_setting('crm.org_id', true), '')::bigint)")  # fmt: skip
    orgless = {"crm.record()": ("d.org_id = row_org and ", ""), "crm.guard()": ("d.org_id = new.org_id and ", "")}
    with weakened(open_policy[0], restore=open_policy[1:], functions=orgless):
        attack()


def test_another_orgs_draft_is_not_there_to_decide(approving: Login, agent: Login, scene: Scene, state):
    foreign = agent.hold(scene.other, agent.token("otto@other.example"))
    with approving.bound(scene.org, token=approving.token(MIA)):
        assert approving.conn.execute(APPROVE, (scene.other, foreign)).rowcount == 0
    with refused(UNBOUND), approving.bound(scene.other, token=approving.token(MIA)):
        approving.ask(APPROVE, scene.other, foreign)
    assert state(foreign) == "pending"


@pytest.mark.parametrize("deciding", ["approved", "rejected"])
@pytest.mark.parametrize(("email", "of"), [(SAM, None), ("sue@demo.example", None), (MIA, "order"), (ADA, "support")])
def test_only_an_approver_in_person_decides(
    approving: Login, scene: Scene, draft, email: str, of: str | None, deciding: str, weakened: Weaken
):
    number = draft("olga@demo.example")

    def attack() -> None:
        with approving.bound(scene.org, token=approving.token(email, of), draft=number):
            approving.ask(
                f"update crm.drafts set state = '{deciding}' where org_id = %s and id = %s", scene.org, number
            )

    with refused(DENIED, "not an approver"):
        attack()
    with weakened(functions={"crm.decide()": ("or b.agent is not null or m.may_approve is distinct from true", "")}):
        attack()


def test_whose_rights_were_taken_away_decides_no_more(approving: Login, scene: Scene, draft, weakened: Weaken):
    number, token = draft(), approving.token(FIN)
    where = f"where org_id = {scene.org} and user_id = {scene.users['fin']}"
    for taken, given in (("may_approve = false", "may_approve = true"), ("active = false", "active = true")):
        with (
            weakened(
                f"update crm.memberships set {taken} {where}",
                restore=(f"update crm.memberships set {given} {where}",),
            ),
            refused(DENIED, "not an approver"),
            approving.bound(scene.org, token=token),
        ):
            approving.ask(APPROVE, scene.org, number)


def test_the_approver_is_who_is_bound_and_not_who_is_named(
    approving: Login, scene: Scene, draft, root: psycopg.Connection
):
    number = draft()
    with approving.bound(scene.org, token=approving.token(MIA)):
        approving.ask(
            "update crm.drafts set state = 'approved', approver = %s where org_id = %s and id = %s",
            scene.users["ada"],
            scene.org,
            number,
        )
    assert root.execute("select approver from crm.drafts where id = %s", (number,)).fetchone() == (
        scene.users["mia"],
    )


@pytest.mark.parametrize(("email", "amount"), [(FIN, "5000.01"), (MIA, "50000.01"), (FIN, "NaN")])
def test_nobody_approves_over_their_limit(
    approving: Login, scene: Scene, draft, email: str, amount: str, weakened: Weaken
):
    number = draft()

    def attack() -> None:
        with approving.bound(scene.org, token=approving.token(email), draft=number):
            approving.ask(APPROVE_AMOUNT, amount, f"cust:{number}", scene.org, number)

    with refused(DENIED, "over the limit"):
        attack()
    with weakened(functions={"crm.decide()": ("if new.amount + spent > m.approval_limit", "if false")}):
        attack()


def test_the_limit_counts_what_was_split(approving: Login, scene: Scene, draft):
    first, second, third = draft(), draft(), draft()
    with approving.bound(scene.org, token=approving.token(FIN)):
        approving.ask(APPROVE_AMOUNT, 3000, "cust:split", scene.org, first)
    with refused(DENIED, "over the limit"), approving.bound(scene.org, token=approving.token(FIN)):
        approving.ask(APPROVE_AMOUNT, 3000, "cust:split", scene.org, second)
    with refused(DENIED, "over the limit"), approving.bound(scene.org, token=approving.token(FIN)):
        approving.ask(APPROVE_AMOUNT, 3000, "cust:split2", scene.org, second)
        approving.ask(APPROVE_AMOUNT, 3000, "cust:split2", scene.org, third)


def test_the_limit_counts_what_is_approved_at_the_same_time(
    login: Callable[[str], Login], scene: Scene, draft, state
):
    first, second = login("crm_approver"), login("crm_approver")
    numbers = draft(), draft()
    failed: list[psycopg.Error] = []

    def approve_second() -> None:
        try:
            with second.bound(scene.org, token=second.token(FIN)):
                second.ask(APPROVE_AMOUNT, 3000, "cust:race", scene.org, numbers[1])
        except psycopg.Error as no:
            failed.append(no)

    with first.bound(scene.org, token=first.token(FIN)):
        first.ask(APPROVE_AMOUNT, 3000, "cust:race", scene.org, numbers[0])
        other = threading.Thread(target=approve_second)
        other.start()
        other.join(1)
    other.join(10)
    assert sorted(map(state, numbers)) == ["approved", "pending"]


def test_a_negative_amount_makes_no_room(approving: Login, scene: Scene, draft):
    first, second = draft(), draft()
    with refused(DENIED), approving.bound(scene.org, token=approving.token(FIN)):
        approving.ask(APPROVE_AMOUNT, -100_000, "cust:room", scene.org, first)
        approving.ask(APPROVE_AMOUNT, 90_000, "cust:room", scene.org, second)


def test_the_amount_is_what_the_approvers_login_says_it_is(approving: Login, scene: Scene, draft, state):
    """Postgres does not know which columns are money: the executor counts them, and its login is trusted to.
    So a limit holds against people and agents, not against code that runs with the approver's password."""
    number = draft(amount="4000000", subject="cust:1")
    with approving.bound(scene.org, token=approving.token(FIN), draft=number):
        add_order(approving, scene)
        approving.ask(APPROVE_AMOUNT, None, None, scene.org, number)
    assert state(number) == "approved"


def test_nobody_approves_their_own_call_over_their_own_limit(approving: Login, scene: Scene, draft, state):
    number = draft(FIN)
    with refused(DENIED, "over the limit of the approver"), approving.bound(scene.org, token=approving.token(FIN)):
        approving.ask(APPROVE_AMOUNT, 5001, "cust:own", scene.org, number)
    with approving.bound(scene.org, token=approving.token(FIN)):
        approving.ask(APPROVE_AMOUNT, 5000, "cust:own", scene.org, number)
    assert state(number) == "approved"


def test_an_expired_draft_is_not_approved(
    approving: Login, scene: Scene, draft, weakened: Weaken, root: psycopg.Connection
):
    number = draft()
    root.execute("update crm.drafts set expires_at = clock_timestamp() where id = %s", (number,))

    def attack() -> None:
        with approving.bound(scene.org, token=approving.token(MIA), draft=number):
            add_order(approving, scene)
            approving.ask(APPROVE, scene.org, number)

    with refused(DENIED, "has expired"):
        attack()
    with refused(DENIED, "permission denied"), approving.bound(scene.org, token=approving.token(MIA)):
        approving.ask("update crm.drafts set expires_at = 'infinity' where id = %s", number)
    with weakened(functions={"crm.decide()": ("new.expires_at <= clock_timestamp()", "false")}):
        attack()


@pytest.mark.parametrize(
    "column",
    [
        "args",
        "tool",
        "requester",
        "clock",
        "call_id",
        "agent",
        "expires_at",
        "changes",
        "executed_xact",
        "version",
        "decided_at",
        "org_id",
    ],
)
def test_what_was_held_does_not_change_with_its_approval(approving: Login, scene: Scene, draft, column: str):
    number = draft()
    with (
        refused(DENIED, "permission denied for table drafts"),
        approving.bound(scene.org, token=approving.token(MIA)),
    ):
        approving.ask(
            f"update crm.drafts set state = 'approved', {column} = {column} where org_id = %s and id = %s",
            scene.org,
            number,
        )


def test_a_held_call_does_not_change_even_for_who_may_update_it(
    approving: Login, scene: Scene, draft, weakened: Weaken, root: psycopg.Connection
):
    number = draft()

    def attack() -> None:
        with approving.bound(scene.org, token=approving.token(MIA)):
            approving.ask(
                "update crm.drafts set state = 'approved', args = '{\"more\": 1}' where org_id = %s and id = %s",
                scene.org,
                number,
            )

    grant, revoke = (
        "grant update (args) on crm.drafts to crm_approver",
        "revoke update (args) on crm.drafts from crm_approver",
    )
    with refused(DENIED, "a held call changes by an edit alone"), weakened(grant, restore=(revoke,)):
        attack()
    with refused(DENIED, "a held call does not change"):
        root.execute("update crm.drafts set requester = %s where id = %s", (scene.users["ada"], number))
    with weakened(
        grant,
        restore=(revoke,),
        functions={
            "crm.decide()": ("is distinct from (old.org_id", "is distinct from (new.org_id", "old.args", "new.args")
        },
    ):
        attack()


@pytest.mark.parametrize("decided", ["approved", "rejected", "discarded", "expired", "stale", "failed", "superseded"])
def test_a_decided_draft_stays_decided(
    approving: Login, scene: Scene, draft, decided: str, root: psycopg.Connection, weakened: Weaken
):
    number = draft()
    with approving.bound(scene.org, token=approving.token(MIA)):
        approving.ask(f"update crm.drafts set state = '{decided}' where org_id = %s and id = %s", scene.org, number)
    for again in ("pending", "approved", decided):
        with refused(DENIED, f"is {decided}"), approving.bound(scene.org, token=approving.token(MIA)):
            approving.ask(f"update crm.drafts set state = '{again}' where org_id = %s and id = %s", scene.org, number)
    with refused(DENIED, f"is {decided}"):
        root.execute("update crm.drafts set state = 'pending' where id = %s", (number,))
    with weakened(functions={"crm.decide()": ("if old.state <> 'pending' then", "if false then")}):
        root.execute("update crm.drafts set state = 'pending' where id = %s", (number,))


def test_a_spent_draft_whose_transaction_comes_again_after_a_restore_is_spent(
    approving: Login, scene: Scene, draft, weakened: Weaken, root: psycopg.Connection
):
    number = draft()
    with approving.bound(scene.org, token=approving.token(MIA), draft=number):
        approving.ask(APPROVE, scene.org, number)

    def attack(write: str) -> None:
        with approving.bound(scene.org, token=approving.token(MIA), draft=number):
            xact = approving.ask("select pg_current_xact_id()::text")
            with root.transaction():
                root.execute("set local session_replication_role = replica")
                root.execute("update crm.drafts set executed_xact = %s::xid8 where id = %s", (xact, number))
            approving.ask(write, scene.org, scene.customer)

    with refused(DENIED, "draft is not pending"):
        attack(ORDER)
    with weakened(functions=UNCHECKED):
        attack(ORDER)


def test_a_pending_drafts_other_fields_open_nothing(approving: Login, scene: Scene, draft):
    number = draft()
    with refused(DENIED, "unapproved"), approving.bound(scene.org, token=approving.token(MIA), draft=number):
        approving.ask(
            "update crm.drafts set approver = %s, result = '{}', decided_call = 1 where org_id = %s and id = %s",
            scene.users["ada"],
            scene.org,
            number,
        )
        add_order(approving, scene)
