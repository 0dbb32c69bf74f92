"""Where the policy wants it, a draft is approved by what the approver's passkey signed for just that, and by nothing else."""

import asyncio
import hashlib
import json

import psycopg
import pytest
import rfc8785
from click.testing import CliRunner

from authenticator import ES256, PRESENT, RS256, Authenticator, EdDSA, decoded, encoded
from browser import ORIGIN, text
from crm_mcp.approvals.passkey import Signature
from crm_mcp.approvals.session import digest_of
from crm_mcp.cli import main
from crm_mcp.errors import Refusal

OUTCOME = "select outcome from crm.audit_log where draft_id = %s and phase = 'refused' order by id desc limit 1"


def number(draft):
    return int(draft.removeprefix("draft_"))


@pytest.fixture
def outcome(owner_asks):
    """Return why the last decision of a draft was refused, as the audit has it."""
    return lambda draft: owner_asks(OUTCOME, number(draft))


@pytest.fixture
def always(rule):
    rule(passkeys="always")


@pytest.mark.parametrize("kind", [ES256, EdDSA, RS256])
async def test_an_approval_is_signed_by_each_kind_of_key(always, keyed, drafted, state, owner_asks, kind):
    mia, draft = await keyed(key=Authenticator(kind)), await drafted()
    assert "Approve with passkey" in (await mia.get(f"/drafts/{draft}")).text
    answer = await mia.sign(draft)
    assert "You approved this" in text((await mia.follow(answer)).text)
    assert state(draft) == "approved"
    assert owner_asks("select count(*) from crm.signatures where draft_id = %s", number(draft)) == 1


async def test_what_is_signed_is_the_canonical_statement(always, keyed, drafted, home):
    mia, draft = await keyed(), await drafted()
    fields, options = await mia.asked(draft)
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        nonce, org, user = conn.execute(
            "select nonce, org_id, user_id from crm.passkey_challenges where challenge = %s",
            (decoded(options["challenge"]),),
        ).fetchone()
    said = {
        "draft": number(draft),
        "org": org,
        "hash": fields["hash"],
        "nonce": nonce.hex(),
        "decision": "approved",
        "approver": user,
        "origin": ORIGIN,
    }
    assert decoded(options["challenge"]) == hashlib.sha256(rfc8785.dumps(said)).digest()
    assert options["userVerification"] == "required"
    assert options["rpId"] == "localhost"
    assert [one["id"] for one in options["allowCredentials"]] == [encoded(mia.key.id)]


async def test_without_a_signature_nothing_is_approved(always, keyed, drafted, state, outcome):
    """A stolen session without the key: the form is sent as it stands."""
    mia, draft = await keyed(), await drafted()
    answer = await mia.press(draft)
    assert answer.status_code == 403
    assert "approved with your passkey" in text(answer.text)
    assert (state(draft), outcome(draft)) == ("pending", "PASSKEY_NEEDED")


async def test_whoever_has_no_passkey_is_told_to_add_one_first(always, keyed, drafted, state):
    mia, draft = await keyed(adds=False), await drafted()
    shown = await mia.get(f"/drafts/{draft}")
    assert "You have none yet: add one first" in text(shown.text)
    assert 'href="/passkeys"' in shown.text
    assert "data-off" in shown.text
    assert (await mia.post(f"/drafts/{draft}/approve/options", await mia.form(draft))).status_code == 409
    assert (await mia.press(draft)).status_code == 403
    assert state(draft) == "pending"


async def test_never_is_the_default(keyed, drafted, state):
    mia, draft = await keyed(), await drafted()
    assert "Approve with passkey" not in (await mia.get(f"/drafts/{draft}")).text
    await mia.press(draft)
    assert state(draft) == "approved"


@pytest.fixture
def somebody(owner_asks):
    """Return a customer of the demo org to whom nobody sold anything today."""

    def find(turn):
        found = owner_asks(
            "select 'cust_' || c.id from crm.customers c join crm.orgs o on o.id = c.org_id and o.slug = 'demo' where not exists"
            " (select from crm.drafts d where d.org_id = c.org_id and d.subject like '%%customer_id:' || c.id)"
            " order by c.id desc offset %s limit 1",
            turn,
        )
        assert found
        return found

    return find


async def test_over_the_standard_limit_a_signature_is_needed_and_under_it_none(rule, keyed, drafted, state, somebody):
    rule(passkeys="over_limit")
    mia = await keyed()
    small, large = await drafted(customer=somebody(0)), await drafted(customer=somebody(1), worth=5000)
    await mia.press(small)
    assert state(small) == "approved"
    assert (await mia.press(large)).status_code == 403
    assert "it is over EUR 5,000.00" in text((await mia.get(f"/drafts/{large}")).text)
    await mia.sign(large)
    assert state(large) == "approved"


async def test_the_standard_limit_is_the_policys(rule, keyed, drafted, state, somebody):
    rule(passkeys="over_limit", approval_limit="1.00")
    mia, draft = await keyed(), await drafted(customer=somebody(2))
    assert (await mia.press(draft)).status_code == 403
    assert "it is over EUR 1.00" in text((await mia.get(f"/drafts/{draft}")).text)


async def test_what_was_approved_for_the_customer_in_a_day_counts(rule, keyed, drafted, state, somebody):
    rule(passkeys="over_limit")
    mia, whom = await keyed(), somebody(3)
    first, second = await drafted(customer=whom, worth=3000), await drafted(customer=whom, worth=3001)
    await mia.press(first)
    assert state(first) == "approved"
    assert (await mia.press(second)).status_code == 403
    assert state(second) == "pending"


async def test_alone_a_passkey_stands_for_a_second_person_once_there_is_one(rule, keyed, drafted, state, somebody):
    rule(solo=True)
    ada = await keyed("ada@demo.example", adds=False)
    first = await drafted("ada@demo.example", customer=somebody(4), worth=6000)
    await ada.press(first)
    assert state(first) == "approved"
    await ada.enrol()
    own, small, others = (
        await drafted("ada@demo.example", customer=somebody(5), worth=6000),
        await drafted("ada@demo.example", customer=somebody(6)),
        await drafted("sam@demo.example", customer=somebody(7), worth=6000),
    )
    assert "stands for a second person" in text((await ada.get(f"/drafts/{own}")).text)
    assert (await ada.press(own)).status_code == 403
    await ada.press(small)
    await ada.press(others)
    assert [state(d) for d in (own, small, others)] == ["pending", "approved", "approved"]
    await ada.sign(own)
    assert state(own) == "approved"


async def test_a_rejection_may_be_signed_and_need_not_be(always, keyed, drafted, state, owner_asks):
    mia, signed, plain = await keyed(), await drafted(), await drafted()
    await mia.sign(signed, "reject", fields={"reason": "too dear"})
    await mia.press(plain, "reject", reason="too dear")
    assert (state(signed), state(plain)) == ("rejected", "rejected")
    kept = "select decision from crm.signatures where draft_id = %s"
    assert (owner_asks(kept, number(signed)), owner_asks(kept, number(plain))) == ("rejected", None)


async def test_a_replayed_assertion_approves_nothing_more(always, keyed, drafted, state, outcome, change):
    mia, first, second = await keyed(), await drafted(), await drafted()
    sent, options = await mia.asked(first)
    sent["credential"] = mia.key.get(options, ORIGIN)
    await mia.post(f"/drafts/{first}/approve", sent)
    assert state(first) == "approved"
    answer = await mia.post(f"/drafts/{second}/approve", {**await mia.form(second), "credential": sent["credential"]})
    assert answer.status_code == 409
    assert (state(second), outcome(second)) == ("pending", "SIGNATURE_SPENT")


async def test_a_signature_is_good_for_five_minutes(always, keyed, drafted, state, outcome, change):
    mia, draft = await keyed(), await drafted()
    sent, options = await mia.asked(draft)
    change(
        "update crm.passkey_challenges set expires_at = clock_timestamp() where challenge = %s",
        decoded(options["challenge"]),
    )
    sent["credential"] = mia.key.get(options, ORIGIN)
    answer = await mia.post(f"/drafts/{draft}/approve", sent)
    assert "older than five minutes" in text(answer.text)
    assert (state(draft), outcome(draft)) == ("pending", "SIGNATURE_SPENT")


async def test_a_challenge_lives_five_minutes_by_the_databases_clock(always, keyed, drafted, owner_asks):
    mia, draft = await keyed(), await drafted()
    _, options = await mia.asked(draft)
    lives = "select extract(epoch from expires_at - created_at)::int from crm.passkey_challenges where challenge = %s"
    assert owner_asks(lives, decoded(options["challenge"])) == 300


async def test_a_signature_for_another_draft_is_no_signature(always, keyed, drafted, state, outcome):
    mia, seen, other = await keyed(), await drafted(), await drafted()
    _, options = await mia.asked(seen)
    sent = {**await mia.form(other), "credential": mia.key.get(options, ORIGIN)}
    assert (await mia.post(f"/drafts/{other}/approve", sent)).status_code == 409
    assert (state(other), outcome(other)) == ("pending", "SIGNATURE_OF_ANOTHER")


async def test_a_signature_over_another_hash_is_no_signature(always, keyed, drafted, state, outcome):
    mia, draft = await keyed(), await drafted()
    _, options = await mia.asked(draft, hash="0" * 64)
    sent = {**await mia.form(draft), "credential": mia.key.get(options, ORIGIN)}
    assert (await mia.post(f"/drafts/{draft}/approve", sent)).status_code == 409
    assert (state(draft), outcome(draft)) == ("pending", "SIGNATURE_OF_ANOTHER")


async def test_a_signed_rejection_approves_nothing(always, keyed, drafted, state, outcome):
    mia, draft = await keyed(), await drafted()
    _, options = await mia.asked(draft, "reject")
    sent = {**await mia.form(draft), "credential": mia.key.get(options, ORIGIN)}
    assert (await mia.post(f"/drafts/{draft}/approve", sent)).status_code == 409
    assert (state(draft), outcome(draft)) == ("pending", "SIGNATURE_OF_ANOTHER")


async def test_what_one_person_was_asked_another_cannot_answer(always, keyed, drafted, state, outcome):
    mia, ada, draft = await keyed(), await keyed("ada@demo.example"), await drafted()
    _, options = await mia.asked(draft)
    sent = {**await ada.form(draft), "credential": ada.key.get(options, ORIGIN)}
    await ada.post(f"/drafts/{draft}/approve", sent)
    assert (state(draft), outcome(draft)) == ("pending", "SIGNATURE_SPENT")


async def test_what_was_asked_in_one_session_is_not_answered_in_another(always, keyed, drafted, state, outcome):
    mia, again, draft = await keyed(), await keyed(adds=False), await drafted()
    _, options = await mia.asked(draft)
    sent = {**await again.form(draft), "credential": mia.key.get(options, ORIGIN)}
    await again.post(f"/drafts/{draft}/approve", sent)
    assert (state(draft), outcome(draft)) == ("pending", "SIGNATURE_SPENT")


async def test_another_persons_passkey_signs_nothing_for_oneself(always, keyed, drafted, state, outcome):
    mia, ada, draft = await keyed(), await keyed("ada@demo.example"), await drafted()
    answer = await mia.sign(draft, key=ada.key)
    assert "not one of yours" in text(answer.text)
    assert (state(draft), outcome(draft)) == ("pending", "PASSKEY_UNKNOWN")


async def test_a_passkey_of_another_org_signs_nothing_here(always, keyed, drafted, state, outcome):
    mia, otto, draft = await keyed(), await keyed("otto@other.example"), await drafted()
    await mia.sign(draft, key=otto.key)
    assert (state(draft), outcome(draft)) == ("pending", "PASSKEY_UNKNOWN")


async def test_a_key_that_nobody_enrolled_signs_nothing(always, keyed, drafted, state, outcome):
    mia, draft = await keyed(), await drafted()
    await mia.sign(draft, key=Authenticator())
    assert (state(draft), outcome(draft)) == ("pending", "PASSKEY_UNKNOWN")


async def test_another_key_under_a_known_credential_signs_nothing(always, keyed, drafted, state, outcome):
    mia, draft = await keyed(), await drafted()
    await mia.sign(draft, key=Authenticator(id=mia.key.id, count=50))
    assert (state(draft), outcome(draft)) == ("pending", "SIGNATURE_INVALID")


async def test_a_revoked_passkey_signs_nothing(always, keyed, drafted, state, outcome, change):
    mia, draft = await keyed(), await drafted()
    sent, options = await mia.asked(draft)
    sent["credential"] = mia.key.get(options, ORIGIN)
    change("update crm.passkeys set revoked_at = now() where credential = %s", mia.key.id)
    answer = await mia.post(f"/drafts/{draft}/approve", sent)
    assert "revoked" in text(answer.text)
    assert (state(draft), outcome(draft)) == ("pending", "PASSKEY_UNKNOWN")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"origin": "https://evil.example"}, "another origin"),
        ({"origin": "http://localhost:8788"}, "another port of this machine"),
        ({"party": "evil.example"}, "another relying party"),
        ({"flags": PRESENT}, "its person was not verified"),
        ({"flags": 0}, "nobody was there"),
        ({"type": "webauthn.create"}, "an answer to another question"),
        ({"crossOrigin": True}, "a page within a page"),
    ],
)
async def test_an_answer_that_does_not_hold_approves_nothing(always, keyed, drafted, state, outcome, said, why):
    mia, draft = await keyed(), await drafted()
    assert (await mia.sign(draft, **said)).status_code == 409
    assert (state(draft), outcome(draft)) == ("pending", "SIGNATURE_INVALID"), why


async def test_a_challenge_of_ones_own_making_is_no_challenge(always, keyed, drafted, state, outcome):
    mia, draft = await keyed(), await drafted()
    await mia.sign(draft, challenge=encoded(b"n" * 32))
    assert (state(draft), outcome(draft)) == ("pending", "SIGNATURE_SPENT")


@pytest.mark.parametrize("forged", ["{}", "[]", "null", "nonsense", '{"id": "AA"}', "[" * 5000])
async def test_what_is_no_answer_at_all_is_turned_down_calmly(always, keyed, drafted, state, outcome, forged):
    mia, draft = await keyed(), await drafted()
    sent = {**await mia.form(draft), "credential": forged}
    assert (await mia.post(f"/drafts/{draft}/approve", sent)).status_code == 409
    assert (state(draft), outcome(draft)) == ("pending", "SIGNATURE_INVALID")


async def test_a_counter_that_goes_backwards_is_refused_and_said(always, keyed, drafted, state, outcome):
    mia, first, second = await keyed(), await drafted(), await drafted()
    await mia.sign(first)
    mia.key.count -= 1  # as a copy of the key would have it
    answer = await mia.sign(second)
    assert "somebody may hold a copy of it" in text(answer.text)
    assert (state(second), outcome(second)) == ("pending", "PASSKEY_CLONED")


async def test_a_passkey_without_a_counter_signs_again_and_again(always, keyed, drafted, state):
    mia, first, second = await keyed(key=Authenticator(counts=False)), await drafted(), await drafted()
    await mia.sign(first)
    await mia.sign(second)
    assert (state(first), state(second)) == ("approved", "approved")


async def test_a_draft_edited_since_it_was_signed_is_not_approved(
    always, keyed, drafted, state, outcome, executor, person
):
    mia, draft = await keyed(), await drafted()
    sent, options = await mia.asked(draft)
    sent["credential"] = mia.key.get(options, ORIGIN)
    await executor.edit(
        await person("sam@demo.example"), number(draft), 1, {"comment": "by the door"}, "they said so"
    )
    await mia.post(f"/drafts/{draft}/approve", sent)
    assert (state(draft), outcome(draft)) == ("pending", "CHANGED_SINCE_SHOWN")
    sent["hash"] = (await mia.form(draft))["hash"]  # what it is now, under the signature of what it was
    await mia.post(f"/drafts/{draft}/approve", sent)
    assert (state(draft), outcome(draft)) == ("pending", "SIGNATURE_OF_ANOTHER")


async def test_a_refused_signature_leaves_nothing(always, keyed, drafted, owner_asks):
    mia, draft = await keyed(), await drafted()
    await mia.sign(draft, flags=PRESENT)
    assert owner_asks("select count(*) from crm.signatures where draft_id = %s", number(draft)) == 0
    assert owner_asks("select sign_count from crm.passkeys where credential = %s", mia.key.id) == 0


async def test_an_approval_without_a_session_of_the_page_is_unsigned(always, keyed, drafted, executor, person):
    draft, mia = await drafted(), await person("mia@demo.example")
    shown = await executor.show(mia, number(draft))
    with pytest.raises(Refusal, match="PASSKEY_NEEDED"):
        await executor.approve(mia, number(draft), shown.hash)
    forged = Signature("{}", ORIGIN, digest_of("x"))
    with pytest.raises(Refusal, match="SIGNATURE_INVALID"):
        await executor.approve(mia, number(draft), shown.hash, forged)


@pytest.fixture
def verified(home, monkeypatch):
    """Run `audit signatures --verify`; return its exit code and the problems of the demo org."""
    monkeypatch.setenv("CRM_HOME", str(home.root))

    def run():
        done = CliRunner().invoke(main, ["audit", "signatures", "--verify", "--json"])
        return done.exit_code, [
            (p["draft"], p["problem"]) for org in json.loads(done.output) for p in org["problems"]
        ]

    return lambda: asyncio.to_thread(run)  # the command has a loop of its own


@pytest.mark.parametrize(
    ("column", "tampered", "wrong"),
    [
        ("hash", "repeat('0', 64)", "the signature does not verify"),
        ("decision", "'rejected'", "the signature does not verify"),
        ("origin", "'https://evil.example'", "the signature does not verify"),
        ("approver", "(select min(id) from crm.users)", "the signature does not verify"),
        ("signature", "set_byte(signature, 9, get_byte(signature, 9) # 1)", "the signature does not verify"),
    ],
)
async def test_a_kept_signature_that_was_tampered_with_is_found(
    always, keyed, drafted, verified, change, owner_asks, column, tampered, wrong
):
    mia, draft = await keyed(), await drafted()
    await mia.sign(draft)
    assert await verified() == (0, [])
    was = owner_asks(f"select {column} from crm.signatures where draft_id = %s", number(draft))
    change(f"update crm.signatures set {column} = {tampered} where draft_id = %s", number(draft))
    assert await verified() == (1, [(draft, wrong)])
    change(f"update crm.signatures set {column} = %s where draft_id = %s", was, number(draft))
    assert await verified() == (0, [])


async def test_a_kept_signature_that_is_gone_is_missed(always, keyed, drafted, verified, change, owner_asks):
    mia, draft = await keyed(), await drafted()
    await mia.sign(draft, "reject", fields={"reason": "no"})
    assert await verified() == (0, [])
    call = owner_asks("select call_id from crm.signatures where draft_id = %s", number(draft))
    change("update crm.signatures set call_id = 1 where draft_id = %s", number(draft))
    gone = "the audit says that it was signed, and the signature is gone"
    assert await verified() == (1, [(draft, "the draft was not decided so"), (draft, gone)])
    change("update crm.signatures set call_id = %s where draft_id = %s", call, number(draft))
