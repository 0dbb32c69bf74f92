"""Duplicates among many records, and what a new record is like."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .blocking import MOST, Blocks, Cut
from .clusters import grouped
from .comparing import compare
from .reach import domain, email, phone
from .records import Normal, Record, dialled_from, normal
from .said import Said
from .weights import Frequencies

SURE = 0.99
LIKELY = 0.60
_EVERY = 500
_NOBODY = array("l")

Progress = Callable[[int, int], None]


class Cancelled(Exception):
    """The search was called off."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one field says of a pair, in the words of its records: left and right as compared, weight in bits."""

    field: str
    left: str
    right: str
    what: str
    weight: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two records that may be one."""

    left: str
    right: str
    score: float
    """0 to 1: the probability by the model of `weights`, comparable between runs over alike records."""
    findings: tuple[Finding, ...]
    """Why, the heaviest first."""

    @property
    def sure(self) -> bool:
        return self.score >= SURE


@dataclass(frozen=True, slots=True)
class Found:
    """The pairs of one kind of record, best first, their groups, and what was not compared."""

    pairs: tuple[Pair, ...]
    groups: tuple[tuple[str, ...], ...]
    compared: int
    cuts: tuple[Cut, ...]

    @property
    def left_out(self) -> int:
        """Pairs not compared in blocks too large."""
        return sum(cut.left_out for cut in self.cuts)


class Matcher:
    """Records of one kind made comparable once: `duplicates` among them, `candidates` for a new one."""

    def __init__(
        self, records: Iterable[Record], region: str = "", cancelled: Callable[[], bool] | None = None
    ) -> None:
        """Read the records; `region` (ISO 3166) is where phone numbers without a country code are dialled.

        Raises:
            ValueError: Records of two kinds, two of one id, or more than 16 million.
            Cancelled: `cancelled` said so.
        """
        self._region = region
        self._records: list[Normal] = []
        for at, record in enumerate(records):
            if at % _EVERY == 0 and cancelled and cancelled():
                raise Cancelled
            self._records.append(normal(record, region))
        self._records.sort(key=lambda one: one.record.id)
        if len({one.record.kind for one in self._records}) > 1:
            raise ValueError("Only records of one kind are compared.")
        if len({one.record.id for one in self._records}) < len(self._records):
            raise ValueError("Two records have one id.")
        if len(self._records) > MOST:
            raise ValueError(f"No more than {MOST} records.")
        self._frequencies = Frequencies(self._records)
        self.prior = self._frequencies.prior
        """log2 odds of a pair before its fields are compared; with the weights of its findings they make its score."""
        self._blocks = Blocks(self._records)

    def duplicates(
        self,
        least: float = LIKELY,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Found:
        """Return all pairs of a score of `least` or more, and their groups.

        `progress(done, total)` is told of records that have met all theirs; `cancelled` is asked as often.

        Raises:
            Cancelled: `cancelled` said so.
        """
        partners, cuts = self._blocks.together()
        found: list[tuple[int, int, float]] = []
        compared, total, needed = 0, len(self._records), math.log2(least / (1 - least)) - self.prior
        for at, record in enumerate(self._records):
            if at % _EVERY == 0:
                if cancelled and cancelled():
                    raise Cancelled
                if progress:
                    progress(at, total)
            others = set(partners[at])
            partners[at] = _NOBODY
            compared += len(others)
            for other in others:
                said = compare(record, self._records[other], self._frequencies, needed)
                if said is not None and (score := _score(said, self.prior)) >= least:
                    found.append((at, other, score))
        if progress:
            progress(total, total)
        groups = grouped((pair for pair in found if pair[2] >= LIKELY), self._between, _score([], self.prior))
        found.sort(key=lambda pair: (-pair[2], pair[0], pair[1]))
        return Found(
            tuple(self._pair(self._records[left], self._records[right]) for left, right, _ in found),
            tuple(tuple(self._records[at].record.id for at in group) for group in groups),
            compared,
            tuple(cuts),
        )

    def candidates(self, record: Record, least: float = LIKELY, most: int = 10) -> list[Pair]:
        """Return what a record that is not among them is like, best first; `left` of each pair is the new one."""
        new = normal(record, self._region)
        near = (self._pair(new, self._records[at]) for at in self._blocks.like(new))
        best = sorted((pair for pair in near if pair.score >= least), key=lambda pair: (-pair.score, pair.right))
        return best[:most]

    def score(self, left: str, right: str) -> float:
        """Return the score of two of the records by their ids, whether or not blocking brings them together.

        Raises:
            KeyError: There is no such record.
        """
        return self._between(self._at(left), self._at(right))

    def _at(self, number: str) -> int:
        at = bisect_left(self._records, number, key=lambda one: one.record.id)
        if at == len(self._records) or self._records[at].record.id != number:
            raise KeyError(number)
        return at

    def _between(self, left: int, right: int) -> float:
        return _score(self._compared(self._records[left], self._records[right]), self.prior)

    def _compared(self, left: Normal, right: Normal) -> list[Said]:
        return compare(left, right, self._frequencies) or []

    def _pair(self, left: Normal, right: Normal) -> Pair:
        said = self._compared(left, right)
        findings = sorted(
            (_finding(one, left, right, self._region) for one in said), key=lambda one: (-abs(one.weight), one.field)
        )
        return Pair(left.record.id, right.record.id, round(_score(said, self.prior), 4), tuple(findings))


def _score(said: list[Said], prior: float) -> float:
    for one in said:
        prior += one.weight
    return 1 / (1 + 2.0**-prior)


def _finding(said: Said, left: Normal, right: Normal, region: str) -> Finding:
    """Return a finding in the words of the records, where a field has words of its own."""
    written = _written(said.field, said.left, left, region), _written(said.field, said.right, right, region)
    what = "same after normalising" if said.what == "equal" and written[0] != written[1] else said.what
    return Finding(said.field, *written, what, round(said.weight, 1))


def _written(field: str, compared: str, record: Normal, region: str) -> str:
    """Return how a value stands in its record: the mailbox or number that was compared, or the field as it is."""
    given = record.record
    match field:
        case "email":
            return next((text for text in given.emails if (box := email(text)) and str(box) == compared), compared)
        case "phone":
            at = dialled_from(given, region)
            return next(
                (text for text in given.phones if (read := phone(text, at)) and read.number == compared), compared
            )
        case "name" if given.kind == "organization":
            return given.called
        case "domain":
            return given.website if given.website and domain(given.website) == compared else compared
        case "city":
            return given.city
        case "code":
            return given.code
        case "country":
            return given.country
        case "born":
            return str(given.born)
        case "employer":
            return given.employer
        case "tax_number":
            return given.tax_number
        case _:
            return compared
