"""`crm-mcp usage`: a person sees their own, an administrator everybody's and sets and forgives, on the record."""

import asyncio
import json
from decimal import Decimal

import pytest

from crm_mcp import auth
from crm_mcp.agents.meter import PostgresMeter
from crm_mcp.db import Database
from crm_mcp.errors import Refusal
from crm_mcp.principal import Agent


@pytest.fixture
def spend(home):
    """Use a model as somebody; return the warnings, or the no."""

    async def spent(email, tokens, money, agent, model):
        db = Database(home.conninfo("crm_agent"))
        try:
            meter = PostgresMeter(db, await db.sign_in(auth.by_email(email, None, agent)))
            held = await meter.reserve("chat", tokens, Decimal(money))
            return (await meter.settle(held, tokens - 10, 10, Decimal(money), model=model)).warnings
        except Refusal as no:
            return no
        finally:
            await db.close()

    return lambda email, tokens=1000, money="0.01", agent=None, model="m-1": asyncio.run(
        spent(email, tokens, money, agent, model)
    )


def told(crm, *words):
    done = crm("usage", *words)
    assert done.exit_code == 0, done.output
    return done.stdout


def document(crm, *words):
    return json.loads(told(crm, *words, "--json"))


def test_a_person_sees_what_they_used_and_what_is_left_of_their_day(crm, firm, member, spend):
    slug = firm()
    ann = member(slug)
    spend(ann, 1000, "0.01", Agent.SALES)
    spend(ann, 500, "0.02", Agent.SALES)
    spend(f"boss@{slug}.example", 700)
    found = document(crm, "--user", ann)
    assert (found["org"], found["currency"], found["tokensPerRequest"]) == (slug, "EUR", 10_000)
    mine, org = found["limits"]
    assert (mine["scope"], mine["person"], mine["money"]) == ("user", ann, None)
    assert mine["tokens"] == {"limit": 500_000, "spent": 1500, "held": 0, "left": 498_500, "percent": 0}
    assert mine["resetsAt"].endswith("T00:00:00+00:00")
    assert org["tokens"]["spent"] == 2200
    (row,) = found["usage"]
    assert row.pop("day")
    assert row == {
        "person": ann,
        "agent": "sales",
        "useCase": "chat",
        "model": "m-1",
        "calls": 2,
        "tokensIn": 1480,
        "tokensOut": 20,
        "money": "0.03000000",
    }


def test_an_administrator_sees_everybodys_and_it_is_readable(crm, firm, member, spend):
    slug = firm()
    ann, boss = member(slug), f"boss@{slug}.example"
    spend(ann, 1000, "0.01", Agent.SALES)
    spend(boss, 700, "1234.5")
    text = told(crm, "--user", boss)
    assert "Today's budgets reset at " in text
    assert f"{ann:28}      1,000 of 500,000 tokens (0 %), EUR 0.01\n" in text
    assert f"{'the org':28}      1,700 of 5,000,000 tokens (0 %), EUR 1,234.51\n" in text
    heads, *rows = text.split("\n\n")[-1].splitlines()
    assert heads.split() == [
        "day",
        "person",
        "agent",
        "use",
        "case",
        "model",
        "calls",
        "tokens",
        "in",
        "tokens",
        "out",
        "money",
    ]
    assert [row.split()[1:] for row in rows] == [
        [ann, "sales", "chat", "m-1", "1", "990", "10", "0.0100"],
        [boss, "-", "chat", "m-1", "1", "690", "10", "1,234.5000"],
    ]


def test_where_no_model_was_used_it_says_so(crm, firm):
    assert "No model was used in 7 days." in told(crm, "--user", f"boss@{firm()}.example")


def test_days_that_are_not_asked_for_are_left_out(crm, firm, spend, owner_asks):
    boss = f"boss@{firm()}.example"
    spend(boss)
    owner_asks(
        "update crm.model_usage u set day = day - 3 from crm.users p where p.id = u.user_id and p.email = %s returning 1",
        boss,
    )
    assert document(crm, "--user", boss, "--days", "3")["usage"] == []
    assert len(document(crm, "--user", boss, "--days", "4")["usage"]) == 1


def test_an_administrator_sets_a_persons_budget_everybodys_a_requests_and_the_orgs(crm, firm, member, spend):
    slug = firm()
    ann, boss = member(slug), f"boss@{slug}.example"
    by = ("set", "--org", slug, "--by", boss)
    assert (
        told(crm, *by, "--user", ann, "--tokens", 2000, "--money", "1.50")
        == f"{ann} may use 2,000 tokens and EUR 1.50 a day.\n"
    )
    assert told(crm, *by, "--everybody", "--tokens", 3000) == "Each person may use 3,000 tokens a day.\n"
    assert told(crm, *by, "--request", "--tokens", 1500) == "Each request may use 1,500 tokens.\n"
    assert told(crm, *by, "--tokens", 4000) == f"{slug} may use 4,000 tokens a day.\n"
    assert told(crm, *by, "--user", ann, "--warn-at", 50) == f"{ann} may use 2,000 tokens and EUR 1.50 a day.\n"
    assert spend(ann, 1501).context["scope"] == "request"
    assert spend(ann, 1000)[0].startswith("50 % of today's tokens of yours are spent: 1,000 left")
    assert spend(ann, 500, "1.50").context["unit"] == "money"
    assert spend(ann, 1001).context["limit"] == 2000
    mine, org = document(crm, "--user", boss)["limits"][:2]
    assert (mine["tokens"]["limit"], org["tokens"]["limit"]) == (3000, 4000)
    assert told(crm, *by, "--user", ann, "--standard") == f"{ann} may use 3,000 tokens a day.\n"


def test_a_reset_forgives_the_day_and_reports_keep_it(crm, firm, member, spend):
    slug = firm()
    ann, boss = member(slug), f"boss@{slug}.example"
    by = ("--org", slug, "--by", boss)
    told(crm, "set", *by, "--user", ann, "--tokens", 1000)
    told(crm, "set", *by, "--tokens", 1000)
    assert told(crm, "reset", *by, "--user", ann) == "Nothing was spent today.\n"
    spend(ann)
    assert spend(ann).context["scope"] == "user"
    assert told(crm, "reset", *by, "--user", ann) == f"{ann} may spend the whole budget again.\n"
    assert spend(ann).context["scope"] == "org"
    assert told(crm, "reset", *by) == f"{slug} may spend the whole budget again.\n"
    assert "100 % of today's tokens of yours" in spend(ann)[0]
    (row,) = document(crm, "--user", ann)["usage"]
    assert (row["calls"], row["tokensIn"] + row["tokensOut"]) == (2, 2000)


def test_what_an_administrator_does_is_on_the_record(crm, firm, member, spend, owner_asks):
    slug = firm()
    ann, boss = member(slug), f"boss@{slug}.example"
    told(crm, "set", "--org", slug, "--by", boss, "--user", ann, "--tokens", 2000)
    told(crm, "reset", "--org", slug, "--by", boss)
    rows = owner_asks(
        "select jsonb_agg(jsonb_build_array(a.tool, u.email, a.payload::jsonb) order by a.id) from crm.audit_log a"
        " join crm.orgs o on o.id = a.org_id join crm.users u on u.id = a.user_id where o.slug = %s and a.tool like 'usage%%'",
        slug,
    )
    assert rows == [["usage_set", boss, {"scope": "user", "user": ann, "tokens": 2000}], ["usage_reset", boss, {}]]
    listed = json.loads(crm("audit", "access", "--org", slug, "--json").stdout)
    made = [row for row in listed if row["what"] == "budget made"]
    assert [(row["person"], row["after"]["tokens"]) for row in made] == [(ann, 2000)]
    told(crm, "set", "--org", slug, "--by", boss, "--everybody", "--tokens", 900, "--money", "2.5")
    text = crm("audit", "access", "--org", slug).stdout
    assert f"budget made {ann}: tokens 2000\n" in text
    assert "budget made everybody: tokens 900, money 2.5\n" in text


def test_only_an_administrator_of_the_org_is_taken_for_one(crm, firm, member):
    slug, other = firm(), firm()
    ann = member(slug)
    for by in (ann, f"boss@{other}.example", "nobody@nowhere.example"):
        for words in (("set", "--tokens", 1), ("reset",)):
            done = crm("usage", words[0], "--org", slug, "--by", by, *words[1:])
            assert done.exit_code == 1
            assert f"{by} is no administrator of {slug}." in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--everybody", "--request", "--tokens", "1"), "Give one of --user, --everybody and --request"),
        ((), "Say what to set: --tokens, --money, --warn-at or --standard."),
        (("--tokens", "-1"), "-1"),
        (("--user", "who@is.example", "--tokens", "1"), "'who@is.example' is no member of"),
    ],
)
def test_what_cannot_be_set_is_said(crm, firm, words, said):
    slug = firm()
    done = crm("usage", "set", "--org", slug, "--by", f"boss@{slug}.example", *words)
    assert done.exit_code != 0
    assert said in done.output


async def test_whoami_tells_of_a_budget_only_where_it_is_nearly_spent(connect, home, database_of, owner_asks):
    async with connect("fin@demo.example") as client:
        meta = (await client.call_tool("whoami", {})).structured_content["_meta"]
        assert "modelBudget" not in meta
        owner_asks(
            "insert into crm.budgets(org_id, scope, user_id, tokens) select m.org_id, 'user', m.user_id, 1000 from crm.memberships m"
            " join crm.users u on u.id = m.user_id where u.email = 'fin@demo.example' returning 1"
        )
        db = database_of(home.conninfo("crm_agent"))
        meter = PostgresMeter(db, await db.sign_in(auth.by_email("fin@demo.example")))
        await meter.settle(await meter.reserve("chat", 900, Decimal(0)), 900, 0, Decimal(0))
        meta = (await client.call_tool("whoami", {})).structured_content["_meta"]
        (line,) = meta["modelBudget"]
        assert line.startswith("90 % of today's tokens of yours are spent: 100 left until ")
