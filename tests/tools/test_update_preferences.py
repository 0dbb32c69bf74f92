"""Each setting does something, is its person's alone, runs at once and is undone."""

import json

import pytest
from lab import LEA, LOU, LUX, NIA

from browser import ORIGIN, Browser
from crm_mcp.approvals.links import make_login_link
from crm_mcp.approvals.web import build_page
from crm_mcp.principal import Agent

WHY = {"reason": "they said so"}
SETTINGS = ("mail", "desktop", "decided", "timezone", "locale", "page_size")


async def put(lab, email=LOU, served=None, **more):
    return await lab.ask("update_preferences", {**WHY, **more}, email, toolsets=None, **(served or {}))


@pytest.fixture(autouse=True)
async def _as_usual(lab):
    for email in (LEA, LOU, LUX):
        await put(lab, email, reset=SETTINGS)


async def an_order(lab):
    customer, product = await lab.customer("Setting Ltd"), await lab.product("10", stock=5)
    return {"customer": customer, "lines": [{"product": product, "quantity": 1}], **WHY}


async def test_with_no_setting_it_tells_how_it_is_and_changes_nothing(lab):
    told = await put(lab)
    assert told["settings"] == {"mail": True, "desktop": True, "timezone": "Pacific/Kiritimati", "own": []}
    assert "change" not in told["_meta"]


async def test_it_runs_at_once_and_says_what_is_set(lab):
    told = await put(lab, mail=False, page_size=30, timezone="europe/vienna")
    assert told["type"] == "result"
    assert told["summary"] == "Done: set for Lou Lind: mail off, timezone Europe/Vienna, page_size 30."
    assert told["settings"]["own"] == ["mail", "timezone", "page_size"]
    again = await put(lab, reset=["mail", "page_size"])
    assert again["settings"]["own"] == ["timezone"] and again["settings"]["mail"] is True


async def test_it_is_undone_by_its_person_and_by_nobody_else(lab):
    first = await put(lab, locale="de-at")
    second = await put(lab, locale="fr", page_size=7)
    undo = {"change": second["_meta"]["change"], **WHY}
    assert (await lab.ask("undo_change", undo, LEA))["error"] == "CHANGE_NOT_FOUND"
    assert (await lab.ask("undo_change", undo, LOU))["type"] == "result"
    assert (await put(lab))["settings"]["locale"] == "de-AT"
    assert "pageSize" not in (await put(lab))["settings"]
    assert first["settings"]["locale"] == "de-AT"


async def test_the_first_of_all_is_undone_too_and_set_again_after_it(lab):
    told = await put(lab, NIA, timezone="Asia/Tokyo")
    assert (await lab.ask("undo_change", {"change": told["_meta"]["change"], **WHY}, NIA))["type"] == "result"
    assert (await put(lab, NIA))["settings"]["own"] == []
    assert (await put(lab, NIA, timezone="Asia/Tokyo"))["settings"]["own"] == ["timezone"]
    await put(lab, NIA, reset=["timezone"])


async def test_another_persons_are_theirs(lab):
    await put(lab, timezone="Asia/Tokyo", locale="ja", page_size=1)
    assert (await put(lab, LEA))["settings"]["own"] == []
    seen = await lab.ask("execute_crm_query", {"query": "select * from personal_settings", "reasoning": "look"}, LEA)
    assert "Asia/Tokyo" not in json.dumps(seen)
    own = await lab.ask(
        "execute_crm_query", {"query": "select count(*) as n from personal_settings", "reasoning": "l"}, LEA
    )
    assert own["result"]["rows"] in ([[0]], [[1]])


async def test_the_settings_agent_has_it_and_no_other_agent(lab):
    told = await put(lab, served={"agent": Agent.SETTINGS}, locale="de")
    assert told["settings"]["locale"] == "de"
    async with lab.connect(LOU, agent=Agent.SETTINGS) as client:
        assert "update_preferences" in {one.name for one in (await client.list_tools()).tools}
    for agent in (Agent.CUSTOMER, Agent.ORDER, Agent.TRIAGE):
        async with lab.connect(LOU, agent=agent) as client:
            assert "update_preferences" not in {one.name for one in (await client.list_tools()).tools}


async def test_zone_and_language_are_told_to_models_at_the_start(lab):
    await put(lab, timezone="Vienna", locale="DE-at")
    me = (await lab.ask("whoami", {}, LOU))["me"]
    assert (me["timezone"], me["locale"], me["org"]["timezone"]) == ("Europe/Vienna", "de-AT", "Pacific/Kiritimati")
    async with lab.connect(LOU) as client:
        context = json.loads((await client.read_resource("crm://context/me")).contents[0].text)
        steps = (await client.get_prompt("start_work", {})).messages[0].content.text
    assert (context["context"]["user"]["timezone"], context["context"]["user"]["locale"]) == (
        "Europe/Vienna",
        "de-AT",
    )
    assert "Write to them times in Europe/Vienna and words, dates and numbers as in de-AT." in steps


async def test_the_approvals_page_shows_times_in_the_persons_own_zone(lab, approver):
    held = await lab.ask("create_order_draft", await an_order(lab), LOU)

    async def shown():
        browser = Browser(build_page(approver, origin=ORIGIN))
        await browser.use(await make_login_link(approver, LEA, "lab", ORIGIN))
        text = (await browser.get(f"/drafts/{held['draft']['id']}")).text
        await browser.client.aclose()
        return text

    assert "JST" not in await shown()
    await put(lab, LEA, timezone="Asia/Tokyo")
    assert "JST" in await shown()


async def test_the_page_size_stands_in_for_a_limit_that_nobody_gave(lab):
    for n in range(4):
        await lab.ask("create_task", {"title": f"page {n}", **WHY}, LUX)
    await put(lab, LUX, page_size=2)
    told = await lab.ask("get_tasks", {}, LUX)
    assert len(told["tasks"]) == 2 and told["_meta"]["applied"] == ["limit is 2, as update_preferences set it."]
    given = await lab.ask("get_tasks", {"limit": 3}, LUX)
    assert len(given["tasks"]) == 3 and "applied" not in given["_meta"]


async def test_a_wish_for_one_list_goes_before_the_page_size(lab):
    for n in range(4):
        await lab.ask("create_task", {"title": f"wish {n}", **WHY}, LUX)
    await put(lab, LUX, page_size=2)
    wish = await lab.ask("save_preference", {"text": "Three tasks.", "apply": "get_tasks.limit = 3", **WHY}, LUX)
    assert len((await lab.ask("get_tasks", {}, LUX))["tasks"]) == 3
    await lab.ask("delete_preference", {"preference": wish["preference"]["id"], **WHY}, LUX)
    assert len((await lab.ask("get_tasks", {}, LUX))["tasks"]) == 2


@pytest.mark.parametrize(
    ("asked", "argument"),
    [
        ({"timezone": "Viena"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"locale": "German, please"}, "locale"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": 51}, "page_size"),
        ({"mail": True, "reset": ["mail"]}, "mail"),
        ({"colour": "blue"}, "colour"),
    ],
)
async def test_what_is_no_setting_is_refused_by_name(lab, asked, argument):
    told = await put(lab, **asked)
    assert told["error"] == "INVALID_ARGUMENT" and told["context"]["argument"] == argument
    if asked == {"timezone": "Viena"}:
        assert "Europe/Vienna" in told["context"]["suggestions"]
