"""Postal addresses: street, house number, second line, city, post code."""

import re
from functools import lru_cache
from typing import NamedTuple

from .text import fold, words

_SHORT = {
    "st": "street", "str": "street", "strasse": "street", "rd": "road", "ave": "avenue", "av": "avenue",
    "blvd": "boulevard", "bd": "boulevard", "dr": "drive", "ln": "lane", "ct": "court", "crt": "court", "pl": "place",
    "plc": "place", "sq": "square", "cres": "crescent", "cr": "crescent", "tce": "terrace", "ter": "terrace",
    "hwy": "highway", "pkwy": "parkway", "cl": "close", "gr": "grove", "cct": "circuit", "pde": "parade", "n": "north",
    "s": "south", "e": "east", "w": "west", "apt": "unit", "apartment": "unit", "suite": "unit", "ste": "unit",
    "fl": "floor", "bldg": "building", "mt": "mount", "nr": "", "no": "", "pza": "plaza", "pl.": "place",
    "vlge": "village", "rtmnt": "retirement", "c": "calle",
}  # fmt: skip
_COUNTRIES = {
    "AR": "argentina", "AT": "austria osterreich", "AU": "australia", "BE": "belgium belgie belgique belgien",
    "BR": "brazil brasil", "CA": "canada", "CH": "switzerland schweiz suisse svizzera", "CL": "chile", "CN": "china",
    "CO": "colombia", "CZ": "czechia cesko tschechien", "DE": "germany deutschland allemagne", "DK": "denmark danmark",
    "EE": "estonia eesti", "ES": "spain espana spanien", "FI": "finland suomi", "FR": "france frankreich",
    "GB": "uk greatbritain unitedkingdom england scotland wales", "GR": "greece", "HU": "hungary magyarorszag",
    "IE": "ireland eire", "IL": "israel", "IN": "india", "IT": "italy italia italien", "JP": "japan nippon",
    "KR": "southkorea korea", "LU": "luxembourg luxemburg", "MX": "mexico", "NG": "nigeria", "KE": "kenya",
    "NL": "netherlands thenetherlands nederland holland niederlande", "NO": "norway norge", "NZ": "newzealand",
    "PL": "poland polska polen", "PT": "portugal", "RO": "romania", "SE": "sweden sverige schweden",
    "SG": "singapore", "SK": "slovakia slovensko", "TR": "turkey turkiye", "UA": "ukraine",
    "US": "usa unitedstates unitedstatesofamerica america", "ZA": "southafrica",
}  # fmt: skip
_CODES = {name: code for code, names in _COUNTRIES.items() for name in names.split()}
_STREET = re.compile(r"(?<=\w{3})(strasse|str)\b")
_HOUSE = re.compile(r"^(?:(\d+\s?[a-z]?)\b[\s,/-]*(.*)|(.*?)[\s,]+(?:no\s)?(\d+\s?[a-z]?))$")


class Place(NamedTuple):
    street: str
    house: str
    second: str
    city: str
    code: str
    region: str
    country: str

    def __bool__(self) -> bool:
        return any(self[:5])


NOWHERE = Place("", "", "", "", "", "", "")


def place(
    street: str = "",
    house: str = "",
    second: str = "",
    city: str = "",
    code: str = "",
    region: str = "",
    country: str = "",
) -> Place:
    """Return the parts of an address, abbreviations spelt out and the house number taken off the street."""
    if not (street or city or code or second):
        return NOWHERE._replace(country=country_code(country))
    line = fold(street).replace(".", " ").replace(",", " ").strip()
    number = "".join(words(fold(house)))
    if not number and (cut := _HOUSE.match(" ".join(line.split()))):
        number, line = (cut[1] or cut[4] or "").replace(" ", ""), cut[2] if cut[1] else cut[3]
    return Place(
        _spelt(line),
        number,
        _spelt(fold(second).replace(".", " ")),
        _bare(city),
        "".join(words(fold(code))),
        _bare(region),
        country_code(country),
    )


@lru_cache(maxsize=8192)
def _bare(name: str) -> str:
    return " ".join(words(fold(name)))


@lru_cache(maxsize=1024)
def country_code(written: str) -> str:
    """Return the ISO 3166 code of a country as it is written; "" where it is not known here, which says nothing."""
    name = "".join(words(fold(written)))
    return (
        name.upper()
        if len(name) == 2 and name.isascii() and name.isalpha() and name != "uk"
        else _CODES.get(name, "")
    )


@lru_cache(maxsize=8192)
def _spelt(line: str) -> str:
    if not line:
        return ""
    said = words(_STREET.sub(" street", line))
    return " ".join(full for word in said if (full := _SHORT.get(word, word)))
