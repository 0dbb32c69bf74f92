"""What people on other machines need: an address that is safe, a certificate that holds, mail that brings links."""

import stat
import sys
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from ...approvals.origin import NotAnOrigin, is_private_to_this_machine, origin_of
from ...approvals.whereabouts import Whereabouts
from ...config import Settings
from ..certificate import CertificateUnusable, read
from ..mailing import mailer_of
from .finding import Finding, ok, problem

SOON = timedelta(days=14)


def address(known: Settings) -> Finding:
    """People reach the page at an address that keeps their sessions to themselves."""
    try:
        origin = origin_of(known.approvals_url or Whereabouts.read(known.home).origin)
    except NotAnOrigin as why:
        return problem(f"CRM_APPROVALS_URL is no address of a page: {why}", "Give it as https://crm.firm.example.")
    if is_private_to_this_machine(origin):
        said = f"{origin}, for this machine alone"
        if known.is_embedded:
            return ok(said)
        return Finding("attention", said, "For people elsewhere set CRM_APPROVALS_URL=https://NAME, and `up --bind`.")
    if not origin.startswith("https:"):
        return problem(
            f"{origin} is not https: sessions and what the page shows cross the network in the clear",
            "Serve it with CRM_TLS_CERT and CRM_TLS_KEY, or by a proxy with TLS, and set CRM_APPROVALS_URL=https://NAME.",
        )
    return ok(origin)


def certificate(known: Settings) -> Finding:
    """The page's certificate is readable, holds today and for some time, and is for the page's name."""
    if known.tls_cert is None and known.tls_key is None:
        return ok("none is configured here (CRM_TLS_CERT)")
    if known.tls_cert is None or known.tls_key is None:
        return problem("one of CRM_TLS_CERT and CRM_TLS_KEY is not set", "Set both, or neither.")
    try:
        there = read(known.tls_cert, known.tls_key)
    except CertificateUnusable as why:
        return problem(str(why).rstrip("."), "Give the files of a certificate in PEM, readable by whoever runs `up`.")
    now, fix = datetime.now(UTC), "Renew it: `crm-mcp up` reads the files again when they change."
    if there.ends <= now:
        return problem(f"the certificate ended on {there.ends:%Y-%m-%d}", fix)
    if there.begins > now:
        return problem(f"the certificate begins on {there.begins:%Y-%m-%d}", "Check this machine's clock, or wait.")
    host = urlsplit(known.approvals_url or Whereabouts.read(known.home).origin).hostname or ""
    if not there.is_for(host):
        return problem(
            f"the certificate is for {', '.join(there.names) or 'no name'}, the page is {host}",
            "Get one for that name, or set CRM_APPROVALS_URL to the name it is for.",
        )
    if sys.platform != "win32" and stat.S_IMODE(known.tls_key.stat().st_mode) & 0o077:
        return Finding("attention", f"others may read the key {known.tls_key}", "chmod 600 it.")
    if there.ends - now < SOON:
        return Finding("attention", f"the certificate ends on {there.ends:%Y-%m-%d}", fix)
    return ok(f"for {', '.join(there.names)}, until {there.ends:%Y-%m-%d}")


def mail(known: Settings) -> Finding:
    """Links and invitations, and approved e-mails, leave the house."""
    if mailer_of(known) is not None:
        return ok("a mail server is configured (CRM_SMTP_URL)")
    if known.is_embedded and known.approvals_url is None:
        return ok("no mail server: approved e-mails stay unsent, `crm-mcp open` signs people in")
    return Finding(
        "attention",
        "no mail server: nobody can have a sign-in link mailed, and approved e-mails stay unsent",
        "Set CRM_SMTP_URL where `up` and its worker run; until then `crm-mcp users link EMAIL` makes links.",
    )
