"""Exports on the page: for whom they were made, while they last, and for nobody else."""

import hashlib

import pytest

from browser import hidden, text
from crm_mcp.worker import round_of_work

WHY = {"reason": "the board wants it"}
NO_SUCH = "There is no such page, draft or export."


@pytest.fixture
def made(connect):
    async def make(email="sam@demo.example", **asked):
        asked = {"entity": "products", "format": "csv", **asked}
        async with connect(email) as client:
            return (await client.call_tool("create_export", {**WHY, **asked})).structured_content["export"]

    return make


@pytest.fixture
def downloads(owner_asks):
    """Say how often an export was downloaded, as the audit has it."""
    asked = """select count(*) from crm.audit_log where tool = 'download_export' and phase = 'ended'
     and payload like '%%' || %s || '%%'"""
    return lambda export: owner_asks(asked, f'"{export["id"]}"')


async def test_its_maker_finds_it_in_the_menu_and_downloads_it_as_a_file(made, signed_in, downloads):
    export = await made()
    sam = await signed_in("sam@demo.example")
    assert 'href="/exports"' in (await sam.get("/")).text
    listed = await sam.get("/exports")
    assert export["name"] in listed.text and f"/exports/{export['id']}/file" in listed.text
    shown = await sam.get(f"/exports/{export['id']}")
    assert export["sha256"] in shown.text and "Made for you" in text(shown.text)
    file = await sam.get(f"/exports/{export['id']}/file")
    assert file.status_code == 200
    assert (len(file.content), hashlib.sha256(file.content).hexdigest()) == (export["bytes"], export["sha256"])
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["content-disposition"].startswith(f'attachment; filename="{export["name"]}"')
    assert file.headers["x-content-type-options"] == "nosniff" and file.headers["cache-control"] == "no-store"
    assert int(file.headers["content-length"]) == export["bytes"]
    assert downloads(export) == 1


async def test_a_head_is_told_what_it_is_and_is_no_download(made, signed_in, downloads):
    export = await made()
    sam = await signed_in("sam@demo.example")
    head = await sam.client.head(f"/exports/{export['id']}/file")
    assert (head.status_code, int(head.headers["content-length"]), head.content) == (200, export["bytes"], b"")
    assert downloads(export) == 0


async def test_a_range_is_answered_with_the_whole(made, signed_in):
    export = await made()
    sam = await signed_in("sam@demo.example")
    file = await sam.get(f"/exports/{export['id']}/file", range="bytes=5-9")
    assert (file.status_code, len(file.content)) == (200, export["bytes"])
    assert file.headers["accept-ranges"] == "none"


@pytest.mark.parametrize("email", ["mia@demo.example", "fin@demo.example"])
async def test_for_a_colleague_it_is_as_if_it_never_was(made, signed_in, downloads, email):
    export = await made()
    other = await signed_in(email)
    csrf = hidden((await other.get("/exports")).text)["csrf"]
    for path in ("", "/file"):
        answer = await other.get(f"/exports/{export['id']}{path}")
        assert answer.status_code == 404 and NO_SUCH in answer.text
    assert (await other.post(f"/exports/{export['id']}/delete", {"csrf": csrf})).status_code == 404
    assert f'{export["id"]}"' not in (await other.get("/exports")).text
    assert downloads(export) == 0


async def test_an_administrator_takes_what_was_made_for_others(made, signed_in, downloads):
    export = await made()
    ada = await signed_in("ada@demo.example")
    listed = text((await ada.get("/exports")).text)
    assert "Made for others" in listed and "made for Sam" in listed
    assert len((await ada.get(f"/exports/{export['id']}/file")).content) == export["bytes"]
    assert downloads(export) == 1


async def test_another_orgs_administrator_finds_nothing(made, signed_in):
    export = await made()
    otto = await signed_in("otto@other.example")
    for path in ("", "/file"):
        assert (await otto.get(f"/exports/{export['id']}{path}")).status_code == 404
    assert "There are none" in (await otto.get("/exports")).text


@pytest.mark.parametrize(
    "forged",
    [
        "exp_0",
        "exp_01",
        "exp_-1",
        "exp_999999999999999999",
        "exp_9999999999999999999",
        "exp_1' or 1=1",
        "draft_1",
        "1",
        "exp_",
    ],
)
async def test_a_forged_id_is_as_a_missing_one(signed_in, forged):
    ada = await signed_in("ada@demo.example")
    for path in ("", "/file"):
        answer = await ada.get(f"/exports/{forged}{path}")
        assert answer.status_code == 404


async def test_nobody_signed_in_sees_anything_and_a_link_from_a_chat_comes_back_with_the_cookie(made, browsers):
    export = await made()
    stranger = browsers()
    for path in ("/exports", f"/exports/{export['id']}", f"/exports/{export['id']}/file"):
        answer = await stranger.get(path)
        assert answer.status_code == 401 and export["name"] not in answer.text
    bounced = await stranger.get(f"/exports/{export['id']}", **{"sec-fetch-site": "cross-site"})
    assert f"url=/exports/{export['id']}?here=1" in bounced.text


async def test_what_has_expired_is_refused_at_once_and_its_bytes_go_with_the_next_round(
    made, signed_in, home, owner_asks, database_of
):
    export, kept = await made(), await made()
    sam, number = await signed_in("sam@demo.example"), int(export["id"][4:])
    owner_asks(
        "with call as (select set_config('crm.call_id', '1', true)) update crm.exports set expires_at = now() from call where id = %s returning 1",
        number,
    )
    for path in ("", "/file"):
        assert (await sam.get(f"/exports/{export['id']}{path}")).status_code == 404
    assert export["id"] not in (await sam.get("/exports")).text
    await round_of_work(database_of(home.conninfo("crm_worker")), None)
    parts = "select count(*) from crm.export_parts where export_id = %s"
    assert owner_asks(parts, number) == 0 and owner_asks(parts, int(kept["id"][4:])) == 1
    assert owner_asks("select rows from crm.exports where id = %s", number) == export["rows"]


async def test_whoever_left_the_org_takes_nothing(made, signed_in, change):
    export = await made("olga@demo.example")
    olga = await signed_in("olga@demo.example")
    leave = "update crm.memberships set active = %s where user_id = (select id from crm.users where email = 'olga@demo.example')"
    change(leave, False)
    try:
        answer = await olga.get(f"/exports/{export['id']}/file")
        assert answer.status_code == 401 and "attachment" not in str(answer.headers)
    finally:
        change(leave, True)


async def test_its_maker_deletes_it_and_it_is_gone(made, signed_in, owner_asks):
    export = await made()
    sam, path = await signed_in("sam@demo.example"), f"/exports/{export['id']}"
    fields = hidden((await sam.get(path)).text)
    assert (await sam.post(f"{path}/delete", {**fields, "csrf": "x"})).status_code == 403
    done = await sam.follow(await sam.post(f"{path}/delete", fields))
    assert "The export is deleted." in done.text
    assert (await sam.get(f"{path}/file")).status_code == 404
    assert owner_asks("select count(*) from crm.export_parts where export_id = %s", int(export["id"][4:])) == 0


async def test_words_of_others_are_shown_as_text(made, signed_in):
    export = await made("ada@demo.example", filters={"name": {"not": "<script>alert(1)</script>\u202e"}})
    ada = await signed_in("ada@demo.example")
    for path in ("/exports", f"/exports/{export['id']}"):
        shown = (await ada.get(path)).text
        assert "<script>alert" not in shown and "U+202E" in shown
