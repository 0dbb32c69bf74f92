"""From the queue to an outcome: what is shown is what is done, once, by somebody who may."""

import asyncio
import re

import pytest

from browser import text

OURS = "org_id = current_setting('crm.org_id')::bigint"
HOSTILE = (
    "<script>alert(1)</script> \u202eevil\u202c \u200bx "
    + "".join(chr(0xE0000 + ord(c)) for c in "obey me")
    + " "
    + "W" * 300
)


async def test_the_queue_shows_the_largest_first_with_its_risks(signed_in, drafted):
    small, large = await drafted(), await drafted(worth=6_000, confidence=0.4)
    shown = (await (await signed_in("fin@demo.example")).get("/")).text
    assert shown.index(f"/drafts/{large}") < shown.index(f"/drafts/{small}")
    row = text(shown[shown.index(f"/drafts/{large}") :].split("</li>")[0])
    assert "over your limit" in row
    assert "agent 40 % sure" in row
    assert "Sam Sato" in row
    assert "EUR 6," in row or "EUR 7," in row


async def test_a_draft_shows_the_approvers_own_run(signed_in, drafted, change):
    draft = await drafted(quantity=3, comment="Leave it at the door.", confidence=0.91)
    change(
        "update crm.drafts set summary = 'forged summary' where id = %s",
        int(draft.removeprefix("draft_")),
    )
    html = (await (await signed_in()).get(f"/drafts/{draft}")).text
    said = text(html)
    assert re.search(r"It would create an order of 3 × .*, EUR [\d,.]+ gross, for Müller & Söhne GmbH\s*\.", said)
    assert "forged summary" not in said
    assert "Nothing has changed yet" in said
    for part in ("Leave it at the door.", "they asked", "Sam Sato", "91 %", "a person approves it before it exists"):
        assert part in said
    assert "New order line" in said
    assert "Org" not in re.findall(r'<th scope="row"[^>]*>(?:<bdi>)?([^<]*)', html)
    assert re.search(r'<time datetime="[^"]+" title="[^"]+" data-far>in 2[34] hours</time>', html)


async def test_one_click_does_it_and_says_what_was_done(signed_in, drafted, state, owner_asks):
    browser, draft = await signed_in(), await drafted(quantity=2)
    done = text((await browser.follow(await browser.press(draft))).text)
    assert state(draft) == "approved"
    number, order = re.search(r"New order (ORD-\d+) · (ord_\d+)", done).groups()
    assert owner_asks("select number from crm.orders where id = %s", int(order.removeprefix("ord_"))) == number
    assert "You approved this" in done
    assert "Done: create an order of 2 ×" in done
    history = text((await browser.get("/history")).text)
    assert "approved by Mia Moreau" in history


async def test_pressing_twice_does_it_once(signed_in, drafted, owner_asks):
    browser, draft = await signed_in(), await drafted()
    fields, before = await browser.form(draft), owner_asks("select count(*) from crm.orders")
    answers = await asyncio.gather(*(browser.post(f"/drafts/{draft}/approve", fields) for _ in range(3)))
    for answer in answers:
        shown = text((await browser.follow(answer)).text)
        assert "You approved this" in shown
        assert "Somebody was faster" not in shown
    assert owner_asks("select count(*) from crm.orders") == before + 1


async def test_who_comes_second_sees_what_the_first_decided(signed_in, drafted, state):
    mia, ada, draft = await signed_in(), await signed_in("ada@demo.example"), await drafted()
    fields = await ada.form(draft, "reject")
    await mia.press(draft)
    shown = text((await ada.follow(await ada.post(f"/drafts/{draft}/reject", {**fields, "reason": "no"}))).text)
    assert state(draft) == "approved"
    assert "Somebody was faster" in shown
    assert "Mia Moreau approved this" in shown


@pytest.mark.parametrize(
    ("reason", "wrong"),
    [
        ("", "Say why"),
        (" \r\n\t ", "Say why"),
        ("\u200b \u2060", "Say why"),
        ("x" * 501, "501 characters"),
        ("a\0b", "left out"),
    ],
)
async def test_rejecting_needs_a_reason(signed_in, drafted, state, reason, wrong):
    browser, draft = await signed_in(), await drafted()
    answer = await browser.press(draft, "reject", reason=reason)
    assert answer.status_code == 422
    assert wrong in text(answer.text)
    assert '<details class="reject" open>' in answer.text
    assert state(draft) == "pending"


async def test_a_rejection_is_kept_with_its_trimmed_reason(signed_in, drafted, state, owner_asks):
    browser, draft = await signed_in(), await drafted()
    shown = text(
        (await browser.follow(await browser.press(draft, "reject", reason="  too\r\nmany \u202e<b>  "))).text
    )
    assert state(draft) == "rejected"
    kept = owner_asks("select decision_reason from crm.drafts where id = %s", int(draft.removeprefix("draft_")))
    assert kept == "too\nmany \u202e<b>"
    assert "You rejected this" in shown
    assert "Reason: too many U+202E <b>" in shown


async def test_what_changed_since_it_was_shown_is_not_done(signed_in, drafted, state):
    browser, draft = await signed_in(), await drafted()
    answer = await browser.press(draft, hash="0" * 64)
    assert answer.status_code == 409
    assert "Nothing was done. This is not what you were shown" in text(answer.text)
    assert state(draft) == "pending"


async def test_a_stale_draft_shows_old_beside_new_and_cannot_be_approved(
    signed_in, drafted, change, state, owner_asks
):
    browser, draft = await signed_in(), await drafted(comment="as agreed")
    fields, before = await browser.form(draft), owner_asks("select count(*) from crm.orders")
    rename = f"update crm.customers set name = %s where name = %s and {OURS}"
    change(rename, "Müller & Töchter GmbH", "Müller & Söhne GmbH")
    try:
        answer = await browser.get(f"/drafts/{draft}")
        shown = text(answer.text)
        assert "Not as drafted any more" in shown
        assert "Customer · Name Müller & Söhne GmbH Müller & Töchter GmbH" in shown
        assert re.search(r"<button[^>]*disabled[^>]*>Approve", answer.text)
        after = await browser.follow(await browser.post(f"/drafts/{draft}/approve", fields))
        assert state(draft) == "stale"
        assert "Not carried out: it had changed" in text(after.text)
        assert owner_asks("select count(*) from crm.orders") == before
    finally:
        change(rename, "Müller & Söhne GmbH", "Müller & Töchter GmbH")


async def test_a_stale_draft_shows_old_beside_new_once_decided(signed_in, drafted, change, state):
    browser, draft = await signed_in(), await drafted(comment="as agreed")
    fields = await browser.form(draft)
    rename = f"update crm.customers set name = %s where name = %s and {OURS}"
    change(rename, "Müller \u202e& Töchter GmbH", "Müller & Söhne GmbH")
    try:
        await browser.post(f"/drafts/{draft}/approve", fields)
    finally:
        change(rename, "Müller & Söhne GmbH", "Müller \u202e& Töchter GmbH")
    assert state(draft) == "stale"
    answer = await browser.get(f"/drafts/{draft}")
    shown = text(answer.text)
    assert "Not carried out: it had changed" in shown
    assert "Nothing was changed" in shown
    assert "Not as drafted when it was decided" in shown
    assert shown.count("what it would do has changed since it was drafted") == 1
    assert "What moved As drafted When decided" in shown
    assert "Customer · Name Müller & Söhne GmbH Müller U+202E & Töchter GmbH" in shown
    assert "What it would have been when decided" in shown
    assert "All of it as drafted" in shown
    assert "Hidden characters" in shown
    assert f"/drafts/{draft}/approve" not in answer.text
    assert "stale" in text((await browser.get("/history")).text)


async def test_a_draft_that_could_no_longer_be_done_says_why_once_decided(signed_in, drafted, change, state):
    browser, draft = await signed_in(), await drafted(comment="as agreed")
    fields = await browser.form(draft)
    archive = f"update crm.customers set archived_at = %s where name = 'Müller & Söhne GmbH' and {OURS}"
    change(archive, "2020-01-01T00:00:00Z")
    try:
        await browser.post(f"/drafts/{draft}/approve", fields)
    finally:
        change(archive, None)
    assert state(draft) == "stale"
    answer = await browser.get(f"/drafts/{draft}")
    shown = text(answer.text)
    assert re.search(
        r"CUSTOMER_ARCHIVED: cust_\d+ is archived; choose another with search_customers ?\. Ask for it", shown
    )
    assert shown.count("CUSTOMER_ARCHIVED") == 1
    assert re.search(r"<details[^>]* open>\s*<summary>All of it as drafted", answer.text)
    assert "as agreed" in shown
    assert "What it would have been" not in shown


async def test_a_rejected_draft_is_not_called_stale(signed_in, drafted):
    browser, draft = await signed_in(), await drafted()
    shown = text((await browser.follow(await browser.press(draft, "reject", reason="too many"))).text)
    assert "Not as drafted" not in shown
    assert "Reason: too many" in shown
    assert "What was drafted" in shown


async def test_a_draft_that_can_no_longer_be_done_says_why(signed_in, drafted, change):
    browser, draft = await signed_in(), await drafted()
    change(f"update crm.customers set archived_at = now() where name = 'Müller & Söhne GmbH' and {OURS}")
    try:
        answer = await browser.get(f"/drafts/{draft}")
        assert answer.status_code == 200
        assert "It can no longer be done" in text(answer.text)
        assert re.search(r"<button[^>]*disabled[^>]*>Approve", answer.text)
    finally:
        change(f"update crm.customers set archived_at = null where name = 'Müller & Söhne GmbH' and {OURS}")


async def test_over_the_limit_the_button_is_off_and_the_page_says_why(signed_in, drafted, state):
    browser, draft = await signed_in("fin@demo.example"), await drafted(worth=6_000)
    answer = await browser.get(f"/drafts/{draft}")
    assert re.search(r"<button[^>]*disabled aria-describedby=\"may-not\">Approve", answer.text)
    assert "You cannot approve this: EUR" in text(answer.text)
    assert "over your limit of EUR 5,000.00" in text(answer.text)
    forced = await browser.press(draft)
    assert forced.status_code == 403
    assert state(draft) == "pending"


async def test_who_may_not_approve_sees_their_own_and_can_only_withdraw(signed_in, drafted, state):
    sam, own, others = await signed_in("sam@demo.example"), await drafted(), await drafted("mia@demo.example")
    queue = (await sam.get("/")).text
    assert own in queue
    assert others not in queue
    shown = await sam.get(f"/drafts/{own}")
    assert "You cannot approve this: you may not approve." in text(shown.text)
    assert f"/drafts/{own}/reject" not in shown.text
    fields = await sam.form(own)
    assert (await sam.post(f"/drafts/{own}/approve", fields)).status_code == 403
    assert (await sam.post(f"/drafts/{own}/reject", {**fields, "reason": "no"})).status_code == 403
    unknown = await sam.get("/drafts/draft_999999")
    for answer in (
        await sam.get(f"/drafts/{others}"),
        await sam.post(f"/drafts/{others}/approve", fields),
        await sam.post(f"/drafts/{others}/discard", fields),
    ):
        assert (answer.status_code, answer.text) == (404, unknown.text)
    assert (state(own), state(others)) == ("pending", "pending")
    withdrawn = await sam.follow(await sam.press(own, "discard"))
    assert state(own) == "discarded"
    assert "Withdrawn by Sam Sato" in text(withdrawn.text)


async def test_only_the_requester_withdraws(signed_in, drafted, state):
    mia, draft = await signed_in(), await drafted()
    assert f"/drafts/{draft}/discard" not in (await mia.get(f"/drafts/{draft}")).text
    answer = await mia.post(f"/drafts/{draft}/discard", await mia.form(draft))
    assert answer.status_code == 409
    assert state(draft) == "pending"


async def test_another_orgs_draft_is_as_unknown_as_one_that_never_was(signed_in, drafted, state):
    otto, mia, draft = await signed_in("otto@other.example"), await signed_in(), await drafted()
    assert draft not in (await otto.get("/")).text
    unknown = await otto.get("/drafts/draft_999999")
    assert unknown.status_code == 404
    token = {"csrf": re.search(r'name="csrf" value="(\w+)"', (await otto.get("/")).text)[1]}
    theirs = await mia.form(draft)
    assert (await otto.get(f"/drafts/{draft}")).text == unknown.text
    for action in ("approve", "reject", "discard"):
        answer = await otto.post(f"/drafts/{draft}/{action}", {**theirs, **token, "reason": "no"})
        assert (answer.status_code, answer.text) == (404, unknown.text)
    assert state(draft) == "pending"


@pytest.mark.parametrize(
    "name",
    [
        "12",
        "draft_",
        "draft_0",
        "draft_-1",
        "draft_1x",
        "cust_1",
        "draft_" + "9" * 30,
        "draft_١",
        "%00",
        "draft_1%0a",
    ],
)
async def test_a_malformed_id_is_not_found(signed_in, name):
    assert (await (await signed_in()).get(f"/drafts/{name}")).status_code == 404


async def test_hostile_text_is_boxed_escaped_and_its_hidden_characters_shown(signed_in, drafted):
    draft = await drafted(comment=HOSTILE, reason="Approve at once.\u2066")
    html = (await (await signed_in()).get(f"/drafts/{draft}")).text
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert not re.search("[\u200b\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]", html)
    for name in ("U+202E", "U+202C", "U+200B", "U+2066", "U+E006F"):
        assert f">{name}</span>" in html
    assert "and 3 more hidden" in html
    assert "Hidden characters." in html
    for figure in re.findall(r'<figure class="written">.*?</figure>', html, re.DOTALL):
        assert "Unverified" in figure
    assert "Unverified" in html.split("alert(1)")[0].rsplit("<figure", 1)[1]


async def test_an_expired_draft_is_history(signed_in, drafted, change):
    browser, draft = await signed_in(), await drafted()
    fields = await browser.form(draft)
    change(
        "update crm.drafts set expires_at = now() - interval '1 minute' where id = %s",
        int(draft.removeprefix("draft_")),
    )
    shown = await browser.follow(await browser.post(f"/drafts/{draft}/approve", fields))
    assert "It expired before anybody decided" in text(shown.text)
    assert "Approve" not in re.sub(r"Approvals", "", text(shown.text))
