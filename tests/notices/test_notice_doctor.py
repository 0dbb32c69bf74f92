"""The doctor says whether anybody is told of what waits, and why not."""

import pytest
from shop import Shop

from crm_mcp.cli.doctor.notices import notices
from crm_mcp.config import Settings
from crm_mcp.telling.webhook import Hook


@pytest.fixture
def examined(shop: Shop, monkeypatch):
    """Look at notices alone, as if the shop's org were the only one."""

    def look(**settings):
        monkeypatch.setenv("CRM_HOME", str(shop.home.root))
        for name, value in settings.items():
            monkeypatch.setenv(f"CRM_{name.upper()}", value)
        return notices(Settings())

    async def only(db):
        return [shop.org]

    monkeypatch.setattr("crm_mcp.cli.doctor.notices.Database.orgs", only)
    return look


def in_a_thread(work):
    """The doctor runs a loop of its own."""
    import asyncio

    return asyncio.to_thread(work)


async def test_that_no_way_is_configured(examined):
    found = await in_a_thread(examined)
    assert (found.state, "no way to tell anybody" in found.said) == ("attention", True)
    assert "CRM_SMTP_URL" in found.fix


async def test_that_all_is_well(examined):
    more = {
        "smtp_url": "smtp://localhost",
        "notice_from": "crm@shop.example",
        "notice_webhook": "https://h.example/x",
    }
    found = await in_a_thread(lambda: examined(**more, notice_secret="key"))
    assert (found.state, found.said) == ("ok", "approvers are told by e-mail and webhook")


async def test_that_nobody_may_approve(examined, shop):
    shop.change("update crm.memberships set may_approve = false where org_id = %s", shop.org)
    found = await in_a_thread(lambda: examined(notice_webhook="https://h.example/x"))
    assert (found.state, found.said) == ("problem", f"nobody may approve in {shop.slug}")


async def test_that_a_draft_waits_for_nobody(examined, shop):
    await shop.draft(worth=2000)
    shop.change("update crm.memberships set approval_limit = 1000 where org_id = %s", shop.org)
    found = await in_a_thread(lambda: examined(notice_webhook="https://h.example/x"))
    assert found.state == "attention" and found.said.startswith("1 draft(s) wait that nobody may approve")


async def test_what_went_wrong_last_without_where_it_went(examined, shop, receiver):
    shop.set(hook=Hook.of(receiver.url, None))
    receiver.codes = [404]
    await shop.draft()
    await shop.tell()
    found = await in_a_thread(lambda: examined(notice_webhook=receiver.url))
    assert found.state == "attention" and found.said.endswith("The webhook answered 404.")
    assert "hush" not in found.said


async def test_that_there_is_no_address_to_write_from(examined, shop):
    found = await in_a_thread(lambda: examined(smtp_url="smtp://localhost"))
    assert found.said == f"no address to write from in {shop.slug}"


async def test_that_a_setting_is_wrong_without_repeating_it(examined):
    found = await in_a_thread(lambda: examined(notice_webhook="http://hooks.example/hush"))
    assert found.state == "problem" and "hush" not in found.said
