"""How a record is reached: e-mail, phone and web domain, as what is the same behind several spellings."""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

import phonenumbers

_ALIASES = {
    "googlemail.com": "gmail.com",
    "me.com": "icloud.com",
    "mac.com": "icloud.com",
    "proton.me": "protonmail.com",
    "pm.me": "protonmail.com",
    "protonmail.ch": "protonmail.com",
    "ya.ru": "yandex.ru",
    "yandex.com": "yandex.ru",
}
"""Domains behind which a provider keeps one and the same mailbox."""
_DOTLESS = {"gmail.com": ".", "protonmail.com": ".-_"}
"""What these providers ignore in a local part."""
PUBLIC = frozenset(
    [
        "gmail.com",
        "outlook.com",
        "hotmail.com",
        "hotmail.co.uk",
        "hotmail.fr",
        "live.com",
        "msn.com",
        "yahoo.com",
        "yahoo.co.uk",
        "yahoo.fr",
        "yahoo.de",
        "ymail.com",
        "rocketmail.com",
        "aol.com",
        "icloud.com",
        "protonmail.com",
        "gmx.de",
        "gmx.net",
        "gmx.com",
        "gmx.at",
        "gmx.ch",
        "web.de",
        "t-online.de",
        "freenet.de",
        "posteo.de",
        "mailbox.org",
        "arcor.de",
        "mail.com",
        "mail.ru",
        "yandex.ru",
        "bk.ru",
        "inbox.ru",
        "list.ru",
        "zoho.com",
        "fastmail.com",
        "hey.com",
        "tutanota.com",
        "orange.fr",
        "wanadoo.fr",
        "free.fr",
        "sfr.fr",
        "laposte.net",
        "libero.it",
        "virgilio.it",
        "alice.it",
        "tin.it",
        "telefonica.net",
        "terra.com",
        "uol.com.br",
        "bol.com.br",
        "qq.com",
        "163.com",
        "126.com",
        "sina.com",
        "naver.com",
        "hanmail.net",
        "docomo.ne.jp",
        "ezweb.ne.jp",
        "comcast.net",
        "verizon.net",
        "att.net",
        "sbcglobal.net",
        "cox.net",
        "btinternet.com",
        "sky.com",
        "virginmedia.com",
        "bigpond.com",
        "optusnet.com.au",
        "shaw.ca",
        "rogers.com",
        "bluewin.ch",
        "seznam.cz",
        "wp.pl",
        "o2.pl",
        "onet.pl",
        "interia.pl",
        "ukr.net",
        "abv.bg",
        "telenet.be",
        "skynet.be",
        "ziggo.nl",
        "kpnmail.nl",
        "telia.com",
        "rediffmail.com",
        "example.com",
    ]
)
"""Mail providers open to everybody: sharing such a domain says nothing."""
SITES = frozenset(
    [
        "facebook.com",
        "linkedin.com",
        "instagram.com",
        "twitter.com",
        "x.com",
        "youtube.com",
        "xing.com",
        "wixsite.com",
        "wordpress.com",
        "blogspot.com",
        "github.io",
        "sites.google.com",
        "business.site",
        "jimdosite.com",
    ]
)
ROLES = frozenset(
    [
        "info",
        "sales",
        "office",
        "kontakt",
        "contact",
        "contacto",
        "hello",
        "hallo",
        "mail",
        "post",
        "service",
        "support",
        "admin",
        "buchhaltung",
        "accounts",
        "accounting",
        "billing",
        "invoice",
        "invoices",
        "rechnung",
        "einkauf",
        "purchasing",
        "orders",
        "bestellung",
        "marketing",
        "hr",
        "jobs",
        "team",
        "noreply",
        "no-reply",
        "webmaster",
        "reception",
        "empfang",
        "zentrale",
        "enquiries",
    ]
)
"""Mailboxes of a role: shared by the people of one house."""
_DIGITS = re.compile(r"\D+")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")


class Email(NamedTuple):
    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def public(self) -> bool:
        return self.domain in PUBLIC


class Phone(NamedTuple):
    number: str
    """E.164 where the number can be read, else its digits."""
    extension: str
    country: int
    """The country's code, 0 where it is not known."""


def email(text: str) -> Email | None:
    """Return the mailbox behind an address: case, plus-tag, ignored dots and the provider's other domains off."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    local, at, domain = plain.strip().casefold().rpartition("@")
    if not at or not local or "." not in domain:
        return None
    domain = _ALIASES.get(domain, domain)
    local = local.partition("+")[0] or local
    for ignored in _DOTLESS.get(domain, ""):
        local = local.replace(ignored, "") or local
    return Email(local, domain)


@lru_cache(maxsize=8192)
def phone(text: str, region: str) -> Phone | None:
    """Return a phone number in E.164, read as dialled from `region` (ISO 3166) where it has no country code."""
    try:
        read = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        digits = _DIGITS.sub("", text)
        return Phone(digits, "", 0) if len(digits) >= 6 else None
    number = f"+{read.country_code}{'0' * (read.number_of_leading_zeros or 1) if read.italian_leading_zero else ''}{read.national_number}"
    return Phone(number, read.extension or "", read.country_code or 0) if len(number) >= 7 else None


def domain(text: str) -> str:
    """Return the host of a web address without scheme, "www", port and path; "" for one open to everybody."""
    bare = _SCHEME.sub("", text.strip().casefold())
    host = re.split(r"[/?#:\s]", bare, maxsplit=1)[0].rpartition("@")[2].rstrip(".")
    while (
        "." in host
        and host.count(".") > 1
        and re.fullmatch(r"www\d?|m|web|mail|shop|en|home", host.partition(".")[0])
    ):
        host = host.partition(".")[2]
    return "" if "." not in host or host in PUBLIC or host in SITES else host
