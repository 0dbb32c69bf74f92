"""A run of e-mails is signed once: what is signed is the list of all, and each is verified and decided by itself."""

import asyncio
import hashlib
import json
import os

import psycopg
import pytest
import rfc8785
from click.testing import CliRunner

from authenticator import PRESENT, Authenticator, decoded, encoded
from browser import ORIGIN, hidden, text
from crm_mcp.cli import main

OUTCOMES = "select array_agg(outcome order by id) from crm.audit_log where draft_id = any(%s) and phase = 'refused'"
KEPT = "select count(*) from crm.signatures where draft_id = any(%s)"


@pytest.fixture(autouse=True)
def always(rule):
    rule(passkeys="always")


def numbers(drafts):
    return [int(draft.removeprefix("draft_")) for draft in drafts]


async def asked(browser, drafts, **fields):
    """Return the form of a group with its number confirmed, and what a passkey is asked to sign for it."""
    shown = (await browser.get(f"/drafts/{drafts[0]}/group")).text
    form = {**hidden(shown[shown.index('id="decide"') :]), "count": str(len(drafts)), **fields}
    return form, await browser.post(f"/drafts/{drafts[0]}/group/options", form)


async def signed(browser, drafts, key=None, **said):
    form, answer = await asked(browser, drafts)
    form["credential"] = (key or browser.key).get(answer.json(), ORIGIN, **said)
    return form


def press(browser, drafts, form):
    return browser.post(f"/drafts/{drafts[0]}/group", form)


@pytest.fixture
def states(state):
    return lambda drafts: [state(draft) for draft in drafts]


@pytest.fixture
def verified(home, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(home.root))

    def run():
        done = CliRunner().invoke(main, ["audit", "signatures", "--verify", "--json"])
        return [(p["draft"], p["problem"]) for org in json.loads(done.output) for p in org["problems"]]

    return lambda: asyncio.to_thread(run)


async def test_one_signature_approves_all_that_were_shown(keyed, reminders, states, owner_asks, verified):
    mia = await keyed()
    alone = text((await mia.get(f"/drafts/{reminders[0]}")).text)
    assert "One of 3 e-mails" in alone
    shown = text((await mia.get(f"/drafts/{reminders[0]}/group")).text)
    assert "You sign once, for all 3 as shown here" in shown
    done = await press(mia, reminders, await signed(mia, reminders))
    assert done.status_code == 200
    assert states(reminders) == ["approved"] * 3
    assert mia.key.count == owner_asks("select sign_count from crm.passkeys where credential = %s", mia.key.id)
    kept = "select count(distinct signature), count(distinct nonce), count(*) from crm.signatures where draft_id = any(%s)"
    assert owner_asks(f"select array[a, b, c] from ({kept}) x(a, b, c)", numbers(reminders)) == [1, 3, 3]
    assert await verified() == []


async def test_what_is_signed_is_the_canonical_list_with_chance_for_each(keyed, reminders, home):
    mia = await keyed()
    form, answer = await asked(mia, reminders)
    said = decoded(answer.json()["challenge"])
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        items = conn.execute(
            "select draft_id, hash, nonce from crm.passkey_challenge_items where challenge = %s order by draft_id",
            (said,),
        ).fetchall()
        org, user = conn.execute(
            "select org_id, user_id from crm.passkey_challenges where challenge = %s", (said,)
        ).fetchone()
    assert ";".join(f"draft_{draft}:{shown}" for draft, shown, _ in items) == form["seen"]
    assert len({nonce for _, _, nonce in items}) == 3
    decisions = [
        {"draft": draft, "hash": shown, "nonce": nonce.hex(), "decision": "approved"} for draft, shown, nonce in items
    ]
    whole = {"org": org, "decisions": decisions, "approver": user, "origin": ORIGIN}
    assert said == hashlib.sha256(rfc8785.dumps(whole)).digest()


async def test_without_a_signature_none_is_approved(keyed, reminders, states):
    mia = await keyed()
    form, _ = await asked(mia, reminders)
    assert "approved with your passkey" in text((await press(mia, reminders, {**form, "credential": ""})).text)
    assert states(reminders) == ["pending"] * 3


async def test_whoever_has_no_passkey_is_told_so_and_offered_no_approval(keyed, reminders, states):
    mia = await keyed(adds=False)
    shown = (await mia.get(f"/drafts/{reminders[0]}/group")).text
    assert "you have none yet" in text(shown)
    assert "Approve all" not in shown
    assert states(reminders) == ["pending"] * 3


async def test_one_that_changed_since_is_refused_by_name_and_the_others_go_through(
    keyed, reminders, states, executor, person
):
    mia = await keyed()
    form = await signed(mia, reminders)
    fin = await person("fin@demo.example")
    await executor.edit(fin, numbers(reminders)[1], 1, {"body": "Pay at once."}, "firmer")
    done = text((await press(mia, reminders, form)).text)
    assert states(reminders) == ["approved", "pending", "approved"]
    assert f"{reminders[1]} This is not what you were shown" in done


async def test_one_that_was_decided_meanwhile_stops_no_other(keyed, reminders, states):
    mia, ada = await keyed(), await keyed("ada@demo.example", adds=False)
    form = await signed(mia, reminders)
    await ada.press(reminders[0], "reject", reason="not this one")
    await press(mia, reminders, form)
    assert states(reminders) == ["rejected", "approved", "approved"]


async def test_a_wrong_number_is_said_before_anything_is_signed(keyed, reminders):
    mia = await keyed()
    _, answer = await asked(mia, reminders, count="2")
    assert answer.status_code == 409
    assert "not the number of e-mails here" in answer.json()["problem"]


def swapped(seen):
    """Give the first two e-mails each other's hash."""
    (one, first), (two, second), *rest = (part.split(":") for part in seen)
    return [f"{one}:{second}", f"{two}:{first}", *(":".join(part) for part in rest)]


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (lambda seen: list(reversed(seen)), "another order"),
        (lambda seen: seen[:-1], "one left out"),
        (lambda seen: [*seen, f"draft_{10**9}:{'0' * 64}"], "one more"),
        (lambda seen: [*seen, seen[-1]], "one twice"),
        (lambda seen: [*seen[:-1], seen[-1][:-64] + "0" * 64], "a hash of nothing"),
        (swapped, "two hashes exchanged"),
    ],
)
async def test_a_list_that_is_not_the_signed_one_approves_none_of_it(
    keyed, reminders, states, owner_asks, forged, why
):
    mia = await keyed()
    form = await signed(mia, reminders)
    form["seen"] = ";".join(said := forged(form["seen"].split(";")))
    form["count"] = str(len(said))
    await press(mia, reminders, form)
    assert states(reminders) == ["pending"] * 3, why
    assert owner_asks(KEPT, numbers(reminders)) == 0


@pytest.mark.parametrize("forged", [lambda items: items[::-1], lambda items: items[:2]])
async def test_a_signature_over_a_list_in_another_order_or_of_fewer_is_none(
    keyed, reminders, states, owner_asks, home, forged
):
    """Signed by the right key over the true chances, but not over what the page asked."""
    mia = await keyed()
    form, answer = await asked(mia, reminders)
    options = answer.json()
    with psycopg.connect(home.conninfo("crm_owner")) as conn:
        rows = conn.execute(
            "select draft_id, hash, nonce, decision from crm.passkey_challenge_items where challenge = %s order by draft_id",
            (decoded(options["challenge"]),),
        ).fetchall()
        org, user = conn.execute(
            "select org_id, user_id from crm.passkey_challenges where challenge = %s",
            (decoded(options["challenge"]),),
        ).fetchone()
    items = [
        {"draft": draft, "hash": seen, "nonce": nonce.hex(), "decision": how} for draft, seen, nonce, how in rows
    ]
    whole = {"org": org, "decisions": forged(items), "approver": user, "origin": ORIGIN}
    own = encoded(hashlib.sha256(rfc8785.dumps(whole)).digest())
    form["credential"] = mia.key.get(options, ORIGIN, challenge=own)
    await press(mia, reminders, form)
    assert states(reminders) == ["pending"] * 3
    assert set(owner_asks(OUTCOMES, numbers(reminders))) == {"SIGNATURE_SPENT"}


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ({"flags": PRESENT}, "SIGNATURE_INVALID"),
        ({"origin": "https://evil.example"}, "SIGNATURE_INVALID"),
        ({"key": Authenticator()}, "PASSKEY_UNKNOWN"),
        ({"challenge": encoded(os.urandom(32))}, "SIGNATURE_SPENT"),
    ],
)
async def test_an_answer_that_does_not_hold_approves_none(keyed, reminders, states, owner_asks, said, outcome):
    mia = await keyed()
    form, answer = await asked(mia, reminders)
    key, origin = said.pop("key", mia.key) if "key" in said else mia.key, said.get("origin", ORIGIN)
    more = {name: value for name, value in said.items() if name != "origin"}
    form["credential"] = key.get(answer.json(), origin, **more)
    await press(mia, reminders, form)
    assert states(reminders) == ["pending"] * 3
    assert set(owner_asks(OUTCOMES, numbers(reminders))) == {outcome}


async def test_what_one_person_was_asked_another_cannot_answer(keyed, reminders, states):
    mia, ada = await keyed(), await keyed("ada@demo.example")
    _, answer = await asked(mia, reminders)
    form, _ = await asked(ada, reminders)
    form["credential"] = ada.key.get(answer.json(), ORIGIN)
    await press(ada, reminders, form)
    assert states(reminders) == ["pending"] * 3


async def test_a_signature_of_a_list_is_none_of_a_single_draft_and_the_other_way_round(keyed, reminders, states):
    mia = await keyed()
    whole = await signed(mia, reminders)
    await mia.post(
        f"/drafts/{reminders[0]}/approve", {**await mia.form(reminders[0]), "credential": whole["credential"]}
    )
    _, options = await mia.asked(reminders[0])
    await press(mia, reminders, {**whole, "credential": mia.key.get(options, ORIGIN)})
    assert states(reminders) == ["pending"] * 3


async def test_a_signature_of_a_list_is_good_for_five_minutes_and_each_of_it_once(
    keyed, reminders, states, change, owner_asks
):
    mia = await keyed()
    form = await signed(mia, reminders)
    said = json.loads(form["credential"])["response"]["clientDataJSON"]
    challenge = decoded(json.loads(decoded(said))["challenge"])
    change("update crm.passkey_challenge_items set used_at = now() where challenge = %s and draft_id = %s", challenge, numbers(reminders)[0])  # fmt: skip
    await press(mia, reminders, form)
    assert states(reminders) == ["pending", "approved", "approved"]
    assert owner_asks(OUTCOMES, numbers(reminders)) == ["SIGNATURE_SPENT"]


async def test_a_list_signed_more_than_five_minutes_ago_approves_none(keyed, reminders, states, change):
    mia = await keyed()
    form = await signed(mia, reminders)
    change("update crm.passkey_challenges set expires_at = clock_timestamp() where purpose = 'decide-all'")
    await press(mia, reminders, form)
    assert states(reminders) == ["pending"] * 3


async def test_another_answer_to_the_same_list_decides_nothing_more(keyed, reminders, states, executor, person):
    """The first answer left one e-mail over; a second answer, with a counter that rose, is not the one that was counted."""
    mia = await keyed()
    form, answer = await asked(mia, reminders)
    fin = await person("fin@demo.example")
    await executor.edit(fin, numbers(reminders)[2], 1, {"body": "Pay at once."}, "firmer")
    await press(mia, reminders, {**form, "credential": mia.key.get(answer.json(), ORIGIN)})
    assert states(reminders) == ["approved", "approved", "pending"]
    await press(mia, reminders, {**form, "credential": mia.key.get(answer.json(), ORIGIN)})
    assert states(reminders) == ["approved", "approved", "pending"]


@pytest.mark.parametrize(
    ("tampered", "wrong"),
    [
        ("among #- '{0}'", "the list that was signed does not hold it"),
        ("among #- '{1}'", "the signature does not verify"),
        ("jsonb_set(among, '{1,hash}', to_jsonb(repeat('0', 64)))", "the signature does not verify"),
        ("null", "the signature does not verify"),
    ],
)
async def test_a_kept_list_that_was_tampered_with_is_found(
    keyed, reminders, verified, change, owner_asks, tampered, wrong
):
    mia = await keyed()
    await press(mia, reminders, await signed(mia, reminders))
    assert await verified() == []
    first = numbers(reminders)[0]
    was = json.dumps(owner_asks("select among from crm.signatures where draft_id = %s", first))
    change(f"update crm.signatures set among = {tampered} where draft_id = %s", first)
    assert await verified() == [(reminders[0], wrong)]
    change("update crm.signatures set among = %s where draft_id = %s", was, first)
    assert await verified() == []
