"""Draws the values of statements: what is calculated, compared and looked up, of each kind over what is in sight."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hypothesis import strategies as st

Kind = str
KINDS: Mapping[str, Kind] = {
    "bigint": "int", "integer": "int", "smallint": "int", "numeric": "num", "text": "text", "boolean": "bool", "date": "date",
    "timestamp with time zone": "time", "jsonb": "json",
}  # fmt: skip
"""The types of columns that statements calculate with, by how Postgres names them."""
PLAIN = ("int", "num", "text", "bool", "date", "time")
NAMES = (
    "a",
    "b",
    "total",
    "Größe",
    "名前",
    "a b",
    'say ""so""',
    "select",
    "x" * 63,
    "ñandú",
    "Ω",
    "from",
    "é",
    "q",
    "found",
)
TEXTS = (
    "",
    "a",
    "confirmed",
    "it's",
    "%",
    "_",
    "\\",
    "é",
    "日本",
    "x y",
    "--",
    "/*",
    "$1",
    "'; drop table customers; --",
    "🙂",
    "\n",
    "null",
)
KEYS = ("tier", "a", "é", "")
PATTERNS = ("^a", "[aeiou]+", r"\d{2,}", r"(\w)\1", "x|y", ".*", r"\mA", "[[:alpha:]]", "^$")
UNITS = ("year", "quarter", "month", "week", "day")
FORBIDDEN = (
    "set_config('crm.org_id', '{other}', true)", "set_config('crm.query_token', '', false)", "pg_sleep(9)", "pg_advisory_lock(1)",
    "current_setting('crm.query_token')", "pg_backend_pid()", "nextval('crm.orders_id_seq')", "lo_create(0)", "txid_current()",
    "query_to_xml('select 1', true, true, '')", "pg_terminate_backend(pg_backend_pid())", "crm.query_org()", "crm.sign('x')",
    "pg_notify('a', 'b')", "dblink('', 'select 1')", "pg_read_file('/etc/passwd')", "no_such_function(1, 'a')", "repeat('x', 100000000)",
    "ts_stat('select 1')", "pg_relation_size('crm.customers')", "has_table_privilege('crm.customers', 'select')", "version()",
    "current_user", "session_user", "inet_server_addr()", "array_fill(1, array[100000000])", "pg_export_snapshot()", "random()::text",
)  # fmt: skip
CASTS = ("regclass", "regproc", "xml", "money", "oid", "name", "varchar(100000)", "char(50000)", "customers", "crm.customers", "bytea", "pg_lsn", "tsvector")  # fmt: skip


class Range(NamedTuple):
    """What stands in FROM: its text, the columns to be seen with their kinds, and what tells its rows apart, if anything."""

    text: str
    columns: Mapping[str, Kind]
    keys: tuple[str, ...] | None


@dataclass
class Expressions:
    """Writes the values of a statement, drawing each choice. `tables` are the columns of each table by kind."""

    draw: Callable[[Any], Any]
    tables: Mapping[str, Mapping[str, Kind]]
    wild: str = ""
    qualifies: bool = False
    parameters: list[object] = field(default_factory=list[object])
    ctes: dict[str, Mapping[str, Kind]] = field(default_factory=dict[str, Mapping[str, Kind]])
    names: int = 0

    def one(self, options: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def chance(self, of: int) -> bool:
        """Say yes once in so many times; shrinks to no."""
        return self.draw(st.integers(0, of - 1)) == of - 1

    def fresh(self) -> str:
        """Return a name that is in no use yet, written in one of the ways that there are."""
        self.names += 1
        name = f"{self.one(NAMES)}{self.names}"[-63:]
        if name.isascii() and name.isidentifier() and name.islower():
            return name
        return f'"{name}"'

    def literal(self, text: str) -> str:
        plain = "'" + text.replace("'", "''") + "'"
        return self.one(
            (
                plain,
                plain,
                "e'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'",
                "u&'" + "".join(f"\\+{ord(letter):06x}" for letter in text) + "'",
                f"$q${text}$q$",
            )
        )

    # expressions

    def value(self, kind: Kind, seen: Mapping[str, Kind], depth: int) -> str:
        """Return an expression of a kind over the columns seen."""
        if self.wild and self.chance(25):
            return self.forbidden(kind)
        own = [column for column, of in seen.items() if of == kind]
        if depth <= 0 or self.chance(3):
            return self.one(own) if own and not self.chance(5) else self.constant(kind)
        if self.chance(8):
            inner = self.value(kind, seen, depth - 1)
            return f"case when {self.value('bool', seen, depth - 1)} then {inner} else {self.value(kind, seen, depth - 1)} end"
        if kind != "json" and self.chance(10):
            return self.scalar(kind, seen, depth - 1)
        if self.chance(10):
            return f"coalesce({self.value(kind, seen, depth - 1)}, {self.constant(kind)})"
        return getattr(self, f"_{kind}")(seen, depth - 1)

    def constant(self, kind: Kind) -> str:
        if kind in ("int", "text") and self.chance(6) and len(self.parameters) < 9:
            value = self.draw(st.integers(-99, 999)) if kind == "int" else self.one(TEXTS)
            self.parameters.append(str(value))
            return f"${len(self.parameters)}::{'bigint' if kind == 'int' else 'text'}"
        match kind:
            case "int":
                return str(self.draw(st.integers(0, 400)))
            case "num":
                return f"round({self.draw(st.integers(-9, 5000))}.5, 4)"
            case "text":
                return f"{self.literal(self.one(TEXTS))}::text"
            case "bool":
                return self.one(("true", "false", "null::boolean"))
            case "date":
                return f"date '20{self.one((24, 25, 26))}-{self.one(('01-31', '02-28', '06-30', '12-31'))}'"
            case "time":
                return f"timestamptz '202{self.one((4, 5, 6))}-03-29 01:30:00+00'"
            case _:
                return """'{"tier": "gold", "a": [1, {"b": null}]}'::jsonb"""

    def forbidden(self, kind: Kind) -> str:
        called = self.one(FORBIDDEN).replace("{other}", self.wild)
        cast = {
            "int": "::int",
            "num": "::numeric",
            "bool": "::bool",
            "date": "::date",
            "time": "::timestamptz",
            "json": "::text::jsonb",
        }
        return self.one(
            (
                f"({called})::text{cast.get(kind, '')}",
                f"(select {called})::text",
                f"{self.constant(kind)}::{self.one(CASTS)}",
            )
        )

    def scalar(self, kind: Kind, seen: Mapping[str, Kind], depth: int) -> str:
        """Return a subquery that gives one value, looking out at the columns seen."""
        table = self.table(kind)
        if table is None:
            return self.constant(kind)
        both = {**seen, **table.columns}
        own = [column for column, of in table.columns.items() if of == kind]
        where = self.value("bool", both, depth - 1)
        if kind == "bool":
            return f"(select bool_and({self.one(own)}) from {table.text} where {where})"
        return f"(select {self.one(('min', 'max'))}({self.one(own)}) from {table.text} where {where})"

    def _int(self, seen: Mapping[str, Kind], depth: int) -> str:
        a = self.value("int", seen, depth)
        return self.one(
            (
                lambda: f"({a} + {self.value('int', seen, depth)})",
                lambda: f"({a} % 7)",
                lambda: f"length({self.value('text', seen, depth)})",
                lambda: f"extract({self.one(UNITS)} from {self.value(self.one(('date', 'time')), seen, depth)})::int",
                lambda: f"abs({a})",
                lambda: f"width_bucket({self.value('num', seen, depth)}, 0, 1000, 8)",
                lambda: f"({self.value('date', seen, depth)} - {self.value('date', seen, depth)})",
                lambda: f"position('a' in {self.value('text', seen, depth)})",
                lambda: f"regexp_count({self.value('text', seen, depth)}, {self.literal(self.one(PATTERNS))})",
                lambda: f"cardinality(string_to_array({self.value('text', seen, depth)}, ' '))",
                lambda: f"coalesce(nullif({a}, 3), {self.value('int', seen, depth)})",
                lambda: f"(array[{a}, 2, 3])[{self.draw(st.integers(0, 4))}]",
                lambda: f"num_nulls({a}, null)",
            )
        )()

    def _num(self, seen: Mapping[str, Kind], depth: int) -> str:
        a, b = self.value("num", seen, depth), self.value("num", seen, depth)
        return self.one(
            (
                lambda: f"round({a} {self.one('+-*')} {b}, 4)",
                lambda: f"round({a} / nullif({b}, 0), 4)",
                lambda: f"round({self.value('int', seen, depth)}::numeric, 4)",
                lambda: f"{self.one(('greatest', 'least'))}({a}, {b})",
                lambda: f"round(abs({a}) ^ 0.5, 4)",
                lambda: (
                    f"round(extract(epoch from {self.value('time', seen, depth)} - {self.value('time', seen, depth)}) / 86400, 4)"
                ),
            )
        )()

    def _text(self, seen: Mapping[str, Kind], depth: int) -> str:
        a = self.value("text", seen, depth)
        return self.one(
            (
                lambda: f"{self.one(('upper', 'lower', 'initcap', 'reverse', 'btrim', 'md5', 'quote_literal'))}({a})",
                lambda: f"({a} || {self.value('text', seen, depth)})",
                lambda: f"{self.one(('left', 'right'))}({a}, {self.draw(st.integers(-3, 9))})",
                lambda: f"split_part({a}, '@', 2)",
                lambda: f"regexp_replace({a}, {self.literal(self.one(PATTERNS))}, '<\\&>', 'g')",
                lambda: f"substring({a} from {self.literal(self.one(PATTERNS))})",
                lambda: f"to_char({self.value('time', seen, depth)}, 'YYYY-MM-DD HH24:MI TZ')",
                lambda: f"to_char({self.value('num', seen, depth)}, 'FM999G999D00')",
                lambda: f"({self.value('json', seen, depth)} ->> {self.literal(self.one(KEYS))})",
                lambda: f"({self.value('json', seen, depth)} #>> '{{a,1,b}}')",
                lambda: f"concat_ws('-', {a}, {self.value('int', seen, depth)})",
                lambda: f"{self.value(self.one(('int', 'num', 'date', 'bool')), seen, depth)}::text",
                lambda: f"lpad({a}, {self.draw(st.integers(0, 9))}, '*')",
                lambda: f"format('%s/%s', {a}, {self.value('int', seen, depth)})",
                lambda: f"(regexp_match({a}, {self.literal(self.one(PATTERNS))}))[1]",
                lambda: f'{a} collate "C"',
            )
        )()

    def _bool(self, seen: Mapping[str, Kind], depth: int) -> str:
        kind = self.one(PLAIN)
        a = self.value(kind, seen, depth)
        return self.one(
            (
                lambda: (
                    f"({a} {self.one(('=', '<>', '<', '>', '<=', '>=', 'is distinct from'))} {self.value(kind, seen, depth)})"
                ),
                lambda: (
                    f"({self.value('bool', seen, depth)} {self.one(('and', 'or'))} {self.value('bool', seen, depth)})"
                ),
                lambda: f"(not {self.value('bool', seen, depth)})",
                lambda: f"({a} is {self.one(('null', 'not null'))})",
                lambda: (
                    f"({a} {self.one(('between', 'between symmetric', 'not between'))} {self.value(kind, seen, depth)} and {self.value(kind, seen, depth)})"
                ),
                lambda: f"({a} in ({self.value(kind, seen, depth)}, {self.constant(kind)}))",
                lambda: (
                    f"({self.value('text', seen, depth)} {self.one(('like', 'ilike', 'not like', '~', '~*', '!~', 'similar to'))} {self.literal(self.one(('a%', '%e_', 'x', 'é')))})"
                ),
                lambda: f"({self.value('json', seen, depth)} ? {self.literal(self.one(KEYS))})",
                lambda: f'({self.value("json", seen, depth)} @> \'{{"tier": "gold"}}\')',
                lambda: f"({self.value('bool', seen, depth)} is {self.one(('true', 'not false', 'unknown'))})",
                lambda: f"({self.value('text', seen, depth)} = any (array['a', 'confirmed', null]))",
                lambda: self.within(seen, depth),
            )
        )()

    def within(self, seen: Mapping[str, Kind], depth: int) -> str:
        """Return a condition about the rows of another table, which looks out at this one's."""
        table = self.table(None)
        assert table is not None
        ints = [column for column, of in table.columns.items() if of == "int"]
        where = self.value("bool", {**seen, **table.columns}, depth - 1)
        if self.chance(2) and ints:
            return f"({self.value('int', seen, depth - 1)} {self.one(('in', 'not in', '= any', '> all'))} (select {self.one(ints)} from {table.text} where {where}))"
        return f"{self.one(('', 'not '))}exists (select from {table.text} where {where})"

    def _date(self, seen: Mapping[str, Kind], depth: int) -> str:
        return self.one(
            (
                lambda: f"{self.value('time', seen, depth)}::date",
                lambda: f"({self.value('date', seen, depth)} + {self.draw(st.integers(-40, 40))})",
                lambda: f"date_trunc({self.literal(self.one(UNITS))}, {self.value('date', seen, depth)})::date",
                lambda: f"greatest({self.value('date', seen, depth)}, {self.constant('date')})",
            )
        )()

    def _time(self, seen: Mapping[str, Kind], depth: int) -> str:
        a = self.value("time", seen, depth)
        return self.one(
            (
                lambda: f"date_trunc({self.literal(self.one(UNITS))}, {a})",
                lambda: (
                    f"({a} {self.one('+-')} interval '{self.draw(st.integers(0, 40))} {self.one(('days', 'hours', 'months'))}')"
                ),
                lambda: f"(({a} at time zone 'America/New_York') at time zone 'UTC')",
                lambda: f"date_bin('7 days', {a}, timestamptz '2024-01-01')",
                lambda: f"{self.value('date', seen, depth)}::timestamptz",
            )
        )()

    def _json(self, seen: Mapping[str, Kind], depth: int) -> str:
        return self.one(
            (
                lambda: (
                    f"jsonb_build_object('a', {self.value(self.one(PLAIN), seen, depth)}, 'é', {self.value('text', seen, depth)})"
                ),
                lambda: f"to_jsonb({self.value(self.one(PLAIN), seen, depth)})",
                lambda: f"({self.value('json', seen, depth)} -> {self.literal(self.one(KEYS))})",
                lambda: f"({self.value('json', seen, depth)} || jsonb_build_array({self.value('int', seen, depth)}))",
                lambda: f"jsonb_path_query_array({self.value('json', seen, depth)}, '$.**')",
                lambda: f"jsonb_strip_nulls({self.value('json', seen, depth)})",
            )
        )()

    def table(self, kind: Kind | None) -> Range | None:
        """Return a registered table under a name of its own; one with a column of the kind, where one is asked for."""
        able = sorted(name for name, columns in self.tables.items() if kind is None or kind in columns.values())
        if not able:
            return None
        name, alias = self.one(able), self.fresh()
        qualified = f"{{crm}}.{name}"
        written = qualified if self.qualifies else self.one((name, qualified, f'"{name}"', name.upper()))
        columns = {f"{alias}.{column}": of for column, of in self.tables[name].items()}
        keys = (f"{alias}.id",) if f"{alias}.id" in columns else None
        return Range(f"{written} {self.one(('', 'as '))}{alias}", columns, keys)
