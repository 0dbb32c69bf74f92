"""What a notice says, and what it never says: no word of a customer, of an agent or of the call."""

import email.utils
import hmac
import json
from base64 import b64decode, b64encode

import pytest
from shop import TOLD, texts

from crm_mcp.cli.local import notice_hook
from crm_mcp.config import Settings
from crm_mcp.principal import Agent
from crm_mcp.telling import desktop
from crm_mcp.telling.webhook import Hook, HookInvalid, signature


def clean(text):
    return not any(word.lower() in text.lower() for word in TOLD)


async def test_an_email_says_what_waits_how_much_whose_until_when_and_where(shop, box, owner_asks):
    draft = await shop.draft(worth=1200, agent=Agent.ORDER)
    await shop.tell()
    mail = box.read()
    assert mail["Subject"] == "Waits for approval: Create order draft, EUR 1,200.00"
    assert (mail["From"], mail["To"]) == ("Shop & Co <crm@shop.example>", f"Ann Ander <{shop.at('ann')}>")
    assert (mail["Auto-Submitted"], mail["Bcc"]) == ("auto-generated", None)
    until = owner_asks(
        "select to_char(expires_at at time zone 'Europe/Berlin', 'DD Mon YYYY, HH24:MI') from crm.drafts where id = %s",
        draft,
    )
    said = mail.get_content().replace("\r\n", "\n")
    assert said.startswith(
        "Bob Bcc: all@evil.test Brand (by way of the order agent) asks for approval at Shop & Co.\n"
    )
    for line in (
        "Create order draft",
        "Amount: EUR 1,200.00",
        f"Expires: {until} (Europe/Berlin)",
        f"http://localhost:8787/drafts/draft_{draft}",
    ):
        assert line in said.split("\n")


async def test_no_channel_carries_a_word_of_a_customer_an_agent_or_the_call(shop, box, receiver, toasts):
    shop.set(hook=Hook.of(receiver.url, "key"))
    for _ in range(2):
        await shop.draft(worth=300)
    await shop.letter()
    await shop.tell()
    said = [*texts(box), *(body.decode() for _, body in receiver.posts), *toasts()]
    assert len(said) > 5
    assert all(clean(text.replace("all@evil.test", "")) for text in said), said


async def test_a_webhook_gets_a_text_for_slack_and_the_same_as_fields(shop, receiver):
    shop.set(hook=Hook.of(receiver.url, None))
    draft = await shop.draft(worth=1200)
    await shop.tell()
    (body,) = receiver.bodies
    url = f"http://localhost:8787/drafts/draft_{draft}"
    assert body["text"].startswith(
        "*Waits for approval: Create order draft, EUR 1,200.00*\nCreate order draft. Asked by Bob"
    )
    assert body["text"].endswith(url)
    assert (body["type"], body["org"], body["approvers"], body["count"]) == (
        "draft.waiting",
        shop.slug,
        ["Ann Ander"],
        1,
    )
    (told,) = body["drafts"]
    assert told["amount"] == {"amount": "1200.00", "currency": "EUR"}
    assert (told["id"], told["action"], told["risk"], told["url"]) == (
        f"draft_{draft}",
        "create_order_draft",
        [],
        url,
    )
    assert "\n" not in body["requestedBy"]


async def test_a_name_cannot_call_a_whole_channel(shop, receiver):
    shop.set(hook=Hook.of(receiver.url, None))
    shop.change("update crm.users set name = '<!channel> & co' where id = %s", shop.people[shop.at("bob")])
    await shop.draft()
    await shop.tell()
    assert (
        "<!channel>" not in receiver.bodies[0]["text"] and "&lt;!channel&gt; &amp; co" in receiver.bodies[0]["text"]
    )


async def test_a_desktop_gets_it_as_two_arguments_that_no_shell_reads(shop, toasts):
    shop.change("update crm.users set name = '$(touch /tmp/x) `id` <i>' where id = %s", shop.people[shop.at("bob")])
    draft = await shop.draft(worth=600)
    assert await shop.tell() == ["sent"]
    words = toasts()
    assert words[:3] == ["--app-name=crm-mcp", "--", "Waits for approval: Create order draft, EUR 600.00"]
    assert "Asked by $(touch /tmp/x) `id` &lt;i&gt;." in words[3] and words[3].endswith(f"/drafts/draft_{draft}")
    assert len(words) == 4


async def test_who_does_not_sit_here_gets_nothing_on_this_desktop(shop, toasts):
    await shop.draft(worth=100)
    await shop.tell()
    assert [row[1:3] for row in shop.notices()] == [("ann", "desktop")]


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_on_other_systems_texts_are_arguments_or_environment_and_never_part_of_a_script(platform):
    hostile = '\'; display dialog "x"; $(calc.exe) `id`'
    words, more = desktop.command(hostile, hostile, platform)
    script = words[2] if platform == "darwin" else b64decode(words[-1]).decode("utf-16-le")
    assert "calc" not in script and "dialog" not in script
    assert (words[3:] if platform == "darwin" else list(more.values())) == [hostile, hostile]


async def test_a_post_is_signed_so_that_its_receiver_can_tell(shop, receiver):
    key = b"0123456789abcdef"
    shop.set(hook=Hook.of(receiver.url, "whsec_" + b64encode(key).decode()))
    await shop.draft()
    await shop.tell()
    ((headers, body),) = receiver.posts
    identity, stamp = headers["webhook-id"], headers["webhook-timestamp"]
    mac = hmac.new(key, f"{identity}.{stamp}.".encode() + body, "sha256").digest()
    assert headers["webhook-signature"] == "v1," + b64encode(mac).decode()
    assert json.loads(body)["id"] == identity
    assert headers["content-type"] == "application/json"
    assert signature(key, identity, str(int(stamp) + 1), body) != headers["webhook-signature"]


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/x",
        "http://127.0.0.1.evil.example/x",
        "http://10.0.0.1/x",
        "http://[::ffff:10.0.0.1]/x",
        "http://169.254.169.254/latest/meta-data",
        "ftp://localhost/x",
        "https://",
        "https:///x",
        "https://h:port/x",
        "hooks.example/x",
        "file:///etc/passwd",
        "https://hooks.example/a b",
    ],
)
def test_a_webhook_is_https_or_on_this_machine(url):
    with pytest.raises(HookInvalid) as problem:
        Hook.of(url, "s3cret")
    assert "hooks.example" not in str(problem.value) and "evil" not in str(problem.value)


@pytest.mark.parametrize(
    "url", ["https://hooks.slack.com/services/T/B/x", "http://localhost:9/x", "http://127.0.0.1/x", "http://[::1]:9/"]
)
def test_a_webhook_keeps_its_address_and_its_key_to_itself(url, monkeypatch):
    monkeypatch.setenv("CRM_NOTICE_WEBHOOK", url)
    monkeypatch.setenv("CRM_NOTICE_SECRET", "s3cret")
    known = Settings()
    hook = notice_hook(known)
    assert (hook.url, hook.key) == (url, b"s3cret")
    assert url not in repr(hook) + repr(known) and "s3cret" not in repr(hook) + repr(known)


async def test_every_try_of_an_email_is_the_same_message(shop, box):
    await shop.draft(worth=600)
    box.drop = "dot"
    assert await shop.tell() == [1.0]
    box.drop = None
    shop.later(2)
    assert await shop.send() == ["sent"]
    assert len({mail.content for mail in box.mails}) == 1
    assert email.utils.parseaddr(box.message_ids[0])[1].endswith("@shop.example")
