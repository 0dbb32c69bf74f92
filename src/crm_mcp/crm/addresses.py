"""E-mail addresses as people write them: read, checked, and compared with those that are known."""

import re
import unicodedata
from dataclasses import dataclass

from ..errors import Refusal

_NAMED = re.compile(r"\s*(?P<name>.*?)\s*<\s*(?P<address>[^<>]*?)\s*>\s*", re.DOTALL)
_LOCAL = re.compile(r"[^\s@<>()\[\]:;,\\\"\x00-\x20\x7f]{1,64}")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_LOOK_ALIKES = str.maketrans(
    "01аеорсухіјѕԁһԛԝαοερυκνıɑɡɩоӏ",  # digits, Cyrillic, Greek and phonetic letters that look Latin
    "olaeopcyxijsdhqwaoepukviagiol",
)


class NotAnAddress(ValueError):
    """A text that is no e-mail address; the message says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Address:
    """A name and an address. The domain is lower-case ASCII (IDNA), the local part as written."""

    name: str
    address: str

    @property
    def norm(self) -> str:
        """What two spellings of one address have in common; Postgres's `email_norm` is the same of stored ones."""
        return self.address.lower()

    @property
    def domain(self) -> str:
        """The domain as people read it, umlauts and all."""
        return readable(self.address.rpartition("@")[2])


def read(text: str, argument: str) -> Address:
    """Read `ann@firm.example` or `Ann Lee <ann@firm.example>`.

    Raises:
        Refusal: INVALID_ADDRESS, naming the argument and what is wrong.
    """
    try:
        return parse(text)
    except NotAnAddress as why:
        hint = f"{argument}: not an e-mail address, because {why}. Give ann@firm.example, cust_… or cont_…."
        raise Refusal("INVALID_ADDRESS", hint, argument=argument, given=text[:100]) from None


def parse(text: str) -> Address:
    """Read `ann@firm.example` or `Ann Lee <ann@firm.example>`.

    Raises:
        NotAnAddress: with what is wrong.
    """
    named = _NAMED.fullmatch(text)
    name, address = (named["name"].strip('"'), named["address"]) if named else ("", text.strip())
    if _is_unsafe(text):
        raise NotAnAddress("it holds a line break or another character that does not show")
    local, at, domain = address.rpartition("@")
    if not at:
        raise NotAnAddress("it has no @")
    if (
        not _LOCAL.fullmatch(local)
        or len(local.encode()) > 64
        or local[0] == "."
        or local[-1] == "."
        or ".." in local
    ):
        raise NotAnAddress("the part before the @ cannot be one")
    ascii_domain = idna(domain)
    if ascii_domain is None:
        raise NotAnAddress("the part after the @ is no domain")
    if len(name) > 200 or len(local.encode()) + len(ascii_domain) > 253:
        raise NotAnAddress("it is too long")
    return Address(unicodedata.normalize("NFC", name), f"{unicodedata.normalize('NFC', local)}@{ascii_domain}")


def idna(domain: str) -> str | None:
    """Return a domain in ASCII, lower case; None where it is none."""
    try:
        labels = domain.encode("idna").decode("ascii").lower().split(".")
    except UnicodeError:
        return None
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        return None
    return ".".join(labels)


def readable(domain: str) -> str:
    """Return an ASCII domain as people read it; itself where it cannot be."""
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain


def skeleton(domain: str) -> str:
    """Return what a domain looks like at a glance: look-alike letters are one."""
    bare = unicodedata.normalize("NFKD", domain.lower())
    plain = "".join(c for c in bare if not unicodedata.combining(c)).translate(_LOOK_ALIKES)
    return plain.replace("rn", "m").replace("vv", "w").replace("cl", "d")


def is_one_line(text: str) -> bool:
    """Say whether a text can stand in a header: no line break, no control or direction character."""
    return not _is_unsafe(text)


def needs_utf8(address: str) -> bool:
    """Say whether only a server with SMTPUTF8 (RFC 6531) takes an address."""
    return not address.isascii()


def _is_unsafe(text: str) -> bool:
    return any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Cn", "Co") for c in text)
