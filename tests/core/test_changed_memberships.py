"""A call that meets a changed membership starts over with the rights of now, as one call: begun once, ended once."""

import uuid

import psycopg
import pytest

CUSTOMER = (
    "select 'cust_' || min(c.id) from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'"
    " where c.archived_at is null"
)
ASKED = [("add_note", "about", {"body": "They called.", "reason": "they did"}), ("get_customer", "customer", {})]


@pytest.fixture
def owner(home):
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        yield conn


@pytest.fixture
def member(owner):
    """A person of both demo orgs, a seller in each; their address."""
    email = f"{uuid.uuid4().hex}@demo.example"
    owner.execute("insert into crm.users(email, name) values (%s, 'Wan Dering')", (email,))
    owner.execute(
        "insert into crm.memberships(org_id, user_id, role) select o.id, u.id, 'sales' from crm.orgs o, crm.users u"
        " where o.slug in ('demo', 'other') and u.email = %s",
        (email,),
    )
    return email


def rows(owner, email):
    """Return (call, phase, tool) of every call of a person, in order."""
    return owner.execute(
        "select call_id, phase, tool from crm.audit_log where user_id = (select id from crm.users where email = %s)"
        " order by id",
        (email,),
    ).fetchall()


def changed(owner, email, what, org="demo"):
    owner.execute(
        f"update crm.memberships set {what} where user_id = (select id from crm.users where email = %s)"
        " and org_id = (select id from crm.orgs where slug = %s)",
        (email, org),
    )


@pytest.mark.parametrize(("tool", "argument", "more"), ASKED)
async def test_a_call_that_starts_over_has_begun_once_and_ended_once(
    connect, owner, owner_asks, member, tool, argument, more
):
    async with connect(member) as client:
        assert not (await client.call_tool("whoami", {})).is_error
        changed(owner, member, "role = 'admin'")
        told = await client.call_tool(tool, {argument: owner_asks(CUSTOMER), **more})
        assert not told.is_error, told
    last = rows(owner, member)[2:]
    assert [(phase, name) for _, phase, name in last] == [("begun", tool), ("ended", tool)]
    assert len({call for call, *_ in last}) == 1


@pytest.mark.parametrize(("tool", "argument", "more"), ASKED)
async def test_a_person_whose_membership_ended_is_not_moved_to_another_org(
    connect, owner, owner_asks, member, tool, argument, more
):
    served, other = (owner_asks("select id from crm.orgs where slug = %s", slug) for slug in ("demo", "other"))
    async with connect(member) as client:
        me = (await client.call_tool("whoami", {})).structured_content["me"]
        first = me["org"]["slug"]
        changed(owner, member, "active = false", first)
        told = await client.call_tool(tool, {argument: owner_asks(CUSTOMER), **more})
        assert told.structured_content["error"] == "SIGN_IN_FAILED"
        assert (await client.call_tool("whoami", {})).structured_content["error"] == "SIGN_IN_FAILED"
        changed(owner, member, "active = true", first)
        assert (await client.call_tool("whoami", {})).structured_content["me"]["org"]["slug"] == first
    # a write is refused before it begins, a read when its answer is thrown away
    ended = [phase for _, phase, name in rows(owner, member)[2:] if name == tool]
    assert ended == (["refused"] if tool == "add_note" else ["begun", "refused"])
    orgs = owner_asks(
        "select jsonb_agg(distinct org_id) from crm.audit_log where user_id = (select id from crm.users where email = %s)",
        member,
    )
    assert orgs == [served if first == "demo" else other]
