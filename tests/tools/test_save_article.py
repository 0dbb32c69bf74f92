"""The knowledge base: written with a person's approval, read by whom it is for, searched, taken out."""

import pytest
from lab import LEA, LOU, LUX

TOOL = "save_article"
WHY = {"reason": "customers ask"}


async def read_by(lab, query):
    """Return who of the lab finds an article by its words."""
    found = {}
    for email in (LEA, LOU, LUX):
        told = await lab.ask("search_documents", {"query": query, "entities": ["articles"]}, email)
        found[email] = {one["id"] for one in told["passages"]}
    return found


async def test_nothing_is_there_before_a_person_approves_and_then_it_is_found(lab, posting, indexed):
    asked = {"title": "Kumquat", "body": "Kumquats keep for a week.", "tags": [" Fruit ", "fruit"], **WHY}
    told = await lab.ask(TOOL, asked, LUX)
    assert told["type"] == "approval_required"
    assert "It would add the article 'Kumquat'" in told["summary"]
    await indexed()
    assert (await read_by(lab, "kumquats"))[LUX] == set()
    outcome = await posting.approve(int(told["draft"]["id"][6:]))
    article = outcome.result["record"]
    assert (article["access"], article["tags"], article["characters"]) == ("org", ["fruit"], 25)
    assert await read_by(lab, "kumquats") == {who: {article["id"]} for who in (LEA, LOU, LUX)}


async def test_the_same_source_again_changes_its_article(lab, posting, indexed):
    first = await posting.done(TOOL, title="Prices", body="Old rambutan prices.", source="prices.md")
    again = await posting.done(TOOL, title="Prices", body="New rambutan prices.", source="prices.md")
    assert again["id"] == first["id"]
    same = await posting.refused(TOOL, title="Prices", body="New rambutan prices.", source="prices.md")
    assert same["error"] == "NOTHING_TO_CHANGE"
    await indexed()
    told = await lab.ask("search_documents", {"query": "rambutan"})
    assert [one["passage"] for one in told["passages"]] == ["New rambutan prices."]


async def test_it_is_read_by_those_it_is_for_and_changed_by_no_other(lab, posting, indexed):
    sold = await posting.done(TOOL, title="Margins", body="Durian earns 40 %.", access="roles", roles=["sales"])
    kept = await posting.done(TOOL, title="Suppliers", body="Durian comes from Lyon.", access="admin")
    await indexed()
    assert await read_by(lab, "durian") == {LEA: {sold["id"], kept["id"]}, LOU: {sold["id"]}, LUX: set()}
    for article in (sold["id"], kept["id"], "art_999999"):
        told = await lab.ask(TOOL, {"article": article, "body": "x", **WHY}, LUX)
        assert told["error"] == "ARTICLE_NOT_FOUND"
        told = await lab.ask(TOOL, {"article": article, "action": "archive", **WHY}, LUX)
        assert told["error"] == "ARTICLE_NOT_FOUND"
    opened = await posting.done(TOOL, article=sold["id"], access="org")
    assert opened.get("roles") is None
    assert (await read_by(lab, "durian"))[LUX] == {sold["id"]}, "before the indexer has been"
    await posting.done(TOOL, article=sold["id"], access="admin")
    assert (await read_by(lab, "durian"))[LOU] == set(), "before the indexer has been"


async def test_nobody_writes_what_they_could_not_read(lab):
    for access in ({"access": "admin"}, {"access": "roles", "roles": ["sales"]}):
        told = await lab.ask(TOOL, {"title": "x", "body": "y", **access, **WHY}, LUX)
        assert told["error"] == "INVALID_ARGUMENT"
        assert "support" in told["context"]["hint"]


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"body": "x"}, "title"),
        ({"title": "x"}, "body"),
        ({"title": "x", "body": " \u200b "}, "body"),
        ({"title": "x", "body": "a\0b"}, "body"),
        ({"title": "x", "body": "y", "access": "roles"}, "roles"),
        ({"title": "x", "body": "y", "access": "org", "roles": ["sales"]}, "roles"),
        ({"action": "archive"}, "article"),
    ],
)
async def test_what_does_not_fit_is_refused(posting, asked, what):
    no = await posting.refused(TOOL, **asked)
    assert (no["error"], no["argument"]) == ("INVALID_ARGUMENT", what)


async def test_an_archived_article_is_found_no_more_and_undo_brings_it_back(lab, posting, indexed):
    made = await posting.done(TOOL, title="Jackfruit", body="Jackfruit is heavy.", source="jack.md")
    draft = await posting.held(TOOL, action="archive", article=made["id"])
    await posting.approve(draft)
    await indexed()
    assert (await read_by(lab, "jackfruit"))[LEA] == set()
    await posting.approve(await posting.held("undo_change", change=f"draft_{draft}"))
    await indexed()
    assert (await read_by(lab, "jackfruit"))[LEA] == {made["id"]}
