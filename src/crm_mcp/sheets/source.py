"""What a file is filled from: rows that are there, or a statement that gives them; and what is said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .cells import Row
from .sheet import About, Columns


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL that gives the rows, their values in the order of the columns, and what it is asked with."""

    sql: str
    params: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Source:
    """Rows under columns. `question` says in JSON what was asked; `count` is how many rows there were when it was."""

    name: str
    title: str
    question: Mapping[str, object]
    columns: Columns
    rows: Sequence[Row] | Statement
    about: About
    count: int
