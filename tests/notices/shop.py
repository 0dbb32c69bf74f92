"""An org of one test, whose every text is hostile, and the ways by which its people are told."""

import asyncio
import dataclasses
import itertools
import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg

from crm_mcp import auth
from crm_mcp.crm.models import Customer, Product
from crm_mcp.delivery import jobs
from crm_mcp.delivery.deliver import Post
from crm_mcp.delivery.tries import Again
from crm_mcp.demo.staff import Member, Org, found
from crm_mcp.importing.batch import batch
from crm_mcp.importing.rows import add
from crm_mcp.telling.channels import Office
from crm_mcp.telling.due import post_due
from crm_mcp.telling.send import send

SECRET = "<!channel> Kundin\u202e <b>Ümit</b> http://evil.example/x"
"""What customers, goods and agents are called here: none of it may be told."""
TOLD = ("Kundin", "evil", "<!channel>", "hush-hush", "ring twice", "\u202e", "needs it")
_TURN = itertools.count(1)


class Shop:
    """People: ann (administrator, approves up to a million, e-mails too), max (approves up to 500), bob (drafts)."""

    def __init__(self, home, approver, worker, connect):
        self.home, self.approver, self.worker, self.connect = home, approver, worker, connect
        self.slug = f"shop-{uuid.uuid4().hex[:12]}"
        self.office = Office(worker, lambda: "http://localhost:8787", sender="crm@shop.example", chance=lambda: 0.0)
        self.now = None

    def at(self, name):
        return f"{name}@{self.slug}.example"

    async def open(self, *more):
        people = (
            Member(self.at("ann"), "Ann Ander", "admin", Decimal(1_000_000), mails=True),
            Member(self.at("max"), "Max Meier", "sales", Decimal(500)),
            Member(self.at("bob"), "Bob\nBcc: all@evil.test \u202eBrand", "sales"),
            *more,
        )
        async with await psycopg.AsyncConnection.connect(self.home.conninfo("crm_owner")) as conn:
            self.people = await found(conn, Org(self.slug, "Shop & Co", "EUR", "Europe/Berlin", people))
        boss = await self.person("ann")
        self.org = boss.org
        async with batch(self.approver, boss, "test", {}, "Set a test up.") as session:
            (customer,) = await add(session, Customer, boss.org, [{"name": SECRET}])
            priced = {
                "sku": "hush-hush",
                "name": SECRET,
                "unit_price": Decimal(100),
                "currency": "EUR",
                "tax_rate": 0,
            }
            (product,) = await add(session, Product, boss.org, [priced])
        self.customer, self.product = f"cust_{customer}", f"prod_{product}"

    async def person(self, name):
        return await self.approver.sign_in(auth.by_email(self.at(name)))

    async def draft(self, by="bob", *, worth=100, agent=None, **more):
        """Have an order drafted; return its number."""
        asked = {
            "customer": self.customer,
            "lines": [{"product": self.product, "quantity": worth // 100}],
            "comment": f"ring twice {next(_TURN)}",
            "reason": "she needs it",
            **more,
        }
        return await self.ask("create_order_draft", asked, by, agent=agent)

    async def letter(self, by="bob"):
        asked = {
            "to": ["kim@hush-hush.example"],
            "subject": "<!channel> Kundin evil",
            "body": SECRET,
            "reason": "needs it",
        }
        return await self.ask("send_email_draft", asked, by)

    async def ask(self, tool, arguments, by, **served):
        async with self.connect(self.at(by), **served) as client:
            told = (await client.call_tool(tool, arguments)).structured_content
        return int(told["draft"]["id"][6:])

    def change(self, statement, *params):
        """Run a statement as the owner, past what holds drafts as they are."""
        with psycopg.connect(self.home.conninfo("crm_owner")) as conn:
            conn.execute("alter table crm.drafts disable trigger decide")
            conn.execute(statement, params)
            conn.execute("alter table crm.drafts enable trigger decide")

    def older(self, age="2 minutes"):
        """Make every draft of the shop older, and so what gathers complete."""
        self.change("update crm.drafts set created_at = created_at - %s::interval where org_id = %s", age, self.org)

    def nearly_over(self, draft, left="1 hour"):
        self.change(
            "update crm.drafts set expires_at = clock_timestamp() + %s::interval, created_at = clock_timestamp() + %s::interval"
            " - interval '1 day' where id = %s",
            left,
            left,
            draft,
        )

    async def edit(self, executor, draft, version, by="ann"):
        """Have a draft edited, longer ago than edits are gathered."""
        await executor.edit(await self.person(by), draft, version, {"comment": f"v{version}"}, "it was wrong")
        self.change(
            "update crm.draft_versions set edited_at = edited_at - interval '2 minutes' where org_id = %s", self.org
        )

    def set(self, **more):
        self.office = dataclasses.replace(self.office, **more)

    def notices(self):
        """Return what there is: (draft, person, channel, occasion, state), in order."""
        found = self.asked(
            "select n.draft_id, split_part(u.email, '@', 1), n.channel, n.occasion, n.state from crm.notices n"
            " left join crm.users u on u.id = n.person where n.org_id = %s order by n.draft_id, n.id"
        )
        return [tuple(row) for row in found]

    def asked(self, sql, *params):
        with psycopg.connect(self.home.conninfo("crm_owner")) as conn:
            return conn.execute(sql, (self.org, *params)).fetchall()

    async def post(self):
        return await post_due(self.office, self.org)

    async def send(self, office=None):
        """Try every message that is not over, once; return how each stands, or the minutes until its next try."""
        told = []
        messages = self.asked(
            "select distinct message from crm.notices where org_id = %s and state in ('queued', 'sending')"
        )
        for (message,) in messages:
            office = office or self.office
            try:
                told.append(await send(office, self.org, message))
            except Again as later:
                told.append(round((later.at - office.clock()) / timedelta(minutes=1), 2))
        return told

    async def tell(self):
        """Post and send, as the worker would; what was drafted before is old enough."""
        self.older()
        await self.post()
        return await self.send()

    def later(self, minutes):
        self.now = (self.now or datetime.now(UTC)) + timedelta(minutes=minutes)
        self.set(clock=lambda: self.now)


async def run_queue(shop, times=1):
    """Work the queue as so many workers at once; jobs of other tests' orgs are gone before."""
    with psycopg.connect(shop.home.conninfo("crm_owner")) as conn:
        conn.execute("delete from jobs.procrastinate_jobs where (args ->> 'org')::bigint <> %s", (shop.org,))
    made = [
        jobs.queue(
            shop.home.conninfo("crm_worker"),
            Post(shop.worker, None),
            lambda org, message: send(shop.office, org, message),
        )
        for _ in range(times)
    ]
    for app in made:
        await app.open_async()
    try:
        await asyncio.gather(*(jobs.run(app, wait=False) for app in made))
    finally:
        for app in made:
            await app.close_async()


def texts(box):
    """Return all that a postbox got, headers and bodies, as people read it."""
    return [
        json.dumps([dict(mail), mail.get_content()], ensure_ascii=False)
        for mail in map(box.read, range(len(box.mails)))
    ]
