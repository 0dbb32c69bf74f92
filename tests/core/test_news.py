"""News of drafts reach who follows an org, and nobody of another."""

import asyncio

import psycopg

from crm_mcp.news import MOST, News


async def heard(queue):
    return await asyncio.wait_for(queue.get(), 20)


def told(home, payload):
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        conn.execute("select pg_notify('crm_drafts', %s)", (payload,))


async def test_a_follower_hears_of_its_orgs_drafts_alone(home):
    async with News(home.conninfo("crm_agent")) as news, news.of(71) as ours, news.of(72) as theirs:
        assert await heard(ours) is None
        assert await heard(theirs) is None
        told(home, "72.5")
        told(home, "not a draft")
        told(home, "71.6")
        assert (await heard(ours), await heard(theirs)) == (6, 5)
        assert ours.empty() and theirs.empty()


async def test_who_comes_later_is_told_to_look_first(home):
    async with News(home.conninfo("crm_agent")) as news, news.of(71) as early:
        await heard(early)
        async with news.of(71) as late:
            assert await heard(late) is None


async def test_who_does_not_listen_is_told_only_to_look_again(home):
    async with News(home.conninfo("crm_agent")) as news, news.of(71) as slow, news.of(72) as last:
        await heard(slow), await heard(last)
        for draft in range(MOST + 1):
            told(home, f"71.{draft}")
        told(home, "72.1")
        assert await heard(last) == 1
        assert [slow.get_nowait() for _ in range(slow.qsize())] == [None]


async def test_a_broken_connection_is_made_anew_and_followers_look_again(home):
    async with News(home.conninfo("crm_agent")) as news, news.of(71) as ours:
        await heard(ours)
        with psycopg.connect(home.conninfo("postgres"), autocommit=True) as root:
            root.execute("select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen crm_drafts'")
        assert await heard(ours) is None
        told(home, "71.9")
        assert await heard(ours) == 9


async def test_nobody_listens_once_the_last_follower_left(home):
    def listening():
        with psycopg.connect(home.conninfo("postgres")) as root:
            found = root.execute(
                "select pid from pg_stat_activity where query = 'listen crm_drafts' and backend_type = 'client backend'"
            )
            return {row[0] for row in found}

    async with News(home.conninfo("crm_agent")) as news:
        before = listening()
        async with news.of(71) as one:
            await heard(one)
            async with news.following(72, 5) as changed:
                await changed(20)
                (ours,) = listening() - before
        async with asyncio.timeout(20):
            while ours in listening():
                await asyncio.sleep(0)
        async with news.of(71) as again:
            assert await heard(again) is None
            told(home, "71.3")
            assert await heard(again) == 3


async def test_who_follows_one_draft_hears_of_no_other(home):
    async with News(home.conninfo("crm_agent")) as news, news.following(71, 5) as changed, news.of(71) as all_of_them:
        await changed(20)
        assert await heard(all_of_them) is None
        five = asyncio.create_task(changed(20))
        told(home, "71.4")
        told(home, "72.5")
        assert await heard(all_of_them) == 4
        assert not five.done()
        told(home, "71.5")
        await five
        assert await heard(all_of_them) == 5


async def test_a_draft_is_news_when_it_is_made_edited_and_decided(home, connect, approver, owner_asks):
    org = owner_asks("select id from crm.orgs where slug = 'demo'")
    customer = owner_asks("select min(id) from crm.customers where org_id = %s", org)
    product = owner_asks(
        "select min(id) from crm.products where org_id = %s and currency = 'EUR' and not discontinued", org
    )
    asked = {"customer": f"cust_{customer}", "lines": [{"product": f"prod_{product}", "quantity": 1}]}
    async with News(home.conninfo("crm_agent")) as news, news.of(org) as ours, connect("sam@demo.example") as client:
        await heard(ours)
        made = await client.call_tool("create_order_draft", {**asked, "reason": "news", "comment": "made"})
        draft = made.structured_content["draft"]["id"]
        revision = {"draft": draft, "arguments": {"comment": "edited"}, "reason": "news"}
        await client.call_tool("revise_draft", revision)
        await client.call_tool("discard_draft", {"draft": draft, "reason": "news"})
        assert {await heard(ours), await heard(ours), await heard(ours)} == {int(draft[6:])}
