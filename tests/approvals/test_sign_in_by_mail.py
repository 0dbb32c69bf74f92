"""Whoever asks for a link hears the same; only the owner of an address gets one, and only the letter holds it."""

import asyncio
import hashlib
import re
from contextlib import asynccontextmanager
from types import SimpleNamespace

import psycopg
import pytest
from structlog.testing import capture_logs

from browser import ORIGIN, Browser, hidden, text
from crm_mcp.approvals.pace import Pace
from crm_mcp.approvals.sign_in_mail import Mailer
from crm_mcp.approvals.web import build_page
from crm_mcp.cli.mailing import mailer_of
from crm_mcp.config import Settings
from crm_mcp.log import logger
from postbox import postbox

LINK = re.compile(r"http://localhost:8787/login/([A-Za-z0-9_-]{43})(\S*)")


@pytest.fixture
def mails():
    """The letters that would have been sent."""
    return []


@pytest.fixture
def mailing(approver, mails):
    """A page that sends letters; `door.answer(email)` asks for one and waits until it is sent."""

    async def send(letter):
        mails.append(letter)

    return _page(approver, Mailer(send))


def _page(approver, mailer):
    app = build_page(approver, origin=ORIGIN, mailer=mailer)
    browser = Browser(app)

    async def ask(email, **fields):
        answer = await browser.post("/login/mail", {"email": email, **fields})
        await app.state.desk.postern.settled()
        return answer

    return SimpleNamespace(app=app, browser=browser, ask=ask, postern=app.state.desk.postern)


async def test_a_mailed_link_signs_in_once(mailing, mails):
    shown = await mailing.browser.get("/login")
    assert shown.status_code == 200
    assert 'name="email"' in shown.text
    await mailing.ask("Mia@Demo.example")
    (letter,) = mails
    assert letter.addresses == ["mia@demo.example"]
    secret = LINK.search(letter.body)[1]
    first, second = Browser(mailing.app), Browser(mailing.app)
    answer = await first.use(f"/login/{secret}")
    assert answer.status_code == 303
    assert "Mia Moreau" in (await first.follow(answer)).text
    assert (await second.use(f"/login/{secret}")).status_code == 403


async def test_a_mailed_link_is_good_for_a_quarter_of_an_hour(mailing, mails, owner_asks, change):
    await mailing.ask("mia@demo.example")
    secret = LINK.search(mails[0].body)[1]
    digest = hashlib.sha256(secret.encode()).digest()
    left = owner_asks("select expires_at - clock_timestamp() from crm.login_links where digest = %s", digest)
    assert 880 < left.total_seconds() <= 900
    change("update crm.login_links set expires_at = now() where digest = %s", digest)
    assert (await Browser(mailing.app).use(f"/login/{secret}")).status_code == 403


ASKED = ["mia@demo.example", "nobody@demo.example", "gone@demo.example", "", "no address", "a" * 5000 + "@x.example",
         "mia@demo.example\r\nBcc: x@evil.example", "<script>@x.example", "'; drop table crm.users; --", "mia@demo.example,x@evil.example"]  # fmt: skip


async def test_every_address_gets_the_same_answer(mailing, mails, home):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("insert into crm.users(email, name) values ('gone@demo.example', 'Gone') on conflict do nothing")
        conn.execute(
            "insert into crm.memberships(org_id, user_id, role, active) select o.id, u.id, 'sales', false from crm.orgs o,"
            " crm.users u where o.slug = 'demo' and u.email = 'gone@demo.example' on conflict do nothing"
        )
    answers = [await mailing.ask(address) for address in ASKED]
    assert len({(a.status_code, a.text, tuple(sorted(a.headers.items()))) for a in answers}) == 1
    assert answers[0].status_code == 200
    assert [letter.addresses for letter in mails] == [["mia@demo.example"]]


async def test_the_answer_waits_for_no_letter_and_no_lookup(approver):
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def send(letter):
        begun.set()
        await may_end.wait()

    page = _page(approver, Mailer(send))
    answer = await page.browser.post("/login/mail", {"email": "mia@demo.example"})
    assert answer.status_code == 200
    await begun.wait()
    may_end.set()
    await page.postern.settled()


async def test_a_letter_that_cannot_be_sent_changes_no_answer_and_tells_the_log_no_secret(approver, mailing):
    kept = []

    async def send(letter):
        kept.append(LINK.search(letter.body)[1])
        raise OSError("connection to mail.example refused " + letter.body)

    broken = _page(approver, Mailer(send))
    logger()
    with capture_logs() as lines:
        answer = await broken.ask("mia@demo.example")
    assert answer.text == (await mailing.ask("mia@demo.example")).text
    assert [line["event"] for line in lines] == ["sign-in letter not sent"]
    assert kept[0] not in str(lines) and "mia@" not in str(lines)


async def test_the_secret_is_in_the_letter_alone(mailing, mails, home):
    await mailing.ask("mia@demo.example")
    secret = LINK.search(mails[0].body)[1]
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        asked = "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('crm', 'jobs') and c.relkind = 'r'"
        for (table,) in conn.execute(asked).fetchall():
            held = conn.execute(f"select count(*) from {table} x where x::text like %s", (f"%{secret}%",)).fetchone()
            assert held == (0,), table


async def test_an_address_gets_three_letters_in_a_quarter_of_an_hour(mailing, mails):
    answers = [await mailing.ask(a) for a in ("mia@demo.example", "MIA@demo.example", " mia@demo.example ", "mia@demo.example", "sam@demo.example")]  # fmt: skip
    assert [letter.addresses[0][:3] for letter in mails] == ["mia", "mia", "mia", "sam"]
    assert len({a.text for a in answers}) == 1


async def test_a_peer_that_asks_without_end_is_turned_away(mailing, mails):
    answers = [await mailing.ask(f"nobody{n}@demo.example") for n in range(61)]
    assert [a.status_code for a in answers[-2:]] == [200, 429]
    forwarded = await mailing.browser.post(
        "/login/mail", {"email": "mia@demo.example"}, **{"x-forwarded-for": "203.0.113.7"}
    )
    assert forwarded.status_code == 429, "what a client says of itself is no other peer"
    assert mails == []


def test_who_asks_again_later_may():
    now = [0.0]
    pace = Pace(2, 10, lambda: now[0])
    assert [pace.allows("a") for _ in range(3)] == [True, True, False]
    assert pace.allows("b")
    now[0] = 10.0
    assert pace.allows("a")


def test_a_crowd_of_askers_is_not_remembered_for_ever():
    pace = Pace(1, 10, lambda: 0.0)
    for asker in range(12_000):
        pace.allows(str(asker))
    assert len(pace._asked) <= 10_000


async def test_somebody_in_two_orgs_gets_a_link_for_each(mailing, mails, home):
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute("insert into crm.users(email, name) values ('both@demo.example', 'Both')")
        conn.execute(
            "insert into crm.memberships(org_id, user_id, role) select o.id, u.id, 'sales' from crm.orgs o, crm.users u"
            " where o.slug in ('demo', 'other') and u.email = 'both@demo.example'"
        )
        names = {
            name for (name,) in conn.execute("select name from crm.orgs where slug in ('demo', 'other')").fetchall()
        }
    await mailing.ask("both@demo.example")
    secrets = [found[1] for found in LINK.finditer(mails[0].body)]
    seen = set()
    for secret in secrets:
        browser = Browser(mailing.app)
        page = await browser.follow(await browser.use(f"/login/{secret}"))
        seen |= {name for name in names if name in text(page.text)}
    assert (len(secrets), seen) == (2, names)


async def test_a_link_leads_on_to_the_draft_that_was_asked_for(mailing, mails):
    shown = await mailing.browser.get("/drafts/draft_7")
    assert shown.status_code == 401
    await mailing.ask("mia@demo.example", **hidden(shown.text))
    found = LINK.search(mails[0].body)
    assert found[2] == "?next=/drafts/draft_7"
    answer = await Browser(mailing.app).use(found[0])
    assert answer.headers["location"] == "/drafts/draft_7"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil", "/logout", "\r\nX: y"])
async def test_a_letter_never_leads_elsewhere(mailing, mails, elsewhere):
    await mailing.ask("mia@demo.example", next=elsewhere)
    assert LINK.search(mails[0].body)[2] == ""
    assert "evil" not in mails[0].body


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": None}, {"origin": "null"}, {"host": "evil.example"}]
)
async def test_another_site_cannot_have_letters_sent(mailing, mails, headers):
    answer = await mailing.browser.post("/login/mail", {"email": "mia@demo.example"}, **headers)
    await mailing.postern.settled()
    assert answer.status_code in (403, 421)
    assert mails == []


async def test_without_a_mail_server_the_page_says_who_makes_links(page, mails):
    browser = Browser(page)
    for path in ("/login", "/", "/drafts/draft_7"):
        shown = await browser.get(path)
        assert 'name="email"' not in shown.text
        assert "crm-mcp open" in shown.text and "administrator" in shown.text
    asked = await browser.post("/login/mail", {"email": "mia@demo.example"})
    assert "on its way" not in asked.text


async def test_a_large_form_is_refused(mailing):
    assert (await mailing.ask("a" * 20_000)).status_code == 413


@asynccontextmanager
async def over_smtp(approver, monkeypatch, box):
    monkeypatch.setenv("CRM_SMTP_URL", f"smtp://127.0.0.1:{box.port}")
    mailer = mailer_of(Settings())
    assert mailer is not None
    page = _page(approver, mailer)
    yield page
    await page.browser.client.aclose()


@pytest.fixture
def sender(change, owner_asks):
    """Have the demo org write as somebody else for the length of a test."""
    ours = "org_id = (select id from crm.orgs where slug = 'demo')"
    was = owner_asks(f"select array[sender_name, sender_email] from crm.org_settings where {ours}")
    said = f"update crm.org_settings set sender_name = %s, sender_email = %s where {ours}"
    change(said, "Müller", "crm@demo.example")
    yield
    change(said, *was)


async def test_the_letter_travels_by_the_configured_mail_server(approver, monkeypatch, sender):
    async with postbox() as box, over_smtp(approver, monkeypatch, box) as page:
        await page.ask("mia@demo.example")
        letter = box.read()
        assert box.mails[0].rcpt_tos == ["mia@demo.example"]
        assert letter["Subject"] == "Sign in to approvals"
        secret = LINK.search(letter.get_content())[1]
        assert (await Browser(page.app).use(f"/login/{secret}")).status_code == 303


async def test_a_mail_server_that_refuses_changes_no_answer(approver, monkeypatch, mailing):
    async with postbox() as box, over_smtp(approver, monkeypatch, box) as page:
        box.say["RCPT"] = "550 unknown"
        logger()
        with capture_logs() as lines:
            answer = await page.ask("mia@demo.example")
        assert answer.text == (await mailing.ask("mia@demo.example")).text
    assert "550" in lines[0]["said"] and "/login/" not in str(lines)


async def test_an_orgs_name_cannot_pretend_to_be_another_part_of_the_letter(mailing, mails, change, owner_asks):
    name = owner_asks("select name from crm.orgs where slug = 'demo'")
    change("update crm.orgs set name = %s where slug = 'demo'", "Evil\n\nClick http://evil.example\n")
    try:
        await mailing.ask("mia@demo.example")
    finally:
        change("update crm.orgs set name = %s where slug = 'demo'", name)
    assert "\nClick" not in mails[0].body
