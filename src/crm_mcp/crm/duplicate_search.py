"""A search for duplicates: rows that come in batches made records, compared, and told as groups. No database."""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import phonenumbers

from ..matching.matcher import Found, Matcher, Pair
from ..matching.places import country_code
from ..matching.records import Kind, Record
from ..matching.text import fold

Progress = Callable[[int, int], None]
DIALLED = 1000
"""Numbers that are asked for their country where no record names one."""
REASONS = 4
"""How many findings a group is told with."""
_TEXTS = (
    "name",
    "given",
    "family",
    "website",
    "street",
    "city",
    "region",
    "code",
    "country",
    "employer",
    "tax_number",
)


class Group(NamedTuple):
    """Records that may be one, the one to keep first: what orders the list, and in `told` (JSON) the rest.

    Kept small, since a served process keeps the groups of a search for a while.
    """

    score: float
    """Of the surest pair."""
    sure: bool
    ids: tuple[int, ...]
    told: bytes
    """`records`: id, name, email; `why`: field, left, right, what, weight; `said`: the text of each, folded."""


class Duplicates(NamedTuple):
    """Groups, the surest first, out of how many records, and how many pairs of large blocks were not compared."""

    groups: tuple[Group, ...]
    read: int
    left_out: int


class Search:
    """Records as they are read; `found` compares them."""

    def __init__(self) -> None:
        self._records: dict[Kind, list[Record]] = {}
        self._filled: dict[Kind, array[int]] = {}
        self._countries: Counter[str] = Counter()
        self._dialled: Counter[str] = Counter()
        self.read = 0

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows, those of each kind in the order of their ids."""
        for row in rows:
            kind: Kind = row["kind"]
            self._records.setdefault(kind, []).append(record(row, kind))
            self._filled.setdefault(kind, array("i")).append(len(row))
            _count_countries(row, self._countries, self._dialled)
            self.read += 1

    def found(
        self, least: float, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Duplicates:
        """Compare what was taken, and let go of it.

        Raises:
            Cancelled: `cancelled` said so.
        """
        groups: list[Group] = []
        region, left_out, before = _most(self._countries) or _most(self._dialled), 0, 0
        for kind in sorted(self._records):
            mine, filled = self._records.pop(kind), self._filled[kind]
            known = {one.id: (filled[at], one) for at, one in enumerate(mine)}
            matcher = Matcher(mine, region, cancelled)

            def told(done: int, _: int, before: int = before) -> None:
                if progress:
                    progress(before + done, self.read)

            found = matcher.duplicates(least, told, cancelled)
            left_out += found.left_out
            before += len(mine)
            groups += _groups(found, known)
        groups.sort(key=lambda group: (-group.score, group.ids))
        return Duplicates(tuple(groups), self.read, left_out)


def record(row: Mapping[str, Any], kind: Kind) -> Record:
    """Return a row as it is compared."""
    texts = {key: str(row[key]) for key in _TEXTS if row.get(key)}
    emails = (row["email"],) if row.get("email") else ()
    return Record(str(row["id"]), kind, emails=emails, phones=(row["phone"],) if row.get("phone") else (), **texts)


def region_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return where numbers without a country code are dialled: the country of most records, else of most numbers."""
    countries, dialled = Counter[str](), Counter[str]()
    for row in rows:
        _count_countries(row, countries, dialled)
    return _most(countries) or _most(dialled)


def _count_countries(row: Mapping[str, Any], countries: Counter[str], dialled: Counter[str]) -> None:
    if code := country_code(row.get("country") or ""):
        countries[code] += 1
    elif not countries and dialled.total() < DIALLED and (row.get("phone") or "").startswith("+"):
        dialled[_dialled(row["phone"])] += 1


def _most(counted: Counter[str]) -> str:
    return min((code for code in counted if code), key=lambda code: (-counted[code], code), default="")


def _dialled(text: str) -> str:
    try:
        return phonenumbers.region_code_for_country_code(phonenumbers.parse(text).country_code or 0)
    except phonenumbers.NumberParseException:
        return ""


def _groups(found: Found, known: Mapping[str, tuple[int, Record]]) -> list[Group]:
    """Return the groups of a search, and each pair that the guard against chains kept out of them."""
    home = {one: at for at, group in enumerate(found.groups) for one in group}
    best: dict[int, Pair] = {}
    alone: list[Pair] = []
    for pair in found.pairs:
        at = home.get(pair.left)
        if at is not None and at == home.get(pair.right):
            best.setdefault(at, pair)
        else:
            alone.append(pair)
    groups = [_group(found.groups[at], pair, known) for at, pair in best.items()]
    return groups + [_group((pair.left, pair.right), pair, known) for pair in alone]


def _group(members: Iterable[str], best: Pair, known: Mapping[str, tuple[int, Record]]) -> Group:
    kept_first = [known[one][1] for one in sorted(members, key=lambda one: (-known[one][0], int(one)))]
    why = [finding for finding in best.findings if finding.left or finding.right][:REASONS]
    told = {
        "records": [
            {"id": int(one.id), "name": one.name, **({"email": one.emails[0]} if one.emails else {})}
            for one in kept_first
        ],
        "why": [[one.field, one.left, one.right, one.what, one.weight] for one in why],
        "said": [fold(" ".join((one.name, *one.emails, one.website))) for one in kept_first],
    }
    ids = tuple(int(one.id) for one in kept_first)
    return Group(best.score, best.sure, ids, json.dumps(told, ensure_ascii=False).encode())
