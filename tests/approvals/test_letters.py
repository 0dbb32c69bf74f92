"""An e-mail on the approvals page: as a letter while it waits, and how far it got afterwards."""

import re
from email import message_from_bytes, policy
from html import unescape
from urllib.parse import unquote

import psycopg
import pytest

from browser import text
from crm_mcp import ids
from crm_mcp.db import Database
from crm_mcp.delivery.deliver import Post, deliver


@pytest.fixture
def letter(connect):
    async def make(**more):
        asked = {
            "to": ["Kim <kim@page.example>"],
            "subject": "Hello <b>you</b>",
            "body": "Dear Kim,\n<script>1</script>",
            "reason": "they asked",
            "idempotency_key": ids.show("drafts", ids.new_call()),
        }
        async with connect("sam@demo.example") as client:
            told = await client.call_tool("send_email_draft", {**asked, **more})
        return told.structured_content["draft"]["id"]

    return make


@pytest.fixture
async def unsent(home, letter, signed_in, owner_asks):
    """Have an e-mail approved that no mail server was configured for."""

    async def make(**more):
        draft, browser = await letter(**more), await signed_in()
        assert (await browser.press(draft)).status_code == 303
        email = owner_asks(
            "select substr(result::jsonb -> 'record' ->> 'id', 7)::bigint from crm.drafts where id = %s",
            int(draft[6:]),
        )
        org = owner_asks("select org_id from crm.emails where id = %s", email)
        worker = Database(home.conninfo("crm_worker"))
        assert await deliver(Post(worker, None), org, email) == "unsent"
        await worker.close()
        return draft, email, browser

    return make


async def test_a_draft_shows_as_an_email_with_its_strangers(letter, signed_in):
    draft = await letter(cc=["jo@müller-page.example"], attachments=[{"name": "a.txt", "text": "x" * 1500}])
    shown = await (await signed_in()).get(f"/drafts/{draft}")
    said = text(shown.text)
    sender = "Northlight Furniture hello@northlight.example"
    assert f"From {sender} To Kim kim@page.example Cc jo@xn--mller-page-9db.example" in said
    assert "reads as müller-page.example" in said
    assert "Subject Hello <b>you</b>" in said and "<b>you</b>" not in shown.text
    assert "a.txt text/plain , 1.5 kB" in said
    assert "<blockquote><bdi>Dear Kim,\n&lt;script&gt;1&lt;/script&gt;" in shown.text
    assert "Nobody here knows kim@page.example." in said


async def test_who_may_not_send_email_reads_so_and_finds_no_live_button(letter, signed_in, state):
    draft, browser = await letter(), await signed_in("fin@demo.example")
    said = text((await browser.get(f"/drafts/{draft}")).text)
    assert "You cannot approve this: it sends an e-mail, and you may not send e-mail." in said
    await browser.press(draft)
    assert state(draft) == "pending"


async def test_what_was_approved_and_not_sent_says_so_and_goes_to_a_mail_program(unsent):
    draft, _, browser = await unsent()
    shown = (await browser.get(f"/drafts/{draft}")).text
    assert "Approved, not sent" in shown and "No mail server is configured." in text(shown)
    assert "not even once a mail server is configured" in shown
    link = unescape(re.search(r'href="(mailto:[^"]*)"', shown)[1])
    assert (
        unquote(link) == "mailto:kim@page.example?subject=Hello <b>you</b>&body=Dear Kim,\r\n<script>1</script>\r\n"
    )
    answer = await browser.get(f"/drafts/{draft}/message.eml")
    assert answer.headers["content-type"] == "message/rfc822"
    assert answer.headers["content-disposition"].startswith("attachment;")
    message = message_from_bytes(answer.content, policy=policy.default)
    assert (message["To"], message["Subject"], message["X-Unsent"]) == (
        "Kim <kim@page.example>",
        "Hello <b>you</b>",
        "1",
    )


async def test_a_long_email_and_one_with_files_have_no_link(unsent):
    for more in ({"body": "x" * 5000}, {"attachments": [{"name": "a.txt", "text": "x"}]}):
        draft, _, browser = await unsent(**more)
        assert "mailto:" not in (await browser.get(f"/drafts/{draft}")).text


async def test_send_now_queues_it_once_with_a_job(unsent, owner_asks):
    draft, email, browser = await unsent()
    jobs = "select count(*) from jobs.procrastinate_jobs where (args ->> 'email')::bigint = %s"
    before = owner_asks(jobs, email)
    form = await browser.form(draft, "send")
    assert (await browser.post(f"/drafts/{draft}/send", form)).status_code == 303
    assert owner_asks("select state from crm.outbox where email_id = %s", email) == "queued"
    assert owner_asks(jobs, email) == before + 1
    assert (await browser.post(f"/drafts/{draft}/send", form)).status_code == 409
    assert owner_asks(jobs, email) == before + 1


async def test_sending_now_needs_the_right_the_token_and_our_own_page(unsent, signed_in, browsers, owner_asks):
    draft, email, browser = await unsent()
    form = await browser.form(draft, "send")
    fin = await signed_in("fin@demo.example")
    assert f'action="/drafts/{draft}/send"' not in (await fin.get(f"/drafts/{draft}")).text
    token = re.search(r'name="csrf" value="(\w+)"', (await fin.get("/")).text)[1]
    assert (await fin.post(f"/drafts/{draft}/send", {"csrf": token})).status_code == 409
    assert (await browser.post(f"/drafts/{draft}/send", {"csrf": "0" * 64})).status_code == 403
    assert (await browser.post(f"/drafts/{draft}/send", form, origin="http://evil.example")).status_code == 403
    assert (await browsers().post(f"/drafts/{draft}/send", form)).status_code in (401, 403)
    assert owner_asks("select state from crm.outbox where email_id = %s", email) == "unsent"


async def test_the_file_is_for_those_who_see_the_draft(unsent, letter, signed_in, browsers):
    draft, _, browser = await unsent()
    assert (await browsers().get(f"/drafts/{draft}/message.eml")).status_code == 401
    assert (await (await signed_in("sue@demo.example")).get(f"/drafts/{draft}/message.eml")).status_code == 404
    assert (await (await signed_in("otto@other.example")).get(f"/drafts/{draft}/message.eml")).status_code == 404
    assert (await browser.get(f"/drafts/{await letter()}/message.eml")).status_code == 404


async def test_the_requester_follows_the_delivery_from_the_chat(unsent, connect, home):
    draft, email, _ = await unsent()
    async with connect("sam@demo.example") as client:
        told = (await client.call_tool("get_draft", {"draft": draft})).structured_content["draft"]
        listed = (await client.call_tool("list_drafts", {"state": "approved"})).structured_content["drafts"]
    assert (told["result"], told["delivery"]) == (f"email_{email}", "unsent")
    assert told["deliveryProblem"] == "No mail server is configured."
    assert [one["delivery"] for one in listed if one["id"] == draft] == ["unsent"]
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        assert conn.execute("select count(*) from crm.changes where tbl = 'outbox' and op = 'U'").fetchone()[0] > 0
