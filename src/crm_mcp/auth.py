"""From what a transport knows (an e-mail on the embedded database, a web session) to a Principal."""

import hashlib
from collections.abc import Sequence
from typing import Any

from .errors import Refusal, SignInFailed
from .principal import Agent, Principal, Proof, Role


def by_email(email: str, org: str | None = None, agent: Agent | None = None) -> Proof:
    """Prove by an e-mail address alone, which only the embedded database accepts."""
    return Proof("select * from crm.sign_in(%s, %s, %s)", (email, org, agent))


def by_key(key: str, agent: Agent | None = None) -> Proof:
    """Prove by an API key; its SHA-256 is what travels."""
    digest = hashlib.sha256(key.encode()).digest()
    return Proof("select * from crm.sign_in_key(%s, %s)", (digest, agent), digest)


def by_session(digest: bytes) -> Proof:
    """Prove by the SHA-256 of a web session's secret; only the approver's login may ask."""
    return Proof("select * from crm.resume(%s)", (digest,))


def principal_of(row: Sequence[Any] | None, proof: Proof, revision: str) -> Principal:
    """Make a Principal of a `crm.signed_in` row.

    Raises:
        SignInFailed: no such person, or not in that org.
        Refusal: CLIENT_TOO_OLD, when the database has moved past `revision`, this program's schema.
    """
    if row is None:
        raise SignInFailed(
            "No such person in this database, or the API key is wrong, expired or revoked. `crm-mcp users list` shows "
            "who there is; `crm-mcp demo` loads a demo org with ada@demo.example; `crm-mcp init` makes your own."
        )
    (
        org, slug, org_name, currency, zone, user, name, email, agent, role, may_approve, limit, may_email, stamp,
        _token, _at, oldest,
    ) = row  # fmt: skip
    if revision < oldest:
        raise Refusal("CLIENT_TOO_OLD", "The database is newer than this crm-mcp. Upgrade crm-mcp and restart it.")
    return Principal(
        org, slug, org_name, currency, zone, user, name, email, Role(role), may_approve, limit, may_email, stamp,
        Agent(agent) if agent else None, proof,
    )  # fmt: skip
