"""No e-mail leaves that nobody approved, whatever SQL the agent's or the worker's login sends."""

from collections.abc import Callable

import psycopg
import pytest
from database_logins import APPROVE, DENIED, UNBOUND, Login, Scene, Weaken, refused

EMAIL = """insert into crm.emails(org_id, from_address, to_recipients, subject, body)
 values (%s, 'a@b.example', '[{"address": "x@y.example"}]', 'Hello', 'hello') returning id"""
OUTBOX = "insert into crm.outbox(org_id, email_id) values (%s, %s)"
NO_GUARD = "alter table crm.changes disable trigger guard"
GUARD = "alter table crm.changes enable trigger guard"
NO_SENDER = "alter table crm.emails disable trigger may_send"
SENDER = "alter table crm.emails enable trigger may_send"
NO_STEP = "alter table crm.outbox disable trigger step"
STEP = "alter table crm.outbox enable trigger step"


@pytest.fixture(params=["crm_agent", "crm_worker"])
def attacker(request: pytest.FixtureRequest, login: Callable[[str], Login]) -> Login:
    return login(request.param)


@pytest.fixture
def worker(login: Callable[[str], Login]) -> Login:
    return login("crm_worker")


def jobs(root: psycopg.Connection) -> int:
    return int((root.execute("select count(*) from jobs.procrastinate_jobs").fetchone() or [0])[0])


def written(who: Login, scene: Scene, **settings: object) -> int:
    with who.bound(scene.org, **settings):
        email = int(who.ask(EMAIL, scene.org))
        who.ask(OUTBOX, scene.org, email)
    return email


def approved(approving: Login, scene: Scene, who: str) -> int:
    """Write an e-mail under a draft that `who` approves, past everything but Postgres."""
    token = approving.token(f"{who}@demo.example")
    draft = approving.hold(scene.org, approving.token("sam@demo.example"), tool="send_email_draft")
    with approving.bound(scene.org, token=token, draft=draft):
        email = int(approving.ask(EMAIL, scene.org))
        approving.ask(OUTBOX, scene.org, email)
        approving.ask(APPROVE, scene.org, draft)
    return email


@pytest.fixture
def sent(root: psycopg.Connection, scene: Scene) -> Callable[[str], int]:
    """Make an e-mail whose delivery is in a state."""

    def make(state: str) -> int:
        with root.transaction():
            root.execute("set local session_replication_role = replica")
            email = int((root.execute(EMAIL, (scene.org,)).fetchone() or [0])[0])
            root.execute(
                "insert into crm.outbox(org_id, email_id, state) values (%s, %s, %s)", (scene.org, email, state)
            )
        return email

    return make


def test_an_email_that_nobody_approved_does_not_commit(
    attacker: Login, scene: Scene, weakened: Weaken, root: psycopg.Connection
):
    before = jobs(root)
    with refused(DENIED):
        written(attacker, scene)
    with refused(DENIED, "may not send e-mail"), weakened(NO_GUARD, restore=(GUARD,)):
        written(attacker, scene)
    with refused(DENIED, "unapproved I on emails"), weakened(NO_SENDER, restore=(SENDER,)):
        written(attacker, scene)
    with weakened(NO_GUARD, NO_SENDER, restore=(GUARD, SENDER)):
        written(attacker, scene)
    assert jobs(root) == before


def test_an_approver_who_may_not_send_email_writes_none(approving: Login, scene: Scene, weakened: Weaken):
    with refused(DENIED, "may not send e-mail"):
        approved(approving, scene, "fin")
    with weakened(functions={"crm.may_send()": ("and m.may_send_email", "")}):
        approved(approving, scene, "fin")
    approved(approving, scene, "mia")


def test_an_approval_that_does_not_commit_leaves_no_job(approving: Login, scene: Scene, root: psycopg.Connection):
    before = jobs(root)
    with refused(DENIED, "may not send e-mail"):
        approved(approving, scene, "fin")
    assert jobs(root) == before
    approved(approving, scene, "mia")
    assert jobs(root) == before + 1


def test_the_agent_puts_no_job_into_the_queue(agent: Login, scene: Scene, weakened: Weaken):
    args = psycopg.types.json.Jsonb({"org": scene.org, "email": 1})
    for statement in (
        "insert into jobs.procrastinate_jobs(queue_name, task_name, args) values ('mail', 'deliver_email', %s)",
        "select crm.enqueue('deliver_email', %s)",
    ):
        with refused(DENIED, "permission denied"), agent.bound(scene.org):
            agent.ask(statement, args)
    grant = "grant execute on function crm.enqueue(text, jsonb) to crm_agent"
    with (
        weakened(grant, restore=(grant.replace("grant", "revoke").replace(" to ", " from "),)),
        agent.bound(scene.org),
    ):
        agent.ask("select crm.enqueue('deliver_email', %s)", args)


@pytest.mark.parametrize("login_name", ["crm_agent", "crm_approver", "crm_query"])
def test_nobody_but_the_worker_sees_the_queue(login: Callable[[str], Login], login_name: str):
    with refused(DENIED, "permission denied for schema jobs"):
        login(login_name).ask("select count(*) from jobs.procrastinate_jobs")


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        ("anything", '{"org": %s, "email": 1}'),
        (None, '{"org": %s, "email": 1}'),
        ("deliver_email", '{"org": 0, "email": 1}'),
        ("deliver_email", '{"org": %s}'),
        ("deliver_email", '{"org": %s, "email": 1, "more": 1}'),
        ("deliver_email", None),
    ],
)
def test_only_known_jobs_of_the_bound_org_are_taken(approving: Login, scene: Scene, kind: str, args: str):
    with refused(DENIED, "no such kind of job|not the arguments"), approving.bound(scene.org):
        approving.ask("select crm.enqueue(%s, %s::jsonb)", kind, args and args.replace("%s", str(scene.org)))


def test_a_delivery_goes_only_the_ways_there_are(
    worker: Login, scene: Scene, sent: Callable[[str], int], weakened: Weaken
):
    step = "update crm.outbox set state = %s where org_id = %s and email_id = %s"
    for old, new in (("sent", "queued"), ("failed", "queued"), ("unsent", "queued"), ("sent", "sending")):
        with refused(DENIED, "not a step of a delivery"), worker.bound(scene.org):
            worker.ask(step, new, scene.org, sent(old))
    with worker.bound(scene.org):
        worker.ask(step, "sending", scene.org, sent("queued"))
    with weakened(NO_STEP, restore=(STEP,)), worker.bound(scene.org):
        worker.ask(step, "queued", scene.org, sent("sent"))


def test_the_agent_moves_no_delivery(agent: Login, scene: Scene, sent: Callable[[str], int], weakened: Weaken):
    email = sent("unsent")
    step = "update crm.outbox set state = 'queued' where org_id = %s and email_id = %s"
    with refused(DENIED, "permission denied"), agent.bound(scene.org):
        agent.ask(step, scene.org, email)
    granted = ("grant update on crm.outbox to crm_agent",)
    back = ("revoke update on crm.outbox from crm_agent",)
    with refused(DENIED, "not a step"), weakened(*granted, restore=back), agent.bound(scene.org):
        agent.ask(step, scene.org, email)
    with weakened(*granted, NO_STEP, restore=(*back, STEP)), agent.bound(scene.org):
        agent.ask(step, scene.org, email)


def test_only_who_might_have_approved_it_sends_what_stayed_unsent(
    approving: Login, scene: Scene, sent: Callable[[str], int], root: psycopg.Connection, weakened: Weaken
):
    step = "update crm.outbox set state = 'queued' where org_id = %s and email_id = %s"
    email, before = sent("unsent"), jobs(root)
    with refused(UNBOUND), approving.bound(scene.org):
        approving.ask(step, scene.org, email)
    for who in ("fin", "sam"):
        with refused(DENIED, "not a step"), approving.bound(scene.org, token=approving.token(f"{who}@demo.example")):
            approving.ask(step, scene.org, email)
    assert jobs(root) == before
    with approving.bound(scene.org, token=approving.token("mia@demo.example")):
        approving.ask(step, scene.org, email)
    assert jobs(root) == before + 1
    other = sent("unsent")
    token = approving.token("fin@demo.example")
    with (
        weakened(functions={"crm.step_outbox()": ("and m.may_approve and m.may_send_email", "")}),
        approving.bound(scene.org, token=token),
    ):
        approving.ask(step, scene.org, other)


@pytest.mark.parametrize("column", ["subject", "body", "to_recipients", "from_address"])
def test_an_approved_email_is_not_reworded(
    worker: Login, scene: Scene, sent: Callable[[str], int], weakened: Weaken, column: str
):
    value = "'[]'" if column == "to_recipients" else "'z@z.example'"
    statement = f"update crm.emails set {column} = {value} where org_id = %s and id = %s"
    email = sent("queued")
    with refused(DENIED), worker.bound(scene.org):
        worker.ask(statement, scene.org, email)
    with weakened(NO_GUARD, NO_SENDER, restore=(GUARD, SENDER)), worker.bound(scene.org):
        worker.ask(statement, scene.org, email)


def test_a_file_cannot_be_exchanged_behind_its_digest(
    worker: Login, scene: Scene, root: psycopg.Connection, weakened: Weaken
):
    with root.transaction():
        root.execute("set local session_replication_role = replica")
        row = root.execute(
            "insert into crm.blobs(org_id, name, media_type, size, sha256, content)"
            " values (%s, 'a', 'text/plain', 1, encode(sha256('a'), 'hex'), 'a') returning id",
            (scene.org,),
        ).fetchone()
    assert row is not None
    exchange = "update crm.blobs set content = 'b' where org_id = %s and id = %s"
    with refused("23514"), worker.bound(scene.org):
        worker.ask(exchange, scene.org, row[0])
    with refused(DENIED, "unapproved U on blobs"), worker.bound(scene.org):
        worker.ask(exchange.replace("'b'", "'b', sha256 = encode(sha256('b'), 'hex')"), scene.org, row[0])
    rule = "add constraint blobs_check1 check (sha256 = encode(sha256(content), 'hex')) not valid"
    name = root.execute(
        "select conname from pg_constraint where conrelid = 'crm.blobs'::regclass and pg_get_constraintdef(oid) like '%sha256(content)%'"
    ).fetchone()
    assert name is not None
    rule = rule.replace("blobs_check1", name[0])
    with (
        weakened(f"alter table crm.blobs drop constraint {name[0]}", restore=(f"alter table crm.blobs {rule}",)),
        worker.bound(scene.org),
    ):
        worker.ask(exchange, scene.org, row[0])


def test_a_message_id_is_drawn_and_not_chosen(approving: Login, scene: Scene, root: psycopg.Connection):
    email = approved(approving, scene, "mia")
    drawn = root.execute("select message_id from crm.emails where id = %s", (email,)).fetchone()
    assert drawn is not None and len(drawn[0]) > 40
    chosen = EMAIL.replace("subject, body", "message_id, subject, body").replace("'Hello'", "'<mine@x>', 'Hello'")
    with approving.conn.transaction(force_rollback=True), approving.bound(scene.org):
        number = approving.ask(chosen, scene.org)
        assert approving.ask("select message_id from crm.emails where id = %s", number) is None
