"""No table, function or login lacks its part; and each check is shown to see what it is there for."""

from collections.abc import Callable

import catalog_checks as checks
import psycopg
import pytest
import query_checks as queries

from crm_mcp.embedded import Home

LEAKY = "create table crm.leaky(org_id bigint, id bigint, primary key (id))"
MADE = "create function crm.made() returns int language sql {} as $$ select 1 $$"
WITHOUT_VIEWS = f"drop schema {', '.join(sorted(queries.SCHEMAS - {'query'}))} cascade; "
"""What shows a column to free-form SQL goes first, where a column is to go."""
OWN = (
    "insert into crm.own_tables(org_id, type, name, schema_name, table_name, kind, columns, description, hint, roles) "
    "select min(id), 'a', 'b', 'a', 'b', 'table', '{c}', 'd', '{}', '{admin}' from crm.orgs; "
)
"""Something is registered, of which there is nothing."""

PLANTED = [
    (
        checks.unlisted_relations,
        "create view crm.everyone as select * from crm.customers",
        "everyone is a relation of kind v",
    ),
    (checks.unlisted_relations, "create sequence crm.numbers", "numbers is a relation of kind S"),
    (checks.unlisted_relations, WITHOUT_VIEWS + "drop table crm.policies", "policies is listed but not there"),
    (checks.foreign_owners, "alter table crm.notes owner to crm_definer", "notes belongs to crm_definer"),
    (checks.foreign_owners, "alter schema crm owner to postgres", "crm belongs to postgres"),
    (checks.unconfined_tables, LEAKY, "leaky has no RLS"),
    (checks.unconfined_tables, LEAKY, "the key of leaky begins with id"),
    (checks.unconfined_tables, LEAKY, "leaky.org_id is not a bigint that is never null"),
    (checks.unconfined_tables, "alter table crm.orders no force row level security", "orders does not force RLS"),
    (checks.unconfined_tables, "alter table crm.orders disable row level security", "orders has no RLS"),
    (checks.unconfined_tables, "alter policy tenant on crm.orders using (true)", "orders lacks the policy"),
    (checks.unconfined_tables, "alter policy tenant on crm.orders with check (true)", "orders lacks the policy"),
    (checks.unconfined_tables, "alter policy tenant on crm.orders to crm_agent", "orders lacks the policy"),
    (
        checks.unconfined_tables,
        "create policy wide on crm.orders to crm_agent using (true)",
        "orders has another policy, wide",
    ),
    (
        checks.unconfined_tables,
        "alter policy searched on crm.customers to crm_agent",
        "customers has another policy, searched",
    ),
    (checks.unexpected_triggers, LEAKY, "leaky has no trigger record"),
    (checks.unexpected_triggers, LEAKY, "leaky has no trigger stamp"),
    (checks.unexpected_triggers, "drop trigger record on crm.orders", "orders has no trigger record"),
    (checks.unexpected_triggers, "drop trigger guard on crm.changes", "changes has no trigger guard"),
    (
        checks.unexpected_triggers,
        "alter table crm.drafts disable trigger decide",
        "the trigger decide of drafts is disabled",
    ),
    (
        checks.unexpected_triggers,
        "alter table crm.orders add column twice numeric generated always as (net_total * 2) stored",
        "the trigger record of orders is not as it should be",
    ),
    (
        checks.unexpected_triggers,
        "create trigger zz before insert on crm.orders for each row execute function crm.touch_membership()",
        "orders has another trigger, zz",
    ),
    (
        checks.virtual_columns,
        "alter table crm.orders add column twice numeric generated always as (net_total * 2) virtual",
        "orders.twice is virtual",
    ),
    (
        checks.unexpected_free_writes,
        "insert into crm.free_writes values (0, 'orders', 'I', null)",
        "I on orders is free",
    ),
    (checks.unexpected_free_writes, "update crm.free_writes set columns = null", "U on notes is free, or for other"),
    (checks.unexpected_free_writes, "delete from crm.free_writes", "I on activities is not free"),
    (checks.unexpected_free_writes, LEAKY, "leaky is neither free nor said to be held"),
    (
        checks.unexpected_free_writes,
        "alter table crm.notes rename body to words",
        "notes frees body, which it does not have",
    ),
    (checks.unregistered_tables, LEAKY, "leaky is not in the registry"),
    (
        checks.unregistered_tables,
        "alter table crm.orders add column extra text",
        "the registry of orders differs in ['extra']",
    ),
    (
        checks.unregistered_tables,
        "comment on table crm.orders is 'Other.'",
        "the registry describes orders otherwise",
    ),
    (checks.unregistered_tables, "update crm.reasoning set roles = '{}'", "orders is shown to no role"),
    (
        checks.unregistered_tables,
        "update crm.reasoning set schema_hint = jsonb_set(schema_hint, '{id}', '\"x_<number>\"')",
        "share ids like x_<number>",
    ),
    (
        checks.unregistered_tables,
        "update crm.reasoning set schema_hint = jsonb_set(schema_hint, '{relationships}', '{}') where table_name = 'orders'",
        "the registry relates orders to {}",
    ),
    (checks.missing_comments, LEAKY, "leaky has no comment"),
    (checks.missing_comments, "alter table crm.orders add column extra text", "orders.extra has no comment"),
    (
        checks.keys_across_orgs,
        "create unique index x on crm.orders(id); alter table crm.notes add foreign key (id) references crm.orders(id)",
        "notes(id) references orders without the org",
    ),
    (
        checks.keys_across_orgs,
        "alter table crm.orders add column deal_id bigint",
        "orders.deal_id has no composite foreign key",
    ),
    (
        checks.keys_across_orgs,
        "alter table crm.notes drop constraint notes_org_id_customer_id_fkey",
        "notes.customer_id has no composite foreign key",
    ),
    (
        checks.keys_across_orgs,
        "alter table crm.notes drop constraint notes_org_id_fkey",
        "notes.org_id does not reference orgs",
    ),
    (checks.unexpected_grants, "grant select on crm.orders to crm_query", "crm_query has SELECT on orders"),
    (checks.unexpected_grants, "grant insert on crm.changes to crm_worker", "crm_worker has INSERT on changes"),
    (
        checks.unexpected_grants,
        "grant update (executed_xact) on crm.drafts to crm_approver",
        "crm_approver has UPDATE(executed_xact) on drafts",
    ),
    (
        checks.unexpected_grants,
        "grant select on crm.orders to crm_agent with grant option",
        "crm_agent has SELECT grantable on orders",
    ),
    (
        checks.unexpected_grants,
        "revoke select on crm.signing_key from crm_definer",
        "crm_definer lacks SELECT on signing_key",
    ),
    (
        checks.unexpected_grants,
        "grant usage on sequence crm.orders_id_seq to crm_agent",
        "crm_agent has USAGE on orders_id_seq",
    ),
    (checks.effective_rights, "grant truncate on crm.orders to crm_agent", "crm_agent has TRUNCATE on orders"),
    (checks.effective_rights, "grant trigger on crm.orders to public", "crm_agent has TRIGGER on orders"),
    (
        checks.effective_rights,
        "grant references on crm.orders to crm_approver",
        "crm_approver has REFERENCES on orders",
    ),
    (checks.effective_rights, "grant insert on crm.changes to crm_approver", "crm_approver has INSERT on changes"),
    (checks.effective_rights, "grant delete on crm.audit_log to crm_definer", "crm_definer has DELETE on audit_log"),
    (checks.effective_rights, "grant crm_owner to crm_query with inherit true", "crm_query has SELECT on orders"),
    (checks.effective_rights, "grant create on schema crm to crm_definer", "crm_definer has CREATE on schema crm"),
    (checks.effective_rights, "grant temp on database {database} to crm_agent", "crm_agent has TEMP on the database"),
    (checks.effective_rights, "grant usage on schema crm to crm_query", "crm_query has USAGE on schema crm"),
    (
        checks.effective_rights,
        "grant usage on sequence crm.orders_id_seq to crm_agent",
        "crm_agent has USAGE on orders_id_seq",
    ),
    (checks.public_rights, "grant select on crm.orders to public", "table orders: SELECT"),
    (checks.public_rights, "grant select (name) on crm.orgs to public", "column name: SELECT"),
    (checks.public_rights, MADE.format(""), "function made: EXECUTE"),
    (checks.public_rights, "grant usage on schema crm to public", "schema crm: USAGE"),
    (checks.public_rights, "grant create on schema public to public", "schema public: CREATE"),
    (checks.public_rights, "grant temp on database {database} to public", "database: TEMPORARY"),
    (
        checks.public_rights,
        "alter default privileges in schema crm grant select on tables to crm_agent",
        "default of r: SELECT",
    ),
    (
        checks.public_rights,
        "grant set on parameter session_replication_role to crm_agent",
        "parameter session_replication_role: SET",
    ),
    (checks.unsafe_functions, MADE.format(""), "made() has search_path []"),
    (checks.unsafe_functions, MADE.format("security definer"), "made() runs with the rights of postgres"),
    (checks.unsafe_functions, MADE.format(""), "made() is not listed"),
    (
        checks.unsafe_functions,
        "alter function crm.hold(jsonb) set search_path = pg_catalog",
        "hold(jsonb) has search_path ['pg_catalog']",
    ),
    (checks.unsafe_functions, "alter function crm.hold(jsonb) reset search_path", "hold(jsonb) has search_path []"),
    (
        checks.unsafe_functions,
        "alter function crm.hold(jsonb) owner to crm_owner",
        "hold(jsonb) runs with the rights of crm_owner",
    ),
    (
        checks.unsafe_functions,
        "grant create on schema crm to crm_signin; alter function crm.hold(jsonb) owner to crm_signin",
        "hold(jsonb) belongs to crm_signin",
    ),
    (
        checks.unsafe_functions,
        "alter function crm.decide() security definer",
        "decide() belongs to crm_owner, definer: True",
    ),
    (
        checks.unsafe_functions,
        "grant execute on function crm.sign(text) to crm_agent",
        "sign(text) may be called by crm_agent",
    ),
    (checks.unsafe_functions, "grant execute on function crm.record() to public", "record() may be called by PUBLIC"),
    (
        checks.unsafe_functions,
        "revoke execute on function crm.bound() from crm_worker",
        "bound() may not be called by crm_worker",
    ),
    (
        checks.unqualified_names,
        "set local check_function_bodies = off; create function crm.made() returns bigint language sql as $$ select count(*) from drafts $$",
        "made names drafts without its schema",
    ),
    (
        checks.unqualified_names,
        "set local check_function_bodies = off; create function crm.made() returns text language sql as $$ select sign('x') $$",
        "made calls sign without its schema",
    ),
    (
        checks.unqualified_names,
        "set local check_function_bodies = off; create function crm.made() returns text language sql as $$ select x::signed_in $$",
        "made casts to signed_in without its schema",
    ),
    (
        checks.queue_open_to_others,
        "grant insert on jobs.procrastinate_jobs to crm_agent",
        "crm_agent has INSERT on procrastinate_jobs of jobs",
    ),
    (checks.queue_open_to_others, "grant usage on schema jobs to public", "PUBLIC has USAGE on jobs of jobs"),
    (
        checks.queue_open_to_others,
        "grant select on jobs.procrastinate_jobs to crm_approver",
        "crm_approver has SELECT on procrastinate_jobs of jobs",
    ),
    (
        checks.queue_open_to_others,
        "alter function jobs.procrastinate_register_worker_v1() security definer",
        "procrastinate_register_worker_v1 of jobs is not as it should be",
    ),
    (
        checks.queue_open_to_others,
        "grant execute on function jobs.procrastinate_register_worker_v1() to crm_agent",
        "procrastinate_register_worker_v1 of jobs may be called by",
    ),
    (
        checks.unsafe_roles,
        "alter role crm_worker bypassrls",
        "crm_worker is (True, False, False, False, False, True)",
    ),
    (checks.unsafe_roles, "alter role crm_agent createrole", "crm_agent is (True, False, True"),
    (checks.unsafe_roles, "alter role crm_definer login", "crm_definer is (True"),
    (checks.unsafe_roles, "create role crm_guest", "crm_guest is"),
    (checks.unsafe_roles, "grant crm_approver to crm_agent", "crm_agent is a member of crm_approver"),
    (checks.unsafe_roles, "grant pg_read_all_data to crm_query", "crm_query is a member of pg_read_all_data"),
    (checks.unsafe_roles, "grant crm_definer to crm_owner with inherit true", "crm_owner is a member of crm_definer"),
    (checks.unconfined_tables, "drop policy query on crm.orders", "orders lacks the policy of queries"),
    (checks.unconfined_tables, "alter policy query on crm.orders to public", "orders lacks the policy of queries"),
    (checks.unconfined_tables, "alter policy query on crm.orders using (true)", "orders lacks the policy of queries"),
    (
        checks.unconfined_tables,
        "drop policy query on crm.orders; create policy query on crm.orders for select to crm_query using (org_id = (select crm.query_org()))",
        "orders lacks the policy of queries",
    ),
    (
        checks.unconfined_tables,
        "create policy query on crm.drafts for select to crm_query using (true)",
        "drafts has another policy, query",
    ),
    (
        checks.unregistered_tables,
        "insert into crm.reasoning(type, table_name, description, schema_hint, roles) values ('crm', 'drafts', 'D.', '{\"columns\": {}}', '{admin}')",
        "drafts is in the registry and not there",
    ),
    (
        checks.unexpected_grants,
        "grant select (email_norm) on crm.customers to crm_query",
        "crm_query has SELECT(email_norm) on customers",
    ),
    (
        checks.unexpected_grants,
        "grant select (args) on crm.drafts to crm_query",
        "crm_query has SELECT(args) on drafts",
    ),
    (
        checks.unexpected_grants,
        "revoke select (status) on crm.orders from crm_query",
        "crm_query lacks SELECT(status) on orders",
    ),
    (
        checks.unsafe_functions,
        "grant execute on function crm.mint_query(int, bigint) to crm_query",
        "mint_query(integer,bigint) may be called by crm_query",
    ),
    (queries.unsafe_query_schemas, "create schema query_guest", "there is another schema, query_guest"),
    (queries.unsafe_query_schemas, "drop schema query_admin cascade", "there is no schema query_admin"),
    (
        queries.unsafe_query_schemas,
        "alter schema query_admin owner to crm_query",
        "the schema query_admin belongs to crm_query",
    ),
    (
        queries.unsafe_query_schemas,
        "grant create on schema query_admin to crm_query",
        "in the schema query_admin others have ['crm_query CREATE', 'crm_query USAGE']",
    ),
    (
        queries.unsafe_query_schemas,
        "grant usage on schema query to public",
        "in the schema query others have ['PUBLIC USAGE'",
    ),
    (
        queries.unsafe_query_schemas,
        "alter function query.row_fits(int) security definer",
        "the function row_fits(integer) of queries is ('crm_owner', True",
    ),
    (
        queries.unsafe_query_schemas,
        "create function query_admin.made() returns int language sql as 'select 1'",
        "the function made() of queries is",
    ),
    (
        queries.unsafe_query_views,
        "alter view query_admin.orders reset (security_invoker)",
        "query_admin.orders has the options ['security_barrier=true']",
    ),
    (
        queries.unsafe_query_views,
        "alter view query_admin.people reset (security_barrier)",
        "query_admin.people has the options []",
    ),
    (
        queries.unsafe_query_views,
        "alter view query_admin.people owner to crm_owner",
        "query_admin.people belongs to crm_owner",
    ),
    (
        queries.unsafe_query_views,
        "create or replace view query_admin.people with (security_barrier) as select u.id, u.name, u.email, m.role, m.active, m.reports_to"
        " from crm.memberships m join crm.users u on u.id = m.user_id",
        "query_admin.people does not name the org",
    ),
    (
        queries.unsafe_query_views,
        "drop view query_finance.tax_rates; create view query_finance.tax_rates with (security_invoker, security_barrier) as select * from crm.tax_rates t",
        "query_finance.tax_rates does not name the org",
    ),
    (
        queries.unsafe_query_views,
        "drop view query_finance.tax_rates; create view query_finance.tax_rates with (security_invoker, security_barrier) as select * from crm.tax_rates t",
        "query_finance.tax_rates shows org_id",
    ),
    (
        queries.unsafe_query_views,
        """update crm.reasoning set schema_hint = schema_hint || '{"masked": {"credit_limit": ["support"]}}' where table_name = 'customers'""",
        "query_support.customers shows credit_limit",
    ),
    (
        queries.unsafe_query_views,
        "update crm.reasoning set roles = '{admin}' where table_name = 'customers'",
        "query_sales has another relation, customers",
    ),
    (queries.unsafe_query_views, "drop view query_sales.leads", "query_sales has no view of leads"),
    (
        queries.unsafe_query_views,
        "create table query_admin.kept as select * from crm.orders",
        "query_admin.kept is a relation of kind r",
    ),
    (
        queries.unsafe_query_views,
        "grant insert on query_admin.orders to crm_query",
        "crm_query has INSERT on query_admin.orders",
    ),
    (
        queries.unsafe_query_views,
        "grant select on query_admin.orders to crm_agent",
        "crm_agent has SELECT on query_admin.orders",
    ),
    (
        queries.unsafe_query_views,
        "grant select (status) on query_admin.orders to public",
        "PUBLIC has SELECT on query_admin.orders.status",
    ),
    (
        queries.unsafe_query_views,
        "drop view query_finance_finance.balances; create view query_finance_finance.balances with (security_invoker, security_barrier) as select * from query_admin.invoices",
        "query_finance_finance.balances reads query_admin.invoices",
    ),
    (
        queries.unsafe_query_views,
        "drop view query_sales_analytics.events; create view query_sales_analytics.events with (security_invoker, security_barrier) as select org_id from crm.orders",
        "query_sales_analytics.events names the schema crm",
    ),
    (queries.unsafe_query_views, "drop view query_support_analytics.issue_times", "has no view of issue_times"),
    (
        queries.unsafe_query_views,
        "create view query_own.t1_admin with (security_invoker, security_barrier) as select 1 as a",
        "query_own has another relation, t1_admin",
    ),
    (
        queries.unsafe_query_views,
        OWN
        + "do $$ begin execute format('create view query_own.t%s_admin with (security_invoker, security_barrier) as select 1 as a',"
        " (select max(id) from crm.own_tables)); end $$",
        "_admin does not name the org",
    ),
    (queries.unsafe_query_views, OWN, "query_own has no view of t"),
    (checks.models_that_differ, LEAKY, "leaky has no model"),
    (checks.models_that_differ, "alter table crm.orders add column extra text", "the model orders lacks extra"),
    (
        checks.models_that_differ,
        WITHOUT_VIEWS + "alter table crm.orders drop column comment",
        "the model orders has comment, the table not",
    ),
    (
        checks.models_that_differ,
        "alter table crm.orders alter net_total drop not null",
        "the model says orders.net_total is numeric(19,4), nullable False",
    ),
    (
        checks.models_that_differ,
        WITHOUT_VIEWS + "alter table crm.orders alter base_total type numeric(19,2)",
        "the model says orders.base_total is numeric(19,4)",
    ),
    (
        checks.models_that_differ,
        "alter table crm.notes drop constraint notes_org_id_customer_id_fkey",
        "the keys of the model notes are",
    ),
    (checks.revisions_that_differ, "update crm.schema_state set revision = '0000'", "the database states"),
    (checks.revisions_that_differ, "update crm.alembic_version set version_num = '0000'", "alembic has applied"),
]


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_schema_has_no(home: Home, check: checks.Check):
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as owner:
        assert checks.problems_of(owner, check) == []


@pytest.mark.parametrize(("check", "planted", "problem"), PLANTED, ids=[f"{c.__name__}: {p}" for c, _, p in PLANTED])
def test_a_planted_violation_is_reported(root: psycopg.Connection, check: checks.Check, planted: str, problem: str):
    with root.transaction(force_rollback=True):
        root.execute(planted.replace("{database}", root.info.dbname))
        assert problem in "\n".join(checks.problems_of(root, check))


def test_every_check_has_been_seen_to_fail():
    assert {check for check, _, _ in PLANTED} == set(checks.CHECKS)


def test_a_table_made_by_the_kit_lacks_nothing_but_its_place_in_the_lists(
    root: psycopg.Connection, attacked: Callable[[str], str]
):
    from crm_mcp.query import views
    from crm_mcp.tablekit import Column, table

    with psycopg.connect(attacked("crm_owner")) as owner:
        made = table(
            "gadgets",
            Column("customer_id", "bigint not null", "The account."),
            Column("words", "text", "Words."),
            Column("found", "text generated always as (lower(words)) stored", "", derived=True),
            prefix="gad",
            description="It's a test.",
            roles=("admin",),
            references={"customer_id": "customers"},
        )
        for statement in made:
            owner.execute(statement)
        views.make(owner)
        said = checks.problems_of(owner)
        owner.rollback()
    assert [p for p in said if "gadgets" not in p] == []
    assert {p for p in said if not p.startswith(("crm_agent has", "crm_worker has", "crm_approver has"))} == {
        "gadgets is neither free nor said to be held, with a reason",
        "gadgets has no model",
    }
