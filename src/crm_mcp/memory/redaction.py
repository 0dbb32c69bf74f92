"""Personal data taken out of what is to be remembered (S1 section 5): e-mail, phone, card, IBAN, SSN, IP address.

What has a checksum is judged by it, so that an order's number is not taken for a card: cards by Luhn (ISO/IEC 7812-1), IBANs by
their country's form and MOD 97-10 (ISO 13616), social security numbers by the ranges that were given out (SSA).
"""

import functools
import importlib.resources
import importlib.util
import ipaddress
import re
import zoneinfo
from collections.abc import Callable, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple, cast


class Redacted(NamedTuple):
    """A text without personal data, and the kinds that were in it, in the order of `KINDS`."""

    text: str
    kinds: tuple[str, ...]


KINDS = ("e-mail", "IBAN", "card", "SSN", "IP address", "phone")
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IBAN = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d{2}(?:[ \u00a0-]?[A-Za-z0-9]){11,30}(?![^\W_])")
_CARD = re.compile(
    r"(?<![\w.,+-])(?:\d{13,19}|\d{4}([ \u00a0-])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ \u00a0-])\d{6}\2\d{4,5})(?![\w-]|[.,]\d)"
)
"""In one piece, or in the groups that are printed on cards."""
_SSN = re.compile(r"(?<![\w-])\d{3}([ -])\d{2}\1\d{4}(?![\w-])")
_IP4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}(?![\w:])")
_SEPARATORS = re.compile(r"[ \u00a0-]")


def redact(text: str, region: str | None = None) -> Redacted:
    """Return a text with personal data replaced by what it was, such as `[e-mail]`.

    `region` (ISO 3166) is where phone numbers without a country code are dialled; without one only those with it are found.
    """
    found: set[str] = set()

    def taken(kind: str, is_one: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
        def judged(match: re.Match[str]) -> str:
            if not is_one(match[0]):
                return match[0]
            found.add(kind)
            return f"[{kind}]"

        return judged

    text = _EMAIL.sub(taken("e-mail", lambda _: True), text)
    text = _IBAN.sub(lambda match: _without_iban(match[0], found), text)
    text = _CARD.sub(taken("card", _is_card), text)
    text = _SSN.sub(taken("SSN", _is_ssn), text)
    text = _IP4.sub(taken("IP address", _is_address), text)
    text = _IP6.sub(taken("IP address", lambda one: ":" in one and _is_address(one)), text)
    text = _without_phones(text, region, found)
    return Redacted(text, tuple(kind for kind in KINDS if kind in found))


def redact_throughout(value: Any, region: str | None = None) -> tuple[Any, tuple[str, ...]]:
    """Return a JSON value with each text in it redacted, and the kinds that were in any."""
    found: set[str] = set()

    def cleared(part: Any) -> Any:
        if isinstance(part, str):
            left = redact(part, region)
            found.update(left.kinds)
            return left.text
        if isinstance(part, list):
            return [cleared(one) for one in cast("list[Any]", part)]
        if isinstance(part, dict):
            return {key: cleared(one) for key, one in cast("dict[str, Any]", part).items()}
        return part

    return cleared(value), tuple(kind for kind in KINDS if kind in found)


def region_of(zone: str) -> str | None:
    """Return the country (ISO 3166) of a time zone, where phone numbers without a country code are dialled; None: no one country's."""
    return _regions().get(zone)


@functools.cache
def _regions() -> Mapping[str, str]:
    """Read which zone is of which country: the zone.tab of the IANA time zone database, where the system or tzdata has it."""
    places: list[Path | Traversable] = [Path(place, "zone.tab") for place in zoneinfo.TZPATH]
    if importlib.util.find_spec("tzdata") is not None:
        places.append(importlib.resources.files("tzdata").joinpath("zoneinfo", "zone.tab"))
    table = next((place.read_text(encoding="utf-8") for place in places if place.is_file()), "")
    rows = [line.split("\t") for line in table.splitlines() if line and not line.startswith("#")]
    return {row[2]: row[0] for row in rows}


def _without_iban(text: str, found: set[str]) -> str:
    """Return what looks like an IBAN without it: the longest beginning that is one, since words may follow."""
    from stdnum import iban

    for end in range(len(text), 14, -1):
        is_end = text[end - 1].isalnum() and (end == len(text) or not text[end].isalnum())
        if is_end and iban.is_valid(_SEPARATORS.sub("", text[:end])):
            found.add("IBAN")
            return "[IBAN]" + text[end:]
    return text


def _is_card(text: str) -> bool:
    from stdnum import luhn

    digits = _SEPARATORS.sub("", text)
    return len(set(digits)) > 1 and luhn.is_valid(digits)


def _is_ssn(text: str) -> bool:
    from stdnum.us import ssn

    return ssn.is_valid(text.replace(" ", "-"))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _without_phones(text: str, region: str | None, found: set[str]) -> str:
    import phonenumbers

    kept: list[str] = []
    end = 0
    for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=phonenumbers.Leniency.VALID):
        found.add("phone")
        kept += [text[end : match.start], "[phone]"]
        end = match.end
    return "".join([*kept, text[end:]])
