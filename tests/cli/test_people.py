"""People are invited, changed, sent a link and off-boarded; whoever left is out at once, everywhere."""

import hashlib
import json
import stat
from asyncio import to_thread
from decimal import Decimal

import psycopg
import pytest

from browser import ORIGIN, Browser
from crm_mcp import auth
from crm_mcp.approvals.links import make_login_link
from crm_mcp.approvals.web import build_page
from crm_mcp.errors import SignInFailed
from postbox import postbox
from stated_policy import state_policy

MEMBERSHIP = """select to_jsonb(m) from crm.memberships m join crm.users u on u.id = m.user_id
 join crm.orgs o on o.id = m.org_id where o.slug = %s and u.email = %s"""


@pytest.fixture
def invite(crm):
    def typed(slug, *words, name="Ann", role="sales"):
        return crm("users", "invite", "--org", slug, "--name", name, "--role", role, *words)

    return typed


@pytest.fixture
async def browsers(approver):
    opened = []

    def make():
        opened.append(Browser(build_page(approver, origin=ORIGIN)))
        return opened[-1]

    yield make
    for browser in opened:
        await browser.client.aclose()


def listed(crm, slug):
    return {row["email"]: row for row in json.loads(crm("users", "list", "--org", slug, "--json").stdout)}


async def test_an_invitation_is_taken_up_by_its_link_once(crm, firm, invite, browsers, approver):
    slug = await to_thread(firm)
    email = f"ann@{slug}.example"
    rights = ("--approves", "--limit", "2500.50", "--mails", "--reports-to", f"boss@{slug}.example")
    made = await to_thread(invite, slug, *rights, "--print-link", email)
    assert made.exit_code == 0, made.output
    url = made.stdout.strip()
    assert url.startswith(f"{ORIGIN}/login/")
    assert (await to_thread(listed, crm, slug))[email]["state"] == "invited"
    with pytest.raises(SignInFailed):
        await approver.sign_in(auth.by_email(email, slug))
    browser = browsers()
    answer = await browser.use(url)
    assert answer.status_code == 303
    assert slug.title() in (await browser.follow(answer)).text
    assert (await browsers().use(url)).status_code == 403
    row = (await to_thread(listed, crm, slug))[email]
    expected = {"state": "active", "mayApprove": True, "approvalLimit": "2500.5000", "maySendEmail": True}
    assert (expected | {"reportsTo": f"boss@{slug}.example"}).items() <= row.items()


def test_a_link_is_written_where_only_its_owner_reads_it(firm, invite, tmp_path, owner_asks):
    slug, file = firm(), tmp_path / "link"
    made = invite(slug, "--link-file", file, f"ann@{slug}.example")
    assert made.exit_code == 0, made.output
    secret = file.read_text().strip().rpartition("/")[2]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret not in made.output
    digest = hashlib.sha256(secret.encode()).digest()
    assert owner_asks("select count(*) from crm.invitations where digest = %s", digest) == 1


def test_a_file_that_is_there_is_not_overwritten_and_nobody_is_invited(firm, invite, tmp_path, owner_asks):
    slug, file = firm(), tmp_path / "kept"
    file.write_text("mine")
    refused = invite(slug, "--link-file", file, f"ann@{slug}.example")
    assert refused.exit_code == 1
    assert "is there already" in refused.output
    assert file.read_text() == "mine"
    assert owner_asks(MEMBERSHIP, slug, f"ann@{slug}.example") is None


def test_a_refused_invitation_leaves_no_file(firm, invite, tmp_path):
    slug, file = firm(), tmp_path / "link"
    assert invite(slug, "--link-file", file, f"boss@{slug}.example").exit_code == 1
    assert not file.exists()


def test_without_a_mail_server_the_operator_says_how_the_link_goes(firm, invite, owner_asks):
    slug = firm()
    refused = invite(slug, f"ann@{slug}.example")
    assert refused.exit_code == 1
    assert "--link-file FILE" in refused.output and "--print-link" in refused.output
    assert owner_asks("select count(*) from crm.users where email = %s", f"ann@{slug}.example") == 0
    assert invite(slug, "--print-link", "--link-file", "x", f"ann@{slug}.example").exit_code == 2


async def test_an_invitation_is_mailed_and_its_secret_is_in_the_letter_alone(
    firm, invite, browsers, monkeypatch, home
):
    slug = await to_thread(firm)
    async with postbox() as box:
        monkeypatch.setenv("CRM_SMTP_URL", f"smtp://127.0.0.1:{box.port}")
        made = await to_thread(invite, slug, f"ann@{slug}.example")
    assert made.exit_code == 0, made.output
    letter = box.read()
    assert box.mails[0].rcpt_tos == [f"ann@{slug}.example"]
    body = letter.get_content()
    url = next(line for line in body.splitlines() if "/login/" in line and line.count("/") == 4)
    secret = url.rpartition("/")[2]
    assert secret not in made.output
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        tables = [t for (t,) in conn.execute("select relname from pg_class where relnamespace = 'crm'::regnamespace and relkind = 'r'")]  # fmt: skip
        for table in tables:
            assert conn.execute(f"select count(*) from crm.{table} x where x::text like %s", (f"%{secret}%",)).fetchone() == (0,)  # type: ignore[arg-type]  # fmt: skip
    assert (await browsers().use(url)).status_code == 303


async def test_what_the_mail_server_does_not_take_invites_nobody(firm, invite, monkeypatch, owner_asks):
    slug = await to_thread(firm)
    async with postbox() as box:
        box.say["RCPT"] = "550 no such person"
        monkeypatch.setenv("CRM_SMTP_URL", f"smtp://127.0.0.1:{box.port}")
        refused = await to_thread(invite, slug, f"ann@{slug}.example")
    assert refused.exit_code == 1
    assert "550" in refused.output
    assert owner_asks(MEMBERSHIP, slug, f"ann@{slug}.example") is None


async def test_a_second_invitation_ends_the_first(firm, invite, browsers):
    slug = await to_thread(firm)
    email = f"ann@{slug}.example"
    first, second = [
        (await to_thread(invite, slug, "--print-link", email, role=r)).stdout.strip() for r in ("sales", "finance")
    ]
    assert (await browsers().use(first)).status_code == 403
    assert (await browsers().use(second)).status_code == 303


async def test_an_invitation_ends_after_seven_days(firm, invite, browsers, home, owner_asks):
    slug = await to_thread(firm)
    url = (await to_thread(invite, slug, "--print-link", f"ann@{slug}.example")).stdout.strip()
    whose = "org_id = (select id from crm.orgs where slug = %s)"
    left = owner_asks(f"select expires_at - now() from crm.invitations where {whose}", slug)
    assert 6.9 < left.total_seconds() / 86400 <= 7
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute(f"update crm.invitations set expires_at = now() where {whose}", (slug,))
    assert (await browsers().use(url)).status_code == 403
    assert owner_asks(MEMBERSHIP, slug, f"ann@{slug}.example")["active"] is False


def test_a_member_is_not_invited_again(firm, invite, member):
    slug = firm()
    refused = invite(slug, "--print-link", member(slug))
    assert refused.exit_code == 1
    assert "users set" in refused.output and "users link" in refused.output


async def test_changed_rights_hold_with_the_next_call_of_a_running_client(crm, firm, member, connect, owner_asks):
    slug = await to_thread(firm)
    email = await to_thread(member, slug, "Ann", "support")
    async with connect(email) as client:
        assert (await client.call_tool("whoami", {})).structured_content["me"]["role"] == "support"
        words = ("--role", "finance", "--approves", "--limit", "1234.5678", "--no-mails")
        changed = await to_thread(crm, "users", "set", "--org", slug, *words, email.upper())
        assert changed.exit_code == 0, changed.output
        assert (await client.call_tool("whoami", {})).structured_content["me"]["role"] == "finance"
    row = owner_asks(
        "select approval_limit from crm.memberships m join crm.users u on u.id = m.user_id where u.email = %s", email
    )
    assert row == Decimal("1234.5678")


def test_what_is_not_named_stays_as_it_was(crm, firm, member, owner_asks):
    slug = firm()
    email = member(slug, "Ann", "sales", "--approves", "--limit", "7", "--reports-to", f"boss@{slug}.example")
    before = owner_asks(MEMBERSHIP, slug, email)
    assert crm("users", "set", "--org", slug, "--mails", email).exit_code == 0
    after = owner_asks(MEMBERSHIP, slug, email)
    assert {k for k in after if after[k] != before[k]} == {"may_send_email", "version"}
    assert crm("users", "set", "--org", slug, "--reports-to-nobody", email).exit_code == 0
    assert owner_asks(MEMBERSHIP, slug, email)["reports_to"] is None


def test_setting_nothing_is_refused(crm, firm, member):
    slug = firm()
    assert "Say what to change" in crm("users", "set", "--org", slug, member(slug)).output


def test_nobody_reports_to_themselves_in_the_end(crm, firm, member):
    slug = firm()
    ann, bob, cid = (member(slug, name) for name in ("Ann", "Bob", "Cid"))
    reports = ("users", "set", "--org", slug, "--reports-to")
    assert crm(*reports, ann, bob).exit_code == 0
    assert crm(*reports, bob, cid).exit_code == 0
    for above in (cid, bob, ann):
        refused = crm(*reports, above, ann)
        assert refused.exit_code == 1
        assert "report to themselves" in refused.output


@pytest.mark.parametrize("stranger", ["mia@demo.example", "nobody@firm.example", "x"])
def test_a_manager_is_a_member_of_the_same_org(crm, firm, member, stranger):
    slug = firm()
    refused = crm("users", "set", "--org", slug, "--reports-to", stranger, member(slug))
    assert refused.exit_code == 1
    assert f"no active member of {slug}" in refused.output


async def test_whoever_is_removed_is_out_at_once_everywhere(
    crm, firm, member, connect, approver, browsers, owner_asks
):
    slug = await to_thread(firm)
    email = await to_thread(member, slug, "Ann", "admin", "--approves")
    key = (await to_thread(crm, "keys", "create", "--org", slug, "--user", email, "k")).stdout.strip()
    browser = browsers()
    await browser.use(await make_login_link(approver, email, slug, ORIGIN))
    assert (await browser.get("/")).status_code == 200
    unused = await make_login_link(approver, email, slug, ORIGIN)
    async with connect(email) as client:
        assert not (await client.call_tool("whoami", {})).is_error
        gone = await to_thread(crm, "users", "remove", "--org", slug, email)
        assert gone.exit_code == 0, gone.output
        assert "Keys revoked: 1" in gone.output
        told = await client.call_tool("whoami", {})
        assert told.structured_content["error"] == "SIGN_IN_FAILED"
    assert (await browser.get("/")).status_code == 401
    assert (await browsers().use(unused)).status_code == 403
    with pytest.raises(SignInFailed):
        await approver.sign_in(auth.by_key(key))
    user = owner_asks("select id from crm.users where email = %s", email)
    for table in ("web_sessions", "login_links"):
        assert owner_asks(f"select count(*) from crm.{table} where user_id = %s", user) == 0
    assert (await to_thread(listed, crm, slug))[email]["state"] == "left"
    again = await to_thread(member, slug, "Ann", "sales")
    assert again == email
    with pytest.raises(SignInFailed):
        await approver.sign_in(auth.by_key(key))


async def test_a_removed_invitation_leads_nowhere(crm, firm, invite, browsers):
    slug = await to_thread(firm)
    url = (await to_thread(invite, slug, "--print-link", f"ann@{slug}.example")).stdout.strip()
    assert (await to_thread(crm, "users", "remove", "--org", slug, f"ann@{slug}.example")).exit_code == 0
    assert (await browsers().use(url)).status_code == 403
    assert (await to_thread(listed, crm, slug))[f"ann@{slug}.example"]["state"] == "left"


async def test_the_drafts_of_somebody_who_left_are_told_of_and_cannot_be_approved(crm, connect, executor, person):
    add = ("users", "add", "--org", "demo", "--name", "Tom", "--role", "sales", "tom@demo.example")
    assert (await to_thread(crm, *add)).exit_code == 0
    async with connect("tom@demo.example") as client:
        asked = {"to": ["kim@post.example"], "subject": "Hi", "body": "hello", "reason": "they asked"}
        held = (await client.call_tool("send_email_draft", asked)).structured_content["draft"]["id"]
    told = await to_thread(crm, "users", "remove", "--org", "demo", "tom@demo.example")
    assert "1 draft(s) of theirs wait" in told.output
    shown = await executor.show(await person("mia@demo.example"), int(held.removeprefix("draft_")))
    assert "REQUESTER_LEFT" in str(shown)


def test_the_last_active_admin_stays_unless_forced(crm, firm, member, owner_asks):
    slug = firm()
    boss = f"boss@{slug}.example"
    member(slug)
    for words in (("remove",), ("set", "--role", "sales"), ("add", "--name", "B", "--role", "sales")):
        refused = crm("users", *words, "--org", slug, boss)
        assert refused.exit_code == 1, refused.output
        assert "last active admin" in refused.output
    assert owner_asks(MEMBERSHIP, slug, boss)["role"] == "admin"
    second = member(slug, "Bea", "admin")
    assert crm("users", "set", "--org", slug, "--role", "sales", boss).exit_code == 0
    assert crm("users", "remove", "--org", slug, "--force", second).exit_code == 0


async def test_a_link_for_another_machine_signs_in_once(crm, firm, member, browsers, owner_asks):
    slug = await to_thread(firm)
    email = await to_thread(member, slug)
    made = await to_thread(crm, "users", "link", "--print-link", email)
    assert made.exit_code == 0, made.output
    assert "only this machine reaches" in made.stderr
    url = made.stdout.strip()
    assert (await browsers().use(url)).status_code == 303
    assert (await browsers().use(url)).status_code == 403
    left = owner_asks("select max(expires_at) - now() from crm.login_links where user_id = (select id from crm.users where email = %s)", email)  # fmt: skip
    assert 3500 < left.total_seconds() <= 3600


def test_a_link_of_somebody_in_several_orgs_says_which(crm, firm, member):
    first, second = firm(), firm()
    email = member(first)
    assert crm("users", "add", "--org", second, "--name", "Ann", "--role", "sales", email).exit_code == 0
    refused = crm("users", "link", "--print-link", email)
    assert refused.exit_code == 1
    assert f"{first}, {second}" in refused.output
    assert crm("users", "link", "--org", second, "--print-link", email).exit_code == 0


def test_there_is_no_link_for_somebody_who_is_not_in(crm, firm, invite):
    slug = firm()
    assert "is in no org" in crm("users", "link", "--print-link", "nobody@firm.example").output
    invite(slug, "--print-link", f"ann@{slug}.example")
    told = crm("users", "link", "--org", slug, "--print-link", f"ann@{slug}.example")
    assert told.exit_code == 1
    assert "invite them again" in told.output


def test_a_link_leads_to_where_people_reach_the_page(crm, firm, member, monkeypatch):
    monkeypatch.setenv("CRM_APPROVALS_URL", "https://crm.firm.example/")
    made = crm("users", "link", "--print-link", member(firm()))
    assert made.stdout.startswith("https://crm.firm.example/login/")
    assert "only this machine" not in made.stderr


@pytest.mark.parametrize(
    "email",
    ["", " ", "ann", "ann@", "@firm.example", "ann@firm", "a b@firm.example", "ann@firm.example\nBcc: x@y.example",
     "Ann <ann@firm.example>", "<ann@firm.example>", "ann@firm.example,bob@firm.example", "ann@fi\u202erm.example",
     "ann@-firm.example", "a" * 65 + "@firm.example", "ann@" + "a." * 130 + "example", "'; drop table crm.users; --"],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_a_sentence(crm, invite, email, owner_asks):
    before = owner_asks("select count(*) from crm.users")
    refused = invite("demo", "--print-link", email)
    assert refused.exit_code == 2, refused.output
    assert "ann@firm.example" in refused.output
    assert "Traceback" not in refused.output and "\x1b" not in refused.output
    assert owner_asks("select count(*) from crm.users") == before


@pytest.mark.parametrize("name", ["", "  ", "\u200b\u200b", "A\nB", "A\x1b[2J", "A\u202eB", "x" * 201, "\u3164"])
def test_what_is_no_name_is_refused_with_a_sentence(invite, name):
    refused = invite("demo", "--print-link", "new@demo.example", name=name)
    assert refused.exit_code == 2
    assert "A name" in refused.output
    assert "\x1b" not in refused.output


@pytest.mark.parametrize(
    "limit",
    ["-1", "-0.01", "NaN", "Infinity", "-inf", "1e16", "0.00001", "5,000", "5_000", "٥", "", "five", "1e999999"],
)
def test_what_is_no_limit_is_refused_with_a_sentence(invite, limit):
    refused = invite("demo", "--print-link", f"--limit={limit}", "new@demo.example")
    assert refused.exit_code == 2, refused.output
    assert "limit" in refused.output.lower()


def test_a_new_members_limit_is_the_policys_where_none_is_said(crm, firm, member, home):
    slug = firm()
    first = member(slug, "Early")
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        (org,) = conn.execute("select id from crm.orgs where slug = %s", (slug,)).fetchone()
        state_policy(conn, org, {"approval_limit": "1234.5"})
    second = member(slug, "Late")
    limits = {email: Decimal(row["approvalLimit"]) for email, row in listed(crm, slug).items()}
    assert (limits[first], limits[second]) == (5000, Decimal("1234.5"))


def test_an_unknown_org_role_or_person_is_said_to_be_so(crm, invite):
    unknown = invite("no-such", "--print-link", "new@demo.example")
    assert "There is no org 'no-such'" in unknown.output and "demo" in unknown.output
    assert "'king' is not one of" in invite("demo", "--print-link", "new@demo.example", role="king").output
    for command in ("set", "remove"):
        words = ("--role", "sales") if command == "set" else ()
        told = crm("users", command, "--org", "demo", *words, "nobody@demo.example\x1b[2J")
        assert told.exit_code == 1
        assert "is not in demo" in told.output
        assert "\x1b" not in told.output


def test_who_was_given_what_is_listed(crm, firm, member, invite):
    slug = firm()
    email = member(slug)
    crm("keys", "create", "--org", slug, "--user", email, "laptop")
    crm("users", "set", "--org", slug, "--role", "finance", email)
    invite(slug, "--print-link", f"bob@{slug}.example", name="Bob")
    crm("users", "remove", "--org", slug, email)
    rows = json.loads(crm("audit", "access", "--org", slug, "--json").stdout)
    assert [row["what"] for row in rows] == [
        "org made", "membership made", "membership made", "key made", "membership changed", "membership made",
        "invitation made", "membership changed", "key changed",
    ]  # fmt: skip
    assert {row["login"] for row in rows} == {"crm_owner"}
    assert rows[0]["after"]["solo"] is False
    assert (rows[4]["before"], rows[4]["after"], rows[4]["person"]) == ({"role": "sales"}, {"role": "finance"}, email)
    assert rows[7]["after"] == {"active": False}
    assert list(rows[8]["after"]) == ["revoked_at"]
    assert "digest" not in json.dumps(rows)
    spoken = crm("audit", "access", "--org", slug).output
    assert 'role "sales" → "finance"' in spoken
    assert "There is no org" in crm("audit", "access", "--org", "no-such").output


def test_an_org_for_a_team_says_what_comes_next(crm):
    made = crm("init", "--org", "T", "--slug", "t-eam", "--admin", "a@t.example", "--name", "A", "--team")
    assert "users invite" in made.output and "up --bind" in made.output


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--admin", "nobody", "is no e-mail address"),
        ("--name", " ", "blank"),
        ("--org", "", "blank"),
        ("--slug", "No Slug", "small letters"),
        ("--slug", "-x", "small letters"),
        ("--currency", "euro", "three capitals"),
        ("--timezone", "../etc/passwd", "no time zone"),
    ],
)
def test_bad_answers_to_init_are_refused_before_anything_is_made(crm, owner_asks, option, value, said):
    good = {"--org": "X", "--slug": "bad-x", "--admin": "a@x.example", "--name": "A", option: value}
    refused = crm("init", *(word for pair in good.items() for word in pair))
    assert refused.exit_code == 2, refused.output
    assert said in refused.output
    assert owner_asks("select count(*) from crm.orgs where slug = 'bad-x'") == 0
