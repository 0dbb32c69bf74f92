"""The customers of the demo orgs and the people at them."""

import re
import unicodedata
from random import Random
from typing import Any, NamedTuple

from .places import PLACES, Place

Row = dict[str, Any]
_LATIN = str.maketrans({"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "đ": "d", "Đ": "D", "œ": "oe", "Œ": "OE", "æ": "ae"})
_TITLES = (
    "Purchasing manager",
    "Managing director",
    "Owner",
    "Facility manager",
    "Accounts payable",
    "Assistant",
)
_SEGMENTS = ("retail", "hospitality", "office", "public sector")
_CHOICE = re.compile(r"\{legal:([^}]*)\}")
PERSONS = 0.16
"""The share of private persons among the customers."""


class Party(NamedTuple):
    """A customer and their contacts, as column values without org and ids."""

    customer: Row
    contacts: list[Row]


LEGENDS: tuple[tuple[str, str, str, str | None, str | None], ...] = (
    ("John Smith", "person", "United Kingdom", "john.smith@smith-home.example", "+44 20 7946 0123"),
    ("J. Smith Inc", "organization", "United States", "office@jsmith-inc.example", "+1 212-555-0142"),
    ("Jon Smyth", "person", "United Kingdom", "jon.smyth@smyth.example", "+44 20 7946 0124"),
    ("Müller & Söhne GmbH", "organization", "Germany", "info@mueller-soehne.example", "+49 30 23125 411"),
    ("Mueller und Soehne", "organization", "Germany", "einkauf@mueller-soehne.example", "+49 30 23125411"),
    ("Café Zoë SARL", "organization", "France", "bonjour@cafe-zoe.example", "+33 1 99 00 17 42"),
    ("Cafe Zoe", "organization", "France", "compta@cafe-zoe.example", None),
    ("Nordwind Möbel AG", "organization", "Germany", "kontakt@nordwind-moebel.example", "+49 30 23125 500"),
    ("Nordwind Moebel", "organization", "Germany", None, "030 23125500"),
    ("Łódź Meble Sp. z o.o.", "organization", "Poland", "biuro@lodz-meble.example", None),
    ("LODZ MEBLE", "organization", "Poland", "biuro@lodz-meble.example", None),
    ("Åkerlund Inredning AB", "organization", "Sweden", "info@akerlund.example", "+46 8 465 004 21"),
    ("Akerlund Inredning", "organization", "Sweden", None, None),
    ("株式会社桜ホテル", "organization", "Japan", "info@sakura-hotel.example", None),
)
"""Customers whom demonstrations name, and pairs that may be one: name, kind, country, e-mail, telephone."""


def parties(chance: Random) -> list[Party]:
    """Return the 240 customers of the demo org, those with a part to play first."""
    return [_legend(chance, *legend) for legend in LEGENDS] + [
        party for place in PLACES for party in _of(chance, place)
    ]


def neighbours(chance: Random, known: list[Party]) -> list[Party]:
    """Return 40 customers of the other org, of whom every fourth bears the name of one of the demo's."""
    germany = next(place for place in PLACES if place.country == "Germany")
    namesakes = [party.customer["name"] for party in known[:10]]
    made = [_company(chance, germany, taken=set()) for _ in range(40)]
    for at, name in zip(range(0, 40, 4), namesakes, strict=True):
        made[at].customer["name"] = name
    for at, party in enumerate(made):
        party.customer["email"] = f"harbour-customer-{at + 1}@other.example"
    return made


def _of(chance: Random, place: Place) -> list[Party]:
    taken: set[str] = set()
    return [
        _person(chance, place, taken) if chance.random() < PERSONS else _company(chance, place, taken)
        for _ in range(place.customers)
    ]


def _company(chance: Random, place: Place, taken: set[str]) -> Party:
    while True:
        word, trade = (_words(chance, pool) for pool in (place.words, place.trades))
        pattern = _CHOICE.sub(lambda found: _words(chance, found[1])[0], place.company)
        name = pattern.format(word=word[0], trade=trade[0])
        slug = _slug(f"{word[1]} {trade[1]}")
        if name not in taken:
            break
    taken.add(name)
    domain = f"{slug}.example"
    row = {
        "name": name,
        "kind": "organization",
        "email": f"info@{domain}",
        "domain": domain,
        "segment": chance.choice(_SEGMENTS),
        **_address(chance, place),
    }
    return Party(row, [_contact(chance, place, domain) for _ in range(chance.choice((1, 1, 2, 2, 3)))])


def _person(chance: Random, place: Place, taken: set[str]) -> Party:
    name, slug = _name(chance, place)
    while name in taken:
        name, slug = _name(chance, place)
    taken.add(name)
    email = f"{slug}@mail.example"
    row = {
        "name": name,
        "kind": "person",
        "email": email,
        "domain": None,
        "segment": "private",
        **_address(chance, place),
    }
    return Party(row, [{"name": name, "title": None, "email": email, "phone": row["phone"]}])


def _legend(chance: Random, name: str, kind: str, country: str, email: str | None, phone: str | None) -> Party:
    place = next(place for place in PLACES if place.country == country)
    domain = email.partition("@")[2] if email and kind == "organization" else None
    row = {
        "name": name,
        "kind": kind,
        "email": email,
        "domain": domain,
        "segment": "private" if kind == "person" else chance.choice(_SEGMENTS),
        **_address(chance, place),
        "phone": phone,
    }
    if kind == "person":
        return Party(row, [{"name": name, "title": None, "email": email, "phone": phone}])
    return Party(row, [_contact(chance, place, domain or f"{_slug(name)}.example")])


def _contact(chance: Random, place: Place, domain: str) -> Row:
    name, slug = _name(chance, place)
    return {
        "name": name,
        "title": chance.choice(_TITLES),
        "email": f"{slug}@{domain}",
        "phone": _phone(chance, place) if chance.random() < 0.5 else None,
    }


def _address(chance: Random, place: Place) -> Row:
    city, region, postal_code = chance.choice(place.cities.split(",")).split("/")
    street, number = chance.choice(place.streets.split(",")), chance.randrange(1, 180)
    before = place.country in ("France", "United Kingdom", "United States", "Vietnam")
    return {
        "street": f"{number} {street}" if before else f"{street} {number}",
        "city": city,
        "region": region,
        "postal_code": postal_code or None,
        "country": place.country,
        "phone": _phone(chance, place),
    }


def _name(chance: Random, place: Place) -> tuple[str, str]:
    given, family = (_words(chance, pool) for pool in (place.given, place.family))
    return place.person.format(given=given[0], family=family[0]), _slug(f"{given[1]} {family[1]}").replace("-", ".")


def _phone(chance: Random, place: Place) -> str | None:
    return "".join(str(chance.randrange(10)) if sign == "#" else sign for sign in place.phone) or None


def _words(chance: Random, pool: str) -> tuple[str, str]:
    """Choose a word of a pool; return it as written and in Latin letters."""
    word, _, latin = chance.choice(pool.split(",")).partition("|")
    return word, latin or word


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(_LATIN)).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "-", plain).strip("-")
