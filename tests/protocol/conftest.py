"""Orders to draft, and a database to bring back."""

import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import psycopg
import pytest

from crm_mcp import revision
from crm_mcp.embedded import join


@pytest.fixture
def order(owner_asks: Callable[..., Any]) -> dict[str, Any]:
    """Return arguments of an order that is held."""
    demo = "select id from crm.orgs where slug = 'demo'"
    customer = owner_asks(f"select min(id) from crm.customers where org_id = ({demo}) and archived_at is null")
    product = owner_asks(
        f"select min(id) from crm.products where org_id = ({demo}) and not discontinued and currency = 'EUR'"
    )
    return {
        "customer": f"cust_{customer}",
        "lines": [{"product": f"prod_{product}", "quantity": 1}],
        "reason": "they asked",
    }


@pytest.fixture
async def restored(home: Any, let_go: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    """Bring the database back after a test that took it down; the connections that were kept broke with it."""
    yield
    await let_go()
    join(home, revision=revision.CURRENT, oldest=revision.OLDEST_CLIENT, idle=0.2, settings={"fsync": "off"}).close()


class Member:
    """A person of the demo org whose rights the owner changes meanwhile."""

    def __init__(self, conninfo: str, role: str) -> None:
        self._conninfo = conninfo
        self.email = f"{uuid.uuid4().hex}@demo.example"
        self._tell("insert into crm.users(email, name) values (%(email)s, 'Chan Ging')")
        self._tell(
            "insert into crm.memberships(org_id, user_id, role) select o.id, u.id, %(value)s"
            " from crm.orgs o, crm.users u where o.slug = 'demo' and u.email = %(email)s",
            role,
        )

    def _tell(self, sql: str, value: object = None) -> None:
        with psycopg.connect(self._conninfo) as conn:
            conn.execute(sql, {"email": self.email, "value": value})  # type: ignore[arg-type]

    def _set(self, column: str, value: object) -> None:
        whose = "user_id = (select id from crm.users where email = %(email)s)"
        self._tell(f"update crm.memberships set {column} = %(value)s where {whose}", value)

    def becomes(self, role: str) -> None:
        self._set("role", role)

    def leaves(self) -> None:
        self._set("active", False)

    def returns(self) -> None:
        self._set("active", True)


@pytest.fixture
def person_of(home: Any) -> Callable[[str], Member]:
    return lambda role: Member(home.conninfo("crm_owner"), role)
