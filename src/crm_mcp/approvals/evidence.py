"""Signed decisions: whether one needs a signature, what is kept of it, and whether what was kept still verifies."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Refusal, refusal_for
from ..policy import Stakes
from ..principal import Principal
from . import passkey
from .passkey import Assertion, NotVerified, Signature

Deciding = Literal["approved", "rejected"]
_NEEDS = "select crm.needs_passkey(%s, %s, %s, %s)"
_TAKE = "select nonce from crm.take_challenge(%s, 'decide', %s)"
_KEY = "select crm.passkey_key(%s)"
_TAKE_ITEM = "select crm.take_item(%s, %s, %s)"
_SIGN_ITEM = "select crm.sign_item(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_SIGN = "select crm.sign_decision(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
SPENT = "It was used before, is older than five minutes, or was asked for in another sign-in. Nothing was done; sign again."


async def needed(conn: AsyncConnection, draft: int, stake: Stakes) -> str | None:
    """Return why the bound person must sign the approval of a draft; None where they need not. Postgres judges again."""
    amount = None if stake.amount is None else str(stake.amount)
    asked = await conn.exec_driver_sql(_NEEDS, (draft, amount, stake.subject, stake.no_rate))
    return asked.scalar_one()


def missing(why: str) -> Refusal:
    return Refusal("PASSKEY_NEEDED", f"This has to be approved with your passkey: {why}. Nothing was done.")


async def keep(
    conn: AsyncConnection,
    who: Principal,
    draft: int,
    version: int,
    seen: str,
    decision: Deciding,
    signature: Signature,
) -> str:
    """Verify a signature and keep it, in the transaction of the decision that it is for; return its digest.

    Raises:
        Refusal: SIGNATURE_SPENT, SIGNATURE_OF_ANOTHER, SIGNATURE_INVALID, PASSKEY_UNKNOWN, PASSKEY_CLONED.
    """
    said = passkey.read(signature.credential)
    asked = await (_asked_among if signature.among else _asked)(conn, who, draft, seen, decision, said, signature)
    if asked is None or passkey.challenge_of(asked) != said.challenge:
        hint = (
            "What was signed is another draft or decision, or not what this one shows now. Look again, and sign that."
        )
        raise Refusal("SIGNATURE_OF_ANOTHER", hint)
    key = (await conn.exec_driver_sql(_KEY, (said.credential,))).scalar_one()
    if key is None:
        raise _unknown()
    passkey.verify(said, said.challenge, signature.origin, bytes(key))
    values = (said.challenge, draft, version, seen, decision, signature.origin, *_kept(said))
    try:
        is_kept = (await conn.exec_driver_sql(_SIGN_ITEM if signature.among else _SIGN, values)).scalar_one()
    except DBAPIError as problem:
        raise refusal_for(problem) or problem from None
    if not is_kept:
        raise _unknown()
    return said.digest


async def _asked(
    conn: AsyncConnection,
    who: Principal,
    draft: int,
    seen: str,
    decision: Deciding,
    said: Assertion,
    signature: Signature,
) -> dict[str, object] | None:
    """Use a challenge up, and return what was to be signed.

    Raises:
        Refusal: SIGNATURE_SPENT.
    """
    nonce = (await conn.exec_driver_sql(_TAKE, (said.challenge, signature.session))).scalar_one_or_none()
    if nonce is None:
        raise Refusal("SIGNATURE_SPENT", SPENT)
    return passkey.statement(draft, who.org, seen, bytes(nonce), decision, who.user, signature.origin)


async def _asked_among(
    conn: AsyncConnection,
    who: Principal,
    draft: int,
    seen: str,
    decision: Deciding,
    said: Assertion,
    signature: Signature,
) -> dict[str, object] | None:
    """Use one decision of a list up, and return the list; None where it is not the one that the form brought, in its order.

    Raises:
        Refusal: SIGNATURE_SPENT.
    """
    items = (await conn.exec_driver_sql(_TAKE_ITEM, (said.challenge, draft, signature.session))).scalar_one()
    if items is None:
        raise Refusal("SIGNATURE_SPENT", SPENT)
    is_same = [(item["draft"], item["hash"]) for item in items] == list(signature.among)
    if not is_same or not _is_in(items, draft, seen, decision):
        return None
    return passkey.statement_of_all(who.org, items, who.user, signature.origin)


def _is_in(items: Sequence[Mapping[str, Any]], draft: int, seen: str, decision: str) -> bool:
    return any((item["draft"], item["hash"], item["decision"]) == (draft, seen, decision) for item in items)


def check(row: Mapping[str, Any]) -> str | None:
    """Verify a kept signature again, by nothing but what was kept; return what is wrong, None where it holds."""
    among, nonce = row["among"], bytes.fromhex(row["nonce"])
    if among is None:
        asked = passkey.statement(
            row["draft"], row["org"], row["hash"], nonce, row["decision"], row["approver"], row["origin"]
        )
    else:
        mine = [item for item in among if item["nonce"] == row["nonce"]]
        if not _is_in(mine, row["draft"], row["hash"], row["decision"]):
            return "the list that was signed does not hold it"
        asked = passkey.statement_of_all(row["org"], among, row["approver"], row["origin"])
    authenticator, client, signed = (bytes.fromhex(row[name]) for name in ("authenticator", "client", "signature"))
    said = Assertion(b"-", b"", 0, authenticator, client, signed)
    try:
        passkey.verify(said, passkey.challenge_of(asked), row["origin"], bytes.fromhex(row["key"]))
    except NotVerified:
        return "the signature does not verify"
    if row["owner"] != row["approver"]:
        return "the passkey is not the approver's"
    if not row["decided"]:
        return "the draft was not decided so"
    return None if row["audited"] else "the audit knows nothing of it, or of another"


def _unknown() -> Refusal:
    return Refusal("PASSKEY_UNKNOWN", "That passkey is not one of yours here, or it was revoked. Nothing was done.")


def _kept(said: Assertion) -> tuple[object, ...]:
    return said.credential, said.sign_count, said.authenticator, said.client, said.signature
