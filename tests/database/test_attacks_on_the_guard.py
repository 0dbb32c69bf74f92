"""What nobody approved does not commit, whatever SQL the agent's or the worker's login sends."""

from collections.abc import Callable

import psycopg
import pytest
from database_logins import APPROVE, DENIED, NOTE, ORDER, Login, Scene, Weaken, refused

GUARDED = ("crm_agent", "crm_worker")
NO_GUARD = "alter table crm.changes disable trigger guard"
GUARD = "alter table crm.changes enable trigger guard"


@pytest.fixture(params=GUARDED)
def attacker(request: pytest.FixtureRequest, login: Callable[[str], Login]) -> Login:
    return login(request.param)


def order(who: Login, scene: Scene, **settings: object) -> int:
    with who.bound(scene.org, **settings):
        return int(who.ask(ORDER, scene.org, scene.customer))


def orders(root: psycopg.Connection, scene: Scene) -> int:
    return int((root.execute("select count(*) from crm.orders where org_id = %s", (scene.org,)).fetchone() or [0])[0])


WRITES = {
    "insert": ORDER.replace("%s", "{}").format("{org}", "{customer}"),
    "update": "update crm.customers set name = name || '!' where org_id = {org} and id = {customer}",
    "delete": "delete from crm.external_refs where org_id = {org} and id = (select min(id) from crm.external_refs)",
    "upsert": "insert into crm.customers(org_id, id, name) values ({org}, {customer}, 'x') on conflict (org_id, id) do update set name = 'Taken over'",
    "merge": "merge into crm.customers c using (values (1)) v(n) on c.org_id = {org} and c.id = {customer} when matched then update set name = 'Merged'",
    "writable CTE": "with w as (update crm.products set unit_price = 0 where org_id = {org} returning 1) select count(*) from w",
    "set-based": "insert into crm.contacts(org_id, customer_id, name) select org_id, id, 'x' from crm.customers where org_id = {org} limit 20",
    "do block": "do $$ begin update crm.customers set credit_limit = 1e9 where org_id = {org}; end $$",
    "archiving": "update crm.customers set archived_at = now() where org_id = {org} and id = {customer}",
    "custom fields": "update crm.issues set custom_fields = '{{\"a\": 1}}' where org_id = {org}",
    "a note moved": "update crm.notes set body = 'x', customer_id = {second} where org_id = {org}",
    "a note deleted": "delete from crm.notes where org_id = {org}",
    "an activity moved": "update crm.activities set happened_at = 'epoch' where org_id = {org}",
    "a rate": "insert into crm.exchange_rates(org_id, currency, valid_from, rate) values ({org}, 'JPY', '2020-01-01', 0.0000001)",
}


@pytest.fixture
def something_of_each(root: psycopg.Connection, scene: Scene) -> None:
    """Rows for the writes above to hit."""
    with root.transaction():
        root.execute("set local session_replication_role = replica")
        root.execute(
            "insert into crm.notes(org_id, customer_id, subject_type, subject_id, body) values (%s, %s, 'customers', %s, 'a note')",
            (scene.org, scene.customer, scene.customer),
        )
        root.execute(
            "insert into crm.activities(org_id, customer_id, subject_type, subject_id, kind, subject, happened_at) values (%s, %s, 'customers', %s, 'call', 'a call', now())",
            (scene.org, scene.customer, scene.customer),
        )
        root.execute(
            "insert into crm.external_refs(org_id, source, entity, external_id, record_id) values (%s, gen_random_uuid()::text, 'x', '1', 1)",
            (scene.org,),
        )


@pytest.mark.usefixtures("something_of_each")
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_no_way_of_writing_commits_without_a_person(
    agent: Login, scene: Scene, weakened: Weaken, root: psycopg.Connection, write: str
):
    statement = write.format(**scene._asdict())

    def attack() -> None:
        with agent.bound(scene.org):
            agent.conn.execute(statement)

    before = orders(root, scene)
    with refused(DENIED, "unapproved [IUD] on "):
        attack()
    assert orders(root, scene) == before
    with weakened(NO_GUARD, restore=(GUARD,)), agent.conn.transaction(force_rollback=True), agent.bound(scene.org):
        agent.conn.execute(statement)
        agent.conn.execute("set constraints all immediate")


def test_an_order_without_a_draft_does_not_commit(
    attacker: Login, scene: Scene, weakened: Weaken, root: psycopg.Connection
):
    before = orders(root, scene)
    with refused(DENIED, "unapproved I on orders"):
        order(attacker, scene)
    assert orders(root, scene) == before
    with weakened(NO_GUARD, restore=(GUARD,)):
        order(attacker, scene)
    assert orders(root, scene) == before + 1


def test_a_pending_draft_opens_nothing(attacker: Login, scene: Scene, weakened: Weaken):
    draft = attacker.hold(scene.org, attacker.token("sam@demo.example"))
    with refused(DENIED, "unapproved I on orders"):
        order(attacker, scene, draft=draft)
    anybody = ("session_user = 'crm_approver' and", "")
    undecided = ("d.state = 'approved' and d.executed_xact = new.xact and d.approver is not null", "true")
    for half in (anybody, undecided):
        with refused(DENIED), weakened(functions={"crm.guard()": half}):
            order(attacker, scene, draft=draft)
    with weakened(functions={"crm.guard()": anybody + undecided}):
        order(attacker, scene, draft=draft)


def test_somebody_elses_approved_draft_is_spent(
    attacker: Login, approving: Login, scene: Scene, weakened: Weaken, root: psycopg.Connection
):
    draft = attacker.hold(scene.org, attacker.token("sam@demo.example"))
    with approving.bound(scene.org, token=approving.token("mia@demo.example"), draft=draft):
        approving.ask(ORDER, scene.org, scene.customer)
        approving.ask(APPROVE, scene.org, draft)
    with refused(DENIED, "draft is not pending"):
        order(attacker, scene, draft=draft)
    forgetful = {"crm.record()": ("if draft is not null", "if false")}
    with refused(DENIED, "unapproved I on orders"), weakened(functions=forgetful):
        order(attacker, scene, draft=draft)
    gullible = {"crm.guard()": ("session_user = 'crm_approver' and new.xact = pg_current_xact_id() and", "")}
    with refused(DENIED, "unapproved I on orders"), weakened(functions=forgetful | gullible):
        order(attacker, scene, draft=draft)
    before = orders(root, scene)
    timeless = {"crm.guard()": ("session_user = 'crm_approver' and", "", "d.executed_xact = new.xact", "true")}
    with weakened(functions=forgetful | timeless):
        order(attacker, scene, draft=draft)
    assert orders(root, scene) == before + 1


def test_deferring_or_hurrying_the_guard_changes_nothing(attacker: Login, scene: Scene):
    for trick in ("set constraints all deferred", "set constraints crm.guard deferred"):
        with refused(DENIED, "unapproved"), attacker.bound(scene.org):
            attacker.ask(ORDER, scene.org, scene.customer)
            attacker.ask(trick)
    with refused(DENIED, "unapproved"), attacker.bound(scene.org):
        attacker.ask("set constraints all immediate")
        attacker.ask(ORDER, scene.org, scene.customer)


def test_swallowing_the_guards_error_swallows_the_write(agent: Login, scene: Scene, root: psycopg.Connection):
    before = orders(root, scene)
    with agent.bound(scene.org):
        agent.ask(
            f"do $$ begin set constraints all immediate; insert into crm.orders(org_id, customer_id, currency, net_total, tax_total, gross_total, placed_at)"
            f" values ({scene.org}, {scene.customer}, 'EUR', 1, 0, 1, now()); exception when others then null; end $$"
        )
    assert orders(root, scene) == before


def test_checking_early_in_a_savepoint_that_is_undone_does_not_use_the_guard_up(agent: Login, scene: Scene):
    with refused(DENIED, "unapproved I on orders"), agent.bound(scene.org):
        agent.ask(ORDER, scene.org, scene.customer)
        for _ in range(2):
            with pytest.raises(psycopg.Error, match="unapproved"), agent.conn.transaction():
                agent.ask("set constraints all immediate")


def test_released_savepoints_keep_their_effects_under_the_guard(agent: Login, scene: Scene):
    with refused(DENIED, "unapproved I on orders"), agent.bound(scene.org):
        with agent.conn.transaction(), agent.conn.transaction():
            agent.ask(ORDER, scene.org, scene.customer)
        with agent.conn.transaction(force_rollback=True):
            agent.ask(ORDER, scene.org, scene.customer)
        agent.ask(NOTE, scene.org, scene.customer)


def test_two_phase_commit_is_no_way_round(agent: Login, scene: Scene):
    agent.ask("begin")
    agent.set("crm.org_id", scene.org)
    agent.set("crm.call_id", 1)
    agent.ask(ORDER, scene.org, scene.customer)
    with pytest.raises(psycopg.Error) as caught:
        agent.ask("prepare transaction 'x'")
    assert caught.value.sqlstate in ("55000", DENIED)
    agent.ask("rollback")


def test_copy_is_refused_on_tables_of_orgs(agent: Login, scene: Scene):
    with (
        refused("0A000", "row-level security"),
        agent.bound(scene.org),
        agent.conn.cursor().copy("copy crm.notes(org_id, customer_id, body) from stdin") as copy,
    ):
        copy.write_row((scene.org, scene.customer, "x"))


@pytest.mark.parametrize("setting", ["crm.org_id", "crm.draft_id"])
def test_switching_between_the_write_and_the_commit_finds_no_draft(agent: Login, scene: Scene, setting: str):
    draft = agent.hold(scene.org, agent.token("sam@demo.example"))
    with refused(DENIED, "unapproved I on orders"), agent.bound(scene.org):
        agent.ask(ORDER, scene.org, scene.customer)
        agent.set(setting, scene.other if setting == "crm.org_id" else draft)


@pytest.mark.parametrize(
    ("call", "state"), [("", DENIED), ("abc", "22P02"), ("9" * 30, "22003"), ("1; drop", "22P02"), ("1e3", "22P02")]
)
def test_nothing_is_written_outside_a_call(agent: Login, scene: Scene, call: str, state: str):
    with refused(state), agent.bound(scene.org, call=call):
        agent.ask(NOTE, scene.org, scene.customer)


def test_a_write_before_the_call_is_named_is_refused(
    agent: Login, scene: Scene, weakened: Weaken, root: psycopg.Connection
):
    def attack() -> int:
        with agent.bound(scene.org, call=None):
            return int(agent.ask(NOTE, scene.org, scene.customer))

    with refused(DENIED, "write outside a call"):
        attack()
    with weakened(
        "alter table crm.notes disable trigger record", restore=("alter table crm.notes enable trigger record",)
    ):
        note = attack()
    recorded = root.execute(
        "select count(*) from crm.changes where tbl = 'notes' and (key ->> 'id')::bigint = %s", (note,)
    )
    assert recorded.fetchone() == (0,)


def test_a_new_table_is_guarded_before_anybody_says_so(root: psycopg.Connection, agent: Login, scene: Scene):
    from crm_mcp.tablekit import Column, table

    made = table("gadgets", Column("name", "text", "Name."), prefix="gad", description="Gadgets.", roles=("admin",))
    try:
        for statement in made:
            root.execute(statement)
        with refused(DENIED, "unapproved I on gadgets"), agent.bound(scene.org):
            agent.ask("insert into crm.gadgets(org_id, name) values (%s, 'x')", scene.org)
    finally:
        root.execute("drop table crm.gadgets; delete from crm.reasoning where table_name = 'gadgets'")


def test_a_free_note_commits_with_its_record_and_stamps_nobody_chose(
    agent: Login, scene: Scene, root: psycopg.Connection
):
    with agent.bound(scene.org, call=4711, user=scene.users["sam"]):
        note = agent.ask(NOTE, scene.org, scene.customer)
    with agent.bound(scene.org, call=4712, user=scene.users["sue"]):
        agent.ask(
            "update crm.notes set body = 'edited', version = 99, created_by = %s, updated_at = 'epoch' where id = %s",
            scene.users["ada"],
            note,
        )
    with agent.bound(scene.org, call=4713, user=scene.users["sue"]):
        agent.ask(
            "update crm.notes set version = 99, created_by = %s, via_agent = 'x', created_at = 'epoch' where id = %s",
            scene.users["ada"],
            note,
        )
    row = root.execute(
        "select version, created_by, updated_by, via_agent, updated_at > now() - interval '1 minute' from crm.notes where id = %s",
        (note,),
    ).fetchone()
    assert row == (2, scene.users["sam"], scene.users["sue"], None, True)
    recorded = root.execute(
        "select call_id, op::text, before, after - 'updated_at' - 'updated_by' from crm.changes where tbl = 'notes' and call_id in (4712, 4713)"
    ).fetchall()
    assert [(c, op, after) for c, op, _, after in recorded] == [(4712, "U", {"body": "edited", "version": 2})]


def test_created_by_is_what_the_login_says_and_neither_drafts_nor_approval_ask_it(
    agent: Login, scene: Scene, root: psycopg.Connection
):
    """`crm.user_id` is a courtesy of the login, for display: whoever holds its password may sign a note as
    anybody. Requester and approver come from the signed token, so this buys nothing that needs a person."""
    with agent.bound(scene.org, user=scene.users["ada"]):
        note = agent.ask(NOTE, scene.org, scene.customer)
    assert root.execute("select created_by from crm.notes where id = %s", (note,)).fetchone() == (scene.users["ada"],)
    token = agent.token("sam@demo.example")
    with agent.bound(scene.org, token=token, user=scene.users["ada"], agent="x"):
        held = '{"tool": "t", "tool_version": 1, "args": "{}", "args_key": "by", "effects_key": "e", "call_id": 1, "changes": "[]", "shown": "{}",'
        draft = agent.ask(
            "select draft from crm.hold(%s::jsonb)",
            held + '"summary": "s", "verdict": "v", "policy_version": 1, "clock": "2026-01-01"}',
        )
    assert root.execute("select requester, agent from crm.drafts where id = %s", (draft,)).fetchone() == (
        scene.users["sam"],
        None,
    )


def test_drafts_enter_only_through_hold(attacker: Login, scene: Scene, weakened: Weaken, root: psycopg.Connection):
    insert = """insert into crm.drafts(org_id, tool, tool_version, args, args_key, effects_key, call_id, requester, changes, shown, summary,
     verdict, policy_version, clock, expires_at, state, approver, executed_xact, decided_at)
     values (%s, 't', 1, '{}', gen_random_uuid()::text, 'e', 1, %s, '[]', '{}', 's', 'v', 1, now(), now() + interval '1 day', 'approved', %s,
     pg_current_xact_id(), now())"""
    params = (scene.org, scene.users["sam"], scene.users["mia"])
    with refused(DENIED, "permission denied"), attacker.bound(scene.org):
        attacker.ask(insert, *params)
    role = attacker.conn.info.user
    with (
        weakened(f"grant insert on crm.drafts to {role}", restore=(f"revoke insert on crm.drafts from {role}",)),
        attacker.bound(scene.org),
    ):
        attacker.ask(insert, *params)
    newest = root.execute(
        "select state, approver, executed_xact, decided_at from crm.drafts order by id desc limit 1"
    ).fetchone()
    assert newest == ("pending", None, None, None)


def test_hold_believes_the_token_and_not_what_it_is_told(
    attacker: Login, scene: Scene, root: psycopg.Connection, weakened: Weaken
):
    forged = {"state": "approved", "requester": scene.users["mia"], "user_id": scene.users["mia"], "org_id": scene.other, "agent": None,
              "expires_at": "2099-01-01", "approver": scene.users["ada"], "executed_xact": "1", "version": 9, "failures": -9, "id": 1}  # fmt: skip
    token = attacker.token("sam@demo.example", "order")

    def held() -> tuple[object, ...]:
        draft = attacker.hold(scene.org, token, **forged)
        asked = "select org_id, requester, agent, state, approver, executed_xact, version, failures, expires_at < now() + interval '25 hours'"
        return tuple(root.execute(f"{asked} from crm.drafts where id = %s", (draft,)).fetchone() or ())

    honest = (scene.org, scene.users["sam"], "order", "pending", None, None, 1, 0, True)
    assert held() == honest
    gullible = {
        "crm.hold(jsonb)": (
            "(held ->> 'call_id')::bigint, b.user_id,",
            "(held ->> 'call_id')::bigint, (held ->> 'requester')::bigint,",
        )
    }
    with weakened(functions=gullible):
        assert held()[1] == scene.users["mia"]


def test_no_agent_login_decides_a_draft(attacker: Login, scene: Scene, weakened: Weaken):
    token = attacker.token("mia@demo.example")
    draft = attacker.hold(scene.org, token)

    def attack() -> None:
        with attacker.bound(scene.org, token=token, draft=draft):
            attacker.ask(APPROVE, scene.org, draft)
            assert (
                attacker.ask("select state from crm.drafts where org_id = %s and id = %s", scene.org, draft)
                == "approved"
            )

    role = attacker.conn.info.user
    grant, revoke = (f"grant update on crm.drafts to {role}", f"revoke update on crm.drafts from {role}")
    with refused(DENIED, "permission denied for table drafts"):
        attack()
    with refused(DENIED, "not an approver"), weakened(grant, restore=(revoke,)):
        attack()
    with weakened(grant, restore=(revoke,), functions={"crm.decide()": ("session_user <> 'crm_approver' or", "")}):
        attack()


def test_a_draft_is_withdrawn_only_by_its_requester(attacker: Login, scene: Scene):
    draft = attacker.hold(scene.org, attacker.token("sam@demo.example"))
    for email in ("mia@demo.example", "ada@demo.example"):
        with attacker.bound(scene.org, token=attacker.token(email)):
            assert attacker.ask("select crm.discard(%s)", draft) is False
    with attacker.bound(scene.org, token=attacker.token("sam@demo.example")):
        assert attacker.ask("select crm.discard(%s)", draft) is True
        assert attacker.ask("select crm.discard(%s)", draft) is False


def test_document_numbers_are_out_of_reach(agent: Login, approving: Login, scene: Scene):
    for who in (agent, approving):
        for statement in ("select * from crm.number_series", "update crm.number_series set next = 1", "select nextval('crm.orders_id_seq')",
                          "select setval('crm.orders_id_seq', 1)", "select crm.draw_number()"):  # fmt: skip
            with refused(DENIED, "permission denied"), who.bound(scene.org):
                who.ask(statement)
    with refused(DENIED, "unapproved"), agent.bound(scene.org):
        order_id = agent.ask(ORDER, scene.org, scene.customer)
        assert agent.ask("select number from crm.orders where org_id = %s and id = %s", scene.org, order_id) is None
