"""Records by the words in them: among those that crm.find_words gives, or through the list itself where many hold them."""

import re
import unicodedata
from typing import NamedTuple

COUNTED = 10_000
"""Totals of records are exact up to here, and no more of them are found by words alone."""
FOUND = f"""found as materialized (select f.record, f.changed
  from crm.find_words(%(kind)s::text, %(words)s::text, %(role)s::text, %(user)s::bigint, %(live)s::boolean, {COUNTED}) f),
 much as materialized (select coalesce(count(*) > {COUNTED} or bool_or(f.record is null), false) as so, count(*) > {COUNTED} as counted
  from found f)"""
"""Common table expressions: the records that hold the words, and whether they are too many to look at one by one."""
HELD = """((' ' || r.search_key) like all ((select crm.word_patterns(%(query)s::text))::text[])
   and (select cardinality(crm.word_patterns(%(query)s::text))) > 0)"""
"""The condition that a row holds every word of %(query)s, as crm.find_words understands it."""
ALONE = "(select f.record as id, f.changed as updated_at from found f) r"
_FEW, _MANY = "not (select m.so from much m)", "(select m.so from much m)"


_PARTS = re.compile(r"[a-z0-9]{3,}", re.ASCII | re.IGNORECASE)


class Way(NamedTuple):
    """Where rows `r` come from, and which of them are meant."""

    source: str
    where: str

    @property
    def counted(self) -> str:
        return f"(select count(*) from (select from {self.source} where {self.where} limit {COUNTED + 1}) x)"


def ways(table: str, joined: str, where: str, row: str = "r") -> tuple[Way, Way]:
    """Return two ways to the rows that hold the words and meet a condition, of which only one finds anything.

    `joined` is what stands behind a row in FROM.
    """
    few = Way(
        f"found f join crm.{table} {row} on {row}.org_id = %(org)s and {row}.id = f.record{joined}",
        f"{_FEW} and {where}",
    )
    return few, Way(f"crm.{table} {row}{joined}", f"{_MANY} and {where}")


def total(few: Way, many: Way, *, alone: bool) -> str:
    """Return the SQL expression of how many there are; `alone`: the words are the only condition."""
    if not alone:
        return f"{few.counted} + {many.counted}"
    return f"""(select case when m.counted then {COUNTED + 1} when m.so then {many.counted}
    else (select count(*) from found f) end from much m)"""


def alone(few: Way) -> Way:
    """Return the way to what holds the words, the latest changed first or last, where they are the only condition."""
    return few._replace(source=ALONE, where=_FEW)


def within(part: str) -> list[str]:
    """Return the words that a record surely holds if its text has this part: letters and digits that stand together.

    What is shorter than three is looked for at the beginning of words. What lower() makes longer or what has combining
    marks may be spelled in two ways, so nothing is sure of it.
    """
    if len(part.lower()) != len(part) or any(unicodedata.combining(sign) for sign in part):
        return []
    return _PARTS.findall(part)
