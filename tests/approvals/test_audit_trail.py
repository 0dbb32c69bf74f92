"""The audit on the page: calls found again, and one followed from its question to its effect, both ways."""

import re

import pytest

from browser import text

HOSTILE = "<script>alert(1)</script> \u202eevil\u202c"


@pytest.fixture
async def story(connect, signed_in, drafted, owner_asks):
    """An order drafted by Sam, approved by Mia, its shipping approved and then undone; the call ids by name."""
    mia, made = await signed_in(), await drafted(comment=HOSTILE)
    await mia.press(made)
    order = owner_asks("select result::jsonb -> 'record' ->> 'id' from crm.drafts where id = %s", int(made[6:]))
    async with connect("sam@demo.example") as client:
        asked = {"order": order, "status": "shipped", "reason": "it left"}
        held = (await client.call_tool("update_order", asked)).structured_content["draft"]["id"]
    await mia.press(held)
    undo = (await mia.press(held, "undo", reason="a mistake")).headers["location"].rsplit("/", 1)[1]
    await mia.press(undo)

    def call(column, draft):
        return str(owner_asks(f"select {column} from crm.drafts where id = %s", int(draft[6:])))

    return {
        "order": order,
        "made": made,
        "held": held,
        "asked": call("call_id", held),
        "approved": call("decided_call", held),
        "undo_asked": call("call_id", undo),
        "undone": call("decided_call", undo),
        "created": call("call_id", made),
    }


def calls(html):
    return re.findall(r'href="/audit/calls/(\d+)" aria-labelledby', html)


async def test_a_record_finds_the_calls_that_changed_it(signed_in, story):
    ada = await signed_in("ada@demo.example")
    found = calls((await ada.get(f"/audit?record={story['order']}")).text)
    assert found[:2] == [story["undone"], story["approved"]] and len(found) == 3
    of_draft = calls((await ada.get(f"/audit?record={story['held']}")).text)
    assert {story["asked"], story["approved"], story["undo_asked"]} & set(of_draft) >= {
        story["asked"],
        story["approved"],
    }
    to_call = await ada.get(f"/audit?record={story['asked']}")
    assert to_call.headers["location"] == f"/audit/calls/{story['asked']}"


async def test_a_draft_finds_what_was_done_to_it_in_the_chat(signed_in, drafted, connect, owner_asks):
    made = await drafted(comment="one")
    revision = {"draft": made, "arguments": {"comment": "two"}, "reason": "they rang"}
    async with connect("sam@demo.example") as client:
        assert not (await client.call_tool("revise_draft", revision)).is_error
        assert not (await client.call_tool("discard_draft", {"draft": made, "reason": "not wanted"})).is_error
    ada = await signed_in("ada@demo.example")
    found = calls((await ada.get(f"/audit?record={made}")).text)
    tools = [owner_asks("select min(tool) from crm.audit_log where call_id = %s", int(call)) for call in found]
    assert tools == ["discard_draft", "revise_draft", "create_order_draft"]


async def test_one_call_is_followed_to_its_effect_and_its_undo_and_back(signed_in, story):
    ada = await signed_in("ada@demo.example")

    async def seen(name):
        answer = await ada.get(f"/audit/calls/{story[name]}")
        assert answer.status_code == 200
        return answer.text, text(answer.text)

    html, said = await seen("asked")
    assert "held as a draft" in said and '"status": "shipped"' in said and "Sam Sato" in said
    assert "on this page" not in said
    assert f'href="/drafts/{story["held"]}"' in html and f'href="/audit/calls/{story["approved"]}"' in html
    assert f'href="/audit/calls/{story["undo_asked"]}"' in html
    html, said = await seen("approved")
    assert "Mia Moreau" in said and "Change to order" in said
    assert re.search(r"Status confirmed shipped", said)
    assert "written by Mia Moreau, on this page" in said and "It answered: Done: mark the order as shipped" in said
    assert f'href="/audit/calls/{story["asked"]}"' in html and f'href="/audit/calls/{story["undo_asked"]}"' in html
    html, said = await seen("undo_asked")
    assert f'href="/audit/calls/{story["approved"]}"' in html and f'href="/audit/calls/{story["undone"]}"' in html
    html, said = await seen("undone")
    assert re.search(r"Status shipped confirmed", said)
    assert f'It takes back <a href="/audit/calls/{story["approved"]}"' in html


async def test_arguments_are_boxed_and_their_hidden_characters_shown(signed_in, story):
    html = (await (await signed_in("ada@demo.example")).get(f"/audit/calls/{story['created']}")).text
    assert "<script>alert" not in html and "&lt;script&gt;" in html
    assert "U+202E" in html and "\u202e" not in html
    assert "Unverified" in html.split("&lt;script&gt;")[0].rsplit("<figure", 1)[1]


async def test_each_filter_leaves_what_it_says(signed_in, story, connect):
    ada = await signed_in("ada@demo.example")
    async with connect("sam@demo.example") as client:
        await client.call_tool("get_order", {"order": "ord_99999999"})
    page = (await ada.get("/audit")).text
    sam = re.search(r'<option value="(\d+)">Sam Sato', page)[1]

    async def left(query):
        answer = await ada.get(f"/audit?{query}")
        assert answer.status_code == 200
        return answer.text

    assert story["asked"] in calls(await left(f"person={sam}"))
    assert story["approved"] not in calls(await left(f"person={sam}"))
    assert story["approved"] in calls(await left("tool=approve"))
    assert story["asked"] in calls(await left("tool=update_order&outcome=hold"))
    assert story["asked"] not in calls(await left("outcome=refused"))
    assert "ORDER_NOT_FOUND" in await left("outcome=refused&tool=get_order")
    assert story["approved"] in calls(await left("outcome=approved"))
    for other in ("run", "unfinished", "crashed", "refused"):
        assert story["approved"] not in calls(await left(f"outcome={other}"))
    assert calls(await left("outcome=run"))
    assert story["asked"] not in calls(await left("agent=triage"))
    assert story["asked"] in calls(await left("agent=none"))
    assert calls(await left("until=2001-01-01")) == []
    assert story["undone"] in calls(await left("since=2001-01-01"))
    wrong = await ada.get("/audit?record=nonsense&since=x")
    assert wrong.status_code == 422
    assert "Give an id such as cust_12" in text(wrong.text) and "Give a day such as" in text(wrong.text)


async def test_the_pages_follow_one_another(signed_in, story):
    ada, seen, path = await signed_in("ada@demo.example"), [], "/audit?tool=approve"
    for _ in range(100):
        html = (await ada.get(path.replace("&amp;", "&"))).text
        seen += calls(html)
        following = re.search(r'href="(/audit\?[^"]*after=[^"]*)" rel="next"', html)
        if not following:
            break
        path = following[1]
    assert len(seen) == len(set(seen)) and seen == sorted(seen, key=int, reverse=True)
    assert story["approved"] in seen


async def test_an_approver_sees_drafts_calls_and_their_own_alone(signed_in, story, connect, owner_asks):
    async with connect("sam@demo.example") as client:
        await client.call_tool("search_customers", {"query": "Smith"})
    read = str(owner_asks("select max(call_id) from crm.audit_log where tool = 'search_customers'"))
    ada, mia = await signed_in("ada@demo.example"), await signed_in()
    assert (await ada.get(f"/audit/calls/{read}")).status_code == 200
    unknown = await mia.get("/audit/calls/123456789")
    hidden = await mia.get(f"/audit/calls/{read}")
    assert (hidden.status_code, hidden.text) == (404, unknown.text)
    assert read not in (await mia.get("/audit?tool=search_customers")).text
    assert (await mia.get(f"/audit/calls/{story['asked']}")).status_code == 200
    assert (await mia.get(f"/audit/calls/{story['approved']}")).status_code == 200


async def test_nobody_else_finds_an_audit_nor_another_org_a_call(signed_in, story):
    sam, otto = await signed_in("sam@demo.example"), await signed_in("otto@other.example")
    assert 'href="/audit"' not in (await sam.get("/")).text
    for path in ("/audit", f"/audit/calls/{story['asked']}"):
        assert (await sam.get(path)).status_code == 404
    for name in ("asked", "approved", "undone"):
        assert (await otto.get(f"/audit/calls/{story[name]}")).status_code == 404
    for query in (story["order"], story["held"]):
        assert story["asked"] not in (await otto.get(f"/audit?record={query}")).text
        assert story["approved"] not in (await otto.get(f"/audit?record={query}")).text


@pytest.mark.parametrize("call", ["0", "x", "1" * 40, "-1", str(2**63), "%00", "1%0a", "١"])
async def test_a_malformed_call_is_not_found(signed_in, call):
    assert (await (await signed_in("ada@demo.example")).get(f"/audit/calls/{call}")).status_code == 404


async def test_a_list_is_answered_from_an_index(home, approver, person, story):
    from crm_mcp.approvals import trail

    ada = await person("ada@demo.example")
    async with approver.begin(ada, 1) as conn:
        await conn.exec_driver_sql("set local enable_seqscan = off")
        given = {**trail._scope(ada), "before": 2**63 - 1, "since": 0, "until": None, "person": ada.user}
        statement = trail._FOUND.format(more=trail._MORE["person"])
        plan = "\n".join((await conn.exec_driver_sql(f"explain {statement}", given)).scalars())
    assert "audit_person" in plan, plan
