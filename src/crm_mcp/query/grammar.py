"""Judge a statement on Postgres' own grammar (libpg_query): what is not allowed by name is refused.

What is judged is what runs: tables are replaced by the views of the principal's role, and the statement is written anew
from the tree.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from postgast import PgQueryError, deparse, parse, pg_query_pb2

from ..errors import Refusal
from . import syntax
from .bounds import BOUNDED, inner, kind_of, number_of, words
from .functions import FUNCTIONS, INSTEAD, OPERATORS, TYPE_INSTEAD, TYPES
from .relations import Relation, Relations
from .rewritten import says

LONGEST = 20_000
"""Characters of a statement."""
MOST_NODES = 5000
LONGEST_TYPED = 1000
"""The largest length or precision in a type."""
MOST_PARAMETERS = 50

_PLAIN = frozenset(
    "RawStmt SelectStmt ResTarget ColumnRef A_Star A_Const Integer Float Boolean String BitString A_Expr BoolExpr NullTest "
    "BooleanTest CaseExpr CaseWhen CoalesceExpr MinMaxExpr SubLink FuncCall NamedArgExpr WindowDef SortBy RangeVar "
    "RangeSubselect RangeFunction JoinExpr Alias TypeCast TypeName A_ArrayExpr A_Indirection A_Indices RowExpr GroupingSet "
    "GroupingFunc WithClause CommonTableExpr ParamRef SQLValueFunction CollateClause ColumnDef List".split()
)
"""The kinds of nodes that a tree may have."""
_INSTEAD_OF: Mapping[str, str] = {
    "InsertStmt": "A query only reads. To change records use propose_changes or the tool of that record.",
    "UpdateStmt": "A query only reads. To change records use propose_changes or the tool of that record.",
    "DeleteStmt": "A query only reads. To change records use propose_changes or the tool of that record.",
    "MergeStmt": "A query only reads. To change records use propose_changes or the tool of that record.",
    "ExplainStmt": "Plans are not shown; write the SELECT alone.",
    "VariableSetStmt": "Settings cannot be changed; the time zone is the org's.",
    "VariableShowStmt": "Settings cannot be read; the time zone is the org's. get_schema lists the tables.",
    "TransactionStmt": "One SELECT is one transaction; leave BEGIN and COMMIT out.",
    "XmlExpr": "XML is not available; use jsonb_build_object.",
    "JsonTable": "JSON_TABLE is not available; use jsonb_to_recordset or jsonb_array_elements.",
    "RangeTableSample": "TABLESAMPLE is not available; order by random() with a LIMIT.",
    "LockingClause": "A query takes no locks; leave FOR UPDATE or FOR SHARE out.",
    "IntoClause": "A query makes no tables; leave INTO out.",
}
_VALUES = frozenset(
    pg_query_pb2.SQLValueFunctionOp.Value(f"SVFOP_{name}")
    for name in (
        *("CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIME_N", "CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP_N"),
        *("LOCALTIME", "LOCALTIME_N", "LOCALTIMESTAMP", "LOCALTIMESTAMP_N"),
    )
)
"""Values that are words of the grammar: times, and no users or schemas."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A statement that may run: the SQL as it is run, the tables it reads, how many parameters it takes.

    `ranges` are the names that tables go by in it, `named` those that it gives to what it selects.
    """

    sql: str
    relations: tuple[Relation, ...]
    parameters: int
    ranges: Mapping[str, Relation] = field(default_factory=dict[str, Relation])
    named: frozenset[str] = frozenset()


def judge(text: str, relations: Relations) -> Judged:
    """Return the statement as it may run.

    Raises:
        Refusal: INVALID_SQL, SQL_REFUSED, UNKNOWN_TABLE, FUNCTION_REFUSED; each says what to write instead.
    """
    if len(text) > LONGEST:
        raise Refusal("INVALID_SQL", f"A query may have {LONGEST} characters; this one has {len(text)}.")
    try:
        tree: Any = parse(text)
    except PgQueryError as bad:
        raise syntax.refusal(text, bad) from None
    except Exception:
        raise Refusal(
            "SQL_REFUSED",
            "The query is nested too deeply: at most some 40 operators, UNIONs or brackets in one chain. Use lists, joins or WITH.",
        ) from None
    if len(tree.stmts) != 1:
        raise Refusal("SQL_REFUSED", "Write exactly one SELECT, without anything before or behind it.")
    statement = inner(tree.stmts[0].stmt)
    if kind_of(statement) != "SelectStmt":
        hint = _INSTEAD_OF.get(
            kind_of(statement), "Only a SELECT is run here. To change records use propose_changes."
        )
        raise Refusal("SQL_REFUSED", hint)
    judging = _Judging(relations)
    judging.visit(statement, frozenset())
    read, written = tuple(judging.read.values()), deparse(tree)
    if not says(written, tree):
        hint = "A comparison stands where it is read otherwise than it was written, as within BETWEEN. Write it as CASE WHEN … THEN true ELSE false END."
        raise Refusal("SQL_REFUSED", hint)
    return Judged(written, read, judging.parameters, judging.ranges, frozenset(judging.named))


@dataclass
class _Judging:
    relations: Relations
    read: dict[str, Relation] = field(default_factory=dict[str, Relation])
    ranges: dict[str, Relation] = field(default_factory=dict[str, Relation])
    named: set[str] = field(default_factory=set[str])
    parameters: int = 0
    nodes: int = 0

    def visit(self, node: Any, ctes: frozenset[str]) -> None:
        """Judge a node and all below it; `ctes` are the names that WITH has given where it stands."""
        kind = kind_of(node)
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise Refusal("SQL_REFUSED", "The query is too large. Ask for less at once.")
        if kind not in _PLAIN:
            raise Refusal("SQL_REFUSED", _INSTEAD_OF.get(kind, f"{_said(kind)} is not available in a query."))
        if (rule := _RULES.get(kind)) is not None:
            rule(self, node)
        if kind == "SelectStmt":
            ctes = self._with(node, ctes)
        if kind == "RangeVar":
            self._table(node, ctes)
        for name, value in node.ListFields():
            if name.message_type is None or (kind == "SelectStmt" and name.name == "with_clause"):
                continue
            for child in [value] if not hasattr(value, "__len__") else value:
                below = inner(child)
                if kind_of(below) != "Node":
                    self.visit(below, ctes)

    def _with(self, select: Any, ctes: frozenset[str]) -> frozenset[str]:
        """Judge the WITH of a SELECT; return the names that are visible in the rest of it."""
        if not select.HasField("with_clause"):
            return ctes
        clause = select.with_clause
        tables = [inner(one) for one in clause.ctes]
        if any(kind_of(one) != "CommonTableExpr" for one in tables):
            raise Refusal("SQL_REFUSED", "That WITH is not available in a query.")
        for one in tables:
            if one.ctename.lower().startswith("pg_"):
                raise Refusal("SQL_REFUSED", f"Give {one.ctename!r} another name, without pg_.")
        if clause.recursive:
            ctes |= {one.ctename for one in tables}
        for one in tables:
            self.visit(one, ctes)
            ctes |= {one.ctename}
        return ctes

    def _table(self, table: Any, ctes: frozenset[str]) -> None:
        """Put the view of the role in the place of a registered table.

        Raises:
            Refusal: UNKNOWN_TABLE, naming the nearest: not registered, or not for this role.
        """
        if not table.schemaname and not table.catalogname and table.relname in ctes:
            return
        found = None if table.catalogname else self.relations.find(table.schemaname, table.relname)
        if found is None:
            asked = ".".join(filter(None, (table.catalogname, table.schemaname, table.relname)))
            near = self.relations.near(asked)
            hint = f"There is no table {asked!r} to query; get_schema lists them."
            raise Refusal("UNKNOWN_TABLE", hint, table=asked[:100], suggestions=near)
        if not table.HasField("alias"):
            table.alias.aliasname = table.relname
        table.schemaname, table.relname = found.schema, found.view
        table.inh = True
        self.read[found.label] = found
        self.ranges.setdefault(table.alias.aliasname, found)

    def select(self, node: Any) -> None:
        if node.HasField("into_clause"):
            raise Refusal("SQL_REFUSED", _INSTEAD_OF["IntoClause"])
        if node.locking_clause:
            raise Refusal("SQL_REFUSED", _INSTEAD_OF["LockingClause"])

    def target(self, node: Any) -> None:
        if node.name:
            self.named.add(node.name)

    def column(self, node: Any) -> None:
        """Leave the type of a table out of a column's name: the table stands under its own name alone."""
        if len(node.fields) > 2:
            first, second = (inner(one) for one in node.fields[:2])
            if kind_of(first) == kind_of(second) == "String" and self.relations.find(first.sval, second.sval):
                del node.fields[0]

    def cte(self, node: Any) -> None:
        if node.HasField("search_clause") or node.HasField("cycle_clause"):
            raise Refusal(
                "SQL_REFUSED", "SEARCH and CYCLE are not available; count the depth in a column of its own."
            )

    def call(self, node: Any) -> None:
        names = words(node.funcname)
        name = names[-1]
        if len(names) > 2 or (len(names) == 2 and names[0] != "pg_catalog") or name not in FUNCTIONS:
            raise _function(".".join(names))
        if (bounded := BOUNDED.get(name)) is not None:
            bounded([inner(arg) for arg in node.args])

    def expression(self, node: Any) -> None:
        names = words(node.name)
        if len(names) > 2 or (len(names) == 2 and names[0] != "pg_catalog"):
            raise Refusal("SQL_REFUSED", "Operators are written without a schema.")
        if node.kind in _NAMELESS:
            return
        if names and names[-1] not in OPERATORS:
            raise Refusal("SQL_REFUSED", f"The operator {names[-1]!r} is not available in a query.")

    def sort(self, node: Any) -> None:
        if node.use_op:
            raise Refusal("SQL_REFUSED", "Sort with ASC or DESC, not with USING.")

    def link(self, node: Any) -> None:
        if node.oper_name:
            names = words(node.oper_name)
            if len(names) > 1 or names[0] not in OPERATORS:
                raise Refusal("SQL_REFUSED", "That comparison with a subquery is not available.")

    def type(self, node: Any) -> None:
        names = words(node.names)
        if not names and not node.type_oid:
            return
        if node.setof or node.pct_type or len(names) > 2 or (len(names) == 2 and names[0] != "pg_catalog"):
            raise Refusal("SQL_REFUSED", "That type is not available in a query.")
        if names[-1] not in TYPES:
            instead = TYPE_INSTEAD.get(
                names[-1].lower(), "Write ::text, ::numeric, ::date, ::timestamptz, ::jsonb or the like."
            )
            near = difflib.get_close_matches(names[-1], sorted(TYPES), 2, 0.6)
            hint = f"The type {names[-1][:100]!r} is not available in a query. {instead}"
            raise Refusal("SQL_REFUSED", hint, suggestions=near)
        for modifier in node.typmods:
            if (number := number_of(inner(modifier))) is None or (number > LONGEST_TYPED and names[-1] != "interval"):
                raise Refusal("SQL_REFUSED", f"A type's length is a number up to {LONGEST_TYPED}; text needs none.")

    def parameter(self, node: Any) -> None:
        if not 0 < node.number <= MOST_PARAMETERS:
            raise Refusal("INVALID_SQL", f"Parameters are $1 to ${MOST_PARAMETERS}.")
        self.parameters = max(self.parameters, node.number)

    def value(self, node: Any) -> None:
        if node.op not in _VALUES:
            raise Refusal(
                "SQL_REFUSED", "Every query runs as the same login; whoami says who you are, people who there is."
            )

    def collation(self, node: Any) -> None:
        names = words(node.collname)
        if len(names) != 1 or names[0] not in ("C", "und-x-icu", "pg_c_utf8", "pg_unicode_fast", "unicode"):
            raise Refusal("SQL_REFUSED", 'Of collations "C" and "unicode" are available.')

    def range_function(self, node: Any) -> None:
        if len(node.functions) > 5:
            raise Refusal("SQL_REFUSED", "At most five functions in one ROWS FROM.")


_NAMELESS = frozenset(
    pg_query_pb2.A_Expr_Kind.Value(f"AEXPR_{kind}")
    for kind in ("BETWEEN", "NOT_BETWEEN", "BETWEEN_SYM", "NOT_BETWEEN_SYM")
)
"""Kinds of expressions whose name is a word of the grammar, not an operator."""
Rule = Callable[[_Judging, Any], None]
_RULES: Mapping[str, Rule] = {
    "SelectStmt": _Judging.select,
    "ResTarget": _Judging.target,
    "ColumnRef": _Judging.column,
    "CommonTableExpr": _Judging.cte,
    "FuncCall": _Judging.call,
    "A_Expr": _Judging.expression,
    "SortBy": _Judging.sort,
    "SubLink": _Judging.link,
    "TypeName": _Judging.type,
    "ParamRef": _Judging.parameter,
    "SQLValueFunction": _Judging.value,
    "CollateClause": _Judging.collation,
    "RangeFunction": _Judging.range_function,
}


def _said(kind: str) -> str:
    """Return the name of a node's kind as a person would say it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.removesuffix("Stmt").removeprefix("A_")).upper()


def _function(name: str) -> Refusal:
    bare = name.rsplit(".", 1)[-1].lower()
    hint = INSTEAD.get(bare)
    near = [] if hint else difflib.get_close_matches(bare, sorted(FUNCTIONS), 3, 0.7)
    said = hint or "Functions that a query may use are those of numbers, texts, dates, arrays, JSON and aggregates."
    return Refusal(
        "FUNCTION_REFUSED", f"{name}() is not available in a query. {said}", function=name[:100], suggestions=near
    )
