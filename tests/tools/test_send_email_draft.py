"""What an agent may ask to be sent, what it is warned of, and what of it is refused."""

import base64
import json

import pytest
from lab import LEA, LOU, LUX

from crm_mcp.crm.models import Contact, Deal, Issue, Lead

HELLO = {"subject": "Hello", "body": "Dear all,\n\nhello.", "reason": "they asked"}


@pytest.fixture
def mail(lab):
    async def ask(email=LOU, **more):
        return await lab.ask("send_email_draft", {**HELLO, **more}, email)

    return ask


@pytest.fixture
def shown(executor, person):
    async def show(told):
        return await executor.show(await person(LEA), int(told["draft"]["id"][6:]))

    return show


@pytest.fixture
async def customer(lab):
    made = await lab.customer("Kern & Sohn", email="info@kern-sohn.example", domain="kern-sohn.example")
    (number,) = await lab.add(
        Contact, {"customer_id": int(made[5:]), "name": "Kim Kern", "email": "Kim@Kern-Sohn.example"}
    )
    return made, f"cont_{number}"


async def test_an_email_always_waits_and_writes_nothing(mail, customer, owner_asks):
    jobs = owner_asks("select count(*) from jobs.procrastinate_jobs")
    told = await mail(to=[customer[0]])
    assert told["type"] == "approval_required"
    assert "send the e-mail “Hello” to Kern & Sohn" in told["summary"]
    assert owner_asks("select count(*) from crm.emails where subject = 'Hello'") == 0
    assert owner_asks("select count(*) from jobs.procrastinate_jobs") == jobs


async def test_ids_and_known_addresses_become_their_records_without_a_warning(mail, customer, shown):
    account, contact = customer
    seen = await shown(await mail(to=[account], cc=["kim@kern-sohn.EXAMPLE"], about=account))
    record = seen.shown["record"]
    assert record["to"] == [{"name": "Kern & Sohn", "address": "info@kern-sohn.example", "record": account}]
    assert record["cc"] == [{"name": "Kim Kern", "address": "kim@kern-sohn.example", "record": contact}]
    assert seen.warnings == []


async def test_a_recipient_named_twice_gets_it_once(mail, customer, shown):
    account, contact = customer
    seen = await shown(await mail(to=[contact, "KIM@kern-sohn.example"], cc=[contact, account]))
    assert [len(seen.shown["record"][line]) for line in ("to", "cc")] == [1, 1]


async def test_a_stranger_is_a_warning(mail, shown):
    told = await mail(to=["Someone <someone@nowhere-known.example>"])
    assert (await shown(told)).warnings == ["Nobody here knows someone@nowhere-known.example."]
    assert "Nobody here knows someone@nowhere-known.example." in json.dumps(told)


@pytest.mark.parametrize(
    "domain", ["kern-sohm.example", "kern-s0hn.example", "kern-sоhn.example", "kerrn-sohn.example"]
)
async def test_a_domain_that_looks_like_a_customers_is_a_warning(mail, customer, shown, domain):
    (warning,) = (await shown(await mail(to=[f"kim@{domain}"]))).warnings
    assert "looks like kern-sohn.example of Kern & Sohn" in warning


async def test_a_colleague_unknown_at_a_known_domain_looks_like_nobody(mail, customer, shown):
    (warning,) = (await shown(await mail(to=["new@kern-sohn.example"]))).warnings
    assert warning == "Nobody here knows new@kern-sohn.example."


async def test_what_is_about_one_customer_and_goes_to_another_is_a_warning(mail, lab, customer, shown):
    other = await lab.customer("Other", email="other@other-firm.example")
    (warning,) = (await shown(await mail(to=[customer[0]], about=other))).warnings
    assert warning == f"info@kern-sohn.example belongs to {customer[0]}, and this is about {other}."


@pytest.mark.parametrize("subject", ["a\r\nBcc: x@y.example", "a\nb", "a\u2028b", "a\u202eb", "   ", "a\x1bb"])
async def test_a_subject_that_is_not_one_visible_line_is_refused(mail, customer, subject):
    told = await mail(to=[customer[0]], subject=subject)
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", "subject")


@pytest.mark.parametrize(
    "address",
    [
        "ann",
        "ann@firm",
        "ann@firm.example\r\nBcc: x@y.example",
        "Ann\r\nBcc: x <ann@firm.example>",
        "ann@firm..example",
        "an n@firm.example",
        ".ann@firm.example",
        "ann@[127.0.0.1]",
        "ann@firm.example, bob@firm.example",
        "ann\u202e@firm.example",
        "a" * 65 + "@firm.example",
        "<>",
    ],
)
async def test_what_is_no_address_is_refused(mail, address):
    assert (await mail(to=[address]))["error"] == "INVALID_ADDRESS"


async def test_nul_is_refused_everywhere(mail, customer):
    for more in ({"subject": "a\0b"}, {"body": "a\0b"}, {"to": ["a\0@b.example"]}):
        assert (await mail(**{"to": [customer[0]], **more}))["error"] == "INVALID_ARGUMENT"


async def test_domains_and_names_of_any_script_are_kept(mail, shown):
    seen = await shown(await mail(to=["Jörg <jörg@müller-söhne.example>"]))
    assert seen.shown["record"]["to"] == [{"name": "Jörg", "address": "jörg@xn--mller-shne-kcb9d.example"}]
    assert "(read as müller-söhne.example)" in seen.warnings[0]


async def test_a_customer_without_an_address_or_that_is_not_there_is_refused(mail, lab):
    assert (await mail(to=[await lab.customer("Mute")]))["error"] == "NO_ADDRESS"
    assert (await mail(to=["cust_999999999"]))["error"] == "CUSTOMER_NOT_FOUND"
    assert (await mail(to=["cont_999999999"]))["error"] == "CONTACT_NOT_FOUND"
    assert (await mail(to=["ord_1"]))["error"] == "INVALID_ID"


async def test_what_it_is_about_must_be_there_and_visible_to_the_role(mail, lab, customer, owner_asks):
    await lab.invoice(customer[0], due=__import__("datetime").date(2026, 1, 1))
    invoice = "inv_" + str(
        owner_asks("select max(id) from crm.invoices where customer_id = %s", int(customer[0][5:]))
    )
    assert (await mail(to=[customer[0]], about=invoice))["type"] == "approval_required"
    hidden = await mail(LUX, to=[customer[0]], about=invoice)
    missing = await mail(LUX, to=[customer[0]], about="inv_999999999")
    assert hidden["error"] == missing["error"] == "INVOICE_NOT_FOUND"
    assert hidden["context"] | {"searchedId": ""} == missing["context"] | {"searchedId": ""}
    assert (await mail(to=[customer[0]], about="draft_1"))["error"] == "INVALID_ID"


async def test_about_an_issue_concerns_its_customer(mail, lab, customer, shown):
    from lab import ago

    (issue,) = await lab.add(Issue, {"customer_id": int(customer[0][5:]), "title": "Broken", "opened_at": ago(1)})
    seen = await shown(await mail(to=[customer[0]], about=f"iss_{issue}"))
    (row,) = [row for row in seen.changes if row["tbl"] == "emails"]
    assert (row["after"]["customer_id"], row["after"]["subject_type"]) == (int(customer[0][5:]), "issues")


async def test_it_may_be_about_whatever_a_note_may_be_about(mail, lab, customer, shown):
    account = int(customer[0][5:])
    (deal,) = await lab.add(Deal, {"name": "Refit", "customer_id": account})
    (lead,) = await lab.add(Lead, {"kind": "opportunity", "name": "Lounge", "customer_id": account})
    for about, table in ((f"deal_{deal}", "deals"), (f"lead_{lead}", "leads")):
        seen = await shown(await mail(to=[customer[0]], about=about))
        (row,) = [row for row in seen.changes if row["tbl"] == "emails"]
        assert (row["after"]["customer_id"], row["after"]["subject_type"]) == (account, table)


async def test_attachments_are_kept_by_their_digest_and_their_bytes_are_in_no_record(mail, customer, shown):
    files = [
        {"name": "a.csv", "text": "x;y\n", "media_type": "text/csv"},
        {"name": "b.bin", "base64": base64.b64encode(b"\0\1SECRETBYTES").decode(), "media_type": "application/x-b"},
    ]
    seen = await shown(await mail(to=[customer[0]], attachments=files))
    assert seen.shown["record"]["attachments"] == [
        {"name": "a.csv", "mediaType": "text/csv", "size": 4},
        {"name": "b.bin", "mediaType": "application/x-b", "size": 13},
    ]
    blobs = [row["after"] for row in seen.changes if row["tbl"] == "blobs"]
    assert len(blobs) == 2 and not any("content" in blob for blob in blobs)


@pytest.mark.parametrize(
    ("file", "argument"),
    [
        ({"name": "a", "text": "x", "base64": "eA=="}, "attachments.0"),
        ({"name": "a"}, "attachments.0"),
        ({"name": "a", "base64": "not base64"}, "attachments.0.base64"),
        ({"name": "../a", "text": "x"}, "attachments.0.name"),
        ({"name": "a\r\nX: y", "text": "x"}, "attachments.0.name"),
        ({"name": "a", "text": "x", "media_type": "message/rfc822"}, "attachments.0.media_type"),
        ({"name": "a", "text": "x", "media_type": "text/html\r\nX: y"}, "attachments.0.media_type"),
    ],
)
async def test_an_attachment_that_is_none_is_refused(mail, customer, file, argument):
    told = await mail(to=[customer[0]], attachments=[file])
    assert (told["error"], told["context"]["argument"]) == ("INVALID_ARGUMENT", argument)


async def test_attachments_over_200_kb_together_are_refused(mail, customer):
    files = [{"name": f"{at}.txt", "text": "x" * 70_000} for at in range(3)]
    assert (await mail(to=[customer[0]], attachments=files))["error"] == "TOO_LARGE"
    assert (await mail(to=[customer[0]], attachments=[files[0]] * 6))["error"] == "INVALID_ARGUMENT"


async def test_an_approver_who_may_not_send_email_may_not_approve_one(connect, executor, person, owner_asks):
    customer = owner_asks(
        "select 'cust_' || c.id from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo' where c.email is not null limit 1"
    )
    async with connect() as client:
        told = (await client.call_tool("send_email_draft", {**HELLO, "to": [customer]})).structured_content
    draft = int(told["draft"]["id"][6:])
    fin, mia = await person("fin@demo.example"), await person("mia@demo.example")
    seen = await executor.show(fin, draft)
    assert seen.may_not == "it sends an e-mail, and you may not send e-mail"
    with pytest.raises(Exception, match="NOT_AN_APPROVER"):
        await executor.approve(fin, draft, seen.hash)
    assert owner_asks("select state from crm.drafts where id = %s", draft) == "pending"
    assert (await executor.approve(mia, draft, (await executor.show(mia, draft)).hash)).state == "approved"


async def test_approval_writes_the_email_its_outbox_and_one_job_together(
    mail, customer, executor, person, owner_asks
):
    files = [{"name": "a.txt", "text": "hello"}]
    told = await mail(to=[customer[0]], subject="Together", attachments=files)
    draft, lea = int(told["draft"]["id"][6:]), await person(LEA)
    before = owner_asks("select count(*) from jobs.procrastinate_jobs")
    outcome = await executor.approve(lea, draft, (await executor.show(lea, draft)).hash)
    assert outcome.state == "approved"
    email = int(outcome.result["record"]["id"][6:])
    assert owner_asks("select state from crm.outbox where email_id = %s", email) == "queued"
    assert owner_asks("select count(*) from jobs.procrastinate_jobs") == before + 1
    args = owner_asks("select args from jobs.procrastinate_jobs order by id desc limit 1")
    assert args == {"org": lea.org, "email": email}
    message_id = owner_asks("select message_id from crm.emails where id = %s", email)
    assert message_id.startswith("<") and message_id.endswith("@lab.example>") and len(message_id) > 50


async def test_a_changed_address_makes_the_draft_stale_and_queues_nothing(
    mail, lab, executor, person, owner_asks, home
):
    import psycopg

    account = await lab.customer("Mover", email="old@mover.example")
    draft, lea = int((await mail(to=[account]))["draft"]["id"][6:]), await person(LEA)
    seen = await executor.show(lea, draft)
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        conn.execute(
            "select set_config('crm.call_id', '1', true), set_config('crm.org_id', %s, true)", (str(lea.org),)
        )
        conn.execute("alter table crm.changes disable trigger guard")
        conn.execute("update crm.customers set email = 'new@mover.example' where id = %s", (int(account[5:]),))
        conn.execute("alter table crm.changes enable trigger guard")
    before = owner_asks("select count(*) from jobs.procrastinate_jobs")
    assert (await executor.approve(lea, draft, seen.hash)).state == "stale"
    assert owner_asks("select count(*) from jobs.procrastinate_jobs") == before
    assert (
        owner_asks("select count(*) from crm.emails where to_recipients @> %s", '[{"address": "old@mover.example"}]')
        == 0
    )


async def test_records_of_another_org_are_as_unknown_as_none(mail, customer, owner_asks):
    """The catalogue's tests hold this for arguments that take one kind of id; these take several, or an address."""
    for kind, table in (("cust", "customers"), ("cont", "contacts"), ("prod", "products")):
        theirs = owner_asks(
            f"select t.id from crm.{table} t join crm.orgs o on o.id = t.org_id and o.slug = 'other' limit 1"
        )
        told = []
        for given in (f"{kind}_{theirs}", f"{kind}_999999999"):
            asked = [{"to": [customer[0]], "about": given}]
            if kind in ("cust", "cont"):
                asked.append({"to": [given]})
            answers = [await mail(**one) for one in asked]
            assert all("error" in one for one in answers), answers
            told.append(str(answers).replace(given, "ID"))
        assert told[0] == told[1]
