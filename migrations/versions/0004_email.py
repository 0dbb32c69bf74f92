"""E-mails with attachments, their outbox, and the job queue that delivers them, in a schema of its own."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import Column, definer, run, table

revision = "0004"
down_revision = "0003"
SQL = Path(__file__).parent.parent / "sql"

EVERYONE = ("admin", "sales", "operations", "finance", "support")
SUBJECTS = ("customers", "contacts", "products", "quotes", "orders", "invoices", "payments", "issues", "tasks")
PEOPLE = "jsonb not null default '[]' check (jsonb_typeof({0}) = 'array')"
QUEUE = ("procrastinate_jobs", "procrastinate_events", "procrastinate_workers", "procrastinate_periodic_defers")


def letters() -> Iterator[str]:
    kinds = ", ".join(f"'{name}'" for name in SUBJECTS)
    yield from table(
        "emails",
        Column("from_name", "text check (length(from_name) <= 200)", "Name it is sent under."),
        Column(
            "from_address",
            "text not null check (from_address like '%_@_%' and length(from_address) <= 320)",
            "Address it is sent from.",
        ),
        *(
            Column(
                f"{name}_recipients",
                PEOPLE.format(f"{name}_recipients"),
                f"{said}: name, address, and the contact or customer it belongs to.",
            )
            for name, said in (("to", "To"), ("cc", "Copies to"), ("bcc", "Hidden copies to"))
        ),
        Column(
            "subject",
            r"text not null check (subject <> '' and length(subject) <= 400 and subject !~ '[\r\n]')",
            "Subject line.",
        ),
        Column("body", "text not null check (body <> '' and length(body) <= 20000)", "Plain text, as written."),
        Column("message_id", r"text check (message_id ~ '^<[^\s<>]+>$')", "Message-ID, drawn at approval."),
        Column("in_reply_to", r"text check (in_reply_to ~ '^<[^\s<>]+>$')", "Message-ID of what it answers."),
        Column("customer_id", "bigint", "The account it concerns, if one does."),
        Column("subject_type", f"text check (subject_type in ({kinds}))", "The table of what it is about."),
        Column("subject_id", "bigint check ((subject_id is null) = (subject_type is null))", "Its number there."),
        prefix="email",
        references={"customer_id": "customers"},
        roles=EVERYONE,
        aliases=("Email", "email"),
        description="E-mails that a person approved. What became of one is in outbox.",
    )
    yield "create unique index emails_message_id on crm.emails(org_id, message_id) where message_id is not null"
    yield "create index emails_of on crm.emails(org_id, customer_id, id desc) where customer_id is not null"
    yield "create index emails_about on crm.emails(org_id, subject_type, subject_id) where subject_id is not null"
    yield (
        "create trigger subject after insert or update of subject_type, subject_id on crm.emails "
        "for each row execute function crm.subject_exists()"
    )
    yield from table(
        "blobs",
        Column("name", "text not null check (name <> '' and length(name) <= 200)", "File name."),
        Column("media_type", "text not null check (length(media_type) <= 100)", "Such as application/pdf."),
        Column("size", "int not null check (size = octet_length(content))", "Bytes."),
        Column(
            "sha256",
            "text not null check (sha256 = encode(sha256(content), 'hex'))",
            "Digest of the content, in hexadecimal: it stands for the content in records of changes.",
        ),
        Column("content", "bytea not null", "The bytes.", derived=True),
        prefix="blob",
        roles=EVERYONE,
        description="Files.",
    )
    yield from table(
        "email_attachments",
        Column("email_id", "bigint not null", "The e-mail."),
        Column("blob_id", "bigint not null", "The file."),
        Column("position", "int not null check (position > 0)", "1, 2, 3 …"),
        prefix="att",
        references={"email_id": "emails", "blob_id": "blobs"},
        roles=EVERYONE,
        description="The files attached to e-mails.",
        extra=("unique (org_id, email_id, position)",),
    )
    yield from table(
        "outbox",
        Column("email_id", "bigint not null", "The e-mail."),
        Column(
            "state",
            "text not null default 'queued' check (state in ('queued', 'sending', 'sent', 'failed', 'unsent'))",
            "queued; sending: the server has it or is being given it; sent; failed; unsent: no mail server is configured.",
        ),
        Column("attempts", "int not null default 0 check (attempts >= 0)", "Tries so far."),
        Column("unclear", "int not null default 0 check (unclear >= 0)", "Tries of which nobody knows the outcome."),
        Column("next_attempt_at", "timestamptz", "Not before then; null: now."),
        Column("last_error", "text check (length(last_error) <= 400)", "Why the last try failed."),
        Column("sent_at", "timestamptz", "When the server took it."),
        Column("accepted", "jsonb not null default '[]'", "Addresses the server took it for."),
        Column("refused", "jsonb not null default '{}'", "Addresses it refused for good, with why."),
        prefix="out",
        references={"email_id": "emails"},
        roles=EVERYONE,
        free={
            "U": (
                "state",
                "attempts",
                "unclear",
                "next_attempt_at",
                "last_error",
                "sent_at",
                "accepted",
                "refused",
            )
        },
        description="Where each approved e-mail stands on its way.",
        extra=("unique (org_id, email_id)",),
    )
    yield "create index outbox_open on crm.outbox(org_id, state) where state in ('queued', 'sending')"
    yield "revoke update, delete on crm.outbox from crm_agent"


def queue() -> Iterator[str]:
    """The queue is the worker's alone; `enqueue` puts jobs in, and may do nothing else there."""
    yield "create schema jobs"
    yield "set local search_path = jobs"
    yield (SQL / "jobs.sql").read_text(encoding="utf-8")
    yield "set local search_path = crm, public"
    yield """do $$ declare f regprocedure; begin
      for f in select p.oid::regprocedure from pg_proc p where p.pronamespace = 'jobs'::regnamespace loop
        execute format('alter function %s set search_path = pg_catalog, jobs, pg_temp', f);
        execute format('revoke execute on function %s from public', f);
        execute format('grant execute on function %s to crm_worker', f);
      end loop;
    end $$"""
    yield "grant usage on schema jobs to crm_worker, crm_definer"
    for name in QUEUE:
        yield f"grant select, insert, update, delete on jobs.{name} to crm_worker"
    yield "grant usage on all sequences in schema jobs to crm_worker"
    yield "grant insert, select (id) on jobs.procrastinate_jobs to crm_definer"
    yield "grant insert on jobs.procrastinate_events to crm_definer"
    yield "grant usage on sequence jobs.procrastinate_jobs_id_seq, jobs.procrastinate_events_id_seq to crm_definer"


def upgrade() -> None:
    run(letters(), queue(), SQL / "email.sql")
    run(
        definer("draw_message_id()", callers=()),
        definer("defer_delivery()", callers=()),
        definer("enqueue(text, jsonb)", callers=("crm_approver",)),
    )
    run(iter(["update crm.schema_state set revision = '0004', oldest_client = '0004'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
