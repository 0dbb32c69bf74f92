"""Whether anybody is told of what waits: by which way, in which org, and what came of it lately."""

from datetime import datetime
from typing import NamedTuple

from ...config import Settings
from ...db import Database
from ...delivery.server import Server, SmtpUrlInvalid
from ...telling.due import Team, team_of, unapprovable
from ...telling.webhook import HookInvalid
from ..local import notice_hook
from ..session import conninfo, run
from .finding import Finding, ok, problem, skipped
from .work import has_worker, patience, when

_FAILED = """select channel, last_error, created_at from crm.notices where org_id = %s and state = 'failed'
 and created_at > clock_timestamp() - interval '7 days' order by created_at desc limit 1"""


class _Stands(NamedTuple):
    """How telling stands in one org."""

    slug: str
    team: Team
    unapprovable: int
    failed: tuple[str, str, datetime] | None


def notices(known: Settings) -> Finding:
    """Somebody is told of what waits, and what was sent lately went out."""
    if not has_worker(known):
        return skipped("CRM_WORKER_URL is not set here")
    try:
        mail = Server.of(known.smtp_url.get_secret_value()) if known.smtp_url else None
        hook = notice_hook(known)
    except (SmtpUrlInvalid, HookInvalid) as no:
        return problem(str(no), "Set it anew; the worker does not start with it.")
    orgs = run(_orgs(known))
    if nobody := [org.slug for org in orgs if not any(member.may_approve for member in org.team.members)]:
        return problem(f"nobody may approve in {', '.join(nobody)}", "Give somebody may_approve: `crm-mcp users`.")
    if mail is None and hook is None:
        fix = "Set CRM_SMTP_URL or CRM_NOTICE_WEBHOOK, or `crm-mcp up --notify EMAIL` for this desktop."
        return _attention("no way to tell anybody is configured: approvers learn of drafts only on the page", fix)
    if stuck := sum(org.unapprovable for org in orgs):
        said = f"{stuck} draft(s) wait that nobody may approve; the administrators are told"
        return _attention(said, "Raise a limit, or let somebody else approve: `crm-mcp users`.")
    if failed := [org for org in orgs if org.failed]:
        channel, error, at = max((org.failed for org in failed if org.failed), key=lambda one: one[2])
        return _attention(f"a notice by {channel} failed at {when(at)}: {error}", "See the worker's log.")
    if hook is None and not known.notice_from and (mute := [org.slug for org in orgs if not org.team.sender]):
        fix = "Set CRM_NOTICE_FROM, or the org's sender."
        return _attention(f"no address to write from in {', '.join(mute)}", fix)
    if hook is not None and hook.key is None:
        return _attention(
            "told by an unsigned webhook", "Set CRM_NOTICE_SECRET, unless the receiver cannot check it."
        )
    ways = [name for name, there in (("e-mail", mail), ("webhook", hook)) if there is not None]
    return ok(f"approvers are told by {' and '.join(ways)}")


async def _orgs(known: Settings) -> list[_Stands]:
    db = Database(conninfo(known, "crm_worker") + patience(known), size=1)
    found: list[_Stands] = []
    try:
        for org in await db.orgs():
            async with db.lent() as conn, conn.transaction():
                await conn.execute(f"set local crm.org_id = '{int(org)}'".encode())
                slug = await (await conn.execute("select slug from crm.orgs where id = %s", (org,))).fetchone()
                failed = await (await conn.execute(_FAILED, (org,))).fetchone()
                team = await team_of(conn, org)
                stuck = await unapprovable(conn, org, team)
                found.append(_Stands(slug[0] if slug else "", team, stuck, failed))
    finally:
        await db.close()
    return found


def _attention(said: str, fix: str) -> Finding:
    return Finding("attention", said, fix)
