"""A page of a report's rows, beside the count and the sums of all: the rows that nobody sees stay in the database."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from .report import Column

AT = "#"
"""The name of a row's number in the statement; no column can have it."""
COUNT = "count"


class Page(NamedTuple):
    """Which rows: how many are passed over, and how many are read at the most."""

    skip: int
    most: int


class Whole(NamedTuple):
    """What all rows come to: how many they are, and each total before rounding, by currency (None: in one)."""

    rows: int
    sums: Mapping[str, Mapping[str | None, Decimal]]


def statement(sql: str, columns: Sequence[Column], page: Page) -> str:
    """Return a statement whose row is a page of another's rows, how many those are, and their sums, as JSON."""
    added = [column for column in columns if column.total]
    sums = ", ".join(f"'{column.name}', coalesce(sum(r.{column.name}), 0)" for column in added if not _by(column))
    parts = [
        f"""coalesce(jsonb_agg(to_jsonb(r) - '{AT}' order by r."{AT}")
   filter (where r."{AT}" > {page.skip} and r."{AT}" <= {page.skip + page.most}), '[]')::text""",
        f"jsonb_build_object('{COUNT}', count(*){', ' + sums if sums else ''})::text",
    ]
    parts += [
        f"""(select coalesce(jsonb_object_agg(s.currency, s.added), '{{}}')::text from
   (select x.currency, coalesce(sum(x.{column.name}), 0) as added from r x group by x.currency) s)"""
        for column in added
        if _by(column)
    ]
    return f'with r as (select row_number() over () as "{AT}", q.* from ({sql}) q) select {", ".join(parts)} from r'


def read(row: Sequence[str], columns: Sequence[Column]) -> tuple[list[Mapping[str, Any]], Whole]:
    """Return the page and what all rows come to, of the row that `statement` gave."""
    rows, own, *others = (json.loads(text, parse_float=Decimal) for text in row)
    sums: dict[str, Mapping[str | None, Decimal]] = {}
    for column in columns:
        if column.total:
            sums[column.name] = others.pop(0) if _by(column) else {None: own[column.name]}
    exact = {name: {key: Decimal(value) for key, value in by.items()} for name, by in sums.items()}
    return rows, Whole(own[COUNT], exact)


def of_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> Whole:
    """Return what rows that are all here come to."""
    sums: dict[str, Mapping[str | None, Decimal]] = {}
    for column in columns:
        if not column.total:
            continue
        by: dict[str | None, Decimal] = {} if _by(column) else {None: Decimal(0)}
        for row in rows:
            key = row["currency"] if _by(column) else None
            by[key] = by.get(key, Decimal(0)) + Decimal(row[column.name] or 0)
        sums[column.name] = by
    return Whole(len(rows), sums)


def _by(column: Column) -> bool:
    """Say whether a column is in each row's own currency, and so never added across them."""
    return column.type == "amount"
