"""Approvers are told of what waits for them, once on each occasion; others are not."""

import asyncio

import psycopg
import pytest
from shop import run_queue

from crm_mcp.principal import Agent


def people(shop, draft):
    return sorted(person for number, person, *_ in shop.notices() if number == draft)


async def test_everybody_is_told_whose_limit_suffices_and_nobody_else(shop, box):
    small, large = await shop.draft(worth=100), await shop.draft(worth=600)
    await shop.tell()
    assert (people(shop, small), people(shop, large)) == (["ann", "max"], ["ann"])
    assert {mail.rcpt_tos[0] for mail in box.mails} == {shop.at("ann"), shop.at("max")}


async def test_what_was_approved_for_a_customer_today_counts_towards_the_limit(shop, box, executor):
    first, ann = await shop.draft(worth=400), await shop.person("ann")
    await executor.approve(ann, first, (await executor.show(ann, first)).hash)
    second = await shop.draft(worth=200)
    await shop.tell()
    assert people(shop, second) == ["ann"]


async def test_of_an_email_only_those_are_told_who_may_send_one(shop, box):
    draft = await shop.letter()
    await shop.tell()
    assert people(shop, draft) == ["ann"]


async def test_who_drafted_over_their_own_limit_is_not_told(shop, box):
    own, over = await shop.draft("max", worth=300), await shop.draft("max", worth=700)
    await shop.tell()
    assert (people(shop, own), people(shop, over)) == (["ann", "max"], ["ann"])


async def test_where_nobody_may_approve_the_administrators_are_told_and_that_it_is_so(shop, box):
    draft = await shop.draft(worth=2000)
    shop.change("update crm.memberships set approval_limit = 1000 where org_id = %s", shop.org)
    await shop.tell()
    assert people(shop, draft) == ["ann"]
    assert "Nobody else there may approve this" in box.read().get_content()


async def test_drafts_of_a_minute_are_one_message_that_counts_them(shop, box):
    drafts = [await shop.draft(agent=Agent.ORDER) for _ in range(3)]
    assert await shop.post() == 0
    await shop.tell()
    assert [people(shop, draft) for draft in drafts] == [["ann", "max"]] * 3
    assert len(box.mails) == 2
    mail = box.read()
    assert mail["Subject"].startswith("Waits for approval: 3 drafts by Bob")
    assert all(f"/drafts/draft_{draft}" in mail.get_content() for draft in drafts)


async def test_an_agents_drafts_gather_for_a_minute_and_a_persons_for_a_quarter_of_it(shop, box):
    await shop.draft()
    await shop.draft(agent=Agent.ORDER)
    shop.older("20 seconds")
    assert await shop.post() == 2  # one message each for ann and max
    shop.older("45 seconds")
    assert await shop.post() == 2
    assert await shop.post() == 0


async def test_two_requesters_are_two_messages(shop, box):
    await shop.draft(worth=600)
    await shop.draft("max", worth=600)
    await shop.tell()
    assert [mail.rcpt_tos for mail in box.mails] == [[shop.at("ann")]] * 2


async def test_an_edited_draft_is_told_of_once_more_and_not_a_third_time(shop, box, executor):
    draft = await shop.draft(worth=400)
    await shop.tell()
    for version in (1, 2, 3):
        await shop.edit(executor, draft, version)
        await shop.tell()
    # who edits it needs no telling
    assert [row[1:4] for row in shop.notices() if row[3] == "revised"] == [("max", "email", "revised")]
    assert box.read(2)["Subject"] == "Edited, waits for approval: Create order draft, EUR 400.00"
    assert len(box.mails) == 3


async def test_what_is_edited_before_anybody_heard_of_it_is_told_as_it_is_now(shop, box, executor):
    draft = await shop.draft(worth=600)
    await shop.edit(executor, draft, 1)
    await shop.tell()
    assert await shop.tell() == []
    assert [row[3] for row in shop.notices()] == ["waiting"]


async def test_approvers_are_reminded_once_of_what_is_nearly_over(shop, box):
    draft = await shop.draft(worth=600)
    assert await shop.tell() == ["sent"]
    assert await shop.tell() == []
    shop.nearly_over(draft, "1 hour 59 minutes")
    assert await shop.tell() == ["sent"]
    assert await shop.tell() == []
    assert [row[3] for row in shop.notices()] == ["waiting", "reminder"]
    assert box.read(1)["Subject"].startswith("Reminder: Create order draft, EUR 600.00 expires soon")


async def test_nobody_is_reminded_before_the_last_two_hours_or_the_last_quarter(shop, box):
    draft = await shop.draft(worth=600)
    await shop.tell()
    shop.nearly_over(draft, "2 hours 1 minute")
    assert await shop.tell() == []
    shop.change(
        "update crm.drafts set created_at = clock_timestamp() - interval '20 minutes', expires_at = clock_timestamp()"
        " + interval '10 minutes' where id = %s",
        draft,
    )
    assert await shop.post() == 0
    shop.change("update crm.drafts set created_at = created_at - interval '15 minutes' where id = %s", draft)
    assert await shop.post() == 1


async def test_what_nobody_heard_of_until_it_was_nearly_over_is_told_once(shop, box):
    draft = await shop.draft(worth=600)
    shop.nearly_over(draft)
    await shop.tell()
    assert await shop.tell() == []
    assert [row[3] for row in shop.notices()] == ["reminder"]


async def test_nobody_is_told_of_what_was_decided_meanwhile(shop, box, executor):
    draft = await shop.draft(worth=600)
    shop.older()
    await shop.post()
    await executor.reject(await shop.person("ann"), draft, "no")
    assert await shop.send() == ["moot"]
    assert box.mails == []
    assert await shop.post() == 0


async def test_of_a_burst_only_what_still_waits_is_told(shop, box, executor):
    decided, waits = await shop.draft(worth=600), await shop.draft(worth=600)
    shop.older()
    await shop.post()
    await executor.reject(await shop.person("ann"), decided, "no")
    assert await shop.send() == ["sent"]
    assert [row[4] for row in shop.notices()] == ["moot", "sent"]
    assert f"draft_{waits}" in box.read().get_content() and f"draft_{decided}" not in box.read().get_content()


@pytest.mark.parametrize("change", ["active = false", "may_approve = false", "approval_limit = 1"])
async def test_who_lost_the_right_meanwhile_is_not_told(shop, box, change):
    await shop.draft(worth=100)
    shop.older()
    await shop.post()
    shop.change(
        f"update crm.memberships set {change} where org_id = %s and user_id = %s",
        shop.org,
        shop.people[shop.at("max")],
    )
    assert sorted(await shop.send()) == ["moot", "sent"]
    assert [mail.rcpt_tos for mail in box.mails] == [[shop.at("ann")]]


async def test_nobody_of_another_org_is_told_and_postgres_would_not_have_it(shop, box, home, owner_asks):
    draft = await shop.draft(worth=100)
    await shop.tell()
    assert {mail.rcpt_tos[0].partition("@")[2] for mail in box.mails} == {f"{shop.slug}.example"}
    stranger = owner_asks("select id from crm.users where email = 'mia@demo.example'")
    posted = f'[{{"message": 1, "draft": {draft}, "version": 1, "person": {stranger}, "channel": "email", "occasion": "reminder", "to_admins": false}}]'
    with psycopg.connect(home.conninfo("crm_worker")) as conn:
        conn.execute(f"set local crm.org_id = '{shop.org}'")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            conn.execute("select crm.post_notices(%s::jsonb)", (posted,))


async def test_two_workers_at_once_tell_everybody_once(shop, box):
    drafts = [await shop.draft(worth=100) for _ in range(3)]
    shop.older()
    made = await asyncio.gather(*(shop.post() for _ in range(4)))
    assert sum(made) == 2
    await run_queue(shop, times=2)
    assert sorted(mail.rcpt_tos[0] for mail in box.mails) == [shop.at("ann"), shop.at("max")]
    assert {row[4] for row in shop.notices()} == {"sent"} and len(shop.notices()) == 2 * len(drafts)


async def test_without_a_channel_nothing_is_noted_and_once_there_is_one_what_waits_is_told(shop):
    await shop.draft(worth=600)
    shop.older()
    assert await shop.post() == 0 and shop.notices() == []
    shop.set(desktop=frozenset({shop.at("ann")}))
    assert await shop.post() == 1


async def test_a_requester_is_written_to_only_where_that_is_configured(shop, box, executor):
    draft = await shop.draft(worth=600)
    await executor.reject(await shop.person("ann"), draft, SECRET_REASON)
    assert await shop.tell() == []
    shop.set(decided=True)
    assert await shop.tell() == ["sent"]
    assert await shop.tell() == []
    (mail,) = box.mails
    assert mail.rcpt_tos == [shop.at("bob")]
    assert box.read()["Subject"] == "Create order draft: rejected by Ann Ander"
    assert SECRET_REASON not in box.read().get_content()


SECRET_REASON = "she owes us money"


@pytest.mark.parametrize("login", ["crm_agent", "crm_approver", "crm_worker"])
async def test_no_login_writes_notices_of_its_own(shop, box, home, login):
    draft = await shop.draft(worth=600)
    await shop.tell()
    attempts = [
        f"insert into crm.notices(org_id, message, draft_id, draft_version, channel, occasion) values ({shop.org}, 1, {draft}, 1, 'webhook', 'waiting')",
        f"delete from crm.notices where org_id = {shop.org}",
        f"update crm.notices set state = 'queued' where org_id = {shop.org}",
        f"update crm.notices set person = person where org_id = {shop.org}",
    ]
    for attempt in attempts:
        with psycopg.connect(home.conninfo(login)) as conn:
            conn.execute(f"set local crm.org_id = '{shop.org}'")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(attempt)
