"""The configured mail server, for letters that are sent while somebody waits."""

from dataclasses import replace

import click

from ..approvals.sign_in_mail import Mailer
from ..config import Settings
from ..crm.message import Letter, compose
from ..errors import Refusal

_PATIENCE = 20.0
"""Seconds that the mail server may take for one step."""


def mailer_of(known: Settings) -> Mailer | None:
    """Return how letters are sent; None where no mail server is configured.

    Raises:
        ClickException: CRM_SMTP_URL is no address of a mail server.
    """
    if known.smtp_url is None:
        return None
    from ..delivery.server import Envelope, Permanent, Server, SmtpUrlInvalid, Temporary, Unclear, hand_over

    try:
        server = replace(Server.of(known.smtp_url.get_secret_value()), timeout=_PATIENCE)
    except SmtpUrlInvalid as problem:
        raise click.ClickException(str(problem)) from None

    async def nothing() -> None:
        return None

    async def send(letter: Letter) -> None:
        sent = Envelope(letter.from_address, tuple(letter.addresses), compose(letter).as_bytes(), letter.needs_utf8)
        try:
            taken = await hand_over(server, sent, nothing)
        except (Temporary, Permanent, Unclear) as problem:
            raise Refusal("NOT_MAILED", str(problem)) from None
        if not taken.accepted:
            said = "; ".join({**taken.refused, **taken.put_off}.values())
            raise Refusal("NOT_MAILED", said or "The mail server did not take the letter.")

    return Mailer(send, server.user if server.user and "@" in server.user else None)
