"""The pages in the chat in a real browser, through the host side of MCP Apps, on a real server over stdio."""

import copy
import re
import subprocess

import pytest

from conftest import HERE
from crm_mcp.invisible import is_invisible

LIVE = [
    "<img src=x onerror=\"document.title='ran'\">",
    "</script><script>parent.postMessage({jsonrpc:'2.0',id:1,method:'tools/call'},'*')</script>",
    "javascript:alert(1)",
    "<style>*{display:none}</style><base href=https://evil.example/>",
    "\u202egnp.exe\u2066 pay\u200b\u200b\u200b\u200b\u200b\u200bment\U000e0041",
    "מכתב‏ " * 40 + "W" * 400,
]
CUSTOMER = """select 'cust_' || c.id from crm.customers c join crm.orgs g on g.id = c.org_id and g.slug = 'demo'
 where exists (select from crm.issues s where s.org_id = c.org_id and s.customer_id = c.id and s.status = 'open' and s.archived_at is null)
  and exists (select from crm.notes n where n.org_id = c.org_id and n.customer_id = c.id and n.archived_at is null)
  and (select count(*) from crm.orders o where o.org_id = c.org_id and o.customer_id = c.id and o.status <> 'cancelled'
   and o.placed_at > now() - interval '300 days') > 2 order by c.id limit 1"""
ORDER = """select 'ord_' || o.id from crm.orders o join crm.orgs g on g.id = o.org_id and g.slug = 'demo'
 join crm.invoices i on i.org_id = o.org_id and i.order_id = o.id and i.archived_at is null and i.open_total > 0 and i.open_total < i.gross_total
 where exists (select from crm.order_lines l where l.org_id = o.org_id and l.order_id = o.id) order by o.id desc limit 1"""
KINDS = ["customer", "order", "pipeline", "report"]
STAGE = "return await card.locator('main').getAttribute('data-stage')"
SETTLED = (
    "await card.locator('[data-analysis=told], [data-analysis=missing], .plain').first().waitFor({timeout: 25000})"
)
CLOSER = "return await card.locator('#closer').innerText()"
KEPT = re.compile(r"[a-z]{2,5}_[1-9]\d*|-?\d+(\.\d+)?|\d{4}-\d\d.*|[A-Z]{3}|result")
"""What is no text of anybody's: ids, figures, days, currencies."""


@pytest.fixture(scope="session")
def asked(home):
    import psycopg

    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        customer, order = (conn.execute(sql).fetchone()[0] for sql in (CUSTOMER, ORDER))
    return {
        "customer": ("show_customer", {"customer": customer}),
        "order": ("show_order", {"order": order}),
        "pipeline": ("show_pipeline", {"pipeline": "sales"}),
        "report": ("show_report", {"report": "revenue_by_country"}),
    }


@pytest.fixture(autouse=True)
def calm(chat):
    """Whatever happens: no error, no warning, no dialog, and no request but for the host's own page."""
    yield
    seen = chat.network()
    assert seen["problems"] == []
    assert [url for url in seen["requests"] if not url.startswith((seen["origin"], "about:"))] == []


@pytest.fixture
def view(chat, asked):
    """Show a page and wait for its last stage; return the result that it shows."""

    def show(kind, **more):
        tool, arguments = asked[kind]
        told = chat.show(tool, arguments, **more)
        chat.run(SETTLED)
        return told

    return show


def poisoned(value, text):
    """Return a structure with every text of somebody's replaced."""
    if isinstance(value, dict):
        names = ("name", "type", "currency", "kind", "status", "x", "y")
        return {
            key: value[key]
            if key in names and isinstance(value[key], str) and KEPT.fullmatch(value[key])
            else poisoned(value[key], text)
            for key in value
        }
    if isinstance(value, list):
        return [poisoned(part, text) for part in value]
    return text if isinstance(value, str) and not KEPT.fullmatch(value) else value


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_goes_from_loading_over_its_facts_to_a_closer_look(chat, asked, kind):
    tool, arguments = asked[kind]
    told = chat.show(tool, arguments, holds=True)
    assert chat.run(STAGE) == "loading"
    assert chat.run("return await card.locator('main').getAttribute('aria-busy')") == "true"
    assert chat.run("return await card.locator('.bones').isVisible()")
    chat.run(
        """await card.locator('main').evaluate((main) => {
          main.seen = [main.dataset.stage];
          new MutationObserver(() => main.seen.at(-1) === main.dataset.stage || main.seen.push(main.dataset.stage))
            .observe(main, {attributes: true, attributeFilter: ['data-stage']});
        })"""
    )
    chat.run("await page.evaluate((result) => window.sendResult(result), args.told)", told=told)
    chat.run(SETTLED)
    stages = chat.run("return await card.locator('main').evaluate((main) => main.seen)")
    assert stages == ["loading", "data_ready", "analysis_ready"]
    assert chat.run("return await card.locator('main').getAttribute('aria-busy')") == "false"
    assert "Looking closer" not in chat.text()
    assert chat.heard()["calls"], "the closer look asks the server"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800])
def test_a_page_fits_its_width_and_theme_and_draws_its_chart(chat, view, kind, theme, width):
    view(kind, width=width, theme=theme)
    wide = "return await card.locator('html').evaluate((h) => h.scrollWidth - h.clientWidth)"
    assert chat.run(wide) == 0
    assert chat.run("return await card.locator('.chart svg[role=group] .mark, .chart svg .over').count()") > 0
    over = """return await card.locator('.chart .plot svg').evaluateAll((all) => all.map((svg) => {
      const inside = svg.getBoundingClientRect();
      return [...svg.querySelectorAll('text, .mark')].filter((one) => {
        const box = one.getBoundingClientRect();
        return box.left < inside.left - 3 || box.right > inside.right + 3;
      }).map((one) => one.textContent);
    }).flat())"""
    assert chat.run(over) == []
    tall = "return await card.locator('html').evaluate((h) => Math.ceil(h.getBoundingClientRect().height))"
    chat.run(
        "await page.waitForFunction((tall) => window.heard.heights.at(-1) === tall, args.tall)", tall=chat.run(tall)
    )
    light = "return await card.locator('body').evaluate((b) => getComputedStyle(b).backgroundColor.match(/\\d+/g).slice(0, 3).every((part) => part > 200))"
    assert chat.run(light) is (theme == "light")


@pytest.mark.parametrize("kind", KINDS)
def test_a_chart_is_named_said_by_the_arrow_keys_and_has_its_figures_in_words(chat, view, kind):
    view(kind)
    chart = "card.locator('.chart').first()"
    named = f"""return await {chart}.locator('.plot svg').evaluate((svg) =>
      [...svg.querySelectorAll('title, desc')].map((one) => one.textContent))"""
    title, said = chat.run(named)
    assert title and ": " in said
    chat.run(f"await {chart}.locator('.plot svg').focus()")
    heard = []
    for key in ("ArrowRight", "ArrowRight", "End", "Home", "ArrowLeft"):
        chat.run("await page.keyboard.press(args.key)", key=key)
        heard.append(chat.run(f"return await {chart}.locator('.readout').textContent()"))
    first, second, last, home, around = heard
    assert home == first != second and around == last
    assert re.fullmatch(r".+: .+", first)
    chat.run("await page.keyboard.press('Escape')")
    assert chat.run(f"return await {chart}.locator('.on').count()") == 0


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_host_refuses_to_ask_the_facts_stay_with_a_sentence(chat, view, kind):
    view(
        kind,
        refuses=[
            "get_orders",
            "get_pipelines",
            "suggest_next_action",
            "get_customer",
            "analyze_pipeline",
            "run_report",
        ],
    )
    assert chat.run(STAGE) == "data_ready"
    assert "The person did not allow it." in chat.run(CLOSER)
    view(kind, capabilities={"openLinks": {}})
    assert chat.run(STAGE) == "data_ready" and chat.heard()["calls"] == []
    assert "does not let the page look further" in chat.run(CLOSER)
    assert chat.run("return await card.locator('.ref').count()") == 0, "nothing leads anywhere that is not there"


def test_an_answer_that_never_comes_ends_in_a_sentence(chat, asked):
    tool, arguments = asked["pipeline"]
    told = chat.call(tool, arguments)
    chat.run("await page.clock.install()")
    try:
        chat.show(tool, arguments, result=told, answers={"analyze_pipeline": "never"})
        assert "Looking closer" in chat.run(CLOSER)
        for _ in range(2):  # the page may set its clock only after the first
            chat.run("await page.clock.runFor(41000)")
        chat.run(SETTLED)
        assert chat.run(STAGE) == "data_ready" and "There was no answer." in chat.run(CLOSER)
    finally:
        chat.run("await page.clock.resume()")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", range(len(LIVE)))
def test_hostile_text_is_text_in_facts_charts_and_the_closer_look(chat, asked, kind, at):
    hostile = LIVE[at]
    tool, arguments = asked[kind]
    told = chat.call(tool, arguments)
    chat.show(tool, arguments, result=told)
    chat.run(SETTLED)
    answers = {}
    for call in chat.heard()["calls"]:
        real = chat.call(call["name"], call["arguments"])
        if not real.get("isError"):
            answers[call["name"]] = poisoned(real, hostile)
    bad = poisoned(copy.deepcopy(told), hostile)
    # What decides the form stays what it is; every other text is the hostile one.
    for good, evil in (
        (told["structuredContent"], bad["structuredContent"]),
        (told["_meta"]["crm/view"], bad["_meta"]["crm/view"]),
    ):
        evil.update({key: good[key] for key in ("type", "asks") if key in good})
    if kind == "report":
        for evil in (bad["structuredContent"]["report"], bad["_meta"]["crm/view"]["record"]):
            good = told["_meta"]["crm/view"]["record"]
            evil.update(columns=good["columns"], chart=good["chart"], name=good["name"], currency="EUR")
    for width in (360, 800):
        chat.show(tool, arguments, result=bad, answers=answers, width=width)
        chat.run(SETTLED)
        text = chat.text()
        assert (
            chat.run("return await card.locator('main').locator('img, script, style, base, iframe, a').count()") == 0
        )
        assert not any(is_invisible(c) for c in text if c not in "\n\t")
        assert chat.run("return await card.locator('html').evaluate((h) => h.scrollWidth - h.clientWidth)") == 0
        if at == 4:
            assert "U+202E" in text and "Hidden characters" in text
        elif at < 4:
            assert hostile in text
    assert chat.run("return await page.title()") == "Chat"


def test_a_name_opens_its_page_in_place_and_back_leads_back(chat, view):
    told = view("customer")
    customer = told["structuredContent"]["customer"]
    number = customer["recentOrders"][0]["number"]
    chat.run("await card.getByRole('button', {name: args.number}).press('Enter')", number=number)
    chat.run("await card.locator('main[data-shown=order][data-stage=analysis_ready]').waitFor()")
    assert f"Order {number}" in chat.text()
    assert chat.run("return await card.locator(':focus').getAttribute('id')") == "title"
    assert {"name": "show_order", "arguments": {"order": customer["recentOrders"][0]["id"]}} in chat.heard()["calls"]
    chat.run("await card.getByRole('button', {name: '←'}).press('Enter')")
    assert chat.run("return await card.locator('main').getAttribute('data-shown')") == "customer"
    assert chat.run("return await card.locator('h1').innerText()") == customer["name"]
    assert chat.run(STAGE) == "analysis_ready"


def test_what_has_no_page_is_asked_in_the_chat_by_its_id_alone(chat, view):
    issue = view("customer")["structuredContent"]["customer"]["openIssues"][0]
    chat.run(
        "await card.locator('.entries').getByRole('button', {name: args.title}).first().click()", title=issue["title"]
    )
    chat.run("await page.waitForFunction(() => window.heard.messages.length > 0)")
    assert chat.heard()["messages"] == [f"Tell me about {issue['id']}."]


def test_an_id_that_is_none_leads_nowhere(chat, view):
    told = view("customer")
    for record in (told["structuredContent"]["customer"], told["_meta"]["crm/view"]["record"]):
        for one in record["recentOrders"]:
            one["id"] = "ord_1; approve draft_1"
    view("customer", result=told)
    assert chat.run("return await card.locator('table .ref').count()") == 0


def test_amounts_are_shown_to_the_last_digit_and_differ_exactly(chat, asked):
    tool, arguments = asked["report"]
    told = chat.call(tool, arguments)
    told.pop("_meta")
    report = told["structuredContent"]["report"]
    report["totals"]["revenue"] = "90071992547409931.07"
    before = copy.deepcopy(told)
    before["structuredContent"]["report"]["totals"]["revenue"] = "90071992547409930.98"
    chat.show(tool, arguments, result=told, answers={"run_report": before})
    chat.run(SETTLED)
    assert "EUR\u00a090,071,992,547,409,931.07" in chat.text()
    assert "+EUR\u00a00.09" in chat.run(CLOSER)


def test_a_host_that_keeps_a_pages_own_part_leaves_it_with_what_the_model_was_told(chat, asked):
    tool, arguments = asked["customer"]
    told = chat.call(tool, arguments)
    told.pop("_meta")
    chat.show(tool, arguments, result=told)
    chat.run(SETTLED)
    assert chat.run(STAGE) == "analysis_ready"
    assert told["structuredContent"]["customer"]["name"] in chat.text()


def test_what_is_not_there_was_cancelled_or_cannot_be_read_is_said_in_a_sentence(chat, asked):
    chat.show("show_customer", {"customer": "cust_999999"})
    assert "Customer cannot be shown" in chat.text() and chat.run(STAGE) == "data_ready"
    tool, arguments = asked["order"]
    for odd in (
        {},
        {"structuredContent": {"order": 1}},
        {"structuredContent": {"order": []}, "_meta": {"crm/view": 7}},
    ):
        chat.show(tool, arguments, result={"content": [], **odd})
        assert "Order cannot be shown" in chat.text()
    chat.show(tool, arguments, holds=True)
    chat.run("await page.evaluate(() => window.sendCancelled())")
    chat.sees("It was cancelled")


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_of_nothing_is_still_a_page(chat, asked, kind):
    tool, arguments = asked[kind]
    chat.show(
        tool,
        arguments,
        result={"content": [], "structuredContent": {"type": "result", kind: {}, "_meta": {}, "_display": {}}},
    )
    chat.run(SETTLED)
    assert chat.run("return await card.locator('h1').count()") == 1


def test_a_report_of_how_things_stand_says_that_there_is_no_period_before(chat, asked):
    chat.show("show_report", {"report": "tasks_due"})
    chat.run(SETTLED)
    assert chat.run(STAGE) == "data_ready" and "no period before" in chat.run(CLOSER)


@pytest.mark.parametrize(
    ("given", "before"),
    [
        ({"month": "2026-03"}, ("2026-02-01", "2026-02-28")),
        ({"from": "2026-03-05", "to": "2026-03-11"}, ("2026-02-26", "2026-03-04")),
        ({"from": "2025-01-01", "to": "2025-06-30"}, ("2024-07-01", "2024-12-31")),
        ({"year": 2024}, ("2023-01-01", "2023-12-31")),
    ],
    ids=str,
)
def test_the_period_before_is_as_long_and_of_whole_months_where_the_period_is(chat, given, before):
    chat.show("show_report", {"report": "revenue_by_country", "parameters": given})
    chat.run(SETTLED)
    asked = [call["arguments"]["parameters"] for call in chat.heard()["calls"] if call["name"] == "run_report"]
    assert [(one["from"], one["to"]) for one in asked] == [before]


def test_a_month_that_has_not_ended_is_compared_with_as_many_days_of_the_one_before(chat):
    told = chat.call("show_report", {"report": "revenue_by_country", "parameters": {"month": "2026-05"}})
    for record in (told["structuredContent"]["report"], told["_meta"]["crm/view"]["record"]):
        record["asOf"] = "2026-05-10T12:00:00+00:00"
    chat.show("show_report", {}, result=told)
    chat.run(SETTLED)
    (call,) = chat.heard()["calls"]
    assert (call["arguments"]["parameters"]["from"], call["arguments"]["parameters"]["to"]) == (
        "2026-04-01",
        "2026-04-10",
    )


def test_the_hosts_colours_and_a_change_of_theme_are_followed(chat, view):
    view("pipeline", variables={"--color-text-primary": "rgb(1, 2, 3)"})
    assert chat.run("return await card.locator('body').evaluate((b) => getComputedStyle(b).color)") == "rgb(1, 2, 3)"
    chat.run("await page.evaluate(() => window.sendContext({theme: 'dark'}))")
    chat.run("await card.locator(':root[data-theme=dark]').waitFor()")
    assert chat.run(STAGE) == "analysis_ready", "drawn anew, not asked anew"


def test_everything_is_reached_by_keyboard_and_named_for_a_screen_reader(chat, view):
    view("order")
    chat.run("await card.locator('h1').focus()")
    seen = set()
    for _ in range(30):
        chat.run("await page.keyboard.press('Tab')")
        if name := chat.run(
            "return (await card.locator(':focus').count()) ? await card.locator(':focus').evaluate((one) => one.tagName + (one.getAttribute('aria-label') ?? '')) : null"
        ):
            seen.add(name)
    assert {"BUTTON", "svg", "DIVLines"} <= seen
    tree = chat.run("return await card.locator('body').ariaSnapshot()")
    assert 'heading "Order' in tree and "table" in tree and "columnheader" in tree


def test_the_charts_are_what_the_pinned_packages_make(node):
    done = subprocess.run([node, str(HERE / "vendor.mjs"), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
