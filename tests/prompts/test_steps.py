"""What steps tell a model to call is taken by the tools: each call here stands in a step as it is made."""

import json
import re

import pytest

SAM, FIN = "sam@demo.example", "fin@demo.example"


async def taken(prompts, tool, **arguments):
    told = await prompts.client.call_tool(tool, arguments)
    assert not told.is_error, (tool, arguments, told.structured_content)
    for item in told.structured_content.get("items", []):
        assert item["type"] != "error", item
    return told.structured_content


async def test_the_looks_of_a_briefing(prompts_of, owner_asks):
    deal = owner_asks(
        "select min(id) from crm.deals where org_id = (select id from crm.orgs where slug = 'demo') and status = 'open'"
    )
    async with prompts_of(SAM) as prompts:
        steps, _ = await prompts.get("prepare_for_meeting", about=f"deal_{deal}")
        this = f"deal_{deal}"
        (customer,) = set(re.findall(r"cust_\d+", steps))
        await taken(prompts, "get_customer", customer=customer, include=["address"])
        await taken(prompts, "get_pipelines", record=this, include=["history", "criteria"])
        await taken(prompts, "suggest_next_action", record=this)
        await taken(prompts, "predict_outcome", record=this)
        await taken(prompts, "get_record", id=this, include=["notes", "tasks", "activities"])
        await taken(prompts, "get_invoices", customer=customer, status="overdue")
        await taken(prompts, "get_issues", customer=customer)
        await taken(prompts, "get_quotes", customer=customer, status="open")


async def test_the_looks_of_a_review(prompts_of):
    async with prompts_of(SAM) as prompts:
        steps, _ = await prompts.get("pipeline_review", stage="demo")
        pipeline, day, stage = re.search(
            r"pipeline (pipe_\d+), from_day ([\d-]+)(?s:.*)\(stage (stage_\d+)\)", steps
        ).groups()
        await taken(prompts, "analyze_pipeline", pipeline=pipeline, from_day=day)
        await taken(prompts, "identify_at_risk_deals", pipeline=pipeline)
        await taken(prompts, "get_pipelines", stage=stage)
        await taken(prompts, "get_pipelines", pipeline=pipeline, records=True)
        await taken(prompts, "forecast_deals", period="this quarter")


async def test_tasks_for_stale_leads_as_the_steps_describe_them(prompts_of, house):
    async with prompts_of(house.email, usual=True) as prompts:
        filters = {"not_updated_for_days": 14, "status": {"not": ["converted", "lost"]}}
        await taken(prompts, "find_records", entity="leads", sort="updated_at", filters=filters)
        await taken(prompts, "get_record", id=f"lead_{house.leads[0]}", include=["notes", "activities"])
        changes = [
            {
                "proposed_action": "create",
                "entity_type": "Task",
                "data": {
                    "title": f"Ask {number}", "description": "why", "due_on": "2030-01-01", "about": f"lead_{number}", "assignee": house.email,
                },
            }
            for number in house.leads[1:3]
        ]  # fmt: skip
        await taken(prompts, "propose_changes", changes=changes, reason="stale")


async def test_new_leads_and_contacts_with_their_sources(prompts_of, house):
    async with prompts_of(house.email, usual=True) as prompts:
        await taken(prompts, "find_records", entity="leads", fields=["status"])
        await taken(prompts, "find_records", entity="leads", filters={"lacks": "organization"})
        await taken(prompts, "find_records", entity="organizations", query="Firm 9")
        await taken(prompts, "get_record", id=f"org_{house.firms[0]}", include=["notes"])
        stated = {"source": "https://firm9.example/jobs", "confidence": 0.9, "proposed_action": "create"}
        firm = {"organization": f"org_{house.firms[0]}"}
        told = await taken(
            prompts,
            "propose_changes",
            reason="found on the web",
            changes=[
                {**stated, "entity_type": "Job", "data": {"name": "Welder", "source": "web"}, "link_to": firm},
                {**stated, "entity_type": "Organization", "data": {"name": "Firm 9"}},
                {
                    **stated,
                    "entity_type": "Contact",
                    "data": {"name": "New Person", "title": "Buyer"},
                    "link_to": firm,
                },
            ],
        )
        assert {item["type"] for item in told["items"]} == {"approval_required"}
    async with prompts_of(house.email) as prompts:
        asked = {"record": f"lead_{house.leads[0]}", "reached": "interview"}
        await taken(prompts, "find_similar_customers", **asked)


async def test_a_merge_of_what_the_facts_name(prompts_of, house):
    async with prompts_of(house.email, usual=True) as prompts:
        told = await prompts.facts("data_hygiene", entity="organizations")
        group = told["duplicates"][0]
        others = [one["id"] for one in group["records"] if one["id"] != group["survivor"]]
        change = {
            "proposed_action": "merge", "entity_type": "organizations", "id": group["survivor"], "duplicates": others, "confidence": 0.9,
        }  # fmt: skip
        held = await taken(prompts, "propose_changes", changes=[change], reason="the same firm")
        assert held["type"] == "approval_required"


async def test_reminders_and_calls_for_overdue_invoices(prompts_of):
    async with prompts_of(FIN, usual=True) as prompts:
        told = await prompts.facts("overdue_follow_ups")
        one = told["customers"][0]
        await taken(prompts, "get_payments", customer=one["id"], on_account=True)
        await taken(prompts, "list_drafts", state="pending")
        held = await taken(
            prompts,
            "send_email_draft",
            to=[one["contacts"][0]["id"]], subject="A reminder", body="Please", about=one["id"], reason="overdue",
        )  # fmt: skip
        assert held["type"] == "approval_required"
        await taken(
            prompts,
            "create_task",
            title="Call them",
            about=one["invoices"][0]["id"],
            due_on="2030-01-01",
            reason="overdue",
        )
        again = await prompts.facts("overdue_follow_ups", customer=one["id"])
        assert "Call them" in [task["title"] for task in again["customers"][0]["openTasks"]]


@pytest.mark.parametrize("month", ["", "2026-01"])
async def test_the_looks_of_a_month(prompts_of, month):
    async with prompts_of(FIN, usual=True) as prompts:
        steps, _ = await prompts.get("month_end_report", month=month)
        for parameters in re.findall(r"\(month_end, parameters ({.*?})\)", steps):
            await taken(prompts, "run_report", report="month_end", parameters=json.loads(parameters))
        await taken(prompts, "get_orders", status="shipped")
        await taken(prompts, "get_payments", on_account=True)
