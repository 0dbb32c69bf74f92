"""What does not come from this page is turned away before anything is looked up."""

import re
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from browser import hidden, text
from crm_mcp.approvals import queue, web
from crm_mcp.errors import DatabaseUnavailable


@pytest.mark.parametrize(
    "host",
    ["attacker.example", "localhost", "localhost:9999", "localhost:8787.attacker.example", "127.0.0.1:8787", ""],
)
async def test_another_host_name_is_turned_away(signed_in, host):
    browser = await signed_in()
    for path in ("/", "/healthz", "/static/page.css"):
        answer = await browser.get(path, host=host)
        assert answer.status_code == 421
        assert "Mia" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"origin": "https://localhost:8787"},
        {"origin": None},
        {"origin": None, "referer": "https://evil.example/http://localhost:8787/"},
        {"origin": None, "referer": "http://localhost:8787.evil.example/"},
        {"origin": "https://evil.example", "referer": "http://localhost:8787/"},
    ],
)
async def test_a_form_from_another_origin_does_nothing(signed_in, drafted, state, headers):
    browser, draft = await signed_in(), await drafted()
    fields = await browser.form(draft)
    answer = await browser.post(f"/drafts/{draft}/approve", fields, **headers)
    assert answer.status_code == 403
    assert state(draft) == "pending"


async def test_a_referer_will_do_where_a_browser_sends_no_origin(signed_in, drafted, state):
    browser, draft = await signed_in(), await drafted()
    fields = await browser.form(draft, "reject")
    referer = f"{browser.origin}/drafts/{draft}"
    answer = await browser.post(f"/drafts/{draft}/reject", {**fields, "reason": "no"}, origin=None, referer=referer)
    assert answer.status_code == 303
    assert state(draft) == "rejected"


@pytest.mark.parametrize("action", ["approve", "reject"])
async def test_a_form_without_this_sessions_token_does_nothing(signed_in, drafted, state, action):
    browser, other, draft = await signed_in(), await signed_in("ada@demo.example"), await drafted()
    fields = {**await browser.form(draft, action), "reason": "no"}
    theirs = (await other.form(draft, action))["csrf"]
    for token in ("", "0" * 64, theirs, "é", fields["csrf"].upper() + "0"):
        answer = await browser.post(f"/drafts/{draft}/{action}", {**fields, "csrf": token})
        assert answer.status_code == 403
    del fields["csrf"]
    assert (await browser.post(f"/drafts/{draft}/{action}", fields)).status_code == 403
    assert state(draft) == "pending"


async def test_signing_out_needs_the_token_too(signed_in):
    browser = await signed_in()
    assert (await browser.post("/logout", {"csrf": "wrong"})).status_code == 403
    assert (await browser.get("/")).status_code == 200


async def test_reading_changes_nothing(signed_in, drafted, state):
    browser, draft = await signed_in(), await drafted()
    for action in ("approve", "reject", "discard"):
        assert (await browser.get(f"/drafts/{draft}/{action}")).status_code == 405
    assert (await browser.get("/logout")).status_code == 405
    assert state(draft) == "pending"


async def test_every_answer_keeps_to_itself(signed_in, browsers, drafted):
    browser, draft = await signed_in(), await drafted()
    answers = [
        await browser.get("/"),
        await browser.get("/history"),
        await browser.get(f"/drafts/{draft}"),
        await browser.get("/drafts/draft_999999"),
        await browser.get("/no/such/page"),
        await browser.get("/static/page.css"),
        await browser.get("/", host="evil.example"),
        await browser.post("/logout", {}),
        await browser.post("/logout", {}, origin="https://evil.example"),
        await browsers().get("/"),
        await browsers().get("/login/x"),
        await browsers().get("/healthz"),
    ]
    for answer in answers:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            "style-src": "'self'",
            "script-src": "'self'",
            "img-src": "'self'",
            "connect-src": "'self'",
            "form-action": "'self'",
            "frame-ancestors": "'none'",
            "base-uri": "'none'",
        }
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "<style" not in answer.text
        assert " style=" not in answer.text
        assert "http://" not in answer.text.replace("http://localhost:8787", "").replace("http://www.w3.org", "")
        assert "https://" not in answer.text


async def test_a_form_that_is_no_form_is_refused(signed_in, drafted, state):
    browser, draft = await signed_in(), await drafted()
    path, fields = f"/drafts/{draft}/approve", await browser.form(draft)
    mine = {"origin": browser.origin}
    assert (await browser.post(path, {**fields, "x": "y" * 20_000})).status_code == 413
    assert (await browser.client.post(path, json=fields, headers=mine)).status_code == 415
    assert (await browser.client.post(path, data=fields, files={"x": b"y"}, headers=mine)).status_code == 415
    encoded = {**mine, "content-type": "application/x-www-form-urlencoded"}
    for broken in (b"csrf=%ff", b"\xff\xfe", b"&".join(b"a%d=1" % i for i in range(50)), b"csrf=a&csrf=b"):
        assert (await browser.client.post(path, content=broken, headers=encoded)).status_code == 400
    assert state(draft) == "pending"


async def test_health_needs_no_session_and_says_nothing(browsers):
    answer = await browsers().get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


@pytest.mark.parametrize("name", ["../web.py", "..%2fweb.py", "page.css.map", ""])
async def test_only_known_files_are_served(browsers, name):
    assert (await browsers().get(f"/static/{name}")).status_code == 404


def test_no_script_meets_the_names_of_another():
    folder = Path(web.__file__).with_name("templates")
    tags = [tag for file in folder.glob("*.html") for tag in re.findall(r"<script[^>]*>", file.read_text("utf-8"))]
    assert len(tags) > 1
    assert [tag for tag in tags if not re.fullmatch(r'<script src="/static/\w+\.js" type="module">', tag)] == []


async def test_a_crash_is_calm_and_tells_nothing(signed_in, monkeypatch):
    browser = await signed_in()

    async def breaks(*_args, **_named):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(queue, "waiting", breaks)
    with capture_logs() as logs:
        answer = await browser.get("/")
    assert answer.status_code == 500
    assert "Something went wrong" in text(answer.text)
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text
    assert [(log["event"], log["page"]) for log in logs] == [("page crashed", "waiting")]


async def test_a_crash_while_signing_in_does_not_log_the_link(browsers, link, monkeypatch):
    async def breaks(*_args):
        raise RuntimeError("broken")

    monkeypatch.setattr("crm_mcp.approvals.session.begin", breaks)
    url = await link()
    with capture_logs() as logs:
        assert (await browsers().use(url)).status_code == 500
    assert len(logs) == 1
    assert url.rsplit("/", 1)[1] not in str(logs)


async def test_a_database_that_is_away_says_so(signed_in, monkeypatch):
    browser = await signed_in()

    async def away(*_args, **_named):
        raise DatabaseUnavailable

    monkeypatch.setattr(queue, "waiting", away)
    answer = await browser.get("/")
    assert answer.status_code == 503
    assert "Try again in a few seconds" in text(answer.text)


async def test_a_login_form_carries_only_the_link_and_where_to_go(browsers, link):
    url = await link(then="/history")
    assert hidden((await browsers().get(url)).text) == {
        "secret": url.split("/login/")[1].split("?")[0],
        "next": "/history",
    }
