import psycopg
import pytest
from funnel import contact
from lab import LOU

from crm_mcp.crm.models import Individual, Organization
from crm_mcp.principal import Agent
from stated_policy import state_policy

FOUND = {
    "company": "Acme",
    "job_title": "CTO",
    "linkedin_url": "https://linkedin.example/in/p",
    "company_size": "1,200",
    "industry": "Software",
    "recent_news": ["Raised a round"],
    "technologies": ["SAP", "odoo"],
}
SOURCES = ["https://acme.example/team", "the register"]


async def enrich(way, it, data, **more):
    return await way.ask("enrich_contact", record=it, data=data, sources=SOURCES, **more)


async def acme(lab, **more):
    (number,) = await lab.add(Organization, {"name": "Acme", **more})
    return f"org_{number}"


async def test_what_was_found_is_held_with_old_and_new_and_kept_with_its_sources(way, lab, owner_asks):
    firm = await acme(lab, industry="IT")
    it = await contact(lab, "Pat", firm, title="Head of IT")
    held = await enrich(way, it, FOUND, confidence=0.9)
    assert held["type"] == "approval_required", held
    assert "title from Head of IT to CTO" in held["summary"] and "industry from IT to Software" in held["summary"]
    assert (await way.approve(held)).state == "approved"
    kept = owner_asks(
        """select jsonb_build_array(c.title, c.linkedin_url, o.industry, o.employees, o.technologies) from crm.contacts c
         join crm.organizations o on o.org_id = c.org_id and o.id = c.organization_id where 'cont_' || c.id = %s""",
        it,
    )
    assert kept == ["CTO", "https://linkedin.example/in/p", "Software", 1200, ["SAP", "odoo"]]
    where = owner_asks(
        """select jsonb_agg(jsonb_build_array(entity, field, source, confidence) order by entity, field) from crm.data_provenance
         where (entity = 'contacts' and 'cont_' || record_id = %s) or (entity = 'organizations' and 'org_' || record_id = %s)""",
        it,
        firm,
    )
    assert [one[:2] for one in where] == [
        ["contacts", "linkedin_url"], ["contacts", "title"], ["organizations", "employees"],
        ["organizations", "industry"], ["organizations", "technologies"],
    ]  # fmt: skip
    assert all(one[2:] == ["; ".join(SOURCES), 0.9] for one in where)
    note = owner_asks(
        "select body from crm.notes where subject_type = 'organizations' and 'org_' || subject_id = %s", firm
    )
    assert note == "- Raised a round\nSources: https://acme.example/team; the register"


async def test_technologies_are_added_to_and_a_range_of_sizes_goes_into_the_note(way, lab, owner_asks):
    firm = await acme(lab)
    it = await contact(lab, "Pat", firm)
    await way.approve(await enrich(way, it, {"technologies": ["SAP"], "company_size": "51-200"}))
    await way.approve(await enrich(way, it, {"technologies": ["sap", "Odoo"]}))
    look = "select jsonb_build_array(technologies, employees) from crm.organizations where 'org_' || id = %s"
    assert owner_asks(look, firm) == [["SAP", "Odoo"], None]
    about = "select body from crm.notes where subject_type = 'organizations' and 'org_' || subject_id = %s"
    assert "Company size: 51-200" in owner_asks(about, firm)


async def test_another_company_is_named_and_no_link_is_made(way, lab):
    it = await contact(lab, "Pat", await acme(lab))
    told = await enrich(way, it, {"company": "Globex", "title": "CTO"})
    assert told["warnings"] == ["Pat is at Acme here, not at Globex: propose_changes changes that."]
    (number,) = await lab.add(Individual, {"name": "Solo"})
    told = await enrich(way, f"ind_{number}", {"company": "Globex", "industry": "Software", "title": "CTO"})
    assert "not linked to Globex" in told["warnings"][1] and "industry is not kept" in told["warnings"][0]
    assert (await way.approve(told)).state == "approved"


async def test_what_is_known_already_changes_nothing_and_nothing_at_all_is_refused(way, lab):
    it = await contact(lab, "Pat", await acme(lab), title="CTO")
    told = await enrich(way, it, {"title": "CTO", "company": "acme"})
    assert told["error"] == "NOTHING_FOUND"
    assert (await enrich(way, it, {}))["error"] == "NOTHING_FOUND"
    assert (await way.ask("enrich_contact", record=it, data={"title": "X"}, sources=[]))[
        "error"
    ] == "INVALID_ARGUMENT"


async def test_only_people_are_enriched_and_missing_ones_are_not_found(way, lab):
    assert (await enrich(way, "cust_1", FOUND))["error"] == "INVALID_ID"
    assert (await enrich(way, "cont_999999999", FOUND))["error"] == "CONTACT_NOT_FOUND"


async def test_a_value_that_changed_meanwhile_makes_it_stale(way, lab):
    it = await contact(lab, "Pat", await acme(lab), title="Head")
    held = await enrich(way, it, {"title": "CTO"})
    await lab.set("contacts", it, "title", "Chief")
    assert (await way.approve(held)).state == "stale"


@pytest.fixture
def runs(home, way):
    """Let the lab's policy run writes of some tables, guard and all, for the length of a test."""
    with psycopg.connect(home.conninfo("crm_owner"), autocommit=True) as conn:
        (org,) = conn.execute("select id from crm.orgs where slug = 'lab'").fetchone()
        guarded = ("contacts", "organizations")

        def state(*tables, **more):
            state_policy(conn, org, {"run_tables": dict.fromkeys(tables, "run"), **more} if tables else None)
            conn.execute("delete from crm.free_writes where org_id = %s and tbl = any (%s)", (org, list(guarded)))
            for table in tables:
                conn.execute("insert into crm.free_writes(org_id, tbl, op) values (%s, %s, 'U')", (org, table))

        yield state
        state()


async def test_where_the_org_lets_contacts_run_it_runs_says_old_and_new_and_is_undone(way, lab, owner_asks, runs):
    runs("contacts")
    it = await contact(lab, "Pat", await acme(lab), title="Head")
    told = await enrich(way, it, {"title": "CTO"}, confidence=0.85)
    assert told["type"] == "result", told
    assert told["summary"] == "Done: enrich Pat: title from Head to CTO."
    look = "select title from crm.contacts where 'cont_' || id = %s"
    assert owner_asks(look, it) == "CTO"
    kept = owner_asks(
        "select source from crm.data_provenance where entity = 'contacts' and 'cont_' || record_id = %s", it
    )
    assert kept == "; ".join(SOURCES)
    undone = await way.ask("undo_change", change=told["_meta"]["change"])
    assert undone["type"] == "result", undone
    assert owner_asks(look, it) == "Head"


async def test_where_contacts_run_a_low_confidence_is_held_and_one_that_is_not_stated_runs(way, lab, runs):
    runs("contacts")
    it = await contact(lab, "Pat", await acme(lab))
    held = await enrich(way, it, {"title": "CTO"}, confidence=0.84)
    assert held["draft"]["reason"] == "the agent's own confidence is below 0.85"
    assert (await enrich(way, it, {"title": "CTO"}))["type"] == "result"


async def test_what_changes_an_organization_too_or_leaves_a_note_is_held_as_one_group(way, lab, runs):
    it = await contact(lab, "Pat", await acme(lab))
    runs("contacts")
    told = await enrich(way, it, {"title": "CTO", "industry": "Software"}, confidence=0.9)
    assert told["draft"]["reason"] == "creates or changes an organization"
    runs("contacts", "organizations")
    told = await enrich(way, it, {"title": "CTO", "industry": "Software"}, confidence=0.9)
    assert told["draft"]["reason"] == "changes 2 records, decided as one group"
    told = await enrich(way, it, {"title": "CTO", "recent_news": ["Raised"]}, confidence=0.9)
    assert told["draft"]["reason"] == "changes 2 records, decided as one group"


async def test_an_agent_enriches_as_the_policy_says_and_without_a_source_not_at_all(way, lab, runs):
    it = await contact(lab, "Pat", await acme(lab))
    asked = {
        "record": it,
        "data": {"title": "CTO"},
        "sources": SOURCES,
        "confidence": 0.9,
        "reason": "found while researching",
    }

    async def told(**more):
        return await lab.ask("enrich_contact", {**asked, **more}, LOU, agent=Agent.RESEARCH)

    assert (await told())["draft"]["reason"] == "creates or changes a contact"
    runs("contacts")
    for sources in ([], [" "]):
        assert (await told(sources=sources))["error"] == "INVALID_ARGUMENT"
    assert (await told())["type"] == "result"
    runs("contacts", agents={"research": "hold"})
    assert (await told(data={"title": "CEO"}))["draft"]["reason"] == "every write of the research agent is held"
