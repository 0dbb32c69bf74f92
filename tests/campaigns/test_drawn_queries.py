"""SELECTs drawn from the grammar: they see one org, leave nothing, and give what Postgres gives of that org's rows alone.

Beside the home there is a copy of one org's rows in tables of their own: a statement that the judge lets through gives
the same there, as it was written, without judge, views or policies.
"""

import json
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from postgast import deparse
from psycopg import AsyncRawCursor, pq, sql
from psycopg.adapt import Transformer
from query_expressions import KINDS, Kind
from query_grammar import Drawn, drawn, texts
from query_scene import Scene, attacking, checksums, leaks, left_behind, locks, planted

from crm_mcp import queries
from crm_mcp.embedded import Home
from crm_mcp.errors import Refusal
from crm_mcp.query import grammar
from crm_mcp.query.grammar import Judged, judge
from crm_mcp.query.relations import CRM, REGISTERED, Relations, relations_of
from crm_mcp.query.views import PEOPLE

COPY = "lone"
"""The schema that holds one org's rows alone."""
ROWS = 1000
OF_VALUES = "22"
"""The class of errors that values cause: which are met first is the plan's choice."""
TRACES = """select (select count(*) from pg_locks l join pg_stat_activity a using (pid) where a.usename = 'crm_query'),
 (select count(*) from pg_stat_activity where usename = 'crm_query' and state <> 'idle'), (select count(*) from pg_ls_tmpdir()),
 (select count(*) from pg_prepared_xacts), (select count(*) from pg_largeobject_metadata)"""
KEPT = """select md5(string_agg(name || '=' || setting, ',' order by name)), coalesce(current_setting('crm.query_token', true), ''),
 coalesce(current_setting('crm.org_id', true), ''), (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors where name <> ''),
 pg_my_temp_schema(), current_user, session_user from pg_settings where name !~ '[.]' and name <> 'application_name'"""


@pytest.fixture(scope="module")
def home(loaded: Home | None) -> Generator[Home]:
    with planted(loaded) as made:
        yield made


@dataclass
class Lab:
    """An attacker's scene, run from outside its loop so that what is drawn can shrink."""

    portal: BlockingPortal
    scene: Scene
    root: psycopg.Connection
    alone: psycopg.AsyncConnection
    relations: Relations
    kinds: dict[str, dict[str, Kind]]
    before: tuple[object, ...] = ()
    counted: Counter[str] = field(default_factory=Counter[str])

    def ask(self, statement: str, *parameters: object) -> dict[str, Any]:
        return self.portal.call(self.scene.ask, statement, *parameters)

    def traces(self) -> tuple[object, ...]:
        """Return what sessions of crm_query hold while none works, and what each pooled connection keeps."""
        return self.portal.call(self._traces)

    async def _traces(self) -> tuple[object, ...]:
        pool = await self.scene.queries._connections()
        async with AsyncExitStack() as held:
            both = [await held.enter_async_context(pool.connection()) for _ in range(queries.AT_ONCE)]
            kept = [await (await conn.execute(KEPT)).fetchone() for conn in both]
            return self.root.execute(TRACES).fetchone(), *kept

    async def guarded(self, judged: Judged, parameters: tuple[object, ...]) -> tuple[list[str], bool]:
        """Return the rows that free-form SQL gives, and whether there are more."""
        found = await self.scene.queries.run(self.scene.who, judged.sql, parameters, ROWS)
        return [json.dumps(row) for row in found.rows], found.is_cut

    async def directly(self, statement: str, parameters: tuple[object, ...]) -> list[str]:
        """Return the rows of the statement as it was written, of the org's rows alone."""
        arrays = Transformer(self.alone)
        async with self.alone.transaction(force_rollback=True):
            cursor = AsyncRawCursor(self.alone)
            await cursor.execute(statement.encode(), parameters)
            got = cursor.pgresult
            assert got is not None and got.status == pq.ExecStatus.TUPLES_OK
            return [
                json.dumps([queries._value(got.get_value(at, n), got.ftype(n), arrays) for n in range(got.nfields)])
                for at in range(got.ntuples)
            ]


def copy(root: psycopg.Connection, org: int, relations: Relations) -> None:
    """Make tables of one org's rows, with the columns that the views show."""
    root.execute(f"create schema {COPY}")
    for one in relations:
        columns, table = sql.SQL(", ").join(map(sql.Identifier, one.columns)), sql.Identifier(one.name)
        rows = (
            sql.SQL(PEOPLE.replace("(select crm.query_org())", str(org)))  # type: ignore[arg-type]
            if one.name == "people"
            else sql.SQL("select * from crm.{} where org_id = {}").format(table, org)
        )
        root.execute(
            sql.SQL("create table {}.{} as select {} from ({}) t").format(sql.Identifier(COPY), table, columns, rows)
        )
    root.execute("analyze")


async def alone(home: Home, zone: str) -> psycopg.AsyncConnection:
    conn = await psycopg.AsyncConnection.connect(home.conninfo("postgres"), autocommit=True, prepare_threshold=None)
    for name, value in {
        "search_path": COPY, "timezone": zone, "intervalstyle": "iso_8601", "datestyle": "iso, ymd", "extra_float_digits": "1",
        "bytea_output": "hex", "statement_timeout": "20s", "default_transaction_read_only": "on",
    }.items():  # fmt: skip
        await conn.execute("select set_config(%s, %s, false)", (name, value))
    return conn


@pytest.fixture(scope="module")
def lab(home: Home) -> Generator[Lab]:
    with (
        psycopg.connect(home.conninfo("postgres"), autocommit=True) as root,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(attacking(home)) as scene,
    ):
        (rows,) = root.execute(REGISTERED, {"role": "admin", "org": scene.who.org}).fetchone() or ([],)
        relations = relations_of(row for row in rows if row["type"] == CRM)
        copy(root, int(scene.who.org), relations)
        typed = root.execute(
            "select c.relname, jsonb_object_agg(a.attname, format_type(a.atttypid, null)) from pg_class c join pg_attribute a"
            " on a.attrelid = c.oid where c.relnamespace = %s::regnamespace and a.attnum > 0 group by 1",
            (COPY,),
        ).fetchall()
        kinds = {name: {one: KINDS[of] for one, of in columns.items() if of in KINDS} for name, columns in typed}
        other = portal.call(alone, home, scene.who.timezone)
        made = Lab(portal, scene, root, other, relations, kinds)
        made.before = made.traces()
        assert made.before[0] == (0, 0, 0, 0, 0)
        yield made
        portal.call(other.close)


@pytest.fixture
def untouched(lab: Lab) -> Generator[None]:
    """Hold a test to having changed no row of no table, and to having left nothing on any connection."""
    before, held = checksums(lab.root), lab.portal.call(left_behind, lab.scene.queries)
    yield
    assert checksums(lab.root) == before
    assert lab.portal.call(left_behind, lab.scene.queries) == held
    assert locks(lab.root) == [[], (0,)]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "SECONDS", 1)


def many(count: int, is_long: bool, times: int) -> Callable[[Any], Any]:
    """Return how many are drawn: the same ones in the short form, others each time in the long one."""
    return settings(
        max_examples=count * times if is_long else count,
        derandomize=not is_long,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )


def answered(lab: Lab, statement: str, told: dict[str, Any]) -> None:
    """Hold one answer to what every answer must be: a result or a clear no, of one org, leaving nothing."""
    assert leaks([(statement, told)]) == []
    lab.counted[told.get("error", "rows")] += 1
    if "error" in told:
        assert told["error"] not in ("INTERNAL", "DATABASE_UNAVAILABLE"), told
        assert len(told["context"]["hint"]) > 20
    assert lab.traces() == lab.before


def test_wild_selects_through_the_tool_show_one_org_and_leave_nothing(lab, untouched, is_long):
    lab.counted = Counter()

    @many(120, is_long, 10)
    @given(drawn(lab.kinds, 3, wild=str(lab.scene.other)))
    def one(select: Drawn) -> None:
        statement = select.to("crm")
        assume(len(statement) <= 20_000 and len(select.parameters) <= 50)
        answered(lab, statement, lab.ask(statement, *select.parameters))

    one()
    print(f"{lab.counted.total()} wild SELECTs through the tool: {dict(lab.counted.most_common())}")
    assert lab.counted["rows"] > 20 and lab.counted.keys() >= {"FUNCTION_REFUSED", "UNKNOWN_TABLE", "SQL_REFUSED"}


def test_wild_selects_past_the_judge_show_one_org_and_leave_nothing(lab, untouched, is_long):
    ran = Counter[str]()

    @many(120, is_long, 10)
    @given(drawn(lab.kinds, 3, wild=str(lab.scene.other), qualifies=True))
    def one(select: Drawn) -> None:
        statement = select.to("query_admin")
        came = lab.portal.call(lab.scene.past, statement, *select.parameters)
        ran[came if isinstance(came, str) else "rows"] += 1
        assert leaks([(statement, came)]) == []
        assert lab.traces() == lab.before

    one()
    print(f"{ran.total()} wild SELECTs past the judge: {dict(ran.most_common())}")
    assert ran["rows"] > 20


def test_selects_give_the_rows_that_postgres_gives_of_one_org_alone(lab, untouched, is_long):
    """What the judge lets through and what it made of it mean the same; what fails here fails there."""
    seen = Counter[str]()

    @many(200, is_long, 15)
    @given(drawn(lab.kinds, 3))
    def one(select: Drawn) -> None:
        seen[compared(lab, select)] += 1

    one()
    print(f"{seen.total()} SELECTs beside those of one org alone: {dict(seen.most_common())}")
    assert seen["same"] + seen["same as far as it goes"] > 0.8 * seen.total()


def judged_or_not(text: str, relations: Relations) -> Judged | Refusal:
    try:
        return judge(text, relations)
    except Refusal as refused:
        return refused


def compared(lab: Lab, select: Drawn) -> str:
    """Run a statement guarded and directly; return in which way the two agree."""
    judged = judged_or_not(select.to("crm"), lab.relations)
    if isinstance(judged, Refusal):
        known = ("nested too deeply", "too large", "read otherwise")
        assert any(words in judged.hint for words in known), (judged.hint, judged.context)
        return "not run"
    here = there = ""
    rows: list[str] = []
    is_cut = False
    try:
        rows, is_cut = lab.portal.call(lab.guarded, judged, select.parameters)
    except psycopg.Error as problem:
        here = problem.sqlstate or type(problem).__name__
    if here in ("57014", "53400", "53200", "CRM20"):
        return "too large"
    try:
        due = lab.portal.call(lab.directly, select.to(COPY), select.parameters)
    except psycopg.Error as problem:
        there = problem.sqlstate or type(problem).__name__
        due = []
    if there == "57014":
        return "too slow alone"
    if here or there:
        assert here == there or OF_VALUES in (here[:2], there[:2]), (here, there)
        return f"refused: {here or there}"
    if is_cut:
        assert len(due) > len(rows) and not Counter(rows) - Counter(due)
        return "same as far as it goes"
    assert Counter(rows) == Counter(due)
    return "same"


def test_the_judge_answers_any_text_at_all(lab, is_long):
    said = Counter[str]()

    @many(500, is_long, 30)
    @given(texts(drawn(lab.kinds, 2, wild=str(lab.scene.other))))
    def one(text: str) -> None:
        judged = judged_or_not(text, lab.relations)
        said[judged.error if isinstance(judged, Refusal) else "passed"] += 1
        if isinstance(judged, Refusal):
            assert len(judged.hint) > 20 and len(json.dumps(judged.body())) < 2000

    one()
    print(f"{said.total()} texts: {dict(said.most_common())}")
    assert said["passed"] > 5


def test_the_tool_answers_any_text_at_all(lab, untouched, is_long):
    lab.counted = Counter()

    @many(100, is_long, 10)
    @given(
        texts(drawn(lab.kinds, 2, wild=str(lab.scene.other))),
        st.lists(st.one_of(st.text(max_size=9), st.integers(), st.none()), max_size=2),
    )
    def one(text: str, parameters: list[object]) -> None:
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-8", "replace").decode()
        answered(lab, text, lab.ask(text, *parameters))

    one()
    print(f"{lab.counted.total()} texts through the tool: {dict(lab.counted.most_common())}")


WIDE = "create or replace view query_admin.orders with (security_invoker, security_barrier) as select {} from crm.orders t"


def test_a_judge_that_changes_what_a_statement_means_is_found(lab, monkeypatch):
    select = Drawn("select id as a from orders where id > 100", ())
    assert compared(lab, select) == "same"
    monkeypatch.setattr(grammar, "deparse", lambda tree: deparse(tree).replace(" > ", " < "))
    assert compared(lab, select) == "not run", "what is written anew is read once more"
    monkeypatch.setattr(grammar, "says", lambda sql, tree: True)
    with pytest.raises(AssertionError):
        compared(lab, select)


def test_a_planted_fault_is_found_by_what_is_drawn(lab):
    """The oracles see a view and policies that let another org in."""
    columns = ", ".join(f"t.{column}" for column in lab.scene.columns["orders"])
    (policy,) = lab.root.execute("select pg_get_expr(polqual, polrelid) from pg_policy where polrelid = 'crm.orders'::regclass and polname = 'tenant'").fetchone()  # fmt: skip
    try:
        for one in (
            WIDE.format(columns),
            "drop policy query on crm.orders",
            "alter policy tenant on crm.orders using (true)",
        ):
            lab.root.execute(one)
        with pytest.raises(AssertionError):
            compared(lab, Drawn("select count(*) as a from orders", ()))
        marked = "select string_agg(number, ',') as a from (select number from orders order by number desc limit 3) x"
        assert leaks([("", lab.ask(marked))]) != []
    finally:
        lab.root.execute(WIDE.format(columns) + " where t.org_id = (select crm.query_org())")
        lab.root.execute(
            "create policy query on crm.orders as restrictive for select to crm_query using (org_id = (select crm.query_org()))"
        )
        lab.root.execute(f"alter policy tenant on crm.orders using ({policy})")
    assert compared(lab, Drawn("select count(*) as a from orders", ())) == "same"
