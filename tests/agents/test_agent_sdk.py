"""S0's decision matrix through the real Agent SDK: exported agents, real hooks, real servers; only the model is scripted."""

import asyncio
import re
from datetime import date, timedelta

from standin import Call

SEES = re.compile(r"mcp__crm-(\w+)__(\w+)")


def delegated(agent, prompt):
    """Return the script of a session that hands everything to one specialist and repeats what it said."""

    def script(tools):
        given = {
            "description": "CRM work",
            "prompt": prompt,
            "subagent_type": f"crm-{agent}",
            "run_in_background": False,
        }
        (said,) = yield Call("Agent", given)
        return str(said)

    return script


def crm(agent, tool, **arguments):
    return Call(f"mcp__crm-{agent}__{tool}", arguments)


async def test_a_quick_lookup_is_answered_by_the_order_agent_and_audited_as_it(desk):
    desk.export("sam@demo.example", "order")
    found = {}

    def order(tools):
        (me,) = yield crm("order", "whoami")
        (orders,) = yield crm("order", "get_orders", limit=3)
        (customer,) = yield crm("order", "get_customer", customer=orders["orders"][0]["customer"]["id"])
        found.update(me=me["me"], orders=orders["orders"], customer=customer["customer"])
        return f"{customer['customer']['name']} ordered last."

    run = await desk.run(
        "Who ordered last?", {"order specialist": order, "": delegated("order", "Who ordered last?")}
    )
    assert f"{found['customer']['name']} ordered last." in run.text
    assert (found["me"]["email"], found["me"]["agent"]) == ("sam@demo.example", "order")
    both = ["begun", "ended"]
    assert (await desk.audited()) == [
        ("whoami", "order", both),
        ("get_orders", "order", both),
        ("get_customer", "order", both),
    ]
    assert desk.drafts() == []
    assert {match[1] for name in run.tools_of("order specialist") if (match := SEES.fullmatch(name))} == {"order"}


async def test_a_quarter_is_analysed_by_reports_whose_figures_the_answer_repeats(desk):
    desk.export("ada@demo.example", "analytics")
    seen = {}

    def analyst(tools):
        (reports,) = yield crm("analytics", "list_reports")
        assert "revenue_by_month" in {report["name"] for report in reports["reports"]}
        revenue, best = yield [
            crm("analytics", "run_report", report="revenue_by_month", parameters={"period": "last quarter"}),
            crm("analytics", "run_report", report="top_customers", parameters={"period": "last quarter"}),
        ]
        seen.update(revenue=revenue["report"], best=best["report"])
        return f"Revenue {revenue['report']['totals']['revenue']} {revenue['report']['currency']}."

    run = await desk.run(
        "Analyse the last quarter", {"You are the analyst": analyst, "": delegated("analytics", "Go")}
    )
    assert f"Revenue {seen['revenue']['totals']['revenue']} EUR." in run.text
    assert seen["revenue"]["parameters"]["from"].endswith("-01") and seen["best"]["rows"]
    assert [tool for tool, _, phases in (await desk.audited()) if phases == ["begun", "ended"]].count(
        "run_report"
    ) == 2


async def test_follow_ups_for_overdue_invoices_become_ten_drafts_and_not_one_email(desk):
    desk.export("fin@demo.example", "customer")
    before, held = desk.counts(), []

    def follow_ups(tools):
        (overdue,) = yield crm("customer", "get_invoices", status="overdue", limit=100)
        invoices = overdue["invoices"]
        assert len(invoices) >= 10, "the demo has overdue invoices"
        for one in invoices[:11]:
            (draft,) = yield crm(
                "customer",
                "send_email_draft",
                to=[f"pay.{one['id']}@customer.example"],
                subject=f"Invoice {one['number']} is overdue",
                body=f"{one['open']['amount']} {one['open']['currency']} were due on {one['dueOn']}.",
                about=one["id"],
                reason="The invoice is overdue.",
                confidence=0.95,
            )
            held.append(draft)
        return "Drafted: " + ", ".join(draft["draft"]["id"] for draft in held)

    main = delegated("customer", "Draft follow-ups for overdue invoices")
    run = await desk.run("Draft follow-ups for overdue invoices", {"customer specialist": follow_ups, "": main})
    assert [draft["type"] for draft in held] == ["approval_required"] * 11
    assert len({draft["draft"]["id"] for draft in held}) == 11
    assert all(draft["draft"]["id"] in run.text for draft in held)
    assert [(tool, agent) for _, tool, agent in desk.drafts()] == [("send_email_draft", "customer")] * 11
    assert desk.counts() == before
    assert [phases for tool, _, phases in (await desk.audited()) if tool == "send_email_draft"] == [
        ["begun", "ended"]
    ] * 11
    told = [
        text
        for request in run.requests
        for text in re.findall(r"draft_\d+ waits for a person", str(request["messages"]))
    ]
    assert told, "the hook after a held call told the model what waits"


async def test_the_month_end_report_is_put_together_from_exact_reports(desk):
    desk.export("fin@demo.example", "analytics")
    month = (date.today().replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    got = []

    def analyst(tools):
        answers = yield [
            crm("analytics", "run_report", report="month_end", parameters={"month": month}),
            crm("analytics", "run_report", report="receivables_ageing"),
            crm("analytics", "run_report", report="payments_received", parameters={"month": month}),
        ]
        got.extend(answers)
        return "\n".join(f"{a['report']['title']}: {len(a['report']['rows'])} rows" for a in answers)

    run = await desk.run(
        "Prepare the month-end report", {"You are the analyst": analyst, "": delegated("analytics", "Go")}
    )
    assert [answer["type"] for answer in got] == ["result"] * 3
    assert "Month end" in run.text and desk.drafts() == []


async def test_an_agent_learns_a_decision_while_it_waits(desk, sdk_home, database_of):
    from crm_mcp import auth
    from crm_mcp.approvals.executor import Executor

    desk.export("sam@demo.example", "order")
    approver = database_of(sdk_home.conninfo("crm_approver"))
    executor, seen = Executor(approver), []
    mia = await approver.sign_in(auth.by_email("mia@demo.example"))
    loop, decided = asyncio.get_running_loop(), []

    async def decide(draft):
        decided.append(await desk.approve(mia, executor, draft))

    def order(tools):
        (products,) = yield crm("order", "search_products", query="chair", limit=1)
        (orders,) = yield crm("order", "get_orders", limit=1)
        (held,) = yield crm(
            "order",
            "create_order_draft",
            customer=orders["orders"][0]["customer"]["id"],
            lines=[{"product": products["products"][0]["id"], "quantity": 1}],
            reason="The customer asked for one.",
        )
        number = int(held["draft"]["id"].removeprefix("draft_"))
        asyncio.run_coroutine_threadsafe(decide(number), loop)
        (learnt,) = yield crm("order", "get_draft", draft=held["draft"]["id"], wait_seconds=30)
        seen.append(learnt["draft"])
        return f"It is {learnt['draft']['state']}."

    run = await desk.run("Order a chair", {"order specialist": order, "": delegated("order", "Order a chair")})
    assert "It is approved." in run.text
    assert decided[0].state == "approved" and seen[0]["state"] == "approved"


async def test_the_example_drafts_alone_and_prints_what_waits(desk):
    before = desk.counts()

    def follow_ups(tools):
        assert {name for name in tools if not name.startswith("mcp__crm__")} <= {"DeferredToolPlaceholder"}
        (overdue,) = yield Call("mcp__crm__get_invoices", {"status": "overdue", "limit": 3})
        waiting = []
        for one in overdue["invoices"]:
            mail = {
                "to": ["pay@customer.example"],
                "subject": one["number"],
                "body": "Please pay.",
                "about": one["id"],
            }
            (held,) = yield Call("mcp__crm__send_email_draft", mail | {"reason": "It is overdue."})
            waiting.append(held["draft"]["id"])
        return "Waiting: " + " ".join(waiting)

    printed = await desk.example(
        "overdue_follow_ups.py", {"customer specialist": follow_ups}, "--user", "fin@demo.example"
    )
    assert printed.strip() == "Waiting: " + " ".join(f"draft_{number}" for number, *_ in desk.drafts())
    assert len(desk.drafts()) == 3 and desk.counts() == before
