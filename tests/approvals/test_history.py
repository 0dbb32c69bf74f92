"""The history: narrowed and paged, each draft with its course, undo that names what moved since."""

import re
from datetime import UTC, datetime

import psycopg
import pytest

from browser import text
from crm_mcp.approvals import past
from crm_mcp.approvals.asking import Asked

OURS = "org_id = current_setting('crm.org_id')::bigint"


def listed(html):
    return re.findall(r'<a href="/drafts/(draft_\d+)" aria-labelledby', html)


@pytest.fixture
async def decided(signed_in, drafted):
    """One rejected and one approved draft of Sam's, decided by Mia; the rejected one first."""
    mia, no, yes = await signed_in(), await drafted(), await drafted(quantity=2)
    await mia.press(no, "reject", reason="far too green")
    await mia.press(yes)
    return mia, no, yes


async def test_each_filter_leaves_what_it_says(decided, drafted, signed_in):
    mia, no, yes = decided
    waiting = await drafted()
    assert listed((await mia.get("/history")).text)[:2] == [yes, no]
    assert waiting not in (await mia.get("/history")).text

    async def left(query):
        return listed((await mia.get(f"/history?{query}")).text)

    assert yes in await left("state=approved") and no not in await left("state=approved")
    assert (await left("q=GREEN+far"))[0] == no and yes not in await left("q=green+far")
    assert (await left("kind=create_order_draft"))[:2] == [yes, no]
    assert await left("kind=no_such_tool") == []
    assert (await left("agent=none"))[:2] == [yes, no]
    assert await left("agent=order") == [] or yes not in await left("agent=order")
    names = dict(re.findall(r'<option value="(\d+)">([^<]+)</option>', (await mia.get("/history")).text))
    of = {name.strip(): number for number, name in names.items()}
    assert (await left(f"person={of['Mia Moreau']}"))[:2] == [yes, no]
    assert yes not in await left(f"person={of['Olga Orlova']}" if "Olga Orlova" in of else "person=999999")
    today = datetime.now(UTC).date().isoformat()
    assert await left("until=2001-01-01") == []
    assert yes in await left("since=2001-01-01")
    assert "Give a day such as" in text((await mia.get("/history?since=yesterday")).text)
    assert (await mia.get(f"/history?since={today}&until=9999-12-31&after=1!2")).status_code in (200, 422)
    assert "Nothing matches" in text((await mia.get("/history?q=nothing-like-it")).text)


async def test_others_see_what_they_asked_for_alone(decided, signed_in):
    _, no, _ = decided
    assert no in listed((await (await signed_in("sam@demo.example")).get("/history")).text)
    for other in ("olga@demo.example", "otto@other.example"):
        assert no not in (await (await signed_in(other)).get("/history?q=green")).text


async def test_pages_of_the_history_follow_one_another(approver, person, decided, signed_in, drafted, monkeypatch):
    monkeypatch.setattr(past, "PAGE", 2)
    monkeypatch.setattr(past, "_PAST", past._PAST.replace("limit 51", "limit 3"))
    mia, seen, after = await person("mia@demo.example"), [], ""
    for _ in range(500):
        found = await past.past(approver, mia, Asked({"state": "rejected"}, past.FIELDS), after, datetime.now(UTC))
        seen += [item.id for item in found.items]
        if found.after is None:
            break
        after = found.after
    whole = await past.past(approver, mia, Asked({"state": "rejected"}, past.FIELDS), "", datetime.now(UTC))
    assert len(seen) == len(set(seen)) and seen[:2] == [item.id for item in whole.items]
    assert decided[1] in seen


async def test_a_draft_shows_its_course(signed_in, drafted, executor, person, state):
    mia, draft = await signed_in(), await drafted()
    await executor.edit(await person("ada@demo.example"), int(draft[6:]), 1, {"comment": "second"}, "it was wrong")
    await mia.press(draft)
    shown = text((await mia.get(f"/drafts/{draft}")).text)
    course = shown[shown.index("Course") :]
    for earlier, later in (("Drafted Sam Sato", "Edited Ada"), ("Edited Ada", "Approved and carried out Mia Moreau")):
        assert course.index(earlier) < course.index(later)
    assert "Edited by Ada" in shown and "it was wrong" in shown


async def test_a_reminder_is_a_step_of_the_course(signed_in, drafted, home):
    mia, draft = await signed_in(), await drafted()
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        conn.execute(
            """insert into crm.notices(org_id, message, draft_id, draft_version, person, channel, occasion, state, sent_at)
             select d.org_id, 1, d.id, 1, u.id, 'email', 'reminder', 'sent', clock_timestamp() from crm.drafts d, crm.users u
             where d.id = %s and u.email = 'mia@demo.example'""",
            (int(draft[6:]),),
        )
    shown = text((await mia.get(f"/drafts/{draft}")).text)
    assert "Reminded Mia Moreau" in shown[shown.index("Course") :]


@pytest.fixture
async def shipped(connect, decided, owner_asks):
    """An order of Sam's that Mia approved as shipped; return Mia's browser, the order and the draft."""
    mia, _, made = decided
    order = owner_asks("select result::jsonb -> 'record' ->> 'id' from crm.drafts where id = %s", int(made[6:]))
    async with connect("sam@demo.example") as client:
        asked = {"order": order, "status": "shipped", "reason": "it left"}
        held = (await client.call_tool("update_order", asked)).structured_content["draft"]["id"]
    await mia.press(held)
    return mia, order, held


async def test_an_undo_and_what_it_undid_lead_to_each_other(shipped, state):
    mia, _, held = shipped
    undo = (await mia.press(held, "undo", reason="a mistake")).headers["location"].rsplit("/", 1)[1]
    assert f'It takes back <a href="/drafts/{held}"' in (await mia.get(f"/drafts/{undo}")).text
    waiting = (await mia.get(f"/drafts/{held}")).text
    assert f'href="/drafts/{undo}"' in waiting and "An undo was drafted (waiting)" in text(waiting)
    await mia.press(undo)
    done = (await mia.get(f"/drafts/{held}")).text
    assert re.search(rf'href="/drafts/{undo}">[^/]*Undone', done)
    assert f"/drafts/{held}/undo" not in done


async def test_an_undo_that_comes_too_late_names_what_moved(shipped, change, owner_asks):
    mia, order, held = shipped
    change(f"update crm.orders set status = 'completed' where id = %s and {OURS}", int(order[4:]))
    answer = await mia.press(held, "undo", reason="a mistake")
    assert answer.status_code == 409
    said = text(answer.text)
    assert "Changed again since" in said
    assert "Value then Value now Status shipped completed" in said
    assert order in said
