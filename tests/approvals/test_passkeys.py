"""A person adds, names and revokes their own passkeys, and signs in with them; an administrator revokes what was lost."""

import re

import pytest
from click.testing import CliRunner

from authenticator import ES256, PRESENT, RS256, Authenticator, EdDSA, decoded
from browser import ORIGIN, text
from crm_mcp.approvals.web import build_page
from crm_mcp.cli import main

KEPT = "select count(*) from crm.passkeys where credential = %s and revoked_at is null"
AUDITED = """select count(*) from crm.audit_log a join crm.users u on u.id = a.user_id
 where a.tool = %s and a.phase = 'ended' and a.outcome = 'ok' and u.email = %s"""


async def own(browser):
    """Return name → number of the passkeys on a page."""
    html = (await browser.get("/passkeys")).text
    rows = re.findall(r'class="name"><bdi>(.*?)</bdi>.*?/passkeys/(\d+)/revoke', html, re.DOTALL)
    return dict(rows)


async def act(browser, number, action, **fields):
    csrf = re.search(r'name="csrf" value="(\w+)"', (await browser.get("/passkeys")).text)[1]
    return await browser.post(f"/passkeys/{number}/{action}", {"csrf": csrf, **fields})


@pytest.fixture
def ages(change):
    """Let all sessions be eleven minutes old."""
    return lambda: change("update crm.web_sessions set created_at = created_at - interval '11 minutes'")


@pytest.mark.parametrize("kind", [ES256, EdDSA, RS256])
async def test_a_passkey_of_each_kind_is_added_and_signs_in(keyed, owner_asks, kind):
    mia = await keyed(key=Authenticator(kind))
    assert owner_asks(KEPT, mia.key.id) == 1
    fresh = await keyed(email=None, key=mia.key)
    assert (await fresh.get("/")).status_code == 401
    answer = await fresh.sign_in(next="/history")
    assert answer.headers["location"] == "/history"
    assert {"httponly", "samesite=strict"} <= set(answer.headers["set-cookie"].lower().split("; "))
    assert "Mia Moreau" in (await fresh.follow(answer)).text
    assert owner_asks(AUDITED, "page_sign_in", "mia@demo.example") > 0


async def test_what_is_asked_for_is_a_passkey_that_checks_its_person_and_is_found_without_a_name(keyed):
    mia = await keyed()
    csrf = re.search(r'name="csrf" value="(\w+)"', (await mia.get("/passkeys")).text)[1]
    asked = (await mia.post("/passkeys/options", {"csrf": csrf})).json()
    chosen = asked["authenticatorSelection"]
    assert (chosen["residentKey"], chosen["userVerification"]) == ("required", "required")
    assert asked["rp"]["id"] == "localhost"
    assert [decoded(one["id"]) for one in asked["excludeCredentials"]] == [mia.key.id]
    assert decoded(asked["user"]["id"]) == mia.key.handle
    assert b"mia" not in decoded(asked["user"]["id"])


async def test_a_passkey_gets_another_name_and_keeps_it_as_text(keyed, owner_asks):
    mia = await keyed()
    (number,) = (await own(mia)).values()
    assert (await act(mia, number, "rename", name="  <b>Work</b> key ")).status_code == 303
    html = (await mia.get("/passkeys")).text
    assert "&lt;b&gt;Work&lt;/b&gt; key" in html
    assert "<b>Work</b>" not in html
    for bad in ("", "   ", "x" * 61):
        assert (await act(mia, number, "rename", name=bad)).status_code == 422
    assert owner_asks(AUDITED, "rename_passkey", "mia@demo.example") > 0


async def test_revoking_a_passkey_ends_it_and_what_it_opened(keyed, owner_asks):
    mia = await keyed()
    thief = await keyed(email=None, key=mia.key)
    await thief.sign_in()
    assert (await thief.get("/")).status_code == 200
    (number,) = (await own(mia)).values()
    assert (await act(mia, number, "revoke")).status_code == 303
    assert (await thief.get("/")).status_code == 401
    assert (await mia.get("/")).status_code == 200
    assert owner_asks(KEPT, mia.key.id) == 0
    assert (await thief.sign_in()).status_code == 403
    assert (await thief.get("/")).status_code == 401
    assert owner_asks(AUDITED, "revoke_passkey", "mia@demo.example") > 0


async def test_a_passkey_is_added_only_within_ten_minutes_of_signing_in(keyed, ages):
    mia = await keyed(adds=False)
    ages()
    assert "Sign out, ask for a new sign-in link" in text((await mia.get("/passkeys")).text)
    answer = await mia.enrol()
    assert answer.status_code == 409
    assert "more than ten minutes ago" in answer.json()["problem"]
    assert await own(mia) == {}


async def test_who_has_a_passkey_shows_it_instead_of_a_new_link(keyed, ages):
    mia = await keyed()
    ages()
    assert "Show that it is you" in (await mia.get("/passkeys")).text
    assert (await mia.enrol()).status_code == 409
    csrf = re.search(r'name="csrf" value="(\w+)"', (await mia.get("/passkeys")).text)[1]
    asked = (await mia.post("/passkeys/again", {"csrf": csrf})).json()
    assert [decoded(one["id"]) for one in asked["allowCredentials"]] == [mia.key.id]
    sent = {"credential": mia.key.get(asked, ORIGIN), "next": "/passkeys"}
    assert (await mia.post("/login/passkey", sent)).headers["location"] == "/passkeys"
    first, mia.key = mia.key, Authenticator()
    assert (await mia.enrol("My key")).status_code == 303
    assert set(await own(mia)) == {"My phone", "My key"}
    assert mia.key.handle == first.handle


@pytest.mark.parametrize(
    "said",
    [{"origin": "https://evil.example"}, {"party": "evil.example"}, {"flags": PRESENT}, {"challenge": "AAAA"}],
)
async def test_an_enrolment_that_does_not_hold_adds_nothing(keyed, owner_asks, said):
    mia = await keyed(adds=False)
    assert (await mia.enrol(**said)).status_code == 409
    assert owner_asks(KEPT, mia.key.id) == 0


async def test_an_enrolment_is_good_once_and_for_its_own_session(keyed, owner_asks):
    mia, ada = await keyed(adds=False), await keyed("ada@demo.example", adds=False)
    csrf = {b: re.search(r'name="csrf" value="(\w+)"', (await b.get("/passkeys")).text)[1] for b in (mia, ada)}
    asked = (await mia.post("/passkeys/options", {"csrf": csrf[mia]})).json()
    sent = {"name": "A", "credential": mia.key.create(asked, ORIGIN)}
    assert (await ada.post("/passkeys", {**sent, "csrf": csrf[ada]})).status_code == 409
    assert (await mia.post("/passkeys", {**sent, "csrf": csrf[mia]})).status_code == 303
    other = Authenticator()
    sent["credential"] = other.create(asked, ORIGIN)
    assert (await mia.post("/passkeys", {**sent, "csrf": csrf[mia]})).status_code == 409
    assert (owner_asks(KEPT, mia.key.id), owner_asks(KEPT, other.id)) == (1, 0)


async def test_a_credential_belongs_to_one_person(keyed, owner_asks):
    mia = await keyed()
    ada = await keyed("ada@demo.example", key=Authenticator(id=mia.key.id), adds=False)
    assert (await ada.enrol()).status_code == 409
    assert await own(ada) == {"My phone": (await own(mia))["My phone"]}  # an administrator sees it, as mia's


@pytest.mark.parametrize(
    "said",
    [
        {"origin": "https://evil.example"},
        {"party": "evil.example"},
        {"flags": PRESENT},
        {"type": "webauthn.create"},
        {"challenge": "AAAA"},
        {"key": Authenticator()},
    ],
)
async def test_a_sign_in_that_does_not_hold_signs_nobody_in(keyed, said):
    mia = await keyed()
    stranger = await keyed(email=None, key=mia.key)
    answer = await stranger.sign_in(**said)
    assert answer.status_code in (403, 409)
    assert "set-cookie" not in answer.headers
    assert (await stranger.get("/")).status_code == 401


async def test_a_sign_in_is_good_once_and_for_five_minutes(keyed, change):
    mia = await keyed()
    stranger = await keyed(email=None, key=mia.key)
    asked = (await stranger.post("/login/passkey/options", {})).json()
    sent = {"credential": mia.key.get(asked, ORIGIN)}
    assert (await mia.post("/login/passkey", sent)).status_code == 303
    mia.key.count += 1
    assert (await stranger.post("/login/passkey", sent)).status_code == 403
    asked = (await stranger.post("/login/passkey/options", {})).json()
    change("update crm.passkey_challenges set expires_at = now() where challenge = %s", decoded(asked["challenge"]))
    assert (await stranger.post("/login/passkey", {"credential": mia.key.get(asked, ORIGIN)})).status_code == 403


async def test_what_was_signed_to_approve_signs_nobody_in(keyed, drafted, rule):
    rule(passkeys="always")
    mia, draft = await keyed(), await drafted()
    _, options = await mia.asked(draft)
    stranger = await keyed(email=None)
    answer = await stranger.post("/login/passkey", {"credential": mia.key.get(options, ORIGIN)})
    assert answer.status_code == 403
    assert (await stranger.get("/")).status_code == 401


async def test_a_copied_passkey_signs_nobody_in_and_it_is_said(keyed):
    mia = await keyed()
    stranger = await keyed(email=None, key=mia.key)
    await stranger.sign_in()
    mia.key.count = 0
    answer = await stranger.sign_in()
    assert answer.status_code == 403
    assert "somebody may hold a copy of it" in text(answer.text)


async def test_a_new_sign_in_takes_the_place_of_the_old(keyed):
    mia = await keyed()
    was = mia.client.cookies["crm_session"]
    await mia.sign_in()
    now = mia.client.cookies["crm_session"]
    assert now != was
    old = await keyed(email=None)
    old.client.cookies.set("crm_session", was)
    assert (await old.get("/")).status_code == 401


async def test_who_left_the_org_signs_in_no_more(keyed, change):
    olga = await keyed("olga@demo.example")
    change(
        "update crm.memberships set active = false from crm.users u where u.id = user_id and u.email like 'olga@%%'"
    )
    try:
        stranger = await keyed(email=None, key=olga.key)
        assert (await stranger.sign_in()).status_code == 403
    finally:
        change(
            "update crm.memberships set active = true from crm.users u where u.id = user_id and u.email like 'olga@%%'"
        )


async def test_nobody_touches_anothers_passkey_but_an_administrator_revokes_it(keyed, owner_asks):
    mia, sam, ada = await keyed(), await keyed("sam@demo.example", adds=False), await keyed("ada@demo.example")
    (number,) = (await own(mia)).values()
    assert await own(sam) == {}
    assert (await act(sam, number, "revoke")).status_code == 404
    assert (await act(sam, number, "rename", name="mine")).status_code == 404
    assert (await act(ada, number, "rename", name="mine")).status_code == 404
    assert owner_asks(KEPT, mia.key.id) == 1
    assert "of Mia Moreau" in text((await ada.get("/passkeys")).text)
    assert (await act(ada, number, "revoke")).status_code == 303
    assert owner_asks(KEPT, mia.key.id) == 0


async def test_an_administrator_of_another_org_sees_and_revokes_nothing_here(keyed, owner_asks):
    mia, otto = await keyed(), await keyed("otto@other.example", adds=False)
    (number,) = (await own(mia)).values()
    assert await own(otto) == {}
    assert (await act(otto, number, "revoke")).status_code == 404
    assert owner_asks(KEPT, mia.key.id) == 1


@pytest.mark.parametrize("number", ["0", "x", "-1", "9" * 30, "%00"])
async def test_a_passkey_that_never_was_is_not_found(keyed, number):
    assert (await act(await keyed(adds=False), number, "revoke")).status_code == 404


@pytest.mark.parametrize("origin", ["http://192.168.1.20:8787", "http://[::1]:8787", "http://crm.firm.example"])
async def test_where_browsers_keep_no_passkeys_the_page_says_what_to_do(keyed, browsers, link, approver, origin):
    browser = browsers(build_page(approver, origin=origin), origin)
    await browser.use((await link()).removeprefix(ORIGIN))
    shown = text((await browser.get("/passkeys")).text)
    assert "CRM_APPROVALS_URL" in shown
    assert "Add a passkey" not in shown
    assert (await browser.post("/login/passkey/options", {})).status_code == 409


async def test_the_sign_in_page_offers_a_passkey_and_says_that_it_needs_script(browsers):
    shown = await browsers().get("/history")
    assert 'action="/login/passkey"' in shown.text
    assert 'name="next" value="/history"' in shown.text
    assert "needs JavaScript" in shown.text


async def test_the_owner_resets_what_a_person_lost(keyed, home, monkeypatch, owner_asks):
    monkeypatch.setenv("CRM_HOME", str(home.root))
    mia, ada = await keyed(), await keyed("ada@demo.example")
    done = CliRunner().invoke(main, ["users", "reset-passkeys", "--org", "demo", "MIA@demo.example"])
    assert (done.exit_code, "1 revoked" in done.output) == (0, True)
    assert (await mia.get("/")).status_code == 401
    assert (await mia.sign_in()).status_code == 403
    assert owner_asks(KEPT, mia.key.id) == 0
    assert ((await ada.get("/")).status_code, owner_asks(KEPT, ada.key.id)) == (200, 1)
    assert owner_asks(AUDITED, "reset_passkeys", "mia@demo.example") > 0
    wrong = CliRunner().invoke(main, ["users", "reset-passkeys", "--org", "other", "mia@demo.example"])
    assert wrong.exit_code == 1
