"""Passkeys from the terminal: a person's are reset, and what decisions were signed with is verified again."""

import json
import sys
from typing import Any

import click

from .. import ids
from ..config import Settings
from ..db import Database
from .session import database, owner, run

_FIND = """select o.id, u.id from crm.orgs o join crm.memberships m on m.org_id = o.id join crm.users u on u.id = m.user_id
 where o.slug = %s and u.email_norm = lower(%s)"""
_REVOKE = """update crm.passkeys set revoked_at = clock_timestamp() where org_id = %s and user_id = %s and revoked_at is null"""
_RECORD = """insert into crm.audit_log(org_id, call_id, phase, user_id, client, tool, verdict, outcome, payload)
 values (%s, %s, 'ended', %s, 'the owner of the database', 'reset_passkeys', 'run', 'ok', %s)"""
_PAGE = "select crm.show_signatures(%s)"


@click.command("reset-passkeys")
@click.option("--org", required=True, metavar="SLUG")
@click.argument("email")
def reset_passkeys(org: str, email: str) -> None:
    """Revoke all passkeys of a person who lost them, and end their sessions; a new sign-in link lets them add another."""
    with owner(Settings()) as conn:
        found = conn.execute(_FIND, (org, email)).fetchone()
        if found is None:
            raise click.ClickException(f"{email} is not in {org}.")
        revoked = conn.execute(_REVOKE, found).rowcount
        conn.execute("delete from crm.web_sessions where org_id = %s and user_id = %s", found)
        conn.execute("delete from crm.login_links where org_id = %s and user_id = %s", found)
        conn.execute(
            "delete from crm.passkey_challenges where org_id = %s and user_id = %s and used_at is null", found
        )
        said = json.dumps({"email": email, "revoked": revoked})
        conn.execute(_RECORD, (found[0], ids.new_call(), found[1], said))
    click.echo(f"{email} has no passkey and no session in {org} any more ({revoked} revoked).")


@click.command()
@click.option("--verify", is_flag=True, required=True, help="Verify each against its key again.")
@click.option("--json", "as_json", is_flag=True)
def signatures(verify: bool, as_json: bool) -> None:
    """Verify what decisions were signed with: the evidence against the keys, the drafts and the audit, in every org."""

    async def main() -> list[dict[str, Any]]:
        async with database(Settings(), "crm_approver") as db:
            return [await _verified(db, org) for org in await db.orgs()]

    found = run(main())
    if as_json:
        click.echo(json.dumps(found, indent=1))
    for row in found if not as_json else []:
        click.echo(
            f"org {row['org']}: {row['signatures']} signatures, " + ("whole" if not row["problems"] else "NOT whole")
        )
        for problem in row["problems"]:
            click.echo(f"  {problem['draft']}: {problem['problem']}")
    if any(row["problems"] for row in found):
        sys.exit(1)


async def _verified(db: Database, org: int) -> dict[str, Any]:
    """Return how many signatures an org has, and what is wrong with which."""
    from ..approvals import evidence

    count, beyond, problems = 0, 0, list[dict[str, Any]]()
    while rows := ((await db.definer(org, _PAGE, (beyond,))) or ([],))[0]:
        for row in rows:
            if (wrong := evidence.check(row)) is not None:
                problems.append({"draft": ids.show("drafts", row["draft"]), "signature": row["id"], "problem": wrong})
        count, beyond = count + len(rows), rows[-1]["id"]
    lost: list[int] = ((await db.definer(org, "select crm.lost_signatures()")) or ([],))[0]
    for draft in lost:
        said = "the audit says that it was signed, and the signature is gone"
        problems.append({"draft": ids.show("drafts", draft), "signature": None, "problem": said})
    return {"org": org, "signatures": count, "problems": problems}
