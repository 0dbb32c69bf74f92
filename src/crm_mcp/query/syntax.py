"""What Postgres' grammar does not read, told with the words of the dialect that was probably meant."""

import re
from collections.abc import Sequence

from postgast import PgQueryError

from ..errors import Refusal

_TEXT = re.compile(r"'(?:[^']|'')*'")
_BEFORE = 30
_BEHIND = 40
_DIALECTS: Sequence[tuple[str, str]] = (
    (r"^\s*(show\s+(tables|columns)|desc(ribe)?\b|\\d|use\s)", "get_schema lists the tables, and with a table its columns."),
    (r"^\s*select\s+(distinct\s+)?top\b", "Write LIMIT 10 at the end in place of TOP 10."),
    (r"`", 'Names stand plain or in double quotes: name or "name".'),
    (r"\blimit\s+\d+\s*,\s*\d+", "Write LIMIT 10 OFFSET 5 in place of LIMIT 5, 10."),
    (r"\blimit\s+\S+\s+(where|order|group)\b", "The order is WHERE, GROUP BY, HAVING, ORDER BY, LIMIT."),
    (r"\bqualify\b", "There is no QUALIFY: put the window function into a subquery and filter outside."),
    (r"\b(un)?pivot\s*\(", "There is no PIVOT: write sum(a) filter (where b = 'x') for each column."),
    (r"\*\s*(exclude|except|replace)\s*\(", "Name the columns: * has no EXCLUDE."),
    (r"\b(rlike|regexp)\b", "Write name ~ '^A', or ~* for any case."),
    (r"\bglob\b", "Write name like 'A%', or name ~ '^A'."),
    (r"\binterval\s+[\d$]+\s*[a-z]", "Write interval '30 days', with quotes; of a parameter make_interval(days => $1)."),
    (r"[-+]\s*\d+\s+(day|week|month|year|hour)s?\b", "Write interval '30 days', or a number of days alone after a date."),
    (r"(?<![:\w\]])(:[a-z_]\w*|%s|%\(\w+\)s)|[=<>(,]\s*\?\s*($|[),]|and\b|or\b)", "Parameters are written $1, $2 …, and their values given in order."),
    (r"\{\{|\$\{|\}\}", "Nothing is filled in: write $1, $2 … and give the values as parameters."),
    (r"\b(from|join)\s+(order|user|group|table)\b", "A word of SQL cannot be a table's name: the tables are orders, people …; get_schema lists them."),
    (r",\s*(from|where|group|order|limit)\b", "There is a comma too many."),
    (r"\bin\s*\(\s*\)", "IN () needs a value; IN (null) is never true."),
    (r"\bfilter\s*\(\s*(?!where\b)", "Write filter (where …)."),
    (r"''\w", "Write a single quote within a text twice: 'O''Brien'; better, give the text as a parameter."),
    (r"\bcast\s*\([^)]*,", "Write cast(a as numeric), or a::numeric."),
    (r"\bselec\b|\bselct\b|\bslect\b|\bfrm\b|\bwehre\b|\bgroup\s+(?!by\b|\()\w|\border\s+(?!by\b)\w", "A word is misspelt, or BY is missing."),
)  # fmt: skip
"""What is written in other dialects, or often written wrongly, and how it is said here."""


def refusal(text: str, bad: PgQueryError) -> Refusal:
    """Return what may be said of a text that is no statement: where the grammar stops, and what to write instead."""
    at = max(0, getattr(bad, "cursorpos", 0) - 1)
    bare = _TEXT.sub("''", text)
    meant = next((hint for words, hint in _DIALECTS if re.search(words, bare, re.IGNORECASE)), "")
    if "unterminated" in str(bad) or at >= len(text.rstrip()):
        end = text.rstrip()[-_BEHIND:].strip()
        said = "The query ends too early: a quote or bracket may be open, or a part missing."
        return Refusal("INVALID_SQL", f"{said} {meant}".strip(), near=end)
    stops = text[at : at + _BEHIND].strip()
    line, before = text.count("\n", 0, at) + 1, text[max(0, at - _BEFORE) : at].strip()
    said = f"The grammar stops at {stops.split()[0] if stops else 'the end'}; look at it and at what is before it."
    where = {"near": stops, "line": line} | ({"before": before} if before else {})
    return Refusal("INVALID_SQL", f"{said} {meant}".strip(), **where)
