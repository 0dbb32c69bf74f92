"""`crm-mcp import` as a person types it: the plan, the question, the whole, the undo."""

from pathlib import Path

HUBSPOT = Path(__file__).parents[1] / "importing" / "fixtures" / "hubspot"


def test_a_folder_is_planned_brought_over_and_taken_back(crm, firm, owner_asks, tmp_path):
    slug = firm()
    boss = ("--user", f"boss@{slug}.example")
    held = "select count(*) from crm.organizations r join crm.orgs o on o.id = r.org_id where o.slug = %s"

    planned = crm("import", HUBSPOT, "--dry-run", "--rows", tmp_path / "rows.csv", *boss)

    assert planned.exit_code == 0, planned.output
    assert (
        "companies.csv (HubSpot: organizations): 3 created, 0 updated, 0 unchanged, 0 rejected of 3 read."
        in planned.output
    )
    assert "Nobody in this org, so without owner: Sabine Öztürk (1)" in planned.output
    assert "Not read of companies.csv: Create Date, Last Activity Date, Annual Revenue" in planned.output
    assert "Likely duplicates (compared in all they say): " in planned.output
    assert "In the pipeline Sales Pipeline, a new pipeline: Contract Sent, Closed Won (won)" in planned.output
    assert (tmp_path / "rows.csv").read_text("utf-8-sig").splitlines()[1] == (
        "companies.csv,2,created,organizations,Müller Maschinenbau GmbH"
    )
    assert owner_asks(held, slug) == 0

    unasked = crm("import", HUBSPOT, *boss)

    assert "Nothing was changed." in unasked.output
    assert owner_asks(held, slug) == 0

    brought = crm("import", HUBSPOT, "--from", "hubspot", "--yes", *boss)

    assert brought.exit_code == 0, brought.output
    assert owner_asks(held, slug) == 4
    draft = brought.output.rpartition("--undo ")[2].strip()

    taken_back = crm("import", "--undo", draft, *boss)

    assert taken_back.exit_code == 0, taken_back.output
    assert owner_asks(held, slug) == 0


def test_a_file_that_is_not_there_and_a_kind_that_is_none_are_said(crm):
    said = crm("import", "custmers", "x.csv", "--user", "a@b.example")

    assert said.exit_code == 2
    assert "There is no file or folder 'custmers'. Kinds are customers, organizations" in said.output
