"""What files of another system mean: as which kind they are known, and where each field stands in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .field import Field
from .fields import FIELDS
from .header import plain
from .plan import Kind
from .values import Reader


class From(NamedTuple):
    """The headers that a field stands under, the first that a file has counts; how it is read, where not as ours."""

    headers: tuple[str, ...]
    read: Reader | None = None


def at(*headers: str, read: Reader | None = None) -> From:
    return From(headers, read)


_MADE = frozenset({"external_id", "name", "customer"})
"""What is made of other columns where a file has none."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One kind of file: it is one where all headers of one of its `marks` stand in it."""

    kind: Kind
    marks: tuple[tuple[str, ...], ...]
    columns: Mapping[str, From]

    def fields(self) -> tuple[Field, ...]:
        """Return the fields of the kind as they stand in these files; none but what names a record is needed."""
        known = {one.name: one for one in FIELDS[self.kind]}
        return tuple(
            known[name]._replace(
                read=where.read or known[name].read,
                synonyms=" ".join(map(plain, where.headers)),
                required=known[name].required and name not in _MADE,
                filled=known[name].filled and name not in _MADE,
                named=False,
            )
            for name, where in self.columns.items()
        )

    def knows(self, header: Sequence[str]) -> bool:
        """Say whether a header is of such a file."""
        there = set(map(plain, header))
        return any(all(plain(one) in there for one in mark) for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Preset:
    """Another system: how it is called, its files; `prefixes` of ids tell a table apart where they do.

    `stages` are those that its pipelines begin with, in their order.
    """

    name: str
    title: str
    readings: tuple[Reading, ...]
    prefixes: Mapping[str, str] = field(default_factory=dict[str, Any])
    stages: tuple[str, ...] = ()

    def reading(self, header: Sequence[str]) -> Reading | None:
        """Return the file that a header is one of; a list of deals may hold columns of companies, not the reverse."""
        return next((one for one in reversed(self.readings) if one.knows(header)), None)
