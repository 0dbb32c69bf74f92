"""`crm-mcp kb` and `crm-mcp search`: files become articles once a person approves; how current the index is, is said."""

import asyncio
import json

import pytest

from crm_mcp import auth, ids
from crm_mcp.approvals.executor import Executor
from crm_mcp.db import Database
from crm_mcp.search.indexer import catch_up


def approved(home, slug, *drafts):
    async def approve():
        db = Database(home.conninfo("crm_approver"))
        try:
            who = await db.sign_in(auth.by_email(f"boss@{slug}.example"))
            executor = Executor(db)
            for draft in drafts:
                number = ids.parse("drafts", draft)
                outcome = await executor.approve(who, number, (await executor.show(who, number)).hash)
                assert outcome.state == "approved", outcome
        finally:
            await db.close()

    asyncio.run(approve())


def indexed(home, org):
    async def index():
        db = Database(home.conninfo("crm_worker"))
        try:
            await catch_up(db, org)
        finally:
            await db.close()

    asyncio.run(index())


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "returns.md"
    made.write_text("\ufeff# Returns\n\nWithin 30 days.\n", encoding="utf-8")
    return made


def listed(crm, boss):
    return json.loads(crm("kb", "list", "--user", boss, "--json").stdout)


def test_a_file_waits_for_approval_becomes_an_article_and_is_taken_out(crm, firm, home, file):
    slug = firm()
    boss = f"boss@{slug}.example"
    told = crm("kb", "add", "--user", boss, "--tag", "Service", file)
    assert told.exit_code == 0, told.output
    draft = told.stdout.split()[0]
    assert "waits for approval. It would add the article 'Returns'" in told.stdout
    assert listed(crm, boss) == []
    approved(home, slug, draft)
    (article,) = listed(crm, boss)
    assert (article["title"], article["source"], article["tags"]) == ("Returns", "returns.md", ["service"])
    assert "returns.md: nothing has changed." in crm("kb", "add", "--user", boss, file).stdout
    file.write_text("# Returns\n\nWithin 14 days.\n")
    changed = crm("kb", "add", "--user", boss, "--role", "sales", file).stdout
    assert "change the article" in changed
    approved(home, slug, changed.split()[0])
    (again,) = listed(crm, boss)
    assert (again["id"], again["access"], again["roles"]) == (article["id"], "roles", ["sales"])
    gone = crm("kb", "remove", "--user", boss, article["id"]).stdout
    assert "archive the article" in gone
    approved(home, slug, gone.split()[0])
    assert "No articles." in crm("kb", "list", "--user", boss).stdout


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.pdf", b"%PDF", "give Markdown or plain text"),
        ("a.txt", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("a.md", b"x" * 200_001, "divide it"),
        ("a.md", b" \n ", "is blank"),
        ("a.md", b"a\x00b", "NUL"),
    ],
)
def test_what_is_no_text_is_refused_before_anything_is_proposed(crm, firm, tmp_path, name, content, said):
    slug = firm()
    (tmp_path / name).write_bytes(content)
    told = crm("kb", "add", "--user", f"boss@{slug}.example", tmp_path / name)
    assert told.exit_code == 1
    assert said in told.output


def test_who_may_not_write_articles_is_told_who_may(crm, firm, member, file):
    told = crm("kb", "add", "--user", member(firm()), file)
    assert told.exit_code == 1
    assert "admin, operations, support" in told.output


def test_a_person_lists_only_what_they_may_read(crm, firm, member, home, tmp_path):
    slug = firm()
    boss = f"boss@{slug}.example"
    (tmp_path / "a.txt").write_text("For all.")
    (tmp_path / "b.txt").write_text("For administrators.")
    drafts = [crm("kb", "add", "--user", boss, tmp_path / "a.txt").stdout.split()[0]]
    drafts.append(crm("kb", "add", "--user", boss, "--access", "admin", tmp_path / "b.txt").stdout.split()[0])
    approved(home, slug, *drafts)
    assert [row["title"] for row in listed(crm, boss)] == ["a", "b"]
    assert [row["title"] for row in listed(crm, member(slug))] == ["a"]


def test_how_current_the_index_is_and_that_it_is_built_anew(crm, firm, member, home, owner_asks):
    slug = firm()
    boss = f"boss@{slug}.example"
    org = owner_asks("select id from crm.orgs where slug = %s", slug)
    assert json.loads(crm("search", "status", "--user", boss, "--json").stdout)["isBuilt"] is False
    indexed(home, org)
    found = json.loads(crm("search", "status", "--user", boss, "--json").stdout)
    assert (found["isBuilt"], found["behind"], found["lagSeconds"]) == (True, 0, 0)
    assert "0 changes behind" in crm("search", "status", "--user", boss).stdout
    assert "An administrator" in crm("search", "rebuild", "--user", member(slug)).output
    assert crm("search", "rebuild", "--user", boss).exit_code == 0
    assert json.loads(crm("search", "status", "--user", boss, "--json").stdout)["isBuilt"] is False
    indexed(home, org)
    assert json.loads(crm("search", "status", "--user", boss, "--json").stdout)["isBuilt"] is True


def test_the_worker_builds_the_index_and_keeps_it(crm, firm, owner_asks):
    slug = firm()
    boss = f"boss@{slug}.example"
    assert crm("worker", "--once").exit_code == 0
    found = json.loads(crm("search", "status", "--user", boss, "--json").stdout)
    assert (found["isBuilt"], found["behind"]) == (True, 0)
