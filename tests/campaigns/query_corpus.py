"""Statements that attack free-form SQL: written ones, variants of them, lines of others, and SELECTs put together."""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

CALLS = (
    "set_config('crm.org_id', '{other}', true)",
    "pg_catalog.set_config('crm.org_id', '{other}', true)",
    "\"set_config\"('crm.org_id', '{other}', true)",
    "U&\"set\\005fconfig\"('crm.org_id', '{other}', true)",
    "set_config('crm.query_token', 'query.{other}.1.1.9999999999.x', true)",
    "set_config('crm.query_token', '', false)",
    "set_config('role', 'crm_owner', true)",
    "set_config('session_authorization', 'crm_owner', true)",
    "set_config('search_path', 'crm', false)",
    "set_config('statement_timeout', '0', false)",
    "set_config('transaction_read_only', 'off', true)",
    "set_config('row_security', 'off', false)",
    "current_setting('crm.query_token')",
    "current_setting('crm.org_id')",
    "pg_sleep(30)",
    "pg_sleep_for('30 seconds')",
    "pg_advisory_lock(1)",
    "pg_advisory_xact_lock(7777)",
    "pg_try_advisory_lock_shared(3)",
    "pg_notify('a', 'b')",
    "pg_read_file('/etc/passwd')",
    "pg_ls_dir('.')",
    "pg_terminate_backend(pg_backend_pid())",
    "pg_cancel_backend(pg_backend_pid())",
    "lo_create(0)",
    "lo_import('/etc/passwd')",
    "lo_from_bytea(0, 'x')",
    "query_to_xml('select * from crm.customers', true, false, '')",
    "query_to_xml('select set_config(''crm.org_id'', ''{other}'', true)', true, false, '')",
    "table_to_xml('crm.customers', true, false, '')",
    "schema_to_xml('crm', true, false, '')",
    "database_to_xml(true, false, '')",
    "cursor_to_xml('found', 1, true, false, '')",
    "ts_stat('select 1')",
    "crm.sign('query.{other}.1.1.9999999999')",
    "crm.mint_query(1, 1)",
    "crm.query_org()",
    "crm.query_bound()",
    "crm.bound()",
    "crm.find_customers('a', 100)",
    "crm.sign_in('ada@demo.example', null, null)",
    "nextval('crm.orders_id_seq')",
    "txid_current()",
    "pg_export_snapshot()",
    "pg_logical_emit_message(false, 'a', 'b')",
    "pg_stat_get_activity(null)",
    "pg_stat_get_backend_activity(1)",
    "pg_reload_conf()",
    "pg_switch_wal()",
    "dblink('dbname=crm', 'select 1')",
    "current_user",
    "pg_get_functiondef('crm.sign(text)'::regprocedure)",
)
STATEMENTS = (
    *(
        "select * from {schema}.customers",
        "table crm.customers",
        "table only crm.customers",
        "select * from customers",
    ),
    "select * from crm.customers where org_id = {other}",
    "select * from customers where org_id <> 0",
    "select * from pg_stat_activity",
    "select query from pg_stat_activity where query <> ''",
    "select * from pg_stats",
    "select most_common_vals::text from pg_stats where schemaname = 'crm'",
    "select * from pg_statistic",
    "select * from pg_authid",
    "select rolpassword from pg_shadow",
    "select * from pg_locks",
    "select * from crm.signing_key",
    "select * from crm.drafts",
    "select * from crm.audit_log",
    "select * from crm.changes",
    "select * from crm.api_keys",
    "select * from crm.users",
    "select * from crm.memberships",
    "select * from jobs.procrastinate_jobs",
    "select * from information_schema.tables",
    "select * from query_admin.customers",
    "select * from query_support.people",
    "select * from pg_largeobject",
    "select * from pg_prepared_statements",
    "select * from pg_settings",
    "select * from pg_file_settings",
    "select * from pg_hba_file_rules",
    "select setting from pg_settings where name like 'crm%'",
    "with d as (delete from crm.customers returning *) select * from d",
    "with d as (update crm.customers set name = 'x' returning *) select * from d",
    "with d as (insert into crm.notes(org_id, customer_id, body) values ({other}, 1, 'x') returning *) select * from d",
    "with customers as (select * from crm.users) select * from customers",
    "with pg_user as (select 1) select * from pg_catalog.pg_user",
    "select 1; delete from crm.customers",
    "set local crm.org_id = '{other}'; select * from customers",
    "commit; set crm.org_id = '{other}'; select * from customers",
    "select 1) q; delete from crm.customers; select * from (select 1",
    "select 1) q; commit; select * from (select 1",
    "select 1) q cross join {schema}.customers --",
    "select 1) q union all select * from ({schema}.customers",
    "select 1) q where true /*",
    "select 1 into temp x",
    "create temp table t as select 1",
    "create table crm.t()",
    "create function pg_temp.f() returns int language sql as 'select 1'",
    "copy (select 1) to program 'id'",
    "copy crm.customers to '/tmp/x'",
    "do $$begin perform set_config('crm.org_id', '{other}', true); end$$",
    "explain analyze delete from crm.customers",
    "explain select * from customers",
    "prepare p as select 1",
    "execute p",
    "declare c cursor with hold for select 1",
    "listen a",
    "notify a",
    "lock table crm.customers",
    "set role crm_owner",
    "set session authorization crm_owner",
    "reset all",
    "discard all",
    "vacuum",
    "call crm.x()",
    "grant select on crm.customers to crm_query",
    "alter role crm_query password 'x'",
    "truncate crm.customers",
    "merge into crm.customers using crm.orders on true when matched then delete",
    "select * from customers for update",
    "select * from customers for key share",
    "select * from customers for no key update skip locked",
    "select 'pg_authid'::regclass",
    "select 'crm.sign'::regproc",
    "select * from customers tablesample system(100)",
    "select xmlparse(document '<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><x>&e;</x>')",
    "select repeat('x', 1000000000)",
    "select lpad('x', 100000000)",
    "select count(*) from generate_series(1, 10000000000)",
    "select 'x'::char(10000000)",
    "select array_fill(1, array[100000, 10000])",
    "with recursive r as (select 1 as n union all select n + 1 from r) select count(*) from r",
    "select count(*) from customers a, customers b, customers c, customers d, customers e",
    "select (select customers from customers limit 1)",
    "select customers.tableoid::regclass, xmin, ctid from customers",
    "select c.* from customers c where (c.*)::text like '%' or c.org_id is null",
    "select * from json_populate_record(null::crm.customers, '{{}}')",
    "select to_jsonb(u) from people u",
    "select 1 from customers where name operator(pg_catalog.=) 'x'",
    "select case when exists (select from {schema}.customers where name like 'zq%') then 1 / 0 end",
    "select name from customers where 1 / (case when name like 'zq%' then 0 else 1 end) = 1",
    "select name::int from customers",
    "select * from customers, lateral (select set_config('crm.org_id', '{other}', true)) s",
    "with x as materialized (select set_config('crm.org_id', '{other}', true)) select c.* from x, {schema}.customers c",
    "select c.* from {schema}.customers c where set_config('crm.org_id', '{other}', true) is not null",
    "select c.* from crm.customers c where set_config('crm.org_id', '{other}', true) is not null",
    "select u.* from (select set_config('crm.query_token', '', true)) s, {schema}.people u",
)
PLACES = (
    "select {}",
    "select name from {schema}.customers where {}::text is not null",
    "select name from {schema}.customers order by {}",
    "select name from {schema}.customers limit length({}::text)",
    "select count(*) filter (where {}::text is null) from {schema}.customers",
    "select sum(1) over (order by {}::text) from {schema}.customers",
    "select case when true then {}::text end",
    "select (select {}::text) || name from {schema}.customers",
    "values ({})",
    "with t as (select {} as x) select * from t, {schema}.customers",
    "select c.* from {schema}.customers c join lateral (select {} as x) s on true",
    "select * from {schema}.customers where name in (select {}::text)",
    "select coalesce(null, {}::text)",
    "select array[{}::text]",
    "select count(*) from {schema}.customers group by {}::text having {}::text is null",
    "select 1 union all select length({}::text)",
    "select {} from generate_series(1, 3)",
    "select percentile_cont(0.5) within group (order by length({}::text)) from {schema}.customers",
    "select * from {}  as f",
    "select * from rows from ({}) as f",
    "select jsonb_build_object('a', {})",
)


def written(other: int, schema: str) -> list[str]:
    """Return every written statement, and every call in every place of one."""
    made = [one.format(other=other, schema=schema) for one in STATEMENTS]
    for call in CALLS:
        called = call.replace("{other}", str(other))
        made += [place.replace("{schema}", schema).replace("{}", called) for place in PLACES]
    return made


def _comments(text: str) -> str:
    return re.sub(r" ", "/**/ /* ' */", text)


def _spaces(text: str) -> str:
    return re.sub(r" ", "\t\r\n\f ", text)


def _escaped(text: str) -> str:
    """Write each called name as an identifier with Unicode escapes."""
    return re.sub(r"\b([a-z_]+)(?=\()", lambda found: f'U&"\\{ord(found[1][0]):04x}{found[1][1:]}"', text)


def _quoted(text: str) -> str:
    return re.sub(r"\b([a-z_]+)(?=\()", r'pg_catalog."\1"', text)


def _odd_case(text: str) -> str:
    return "".join(letter.upper() if at % 2 else letter for at, letter in enumerate(text))


VARIANTS: Sequence[Callable[[str], str]] = (
    _comments,
    _spaces,
    _escaped,
    _quoted,
    _odd_case,
    str.upper,
    lambda text: f"({text})",
    lambda text: f"select * from ({text}) s",
    lambda text: f"with s as ({text}) select * from s",
    lambda text: f"with s as not materialized ({text}) select * from s, customers",
    lambda text: f"select exists ({text})",
    lambda text: f"{text} -- '",
    lambda text: f"{text};",
    lambda text: f";{text}",
    lambda text: f"/* /* */ {text}; */ {text}",
    lambda text: f"select $a${text}$a$ union all {text}",
    lambda text: text.replace("'", "$q$"),
    lambda text: text.replace(" ", "\u00a0"),
    lambda text: f"\ufeff{text}",
)


def variants(statements: Sequence[str], seed: int, many: int) -> list[str]:
    """Return statements in other clothes, one or two of them at a time."""
    chance = random.Random(seed)
    made: list[str] = []
    for _ in range(many):
        text = chance.choice(statements)
        for change in chance.sample(VARIANTS, chance.randint(1, 2)):
            text = change(text)
        made.append(text)
    return made


def lines(folder: Path) -> list[str]:
    """Return the lines of others, without the empty ones."""
    found = (line.strip() for file in sorted(folder.glob("PATT_*")) for line in _text(file).splitlines())
    return [line for line in found if line]


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace").replace("\0", "")


SPLICES = (
    "select name from {schema}.customers where name = '{}'",
    "select name from {schema}.customers where id = {}",
    "select name from {schema}.customers where id = 1 {}",
    'select name as "{}" from {schema}.customers',
    "select {} from {schema}.customers",
    "select name from {schema}.customers order by {}",
)


def spliced(line: str, schema: str, at: int) -> str:
    return SPLICES[at % len(SPLICES)].replace("{schema}", schema).replace("{}", line)


def selects(columns: Mapping[str, Sequence[str]], seed: int, many: int) -> Iterator[str]:
    """Yield SELECTs over registered tables: joins, unions, groups, windows, whatever comes of chance."""
    chance = random.Random(seed)
    tables = sorted(columns)
    for _ in range(many):
        one, two = chance.choice(tables), chance.choice(tables)
        a, b = chance.choice(columns[one]), chance.choice(columns[two])
        text = chance.choice(
            (
                f"select * from {one} limit 200",
                f"select x.*, y.{b} from {one} x join {two} y on x.id = y.id",
                f"select x.{a}::text from {one} x union select y.{b}::text from {two} y",
                f"select {a}, count(*) from {one} group by 1 order by 2 desc",
                f"select jsonb_agg(x) from {one} x",
                f"select string_agg({a}::text, '|' order by id desc) from {one}",
                f"select lag(x.{a}) over (order by x.id), x.* from {one} x",
                f"select * from {one} x where exists (select from {two} y where y.{b}::text = x.{a}::text)",
                f"select * from {one} x full join {two} y on true limit 50",
                f"select array_agg(distinct {a}::text) from {one} where {a} is not null",
                f"select (select max(y.{b}::text) from {two} y where y.id >= x.id) from {one} x",
                f"with t as (select * from {one}) select t.*, (select count(*) from {two}) from t where t.id <> 0 or true",
                f"select x.{a} from {one} x where x.{a}::text ~ '.' or x.id = any (select y.id from {two} y)",
                f"select reverse(translate({a}::text, 'z', 'z')), to_jsonb(x) from {one} x where not (id = 0) is false or true",
            )
        )
        yield text
