"""The certificate that the page is served with: readable, of this key, not expired, for the right name."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


class CertificateUnusable(Exception):
    """The page cannot be served with these files; the message says why."""


@dataclass(frozen=True, slots=True)
class Certificate:
    names: tuple[str, ...]
    begins: datetime
    ends: datetime

    def is_for(self, host: str) -> bool:
        """Say whether a browser that asked for a host accepts it (RFC 9525: one label for a star)."""
        name = host.strip("[]").lower()
        return name in self.names or f"*.{name.partition('.')[2]}" in self.names


def read(file: Path, key: Path) -> Certificate:
    """Return what the first certificate of a file says.

    Raises:
        CertificateUnusable: a file cannot be read, or the two do not belong together.
    """
    for path, what in ((file, "certificate"), (key, "key")):
        try:
            path.read_bytes()
        except OSError as problem:
            raise CertificateUnusable(f"The TLS {what} {path} cannot be read ({problem.strerror}).") from None
    try:
        # an empty password: a locked key is an error, not a question at the terminal
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, key, password="")
    except (ssl.SSLError, ValueError):
        raise CertificateUnusable(
            f"{file} and {key} are no TLS certificate in PEM with its key, or do not belong together, or the key is "
            "locked by a password."
        ) from None
    from cryptography import x509

    found = x509.load_pem_x509_certificates(file.read_bytes())[0]
    try:
        said = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Certificate((), found.not_valid_before_utc, found.not_valid_after_utc)
    addresses = said.get_values_for_type(x509.IPAddress)
    names = [name.lower() for name in said.get_values_for_type(x509.DNSName)]
    return Certificate(
        (*names, *(str(a) for a in addresses if isinstance(a, (ipaddress.IPv4Address, ipaddress.IPv6Address)))),
        found.not_valid_before_utc,
        found.not_valid_after_utc,
    )
