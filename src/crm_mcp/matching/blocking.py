"""Which records are compared at all: those that share a key that is cheap to make."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from .reach import ROLES
from .records import Normal
from .text import heard

LARGEST = 60
"""Blocks of more records are not compared all with all: each record meets its `NEXT` neighbours in the order of names."""
NEXT = 8


class Cut(NamedTuple):
    """A block too large to compare all with all."""

    key: str
    records: int
    left_out: int
    """Pairs that this block did not compare (another block may have)."""


def keys(record: Normal) -> Iterator[str]:
    """Return the keys of a record. Each finds what the others miss: a wrong name, no mail, a move, a typing error."""
    for box in record.emails:
        yield f"mailbox {box.local}@{box.domain}"
        if len(box.local) > 4 and box.local not in ROLES:
            yield f"before the @ {box.local}"
    for phone in record.phones:
        yield f"phone {phone.number[-8:]}"
    if record.tax_number:
        yield f"tax number {record.tax_number}"
    at = record.at
    if at.street and at.house:
        yield f"house {at.house} {at.street[:6]} {at.code[:3]}"
    if record.record.kind == "organization":
        yield from _company_keys(record)
    else:
        yield from _person_keys(record)


def _person_keys(record: Normal) -> Iterator[str]:
    person, at = record.person, record.at
    given, family = heard(person.given), heard(person.family.replace(" ", ""))
    if given and family:
        yield f"names {' '.join(sorted((given, family)))}"
        yield f"beginnings {person.family[:5]} {person.given[:2]}"
    elif given or family:
        yield f"only name {given or family}"
    if record.born:
        yield f"born {record.born}"
        yield f"born in {record.born[:6]} {family[:2]}"
    for name in (given, family):
        if name and at.code:
            yield f"post code {at.code} {name[:3]}"
        if name and at.street:
            yield f"street {at.street[:8]} {at.city[:2]} {name[:3]}"
        if name and at.city:
            yield f"city {at.city[:4]} {name}"


def _company_keys(record: Normal) -> Iterator[str]:
    core, at = record.company.core, record.at
    if core:
        yield f"begins {record.joined[:7]}"
        yield f"ends {record.joined[-7:]}"
        if len(core) > 2:
            yield f"initials {''.join(word[0] for word in core)}"
        elif len(core) == 1 and len(record.joined) < 6:
            yield f"initials {record.joined}"
        for word in core:
            if len(word) > 2:
                yield f"word {heard(word) or word}"
        heads = sorted(heard(word)[:3] for word in core)
        if len(heads) > 1:
            yield f"heads {' '.join(heads)}"
    for domain in record.domains:
        yield f"domain {domain}"
        yield f"begins {domain.partition('.')[0].replace('-', '')[:7]}"
    if at.code and core:
        yield f"post code {at.code} {core[0][:2]}"


class Blocks:
    """The records that share each key, as two sorted arrays: small enough to keep beside 100,000 records."""

    def __init__(self, records: list[Normal]) -> None:
        pairs = [(hash(key) & _MASK) << _SHIFT | at for at, record in enumerate(records) for key in set(keys(record))]
        pairs.sort()
        self._keys = array("q", (pair >> _SHIFT for pair in pairs))
        self._records = array("l", (pair & _LOW for pair in pairs))
        self._order = [0] * len(records)
        ranks = sorted(range(len(records)), key=lambda at: _sorting(records[at]))
        for rank, at in enumerate(ranks):
            self._order[at] = rank
        self._ranks = ranks
        self._names = records

    def _members(self, code: int) -> "array[int]":
        begin = bisect_left(self._keys, code)
        end = bisect_left(self._keys, code + 1, begin)
        return self._records[begin:end]

    def like(self, record: Normal) -> set[int]:
        """Return the positions of the records that a new one is compared with."""
        found: set[int] = set()
        for key in set(keys(record)):
            members = self._members(hash(key) & _MASK)
            if len(members) <= LARGEST:
                found.update(members)
            else:
                mine = _sorting(record)
                ranked = sorted(members, key=lambda at: self._order[at])
                at = bisect_left(ranked, mine, key=lambda one: _sorting(self._names[one]))
                found.update(ranked[max(0, at - NEXT) : at + NEXT])
        return found

    def together(self) -> "tuple[list[array[int]], list[Cut]]":
        """Return for each record those after it that it is compared with, and the blocks that were cut."""
        partners = [array("l") for _ in self._order]
        cuts: list[Cut] = []
        begin, whole = 0, self._keys
        while begin < len(whole):
            end = begin + 1
            while end < len(whole) and whole[end] == whole[begin]:
                end += 1
            size = end - begin
            if size > LARGEST:
                ranked = sorted(self._records[begin:end], key=lambda at: self._order[at])
                for at, one in enumerate(ranked):
                    for other in ranked[at + 1 : at + 1 + NEXT]:
                        low, high = (one, other) if one < other else (other, one)
                        partners[low].append(high)
                met = size * NEXT - NEXT * (NEXT + 1) // 2
                cuts.append(Cut(self._named(ranked[0], whole[begin]), size, size * (size - 1) // 2 - met))
            elif size > 1:
                members = self._records[begin:end]
                for at, one in enumerate(members[:-1]):
                    partners[one].extend(members[at + 1 :])
            begin = end
        return partners, sorted(cuts, key=lambda cut: (-cut.left_out, cut.key))

    def _named(self, at: int, code: int) -> str:
        return next(key for key in keys(self._names[at]) if hash(key) & _MASK == code)


_SHIFT = 24
_LOW = (1 << _SHIFT) - 1
_MASK = (1 << 62) - 1
MOST = _LOW
"""How many records fit."""


def _sorting(record: Normal) -> tuple[str, ...]:
    """Return the place of a record in the order in which neighbours are alike."""
    return record.joined, record.person.family, record.person.given, record.at.code, record.born, record.record.id
