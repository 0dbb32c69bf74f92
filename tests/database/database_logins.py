"""What an attacker with a login's password does, and the weaknesses that are planted to prove the attack."""

import json
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest

DENIED = "42501"
UNBOUND = "28000"
ORDER = """insert into crm.orders(org_id, customer_id, currency, net_total, tax_total, gross_total, placed_at)
 values (%s, %s, 'EUR', 1, 0, 1, now()) returning id"""
NOTE = "insert into crm.notes(org_id, customer_id, body) values (%s, %s, 'called') returning id"
APPROVE = "update crm.drafts set state = 'approved' where org_id = %s and id = %s"
APPROVE_AMOUNT = "update crm.drafts set state = 'approved', amount = %s, subject = %s where org_id = %s and id = %s"


class Scene(NamedTuple):
    """Ids of the demo orgs: two customers and the people of one, the customer and the admin of the other."""

    org: int
    other: int
    customer: int
    second: int
    stranger: int
    users: dict[str, int]

    @classmethod
    def of(cls, conn: psycopg.Connection) -> "Scene":
        orgs: dict[str, int] = dict(conn.execute("select slug, id from crm.orgs").fetchall())
        asked = "select id from crm.customers where org_id = %s order by id limit 2"
        first, second = (row[0] for row in conn.execute(asked, (orgs["demo"],)).fetchall())
        stranger = conn.execute(asked, (orgs["other"],)).fetchall()[0][0]
        users = {e.partition("@")[0]: i for e, i in conn.execute("select email, id from crm.users").fetchall()}
        return cls(orgs["demo"], orgs["other"], first, second, stranger, users)


class Login:
    """One connection of a login; every setting that the product makes can be made, or forged."""

    def __init__(self, conninfo: str) -> None:
        self.conn = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)

    def __enter__(self) -> "Login":
        return self

    def __exit__(self, *_: object) -> None:
        self.conn.close()

    def token(self, email: str, agent: str | None = None) -> str:
        return str(self.ask("select token from crm.sign_in(%s, null, %s)", email, agent))

    def ask(self, sql: str, *params: object) -> Any:
        """Return the first value of a statement, None where it has none."""
        cursor = self.conn.execute(sql, params or None)  # without parameters a per cent sign is one
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def forget(self) -> None:
        """Undo what a test set on the connection, so that the next one may have it."""
        self.conn.rollback()
        self.conn.execute("discard all")

    @contextmanager
    def bound(self, org: object, *, call: object = 77, **settings: object) -> Generator["Login"]:
        """One transaction with the settings of a call: org, call, token, draft, user, agent."""
        names = {"draft": "draft_id", "user": "user_id", "org": "org_id", "call": "call_id"}
        with self.conn.transaction():
            for name, value in {"org": org, "call": call, **settings}.items():
                if value is not None:
                    self.set(f"crm.{names.get(name, name)}", value)
            yield self

    def set(self, name: str, value: object) -> None:
        self.ask("select set_config(%s, %s, true)", name, str(value))

    def hold(self, org: int, token: str, **forged: object) -> int:
        """Hold a call as `token` says, with `forged` in its document; return the draft's number."""
        held = {
            "tool": "create_order_draft",
            "tool_version": 1,
            "args": "{}",
            "args_key": uuid.uuid4().hex,
            "effects_key": "e",
            "call_id": 5,
            "changes": "[]",
            "shown": "{}",
            "summary": "An order.",
            "verdict": "held",
            "policy_version": 1,
            "clock": "2026-01-01T00:00:00Z",
        }
        with self.bound(org, token=token):
            return int(self.ask("select draft from crm.hold(%s::jsonb)", json.dumps(held | forged)))


@contextmanager
def refused(state: str = DENIED, saying: str = "") -> Generator[None]:
    """Expect Postgres to refuse with this code and these words."""
    with pytest.raises(psycopg.Error, match=saying or None) as caught:
        yield
    assert caught.value.sqlstate == state, caught.value


Weaken = Callable[..., AbstractContextManager[None]]


def weaken(root: psycopg.Connection) -> Weaken:
    @contextmanager
    def plant(
        *planted: str, restore: tuple[str, ...] = (), functions: Mapping[str, Sequence[str]] | None = None
    ) -> Generator[None]:
        """Run `planted`, afterwards `restore`; in the body of `functions` replace texts meanwhile: old, new, old, new …"""
        before: list[str] = []
        try:
            for statement in planted:
                root.execute(statement)
            for name, texts in (functions or {}).items():
                row = root.execute("select pg_get_functiondef(%s::regprocedure)", (name,)).fetchone()
                assert row is not None
                body = before_it = str(row[0])
                for old, new in zip(texts[::2], texts[1::2], strict=True):
                    assert old in body, f"{name} no longer says {old!r}"
                    body = body.replace(old, new)
                before.append(before_it)
                root.execute(body)
            yield
        finally:
            for statement in (*before, *restore):
                root.execute(statement)

    return plant
