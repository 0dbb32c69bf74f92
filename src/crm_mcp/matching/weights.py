"""How much a field says: Fellegi and Sunter's log-likelihood ratios, in bits.

A field on which two records agree weighs log2(m / u): m, how often the records of one party agree on it, u, how often
those of two parties do by chance. (Fellegi, Sunter: A theory for record linkage, JASA 64, 1969; the frequencies of
values after Winkler.) m is a constant of this table, by judgement and by the development halves of the labelled sets;
u is counted in the records themselves, smoothed towards `usual` as if `worth` more records had been seen: so a value
seen once among ten records is not taken for proof, "Smith" counts for less than "Oyelaran", and a switchboard's
number for less than a mobile's. A field that either record lacks says nothing.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from .records import Normal

EXPECTED = 1000
"""The records that are taken for granted in the odds before a field has been compared: see `Frequencies.prior`."""


class Field(NamedTuple):
    m: float
    """Among records of one party, the share that agrees."""
    usual: float
    """The chance agreement expected before any record has been seen."""
    worth: float
    """How many records that expectation is worth."""
    most: float
    """What agreement may weigh at most, in bits."""
    differs: float
    """What a contradiction weighs, in bits."""


FIELDS = {
    "given": Field(0.80, 1 / 400, 1000, 10.0, -5.0),
    "family": Field(0.85, 1 / 2500, 1000, 14.0, -4.0),
    "word": Field(0.90, 1 / 3000, 1000, 14.0, 0.0),
    "email": Field(0.90, 1 / 50_000, 5000, 18.0, -1.0),
    "local": Field(0.30, 1 / 5_000, 5000, 6.0, 0.0),
    "phone": Field(0.90, 1 / 50_000, 5000, 17.0, -1.5),
    "domain": Field(0.90, 1 / 10_000, 3000, 14.0, -2.5),
    "employer": Field(0.70, 1 / 2_000, 1000, 5.0, -1.0),
    "tax_number": Field(0.95, 1 / 50_000, 5000, 16.0, -6.0),
    "born": Field(0.90, 1 / 20_000, 3000, 13.0, -6.0),
    "street": Field(0.80, 1 / 2_000, 1000, 13.0, -2.5),
    "house": Field(0.80, 1 / 100, 1000, 5.0, -1.5),
    "second": Field(0.60, 1 / 1_000, 1000, 8.0, -0.5),
    "city": Field(0.85, 1 / 300, 1000, 8.0, -2.0),
    "code": Field(0.85, 1 / 1_500, 1000, 11.0, -2.0),
    "region": Field(0.95, 1 / 8, 1000, 3.0, -2.0),
    "country": Field(0.98, 1 / 4, 1000, 1.0, -3.0),
}


class Frequencies:
    """How often each value stands in the records, and so what agreement on it weighs."""

    def __init__(self, records: Iterable[Normal]) -> None:
        counted = 0
        counts: dict[str, Counter[str]] = {name: Counter() for name in FIELDS}
        for record in records:
            counted += 1
            for name, value in values(record):
                counts[name][value] += 1
        self.records = counted
        self.prior = -math.log2(counted + EXPECTED)
        """log2 odds that two records are one before they are compared: a record has about one other of its party among
        all there are. `EXPECTED` keeps it calm where there are few."""
        self._counts = {
            name: {value: count for value, count in found.items() if count > 1} for name, found in counts.items()
        }
        self.cities = frozenset(word for city in counts["city"] for word in city.split())
        """The words of all cities there are."""
        self._weights: dict[str, dict[str, float]] = {name: {} for name in FIELDS}
        self._once = {name: self._weigh(name, 1) for name in FIELDS}

    def bits(self, name: str, value: str) -> float:
        """Return what it weighs that two records agree on this value."""
        known = self._weights[name]
        weight = known.get(value)
        if weight is None:
            count = self._counts[name].get(value)
            if count is None:
                return self._once[name]
            weight = known[value] = self._weigh(name, count)
        return weight

    def is_city(self, word: str) -> bool:
        """Say whether a word is the city of two records or more."""
        return word in self._counts["city"]

    def _weigh(self, name: str, count: int) -> float:
        field = FIELDS[name]
        by_chance = (max(count - 1, 0.5) + field.usual * field.worth) / (self.records + field.worth)
        return min(field.most, max(0.2, math.log2(field.m / by_chance)))


def values(record: Normal) -> Iterable[tuple[str, str]]:
    """Return the values whose frequencies count, by their fields."""
    person, at = record.person, record.at
    if person.given:
        yield "given", person.given
    if person.family:
        yield "family", person.family
    for word in dict.fromkeys(record.company.core):
        yield "word", word
    for box in record.emails:
        yield "email", str(box)
        yield "local", box.local
    for phone in record.phones:
        yield "phone", phone.number
    for domain in record.domains:
        yield "domain", domain
    if record.employer:
        yield "employer", " ".join(record.employer)
    if record.tax_number:
        yield "tax_number", record.tax_number
    if record.born:
        yield "born", record.born
    for name in ("street", "house", "second", "city", "code", "region", "country"):
        if value := getattr(at, name):
            yield name, value
