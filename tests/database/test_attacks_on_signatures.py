"""Whoever has the approver's password, and no passkey, approves nothing that the policy wants signed."""

import hashlib
import json
import os
from collections.abc import Callable, Generator
from typing import Any

import psycopg
import pytest
from database_logins import APPROVE, APPROVE_AMOUNT, DENIED, Login, Scene, Weaken, refused

from stated_policy import state_policy

MIA, ADA, SAM = (f"{name}@demo.example" for name in ("mia", "ada", "sam"))
UNSIGNED, CLONED = "CRM08", "CRM09"
ORDER = """insert into crm.orders(org_id, customer_id, currency, net_total, tax_total, gross_total, base_total, placed_at)
 values (%s, %s, 'EUR', %s, 0, %s, %s, now()) returning id"""
SESSION = """insert into crm.web_sessions(digest, org_id, user_id, expires_at)
 values (%s, %s, %s, clock_timestamp() + interval '1 hour')"""
PASSKEY = """insert into crm.passkeys(org_id, user_id, credential, public_key, sign_count, handle, name)
 values (%s, %s, %s, 'key', 5, '0123456789abcdef', 'Key') returning id"""
TAKE = "select nonce from crm.take_challenge(%s, 'decide', %s)"
SIGN = "select crm.sign_decision(%s, %s, %s, %s, %s, 'http://localhost', %s, %s, 'data', 'client', 'signed')"


class Signer:
    """A person with a session and a passkey, and the approver's login in their name."""

    def __init__(self, who: Login, root: psycopg.Connection, scene: Scene, name: str) -> None:
        self.who, self.scene, self.org = who, scene, scene.org
        self.session, self.credential = os.urandom(32), os.urandom(16)
        self.count = 5
        self.user = scene.users[name]
        root.execute(SESSION, (self.session, self.org, self.user))
        row = root.execute(PASSKEY, (self.org, self.user, self.credential)).fetchone()
        self.passkey = row[0] if row else 0
        self.token = who.token(f"{name}@demo.example")

    def ask(self, draft: int, seen: str = "h", decision: str = "approved") -> bytes:
        nonce = os.urandom(32)
        said = hashlib.sha256(nonce).digest()
        asked = ("decide", self.session, nonce, said, draft, seen, decision, None)
        assert self.who.ask("select crm.ask_passkey(%s, %s, %s, %s, %s, %s, %s, %s)", *asked)
        return said

    def sign(
        self,
        said: bytes,
        draft: int,
        *,
        seen: str = "h",
        decision: str = "approved",
        count: int | None = None,
        **more: Any,
    ) -> Any:
        self.count += 1
        version, credential = more.get("version", 1), more.get("credential", self.credential)
        return self.who.ask(
            SIGN, said, draft, version, seen, decision, credential, self.count if count is None else count
        )

    def add_order(self, worth: object = 10, base: object = 10) -> None:
        self.who.ask(ORDER, self.org, self.scene.customer, worth, worth, base)

    def approve(self, draft: int, amount: object = None, subject: object = None) -> None:
        self.who.ask(APPROVE_AMOUNT, amount, subject, self.org, draft)


@pytest.fixture
def rule(root: psycopg.Connection, scene: Scene) -> Generator[Callable[..., None]]:
    """Change what the policy document says, for the length of a test."""

    def change(**said: object) -> None:
        state_policy(root, scene.org, said)

    yield change
    state_policy(root, scene.org, None)
    root.execute("update crm.passkeys set revoked_at = now() where revoked_at is null")


@pytest.fixture
def mia(approving: Login, root: psycopg.Connection, scene: Scene) -> Signer:
    return Signer(approving, root, scene, "mia")


@pytest.fixture
def draft(agent: Login, scene: Scene) -> Callable[..., int]:
    return lambda email=SAM, **held: agent.hold(scene.org, agent.token(email), **held)


def test_a_signed_approval_commits(mia: Signer, scene: Scene, draft, rule):
    rule(passkeys="always")
    number = draft()
    said = mia.ask(number)
    with mia.who.bound(scene.org, token=mia.token, draft=number):
        assert mia.who.ask(TAKE, said, mia.session) is not None
        mia.add_order()
        assert mia.sign(said, number)
        mia.who.ask(APPROVE, scene.org, number)


def test_the_approvers_login_approves_nothing_unsigned_where_all_is_signed(
    mia: Signer, scene: Scene, draft, rule, weakened: Weaken
):
    rule(passkeys="always")
    number = draft()
    with refused(UNSIGNED, "unsigned"), mia.who.bound(scene.org, token=mia.token, draft=number):
        mia.who.ask(APPROVE, scene.org, number)
    with (
        weakened(
            "alter table crm.drafts disable trigger signed", restore=("alter table crm.drafts enable trigger signed",)
        ),
        mia.who.bound(scene.org, token=mia.token, draft=number),
    ):
        mia.who.ask(APPROVE, scene.org, number)


@pytest.mark.parametrize(
    ("worth", "base", "stated", "signed"),
    [
        (5000, 5000, 5000, False),
        (5000, 5000, None, False),
        ("5000.01", "5000.01", "5000.01", True),
        ("5000.01", "5000.01", None, True),
        ("5000.01", "5000.01", 1, True),
        (10, None, None, True),
        (10, 10, "5000.01", True),
    ],
)
def test_over_the_limit_what_was_recorded_counts_whatever_is_stated(
    mia: Signer, scene: Scene, draft, rule, worth, base, stated, signed
):
    rule(passkeys="over_limit")
    number = draft()

    def approve() -> None:
        with mia.who.bound(scene.org, token=mia.token, draft=number):
            mia.add_order(worth, base)
            mia.approve(number, stated)

    if signed:
        with refused(UNSIGNED):
            approve()
    else:
        approve()


def test_the_standard_limit_is_said_by_the_policy_or_5000(mia: Signer, scene: Scene, draft, rule):
    number = draft()

    def needed(worth: object, unknown: bool = False) -> Any:
        with mia.who.bound(scene.org, token=mia.token):
            return mia.who.ask("select crm.needs_passkey(%s, %s, null, %s)", number, worth, unknown)

    assert needed(1_000_000, True) is None  # never is the default
    rule(passkeys="over_limit")
    assert (needed("5000"), needed("5000.01") is None, needed(None), needed(None, True) is None) == (
        None,
        False,
        None,
        False,
    )
    rule(approval_limit="100")
    assert (needed("100"), needed("100.01") is None) == (None, False)
    rule(passkeys="always")
    assert needed(None) is not None
    rule(passkeys="nonsense")
    assert needed(None) is not None


def test_a_signature_of_an_earlier_transaction_approves_nothing(mia: Signer, scene: Scene, draft, rule):
    rule(passkeys="always")
    number = draft()
    said = mia.ask(number)
    with mia.who.bound(scene.org, token=mia.token):
        mia.who.ask(TAKE, said, mia.session)
        assert mia.sign(said, number)
    with refused(UNSIGNED), mia.who.bound(scene.org, token=mia.token):
        mia.who.ask(APPROVE, scene.org, number)


@pytest.mark.parametrize("wrong", ["draft", "decision", "version"])
def test_a_signature_for_something_else_approves_nothing(mia: Signer, scene: Scene, draft, rule, wrong):
    rule(passkeys="always")
    number, other = draft(), draft()
    signed = other if wrong == "draft" else number
    decision = "rejected" if wrong == "decision" else "approved"
    said = mia.ask(signed, decision=decision)
    with refused(UNSIGNED), mia.who.bound(scene.org, token=mia.token):
        mia.who.ask(TAKE, said, mia.session)
        assert mia.sign(said, signed, decision=decision, version=2 if wrong == "version" else 1)
        mia.who.ask(APPROVE, scene.org, number)


def test_a_signature_of_another_approver_approves_nothing(
    mia: Signer, approving: Login, root: psycopg.Connection, scene: Scene, draft, rule
):
    rule(passkeys="always")
    ada, number = Signer(approving, root, scene, "ada"), draft()
    said = ada.ask(number)
    with refused(UNSIGNED), approving.bound(scene.org, token=ada.token):
        approving.ask(TAKE, said, ada.session)
        assert ada.sign(said, number)
        approving.set("crm.token", mia.token)
        approving.ask(APPROVE, scene.org, number)


def test_a_signature_wants_a_challenge_that_was_taken_for_just_this_now(mia: Signer, scene: Scene, draft):
    number, other = draft(), draft()
    said = mia.ask(number)
    with mia.who.bound(scene.org, token=mia.token):
        assert not mia.sign(said, number)  # not taken
        assert mia.who.ask(TAKE, said, mia.session) is not None
        assert not mia.sign(said, other)
        assert not mia.sign(said, number, seen="another")
        assert not mia.sign(said, number, decision="rejected")
        assert not mia.sign(os.urandom(32), number)
        assert mia.sign(said, number)
    with mia.who.bound(scene.org, token=mia.token):
        assert mia.who.ask(TAKE, said, mia.session) is None
        assert not mia.sign(said, number)


def test_a_challenge_is_taken_in_its_session_in_time_and_by_its_person(
    mia: Signer, approving: Login, root: psycopg.Connection, scene: Scene, draft
):
    ada, number = Signer(approving, root, scene, "ada"), draft()
    said = mia.ask(number)
    for token, session in ((mia.token, ada.session), (ada.token, mia.session), (mia.token, os.urandom(32))):
        with approving.bound(scene.org, token=token):
            assert approving.ask(TAKE, said, session) is None
    root.execute("update crm.passkey_challenges set expires_at = clock_timestamp() where challenge = %s", (said,))
    with approving.bound(scene.org, token=mia.token):
        assert approving.ask(TAKE, said, mia.session) is None


def test_a_passkey_of_another_or_revoked_or_copied_signs_nothing(
    mia: Signer, approving: Login, root: psycopg.Connection, scene: Scene, draft
):
    ada, number = Signer(approving, root, scene, "ada"), draft()
    said = mia.ask(number)
    with approving.bound(scene.org, token=mia.token):
        approving.ask(TAKE, said, mia.session)
        assert not mia.sign(said, number, credential=ada.credential)
    for count in (5, 4, 0):
        said = mia.ask(number)
        with refused(CLONED), approving.bound(scene.org, token=mia.token):
            approving.ask(TAKE, said, mia.session)
            mia.sign(said, number, count=count)
    root.execute("update crm.passkeys set revoked_at = now() where id = %s", (mia.passkey,))
    with approving.bound(scene.org, token=mia.token):
        approving.ask(TAKE, said, mia.session)
        assert not mia.sign(said, number)


ASK_ALL = "select crm.ask_passkey_for_all(%s, %s, %s)"
TAKE_ITEM = "select crm.take_item(%s, %s, %s)"
SIGN_ITEM = SIGN.replace("sign_decision", "sign_item")


def test_each_of_a_list_is_signed_for_itself_once_by_the_one_answer_that_was_counted(
    mia: Signer, approving: Login, root: psycopg.Connection, scene: Scene, draft
):
    ada, first, second, strange = Signer(approving, root, scene, "ada"), draft(), draft(), draft()
    said = os.urandom(32)
    items = [
        {"draft": d, "hash": "h", "nonce": os.urandom(32).hex(), "decision": "approved"} for d in (first, second)
    ]
    assert approving.ask(ASK_ALL, mia.session, said, json.dumps(items))
    for wrong in ("[]", json.dumps(items * 11)):
        assert not approving.ask(ASK_ALL, mia.session, os.urandom(32), wrong)
    assert not approving.ask(ASK_ALL, os.urandom(32), os.urandom(32), json.dumps(items))

    def signs(
        number: int, *, count: int, seen: str = "h", decision: str = "approved", credential: bytes = b""
    ) -> Any:
        return approving.ask(SIGN_ITEM, said, number, 1, seen, decision, credential or mia.credential, count)

    for token, session in ((mia.token, ada.session), (ada.token, mia.session), (mia.token, os.urandom(32))):
        with approving.bound(scene.org, token=token):
            assert approving.ask(TAKE_ITEM, said, first, session) is None
    with approving.bound(scene.org, token=mia.token):
        assert not signs(first, count=6)  # not taken
        assert approving.ask(TAKE_ITEM, said, strange, mia.session) is None
        assert len(approving.ask(TAKE_ITEM, said, first, mia.session)) == 2
        assert not signs(second, count=6)
        assert not signs(first, count=6, seen="another")
        assert not signs(first, count=6, decision="rejected")
        assert not signs(first, count=6, credential=ada.credential)
        assert signs(first, count=6)
    with approving.bound(scene.org, token=mia.token):
        assert approving.ask(TAKE_ITEM, said, first, mia.session) is None
        assert not signs(first, count=6)
        assert approving.ask(TAKE_ITEM, said, second, mia.session) is not None
        assert not signs(second, count=7)  # another answer
        assert signs(second, count=6)  # the same, counted once
    with refused(CLONED), approving.bound(scene.org, token=mia.token):
        again = os.urandom(32)
        items[0]["nonce"] = os.urandom(32).hex()
        assert approving.ask(ASK_ALL, mia.session, again, json.dumps(items[:1]))
        approving.ask(TAKE_ITEM, again, first, mia.session)
        approving.ask(SIGN_ITEM, again, first, 1, "h", "approved", mia.credential, 6)


@pytest.mark.parametrize("table", ["passkeys", "passkey_challenges", "passkey_challenge_items", "signatures"])
@pytest.mark.parametrize("role", ["crm_agent", "crm_worker", "crm_approver", "crm_query"])
def test_no_login_reads_or_writes_the_tables(login: Callable[[str], Login], scene: Scene, role, table):
    who = login(role)
    for statement in (
        "select * from crm.{}",
        "delete from crm.{}",
        "update crm.{} set nonce = null" if "challenge" in table else "update crm.{} set org_id = 0",
    ):
        with refused(DENIED, "permission denied"), who.bound(scene.org):
            who.ask(statement.format(table))


@pytest.mark.parametrize(
    "call",
    [
        "select crm.list_passkeys()",
        "select crm.ask_passkey('sign-in', null, 'a', 'b', null, null, null, null)",
        "select crm.passkey_key('a')",
        "select crm.enter_by_passkey('a', 'b', 1, 'c')",
        "select crm.take_challenge('a', 'decide', 'b')",
        "select crm.needs_passkey(1, 1, null, false)",
        "select crm.ask_passkey_for_all('a', 'b', '[]')",
        "select crm.take_item('a', 1, 'b')",
        "select crm.sign_item('a', 1, 1, 'h', 'approved', 'o', 'k', 1, 'd', 'c', 's')",
        "select crm.show_signatures(0)",
        "select crm.revoke_passkey(1)",
    ],
)
@pytest.mark.parametrize("role", ["crm_agent", "crm_worker", "crm_query"])
def test_what_serves_agents_and_works_sees_nothing_of_it(login: Callable[[str], Login], scene: Scene, role, call):
    who = login(role)
    with refused(DENIED, "permission denied"), who.bound(scene.org):
        who.ask(call)


def test_evidence_is_only_ever_added(root: psycopg.Connection):
    found = root.execute(
        "select grantee, privilege_type from information_schema.role_table_grants where table_schema = 'crm' and table_name = 'signatures'"
        " and grantee <> 'crm_owner'"
    ).fetchall()
    assert sorted(found) == [("crm_definer", "INSERT"), ("crm_definer", "SELECT")]


def test_challenges_go_a_day_after_their_end(login: Callable[[str], Login], root: psycopg.Connection, scene: Scene):
    root.execute("delete from crm.passkey_challenges")
    made = """insert into crm.passkey_challenges(challenge, nonce, purpose, org_id, user_id, session, handle, expires_at)
     values (sha256(%s::text::bytea), sha256(%s::text::bytea || 'n'), %s, %s, %s, %s, %s, clock_timestamp() - %s::interval)"""
    ada = scene.users["ada"]
    for name, purpose, org, age in (
        ("old", "enrol", scene.org, "25 hours"),
        ("young", "enrol", scene.org, "23 hours"),
        ("strange", "enrol", scene.other, "9 days"),
        ("anybody's", "sign-in", None, "25 hours"),
    ):
        mine = (ada, b"s", b"0123456789abcdef") if org else (None, None, None)
        root.execute(made, (name, name, purpose, org, *mine, age))
    worker = login("crm_worker")
    assert worker.ask("select crm.forget_challenges()") == 0
    with worker.bound(scene.org):
        assert worker.ask("select crm.forget_challenges()") == 2
    left = {bytes(row[0]) for row in root.execute("select challenge from crm.passkey_challenges").fetchall()}
    assert left == {hashlib.sha256(name.encode()).digest() for name in ("young", "strange")}


class Attempt:
    """What each attack needs: two signers, a draft to approve and another one."""

    def __init__(self, mia: Signer, ada: Signer, root: psycopg.Connection, number: int, other: int) -> None:
        self.mia, self.ada, self.root, self.number, self.other = mia, ada, root, number, other

    def takes(self, said: bytes, session: bytes) -> bool:
        with self.mia.who.bound(self.mia.org, token=self.mia.token):
            return self.mia.who.ask(TAKE, said, session) is not None

    def signs(self, *, signer: Signer | None = None, asked: dict[str, Any] | None = None, **said: Any) -> bool:
        """Sign within a transaction that is rolled back."""
        signer = signer or self.mia
        challenge = signer.ask(self.number, **(asked or {}))
        with signer.who.bound(signer.org, token=signer.token):
            if not said.pop("untaken", False):
                signer.who.ask(TAKE, challenge, signer.session)
            try:
                return bool(signer.sign(challenge, said.pop("draft", self.number), **said))
            except psycopg.Error as problem:
                if problem.sqlstate != CLONED:
                    raise
                raise psycopg.Rollback from None
        return False

    def approves(self, draft: int, *, by: Signer | None = None, decision: str = "approved", **said: Any) -> bool:
        """Sign something, and approve the draft in the same transaction."""
        signer = by or self.mia
        challenge = signer.ask(draft, decision=decision)
        try:
            with signer.who.bound(signer.org, token=signer.token):
                signer.who.ask(TAKE, challenge, signer.session)
                assert signer.sign(challenge, draft, decision=decision, **said)
                signer.who.set("crm.token", self.mia.token)
                signer.who.ask(APPROVE, signer.org, self.number)
        except psycopg.Error as problem:
            if problem.sqlstate != UNSIGNED:
                raise
            return False
        return True

    def replay(self) -> bool:
        said = self.mia.ask(self.number)
        return self.takes(said, self.mia.session) and self.takes(said, self.mia.session)

    def late(self) -> bool:
        said = self.mia.ask(self.number)
        self.root.execute(
            "update crm.passkey_challenges set expires_at = clock_timestamp() where challenge = %s", (said,)
        )
        return self.takes(said, self.mia.session)

    def revoked(self) -> bool:
        self.root.execute("update crm.passkeys set revoked_at = now() where id = %s", (self.mia.passkey,))
        return self.signs()

    def earlier(self) -> bool:
        said = self.mia.ask(self.number)
        with self.mia.who.bound(self.mia.org, token=self.mia.token):
            self.mia.who.ask(TAKE, said, self.mia.session)
            self.mia.sign(said, self.number)
        try:
            with self.mia.who.bound(self.mia.org, token=self.mia.token):
                self.mia.who.ask(APPROVE, self.mia.org, self.number)
        except psycopg.Error:
            return False
        return True


TAKEN, SIGNED, COUNTED, REQUIRED = (
    "crm.take_challenge(bytea, text, bytea)",
    "crm.sign_decision(bytea, bigint, int, text, text, text, bytea, bigint, bytea, bytea, bytea)",
    "crm.count_passkey(bigint, bigint)",
    "crm.require_signature()",
)


@pytest.mark.parametrize(
    ("function", "check", "attack"),
    [
        (TAKEN, "c.used_at is null", lambda a: a.replay()),
        (TAKEN, "c.expires_at > clock_timestamp()", lambda a: a.late()),
        (TAKEN, "c.session = asking", lambda a: a.takes(a.mia.ask(a.number), a.ada.session)),
        (TAKEN, "c.user_id = b.user_id", lambda a: a.takes(a.ada.ask(a.number), a.ada.session)),
        (SIGNED, "x.used_xact = pg_current_xact_id()", lambda a: a.signs(untaken=True)),
        (SIGNED, "x.draft_id = of_draft", lambda a: a.signs(draft=a.other)),
        (SIGNED, "x.hash = shown", lambda a: a.signs(seen="another")),
        (SIGNED, "x.decision = deciding", lambda a: a.signs(decision="rejected")),
        (SIGNED, "p.user_id = b.user_id", lambda a: a.signs(credential=a.ada.credential)),
        (SIGNED, "p.revoked_at is null", lambda a: a.revoked()),
        (COUNTED, "(was > 0 or says > 0)", lambda a: a.signs(count=5)),
        (REQUIRED, "s.draft_id = new.id", lambda a: a.approves(a.other)),
        (REQUIRED, "s.decision = 'approved'", lambda a: a.approves(a.number, decision="rejected")),
        (REQUIRED, "s.version = new.version", lambda a: a.approves(a.number, version=2)),
        (REQUIRED, "s.approver = new.approver", lambda a: a.approves(a.number, by=a.ada)),
        (REQUIRED, "s.xact = pg_current_xact_id() and s.signed_at >= now()", lambda a: a.earlier()),
    ],
)
def test_each_check_is_what_holds(
    mia: Signer,
    approving: Login,
    root: psycopg.Connection,
    scene: Scene,
    draft,
    rule,
    weakened: Weaken,
    function: str,
    check: str,
    attack: Callable[[Attempt], bool],
):
    rule(passkeys="always")
    ada = Signer(approving, root, scene, "ada")
    tried = Attempt(mia, ada, root, draft(), draft())
    assert not attack(tried)
    root.execute("update crm.passkeys set revoked_at = null where id = %s", (mia.passkey,))
    instead = "false" if function == COUNTED else "true"
    with weakened(functions={function: (check, instead)}):
        tried.number, tried.other = draft(), draft()
        assert attack(tried)
