"""Draws SELECTs over the registered tables from the grammar: what is good must run and be right, what is not must do nothing.

A drawn statement is good and gives the same rows however the tables are read: it has no LIMIT without an order of all
its columns, no window over ties, no sum of floats, and numbers of four places. Wild ones take, here and there, a call, a
table, a type or a clause that nobody may have.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hypothesis import strategies as st
from query_expressions import PLAIN, Expressions, Kind, Range

SPACES = (" ", "  ", "\n", "\t", "\r\n", " /* c */ ", " /* a /* b */ ' */ ", " -- it's\n", "\f")
_TOGETHER = re.compile(r"\b(nulls|not|with) (?=first|last|between|in|like|ilike|similar|ordinality)()")
_PARAMETER = re.compile(r"\$(\d+)::")
_QUOTED = re.compile(r"""((?:[eEnN]|[uU]&)?'(?:[^'\\]|''|\\.)*'|(?:[uU]&)?"(?:[^"]|"")*"|\$q\$.*?\$q\$)""", re.DOTALL)
CATALOGS = ("pg_stat_activity", "pg_class", "pg_catalog.pg_authid", "information_schema.tables", "crm.audit_log", "crm.users",
            "query_admin.customers", "query_support.people", "pg_settings", "jobs.procrastinate_jobs", "pg_stats", "pg_locks")  # fmt: skip
TAILS = ("for update", "for share skip locked", "for key share", "limit 1000000000000", "offset -1", "fetch first 5 rows with ties", ";", "; delete from crm.customers",
         "; commit", ") q; commit; select * from (select 1", "-- '", "/*", "into temp t")  # fmt: skip


class Drawn(NamedTuple):
    """A statement with the values of its parameters; {crm} stands where a table is qualified."""

    text: str
    parameters: tuple[object, ...]

    def to(self, schema: str) -> str:
        return self.text.replace("{crm}", schema)


@dataclass
class Writer(Expressions):
    """Writes one statement."""

    def source(self, seen: Mapping[str, Kind], depth: int) -> Range:
        """Return one thing that rows come from; `seen` is what a LATERAL one looks back at."""
        if self.wild and self.chance(20):
            alias = self.fresh()
            return Range(f"{self.one(CATALOGS)} {alias}", {}, None)
        choice = self.draw(st.integers(0, 9)) if depth > 0 else 0
        alias = self.fresh()
        if self.ctes and choice == 4:
            name = self.one(sorted(self.ctes))
            return Range(f"{name} {alias}", {f"{alias}.{column}": of for column, of in self.ctes[name].items()}, None)
        if choice == 5:
            text, columns = self.select({}, depth - 1)
            return Range(f"({text}) {alias}", {f"{alias}.{column}": of for column, of in columns.items()}, None)
        if choice == 6:
            text, columns = self.select(seen, depth - 1)
            return Range(
                f"lateral ({text}) {alias}", {f"{alias}.{column}": of for column, of in columns.items()}, None
            )
        if choice == 7:
            n = self.fresh()
            series = self.one(
                (
                    f"generate_series({self.draw(st.integers(0, 3))}, {self.draw(st.integers(0, 6))})",
                    "generate_series(1, 9, 2)",
                    "unnest(array[1, 2, 3])",
                )
            )
            return Range(f"{series} as {alias}({n})", {f"{alias}.{n}": "int"}, (f"{alias}.{n}",))
        if choice == 8:
            n, place = self.fresh(), self.fresh()
            text = self.value("text", seen, depth - 1)
            split = f"lateral string_to_table({text}, ' ') with ordinality as {alias}({n}, {place})"
            return Range(split, {f"{alias}.{n}": "text", f"{alias}.{place}": "int"}, (f"{alias}.{place}",))
        if choice == 9:
            n, m = self.fresh(), self.fresh()
            return Range(f"(values (1, 'a'), (2, null), (3, 'é')) as {alias}({n}, {m})", {f"{alias}.{n}": "int", f"{alias}.{m}": "text"}, (f"{alias}.{n}",))  # fmt: skip
        table = self.table(None)
        assert table is not None
        return table

    def sources(self, seen: Mapping[str, Kind], depth: int) -> Range:
        """Return a FROM of up to three things, joined in one of the ways that there are."""
        whole = self.source(seen, depth)
        for _ in range(self.draw(st.integers(0, 2)) if depth > 0 else 0):
            other = self.source({**seen, **whole.columns}, depth - 1)
            whole = self.joined(whole, other, seen, depth)
        return whole

    def joined(self, one: Range, two: Range, seen: Mapping[str, Kind], depth: int) -> Range:
        columns = {**one.columns, **two.columns}
        keys = one.keys + two.keys if one.keys is not None and two.keys is not None else None
        left = [c for c, of in one.columns.items() if of == "int"]
        right = [c for c, of in two.columns.items() if of == "int"]
        if two.text.startswith("lateral") or not left or not right:
            how = self.one(("cross join {}", "left join {} on true", ", {}"))
            # a comma binds loosest: what is joined behind it would not see what stands before it
            how = how if how[0] != "," else "cross join {}"
            return Range(f"{one.text} {how.format(two.text)}", columns, keys)
        kind = self.one(("join", "left join", "right join", "full join", "inner join"))
        on = f"{self.one(left)} = {self.one(right)}"
        if kind != "full join" and self.chance(4):
            on += f" and {self.value('bool', {**seen, **columns}, depth - 2)}"
        text = f"{one.text} {kind} {two.text} on {on}"
        if "lateral" in one.text and kind in ("right join", "full join"):
            text = f"{one.text} join {two.text} on {on}"
        return Range(text, columns, keys)

    # statements

    def select(self, seen: Mapping[str, Kind], depth: int) -> tuple[str, Mapping[str, Kind]]:
        """Return a SELECT without its WITH, and its columns."""
        form = self.draw(st.integers(0, 7)) if depth > 0 else 0
        if form == 7:
            return self.united(seen, depth)
        rows = self.sources(seen, depth)
        inside = {**seen, **rows.columns}
        if form in (3, 4):
            items = self.grouped(rows, inside, depth)
        elif form in (5, 6):
            items = self.windowed(rows, inside, depth)
        else:
            kinds = [self.one((*PLAIN, "json")) for _ in range(self.draw(st.integers(1, 3)))]
            items = [(self.value(kind, inside, depth), kind) for kind in kinds], ""
        chosen, tail = items
        names = [self.fresh() for _ in chosen]
        listed = ", ".join(f"{text} as {name}" for (text, _), name in zip(chosen, names, strict=True))
        distinct = "distinct " if not tail and self.chance(6) else ""
        where = f" where {self.value('bool', inside, depth - 1)}" if self.chance(2) else ""
        text = f"select {distinct}{listed} from {rows.text}{where}{tail}{self.ordered(len(names))}"
        return text, {name: kind for name, (_, kind) in zip(names, chosen, strict=True)}

    def ordered(self, many: int) -> str:
        """Return an order of all columns, so that what LIMIT takes is the same whatever the plan."""
        if not self.chance(4):
            return ""
        order = ", ".join(
            f"{at}{self.one(('', ' desc', ' desc nulls last', ' nulls first'))}" for at in range(1, many + 1)
        )
        limit = self.one(
            (
                "",
                f" limit {self.draw(st.integers(0, 20))}",
                f" limit 5 offset {self.draw(st.integers(0, 5))}",
                " fetch first 3 rows only",
            )
        )
        return f" order by {order}{limit}"

    def united(self, seen: Mapping[str, Kind], depth: int) -> tuple[str, Mapping[str, Kind]]:
        one, columns = self.select(seen, depth - 1)
        rows = self.sources(seen, depth - 1)
        inside = {**seen, **rows.columns}
        values = ", ".join(self.value(kind, inside, depth - 2) for kind in columns.values())
        how = f"{self.one(('union', 'intersect', 'except'))}{self.one(('', ' all'))}"
        return f"({one}) {how} (select {values} from {rows.text})", columns

    def aggregate(self, inside: Mapping[str, Kind], depth: int) -> tuple[str, Kind]:
        kind = self.one(("int", "num", "text", "date", "time"))
        a = self.value(kind, inside, depth)
        only = f" filter (where {self.value('bool', inside, depth - 1)})" if self.chance(4) else ""
        number = self.value("num", inside, depth)
        return self.one(
            (
                (f"count(*){only}", "int"),
                (f"count(distinct {a}){only}", "int"),
                (f"{self.one(('min', 'max'))}({a}){only}", kind),
                (f"sum({number}){only}", "num"),
                (f"round(avg({number}){only}, 4)", "num"),
                (f"string_agg({a}::text, ',' order by {a}::text){only}", "text"),
                (f"string_agg(distinct {a}::text, '|'){only}", "text"),
                (f"array_to_string(array_agg({a}::text order by {a}::text desc nulls last){only}, ';')", "text"),
                (f"jsonb_agg({a} order by {a}){only}", "json"),
                (f"round(percentile_cont(0.5) within group (order by {number}::float8)::numeric, 4)", "num"),
                (f"percentile_disc(0.75) within group (order by {a})", kind),
                (f"bool_or({self.value('bool', inside, depth - 1)}){only}", "bool"),
                (f"round(stddev_samp({number}){only}, 4)", "num"),
            )
        )

    def grouped(self, rows: Range, inside: Mapping[str, Kind], depth: int) -> tuple[list[tuple[str, Kind]], str]:
        kinds = [self.one(PLAIN) for _ in range(self.draw(st.integers(0, 2)))]
        by = [(self.value(kind, rows.columns, depth - 1), kind) for kind in kinds]
        found = [self.aggregate(inside, depth - 1) for _ in range(self.draw(st.integers(1, 2)))]
        if not by:
            return found, self.one(("", " having count(*) > 0", " group by ()"))
        # places, since an expression is not the same one once more where it holds a parameter
        places = [str(at) for at in range(1, len(by) + 1)]
        listed = ", ".join(places)
        how = self.one((listed, listed, f"rollup ({listed})", f"cube ({listed})", f"grouping sets (({listed}), ())"))
        if "(" in how and any("$" in text or not re.fullmatch(r'[\w."ñÑ]+', text) for text, _ in by):
            how = listed
        if "(" in how:
            how = re.sub(r"\d", lambda at: by[int(at[0]) - 1][0], how)
        having = self.one(("", "", f" having {self.aggregate(inside, 0)[0]} is not null"))
        return [*by, *found], f" group by {how}{having}"

    def windowed(self, rows: Range, inside: Mapping[str, Kind], depth: int) -> tuple[list[tuple[str, Kind]], str]:
        kind = self.one(("int", "num", "date", "time", "text"))
        a, number = self.value(kind, inside, depth - 1), self.value("num", inside, depth - 1)
        part = f"partition by {self.value(self.one(PLAIN), inside, 0)} " if self.chance(2) else ""
        ordered = [f"{self.value(self.one(PLAIN), inside, 0)} {self.one(('', 'desc', 'nulls first'))}"]
        peers = f"({part}order by {ordered[0]})"
        options = [
            (f"{self.one(('rank', 'dense_rank'))}() over {peers}", "int"),
            (f"count(*) over {peers}", "int"),
            (f"sum({number}) over {peers}", "num"),
            (f"max({a}) over ({part})", kind),
            (f"round({number} / nullif(sum({number}) over ({part}), 0), 4)", "num"),
            ("count(*) over w", "int"),
        ]
        if rows.keys is not None:
            whole = f"({part}order by {', '.join([*ordered, *rows.keys])}"
            frame = self.one(
                (
                    "rows between 2 preceding and current row",
                    "rows between 1 preceding and 1 following exclude current row",
                    "groups 1 preceding",
                )
            )
            options += [
                (f"row_number() over {whole})", "int"),
                (f"{self.one(('lag', 'lead'))}({a}) over {whole})", kind),
                (f"first_value({a}) over {whole})", kind),
                (f"ntile(3) over {whole})", "int"),
                (f"sum({number}) over {whole} {frame})", "num"),
            ]
        chosen = self.one(options)
        first = self.one(PLAIN)
        named = f" window w as ({part})" if " w" in chosen[0][-2:] else ""
        return [chosen, (self.value(first, inside, 0), first)], named

    def statement(self, depth: int) -> Drawn:
        """Return a whole statement, with or without WITH, dressed oddly at times."""
        defined: list[str] = []
        for _ in range(self.draw(st.integers(0, 2))):
            if self.chance(4):
                name, n = self.fresh(), self.fresh()
                defined.append(
                    f"{name}({n}) as (select 1 union all select {n} + 1 from {name} where {n} < {self.draw(st.integers(1, 9))})"
                )
                self.ctes[name] = {n: "int"}
                continue
            text, columns = self.select({}, depth - 1)
            name = self.fresh()
            defined.append(f"{name} as {self.one(('', 'materialized ', 'not materialized '))}({text})")
            self.ctes[name] = columns
        text, _ = self.select({}, depth)
        if defined:
            text = f"with recursive {', '.join(defined)} {text}"
        if self.wild and self.chance(10):
            text = f"{text} {self.one(TAILS)}"
        used = list(dict.fromkeys(int(one) for one in _PARAMETER.findall(text)))
        text = _PARAMETER.sub(lambda found: f"${used.index(int(found[1])) + 1}::", text)
        return Drawn(self.dressed(text), tuple(self.parameters[one - 1] for one in used))

    def dressed(self, text: str) -> str:
        """Return the statement in other letters and spaces; what is quoted stays as it is.

        Between two words that the grammar reads as one, libpg_query takes no comment.
        """
        if not self.chance(3):
            return text
        space, letters = self.one(SPACES), self.one((str, str.upper, str.title))
        parts = _QUOTED.split(text)
        for at in range(0, len(parts), 2):
            kept = [_TOGETHER.sub(r"\1\v\2", part) for part in parts[at].split("{crm}")]
            parts[at] = "{crm}".join(letters(part).replace(" ", space).replace("\v", " ") for part in kept)
        return "".join(parts)


def drawn(
    tables: Mapping[str, Mapping[str, Kind]], depth: int, wild: str = "", qualifies: bool = False
) -> st.SearchStrategy[Drawn]:
    """Return statements over tables; wild ones where `wild` says which org they would like to see."""

    @st.composite
    def one(draw: Callable[[Any], Any]) -> Drawn:
        return Writer(draw, tables, wild, qualifies).statement(draw(st.integers(1, depth)))

    return one()


WORDS = (
    "select", "from", "where", "with", "recursive", "as", "(", ")", ",", ";", "*", "'", '"', "$1", "$q$", "--", "/*", "*/", "customers",
    "crm.", "::", "[", "]", "case", "end", "union", "over", "filter", "lateral", "values", "table", "1", "null", "=", "~", "?", "E'\\", "u&'",
    "json_table", "xmlparse", "merge", "into", "for update", "operator(", "collate", "grouping sets", "::regclass", "tablesample", "\ufeff", "\0",
    "row(", "array[", "interval", "at time zone", "json_object(", "is json", "json_arrayagg(", "json_query(", "within group", "ordinality",
)  # fmt: skip
"""Pieces of statements, for texts that are none."""


def texts(good: st.SearchStrategy[Drawn]) -> st.SearchStrategy[str]:
    """Return texts of any kind: letters, pieces of statements, and statements that were spoilt somewhere."""

    def spoilt(one: tuple[Drawn, int, int, str]) -> str:
        text, at, many, piece = one[0].to("crm"), one[1], one[2], one[3]
        place = at % (len(text) + 1)
        return text[:place] + piece + text[place + many :]

    return st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join),
        st.tuples(good, st.integers(0, 5000), st.integers(0, 12), st.sampled_from(WORDS)).map(spoilt),
        st.tuples(st.sampled_from(WORDS), st.integers(1, 3000)).map(lambda one: f"select {one[0] * one[1]}"),
    )
