"""Session memory of our own agents: conversations, runs in the background, who is told that one is over."""

from collections.abc import Iterator
from pathlib import Path

from crm_mcp.tablekit import definer, isolate, run

revision = "0025"
down_revision = "0024"
SQL = Path(__file__).parent.parent / "sql"
HOLDERS = ("crm_agent", "crm_worker")
"""Who goes on with a run: a person's own terminal, and the worker. Each proves it by the run's lease."""


def rights() -> Iterator[str]:
    for name in ("conversations", "agent_runs", "conversation_items"):
        yield from isolate(name)
        yield f"grant select, insert, update, delete on crm.{name} to crm_definer"
    yield "grant select on crm.agent_runs to crm_signin"
    for signature, callers in (
        ("open_run(jsonb, bytea)", ("crm_agent",)),
        ("close_run(bigint, bigint, text, text, text)", ()),
        ("take_run(bigint, bytea, interval, int)", ("crm_worker",)),
        ("holds_run(bigint, bigint, bytea)", ()),
        ("step_run(bigint, bytea, jsonb)", HOLDERS),
        ("end_run(bigint, bytea, jsonb)", HOLDERS),
        ("run_so_far(bigint, bytea)", HOLDERS),
        ("keep_summary(bigint, bytea, text, text, bigint)", HOLDERS),
        ("cancel_run(bigint, interval)", ("crm_agent",)),
        ("resume_run(bigint, interval)", ("crm_agent",)),
        ("run_shown(crm.agent_runs, boolean)", ()),
        ("my_runs(bigint, int)", ("crm_agent",)),
        ("my_run_items(bigint)", ("crm_agent",)),
        ("org_runs(int)", ("crm_agent",)),
        ("due_runs(interval)", ("crm_worker",)),
        ("end_stalled_runs(interval, interval)", ("crm_worker",)),
        ("forget_conversations(int)", ("crm_worker",)),
    ):
        yield from definer(signature, callers=callers)
    yield from definer("sign_in_run(bigint, bigint, bytea, text)", callers=("crm_agent",), owner="crm_signin")


def drafts() -> Iterator[str]:
    """Find what became of a held call by its idempotency key: a run that is taken up must not hold it twice."""
    yield "create index drafts_decided_calls on crm.drafts(org_id, requester, tool, args_key) where state in ('approved', 'rejected')"


def queue() -> Iterator[str]:
    """Let runs into the queue of jobs."""
    yield "grant create on schema crm to crm_definer"
    yield "set role crm_definer"
    yield """create or replace function crm.enqueue(kind text, args jsonb) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $f$
declare job bigint; about text; queue text; org bigint := nullif(current_setting('crm.org_id', true), '')::bigint;
begin
  select k.about, k.queue into about, queue
    from (values ('deliver_email', 'email', 'mail'), ('send_notice', 'message', 'notices'), ('run_agent', 'run', 'agents')) k(kind, about, queue)
   where k.kind = enqueue.kind;
  if about is null then raise exception 'no such kind of job' using errcode = '42501'; end if;
  if (args ->> 'org')::bigint is distinct from org or (args ->> about)::bigint is null or args - array['org', about] <> '{}' then
    raise exception 'not the arguments of such a job' using errcode = '42501';
  end if;
  insert into jobs.procrastinate_jobs(queue_name, task_name, args) values (queue, kind, args) returning id into job;
  return job;
end $f$"""
    yield "reset role"
    yield "revoke create on schema crm from crm_definer"


def notices() -> Iterator[str]:
    """Tell people of runs that are over."""
    yield "grant create on schema crm to crm_definer"
    yield (SQL / "run_notices.sql").read_text(encoding="utf-8")
    yield from definer("ended_runs(bigint)", callers=("crm_worker",))


def upgrade() -> None:
    run(SQL / "agent_runs.sql", rights(), drafts(), queue(), notices())
    run(iter(["update crm.schema_state set revision = '0025'"]))


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: an older schema would lose what was recorded")
