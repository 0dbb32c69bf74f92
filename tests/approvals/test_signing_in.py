"""A login link is for one person, once, for five minutes; a session is a cookie nobody else can use."""

import asyncio
import hashlib

import psycopg
import pytest
from structlog.testing import capture_logs

from browser import ORIGIN, text
from crm_mcp.approvals.web import build_page
from crm_mcp.errors import Refusal
from crm_mcp.log import logger


async def test_opening_a_link_uses_nothing_up(browsers, link):
    browser, url = browsers(), await link()
    for _ in range(3):
        shown = await browser.get(url)
        assert shown.status_code == 200
        assert "set-cookie" not in shown.headers
    assert (await browser.use(url)).status_code == 303


async def test_a_link_signs_in_once_and_once_only(browsers, link):
    url, first, second = await link(), browsers(), browsers()
    answer = await first.use(url)
    assert "Mia Moreau" in (await first.follow(answer)).text
    late = await second.use(url)
    assert late.status_code == 403
    assert "set-cookie" not in late.headers
    assert "crm-mcp open" in late.text
    assert (await second.get("/")).status_code == 401


async def test_pressing_the_button_twice_still_signs_in(browsers, link):
    url, browser = await link(), browsers()
    await browser.use(url)
    assert (await browser.use(url)).status_code == 303
    assert (await browser.get("/")).status_code == 200


async def test_an_expired_link_signs_nobody_in(browsers, link, change):
    url = await link()
    change("update crm.login_links set expires_at = now() - interval '1 second' where used_at is null")
    assert (await browsers().use(url)).status_code == 403


@pytest.mark.parametrize("secret", ["x", "A" * 43, "A" * 5000, "%00", "..%2f.."])
async def test_a_link_that_never_was_signs_nobody_in(browsers, secret):
    browser = browsers()
    assert (await browser.post("/login", {"secret": secret})).status_code == 403
    assert (await browser.get("/")).status_code == 401


async def test_only_digests_of_secrets_are_stored(browsers, link, owner_asks):
    url, browser = await link(), browsers()
    await browser.use(url)
    for table, secret in (
        ("login_links", url.rsplit("/", 1)[1]),
        ("web_sessions", browser.client.cookies["crm_session"]),
    ):
        digest = hashlib.sha256(secret.encode()).digest()
        assert owner_asks(f"select count(*) from crm.{table} where digest = %s", digest) == 1
        assert owner_asks(f"select count(*) from crm.{table} where digest = %s", secret.encode()) == 0


async def test_there_is_no_link_for_somebody_unknown(link):
    with pytest.raises(Refusal, match="NO_SUCH_PERSON"):
        await link("nobody@demo.example")


@pytest.mark.parametrize("goes_to", ["/", "/history", "/drafts/draft_7"])
async def test_a_login_goes_on_to_where_it_was_meant(browsers, link, goes_to):
    answer = await browsers().use(await link(then=goes_to))
    assert answer.headers["location"] == goes_to


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/logout",
        "/history\r\nX: y",
        "history",
        "",
    ],
)
async def test_a_login_never_leads_elsewhere(browsers, link, elsewhere):
    browser, url = browsers(), await link()
    answer = await browser.post("/login", {"secret": url.rsplit("/", 1)[1], "next": elsewhere})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_the_cookie_is_for_this_page_alone(browsers, link, approver):
    plain = (await browsers().use(await link())).headers["set-cookie"].lower()
    assert plain.startswith("crm_session=")
    assert {"httponly", "samesite=strict", "path=/"} <= set(plain.split("; "))
    assert "secure" not in plain
    assert "domain" not in plain
    origin = "https://approvals.example"
    browser = browsers(build_page(approver, origin=origin), origin)
    answer = await browser.use((await link()).removeprefix(ORIGIN))
    assert "secure" in answer.headers["set-cookie"].lower().split("; ")


async def test_without_a_session_nothing_is_shown(browsers, drafted):
    draft = await drafted()
    for path in ("/", "/history", f"/drafts/{draft}", "/drafts/nonsense"):
        shown = await browsers().get(path)
        assert shown.status_code == 401
        assert "crm-mcp open" in shown.text
        assert "Müller" not in shown.text


async def test_a_link_from_another_site_comes_back_with_its_cookie_once(browsers, signed_in, drafted):
    draft = await drafted()
    elsewhere = {"sec-fetch-site": "cross-site"}
    held_back = await browsers().get(f"/drafts/{draft}", **elsewhere)
    assert held_back.status_code == 200
    assert f'content="0;url=/drafts/{draft}?here=1"' in held_back.text
    assert (await browsers().get(f"/drafts/{draft}?here=1", **elsewhere)).status_code == 401
    assert (await (await signed_in()).get(f"/drafts/{draft}?here=1")).status_code == 200


async def test_signing_out_ends_the_session_for_every_copy_of_its_cookie(signed_in, browsers):
    browser, copy = await signed_in(), browsers()
    secret = browser.client.cookies["crm_session"]
    copy.client.cookies.set("crm_session", secret)
    csrf = {"csrf": _csrf((await browser.get("/")).text)}
    gone = await browser.post("/logout", csrf)
    assert "You are signed out" in text(gone.text)
    assert "crm_session" not in browser.client.cookies
    assert (await copy.get("/")).status_code == 401


async def test_a_session_ends_by_itself(signed_in, change):
    browser = await signed_in()
    change("update crm.web_sessions set expires_at = now() - interval '1 second'")
    assert (await browser.get("/")).status_code == 401


async def test_whoever_leaves_the_org_is_signed_out(signed_in, change):
    browser = await signed_in("fin@demo.example")
    change(
        "update crm.memberships set active = false where user_id = (select id from crm.users where email = 'fin@demo.example')"
    )
    try:
        assert (await browser.get("/")).status_code == 401
    finally:
        change(
            "update crm.memberships set active = true where user_id = (select id from crm.users where email = 'fin@demo.example')"
        )


@pytest.fixture
def audited(home):
    """Return the audit rows of signing in and out since the test began, as mappings."""
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        (before,) = conn.execute("select coalesce(max(id), 0) from crm.audit_log").fetchone()

    def rows():
        asked = """select to_jsonb(a) || jsonb_build_object('org', o.slug, 'email', u.email) from crm.audit_log a
          join crm.orgs o on o.id = a.org_id join crm.users u on u.id = a.user_id
          where a.id > %s and a.tool like 'page%%' order by a.id"""
        with psycopg.connect(home.conninfo("crm_owner")) as conn:
            return [row for (row,) in conn.execute(asked, (before,))]

    return rows


async def test_signing_in_and_out_is_audited_without_a_secret(browsers, link, audited):
    browser, url = browsers(), await link()
    await browser.use(url)
    cookie = browser.client.cookies["crm_session"]
    csrf = _csrf((await browser.get("/")).text)
    await browser.post("/logout", {"csrf": csrf})
    rows = audited()
    assert [(r["tool"], r["phase"], r["outcome"], r["org"], r["email"], r["agent"]) for r in rows] == [
        (tool, *ended, "demo", "mia@demo.example", None)
        for tool in ("page_sign_in", "page_sign_out")
        for ended in (("begun", None), ("ended", "ok"))
    ]
    assert len({r["call_id"] for r in rows}) == 2
    kept = str([{k: v for k, v in r.items() if k not in ("salt", "digest")} for r in rows]).lower()
    link_secret = url.rsplit("/", 1)[1]
    for secret in (link_secret, cookie, csrf):
        for form in (secret, secret.encode().hex(), hashlib.sha256(secret.encode()).hexdigest()):
            assert form.lower() not in kept


async def test_a_refused_link_leaves_a_log_line_and_no_row(browsers, link, audited):
    url = await link()
    await browsers().use(url)
    rows = audited()
    logger()
    with capture_logs() as lines:
        assert (await browsers().use(url)).status_code == 403
        assert (await browsers().post("/login", {"secret": "A" * 43})).status_code == 403
    assert [line["event"] for line in lines] == ["sign-in link refused"] * 2
    assert url.rsplit("/", 1)[1] not in str(lines)
    assert audited() == rows


async def test_signing_in_anew_signs_the_browser_out_of_its_old_session(signed_in, link, audited):
    browser = await signed_in("fin@demo.example")
    await browser.use(await link())
    ended = [(r["tool"], r["email"]) for r in audited() if r["phase"] == "ended"]
    assert ended == [
        ("page_sign_in", "fin@demo.example"),
        ("page_sign_in", "mia@demo.example"),
        ("page_sign_out", "fin@demo.example"),
    ]


async def test_two_at_once_sign_a_session_out_once(signed_in, audited):
    browser = await signed_in()
    csrf = {"csrf": _csrf((await browser.get("/")).text)}
    await asyncio.gather(*(browser.post("/logout", csrf) for _ in range(3)))
    assert [r["tool"] for r in audited() if r["phase"] == "ended"] == ["page_sign_in", "page_sign_out"]


async def test_without_its_audit_row_nobody_is_signed_in_or_out(signed_in, browsers, link, change, home):
    browser, url = await signed_in(), await link()
    csrf = {"csrf": _csrf((await browser.get("/")).text)}
    late = browsers()
    fields = {"secret": url.rsplit("/", 1)[1]}
    right = "insert (org_id) on crm.audit_log {} crm_approver"
    change("revoke " + right.format("from"))
    try:
        assert (await late.post("/login", fields)).status_code == 500
        assert (await browser.post("/logout", csrf)).status_code == 500
    finally:
        change("grant " + right.format("to"))
    assert (await late.get("/")).status_code == 401
    assert (await browser.get("/")).status_code == 200
    assert (await late.post("/login", fields)).status_code == 303


async def test_a_link_of_somebody_who_left_signs_nobody_in(browsers, link, change, audited):
    url = await link("fin@demo.example")
    membership = "update crm.memberships set active = %s where user_id = (select id from crm.users where email = 'fin@demo.example')"
    change(membership, False)
    try:
        assert (await browsers().use(url)).status_code == 403
        assert audited() == []
    finally:
        change(membership, True)


def _csrf(html):
    return html.split('name="csrf" value="')[1].split('"')[0]
