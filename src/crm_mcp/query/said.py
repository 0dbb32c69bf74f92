"""What each of Postgres' errors about a statement means, and what to write instead."""

import re
from collections.abc import Mapping, Sequence

SAID: Mapping[str, tuple[str, str]] = {
    "57014": ("QUERY_TOO_SLOW", "The query took over 5 seconds and was stopped. Give each JOIN its ON, filter by date or id before joining, ask for a shorter period; list_reports may have it ready."),
    "53200": ("QUERY_TOO_LARGE", "The query needs more memory than it may have. Aggregate or filter before joining."),
    "53400": ("QUERY_TOO_LARGE", "The query needs more space than it may have. Aggregate or filter before joining or sorting."),
    "54000": ("QUERY_TOO_LARGE", "A value or the query is larger than can be handled. Ask for less at once."),
    "54001": ("QUERY_TOO_LARGE", "The query is nested too deeply. Ask for less at once."),
    "54011": ("QUERY_TOO_LARGE", "The result has too many columns. Name those that are needed."),
    "CRM20": ("QUERY_TOO_LARGE", "A row of the result is over 256 KB. Take fewer columns, cut texts with left(…, 500), or give rows in place of one large list."),
    "22012": ("INVALID_SQL", "A division by zero: write nullif(divisor, 0)."),
    "22003": ("INVALID_SQL", "A number is out of range for its type. Cast to numeric before calculating."),
    "22008": ("INVALID_SQL", "There is no such day, or it lies too far away. Write dates as date '2026-01-31'."),
    "22009": ("INVALID_SQL", "There is no such time zone. Write it as 'Europe/Berlin'."),
    "22007": ("INVALID_SQL", "A text is no date, time or interval. Write date '2026-01-31', interval '1 month'."),
    "22P02": ("INVALID_SQL", "A text cannot be read as the type that it is compared or cast to."),
    "22023": ("INVALID_SQL", "An argument has a value that its function does not take. Units are 'year', 'quarter', 'month', 'week', 'day', 'hour'; zones as 'Europe/Berlin'."),
    "22011": ("INVALID_SQL", "substring and left take lengths of zero or more."),
    "22013": ("INVALID_SQL", "A window's PRECEDING or FOLLOWING takes an amount of zero or more."),
    "22014": ("INVALID_SQL", "ntile takes a number of groups above zero."),
    "22016": ("INVALID_SQL", "nth_value takes a place above zero."),
    "2201B": ("INVALID_SQL", "A regular expression cannot be read: write \\( for a bracket, or use ILIKE."),
    "2201E": ("INVALID_SQL", "A logarithm of zero or less: write ln(nullif(greatest(a, 0), 0))."),
    "2201F": ("INVALID_SQL", "A root or power that there is not: filter first, or write sqrt(greatest(a, 0))."),
    "2201G": ("INVALID_SQL", "width_bucket takes two different bounds and a number of buckets above zero."),
    "2201W": ("INVALID_SQL", "LIMIT is zero or more."),
    "2201X": ("INVALID_SQL", "OFFSET is zero or more."),
    "22030": ("INVALID_SQL", "A JSON object would have a key twice."),
    "22004": ("INVALID_SQL", "A value is null where none may be: filter with IS NOT NULL."),
    "22021": ("INVALID_SQL", "A text has a character that cannot be stored."),
    "21000": ("INVALID_SQL", "A subquery gives more than one row where one is due. Add LIMIT 1 or an aggregate, or write IN."),
    "42803": ("INVALID_SQL", "A column is neither in GROUP BY nor within an aggregate."),
    "42702": ("INVALID_SQL", "A column's name is in several tables. Write it with its table's alias."),
    "42725": ("INVALID_SQL", "PostgreSQL cannot tell which types are meant. Say them: date '2026-01-31', '5'::numeric."),
    "42883": ("INVALID_SQL", "A function or operator does not take these types. Cast the values, for example with ::numeric or ::date."),
    "42804": ("INVALID_SQL", "Types do not fit together: conditions are boolean, the branches of CASE, COALESCE and UNION of one type. Cast one side."),
    "42809": ("INVALID_SQL", "That is not of the kind that is due there: rank, lag and the like want OVER (ORDER BY …), aggregates take DISTINCT and FILTER."),
    "42846": ("INVALID_SQL", "There is no cast from the one type to the other. Go by ::text, or calculate it."),
    "42704": ("INVALID_SQL", "There is no WINDOW, type or collation of that name."),
    "42P18": ("INVALID_SQL", "The type of a parameter is not clear. Write $1::text, $1::date or $1::numeric."),
    "42P08": ("INVALID_SQL", "A parameter is used as two types. Cast it, or give the value twice."),
    "42P02": ("INVALID_SQL", "A parameter has no value: give parameters one value for each of $1, $2 …"),
    "42P10": ("INVALID_SQL", "ORDER BY, GROUP BY and DISTINCT must name what SELECT does; DISTINCT ON comes first in ORDER BY; a number is a place in SELECT."),
    "42P21": ("INVALID_SQL", 'Two collations meet. Write collate "C" once, where it is compared.'),
    "42P22": ("INVALID_SQL", 'It is not clear how to compare the texts. Write collate "C".'),
    "42712": ("INVALID_SQL", "Two tables have the same name. Give one an alias."),
    "42701": ("INVALID_SQL", "A column's name is given twice."),
    "42601": ("INVALID_SQL", "The two sides of a UNION, or a list of columns, do not have the same number of columns."),
    "42611": ("INVALID_SQL", "Each subquery of WITH and FROM has as many columns as names are given for."),
    "42P20": ("INVALID_SQL", "A window function stands where none may: put it into a subquery and filter outside."),
    "42P19": ("INVALID_SQL", "WITH RECURSIVE takes a first part, UNION or UNION ALL, and a part that names itself once."),
    "0A000": ("INVALID_SQL", "PostgreSQL does not do that in this place. Windows take no DISTINCT; RANGE with a distance orders by one date or number."),
}  # fmt: skip
"""SQLSTATE → our code, and what to do. Where Postgres names one thing of several, `CLOSER` says more."""

CLOSER: Sequence[tuple[str, str, str]] = (
    ("22P02", "jsonb?$|type json", 'A text is no JSON. Write it as \'{"key": "value"}\'::jsonb.'),
    ("22P02", "array", "A text is no list. Write array[1, 2], or '{1,2}' as the value of a parameter."),
    ("22023", "^time zone", "There is no such time zone. Write it as 'Europe/Berlin'."),
    ("22023", "^unit|^interval unit|not supported for", "There is no such unit of time: 'year', 'quarter', 'month', 'week', 'day', 'hour', in extract also 'isodow', 'epoch'."),
    ("22023", "object|array|scalar|key", "A JSON value is of another kind: filter by jsonb_typeof(a) = 'array' or 'object', keys not null."),
    ("22003", "percentile", "A percentile is between 0 and 1: percentile_cont(0.9)."),
    ("42601", "column definition list", "A function that gives records wants its columns: jsonb_to_recordset(a) as x(sku text, quantity numeric)."),
    ("42601", "only one column|too many columns", "A subquery that stands for a value, or behind IN, selects one column."),
    ("42601", "jsonpath", "A JSON path cannot be read. Write '$.key', or '$.list[*].key'."),
    ("42803", "not allowed in WHERE", "An aggregate cannot stand in WHERE: filter groups with HAVING, or aggregate in a subquery."),
    ("42803", "nested", "An aggregate cannot stand within another: aggregate in a subquery first."),
    ("42803", "not allowed", "An aggregate cannot stand there: aggregate in a subquery first."),
    ("42803", "GROUPING", "grouping() takes columns of GROUP BY."),
    ("42809", "OVER", "That is a window function: write it with over (order by …)."),
    ("42809", "WITHIN GROUP", "Percentiles and mode are written percentile_cont(0.5) within group (order by a)."),
    ("42809", "column notation", "Take a value of JSON with a ->> 'key'."),
    ("42804", "argument of (WHERE|HAVING|AND|OR|NOT|JOIN|CASE|FILTER)", "A condition is boolean: write a > 0, a is not null, or a = 'x'."),
    ("42804", "UNION|INTERSECT|EXCEPT", "The columns of a UNION have the same types, one by one. Cast one side, for example ::text."),
    ("42804", "CASE|COALESCE|GREATEST|LEAST|VALUES|ARRAY", "The values of CASE, COALESCE or a list are of one type. Cast one, for example ::text."),
    ("42601", "UNION|INTERSECT|EXCEPT", "The sides of a UNION have the same number of columns. Name them in place of *."),
    ("42704", "window", "There is no WINDOW of that name: define it as window w as (…) at the end."),
)  # fmt: skip
"""SQLSTATE, words of the message, what to do. The message is looked at and never shown; in another language none fit."""

SHAPES: Mapping[str, str] = {
    "round": "round(a::numeric, 2)",
    "trunc": "trunc(a::numeric, 2)",
    "percentile_cont": "percentile_cont(0.5) within group (order by a), of numbers",
    "percentile_disc": "percentile_disc(0.5) within group (order by a)",
    "mode": "mode() within group (order by a)",
    "date_trunc": "date_trunc('month', a)",
    "date_part": "date_part('year', a)",
    "extract": "extract(year from a), of a date or time",
    "to_char": "to_char(a, 'YYYY-MM')",
    "to_date": "to_date(a, 'YYYY-MM-DD')",
    "string_agg": "string_agg(a::text, ', ' order by a)",
    "count": "count(distinct (a, b)) for more than one column",
    "age": "age(a, b), of times",
    "left": "left(a, 10)",
    "right": "right(a, 10)",
    "lag": "lag(a) over (order by b)",
    "lead": "lead(a) over (order by b)",
    "ntile": "ntile(4) over (order by a)",
    "sum": "sum(a), of numbers or intervals",
    "avg": "avg(a), of numbers or intervals",
    "jsonb_array_elements": "jsonb_array_elements(a), of jsonb",
    "array_length": "array_length(a, 1)",
    "width_bucket": "width_bucket(a, 0, 1000, 10)",
    "generate_series": "generate_series(a::date, b::date, interval '1 day')",
    "make_interval": "make_interval(days => 30)",
    "split_part": "split_part(a, '@', 2)",
}
"""How functions are written that are often given other types or too few arguments."""

TYPES = frozenset(
    {
        "text", "integer", "bigint", "smallint", "numeric", "real", "double precision", "boolean", "date", "interval", "json",
        "jsonb", "uuid", "record", "unknown", "timestamp with time zone", "timestamp without time zone",
        "time without time zone", "time with time zone", "character varying", "character", "integer[]", "bigint[]", "text[]",
        "numeric[]", "date[]", "boolean[]", "daterange", "tstzrange", "tsrange", "numrange", "int4range", "int8range",
    }
)  # fmt: skip
"""Types as Postgres names them; no other word of its message is repeated."""


def closer(state: str, message: str) -> str | None:
    """Return what to do about an error by the words of its message."""
    return next((hint for code, words, hint in CLOSER if code == state and re.search(words, message)), None)
