"""How well found pairs agree with labels, and the sets that carry them."""

import csv
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from crm_mcp.matching.matcher import Pair
from crm_mcp.matching.records import Record


class Agreement(NamedTuple):
    """Pairs found that are true, pairs found, pairs that are true."""

    right: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.true

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.found + self.true)

    def plus(self, other: "Agreement") -> "Agreement":
        return Agreement(*(one + two for one, two in zip(self, other, strict=True)))

    def __str__(self) -> str:
        return f"precision {self.precision:.4f}, recall {self.recall:.4f}, F1 {self.f1:.4f} ({self.true} true pairs)"


def agreement(pairs: Iterable[Pair], true: set[tuple[str, str]], least: float = 0.0) -> Agreement:
    """Compare the pairs of a score of `least` or more with the true ones."""
    found = {(min(pair.left, pair.right), max(pair.left, pair.right)) for pair in pairs if pair.score >= least}
    return Agreement(len(found & true), len(found), len(true))


def together(ids: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the pairs of ids, each in order, that carry one label, from ids and their labels."""
    groups: dict[str, list[str]] = {}
    for one, label in ids:
        groups.setdefault(label, []).append(one)
    return {(min(pair), max(pair)) for group in groups.values() for pair in combinations(group, 2)}


def febrl(file: Path) -> list[Record]:
    """Return the persons of a febrl file without their social security numbers."""
    with file.open(newline="") as lines:
        return [
            Record(
                row["rec_id"],
                "individual",
                given=row["given_name"],
                family=row["surname"],
                house=row["street_number"],
                street=row["address_1"],
                second=row["address_2"],
                city=row["suburb"],
                code=row["postcode"],
                region=row["state"],
                born=row["date_of_birth"] or None,
            )
            for row in csv.DictReader(lines, skipinitialspace=True)
        ]


def number(record: Record) -> int:
    """Return the person's number in a febrl id: "rec-12-dup-0" is 12."""
    return int(record.id.split("-")[1])
