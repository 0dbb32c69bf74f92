"""The audit is only ever added to, and whoever changes it is found, by the chain or by the head kept outside."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from database_logins import DENIED, Login, refused

CALLS = 6


class Audited:
    """One org with a sealed chain of its own, seen by the worker who seals it and by the owner who may edit it."""

    def __init__(self, org: int, worker: Login, root: psycopg.Connection) -> None:
        self.org, self.worker, self.root = org, worker, root

    def add(self, n: int, who: Login | None = None) -> None:
        one = who or self.worker
        with one.bound(self.org):
            for i in range(n):
                one.ask(
                    "insert into crm.audit_log(org_id, call_id, phase, user_id, tool, ms, payload) values (%s, %s, 'ended', 1, 'get_customer', %s, %s)",
                    self.org, i, i / 7, f'{{"customer": "cust_{i}"}}',
                )  # fmt: skip

    def seal(self, who: Login | None = None, most: int = 10_000) -> tuple[int, bytes]:
        one = who or self.worker
        with one.bound(self.org):
            row = one.conn.execute("select * from crm.seal_audit(%s)", (most,)).fetchone()
        assert row is not None
        return int(row[0]), bytes(row[1])

    def head(self) -> tuple[int, bytes]:
        (seq, head) = self.root.execute(
            "select seq, hash from crm.audit_log where org_id = %s and seq is not null order by seq desc limit 1",
            (self.org,),
        ).fetchone() or (0, b"")
        return seq, head

    def verify(self, known: tuple[int | None, bytes | None] = (None, None)) -> list[tuple[str, int]]:
        with self.worker.bound(self.org):
            return [
                (problem, seq)
                for problem, seq, _ in self.worker.conn.execute("select * from crm.verify_audit(%s, %s)", known)
            ]

    def tamper(self, statement: str) -> None:
        """Edit as the owner, who may; nothing is disabled."""
        self.root.execute("set role crm_owner")
        assert (
            self.root.execute(statement.replace("{here}", "org_id = {org}").replace("{org}", str(self.org))).rowcount
            > 0
        ), "the edit hit nothing"
        self.root.execute("reset role")


@pytest.fixture
def audited(root: psycopg.Connection, login: Callable[[str], Login]) -> Audited:
    (org,) = root.execute(
        "insert into crm.orgs(slug, name) values ('a-' || left(gen_random_uuid()::text, 8), 'Audited') returning id"
    ).fetchone() or (0,)
    made = Audited(org, login("crm_worker"), root)
    made.add(CALLS)
    assert made.seal()[0] == CALLS
    return made


EDITED, MOVED = "the payload was edited", "the row was edited or moved"
GAP, SHORT, DIFFERS = "rows are missing before this one", "the chain ends before the head that was kept outside", "the chain differs from the head that was kept outside"  # fmt: skip


FIELDS = ("user_id = 2", "tool = 'x'", "at = at + interval '1 microsecond'", "verdict = 'run'", "outcome = 'ok'", "ms = ms + 1", "draft_id = 1",
          "call_id = 99", "parent_call = 1", "agent = 'x'", "client = 'x'", "phase = 'refused'")  # fmt: skip


def test_an_untouched_chain_verifies_whole(audited: Audited):
    assert audited.verify() == []
    assert audited.verify(audited.head()) == []


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        ("update crm.audit_log set payload = '{}' where {here} and seq = 3", [(EDITED, 3)]),
        (
            "update crm.audit_log set payload = '{}', digest = sha256(salt || convert_to('{}', 'UTF8')) where {here} and seq = 3",
            [(MOVED, 3)],
        ),
        ("update crm.audit_log set salt = '\\x00' where {here} and seq = 3", [(EDITED, 3)]),
        *[(f"update crm.audit_log set {field} where {{here}} and seq = 3", [(MOVED, 3)]) for field in FIELDS],
        ("update crm.audit_log set hash = sha256('x') where {here} and seq = 3", [(MOVED, 3), (MOVED, 4)]),
        ("delete from crm.audit_log where {here} and seq = 3", [(GAP, 4), (MOVED, 4)]),
        ("delete from crm.audit_log where {here} and seq = 1", [(GAP, 2), (MOVED, 2)]),
        ("update crm.audit_log set seq = null where {here} and seq = 3", [(GAP, 4), (MOVED, 4)]),
    ],
)
def test_an_edit_is_found_where_it_was_made(audited: Audited, edit: str, found: list[tuple[str, int]]):
    audited.tamper(edit)
    assert audited.verify() == found


SALTS = """update crm.audit_log a set salt = b.salt from crm.audit_log b where a.org_id = {org} and b.org_id = {org} and (a.seq, b.seq) in ((3, 4), (4, 3))"""
WITH_DIGESTS = SALTS.replace("set salt = b.salt", "set salt = b.salt, digest = b.digest, payload = b.payload")


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (SALTS, [(EDITED, 3), (EDITED, 4)]),
        (WITH_DIGESTS, [(MOVED, 3), (MOVED, 4)]),
        ("update crm.audit_log set salt = salt || '\\x00' where {here} and seq = 3", [(EDITED, 3)]),
        ("update crm.audit_log set digest = sha256('x') where {here} and seq = 3", [(EDITED, 3), (MOVED, 3)]),
        ("update crm.audit_log set payload = null, digest = sha256(salt) where {here} and seq = 3", [(MOVED, 3)]),
        ("update crm.audit_log set org_id = -org_id where {here} and seq = 3", [(GAP, 4), (MOVED, 4)]),
        ("update crm.audit_log set org_id = -org_id where {here} and seq = 1", [(GAP, 2), (MOVED, 2)]),
        ("update crm.audit_log set hash = null where {here} and seq = 3", [(MOVED, 3), (MOVED, 4)]),
        ("update crm.audit_log set hash = null where {here} and seq >= 3", [(MOVED, 3)]),
    ],
    ids=["salts swapped", "payloads swapped with salts and digests", "a salt edited", "a digest edited",
         "a digest made for a blanked payload", "a row moved out", "the first row moved out", "a hash blanked", "every hash blanked from there on"],
)  # fmt: skip
def test_what_is_made_to_fit_elsewhere_is_found_too(audited: Audited, edit: str, found: list[tuple[str, int]]):
    audited.tamper(edit)
    assert audited.verify() == found


def test_a_row_of_another_org_does_not_fit_in(
    audited: Audited, root: psycopg.Connection, login: Callable[[str], Login]
):
    (org,) = root.execute(
        "insert into crm.orgs(slug, name) values ('c-' || left(gen_random_uuid()::text, 8), 'C') returning id"
    ).fetchone() or (0,)
    other = Audited(org, login("crm_worker"), root)
    other.add(CALLS)
    other.seal()
    audited.tamper("delete from crm.audit_log where {here} and seq = 3")
    other.tamper(f"update crm.audit_log set org_id = {audited.org} where {{here}} and seq = 3")
    assert audited.verify() == [(MOVED, 3), (MOVED, 4)]
    assert other.verify() == [(GAP, 4), (MOVED, 4)]


def test_the_last_row_moved_to_the_end_of_another_chain_is_found(
    audited: Audited, root: psycopg.Connection, login: Callable[[str], Login]
):
    (org,) = root.execute(
        "insert into crm.orgs(slug, name) values ('d-' || left(gen_random_uuid()::text, 8), 'D') returning id"
    ).fetchone() or (0,)
    other = Audited(org, login("crm_worker"), root)
    other.add(CALLS + 1)
    other.seal()
    kept = other.head()
    other.tamper(f"update crm.audit_log set org_id = {audited.org} where {{here}} and seq = {CALLS + 1}")
    assert audited.verify() == [(MOVED, CALLS + 1)]
    assert other.verify() == []
    assert other.verify(kept) == [(SHORT, CALLS)]


def test_every_column_of_a_row_is_covered_by_an_edit_that_was_found(root: psycopg.Connection):
    """What the chain covers beyond the fields edited above: id by its place in the row, at and seq by both."""
    edited = {field.partition(" ")[0] for field in FIELDS}
    others = {"org_id", "seq", "hash", "salt", "digest", "payload", "id"}
    columns = {
        name
        for (name,) in root.execute(
            "select attname from pg_attribute where attrelid = 'crm.audit_log'::regclass and attnum > 0 and not attisdropped"
        ).fetchall()
    }
    assert columns == edited | others


def test_a_number_of_a_row_is_covered(audited: Audited):
    audited.root.execute("alter table crm.audit_log alter id drop identity")
    try:
        audited.tamper("update crm.audit_log set id = -id where {here} and seq = 3")
        assert audited.verify() == [(MOVED, 3)]
    finally:
        (top,) = audited.root.execute("select max(id) from crm.audit_log").fetchone() or (0,)
        audited.root.execute(f"alter table crm.audit_log alter id add generated always as identity (start {top + 1})")


def test_rows_that_changed_places_are_found(audited: Audited):
    audited.tamper("update crm.audit_log set seq = -seq where {here} and seq in (3, 4)")
    audited.tamper("update crm.audit_log set seq = 7 + seq where {here} and seq < 0")
    assert audited.verify() == [(MOVED, 3), (MOVED, 4), (MOVED, 5)]


def test_a_row_slipped_in_is_found(audited: Audited):
    audited.tamper("update crm.audit_log set seq = -seq where {here} and seq > 3")
    audited.tamper("update crm.audit_log set seq = 1 - seq where {here} and seq < 0")
    audited.add(1)
    audited.tamper("update crm.audit_log set seq = 4, hash = sha256('x') where {here} and seq is null")
    assert (MOVED, 4) in audited.verify()


def test_a_cut_tail_is_found_against_the_kept_head_alone(audited: Audited):
    kept = audited.head()
    audited.tamper("delete from crm.audit_log where {here} and seq > 4")
    assert audited.verify() == []
    assert audited.verify(kept) == [(SHORT, 4)]
    audited.add(3)
    audited.seal()
    assert audited.verify(kept) == [(DIFFERS, 6)]


def test_a_chain_that_is_gone_is_found_against_the_kept_head(audited: Audited):
    kept = audited.head()
    audited.tamper("delete from crm.audit_log where {here}")
    assert audited.verify() == []
    assert audited.verify(kept) == [(SHORT, 0)]


def test_a_chain_made_anew_is_found_against_the_kept_head_alone(audited: Audited):
    kept = audited.head()
    audited.tamper("update crm.audit_log set seq = null, hash = null, user_id = 2 where {here}")
    audited.seal()
    assert audited.verify() == []
    assert audited.verify(kept) == [(DIFFERS, CALLS)]


def test_erasing_a_person_blanks_payloads_and_breaks_nothing(audited: Audited):
    audited.tamper("update crm.audit_log set payload = null where {here} and seq in (2, 5)")
    assert audited.verify(audited.head()) == []


def test_sealing_goes_on_where_it_stopped(audited: Audited):
    first = audited.head()
    assert audited.seal() == (0, first[1])
    audited.add(5)
    assert [audited.seal(most=2)[0] for _ in range(4)] == [2, 2, 1, 0]
    assert audited.head()[0] == CALLS + 5
    assert audited.verify(audited.head()) == []
    assert audited.verify(first) == []


def test_a_row_that_commits_late_is_sealed_next(audited: Audited, login: Callable[[str], Login]):
    late = login("crm_agent")
    with late.bound(audited.org):
        late.ask(
            "insert into crm.audit_log(org_id, call_id, phase, user_id, tool) values (%s, 9, 'begun', 1, 'late')",
            audited.org,
        )
        audited.add(2)
        assert audited.seal()[0] == 2
    assert audited.seal()[0] == 1
    assert audited.verify(audited.head()) == []


def test_two_sealers_at_once_make_one_chain(audited: Audited, login: Callable[[str], Login]):
    audited.add(200)
    sealed: list[int] = []
    sealers = [login("crm_worker"), login("crm_approver"), login("crm_worker")]
    threads = [
        threading.Thread(target=lambda who=who: sealed.extend(audited.seal(who, 30)[0] for _ in range(4)))
        for who in sealers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sum(sealed) == 200
    assert audited.head()[0] == CALLS + 200
    assert audited.verify(audited.head()) == []


def test_a_sealer_waits_for_the_one_before_it(audited: Audited, login: Callable[[str], Login]):
    audited.add(3)
    second, done = login("crm_approver"), []
    with audited.worker.bound(audited.org):
        audited.worker.ask("select * from crm.seal_audit()")
        waiting = threading.Thread(target=lambda: done.append(audited.seal(second)[0]))
        waiting.start()
        waiting.join(0.2)
        assert done == []
    waiting.join(10)
    assert done == [0]


def test_two_orgs_have_chains_of_their_own(audited: Audited, login: Callable[[str], Login], root: psycopg.Connection):
    before = audited.head()
    (org,) = root.execute(
        "insert into crm.orgs(slug, name) values ('b-' || left(gen_random_uuid()::text, 8), 'B') returning id"
    ).fetchone() or (0,)
    other = Audited(org, login("crm_worker"), root)
    other.add(2)
    assert other.seal()[0] == 2
    assert other.head()[1] != before[1]
    assert audited.head() == before
    assert audited.verify(before) == other.verify(other.head()) == []


def test_without_an_org_nothing_is_sealed_or_verified(audited: Audited):
    audited.add(1)
    assert audited.worker.conn.execute("select sealed from crm.seal_audit()").fetchone() == (0,)
    assert audited.worker.conn.execute("select * from crm.verify_audit(null, null)").fetchall() == []


@pytest.mark.parametrize("role", ["crm_agent", "crm_worker", "crm_approver"])
def test_no_login_edits_what_it_added(audited: Audited, login: Callable[[str], Login], role: str):
    who = login(role)
    audited.add(1, who)
    for statement in ("update crm.audit_log set tool = 'x'", "update crm.audit_log set seq = 1", "update crm.audit_log set payload = null",
                      "delete from crm.audit_log", "truncate crm.audit_log"):  # fmt: skip
        with refused(DENIED, "permission denied"), who.bound(audited.org):
            who.ask(statement)


def test_the_agents_login_neither_reads_seals_nor_verifies(audited: Audited, agent: Login):
    for statement in (
        "select * from crm.audit_log",
        "select * from crm.seal_audit()",
        "select * from crm.verify_audit(null, null)",
        "select crm.audit_link(null, null)",
    ):
        with refused(DENIED, "permission denied"), agent.bound(audited.org):
            agent.ask(statement)


def test_a_row_says_when_it_came_and_is_not_born_sealed(audited: Audited, root: psycopg.Connection):
    root.execute(
        "insert into crm.audit_log(org_id, call_id, phase, at, user_id, tool, payload, salt, digest, seq, hash)"
        " values (%s, 77, 'begun', 'epoch', 1, 'forged', 'p', '\\x00', '\\x00', 1, '\\x00')",
        (audited.org,),
    )
    row = root.execute(
        "select at > now() - interval '1 minute', seq, hash, length(salt), digest = sha256(salt || 'p') from crm.audit_log where org_id = %s and tool = 'forged'",
        (audited.org,),
    ).fetchone()
    assert row == (True, None, None, 16, True)


def test_nobody_chooses_the_number_of_an_audit_row(audited: Audited, agent: Login):
    with refused(DENIED), agent.bound(audited.org):
        agent.ask(
            "insert into crm.audit_log(org_id, id, call_id, phase, user_id, tool) overriding system value values (%s, 9000000000000000000, 1, 'begun', 1, 't')",
            audited.org,
        )
