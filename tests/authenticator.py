"""An authenticator in software: makes passkeys, signs with them, and can be told to misbehave in every way."""

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class ES256:
    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    def cose(self) -> dict[int, Any]:
        n = self.key.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: n.x.to_bytes(32, "big"), -3: n.y.to_bytes(32, "big")}

    def sign(self, what: bytes) -> bytes:
        return self.key.sign(what, ec.ECDSA(hashes.SHA256()))


class EdDSA:
    def __init__(self) -> None:
        self.key = ed25519.Ed25519PrivateKey.generate()

    def cose(self) -> dict[int, Any]:
        return {1: 1, 3: -8, -1: 6, -2: self.key.public_key().public_bytes_raw()}

    def sign(self, what: bytes) -> bytes:
        return self.key.sign(what)


class RS256:
    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)

    def cose(self) -> dict[int, Any]:
        n = self.key.public_key().public_numbers()
        return {1: 3, 3: -257, -1: n.n.to_bytes(256, "big"), -2: n.e.to_bytes(3, "big")}

    def sign(self, what: bytes) -> bytes:
        return self.key.sign(what, padding.PKCS1v15(), hashes.SHA256())


@dataclass
class Authenticator:
    """One passkey. `counts` false: it has no counter, and always says 0."""

    kind: type[ES256] | type[EdDSA] | type[RS256] = ES256
    counts: bool = True
    count: int = 0
    id: bytes = field(default_factory=lambda: os.urandom(32))
    handle: bytes = b""

    def __post_init__(self) -> None:
        self.key = self.kind()

    def create(self, options: dict[str, Any], origin: str, *, flags: int = PRESENT | VERIFIED, **said: Any) -> str:
        """Answer `navigator.credentials.create`."""
        self.handle = decoded(options["user"]["id"])
        public = cbor2.dumps(self.key.cose())
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + public
        data = self._data(said.pop("party", options["rp"]["id"]), flags | ATTESTED) + attested
        challenge = said.pop("challenge", options["challenge"])
        client = self._client("webauthn.create", challenge, origin, **said)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": encoded(client),
            "attestationObject": encoded(attestation),
            "transports": ["internal"],
        }
        return json.dumps(self._credential(response))

    def get(self, options: dict[str, Any], origin: str, *, flags: int = PRESENT | VERIFIED, **said: Any) -> str:
        """Answer `navigator.credentials.get`; `said` forges what is in the client data, `party` the relying party."""
        if self.counts:
            self.count += 1
        data = self._data(said.pop("party", options["rpId"]), flags)
        challenge = said.pop("challenge", options["challenge"])
        client = self._client(said.pop("type", "webauthn.get"), challenge, origin, **said)
        signature = self.key.sign(data + hashlib.sha256(client).digest())
        response = {
            "clientDataJSON": encoded(client),
            "authenticatorData": encoded(data),
            "signature": encoded(signature),
            "userHandle": encoded(self.handle),
        }
        return json.dumps(self._credential(response))

    def _data(self, party: str, flags: int) -> bytes:
        return hashlib.sha256(party.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str, origin: str, **said: Any) -> bytes:
        return json.dumps(
            {"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False, **said}
        ).encode()

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        return {"id": encoded(self.id), "rawId": encoded(self.id), "type": "public-key", "response": response}
