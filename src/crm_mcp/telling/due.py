"""Who is to be told of which draft, asked at every round of the worker, so that nothing told is lost with a process."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from secrets import randbits
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from ..authority import Asked, why_not
from ..policy import MONEY
from ..policy_document import SURE
from ..principal import Role
from .channels import Office

GATHER = {"agent": timedelta(seconds=60), "person": timedelta(seconds=15)}
"""How long the drafts of an agent, or of a person's own chat, are gathered for one message."""
REMIND = timedelta(hours=2)
"""The most that is left of a draft when its approvers are reminded; of a short life a quarter."""
_TOUCHES = f"""exists (select from jsonb_array_elements(d.changes::jsonb) c where c ->> 'tbl' = 'emails') as sends,
 exists (select from jsonb_array_elements(d.changes::jsonb) c where c ->> 'op' = 'D') as deletes,
 exists (select from jsonb_array_elements(d.changes::jsonb) c
  join (values {", ".join(f"('{table}', '{column}')" for table, (column, _) in MONEY.items())}) m(tbl, amount) on m.tbl = c ->> 'tbl'
  where c ->> 'op' <> 'D' and c -> 'after' ? m.amount and c -> 'after' ->> m.amount is null) as no_rate"""
FACTS = f"""d.id as draft, d.tool, d.amount, d.confidence, {SURE.format(org="d.org_id")} as sure, d.expires_at, d.requester, d.agent, d.editors, {_TOUCHES},
 (select coalesce(sum(greatest(x.amount, 0)), 0) from crm.drafts x where x.org_id = d.org_id and x.requester = d.requester
   and x.subject = d.subject and x.state = 'approved' and x.decided_at > clock_timestamp() - interval '24 hours') as spent"""
"""What a notice may know of a draft: not what it says, nor of whom."""
_OCCASION = """case when not n.reminded and r.at <= clock_timestamp() then 'reminder' when n.told is null then 'waiting'
  when d.version > n.told and not n.revised then 'revised' end"""
"""Once each; what nobody was told of before it is nearly over is told once, as a reminder."""
_WAITING = f"""select {FACTS}, d.version, {_OCCASION} as occasion,
  clock_timestamp() - case when n.told is null then d.created_at else
   (select max(v.edited_at) from crm.draft_versions v where v.org_id = d.org_id and v.draft_id = d.id) end as since
 from crm.drafts d
 cross join lateral (select d.expires_at - least((d.expires_at - d.created_at) / 4, %(remind)s) as at) r
 cross join lateral (select max(x.draft_version) as told,
   coalesce(bool_or(x.occasion = 'revised'), false) as revised, coalesce(bool_or(x.occasion = 'reminder'), false) as reminded
   from crm.notices x where x.org_id = d.org_id and x.draft_id = d.id) n
 where d.org_id = %(org)s and d.state = 'pending' and d.expires_at > clock_timestamp() and {_OCCASION} is not null
 order by d.id"""
_OPEN = f"select {FACTS} from crm.drafts d where d.org_id = %(org)s and d.state = 'pending' and d.expires_at > clock_timestamp()"
_DECIDED = """select d.id as draft, d.version, d.requester
 from crm.memberships m join crm.drafts d on d.org_id = m.org_id and d.requester = m.user_id
 left join crm.personal_settings s on s.org_id = m.org_id and s.user_id = m.user_id and s.archived_at is null
 where coalesce(s.decided, %(usually)s) and m.org_id = %(org)s and m.active and d.state in ('approved', 'rejected', 'stale', 'failed', 'expired')
 and d.decided_at > clock_timestamp() - interval '1 hour' and d.approver is distinct from d.requester
 and not exists (select from crm.notices n where n.org_id = d.org_id and n.draft_id = d.id and n.occasion = 'decided')
 order by d.id"""
_ENDED = "select r.run, r.person, r.ended_at from crm.ended_runs(null) r"
_MEMBERS = """select m.user_id as "user", m.role, m.may_approve, m.approval_limit, m.may_send_email, u.name, lower(u.email) as email,
  coalesce(s.mail, true) as mail, coalesce(s.desktop, true) as desktop, s.decided, s.timezone
 from crm.memberships m join crm.users u on u.id = m.user_id
 left join crm.personal_settings s on s.org_id = m.org_id and s.user_id = m.user_id and s.archived_at is null
 where m.org_id = %(org)s and m.active order by m.user_id"""
_ORG = """select o.base_currency as currency, o.solo, s.sender_email as sender
 from crm.orgs o left join crm.org_settings s on s.org_id = o.id where o.id = %(org)s"""

Row = Mapping[str, Any]


class Member(NamedTuple):
    """A person of the org, as far as the rule and the channels look."""

    user: int
    role: Role
    may_approve: bool
    approval_limit: Decimal
    may_send_email: bool
    name: str
    email: str
    mail: bool = True
    desktop: bool = True
    decided: bool | None = None
    timezone: str | None = None

    def takes(self, channel: str) -> bool:
        """Say whether they are told of what waits by a channel; a webhook is the org's, and nobody's to switch off."""
        return {"email": self.mail, "desktop": self.desktop}.get(channel, True)

    def hears(self, usually: bool) -> bool:
        """Say whether they are e-mailed what was decided, which others usually are or are not."""
        return usually if self.decided is None else self.decided


class Wait(NamedTuple):
    """A draft to tell of, and whom: those who may approve it, else the administrators."""

    row: Row
    people: Sequence[Member]
    to_admins: bool


@dataclass(frozen=True, slots=True)
class Team:
    """An org's people and what the rule needs to know of the org."""

    members: Sequence[Member]
    currency: str
    solo: bool
    sender: str | None

    def approvers(self, row: Row) -> list[Member]:
        """Return who may approve a draft of `_WAITING`."""
        asked = Asked(
            row["requester"],
            row["agent"],
            row["editors"],
            row["amount"],
            row["no_rate"],
            row["sends"],
            row["spent"],
            self.solo,
        )
        return [member for member in self.members if why_not(member, asked, self.currency) is None]

    @property
    def admins(self) -> list[Member]:
        return [member for member in self.members if member.role is Role.ADMIN]

    def told(self, row: Row) -> Wait:
        """Return who is to be told; of an edit nobody who made it."""
        approvers = self.approvers(row)
        if not approvers:
            return Wait(row, self.admins, True)
        mine = row["editors"] if row["occasion"] == "revised" else ()
        return Wait(row, [member for member in approvers if member.user not in mine], False)


async def post_due(office: Office, org: int) -> int:
    """Post the notices that are due in an org; return how many messages they make. None where no way leads out."""
    if not office.reaches_anybody:
        return 0
    async with office.db.lent() as conn, conn.transaction():
        await conn.execute(f"set local crm.org_id = '{int(org)}'".encode())
        waiting = await ask(conn, _WAITING, {"org": org, "remind": REMIND})
        decided = await ask(conn, _DECIDED, {"org": org, "usually": office.decided})
        ended = await ask(conn, _ENDED, {})
        if not waiting and not decided and not ended:
            return 0
        team = await team_of(conn, org)
        posted = [
            *_of_waiting(office, team, waiting),
            *_of_decided(office, team, decided),
            *_of_ended(office, team, ended),
        ]
        if not posted:
            return 0
        made = await (await conn.execute("select crm.post_notices(%s::jsonb)", (json.dumps(posted),))).fetchone()
    return made[0] if made else 0


async def team_of(conn: psycopg.AsyncConnection[Any], org: int) -> Team:
    members: list[Member] = []
    for row in await ask(conn, _MEMBERS, {"org": org}):
        row["role"] = Role(row["role"])
        members.append(Member(**row))
    (about,) = await ask(conn, _ORG, {"org": org})
    return Team(members, about["currency"], about["solo"], about["sender"])


async def unapprovable(conn: psycopg.AsyncConnection[Any], org: int, team: Team) -> int:
    """Return how many drafts wait that nobody may approve."""
    return sum(not team.approvers(row) for row in await ask(conn, _OPEN, {"org": org}))


def _of_waiting(office: Office, team: Team, rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    """Yield the notices of drafts that wait: a burst of one requester is gathered, and is one message a person."""
    bursts: dict[tuple[int, str | None, str], list[Wait]] = {}
    for row in rows:
        bursts.setdefault((row["requester"], row["agent"], row["occasion"]), []).append(team.told(row))
    for (_, agent, occasion), burst in bursts.items():
        patience = GATHER["agent" if agent else "person"]
        if occasion != "reminder" and max(wait.row["since"] for wait in burst) < patience:
            continue
        messages: dict[tuple[str, int | None, bool], int] = {}
        for wait in burst:
            for channel, person in _ways(office, team, wait):
                message = messages.setdefault((channel, person, wait.to_admins), randbits(62))
                yield _notice(message, wait.row, person, channel, occasion, wait.to_admins)


def _of_decided(office: Office, team: Team, rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    messages: dict[int, int] = {}
    for row in rows if _writes(office, team) else ():
        whose = row["requester"]
        yield _notice(messages.setdefault(whose, randbits(62)), row, whose, "email", "decided", False)


def _of_ended(office: Office, team: Team, rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    """Yield the notices of runs that are over, to whom they were for: never to a channel that is nobody's own."""
    for row in rows:
        person = next((member for member in team.members if member.user == row["person"]), None)
        if person is None:
            continue
        ways = [("email", _writes(office, team)), ("desktop", person.email in office.desktop)]
        ways = [(channel, leads and person.takes(channel)) for channel, leads in ways]
        about = {"run": row["run"], "ended_at": row["ended_at"].isoformat(), "person": person.user, "occasion": "run"}
        yield from ({**about, "message": randbits(62), "channel": channel} for channel, leads in ways if leads)


def _ways(office: Office, team: Team, wait: Wait) -> Iterable[tuple[str, int | None]]:
    """Yield the channels by which people are told, and whom each reaches."""
    if office.hook is not None and wait.people:
        yield "webhook", None
    for member in wait.people:
        if _writes(office, team) and member.takes("email"):
            yield "email", member.user
        if member.email in office.desktop and member.takes("desktop"):
            yield "desktop", member.user


def _writes(office: Office, team: Team) -> bool:
    return office.mail is not None and bool(office.sender_of(team.sender))


def _notice(
    message: int, row: Row, person: int | None, channel: str, occasion: str, to_admins: bool
) -> dict[str, Any]:
    about = {"message": message, "draft": row["draft"], "version": row["version"], "person": person}
    return {**about, "channel": channel, "occasion": occasion, "to_admins": to_admins}


async def ask(conn: psycopg.AsyncConnection[Any], sql: str, params: Mapping[str, object]) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), params)
        return await cursor.fetchall()
