"""Looking: who sees which tool, what waits, whether the audit is whole."""

import json
import sys
from typing import Any

import click

from ..catalog import SNAPSHOT
from ..config import Settings
from ..db import Database
from ..principal import Agent, Role
from ..sink import last_head
from .session import database, listed, run, signed_in

_DRAFTS = """select coalesce(jsonb_agg(jsonb_build_object('id', 'draft_' || d.id, 'state', d.state, 'action', d.tool,
  'summary', d.summary, 'requester', u.email, 'expiresAt', d.expires_at) order by d.id desc), '[]')
 from crm.drafts d join crm.users u on u.id = d.requester where d.org_id = %s and (%s or d.state = 'pending')"""
_PROBLEMS = """select coalesce(jsonb_agg(jsonb_build_object('problem', problem, 'seq', seq, 'row', id)), '[]')
 from crm.verify_audit(%s, decode(%s, 'hex'))"""
_HEAD = "select coalesce(max(seq), 0), (select count(*) from crm.audit_log where org_id = %s and seq is null) from crm.audit_log where org_id = %s"


def matrix_lines() -> list[str]:
    """Return roles and agents × tools as text: x may write, r may read, - does not exist for them."""
    rows: list[dict[str, Any]] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    columns = [*(("roles", role.value) for role in Role), *(("agents", agent.value) for agent in Agent)]
    lines = ["tool".ljust(24) + " ".join(name[:6].rjust(6) for _, name in columns)]
    for row in rows:
        mark = "r" if row["effect"] == "read" else "x"
        seen: dict[str, list[str]] = {
            "roles": row["roles"] if row.get("persons", True) else [],
            "agents": row["agents"],
        }
        marks = ((mark if name in seen[kind] else "-").rjust(6) for kind, name in columns)
        lines.append(row["wire"]["name"].ljust(24) + " ".join(marks))
    return lines


@click.command()
@click.option("--json", "as_json", is_flag=True)
def matrix(as_json: bool) -> None:
    """Show which role and which agent sees which tool."""
    if as_json:
        rows: list[dict[str, Any]] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
        keys = ("roles", "agents", "persons", "effect", "toolset")
        click.echo(json.dumps({r["wire"]["name"]: {k: r[k] for k in keys if k in r} for r in rows}, indent=1))
    else:
        click.echo("\n".join(matrix_lines()))


@click.command()
@click.option("--user", metavar="EMAIL", help="As whom, else CRM_API_KEY says who; sees the drafts of their org.")
@click.option("--org", metavar="SLUG")
@click.option("--all", "everything", is_flag=True, help="Decided ones too.")
@click.option("--json", "as_json", is_flag=True)
def drafts(user: str | None, org: str | None, everything: bool, as_json: bool) -> None:
    """List what waits for a person."""

    async def read() -> list[dict[str, Any]]:
        async with database(Settings(), "crm_approver") as db:
            who = await signed_in(db, Settings(), user, org)
            row = await db.definer(who.org, _DRAFTS, (who.org, everything))
            return list(row[0]) if row else []

    def line(row: dict[str, Any]) -> str:
        return f"{row['id']:10} {row['state']:10} {row['requester']:24} would {row['summary']}"

    listed(run(read()), as_json, line, "Nothing waits.")


@click.group()
def audit() -> None:
    """The audit log."""


@audit.command()
@click.option(
    "--head", metavar="SEQ:HASH", help="A head kept outside, to find truncation; else CRM_AUDIT_SINK's last."
)
@click.option("--json", "as_json", is_flag=True)
def verify(head: str | None, as_json: bool) -> None:
    """Seal what is not sealed, then find edited, deleted, reordered and truncated rows in every org."""
    known = Settings()

    async def check(db: Database) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for org in await db.orgs():
            kept = kept_head(head) if head else last_head(known.audit_sink, org)
            before = await db.definer(org, _PROBLEMS, kept)
            await db.definer(org, "select crm.seal_audit()")
            after = await db.definer(org, _HEAD, (org, org))
            assert before is not None and after is not None
            found.append({"org": org, "rows": after[0], "problems": before[0]})
        return found

    async def main() -> list[dict[str, Any]]:
        async with database(known, "crm_worker") as db:
            return await check(db)

    found = run(main())
    if as_json:
        click.echo(json.dumps(found, indent=1))
    for row in found if not as_json else []:
        click.echo(f"org {row['org']}: {row['rows']} rows, " + ("whole" if not row["problems"] else "NOT whole"))
        for problem in row["problems"]:
            click.echo(f"  row {problem['row']} (seq {problem['seq']}): {problem['problem']}")
    if any(row["problems"] for row in found):
        sys.exit(1)


def kept_head(head: str) -> tuple[int, str]:
    """Read SEQ:HASH as the person gave it."""
    seq, _, digest = head.partition(":")
    try:
        bytes.fromhex(digest)
        return int(seq), digest
    except ValueError:
        raise click.BadParameter("give it as SEQ:HASH", param_hint="--head") from None
