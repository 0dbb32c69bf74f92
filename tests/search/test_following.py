"""The worker looks at every org; one org's trouble is not another's."""

import pytest

from crm_mcp.crm.models import Customer
from crm_mcp.importing.batch import batch
from crm_mcp.importing.rows import add
from crm_mcp.search import following
from crm_mcp.search.following import look
from orgs import sit_down


@pytest.fixture
async def desks(home, approver, tmp_path, request):
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:40]
    made = []
    for at in range(2):
        desk = await sit_down(home, approver, tmp_path, f"{name}{at}")
        async with batch(desk.db, desk.who, "test", {}, "Set a test up.") as session:
            await add(session, Customer, desk.who.org, [{"name": f"Followed {at}"}])
        made.append(desk)
    return made


async def test_every_org_is_brought_up_to_date_and_then_there_is_nothing_to_do(worker, desks, rows):
    while await look(worker):
        pass
    assert [[row[4] for row in rows(desk.who.org)] for desk in desks] == [["Followed 0"], ["Followed 1"]]
    assert await look(worker) == 0


async def test_an_org_that_fails_holds_up_no_other(worker, desks, rows, monkeypatch):
    usual, bad = following.catch_up, desks[0].who.org

    async def failing(db, org, most):
        if org == bad:
            raise RuntimeError("a text that cannot be read")
        return await usual(db, org, most)

    monkeypatch.setattr(following, "catch_up", failing)
    while await look(worker):
        pass
    assert [row[4] for row in rows(desks[1].who.org)] == ["Followed 1"]
    assert rows(bad) == []
