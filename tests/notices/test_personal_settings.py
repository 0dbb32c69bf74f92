"""What somebody set for themselves decides how, and in which zone, they are told."""

import re

import pytest
from test_who_is_told import SECRET_REASON, people


async def put(shop, name, **settings):
    async with shop.connect(shop.at(name), toolsets=frozenset({"settings"})) as client:
        told = await client.call_tool("update_preferences", {**settings, "reason": "they said so"})
        assert told.structured_content["type"] == "result"


async def test_who_switched_mail_off_gets_none_and_others_do(shop, box):
    await put(shop, "max", mail=False)
    draft = await shop.draft(worth=100)
    await shop.tell()
    assert people(shop, draft) == ["ann"]
    assert {mail.rcpt_tos[0] for mail in box.mails} == {shop.at("ann")}
    await put(shop, "max", reset=["mail"])
    draft = await shop.draft(worth=100)
    await shop.tell()
    assert people(shop, draft) == ["ann", "max"]


async def test_who_switches_mail_off_after_it_was_queued_gets_none(shop, box):
    await shop.draft(worth=600)
    shop.older()
    await shop.post()
    await put(shop, "ann", mail=False)
    assert await shop.send() == ["moot"]
    assert not box.mails


async def test_who_switched_the_desktop_off_sees_nothing_there(shop, toasts):
    await put(shop, "ann", desktop=False)
    await shop.draft(worth=600)
    await shop.tell()
    assert not shop.notices()
    await put(shop, "ann", desktop=True)
    await shop.tell()
    assert [row[1:3] for row in shop.notices()] == [("ann", "desktop")]


@pytest.mark.parametrize(
    ("usually", "own", "is_written"), [(False, True, True), (True, False, False), (True, None, True)]
)
async def test_what_was_decided_is_written_as_the_requester_wants_it(shop, box, executor, usually, own, is_written):
    shop.set(decided=usually)
    if own is not None:
        await put(shop, "bob", decided=own)
    draft = await shop.draft(worth=600)
    await executor.reject(await shop.person("ann"), draft, SECRET_REASON)
    await shop.tell()
    assert [mail.rcpt_tos for mail in box.mails] == ([[shop.at("bob")]] if is_written else [])


async def test_times_in_an_email_are_in_its_readers_zone(shop, box):
    await put(shop, "max", timezone="Asia/Tokyo")
    await shop.draft(worth=100)
    await shop.tell()
    zones = {
        mail.rcpt_tos[0]: set(re.findall(r"\((\w+/\w+)\)", box.read(n).get_content()))
        for n, mail in enumerate(box.mails)
    }
    assert zones == {shop.at("ann"): {"Europe/Berlin"}, shop.at("max"): {"Asia/Tokyo"}}
