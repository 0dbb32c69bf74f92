"""One-time login links: made for a person at a terminal, opened in a browser, never said over MCP."""

from urllib.parse import quote

from ..db import Database
from ..errors import Refusal
from .session import digest_of, new_secret

_MAKE = "select crm.make_login_link(%s, %s, %s)"


async def make_login_link(db: Database, email: str, org: str | None, origin: str, *, then: str | None = None) -> str:
    """Return a URL that signs a person in once, within five minutes; `then` is the page's path to go on to.

    `db` connects as crm_approver. Only the secret's SHA-256 is stored.

    Raises:
        Refusal: NO_SUCH_PERSON.
    """
    secret = new_secret()
    if not await db.unbound(_MAKE, (email, org, digest_of(secret))):
        where = f" in {org}" if org else ""
        raise Refusal("NO_SUCH_PERSON", f"There is no {email}{where}. `crm-mcp users` lists who there is.")
    return f"{origin}/login/{secret}" + (f"?next={quote(then, safe='/')}" if then else "")
