"""What a passkey is asked, and whether what it answers holds: WebAuthn, for one page."""

import hashlib
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..errors import Refusal

MINUTES = 5
"""How long a challenge is good; crm.passkey_challenges holds it by the database's clock."""


class NotVerified(Refusal):
    """What a browser sent is no answer of a passkey to what it was asked here."""

    def __init__(self) -> None:
        super().__init__("SIGNATURE_INVALID", "The passkey's answer does not verify. Nothing was done; try again.")


@dataclass(frozen=True, slots=True)
class Signature:
    """A passkey's answer as a browser sent it, unverified; to the page of an origin, in a session given by its digest.

    `among` are the drafts, with the hash each was shown under, of a list that was signed as one; empty: one decision.
    """

    credential: str
    origin: str
    session: bytes
    among: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True, slots=True)
class Assertion:
    """An answer taken apart: which credential signed what, and where its counter stands."""

    credential: bytes
    challenge: bytes
    sign_count: int
    authenticator: bytes
    client: bytes
    signature: bytes

    @property
    def digest(self) -> str:
        """Return what the audit keeps of it."""
        return hashlib.sha256(self.authenticator + self.client + self.signature).hexdigest()


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A new credential, verified."""

    challenge: bytes
    credential: bytes
    public_key: bytes
    sign_count: int
    transports: list[str]


@dataclass(frozen=True, slots=True)
class Known:
    """A passkey to choose from: its credential, and how a browser reaches it."""

    credential: bytes
    transports: Sequence[str]


def party_of(origin: str) -> str | None:
    """Return the name under which passkeys know an origin; None where browsers have none for it.

    They want a name, not a number, and a connection nobody reads: https, or this machine.
    """
    parts = urlsplit(origin)
    name = parts.hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        is_here = name == "localhost" or name.endswith(".localhost")
        return name if name and (parts.scheme == "https" or is_here) else None
    return None


def statement(
    draft: int, org: int, seen: str, nonce: bytes, decision: str, approver: int, origin: str
) -> dict[str, object]:
    """Return what a decision signs: all that it must not be taken for another by."""
    return {
        "draft": draft,
        "org": org,
        "hash": seen,
        "nonce": nonce.hex(),
        "decision": decision,
        "approver": approver,
        "origin": origin,
    }


def statement_of_all(
    org: int, items: Sequence[Mapping[str, object]], approver: int, origin: str
) -> dict[str, object]:
    """Return what a list of decisions signs; its items have draft, hash, nonce and decision, in the order of the drafts."""
    return {"org": org, "decisions": [dict(item) for item in items], "approver": approver, "origin": origin}


def challenge_of(said: Mapping[str, object]) -> bytes:
    """Return the SHA-256 of a statement's RFC 8785 canonical JSON."""
    import rfc8785

    return hashlib.sha256(rfc8785.dumps(dict(said))).digest()  # pyright: ignore[reportArgumentType] of text and numbers


def ask_to_enrol(
    origin: str, challenge: bytes, handle: bytes, email: str, name: str, org: str, has: Sequence[Known]
) -> dict[str, Any]:
    """Return the options of `navigator.credentials.create`: a passkey that can be found without a name, and checks its person."""
    from webauthn import generate_registration_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    return options_to_json_dict(
        generate_registration_options(
            rp_id=_party(origin),
            rp_name=f"{org} approvals",
            user_id=handle,
            user_name=f"{email} · {org}",
            user_display_name=name,
            challenge=challenge,
            timeout=MINUTES * 60_000,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_descriptors(has),
        )
    )


def ask_to_sign(origin: str, challenge: bytes, among: Sequence[Known] = ()) -> dict[str, Any]:
    """Return the options of `navigator.credentials.get`; with no passkeys named, any that the browser finds."""
    from webauthn import generate_authentication_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import UserVerificationRequirement

    return options_to_json_dict(
        generate_authentication_options(
            rp_id=_party(origin),
            challenge=challenge,
            timeout=MINUTES * 60_000,
            allow_credentials=_descriptors(among),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def read(credential: str) -> Assertion:
    """Take a passkey's answer apart, unverified.

    Raises:
        NotVerified: it is none.
    """
    from webauthn.helpers import (
        parse_authentication_credential_json,
        parse_authenticator_data,
        parse_client_data_json,
    )

    try:
        parsed = parse_authentication_credential_json(credential)
        said = parsed.response
        challenge = parse_client_data_json(said.client_data_json).challenge
        count = parse_authenticator_data(said.authenticator_data).sign_count
    except Exception:
        raise NotVerified from None
    return Assertion(parsed.raw_id, challenge, count, said.authenticator_data, said.client_data_json, said.signature)


def verify(assertion: Assertion, challenge: bytes, origin: str, public_key: bytes) -> None:
    """See that a key signed a challenge for an origin, with its person verified. Whose key it is, is not asked here,
    nor whether its counter rose.

    Raises:
        NotVerified: it did not.
    """
    from webauthn import verify_authentication_response
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.structs import (
        AuthenticationCredential,
        AuthenticatorAssertionResponse,
        PublicKeyCredentialType,
    )

    try:
        answer = AuthenticatorAssertionResponse(
            client_data_json=assertion.client,
            authenticator_data=assertion.authenticator,
            signature=assertion.signature,
        )
        verify_authentication_response(
            credential=AuthenticationCredential(
                id=bytes_to_base64url(assertion.credential),
                raw_id=assertion.credential,
                response=answer,
                type=PublicKeyCredentialType.PUBLIC_KEY,
            ),
            expected_challenge=challenge,
            expected_rp_id=_party(origin),
            expected_origin=origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
        is_framed = json.loads(assertion.client).get("crossOrigin", False) is not False
    except Exception:
        raise NotVerified from None
    if is_framed:
        raise NotVerified


def enrolled(credential: str, origin: str) -> Enrolled:
    """Return the new credential in a browser's answer; whether its challenge was asked here is judged where it is kept.

    Raises:
        NotVerified: it does not hold.
    """
    from webauthn import verify_registration_response
    from webauthn.helpers import parse_client_data_json, parse_registration_credential_json

    try:
        parsed = parse_registration_credential_json(credential)
        challenge = parse_client_data_json(parsed.response.client_data_json).challenge
        made = verify_registration_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=_party(origin),
            expected_origin=origin,
            require_user_verification=True,
        )
    except Exception:
        raise NotVerified from None
    ways = [way.value for way in parsed.response.transports or ()]
    return Enrolled(challenge, made.credential_id, made.credential_public_key, made.sign_count, ways)


def _party(origin: str) -> str:
    party = party_of(origin)
    if party is None:
        raise NotVerified
    return party


def _descriptors(passkeys: Sequence[Known]) -> list[Any]:
    from webauthn.helpers.structs import AuthenticatorTransport, PublicKeyCredentialDescriptor

    ways = {way.value: way for way in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(
            id=known.credential, transports=[ways[way] for way in known.transports if way in ways]
        )
        for known in passkeys
    ]
