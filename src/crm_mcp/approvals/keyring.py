"""People's passkeys as they are kept: asked, added, named, revoked, and signed in with. `db` connects as crm_approver."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import audit, auth, ids
from ..audit import Call
from ..db import Database
from ..errors import SignInFailed
from ..principal import Principal
from . import passkey, session
from .passkey import Known
from .session import Session

MOST = 20
"""Passkeys of one person; crm.enrol_passkey holds it."""
LONGEST_NAME = 60
_ASK = "select crm.ask_passkey(%s, %s, %s, %s, %s, %s, %s, %s)"
_ASK_FOR_ALL = "select crm.ask_passkey_for_all(%s, %s, %s)"
_LIST = """select p.id, p.person, u.name as person_name, p.credential, p.transports, p.handle, p.name, p.created_at,
   p.last_used_at, p.revoked_at
 from crm.list_passkeys() p join crm.users u on u.id = p.person order by u.name, p.id"""
_ENROL = "select crm.enrol_passkey(%s, %s, %s, %s, %s, %s, %s)"
_ENTER = "select crm.enter_by_passkey(%s, %s, %s, %s)"
_KEY = "select crm.passkey_key(%s)"


@dataclass(frozen=True, slots=True)
class Passkey:
    """One passkey, with whose it is."""

    id: int
    person: int
    person_name: str
    known: Known
    handle: bytes
    name: str
    created: datetime
    last_used: datetime | None
    revoked: datetime | None

    @classmethod
    def of(cls, row: Any) -> "Passkey":
        known = Known(bytes(row.credential), tuple(row.transports))
        return cls(
            row.id,
            row.person,
            row.person_name,
            known,
            bytes(row.handle),
            row.name,
            row.created_at,
            row.last_used_at,
            row.revoked_at,
        )


@dataclass(frozen=True, slots=True)
class Keyring:
    """The passkeys that a person may see: their own, and as an administrator those of others."""

    own: Sequence[Passkey]
    others: Sequence[Passkey]
    handle: bytes | None
    """What authenticators know this person by, if any does."""


async def keyring(db: Database, who: Principal) -> Keyring:
    async with db.begin(who, ids.new_call()) as conn:
        found = [Passkey.of(row) for row in (await conn.exec_driver_sql(_LIST)).all()]
    mine = [one for one in found if one.person == who.user]
    good = [one for one in mine if one.revoked is None]
    others = [one for one in found if one.person != who.user]
    return Keyring(good, others, mine[0].handle if mine else None)


async def is_fresh(db: Database, who: Session) -> bool:
    """Say whether somebody signed in just now, and so may add a passkey."""
    return bool(await db.unbound("select crm.session_is_fresh(%s)", (session.digest_of(who.secret),)))


async def ask_to_enrol(db: Database, who: Session, origin: str) -> dict[str, Any] | None:
    """Return what to ask a browser for a new passkey; None where the session is too old to add one."""
    ring = await keyring(db, who.who)
    nonce, handle = secrets.token_bytes(32), ring.handle or secrets.token_bytes(32)
    said = {"nonce": nonce.hex(), "origin": origin, "org": who.who.org, "purpose": "enrol", "user": who.who.user}
    challenge = passkey.challenge_of(said)
    if not await db.unbound(
        _ASK, ("enrol", session.digest_of(who.secret), nonce, challenge, None, None, None, handle)
    ):
        return None
    person = who.who
    known = [one.known for one in ring.own]
    return passkey.ask_to_enrol(origin, challenge, handle, person.email, person.name, person.org_name, known)


async def ask_to_sign(
    db: Database, who: Session, draft: int, seen: str, decision: str, origin: str
) -> dict[str, Any] | None:
    """Return what to ask a browser for a signed decision; None where its person has no passkey."""
    ring = await keyring(db, who.who)
    if not ring.own:
        return None
    nonce = secrets.token_bytes(32)
    said = passkey.statement(draft, who.who.org, seen, nonce, decision, who.who.user, origin)
    challenge = passkey.challenge_of(said)
    asked = ("decide", session.digest_of(who.secret), nonce, challenge, draft, seen, decision, None)
    if not await db.unbound(_ASK, asked):
        return None
    return passkey.ask_to_sign(origin, challenge, [one.known for one in ring.own])


async def ask_to_sign_all(db: Database, who: Session, seen: Mapping[int, str], origin: str) -> dict[str, Any] | None:
    """Return what to ask a browser for one signature of several approvals; None where its person has no passkey.

    `seen` are the drafts with the hashes they were shown under, in the order of their numbers.
    """
    ring = await keyring(db, who.who)
    if not ring.own:
        return None
    items = [
        {"draft": draft, "hash": shown, "nonce": secrets.token_hex(32), "decision": "approved"}
        for draft, shown in seen.items()
    ]
    challenge = passkey.challenge_of(passkey.statement_of_all(who.who.org, items, who.who.user, origin))
    if not await db.unbound(_ASK_FOR_ALL, (session.digest_of(who.secret), challenge, json.dumps(items))):
        return None
    return passkey.ask_to_sign(origin, challenge, [one.known for one in ring.own])


async def ask_to_sign_in(db: Database, origin: str, among: Sequence[Known] = ()) -> dict[str, Any]:
    """Return what to ask a browser for a sign-in."""
    nonce = secrets.token_bytes(32)
    challenge = passkey.challenge_of({"nonce": nonce.hex(), "origin": origin, "purpose": "sign-in"})
    await db.unbound(_ASK, ("sign-in", None, nonce, challenge, None, None, None, None))
    return passkey.ask_to_sign(origin, challenge, among)


async def enrol(db: Database, who: Session, credential: str, name: str, origin: str) -> bool:
    """Add a passkey; False where its challenge is spent, the person has too many, or somebody has it already.

    Raises:
        NotVerified: it does not hold.
    """
    made = passkey.enrolled(credential, origin)
    values = (made.challenge, session.digest_of(who.secret), made.credential, made.public_key, made.sign_count)
    return await _recorded(db, who.who, "enrol_passkey", {"name": name}, _ENROL, (*values, made.transports, name))


async def rename(db: Database, who: Principal, number: int, name: str) -> bool:
    """Give one's own passkey another name."""
    said = {"passkey": number, "name": name}
    return await _recorded(db, who, "rename_passkey", said, "select crm.rename_passkey(%s, %s)", (number, name))


async def revoke(db: Database, who: Principal, number: int) -> bool:
    """End a passkey and the sessions it began: one's own, or as an administrator anybody's of the org."""
    said = {"passkey": number}
    return await _recorded(db, who, "revoke_passkey", said, "select crm.revoke_passkey(%s)", (number,))


async def enter(db: Database, credential: str, origin: str) -> str | None:
    """Sign in with a passkey; return the new session's secret, None where the challenge or the passkey is not good.

    Raises:
        NotVerified: the answer does not hold.
        psycopg.Error: CRM09, which `refusal_for` says, of a copied passkey.
    """
    said = passkey.read(credential)
    key = await db.unbound(_KEY, (said.credential,))
    if key is None:
        return None
    passkey.verify(said, said.challenge, origin, bytes(key))
    secret = session.new_secret()
    digest = session.digest_of(secret)
    values = (said.challenge, said.credential, said.sign_count, digest)
    try:
        who = await db.enter(_ENTER, values, auth.by_session(digest), session.signed("page_sign_in", by="passkey"))
    except SignInFailed:
        return None
    return None if who is None else secret


async def _recorded(
    db: Database, who: Principal, tool: str, said: Mapping[str, object], statement: str, values: tuple[object, ...]
) -> bool:
    """Do one thing between its audit rows; say whether it was done."""
    call = Call(who, tool, said)
    async with db.begin(who, call.id) as conn:
        await conn.exec_driver_sql(*audit.begun(call))
        done = bool((await conn.exec_driver_sql(statement, values)).scalar_one())
        await conn.exec_driver_sql(*audit.ended(call, "run", "ok" if done else "not done"))
    return done
