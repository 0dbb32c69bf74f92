"""An approver with a passkey at the page, the groups of e-mails they sign, and what became of each item."""

import asyncio
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from campaign_drafts import Desk
from campaign_processes import arm

from authenticator import Authenticator
from browser import ORIGIN, Browser, Keyed, hidden
from crm_mcp import log
from crm_mcp.approvals.executor import Executor
from crm_mcp.approvals.links import make_login_link
from crm_mcp.approvals.session import COOKIE
from crm_mcp.approvals.web import build_page
from crm_mcp.db import Database

SIGNER, WRITER = "mia@demo.example", "fin@demo.example"
_ITEMS = """select d.id, d.state,
 (select count(*) from crm.emails e where e.org_id = d.org_id and e.id in (
    select (c.key ->> 'id')::bigint from crm.changes c where c.org_id = d.org_id and c.draft_id = d.id and c.tbl = 'emails')),
 (select count(*) from crm.outbox o where o.org_id = d.org_id and o.id in (
    select (c.key ->> 'id')::bigint from crm.changes c where c.org_id = d.org_id and c.draft_id = d.id and c.tbl = 'outbox')),
 (select count(*) from crm.signatures s where s.org_id = d.org_id and s.draft_id = d.id),
 (select count(*) from crm.signatures s where s.org_id = d.org_id and s.draft_id = d.id and s.call_id = d.decided_call),
 (select count(*) from crm.passkey_challenge_items i where i.draft_id = d.id and i.used_at is not null),
 (select count(*) from crm.audit_log a where a.org_id = d.org_id and a.draft_id = d.id and a.verdict = 'approved')
 from crm.drafts d where d.org_id = %s and d.id = any(%s)"""


@dataclass(frozen=True, slots=True)
class Item:
    """What Postgres holds of one draft of a group; `own` are the signatures kept by the very call that decided it."""

    draft: int
    state: str
    emails: int
    queued: int
    signatures: int
    own: int
    used: int
    approvals: int


def problems(items: Iterable[Item], decided: Iterable[int]) -> list[str]:
    """Return what is wrong about items of which just those that are `decided` are: once, signed, with their effects."""
    found, due = list[str](), set(decided)
    for item in items:
        state, times = ("approved", 1) if item.draft in due else ("pending", 0)
        if item.state != state:
            found.append(f"draft {item.draft} is {item.state}, not {state}")
        counts = {
            "e-mails": item.emails,
            "deliveries": item.queued,
            "signatures": item.signatures,
            "signatures of its decision": item.own,
            "uses of what was signed": item.used,
            "approvals in the audit": item.approvals,
        }
        found += [f"draft {item.draft} has {n} {what}, not {times}" for what, n in counts.items() if n != times]
    return found


class Signer:
    """One person's browser with their passkey. What they send can also be sent by a process that dies of it."""

    def __init__(self, desk: Desk, home: Any) -> None:
        self._desk = desk
        self._runner = asyncio.Runner()
        self._db = Database(home.conninfo("crm_approver"))
        self._browser = Keyed(build_page(self._db, origin=ORIGIN), ORIGIN, Authenticator())
        self._turns = itertools.count(1)
        self._runner.run(self._enter())

    async def _enter(self) -> None:
        entered = await self._browser.use(await make_login_link(self._db, SIGNER, None, ORIGIN))
        assert entered.status_code == 303
        assert (await self._browser.enrol()).headers.get("location") == "/passkeys?done=added"

    @property
    def secret(self) -> str:
        return str(self._browser.client.cookies[COOKIE])

    def close(self) -> None:
        async def leave() -> None:
            await self._browser.client.aclose()
            await self._db.close()

        self._runner.run(leave())
        self._runner.close()

    def reminders(self, many: int) -> list[int]:
        """Have e-mails drafted that stand together, to as many customers."""
        turn = next(self._turns)
        asked = [
            {"to": [f"turn-{turn}-{n}@example.com"], "subject": f"Reminder {n}", "body": f"Turn {turn}."}
            for n in range(many)
        ]
        calls = [("send_email_draft", {**one, "reason": "a campaign"}) for one in asked]
        return self._desk.held(WRITER, calls)

    def signed(self, first: int, count: int) -> dict[str, str]:
        """Open the group of an e-mail and sign the list of all that is shown; return the form with the signature."""
        return self._runner.run(self._signed(first, count))

    async def _signed(self, first: int, count: int) -> dict[str, str]:
        address = group_of(first)
        shown = (await self._browser.get(address)).text
        form = {**hidden(shown[shown.index('id="decide"') :]), "count": str(count)}
        asked = await self._browser.post(f"{address}/options", form)
        assert asked.status_code == 200, asked.text
        return {**form, "credential": self._browser.key.get(asked.json(), ORIGIN)}

    def send(self, address: str, form: Mapping[str, str]) -> int:
        """Send a form; return the status of the answer."""
        return int(self._runner.run(self._browser.post(address, form)).status_code)

    def items(self, drafts: list[int]) -> list[Item]:
        return [Item(*row) for row in self._desk.owner.execute(_ITEMS, (self._desk.org, drafts))]

    def kept(self, drafts: list[int]) -> tuple[int, int]:
        """Return how many signatures and how many chances the kept ones of a group have between them."""
        sql = "select count(distinct signature), count(distinct nonce) from crm.signatures where org_id = %s and draft_id = any(%s)"
        row = self._desk.owner.execute(sql, (self._desk.org, drafts)).fetchone()
        assert row is not None
        return row


def group_of(draft: int) -> str:
    return f"/drafts/draft_{draft}/group"


def forgeries(form: Mapping[str, str], other: int, hash_of_other: str) -> list[tuple[str, dict[str, str]]]:
    """Return where a group's signature is brought for a draft that it does not cover: in place of one, besides, alone."""
    items, alien = form["seen"].split(";"), f"draft_{other}:{hash_of_other}"
    lists = [[*items[:-1], alien], [*items, alien], [alien]]
    first = int(items[0].partition(":")[0].removeprefix("draft_"))
    return [
        *((group_of(first), {**form, "seen": ";".join(_ordered(one)), "count": str(len(one))}) for one in lists),
        (f"/drafts/draft_{other}/approve", {**form, "hash": hash_of_other}),
    ]


def _ordered(items: list[str]) -> list[str]:
    return sorted(items, key=lambda item: int(item.partition(":")[0].removeprefix("draft_")))


def send_until(point: str, conninfo: str, secret: str, address: str, form: dict[str, str], draft: int) -> None:
    """Answer a form as the page does, and be killed on the way to approving one of its drafts."""
    log.configure("error")
    approve = Executor.approve

    async def approving(executor: Any, who: Any, number: int, *args: Any) -> Any:
        if number == draft:
            arm(point)
        return await approve(executor, who, number, *args)

    Executor.approve = approving  # type: ignore[method-assign]
    asyncio.run(_send(conninfo, secret, address, form))


async def _send(conninfo: str, secret: str, address: str, form: dict[str, str]) -> None:
    browser = Browser(build_page(Database(conninfo), origin=ORIGIN))
    browser.client.cookies.set(COOKIE, secret)
    await browser.post(address, form)
