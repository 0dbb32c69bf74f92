"""An agent that researches and cleans up: S3's four use cases, each proposed, decided on the page, told, undone.

What the agent found on the web is played by the tests: the server has none.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from workday import Office, Workday

COLLEAGUES = ("sam", "sam/research", "sue", "sam/customer")
_WRITTEN = "select count(*) from crm.changes c join crm.orgs o on o.id = c.org_id where o.slug = 'demo'"
_PENDING = """select count(*) from crm.drafts d join crm.orgs o on o.id = d.org_id join crm.users u on u.id = d.requester
 where o.slug = 'demo' and u.email = %s and d.state = 'pending' and d.expires_at > now()"""
_JOBS = """select 'lead_' || l.id, j.role, g.industry from crm.leads l join crm.orgs o on o.id = l.org_id and o.slug = 'demo'
 join crm.jobs j on j.org_id = l.org_id and j.lead_id = l.id left join crm.organizations g on g.org_id = l.org_id and g.id = l.organization_id
 where l.status = 'interview' and l.archived_at is null"""
_MADE = """select l.created_by = u.id, l.via_agent, 'org_' || l.organization_id, j.role, j.seniority from crm.leads l
 join crm.jobs j on j.org_id = l.org_id and j.lead_id = l.id join crm.orgs o on o.id = l.org_id and o.slug = 'demo'
 join crm.users u on u.email = 'sam@demo.example' where l.name = %s"""
_LINKED = """select 'lead_' || l.id, 'org_' || l.organization_id from crm.leads l join crm.orgs o on o.id = l.org_id and o.slug = 'demo'
 where l.kind = 'opportunity' and l.status = 'qualified' and l.organization_id is not null and l.archived_at is null"""
_PERSON = """select i.via_agent, c.title, 'org_' || c.organization_id from crm.individuals i join crm.orgs o on o.id = i.org_id and o.slug = 'demo'
 left join crm.contacts c on c.org_id = i.org_id and c.individual_id = i.id where i.name = %s and i.archived_at is null"""
_STALE = """select 'lead_' || l.id from crm.leads l join crm.orgs o on o.id = l.org_id and o.slug = 'demo'
 where l.status in ('new', 'contacted', 'qualified') and l.archived_at is null and l.updated_at < %s"""
_TASKS = """select t.title, t.due_on, t.status, t.archived_at is null from crm.tasks t join crm.orgs o on o.id = t.org_id and o.slug = 'demo'
 where t.subject_type = 'leads' and 'lead_' || t.subject_id = %s and t.created_by is not null and t.title like 'Follow up%%'"""
_ORGANIZATION = """select g.archived_at is null, (select count(*) from crm.contacts c where c.org_id = g.org_id and c.organization_id = g.id),
 (select count(*) from crm.deals d where d.org_id = g.org_id and d.organization_id = g.id),
 (select count(*) from crm.leads l where l.org_id = g.org_id and l.organization_id = g.id)
 from crm.organizations g join crm.orgs o on o.id = g.org_id and o.slug = 'demo' where 'org_' || g.id = %s"""


def written(day: Workday) -> int:
    """Return how many rows of the org were ever changed: while nothing is decided, it stays."""
    return day.asked(_WRITTEN)[0][0]


def drafts_of(told: dict[str, Any]) -> list[str]:
    assert told["type"] == "approval_required", told
    assert all(item["type"] == "approval_required" for item in told["items"]), told["items"]
    return [item["draft"]["id"] for item in told["items"]]


async def test_job_leads_like_those_that_reached_an_interview_are_proposed(office: Office) -> None:
    day, sam, research = office.day, office["sam"], office["sam/research"]
    reached = await research.all(
        "find_records", "records", entity="leads", filters={"kind": "job", "status": "interview"}
    )
    rows = {row[0]: row for row in day.asked(_JOBS)}
    assert {one["id"] for one in reached} == set(rows) and len(rows) >= 4

    # the pattern: the commonest role, at which organizations
    records = [(await research.asks("get_record", id=one["id"]))["record"] for one in reached]
    assert {one["id"]: one["role"] for one in records} == {number: row[1] for number, row in rows.items()}
    role = Counter(one["role"] for one in records).most_common(1)[0][0]
    pattern = next(one for one in records if one["role"] == role)
    alike = await research.asks("find_similar_customers", record=pattern["id"], reached="interview")
    assert {one["record"]["id"] for one in alike["similar"][:3]} <= set(rows) - {pattern["id"]}
    assert alike["similar"][0]["similarity"] == max(one["similarity"] for one in alike["similar"])

    # what the web said, with where it said so
    postings = [(f"{role} at a harbour hotel", 0.9), (f"{role} at an airport", 0.6), (f"{role} at a clinic", 0.9)]
    employer = pattern["organization"]["id"]
    changes = [
        {
            "proposed_action": "create",
            "entity_type": "Job",
            "data": {"name": name, "role": role, "seniority": "senior", "location": "Hamburg"},
            "confidence": sure,
            "source": f"https://jobs.example/{at}",
            "link_to": {"organization": employer},
        }
        for at, (name, sure) in enumerate(postings)
    ]
    before, waiting = written(day), day.asked(_PENDING, sam.email)[0][0]
    held = await research.does_each("propose_changes", changes=changes, reason="Like those that led to an interview.")
    wanted, unwanted, undone = drafts_of(held)
    assert held["_meta"]["waiting"] == waiting + 3 == day.asked(_PENDING, sam.email)[0][0]
    for item, (name, _) in zip(held["items"], postings, strict=True):
        assert item["summary"].startswith("Nothing has changed yet.") and name in item["summary"]
    assert written(day) == before
    assert (await research.asks("find_records", entity="leads", query="harbour hotel"))["records"] == []

    async with day.at_the_page("mia") as mia:
        page = await mia.opens_group(held)
        for at, (name, _) in enumerate(postings):
            assert name in page.says and f"https://jobs.example/{at}" in page.says
        await page.approves(wanted)
        await page.rejects(unwanted, "Airports take too long.")
        assert "1 of 3 waits" in page.says
        # the requester is told without asking, and asks
        told = {one["draft"]: one for one in (await research.asks("whoami"))["_meta"]["decided"]}
        assert (told[wanted]["state"], told[unwanted]["state"]) == ("approved", "rejected")
        rejected = (await research.asks("get_draft", draft=unwanted))["draft"]
        assert (rejected["state"], rejected["decidedBy"]) == ("rejected", "Mia Moreau")
        assert "Airports take too long." in str(rejected)
        await page.approves(undone)
        made = (await research.asks("get_draft", draft=wanted))["draft"]["result"]
        assert [tuple(row) for row in day.asked(_MADE, postings[0][0])] == [
            (True, "research", employer, role, "senior")
        ]
        assert day.asked(_MADE, postings[1][0]) == []
        record = (await research.asks("get_record", id=made, include=["provenance"]))["record"]
        sources = {one["field"]: one for one in record["provenance"]}
        assert (sources["role"]["source"], sources["role"]["confidence"]) == ("https://jobs.example/0", "0.9")
        assert sources["role"]["via_agent"] == "research" and sources["role"]["by"] == "Sam Sato"

        # one too many: what a person approved, a person takes back
        assert len(day.asked(_MADE, postings[2][0])) == 1
        undo = await sam.drafts("undo_change", change=undone, reason="That clinic is closed.")
        assert len(day.asked(_MADE, postings[2][0])) == 1
        await mia.approves(undo)
    assert (await sam.outcome(undo))["state"] == "approved"
    assert day.asked(_MADE, postings[2][0]) == []


async def test_decision_makers_at_organizations_of_leads_are_proposed(office: Office) -> None:
    day, sam, research = office.day, office["sam"], office["sam/research"]
    leads = await research.all(
        "find_records",
        "records",
        entity="leads",
        filters={"kind": "opportunity", "status": "qualified", "has": ["organization"]},
    )
    assert {(one["id"], one["organization"]["id"]) for one in leads} == {tuple(row) for row in day.asked(_LINKED)}
    firms = list(dict.fromkeys(one["organization"]["id"] for one in leads))
    known = (await research.asks("find_records", entity="contacts", filters={"organization": firms[0]}))["records"]
    assert known and "Doe" not in {one["name"] for one in known}

    people = [("Jane", "Doe", "CTO", firms[0]), ("Otto", "Nagel", "Head of facilities", firms[1])]
    changes = [
        {
            "proposed_action": "create",
            "entity_type": "Individual",
            "data": {"first_name": first, "last_name": last, "title": title},
            "confidence": 0.85,
            "source": "LinkedIn search",
            "link_to": {"organization": firm},
        }
        for first, last, title, firm in people
    ]
    before = written(day)
    held = await research.does_each("propose_changes", changes=changes, reason="They decide on furniture there.")
    jane, otto = drafts_of(held)
    found = {"title": "Director of purchasing", "linkedin_url": "https://www.linkedin.com/in/known-person"}
    enriched = await research.drafts(
        "enrich_contact",
        record=known[0]["id"],
        data=found,
        sources=["https://firm.example/team"],
        confidence=0.9,
        reason="The page of the team says so.",
    )
    assert written(day) == before
    assert (await research.asks("get_record", id=known[0]["id"]))["record"]["title"] == known[0]["title"]

    async with day.at_the_page("mia") as mia:
        page = await mia.opens_group(held)
        assert "Jane Doe" in page.says and "Otto Nagel" in page.says and "LinkedIn search" in page.says
        await page.miscounts(1)
        assert written(day) == before
        await page.approves_all(2)
        assert "https://firm.example/team" in await mia.reads(enriched)
        await mia.rejects(enriched, "She has left the firm.")
        assert [tuple(row) for row in day.asked(_PERSON, "Jane Doe")] == [("research", "CTO", firms[0])]
        told = (await research.outcome(enriched)), (await research.asks("get_draft", draft=jane))["draft"]
        assert [one["state"] for one in told] == ["rejected", "approved"]
        assert (await research.asks("get_record", id=known[0]["id"]))["record"]["title"] == known[0]["title"]
        person = (await research.asks("get_record", id=told[1]["result"], include=["provenance"]))["record"]
        sources = {one["field"]: one for one in person["provenance"]}
        assert {(one["source"], one["confidence"]) for one in sources.values() if "source" in one} == {
            ("LinkedIn search", "0.85")
        }
        now = await research.asks("find_records", entity="contacts", filters={"organization": firms[0]})
        assert {one["name"] for one in now["records"]} == {one["name"] for one in known} | {"Jane Doe"}

        undo = await sam.drafts("undo_change", change=otto, reason="He works somewhere else.")
        await mia.approves(undo)
    assert day.asked(_PERSON, "Otto Nagel") == [] and len(day.asked(_PERSON, "Jane Doe")) == 1


async def test_leads_that_nobody_touched_for_two_weeks_get_tasks(office: Office) -> None:
    day, sam, research = office.day, office["sam"], office["sam/research"]
    stale = await research.all(
        "find_records",
        "records",
        entity="leads",
        filters={"status": ["new", "contacted", "qualified"], "not_updated_for_days": 14},
        sort="updated_at",
    )
    fortnight = datetime.now(UTC) - timedelta(days=14)
    assert {one["id"] for one in stale} == {row[0] for row in day.asked(_STALE, fortnight)} and len(stale) >= 5
    assert [one["updated_at"] for one in stale] == sorted(one["updated_at"] for one in stale)
    assert all(datetime.fromisoformat(one["updated_at"]) < fortnight for one in stale)

    due = datetime.now(UTC).date() + timedelta(days=3)
    sure, unsure, _ = chosen = [one["id"] for one in stale[:3]]
    changes = [
        {
            "proposed_action": "create",
            "entity_type": "Task",
            "data": {
                "title": f"Follow up on {one['name']}",
                "description": f"Last touched on {one['updated_at'][:10]}.",
                "due_on": due.isoformat(),
                "about": one["id"],
            },
            "confidence": confidence,
            "source": "leads not updated for two weeks",
        }
        for one, confidence in zip(stale[:3], (0.95, 0.7, 0.7), strict=True)
    ]
    told = await research.does_each("propose_changes", changes=changes, reason="Nobody touched them for two weeks.")
    # a task runs at once, since it is undone as easily; what the agent itself doubts waits
    assert [item["type"] for item in told["items"]] == ["result", "approval_required", "approval_required"]
    assert [len(day.asked(_TASKS, lead)) for lead in chosen] == [1, 0, 0]
    async with day.at_the_page("mia") as mia:
        page = await mia.opens_group(told)
        await page.approves(told["items"][1]["draft"]["id"])
        await page.rejects(told["items"][2]["draft"]["id"], "They come back by themselves.")
    assert [len(day.asked(_TASKS, lead)) for lead in chosen] == [1, 1, 0]
    assert [tuple(row) for row in day.asked(_TASKS, unsure)] == [
        (f"Follow up on {stale[1]['name']}", due, "open", True)
    ]
    (task,) = (await sam.asks("get_tasks", about=unsure))["tasks"]
    assert (task["title"], task["dueOn"]) == (f"Follow up on {stale[1]['name']}", due.isoformat())
    record = await research.asks("get_record", id=task["id"], include=["provenance"])
    sources = {one["field"]: one for one in record["record"]["provenance"]}
    assert (sources["title"]["source"], sources["title"]["confidence"]) == ("leads not updated for two weeks", "0.7")
    assert (await research.asks("get_draft", draft=told["items"][2]["draft"]["id"]))["draft"]["state"] == "rejected"

    await sam.does("undo_change", change=told["items"][0]["change"], reason="He called this morning.")
    assert [row for row in day.asked(_TASKS, sure) if row[3]] == []
    assert (await sam.asks("get_tasks", about=sure))["tasks"] == []


async def test_organizations_that_stand_twice_are_merged(office: Office) -> None:
    day, sam, research = office.day, office["sam"], office["sam/research"]
    groups: dict[str, dict[str, Any]] = {}
    for name in ("Müller", "Zoe", "Rheinblick Architekten"):
        (group,) = (await research.asks("find_duplicates", entity="organizations", query=name))["duplicates"]
        groups[name] = group
    pairs = [[one["id"] for one in group["records"]] for group in groups.values()]
    assert all(
        len(pair) == 2 and group["survivor"] == pair[0] for pair, group in zip(pairs, groups.values(), strict=True)
    )
    (mueller, twin), (zoe, cafe), (rhein, other) = pairs
    assert {finding["field"] for finding in groups["Müller"]["why"]} >= {"name", "domain"}
    contacts = await research.asks("find_duplicates", entity="contacts", min_score=0.99)
    assert contacts["_meta"]["sure"] >= 1 and all(one["sure"] for one in contacts["duplicates"])

    changes = [
        {
            "proposed_action": "merge",
            "entity_type": "Organization",
            "id": kept,
            "duplicates": [gone],
            "confidence": min(0.99, group["score"]),
            "source": "find_duplicates",
        }
        for (kept, gone), group in zip(pairs, groups.values(), strict=True)
    ]
    rows = {number: day.asked(_ORGANIZATION, number)[0] for pair in pairs for number in pair}
    before = written(day)
    held = await research.does_each("propose_changes", changes=changes, reason="Each pair is one and the same firm.")
    first, second, third = drafts_of(held)
    assert (
        f"merge Mueller und Soehne ({twin}) into the organization Müller & Söhne GmbH" in held["items"][0]["summary"]
    )
    assert written(day) == before
    assert {number: day.asked(_ORGANIZATION, number)[0] for number in rows} == rows

    async with day.at_the_page("mia") as mia:
        page = await mia.opens_group(held)
        await page.approves(first)
        await page.rejects(third, "An AG and a GmbH are two firms.")
        await page.approves(second)
        for kept, gone in ((mueller, twin), (zoe, cafe)):
            merged = [a + b for a, b in zip(rows[kept][1:], rows[gone][1:], strict=True)]
            assert list(day.asked(_ORGANIZATION, kept)[0]) == [True, *merged]
            assert list(day.asked(_ORGANIZATION, gone)[0]) == [False, 0, 0, 0]
        assert [day.asked(_ORGANIZATION, one)[0] for one in (rhein, other)] == [rows[rhein], rows[other]]
        assert (await research.asks("find_duplicates", entity="organizations", query="Müller"))["duplicates"] == []
        (still,) = (await research.asks("find_duplicates", entity="organizations", query="Rheinblick Architekten"))[
            "duplicates"
        ]
        assert [one["id"] for one in still["records"]] == [rhein, other]
        told = [(await research.asks("get_draft", draft=one))["draft"]["state"] for one in (first, second, third)]
        assert told == ["approved", "approved", "rejected"]
        assert (await sam.is_refused("undo_change", change=third, reason="It was rejected."))["error"]

        undo = await sam.drafts("undo_change", change=second, reason="The café moved out.")
        await mia.approves(undo)
    assert [day.asked(_ORGANIZATION, one)[0] for one in (zoe, cafe)] == [rows[zoe], rows[cafe]]


async def test_neither_support_nor_the_agent_of_customers_researches_or_merges(office: Office) -> None:
    await office["sue"].finds_no("propose_changes", "enrich_contact")
    assert (await office["sue"].asks("find_duplicates", entity="organizations", limit=1))["duplicates"]
    await office["sam/customer"].finds_no("propose_changes", "enrich_contact", "find_duplicates", "find_records")
    # what the research agent does not have either: it asks a person to take back, and sends nothing
    await office["sam/research"].finds_no("undo_change", "send_email_draft", "move_to_stage", "create_pipeline")


async def test_the_audit_has_every_call_of_the_research_and_its_chain_holds(office: Office) -> None:
    await office.close()
    assert office.day.audited() == office.day.calls
    assert office.day.problems_of_the_audit() == []
