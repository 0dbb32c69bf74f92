"""A mail server that takes, refuses, hangs up and stalls; and what becomes of the e-mail each time."""

import pytest

from crm_mcp.delivery.server import Server, SmtpUrlInvalid


async def test_an_approved_email_arrives_as_written(office, box, approved, outbox):
    text = "Grüße,\n.\n..\nFrom here\n" + "x" * 3000
    files = [{"name": "ä.csv", "text": "a;b\r\n", "media_type": "text/csv"}]
    email = await approved(
        to=["Kim Ü <kim@post.example>"], cc=["lee@post.example"], subject="Größe", body=text, attachments=files
    )
    assert await office.attempt(email) == "sent"
    (mail,) = box.mails
    assert (mail.mail_from, mail.rcpt_tos) == ("hello@northlight.example", ["kim@post.example", "lee@post.example"])
    seen = box.read()
    assert (seen["From"], seen["To"], seen["Cc"], seen["Subject"]) == (
        "Northlight Furniture <hello@northlight.example>",
        "Kim Ü <kim@post.example>",
        "lee@post.example",
        "Größe",
    )
    assert seen.get_body().get_content().replace("\r\n", "\n") == text + "\n"
    (file,) = seen.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("ä.csv", "a;b\r\n")
    assert not [name for name in seen if name.lower().startswith("x-")]
    row = outbox(email)
    assert (row["state"], row["attempts"], row["last_error"]) == ("sent", 1, None)
    assert row["sent_at"].startswith("2026-03-01T12:00:00")
    assert await office.attempt(email) == "sent"
    assert len(box.mails) == 1


async def test_letters_beyond_ascii_before_the_at_arrive(office, box, approved):
    email = await approved(to=["Jörg <jörg@müller.example>"])
    assert await office.attempt(email) == "sent"
    assert box.mails[0].rcpt_tos == ["jörg@xn--mller-kva.example"]
    assert "jörg@xn--mller-kva.example".encode() in box.mails[0].content


@pytest.mark.parametrize("phase", ["connect", "MAIL", "RCPT", "DATA"])
async def test_a_server_that_hangs_up_before_it_has_the_message_gets_it_once_later(
    office, box, approved, outbox, phase
):
    email = await approved()
    box.drop = phase
    assert [await office.attempt(email), await office.attempt(email)] == [1.0, 1.0]
    row = outbox(email)
    assert (row["state"], row["attempts"], row["unclear"]) == ("queued", 1, 0)
    assert "broke the connection off" in row["last_error"] or "reached" in row["last_error"]
    assert box.mails == []
    box.drop = None
    waits, state = await office.until_settled(email)
    assert (waits, state, len(box.mails)) == ([1.0], "sent", 1)


@pytest.mark.parametrize(("phase", "arrived"), [("dot", 2), ("content", 1)])
async def test_a_server_that_hangs_up_after_the_dot_gets_it_once_more_under_the_same_message_id(
    office, box, approved, outbox, phase, arrived
):
    email = await approved()
    box.drop = phase
    assert await office.attempt(email) == 1.0
    assert outbox(email)["unclear"] == 1
    box.drop = None
    assert (await office.until_settled(email))[1] == "sent"
    assert len(box.mails) == arrived
    assert len(set(box.message_ids)) == 1
    assert len({mail.content for mail in box.mails}) == 1


async def test_nobody_gets_a_third_copy(office, box, approved, outbox):
    email = await approved()
    box.drop = "dot"
    waits, state = await office.until_settled(email)
    assert (waits, state, len(box.mails)) == ([1.0], "failed", 2)
    assert "nobody knows" in outbox(email)["last_error"]


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "dot"])
async def test_a_refusal_for_now_is_tried_eight_times_at_growing_distances(office, box, approved, outbox, phase):
    email = await approved()
    box.say[phase] = "451 4.7.1 greylisted"
    waits, state = await office.until_settled(email)
    assert waits == [1.0, 5.0, 15.0, 60.0, 240.0, 240.0, 240.0]
    assert (state, box.connections, box.mails) == ("failed", 8, [])
    assert "451" in outbox(email)["last_error"]


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "dot"])
async def test_a_refusal_for_good_fails_at_once(office, box, approved, outbox, phase):
    email = await approved()
    box.say[phase] = "554 5.7.1 no \x07thanks <script> " + "x" * 300
    assert await office.attempt(email) == "failed"
    said = outbox(email)["last_error"]
    assert "554" in said and "<" not in said and "\x07" not in said and len(said) < 250
    assert (box.connections, box.mails) == (1, [])


async def test_recipients_refused_for_good_are_recorded_and_the_others_get_it(office, box, approved, outbox):
    email = await approved(to=["kim@post.example", "gone@post.example"])
    box.say["gone@post.example"] = "550 no such user"
    assert await office.attempt(email) == "sent"
    assert box.mails[0].rcpt_tos == ["kim@post.example"]
    row = outbox(email)
    assert row["accepted"] == ["kim@post.example"]
    assert row["refused"] == {"gone@post.example": "The mail server said 550 no such user."}
    assert "gone@post.example" in row["last_error"]


async def test_recipients_put_off_get_it_later_and_the_others_not_again(office, box, approved, outbox):
    email = await approved(to=["kim@post.example", "full@post.example"])
    box.say["full@post.example"] = "452 mailbox full"
    assert await office.attempt(email) == 1.0
    del box.say["full@post.example"]
    assert (await office.until_settled(email))[1] == "sent"
    assert [mail.rcpt_tos for mail in box.mails] == [["kim@post.example"], ["full@post.example"]]
    assert outbox(email)["accepted"] == ["kim@post.example", "full@post.example"]


async def test_a_server_that_says_nothing_is_left_after_a_while(office, box, approved, outbox):
    email = await approved()
    office.server = Server("127.0.0.1", box.port, timeout=0.05)
    box.hold = "MAIL"
    assert await office.attempt(email) == 1.0
    assert outbox(email)["last_error"] == "The mail server did not answer in time."


async def test_without_a_server_it_stays_unsent_and_is_not_sent_when_there_is_one(office, box, approved, outbox):
    email = await approved()
    server, office.server = office.server, None
    assert await office.attempt(email) == "unsent"
    office.server = server
    assert await office.attempt(email) == "unsent"
    assert (outbox(email)["last_error"], box.connections) == ("No mail server is configured.", 0)


async def test_what_is_only_drafted_rejected_or_stale_is_never_sent(
    office, box, drafted, executor, person, owner_asks
):
    before = owner_asks("select count(*) from crm.outbox")
    waits, rejected = await drafted(), await drafted()
    await executor.reject(await person("mia@demo.example"), rejected, "no")
    await executor.show(await person("mia@demo.example"), waits)
    assert owner_asks("select count(*) from crm.outbox") == before
    assert await office.attempt(10**9) == "gone"
    assert box.connections == 0


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", Server("mail.example", 25)),
        ("smtp://u%40x:p%3A@mail.example", Server("mail.example", 587, "u@x", "p:", starttls=True)),
        ("smtp://u:p@localhost:2525", Server("localhost", 2525, "u", "p")),
        ("smtps://u:p@mail.example", Server("mail.example", 465, "u", "p", True, False)),
        ("smtp://u:p@mail.example?starttls=never", Server("mail.example", 587, "u", "p", starttls=False)),
    ],
)
def test_an_address_of_a_server_is_read(url, server):
    assert Server.of(url) == server
    assert "p:" not in repr(server)


@pytest.mark.parametrize(
    "url", ["", "mail.example", "http://u:hush@x", "smtp://:hush@", "smtp://u:hush@x:port", "smtp://u:hush@x?tls=1"]
)
def test_what_is_no_address_of_a_server_is_refused_without_repeating_it(url):
    with pytest.raises(SmtpUrlInvalid) as problem:
        Server.of(url)
    assert "hush" not in str(problem.value) + repr(problem.value)
