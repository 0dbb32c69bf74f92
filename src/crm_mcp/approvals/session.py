"""Web sessions: a secret in a cookie, its SHA-256 in the database, and the forms bound to it."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from .. import audit, auth
from ..audit import Call, Statement
from ..db import Database, Rows
from ..errors import SignInFailed
from ..log import logger
from ..principal import Principal

COOKIE = "crm_session"
LIFETIME = 12 * 3600
"""Seconds; crm.use_login_link ends a session after as long."""
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_USE = "select crm.use_login_link(%s, %s)"
_END = "select crm.end_session(%s)"


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser: who it is, and the token its forms carry."""

    who: Principal
    secret: str = field(repr=False)

    @property
    def csrf(self) -> str:
        """Return the forms' token: nobody without the session's secret can make it."""
        return hmac.new(self.secret.encode(), b"crm-mcp form", hashlib.sha256).hexdigest()

    def owns(self, token: str) -> bool:
        return hmac.compare_digest(self.csrf.encode(), token.encode())


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def is_secret(text: str) -> bool:
    """Say whether a text has a secret's form."""
    return _SECRET.fullmatch(text) is not None


def digest_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def session_of(db: Database, request: Request) -> Session | None:
    """Return the session a request's cookie proves; None where it proves none."""
    secret = request.cookies.get(COOKIE, "")
    if not is_secret(secret):
        return None
    try:
        return Session(await db.sign_in(auth.by_session(digest_of(secret))), secret)
    except SignInFailed:
        return None


async def begin(db: Database, link: str) -> str | None:
    """Use up a login link; return the new session's secret, None where the link is unknown, used or expired.

    A refused link names no org that the audit could keep it in: it leaves a log line.
    """
    secret = new_secret()
    who = await _enter(db, link, digest_of(secret)) if is_secret(link) else None
    if who is None:
        logger().warning("sign-in link refused")
        return None
    return secret


async def _enter(db: Database, link: str, session: bytes) -> Principal | None:
    try:
        return await db.enter(_USE, (digest_of(link), session), auth.by_session(session), signed("page_sign_in"))
    except SignInFailed:
        return None


async def end(db: Database, session: Session) -> None:
    await db.leave(session.who, _END, (digest_of(session.secret),), signed("page_sign_out"))


def signed(tool: str, **said: str) -> Rows:
    """Return what makes the audit rows of a signing in or out, which hold no secret and no digest."""

    def rows(who: Principal) -> tuple[Statement, Statement]:
        call = Call(who, tool, said)
        return audit.begun(call), audit.ended(call, "run", "ok")

    return rows


def give(response: Response, secret: str, *, secure: bool) -> None:
    """Set the cookie. Strict works after the login form: that POST and what follows it come from this page."""
    response.set_cookie(COOKIE, secret, LIFETIME, path="/", secure=secure, httponly=True, samesite="strict")


def take(response: Response, *, secure: bool) -> None:
    response.delete_cookie(COOKIE, path="/", secure=secure, httponly=True, samesite="strict")
