"""What every table, function and login of the schema must have. Each check returns its problems, as sentences."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
import query_checks as queries
from sqlalchemy import BigInteger, Boolean, Date, DateTime, Integer, LargeBinary, Numeric, String
from sqlalchemy.dialects.postgresql import JSONB

from crm_mcp import migrate, revision
from crm_mcp.crm.entities import ENTITIES
from crm_mcp.crm.models import Base

Connection = psycopg.Connection[tuple[Any, ...]]
Check = Callable[[Connection], list[str]]

GLOBAL = {
    "alembic_version": "alembic's own; no login may touch it",
    "schema_state": "one row about the database itself",
    "database_setting": "one row about the database itself; crm_signin alone reads it",
    "signing_key": "one row; definers alone read it",
    "orgs": "the list of orgs; reached through memberships",
    "users": "a person may belong to many orgs; reached through memberships",
    "api_keys": "read before an org is known, by crm_signin alone",
    "login_links": "read before an org is known, by crm_signin alone",
    "web_sessions": "read before an org is known, by crm_signin alone",
    "passkey_challenges": "a sign-in is asked for before an org is known; definers alone touch it",
    "passkey_challenge_items": "parts of a challenge; definers alone touch it",
    "invitations": "read before an org is known, by crm_signin alone",
    "free_writes": "org 0 stands for every org; definers alone read it",
    "retention": "how long what is spent is kept, the same for every org",
    "reasoning": "describes the schema, the same for every org",
    "embedding_models": "which model's vectors answer, the same for every org; the owner alone changes it",
}
UNRECORDED = {
    "memberships": "who may do what: written by the owner, recorded in access_log",
    "access_log": "the record of what has no recorder",
    "number_series": "drawn inside recorded inserts by a definer",
    "changes": "the record itself",
    "drafts": "held calls; a trigger of their own keeps them",
    "draft_versions": "what held calls were before they were edited; crm.revise alone adds to it",
    "audit_log": "the audit itself",
    "idempotency_keys": "what calls answered, kept so that none runs twice",
    "passkeys": "what signs in and approves: definers alone touch it, recorded in access_log",
    "signatures": "evidence: definers alone add to it, nobody changes it",
    "export_parts": "bytes of files that go after a day; definers alone touch them",
    "budgets": "what an org may spend on models: written by the owner, recorded in access_log",
    "budget_days": "what counts against budgets; reserve_tokens and settle_tokens alone add to it",
    "token_reservations": "what is held for model calls; reserve_tokens and settle_tokens alone touch it",
    "model_usage": "what models were used for; settle_tokens alone adds to it",
    "call_rates": "how many calls are left; lease_calls alone touches it",
    "working_memory": "ids of what somebody looked at within hours; unlogged, and crm.remember alone adds to it",
    "memory_uses": "how often a read applied or told what is remembered; memory_used alone adds to it",
    "memory_vectors": "derived from what is remembered; keep_vectors alone adds to it",
    "search_chunks": "derived from records by the worker; made anew at will",
    "search_state": "how far the index of texts is",
    "notices": "who was told of which draft; a trigger keeps what came to an end",
    "conversations": "what a person said to agents, kept for 30 days: definers alone touch it",
    "agent_runs": "how an agent's work goes on: definers alone touch it, what it did is recorded by the calls that did it",
    "conversation_items": "what was said in a conversation: definers alone add to it",
    "own_tables": "which tables an org has registered: written by the owner, recorded in access_log",
    "vectors_1": "vectors of passages; derived by the worker, made anew at will",
}
FREE: dict[str, dict[str, tuple[str, ...] | None]] = {
    "activities": {"I": None, "U": ("subject", "body", "archived_at")},
    "tasks": {
        "I": None,
        "U": (
            "title",
            "description",
            "status",
            "priority",
            "due_on",
            "assignee_id",
            "completed_at",
            "outcome",
            "archived_at",
            "custom_fields",
        ),
    },
    "notes": {"I": None, "U": ("body", "archived_at", "custom_fields")},
    "preferences": {
        "I": None,
        "U": (
            *(
                "kind",
                "content",
                "via",
                "source",
                "confidence",
                "redacted",
                "tool",
                "argument",
                "word",
                "meant",
                "forgotten_at",
            ),
            *("archived_at", "custom_fields"),
        ),
    },
    "personal_settings": {
        "I": None,
        "U": (
            *("mail", "desktop", "decided", "timezone", "locale", "page_size"),
            *("archived_at", "custom_fields"),
        ),
    },
    "learnings": {  # who may delete one is said by its grants: nobody; the end of its time does
        "I": None,
        "U": ("customer_id", "subject_type", "subject_id", "forgotten_at", "archived_at"),
        "D": None,
    },
    "pipeline_positions": {  # where a move leads is judged by the policy, the README says so
        "I": None,
        "U": (
            *(
                "stage_id",
                "entered_at",
                "closed_at",
                "amount",
                "currency",
                "base_amount",
                "score",
                "factors",
                "reasons",
            ),
            *(
                "score_confidence",
                "scored_at",
                "manual_score",
                "override_reason",
                "next_follow_up_on",
                "risk_factors",
            ),
            *("owner_id", "archived_at"),
        ),
    },
    "stage_transitions": {"I": None, "U": ("archived_at",)},  # tells of a move; undone with it
    "data_provenance": {"I": None, "U": ("archived_at",)},  # says where a value came from, which is guarded itself
    "exports": {"I": None},  # a file for whoever asked for it; an org may hold it in the policy
    "outbox": {  # how a delivery goes on; which steps there are, and whose, is held by a trigger
        "U": ("state", "attempts", "unclear", "next_attempt_at", "last_error", "sent_at", "accepted", "refused"),
    },
}
HELD = {
    "customers": "a party: an org may set RUN per table, in the policy and here alike",
    "contacts": "a party, like customers",
    "products": "prices bind the org",
    "orders": "binds the org",
    "order_lines": "part of an order",
    "stock_movements": "the stock ledger",
    "invoices": "binds the org",
    "exchange_rates": "decides what an amount is worth, and so who may approve it",
    "issues": "created and edited with a person",
    "external_refs": "written by imports, which a person approves",
    "org_settings": "decides when books are closed and who e-mails come from",
    "tax_rates": "decides what a document costs",
    "quotes": "binds the org",
    "quote_lines": "part of a quote",
    "stock_reservations": "part of an order",
    "invoice_lines": "part of an invoice",
    "credit_notes": "binds the org",
    "payments": "money",
    "payment_allocations": "part of a payment",
    "policies": "decides what runs without a person",
    "warranties": "binds the org",
    "emails": "leaves the house",
    "email_attachments": "part of an e-mail",
    "blobs": "part of an e-mail",
    "organizations": "a party, like customers",
    "individuals": "a party, like customers",
    "customer_parties": "part of a customer",
    "leads": "an org may set RUN per table, like customers",
    "jobs": "part of a lead",
    "opportunities": "part of a lead",
    "partnerships": "part of a lead",
    "deals": "an org may set RUN per table, like customers",
    "projects": "an org may set RUN per table, like customers",
    "documents": "an org may set RUN per table, like customers",
    "custom_field_definitions": "decides what every record may hold",
    "pipelines": "decides how every contact moves",
    "pipeline_stages": "part of a pipeline",
    "articles": "what everybody of the org is told",
    "reports": "what an org adds of its own runs for others of it",
}
UNRECORDED_COLUMNS = {
    "blobs": ["content"],
    "exports": ["rows", "bytes", "sha256", "expires_at"],
    "learnings": ["content", "data", "expires_at"],
}
"""Large, and held to their recorded digest by a constraint; or of a file that is filled once the call is let run; or kept
no longer than it may be, and so nowhere else."""
NO_COMPOSITE_KEY = {
    ("draft_versions", "call_id"): "calls are numbered by the server, and in the audit alone",
    ("idempotency_keys", "user_id"): "a user, and users are global",
    ("customers", "owner_id"): "a user, and users are global",
    ("issues", "assignee_id"): "a user, and users are global",
    ("tasks", "assignee_id"): "a user, and users are global",
    ("preferences", "user_id"): "a user, and users are global",
    ("personal_settings", "user_id"): "a user, and users are global",
    ("working_memory", "user_id"): "a user, and users are global",
    ("learnings", "user_id"): "a user, and users are global",
    ("learnings", "subject_id"): "the table is named by `subject_type`; a trigger looks whether it is there",
    ("memory_uses", "record_id"): "the table is named by `kind`, so no one table can be referenced",
    ("memory_vectors", "record_id"): "the table is named by `kind`, so no one table can be referenced",
    ("notes", "subject_id"): "the table is named by `subject_type`; a trigger looks whether it is there",
    ("tasks", "subject_id"): "the table is named by `subject_type`; a trigger looks whether it is there",
    ("activities", "subject_id"): "the table is named by `subject_type`; a trigger looks whether it is there",
    ("emails", "message_id"): "a Message-ID of RFC 5322",
    ("emails", "subject_id"): "the table is named by `subject_type`; a trigger looks whether it is there",
    ("organizations", "owner_id"): "a user, and users are global",
    ("individuals", "owner_id"): "a user, and users are global",
    ("leads", "owner_id"): "a user, and users are global",
    ("deals", "owner_id"): "a user, and users are global",
    ("projects", "owner_id"): "a user, and users are global",
    ("pipeline_positions", "owner_id"): "a user, and users are global",
    ("pipeline_positions", "subject_id"): "the table is named by `subject_type`; a trigger looks whether it is there",
    ("documents", "subject_id"): "the table is named by `subject_type`; a trigger looks whether it is there",
    ("data_provenance", "record_id"): "the table is named by `entity`, so no one table can be referenced",
    ("search_chunks", "record_id"): "the table is named by `entity`, so no one table can be referenced",
    ("search_chunks", "subject_id"): "the table is named by `subject_type`; derived from the record, which says so",
    ("search_chunks", "assignee_id"): "a user, and users are global",
    ("search_state", "change_id"): "a place in changes, which may lie between two",
    ("search_state", "after_id"): "the table is named by `building`",
    ("external_refs", "external_id"): "an id of another system",
    ("external_refs", "record_id"): "the table is named by `entity`, so no one table can be referenced",
}
STAMPS = {"org_id", "id", "created_by", "updated_by", "via_agent"}
"""What the table kit adds to each table and the registry does not describe."""
EVERY_ROW = {"version", "created_at", "updated_at", "archived_at", "custom_fields"}
"""What the table kit adds and describes once."""

TENANT = "(org_id = (NULLIF(current_setting('crm.org_id'::text, true), ''::text))::bigint)"
OTHER_POLICIES = {
    **{(kind, "searched"): ("r", "crm_definer", "true") for kind in ENTITIES},
    ("changes", "traced"): ("r", "crm_definer", "true"),
    ("search_chunks", "searched"): ("r", "crm_definer", "true"),
    ("organizations", "likened"): ("r", "crm_definer", "true"),
    ("individuals", "likened"): ("r", "crm_definer", "true"),
}
"""find_customers, find_words, parties_like, calls_on and changes_of name the org themselves: under RLS their indexes would
not be used."""

CLIENTS = ("crm_agent", "crm_worker", "crm_approver")
READ_BY_CLIENTS = (
    *("changes", "drafts", "draft_versions"),
    *("memberships", "reasoning", "own_tables", "orgs", "users", "schema_state"),
    *("changes", "drafts", "draft_versions", "memory_uses", "memory_vectors", "working_memory"),
    *("budgets", "budget_days", "token_reservations", "model_usage"),
    *("memberships", "reasoning", "orgs", "users", "schema_state"),
)
DEFINED_BY_OWNER = {
    "touch_membership()": (),
    "decide()": (),
    "tell()": (),
    "seal_on_arrival()": (),
    "stamp()": (),
    "keep_access_log()": (),
    "books_are_open()": (),
    "books_move()": (),
    "name_subject()": (),
    "subject_exists()": (),
    "may_send()": (),
    "step_outbox()": (),
    "step_notice()": (),
    "tell_run()": (),
    "keep_item()": (),
    "xor_pad(bytea,integer)": (),
    "mint(bigint,bigint,text,bigint)": ("crm_signin",),
    "audit_link(bytea,crm.audit_log)": ("crm_definer",),
    "name_key(text)": (*CLIENTS, "crm_definer"),
    "digits(text)": (*CLIENTS, "crm_definer"),
    "search_key(text)": (*CLIENTS, "crm_definer"),
    "word_patterns(text)": (*CLIENTS, "crm_definer"),
    "phone_ending(text)": (*CLIENTS, "crm_definer"),
    "search_fields(jsonb)": (*CLIENTS, "crm_definer"),
    "search_origin()": ("crm_worker", "crm_definer"),
    "search_kinds()": ("crm_worker", "crm_definer"),
    "search_source(text[],bigint[])": ("crm_worker", "crm_definer"),
    "likeness(text,text)": ("crm_definer",),
    "make_vectors(integer)": (),
    "minor_units(text)": (*CLIENTS, "crm_definer"),
    "money(numeric,text)": (*CLIENTS, "crm_definer"),
    "remembered_place(jsonb)": ("crm_definer",),
    "later_place(jsonb,jsonb)": ("crm_definer",),
    "last_acts(jsonb)": ("crm_definer",),
    "policy_standard()": CLIENTS,
    "default_pipelines(bigint)": (),
    "policy_before(bigint,integer)": CLIENTS,
    "policy_freedom(text,jsonb)": CLIENTS,
    "policy_settings(jsonb)": CLIENTS,
    "policy_loosened(jsonb,jsonb)": CLIENTS,
    "policy_objection(bigint,integer,jsonb,bigint,bigint[])": CLIENTS,
    "policy_tables()": ("crm_definer",),
    "policy_parts()": ("crm_definer",),
    "decide_policy()": (),
    "budget_standard()": (*CLIENTS, "crm_definer"),
    "budget_limits(bigint,bigint)": (*CLIENTS, "crm_definer"),
    "budget_standing(bigint,bigint,timestamp with time zone)": (*CLIENTS, "crm_definer"),
    "view_parts(oid)": CLIENTS,
    "view_text(oid)": CLIENTS,
    "own_guard(oid)": CLIENTS,
    "own_table_fault(crm.own_tables)": CLIENTS,
    "count_passkey(bigint,bigint)": ("crm_definer", "crm_signin"),
}
DEFINERS = {
    "sign(text)": ("crm_signin",),
    "bound()": CLIENTS,
    "record()": (),
    "guard()": (),
    "draw_number()": (),
    "draw_message_id()": (),
    "defer_delivery()": (),
    "enqueue(text,jsonb)": ("crm_approver",),
    "post_notices(jsonb)": ("crm_worker",),
    "open_run(jsonb,bytea)": ("crm_agent",),
    "close_run(bigint,bigint,text,text,text)": (),
    "take_run(bigint,bytea,interval,integer)": ("crm_worker",),
    "holds_run(bigint,bigint,bytea)": (),
    "step_run(bigint,bytea,jsonb)": ("crm_agent", "crm_worker"),
    "end_run(bigint,bytea,jsonb)": ("crm_agent", "crm_worker"),
    "run_so_far(bigint,bytea)": ("crm_agent", "crm_worker"),
    "keep_summary(bigint,bytea,text,text,bigint)": ("crm_agent", "crm_worker"),
    "cancel_run(bigint,interval)": ("crm_agent",),
    "resume_run(bigint,interval)": ("crm_agent",),
    "run_shown(crm.agent_runs,boolean)": (),
    "my_runs(bigint,integer)": ("crm_agent",),
    "my_run_items(bigint)": ("crm_agent",),
    "org_runs(integer)": ("crm_agent",),
    "due_runs(interval)": ("crm_worker",),
    "end_stalled_runs(interval,interval)": ("crm_worker",),
    "forget_conversations(integer)": ("crm_worker",),
    "ended_runs(bigint)": ("crm_worker",),
    "is_being_made(bigint,bigint)": (),
    "may_fetch(crm.bound_principal,bigint)": (),
    "put_export_part(bigint,integer,bytea)": ("crm_agent", "crm_approver"),
    "finish_export(bigint,integer,text)": ("crm_agent", "crm_approver"),
    "export_part(bigint,integer)": ("crm_approver",),
    "end_export(bigint)": ("crm_approver",),
    "forget_exports(integer)": ("crm_worker",),
    "hold(jsonb)": CLIENTS,
    "revise(bigint,jsonb)": ("crm_agent", "crm_approver"),
    "calls_on(text,bigint)": ("crm_approver",),
    "changes_of(text,bigint,integer)": CLIENTS,
    "discard(bigint)": CLIENTS,
    "expire_drafts()": ("crm_worker", "crm_approver"),
    "forget_answers(integer)": ("crm_worker",),
    "forget_notices(integer)": ("crm_worker",),
    "seal_audit(integer)": ("crm_worker", "crm_approver"),
    "verify_audit(bigint,bytea)": ("crm_worker", "crm_approver"),
    "find_customers(text,integer)": CLIENTS,
    "parties_like(text,bigint,integer)": CLIENTS,
    "find_words(text,text,text,bigint,boolean,integer)": CLIENTS,
    "call_ended(bigint)": CLIENTS,
    "apply_policy()": (),
    "take_challenge(bytea,text,bytea)": ("crm_approver",),
    "enrol_passkey(bytea,bytea,bytea,bytea,bigint,text[],text)": ("crm_approver",),
    "list_passkeys()": ("crm_approver",),
    "rename_passkey(bigint,text)": ("crm_approver",),
    "revoke_passkey(bigint)": ("crm_approver",),
    "sign_decision(bytea,bigint,integer,text,text,text,bytea,bigint,bytea,bytea,bytea)": ("crm_approver",),
    "passkey_items(bytea)": (),
    "take_item(bytea,bigint,bytea)": ("crm_approver",),
    "sign_item(bytea,bigint,integer,text,text,text,bytea,bigint,bytea,bytea,bytea)": ("crm_approver",),
    "needs_passkey(bigint,numeric,text,boolean)": ("crm_approver",),
    "require_signature()": (),
    "show_signatures(bigint,integer)": ("crm_approver",),
    "lost_signatures()": ("crm_approver",),
    "mint_query(integer,bigint)": ("crm_agent",),
    "in_base(bigint,numeric,text,date)": (),
    "count_spent(bigint,date,bigint,bigint,numeric)": (),
    "reserve_tokens_at(crm.bound_principal,text,bigint,numeric,text,timestamp with time zone)": (),
    "settle_tokens_at(crm.bound_principal,bigint,bigint,bigint,numeric,text,text,timestamp with time zone)": (),
    "reserve_tokens(text,bigint,numeric,text)": ("crm_agent", "crm_worker"),
    "settle_tokens(bigint,bigint,bigint,numeric,text,text)": ("crm_agent", "crm_worker"),
    "forget_usage(integer)": ("crm_worker",),
    "lease_calls_at(bigint,bigint,text,integer,integer,integer,timestamp with time zone)": (),
    "lease_calls(bigint,bigint,text,integer,integer,integer)": ("crm_agent",),
    "remember(bigint,bigint,text,jsonb)": ("crm_agent",),
    "forget_working(integer)": ("crm_worker",),
    "memory_used(bigint,bigint,text,bigint[],boolean)": ("crm_agent",),
    "keep_vectors(text,text,jsonb)": ("crm_worker",),
    "forget_learnings(integer)": ("crm_worker",),
    "learning_expires()": (),
    "search_touched(integer)": ("crm_worker",),
    "search_lag()": CLIENTS,
    "search_exact(text,text[])": (),
    "search(text,text,bigint,text[],text[],integer,integer,text,text)": CLIENTS,
    "nearest(text,text,text,bigint,text[],text[],integer)": ("crm_worker",),
    "query_bound()": (),
    "query_org()": ("crm_query",),
    "query_user()": ("crm_query",),
}
SIGN_IN = {
    "sign_in_as(text,text,text)": (),
    "sign_in(text,text,text)": CLIENTS,
    "sign_in_key(bytea,text)": CLIENTS,
    "sign_in_run(bigint,bigint,bytea,text)": ("crm_agent",),
    "make_login_link(text,text,bytea)": ("crm_approver",),
    "use_login_link(bytea,bytea)": ("crm_approver",),
    "resume(bytea)": ("crm_approver",),
    "end_session(bytea)": ("crm_approver",),
    "forget_sign_ins(integer)": ("crm_worker",),
    "forget_invitations(integer)": ("crm_worker",),
    "ask_passkey(text,bytea,bytea,bytea,bigint,text,text,bytea)": ("crm_approver",),
    "ask_passkey_for_all(bytea,bytea,jsonb)": ("crm_approver",),
    "session_is_fresh(bytea)": ("crm_approver",),
    "passkey_key(bytea)": ("crm_approver",),
    "enter_by_passkey(bytea,bytea,bigint,bytea)": ("crm_approver",),
    "end_passkey_sessions()": (),
    "forget_challenges(integer)": ("crm_worker",),
    "record_access()": (),
    "key_lives(bytea)": CLIENTS,
    "mail_login_links(text,bytea[])": ("crm_approver",),
}
OTHER_TRIGGERS = {
    (
        "org_settings",
        "books",
    ): "CREATE TRIGGER books BEFORE INSERT OR UPDATE OF books_closed_through ON crm.org_settings "
    "FOR EACH ROW EXECUTE FUNCTION crm.books_move()",
    ("changes", "guard"): "CREATE CONSTRAINT TRIGGER guard AFTER INSERT ON crm.changes DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION crm.guard()",
    (
        "drafts",
        "decide",
    ): "CREATE TRIGGER decide BEFORE INSERT OR UPDATE ON crm.drafts FOR EACH ROW EXECUTE FUNCTION crm.decide()",
    ("drafts", "signed"): "CREATE TRIGGER signed BEFORE UPDATE ON crm.drafts FOR EACH ROW "
    "WHEN (((old.state = 'pending'::text) AND (new.state = 'approved'::text))) EXECUTE FUNCTION crm.require_signature()",
    ("passkeys", "revoked"): "CREATE TRIGGER revoked AFTER UPDATE OF revoked_at ON crm.passkeys FOR EACH ROW "
    "WHEN ((new.revoked_at IS NOT NULL)) EXECUTE FUNCTION crm.end_passkey_sessions()",
    (
        "drafts",
        "tell_new",
    ): "CREATE TRIGGER tell_new AFTER INSERT ON crm.drafts FOR EACH ROW EXECUTE FUNCTION crm.tell()",
    ("drafts", "tell"): "CREATE TRIGGER tell AFTER UPDATE ON crm.drafts FOR EACH ROW "
    "WHEN (((old.state IS DISTINCT FROM new.state) OR (old.version IS DISTINCT FROM new.version))) "
    "EXECUTE FUNCTION crm.tell()",
    (
        "audit_log",
        "arrival",
    ): "CREATE TRIGGER arrival BEFORE INSERT ON crm.audit_log FOR EACH ROW EXECUTE FUNCTION crm.seal_on_arrival()",
    ("drafts", "decide_policy"): "CREATE TRIGGER decide_policy BEFORE UPDATE OF state ON crm.drafts FOR EACH ROW "
    "WHEN (((new.state = 'approved'::text) AND (old.state = 'pending'::text))) EXECUTE FUNCTION crm.decide_policy()",
    (
        "policies",
        "apply",
    ): "CREATE CONSTRAINT TRIGGER apply AFTER INSERT ON crm.policies DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION crm.apply_policy()",
    ("memberships", "touch"): "CREATE TRIGGER touch BEFORE UPDATE ON crm.memberships FOR EACH ROW "
    "WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION crm.touch_membership()",
    ("access_log", "kept"): "CREATE TRIGGER kept BEFORE DELETE OR UPDATE OR TRUNCATE ON crm.access_log "
    "FOR EACH STATEMENT EXECUTE FUNCTION crm.keep_access_log()",
    **{
        (table, "record_access"): "CREATE TRIGGER record_access AFTER INSERT OR DELETE OR UPDATE "
        f"ON crm.{table} FOR EACH ROW EXECUTE FUNCTION crm.record_access('{called}', '{org}')"
        for table, called, org in (
            ("orgs", "org", "id"),
            ("memberships", "membership", "org_id"),
            ("api_keys", "key", "org_id"),
            ("passkeys", "passkey", "org_id"),
            ("own_tables", "own table", "org_id"),
            ("budgets", "budget", "org_id"),
        )
    },
    (
        "invitations",
        "record_access",
    ): "CREATE TRIGGER record_access AFTER INSERT OR UPDATE ON crm.invitations FOR EACH ROW "
    "EXECUTE FUNCTION crm.record_access('invitation', 'org_id')",
    ("invitations", "record_end"): "CREATE TRIGGER record_end AFTER DELETE ON crm.invitations FOR EACH ROW "
    "WHEN (((old.used_at IS NULL) AND (old.ended_at IS NULL) AND (old.expires_at > clock_timestamp()))) "
    "EXECUTE FUNCTION crm.record_access('invitation', 'org_id')",
    ("web_sessions", "record_access"): "CREATE TRIGGER record_access AFTER INSERT ON crm.web_sessions FOR EACH ROW "
    "EXECUTE FUNCTION crm.record_access('session', 'org_id')",
    ("web_sessions", "record_end"): "CREATE TRIGGER record_end AFTER DELETE ON crm.web_sessions FOR EACH ROW "
    "WHEN ((old.expires_at > clock_timestamp())) EXECUTE FUNCTION crm.record_access('session', 'org_id')",
    **{
        (table, "draw_number"): f"CREATE TRIGGER draw_number BEFORE INSERT ON crm.{table} FOR EACH ROW "
        f"EXECUTE FUNCTION crm.draw_number('{kind}', '{prefix}')"
        for table, kind, prefix in (
            ("orders", "order", "ORD-"),
            ("quotes", "quote", "QUO-"),
            ("invoices", "invoice", "INV-"),
            ("credit_notes", "credit_note", "CN-"),
        )
    },
    **{
        (table, "subject"): "CREATE TRIGGER subject AFTER INSERT OR UPDATE OF subject_type, subject_id "
        f"ON crm.{table} FOR EACH ROW EXECUTE FUNCTION crm.subject_exists()"
        for table in ("notes", "tasks", "activities", "emails", "documents", "pipeline_positions", "learnings")
    },
    **{
        (table, "name_subject"): f"CREATE TRIGGER name_subject BEFORE INSERT ON crm.{table} FOR EACH ROW "
        "EXECUTE FUNCTION crm.name_subject()"
        for table in ("notes", "tasks", "activities", "documents", "learnings")
    },
    ("learnings", "expires"): "CREATE TRIGGER expires BEFORE INSERT OR UPDATE ON crm.learnings FOR EACH ROW "
    "EXECUTE FUNCTION crm.learning_expires()",
    ("emails", "draw_message_id"): "CREATE TRIGGER draw_message_id BEFORE INSERT ON crm.emails FOR EACH ROW "
    "EXECUTE FUNCTION crm.draw_message_id()",
    ("emails", "may_send"): "CREATE CONSTRAINT TRIGGER may_send AFTER INSERT OR UPDATE OF from_name, from_address, "
    "to_recipients, cc_recipients, bcc_recipients, subject, body, message_id, in_reply_to ON crm.emails "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION crm.may_send()",
    ("outbox", "step"): "CREATE TRIGGER step BEFORE INSERT OR UPDATE ON crm.outbox FOR EACH ROW "
    "EXECUTE FUNCTION crm.step_outbox()",
    (
        "notices",
        "step",
    ): "CREATE TRIGGER step BEFORE UPDATE ON crm.notices FOR EACH ROW EXECUTE FUNCTION crm.step_notice()",
    ("agent_runs", "tell_new"): "CREATE TRIGGER tell_new AFTER INSERT ON crm.agent_runs FOR EACH ROW "
    "EXECUTE FUNCTION crm.tell_run()",
    ("agent_runs", "tell"): "CREATE TRIGGER tell AFTER UPDATE ON crm.agent_runs FOR EACH ROW "
    "WHEN (("
    + " OR ".join(
        f"(old.{name} IS DISTINCT FROM new.{name})"
        for name in ("state", "done", "total", "message", "current_agent", "cancel_requested_at")
    )
    + ")) "
    "EXECUTE FUNCTION crm.tell_run()",
    ("conversation_items", "keep"): "CREATE TRIGGER keep BEFORE UPDATE ON crm.conversation_items FOR EACH ROW "
    "EXECUTE FUNCTION crm.keep_item()",
    ("outbox", "defer_delivery"): "CREATE TRIGGER defer_delivery AFTER INSERT OR UPDATE OF state ON crm.outbox "
    "FOR EACH ROW EXECUTE FUNCTION crm.defer_delivery()",
    **{
        (table, "books"): f"CREATE TRIGGER books BEFORE INSERT OR DELETE OR UPDATE OF {columns} "
        f"ON crm.{table} FOR EACH ROW EXECUTE FUNCTION crm.books_are_open('{day}')"
        for table, day, columns in (
            (
                "invoices",
                "issued_on",
                "issued_on, customer_id, currency, net_total, tax_total, gross_total, base_total, archived_at",
            ),
            (
                "credit_notes",
                "issued_on",
                "issued_on, customer_id, invoice_id, currency, net_total, tax_total, gross_total, base_total, archived_at",
            ),
            (
                "payments",
                "received_on",
                "received_on, customer_id, currency, amount, base_amount, archived_at",
            ),
        )
    },
}
_ALL = {"SELECT", "INSERT", "UPDATE", "DELETE"}
QUEUE_GRANTS: dict[tuple[str, str], set[str]] = {
    ("jobs", "crm_worker"): {"USAGE"},
    ("jobs", "crm_definer"): {"USAGE"},
    ("procrastinate_jobs", "crm_definer"): {"INSERT", "SELECT(id)"},
    ("procrastinate_events", "crm_definer"): {"INSERT"},
    ("procrastinate_jobs_id_seq", "crm_definer"): {"USAGE"},
    ("procrastinate_events_id_seq", "crm_definer"): {"USAGE"},
    **{(f"procrastinate_{name}", "crm_worker"): _ALL for name in ("jobs", "events", "workers", "periodic_defers")},
    **{
        (f"procrastinate_{name}_id_seq", "crm_worker"): {"USAGE"}
        for name in ("jobs", "events", "workers", "periodic_defers")
    },
}
"""(relation or schema, login) → privileges in the schema of the job queue."""
ROLES = {
    # login, superuser, createrole, createdb, replication, bypassrls
    "crm_owner": (True, False, False, False, False, True),
    "crm_agent": (True, False, False, False, False, False),
    "crm_worker": (True, False, False, False, False, False),
    "crm_approver": (True, False, False, False, False, False),
    "crm_query": (True, False, False, False, False, False),
    "crm_definer": (False, False, False, False, False, False),
    "crm_signin": (False, False, False, False, False, True),
}
MEMBERSHIPS = {("crm_definer", "crm_owner", False, False, True), ("crm_signin", "crm_owner", False, False, True)}
"""(role, member, admin, inherit, set): the owner may act as the definers, to give them their functions."""


def _table_grants() -> dict[tuple[str, str], set[str]]:
    """The golden table: (table, login) → privileges, a column's written `UPDATE(column)`."""
    granted: dict[tuple[str, str], set[str]] = {}

    def grant(privileges: str, tables: Iterable[str], logins: Iterable[str]) -> None:
        for table in tables:
            for login in logins:
                granted.setdefault((table, login), set()).update(privileges.split())

    grant("SELECT INSERT UPDATE DELETE", (*FREE, *HELD), CLIENTS)
    granted["outbox", "crm_agent"] = {"SELECT", "INSERT"}
    granted |= {("policies", login): {"SELECT", "INSERT"} for login in CLIENTS}
    asked = ("org_id", "name", "format", "question", "archived_at")
    granted |= {("exports", login): {"SELECT", *(f"INSERT({c})" for c in asked)} for login in CLIENTS}
    given = "org_id user_id kind content data source confidence retention contains_pii redacted"
    later = ["customer_id", "subject_type", "subject_id", "forgotten_at", "archived_at"]
    both = {*(f"INSERT({c})" for c in [*given.split(), *later]), *(f"UPDATE({c})" for c in later)}
    granted |= {("learnings", login): {"SELECT", *both} for login in CLIENTS}
    grant("SELECT", READ_BY_CLIENTS, CLIENTS)
    said = "org_id call_id parent_call phase user_id agent client tool verdict outcome ms draft_id payload"
    grant(" ".join(f"INSERT({c})" for c in said.split()), ["audit_log"], CLIENTS)
    grant("SELECT", ["audit_log"], ["crm_worker", "crm_approver"])
    grant("SELECT INSERT", ["idempotency_keys"], CLIENTS)
    decided = "state approver decided_call decision_reason result rerun failures amount subject"
    grant(" ".join(f"UPDATE({c})" for c in decided.split()), ["drafts"], ["crm_approver"])
    read = ("free_writes", "drafts", "signing_key", "memberships", "orgs", "customers", "contacts", "audit_log")
    grant("SELECT", (*read, "organizations", "individuals", "number_series", "policies"), ["crm_definer"])
    grant("INSERT DELETE", ["free_writes"], ["crm_definer"])
    grant("UPDATE(solo)", ["orgs"], ["crm_definer"])
    grant("INSERT", ["changes", "drafts", "draft_versions", "number_series"], ["crm_definer"])
    grant("SELECT(org_id) SELECT(tbl) SELECT(key) SELECT(call_id)", ["changes"], ["crm_definer"])
    grant("UPDATE", ["number_series"], ["crm_definer"])
    grant("UPDATE(state) UPDATE(decision_reason)", ["drafts"], ["crm_definer"])
    edited = (
        "version args args_key effects_key tool_version changes shown summary verdict amount subject policy_version "
        "clock failures expires_at editors"
    )
    grant(" ".join(f"UPDATE({c})" for c in edited.split()), ["drafts"], ["crm_definer"])
    grant("UPDATE(seq) UPDATE(hash)", ["audit_log"], ["crm_definer"])
    grant("SELECT DELETE", ["idempotency_keys"], ["crm_definer"])
    grant("SELECT INSERT DELETE", ["notices"], ["crm_definer"])
    grant("SELECT", ["preferences"], ["crm_definer"])
    grant("SELECT INSERT UPDATE DELETE", ["conversations", "agent_runs", "conversation_items"], ["crm_definer"])
    grant("SELECT", ["agent_runs"], ["crm_signin"])
    grant("SELECT", ["budgets"], ["crm_definer"])
    grant("SELECT INSERT UPDATE DELETE", ["budget_days", "token_reservations", "model_usage"], ["crm_definer"])
    grant("SELECT INSERT UPDATE", ["call_rates"], ["crm_definer"])
    grant("SELECT INSERT UPDATE DELETE", ["working_memory"], ["crm_definer"])
    grant("SELECT", ["personal_settings"], ["crm_signin"])
    grant("SELECT DELETE", ["learnings"], ["crm_definer"])
    grant("SELECT INSERT UPDATE DELETE", ["memory_uses", "memory_vectors"], ["crm_definer"])
    grant("SELECT", ["retention"], ["crm_definer", "crm_signin"])
    filled = "SELECT UPDATE(rows) UPDATE(bytes) UPDATE(sha256) UPDATE(expires_at)"
    grant(filled, ["exports"], ["crm_definer"])
    grant("SELECT INSERT DELETE", ["export_parts"], ["crm_definer"])
    steps = "state attempts unclear next_attempt_at last_error sent_at"
    grant("SELECT " + " ".join(f"UPDATE({c})" for c in steps.split()), ["notices"], ["crm_worker"])
    grant("SELECT", ["notices"], ["crm_approver"])
    grant("SELECT", ["users", "memberships", "orgs", "schema_state", "database_setting", "api_keys"], ["crm_signin"])
    grant("SELECT INSERT UPDATE DELETE", ["login_links", "web_sessions", "passkey_challenges"], ["crm_signin"])
    grant("SELECT UPDATE", ["passkeys"], ["crm_signin"])
    grant("SELECT INSERT UPDATE", ["passkeys"], ["crm_definer"])
    grant("SELECT UPDATE", ["passkey_challenges"], ["crm_definer"])
    grant("SELECT INSERT", ["passkey_challenge_items"], ["crm_signin"])
    grant("SELECT UPDATE(used_at) UPDATE(used_xact)", ["passkey_challenge_items"], ["crm_definer"])
    grant("SELECT INSERT", ["signatures"], ["crm_definer"])
    grant("SELECT", ["changes", "policies", "users"], ["crm_definer"])
    grant("SELECT", [*ENTITIES, "reasoning", "exchange_rates"], ["crm_definer"])
    found = "activities emails articles jobs opportunities partnerships orders quotes invoices credit_notes"
    grant("SELECT", [*found.split(), "search_chunks", "search_state"], ["crm_definer"])
    grant("SELECT INSERT UPDATE DELETE", ["search_chunks", "vectors_1"], ["crm_worker"])
    grant("SELECT", ["embedding_models"], [*CLIENTS, "crm_definer"])
    grant("SELECT", ["vectors_1"], ["crm_definer"])
    grant("SELECT INSERT UPDATE", ["search_state"], ["crm_worker"])
    grant("INSERT", ["access_log"], ["crm_signin"])
    grant("SELECT DELETE UPDATE(used_at)", ["invitations"], ["crm_signin"])
    grant("UPDATE(active)", ["memberships"], ["crm_signin"])
    grant("UPDATE(last_used_at)", ["api_keys"], ["crm_signin"])
    grant("SELECT(id) SELECT(expires_at) SELECT(revoked_at)", ["api_keys"], ["crm_definer"])
    return granted


TABLE_GRANTS = _table_grants()


def tables(conn: Connection) -> set[str]:
    return {
        name
        for (name,) in conn.execute(
            "select relname from pg_class where relnamespace = 'crm'::regnamespace and relkind in ('r', 'p', 'f', 'm')"
        )
    }


def business(conn: Connection) -> set[str]:
    """The tables of records: all but the listed ones, so that a new table is one until somebody says why not."""
    return tables(conn) - GLOBAL.keys() - UNRECORDED.keys()


def columns(conn: Connection, table: str) -> dict[str, tuple[str, bool, str, str | None]]:
    """Name → (type, nullable, kind of generation, comment)."""
    found = conn.execute(
        "select attname, format_type(atttypid, atttypmod), not attnotnull, attgenerated::text, col_description(attrelid, attnum)"
        " from pg_attribute where attrelid = ('crm.' || %s)::regclass and attnum > 0 and not attisdropped",
        (table,),
    )
    return {row[0]: row[1:] for row in found}


def derived(conn: Connection, table: str) -> list[str]:
    return [
        *(name for name, (_, _, generated, _) in columns(conn, table).items() if generated),
        *UNRECORDED_COLUMNS.get(table, ()),
    ]


def foreign_keys(conn: Connection, table: str) -> dict[tuple[str, ...], tuple[str, tuple[str, ...]]]:
    """Columns here → (table, columns there)."""
    found = conn.execute(
        "select (select array_agg(a.attname::text order by k.n) from unnest(conkey) with ordinality k(c, n)"
        "   join pg_attribute a on a.attrelid = conrelid and a.attnum = k.c), r.relname,"
        " (select array_agg(a.attname::text order by k.n) from unnest(confkey) with ordinality k(c, n)"
        "   join pg_attribute a on a.attrelid = confrelid and a.attnum = k.c)"
        " from pg_constraint join pg_class r on r.oid = confrelid"
        " where contype = 'f' and conrelid = ('crm.' || %s)::regclass",
        (table,),
    )
    return {tuple(here): (there, tuple(names)) for here, there, names in found}


def unlisted_relations(conn: Connection) -> list[str]:
    """Views run with their owner's rights, sequences of their own could be drawn from; neither is in the design."""
    found = conn.execute(
        "select relname, relkind::text from pg_class c where relnamespace = 'crm'::regnamespace and (relkind in ('v', 'm', 'f', 'p')"
        " or relkind = 'S' and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'i'))"
    )
    problems = [f"{name} is a relation of kind {kind}" for name, kind in found]
    there = tables(conn)
    return problems + [f"{name} is listed but not there" for name in {*GLOBAL, *UNRECORDED, *FREE, *HELD} - there]


def foreign_owners(conn: Connection) -> list[str]:
    found = conn.execute(
        "select relname, relowner::regrole::text from pg_class where relnamespace = 'crm'::regnamespace and relkind <> 'i'"
        " and relowner::regrole::text <> 'crm_owner' union all select nspname, nspowner::regrole::text from pg_namespace"
        " where nspname = 'crm' and nspowner::regrole::text <> 'crm_owner'"
    )
    return [f"{name} belongs to {owner}" for name, owner in found]


def unconfined_tables(conn: Connection) -> list[str]:
    """org_id first in the key, RLS enabled and forced, the one policy; and for free-form SQL one that narrows it."""
    problems = []
    registered = queries.registry(conn)
    for table in sorted(tables(conn) - GLOBAL.keys()):
        row = conn.execute(
            "select relrowsecurity, relforcerowsecurity, (select a.attname from pg_index i join pg_attribute a"
            "   on a.attrelid = i.indrelid and a.attnum = i.indkey[0] where i.indrelid = c.oid and i.indisprimary)"
            " from pg_class c where c.oid = ('crm.' || %s)::regclass",
            (table,),
        ).fetchone()
        assert row is not None
        if not row[0]:
            problems.append(f"{table} has no RLS")
        if not row[1]:
            problems.append(f"{table} does not force RLS on its owner")
        if row[2] != "org_id":
            problems.append(f"the key of {table} begins with {row[2]}, not org_id")
        if columns(conn, table).get("org_id", ("", True))[:2] != ("bigint", False):
            problems.append(f"{table}.org_id is not a bigint that is never null")
        policies = {
            name: (cmd, roles, qual, check, permissive)
            for name, cmd, roles, qual, check, permissive in conn.execute(
                "select polname, polcmd::text, array_to_string(polroles::regrole[], ','), pg_get_expr(polqual, polrelid),"
                " pg_get_expr(polwithcheck, polrelid), polpermissive from pg_policy where polrelid = ('crm.' || %s)::regclass",
                (table,),
            )
        }
        if policies.pop("tenant", None) != ("*", "-", TENANT, None, True):
            problems.append(f"{table} lacks the policy of tenants as it should be")
        if table in registered and policies.pop("query", None) != queries.POLICY:
            problems.append(f"{table} lacks the policy of queries as it should be")
        for name, policy in policies.items():
            known = OTHER_POLICIES.get((table, name))
            if known is None or policy != (*known, None, True):
                problems.append(f"{table} has another policy, {name}")
    return problems


def unexpected_triggers(conn: Connection) -> list[str]:
    """Stamp and record on every table of records, with its name and its generated columns, and no other trigger."""
    expected = dict(OTHER_TRIGGERS)
    for table in business(conn):
        array = "'{" + ",".join(derived(conn, table)) + "}'"
        expected[table, "stamp"] = (
            f"CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON crm.{table} FOR EACH ROW EXECUTE FUNCTION crm.stamp({array})"
        )
        expected[table, "record"] = (
            f"CREATE TRIGGER record AFTER INSERT OR DELETE OR UPDATE ON crm.{table} FOR EACH ROW "
            f"EXECUTE FUNCTION crm.record('{table}', {array})"
        )
    found = {
        (table, name): (text, enabled)
        for table, name, text, enabled in conn.execute(
            "select c.relname, t.tgname, pg_get_triggerdef(t.oid), t.tgenabled::text from pg_trigger t join pg_class c on c.oid = t.tgrelid"
            " where c.relnamespace = 'crm'::regnamespace and not t.tgisinternal"
        )
    }
    problems = [f"{table} has no trigger {name}" for table, name in sorted(expected.keys() - found.keys())]
    problems += [f"{table} has another trigger, {name}" for table, name in sorted(found.keys() - expected.keys())]
    for (table, name), (text, enabled) in sorted(found.items()):
        if (table, name) in expected and text != expected[table, name]:
            problems.append(f"the trigger {name} of {table} is not as it should be: {text}")
        if enabled != "O":
            problems.append(f"the trigger {name} of {table} is disabled or always on")
    return problems


def virtual_columns(conn: Connection) -> list[str]:
    """to_jsonb of a row sees no virtual column, so a write of one would go unrecorded."""
    return [
        f"{table}.{name} is virtual"
        for table in sorted(tables(conn))
        for name, (_, _, generated, _) in columns(conn, table).items()
        if generated == "v"
    ]


def unexpected_free_writes(conn: Connection) -> list[str]:
    found = {
        (t, op): c and tuple(c)
        for t, op, c in conn.execute("select tbl, op::text, columns from crm.free_writes where org_id = 0")
    }
    expected = {(table, op): c for table, ops in FREE.items() for op, c in ops.items()}
    problems = [
        f"{op} on {table} is free, or for other columns: {c}"
        for (table, op), c in found.items()
        if (table, op) not in expected or expected[table, op] != c
    ]
    problems += [f"{op} on {table} is not free" for table, op in expected.keys() - found.keys()]
    known = {*FREE, *HELD}
    problems += [
        f"{table} is neither free nor said to be held, with a reason" for table in sorted(business(conn) - known)
    ]
    for table, ops in FREE.items():
        missing = {c for listed in ops.values() for c in listed or ()} - columns(conn, table).keys()
        problems += [f"{table} frees {column}, which it does not have" for column in missing]
    return problems


def unregistered_tables(conn: Connection) -> list[str]:
    """The registry's columns are the live ones that are not derived, its relationships the live foreign keys."""
    registry = {
        name: (description, hint, roles)
        for name, description, hint, roles in conn.execute(
            "select table_name, description, schema_hint, roles from crm.reasoning where type = 'crm'"
        )
    }
    live = business(conn)
    problems = [f"{table} is not in the registry" for table in sorted(live - registry.keys())]
    problems += [
        f"{table} is in the registry and not there"
        for table in sorted(registry.keys() - live - queries.WITHOUT_TABLE)
    ]
    prefixes: dict[str, str] = {}
    for table in sorted(live & registry.keys()):
        description, hint, roles = registry[table]
        said, there = set(hint["columns"]), columns(conn, table).keys() - STAMPS - set(derived(conn, table))
        if said != there:
            problems.append(f"the registry of {table} differs in {sorted(said ^ there)}")
        problems += [
            f"the registry says nothing of {table}.{name}" for name, meaning in hint["columns"].items() if not meaning
        ]
        keys = {here[1]: there[0] for here, there in foreign_keys(conn, table).items() if len(here) == 2}
        if hint["relationships"] != keys:
            problems.append(f"the registry relates {table} to {hint['relationships']}, its keys to {keys}")
        comment = conn.execute("select obj_description(('crm.' || %s)::regclass)", (table,)).fetchone()
        if comment != (description,):
            problems.append(f"the registry describes {table} otherwise than its comment")
        if not roles:
            problems.append(f"{table} is shown to no role")
        if hint["id"] in prefixes:
            problems.append(f"{table} and {prefixes[hint['id']]} share ids like {hint['id']}")
        prefixes[hint["id"]] = table
    return problems


def missing_comments(conn: Connection) -> list[str]:
    problems = []
    for table in sorted(business(conn)):
        if not (conn.execute("select obj_description(('crm.' || %s)::regclass)", (table,)).fetchone() or [None])[0]:
            problems.append(f"{table} has no comment")
        for name, (_, _, generated, comment) in columns(conn, table).items():
            if not comment and not generated and name not in STAMPS | EVERY_ROW:
                problems.append(f"{table}.{name} has no comment")
    return problems


def keys_across_orgs(conn: Connection) -> list[str]:
    """A foreign key to a table of orgs names the org on both sides, and every id column has one."""
    problems = []
    confined = tables(conn) - GLOBAL.keys()
    for table in sorted(tables(conn)):
        keys = foreign_keys(conn, table)
        for here, (there, named) in keys.items():
            if there in confined and (here[0] != "org_id" or named[0] != "org_id"):
                problems.append(f"{table}({', '.join(here)}) references {there} without the org")
        if table not in business(conn):
            continue
        pointing = {here[-1] for here in keys if len(here) > 1 and here[0] == "org_id"}
        problems += [
            f"{table}.{name} has no composite foreign key"
            for name in columns(conn, table)
            if name.endswith("_id")
            and name != "org_id"
            and name not in pointing
            and (table, name) not in NO_COMPOSITE_KEY
        ]
        if keys.get(("org_id",)) != ("orgs", ("id",)):
            problems.append(f"{table}.org_id does not reference orgs")
    return problems


def unexpected_grants(conn: Connection) -> list[str]:
    """The grants on tables and columns equal the golden table, those of crm_query what its views show; the owner's are left out."""
    found: dict[tuple[str, str], set[str]] = {}
    granted = conn.execute(
        "select c.relname, coalesce(r.rolname, 'PUBLIC'), x.privilege_type || case when x.is_grantable then ' grantable' else '' end"
        " from pg_class c, aclexplode(c.relacl) x left join pg_roles r on r.oid = x.grantee"
        " where c.relnamespace = 'crm'::regnamespace and x.grantee <> c.relowner"
        " union all select c.relname, coalesce(r.rolname, 'PUBLIC'), x.privilege_type || '(' || a.attname || ')' || case when x.is_grantable then ' grantable' else '' end"
        " from pg_class c join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) x left join pg_roles r on r.oid = x.grantee"
        " where c.relnamespace = 'crm'::regnamespace and x.grantee <> c.relowner"
    )
    for table, who, privilege in granted:
        found.setdefault((table, who), set()).add(privilege)
    problems = []
    golden = TABLE_GRANTS | queries.granted(conn)
    for table, who in sorted(found.keys() | golden.keys()):
        has, should = found.get((table, who), set()), golden.get((table, who), set())
        problems += [f"{who} has {privilege} on {table}" for privilege in sorted(has - should)]
        problems += [f"{who} lacks {privilege} on {table}" for privilege in sorted(should - has)]
    return problems


def effective_rights(conn: Connection) -> list[str]:
    """What the logins can do in the end, by whatever way: the few rights that nobody may have."""
    asked = conn.execute(
        "select r.rolname, c.relname, p from pg_roles r, pg_class c, unnest(array['TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN']) p"
        " where r.rolname like 'crm\\_%%' and r.rolname <> 'crm_owner' and c.relnamespace = 'crm'::regnamespace and c.relkind = 'r'"
        " and has_table_privilege(r.oid, c.oid, p)"
        " union all select r.rolname, c.relname, p from pg_roles r, pg_class c, unnest(array['INSERT', 'UPDATE', 'DELETE']) p"
        " where r.rolname like 'crm\\_%%' and r.rolname not in ('crm_owner', 'crm_definer') and c.oid = 'crm.changes'::regclass and has_table_privilege(r.oid, c.oid, p)"
        " union all select r.rolname, c.relname, p from pg_roles r, pg_class c, unnest(array['UPDATE', 'DELETE']) p"
        " where r.rolname like 'crm\\_%%' and r.rolname <> 'crm_owner' and c.oid = 'crm.audit_log'::regclass and has_table_privilege(r.oid, c.oid, p)"
        " union all select 'crm_query', c.relname, p from pg_class c, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p"
        " where c.relnamespace = 'crm'::regnamespace and c.relkind = 'r' and has_table_privilege('crm_query', c.oid, p)"
        " union all select r.rolname, c.relname, p from pg_roles r, pg_class c, unnest(array['USAGE', 'UPDATE', 'SELECT']) p"
        " where r.rolname like 'crm\\_%%' and r.rolname <> 'crm_owner' and c.relnamespace = 'crm'::regnamespace and c.relkind = 'S' and has_sequence_privilege(r.oid, c.oid, p)"
        " union all select r.rolname, 'schema ' || n.nspname, 'CREATE' from pg_roles r, pg_namespace n where r.rolname like 'crm\\_%%' and r.rolname <> 'crm_owner'"
        " and has_schema_privilege(r.oid, n.oid, 'CREATE')"
        " union all select r.rolname, 'the database', p from pg_roles r, unnest(array['TEMP', 'CREATE']) p where r.rolname like 'crm\\_%%' and r.rolname <> 'crm_owner'"
        " and has_database_privilege(r.oid, current_database(), p)"
        " union all select 'crm_query', 'schema crm', 'USAGE' where has_schema_privilege('crm_query', 'crm', 'USAGE')",
        (),
    )
    return [f"{who} has {privilege} on {what}" for who, what, privilege in asked]


def public_rights(conn: Connection) -> list[str]:
    """PUBLIC has nothing in crm and may create nowhere. Types are left out: without the schema they cannot be named."""
    asked = conn.execute(
        "select 'table ' || relname, x.privilege_type from pg_class, aclexplode(relacl) x where relnamespace = 'crm'::regnamespace and x.grantee = 0"
        " union all select 'column ' || attname, x.privilege_type from pg_attribute join pg_class c on c.oid = attrelid, aclexplode(attacl) x"
        "  where c.relnamespace = 'crm'::regnamespace and x.grantee = 0"
        " union all select 'function ' || proname, x.privilege_type from pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) x"
        "  where pronamespace = 'crm'::regnamespace and x.grantee = 0"
        " union all select 'schema ' || nspname, x.privilege_type from pg_namespace, aclexplode(nspacl) x"
        "  where x.grantee = 0 and (nspname = 'crm' or x.privilege_type = 'CREATE')"
        " union all select 'database', x.privilege_type from pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) x"
        "  where datname = current_database() and x.grantee = 0 and x.privilege_type <> 'CONNECT'"
        " union all select 'default of ' || defaclobjtype::text, x.privilege_type from pg_default_acl, aclexplode(defaclacl) x"
        " union all select 'parameter ' || parname, x.privilege_type from pg_parameter_acl, aclexplode(paracl) x where x.grantee <> 10"
    )
    return [f"{what}: {privilege}" for what, privilege in asked]


def unsafe_functions(conn: Connection) -> list[str]:
    """Who owns and may call each function, with which search_path; a definer's owner is never a login."""
    expected = {
        **{name: ("crm_owner", False, callers) for name, callers in DEFINED_BY_OWNER.items()},
        **{name: ("crm_definer", True, callers) for name, callers in DEFINERS.items()},
        **{name: ("crm_signin", True, callers) for name, callers in SIGN_IN.items()},
    }
    found = {
        name: (owner, definer, tuple(callers), config or [], bound)
        for name, owner, definer, callers, config, bound in conn.execute(
            "select p.proname || '(' || array_to_string(array(select format_type(t, null) from unnest(p.proargtypes) t), ',') || ')',"
            " p.proowner::regrole::text, p.prosecdef, array(select case x.grantee when 0 then 'PUBLIC' else x.grantee::regrole::text end"
            "  from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x where x.grantee <> p.proowner), p.proconfig,"
            " p.prosqlbody is not null and not p.prosecdef from pg_proc p where p.pronamespace = 'crm'::regnamespace"
        )
    }
    problems = [f"{name} is listed but not there" for name in sorted(expected.keys() - found.keys())]
    for name, (owner, definer, callers, config, bound) in sorted(found.items()):
        path = [c.partition("=")[2] for c in config if c.startswith("search_path=")]
        if (
            path != ["pg_catalog, pg_temp"] and not bound
        ):  # the names in a SQL-standard body were bound when it was made
            problems.append(f"{name} has search_path {path}")
        if definer and owner not in ("crm_definer", "crm_signin"):
            problems.append(f"{name} runs with the rights of {owner}")
        if name not in expected:
            problems.append(f"{name} is not listed")
            continue
        if (owner, definer) != expected[name][:2]:
            problems.append(f"{name} belongs to {owner}, definer: {definer}")
        problems += [
            f"{name} may be called by {who}" for who in sorted(set(callers) - set(expected[name][2]) - {"crm_owner"})
        ]
        problems += [f"{name} may not be called by {who}" for who in sorted(set(expected[name][2]) - set(callers))]
    return problems


def unqualified_names(conn: Connection) -> list[str]:
    """A heuristic: in no function body does a table follow FROM, JOIN, INTO, UPDATE or TABLE, or a function its call, without a schema."""
    relations = tables(conn)
    callable_here = {
        n
        for (n,) in conn.execute(
            "select proname from pg_proc where pronamespace in ('crm'::regnamespace, 'public'::regnamespace)"
        )
    }
    types = {
        n
        for (n,) in conn.execute(
            "select typname from pg_type where typnamespace in ('crm'::regnamespace, 'public'::regnamespace) and typname !~ '^_'"
        )
    }
    shared = {
        n for (n,) in conn.execute("select proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace")
    }
    own = {n for (n,) in conn.execute("select proname from pg_proc where pronamespace = 'crm'::regnamespace")}
    problems = []
    for name, body in conn.execute("select proname, prosrc from pg_proc where pronamespace = 'crm'::regnamespace"):
        text = re.sub(r"'(?:[^']|'')*'", "''", re.sub(r"--[^\n]*", "", body)).lower()
        for table in re.findall(
            r"\b(?:from|join|into|update|table|using)\s+(?:only\s+)?([a-z_]\w*)\b(?!\s*[.(])", text
        ):
            if table in relations:
                problems.append(f"{name} names {table} without its schema")
        for called in re.findall(r"(?<![\w.])([a-z_]\w*)\s*\(", text):
            if called in callable_here and (called in own or called not in shared):
                problems.append(f"{name} calls {called} without its schema")
        for typed in re.findall(r"::\s*([a-z_]\w*)", text):
            if typed in types:
                problems.append(f"{name} casts to {typed} without its schema")
    return problems


def queue_open_to_others(conn: Connection) -> list[str]:
    """The job queue is the worker's; the definers put jobs in and no more; its functions look up nothing of others."""
    found: dict[tuple[str, str], set[str]] = {}
    asked = conn.execute(
        "select n.nspname, coalesce(r.rolname, 'PUBLIC'), x.privilege_type from pg_namespace n, aclexplode(n.nspacl) x"
        " left join pg_roles r on r.oid = x.grantee where n.nspname = 'jobs' and x.grantee <> n.nspowner"
        " union all select c.relname, coalesce(r.rolname, 'PUBLIC'), x.privilege_type from pg_class c, aclexplode(c.relacl) x"
        " left join pg_roles r on r.oid = x.grantee where c.relnamespace = 'jobs'::regnamespace and x.grantee <> c.relowner"
        " union all select c.relname, coalesce(r.rolname, 'PUBLIC'), x.privilege_type || '(' || a.attname || ')' from pg_class c"
        " join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) x left join pg_roles r on r.oid = x.grantee"
        " where c.relnamespace = 'jobs'::regnamespace and x.grantee <> c.relowner"
    )
    for name, who, privilege in asked:
        found.setdefault((name, who), set()).add(privilege)
    problems = [
        f"{who} has {privilege} on {name} of jobs"
        for (name, who), privileges in sorted(found.items())
        for privilege in sorted(privileges - QUEUE_GRANTS.get((name, who), set()))
    ]
    problems += [f"{who} lacks rights on {name} of jobs" for name, who in sorted(QUEUE_GRANTS.keys() - found.keys())]
    for name, owner, definer, config, callers in conn.execute(
        "select p.proname, p.proowner::regrole::text, p.prosecdef, p.proconfig, array(select x.grantee::regrole::text"
        " from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x where x.grantee <> p.proowner)"
        " from pg_proc p where p.pronamespace = 'jobs'::regnamespace"
    ):
        if (owner, definer, config) != ("crm_owner", False, ["search_path=pg_catalog, jobs, pg_temp"]):
            problems.append(f"{name} of jobs is not as it should be")
        if callers != ["crm_worker"]:
            problems.append(f"{name} of jobs may be called by {callers}")
    return problems


def unsafe_roles(conn: Connection) -> list[str]:
    found = {
        row[0]: row[1:]
        for row in conn.execute(
            "select rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls from pg_roles where rolname like 'crm\\_%%'",
            (),
        )
    }
    problems = [
        f"{name} is {found.get(name)}, should be {ROLES.get(name)}"
        for name in sorted(found.keys() | ROLES.keys())
        if found.get(name) != ROLES.get(name)
    ]
    members = set(
        conn.execute(
            "select roleid::regrole::text, member::regrole::text, admin_option, inherit_option, set_option from pg_auth_members"
            " where roleid::regrole::text like 'crm\\_%%' or member::regrole::text like 'crm\\_%%'",
            (),
        ).fetchall()
    )
    return problems + [
        f"{member} is a member of {role} (admin {a}, inherit {i}, set {s}), or is not"
        for role, member, a, i, s in sorted(members ^ MEMBERSHIPS)
    ]


def _spelled(column_type: Any) -> str:
    match column_type:
        case BigInteger():
            return "bigint"
        case Integer():
            return "integer"
        case Boolean():
            return "boolean"
        case DateTime(timezone=True):
            return "timestamp with time zone"
        case Date():
            return "date"
        case JSONB():
            return "jsonb"
        case LargeBinary():
            return "bytea"
        case Numeric(precision=p, scale=s):
            return f"numeric({p},{s})"
        case String(length=None):
            return "text"
    return f"an unknown {column_type!r}"


def models_that_differ(conn: Connection) -> list[str]:
    """The unit of work's tables are the live ones: columns, types, nullability, foreign keys."""
    models = {table.name: table for table in Base.metadata.tables.values()}
    live = business(conn)
    problems = [f"{name} has no model" for name in sorted(live - models.keys())]
    problems += [f"the model {name} has no table" for name in sorted(models.keys() - live)]
    for name in sorted(live & models.keys()):
        there = columns(conn, name)
        unmodelled = (
            there.keys() - {c.name for c in models[name].columns} - STAMPS - EVERY_ROW - set(derived(conn, name))
        )
        problems += [f"the model {name} lacks {column}" for column in sorted(unmodelled)]
        for column in models[name].columns:
            if column.name not in there:
                problems.append(f"the model {name} has {column.name}, the table not")
            elif there[column.name][:2] != (_spelled(column.type), bool(column.nullable)):
                problems.append(
                    f"the model says {name}.{column.name} is {_spelled(column.type)}, nullable {column.nullable}: {there[column.name][:2]}"
                )
        keys = {here: there for here, there in foreign_keys(conn, name).items() if len(here) > 1}
        modelled = {
            tuple(c.name for c in key.columns): (key.referred_table.name, tuple(e.column.name for e in key.elements))
            for key in models[name].foreign_key_constraints
        }
        if keys != modelled:
            problems.append(f"the keys of the model {name} are {modelled}, of the table {keys}")
        primary = conn.execute(
            "select array_agg(a.attname::text order by k.n) from pg_index i, unnest(i.indkey::int2[]) with ordinality k(c, n) join pg_attribute a on a.attnum = k.c"
            " where a.attrelid = i.indrelid and i.indisprimary and i.indrelid = ('crm.' || %s)::regclass",
            (name,),
        ).fetchone()
        if primary is None or primary[0] != [c.name for c in models[name].primary_key.columns]:
            problems.append(f"the primary key of {name} is {primary}")
    return problems


def revisions_that_differ(conn: Connection) -> list[str]:
    stated = conn.execute("select revision from crm.schema_state").fetchall()
    applied = conn.execute("select version_num from crm.alembic_version").fetchall()
    expected = [(revision.CURRENT,)]
    problems = (
        []
        if migrate.newest() == revision.CURRENT
        else [f"the newest migration is {migrate.newest()}, the program's revision {revision.CURRENT}"]
    )
    problems += [] if stated == expected else [f"the database states {stated}"]
    return problems + ([] if applied == expected else [f"alembic has applied {applied}"])


CHECKS: tuple[Check, ...] = (
    unlisted_relations,
    foreign_owners,
    unconfined_tables,
    unexpected_triggers,
    virtual_columns,
    unexpected_free_writes,
    unregistered_tables,
    missing_comments,
    keys_across_orgs,
    unexpected_grants,
    effective_rights,
    public_rights,
    unsafe_functions,
    unqualified_names,
    queue_open_to_others,
    queries.unsafe_query_schemas,
    queries.unsafe_query_views,
    unsafe_roles,
    models_that_differ,
    revisions_that_differ,
)


def problems_of(conn: Connection, *checks: Check) -> list[str]:
    """Run checks with an empty search path, under which Postgres spells every name with its schema."""
    conn.execute("select set_config('search_path', 'pg_catalog', false)")
    return [problem for check in checks or CHECKS for problem in check(conn)]
