"""A run of e-mails: each is shown, the number confirmed, each approved for itself."""

import re

from browser import hidden, text


async def sent(browser, drafts, count):
    shown = (await browser.get(f"/drafts/{drafts[0]}/group")).text
    return await browser.post(f"/drafts/{drafts[0]}/group", {**hidden(shown), "count": count})


async def test_a_group_shows_every_letter_and_approves_them_when_their_number_is_confirmed(
    signed_in, reminders, state, owner_asks
):
    mia = await signed_in()
    alone = (await mia.get(f"/drafts/{reminders[1]}")).text
    assert "One of 3 e-mails" in text(alone)
    shown = text((await mia.get(f"/drafts/{reminders[0]}/group")).text)
    for n in range(3):
        assert f"Reminder {n}" in shown and f"Please pay {n}." in shown
    assert (await sent(mia, reminders, "2")).status_code == 422
    assert {state(draft) for draft in reminders} == {"pending"}
    done = await sent(mia, reminders, "3")
    assert done.status_code == 200 and {state(draft) for draft in reminders} == {"approved"}
    assert text(done.text).count("approved") >= 3
    queued = "select count(*) from crm.emails e join crm.drafts d on d.id = any(%s) and d.result::jsonb -> 'record' ->> 'id' = 'email_' || e.id"
    assert owner_asks(queued, [int(draft[6:]) for draft in reminders]) == 3


async def test_one_that_was_decided_meanwhile_stops_no_other(signed_in, reminders, state):
    mia, ada = await signed_in(), await signed_in("ada@demo.example")
    shown = (await mia.get(f"/drafts/{reminders[0]}/group")).text
    form = await ada.form(reminders[1], "reject")
    await ada.post(f"/drafts/{reminders[1]}/reject", {**form, "reason": "Not this one"})
    done = await mia.post(f"/drafts/{reminders[0]}/group", {**hidden(shown), "count": "3"})
    assert done.status_code == 200
    assert [state(draft) for draft in reminders] == ["approved", "rejected", "approved"]


async def test_what_was_not_shown_is_not_approved(signed_in, reminders, state):
    mia = await signed_in()
    fields = hidden((await mia.get(f"/drafts/{reminders[0]}/group")).text)
    forged = re.sub(r":[0-9a-f]{64}", ":" + "0" * 64, fields["seen"])
    await mia.post(f"/drafts/{reminders[0]}/group", {**fields, "seen": forged, "count": "3"})
    assert {state(draft) for draft in reminders} == {"pending"}
    for seen in ("", "x", f"{reminders[0]}:zz", ";".join(["draft_1:" + "0" * 64] * 21)):
        answer = await mia.post(f"/drafts/{reminders[0]}/group", {**fields, "seen": seen, "count": "1"})
        assert answer.status_code == 400


async def test_who_may_not_send_e_mail_approves_none_of_them(signed_in, reminders, state):
    fin = await signed_in("fin@demo.example")
    shown = (await fin.get(f"/drafts/{reminders[0]}/group")).text
    assert "Approve all" not in shown
    assert {state(draft) for draft in reminders} == {"pending"}


async def test_an_order_is_in_no_group(signed_in, drafted):
    assert (await (await signed_in()).get(f"/drafts/{await drafted()}/group")).status_code == 404
