from lab import LEA, LOU, LUX, ago
from test_save_memory import WHY, noted, remember

from crm_mcp.embedding.embedder import EmbedderAway


async def note(lab, about, body, email=LOU):
    return await lab.ask("add_note", {"about": about, "body": body, **WHY}, email)


class Away:
    name, dimensions, is_semantic = "away-1", 4, True

    async def embed(self, texts, purpose):
        raise EmbedderAway


class Meaning:
    """Knows that a ship and a boat are alike, and a car is not."""

    name, dimensions, is_semantic = "meaning-1", 2, True

    async def embed(self, texts, purpose):
        return [[1.0, 0.0] if ("ship" in text or "boat" in text) else [0.0, 1.0] for text in texts]


async def test_notes_activities_and_memories_stand_together_the_newest_first(lab):
    customer = await lab.customer("Together")
    await note(lab, customer, "They moved to the harbour.")
    logged = {"about": customer, "kind": "call", "subject": "Asked for prices", "happened_at": ago(3).isoformat()}
    await lab.ask("log_activity", {**logged, **WHY}, LOU)
    await remember(lab, customer, "They want it blue.")
    found = await lab.ask("find_notes_on", {"about": customer}, LOU)
    assert [(one["kind"], one["text"]) for one in found["notes"]] == [
        ("lead_interaction", "They want it blue."),
        ("note", "They moved to the harbour."),
        ("call", "Asked for prices"),
    ]
    assert found["_meta"]["total"] == 3 and "foundBy" not in found["_meta"]
    assert "never instructions" in found["_meta"]["trust"]
    assert len((await lab.ask("find_notes_on", {"about": customer, "limit": 1}, LOU))["notes"]) == 1


async def test_a_question_ranks_what_is_near_and_leaves_out_what_is_not(lab):
    customer = await lab.customer("Asked about")
    await note(lab, customer, "The invoice goes to the head office.")
    await remember(lab, customer, "Impressed with automation, needs an API.")
    found = await lab.ask("find_notes_on", {"about": customer, "query": "who gets the invoices?"}, LOU)
    assert [one["text"] for one in found["notes"]] == ["The invoice goes to the head office."]
    assert found["_meta"]["foundBy"] == "lexical"
    assert await noted(lab, customer, query="xyzzy") == []


async def test_on_an_account_what_is_about_its_contacts_is_told_too_and_says_of_whom(lab):
    from crm_mcp.crm.models import Contact

    customer = await lab.customer("With people")
    (number,) = await lab.add(Contact, {"customer_id": int(customer[5:]), "name": "Ann"})
    await note(lab, f"cont_{number}", "Ann decides.")
    (one,) = await noted(lab, customer)
    assert one["about"] == {"id": f"cont_{number}", "name": "Ann"}
    (one,) = await noted(lab, f"cont_{number}")
    assert "about" not in one


async def test_vectors_of_the_worker_find_by_meaning_what_words_do_not(lab, worker_recollects, served_by):
    customer = await lab.customer("Mariners")
    await remember(lab, customer, "They sail a ship.")
    await remember(lab, customer, "They drive a car.")
    await worker_recollects(Meaning())
    found = await served_by(Meaning(), "find_notes_on", {"about": customer, "query": "boat"})
    assert found["notes"][0]["text"] == "They sail a ship." and found["_meta"]["foundBy"] == "meaning and words"
    lexical = await lab.ask("find_notes_on", {"about": customer, "query": "boat"}, LOU)
    assert lexical["notes"] == [], "vectors of another embedder are not compared"


async def test_while_the_embedder_is_away_words_find_alone_and_the_answer_says_so(lab, served_by):
    customer = await lab.customer("Away")
    await note(lab, customer, "The pump leaks.")
    found = await served_by(Away(), "find_notes_on", {"about": customer, "query": "leaking pump"})
    assert [one["text"] for one in found["notes"]] == ["The pump leaks."]
    assert found["_meta"]["foundBy"] == "words alone" and "embedder" in found["_meta"]["degraded"]


async def test_being_told_is_counted(lab, owner_asks):
    customer = await lab.customer("Counted")
    told = await remember(lab, customer, "Count me.")
    await noted(lab, customer)
    await noted(lab, customer)
    counted = "select told from crm.memory_uses where kind = 'learning' and 'mem_' || record_id = %s"
    assert owner_asks(counted, told["memory"]["id"]) == 2


async def test_hostile_questions_find_nothing_and_break_nothing(lab):
    customer = await lab.customer("Hostile")
    await note(lab, customer, "Quiet.")
    for query in ("' or 1=1 --", "%(org)s", "\\", "a" * 300, "[1,2,3]", "::halfvec"):
        assert await noted(lab, customer, query=query) == []
    assert (await lab.ask("find_notes_on", {"about": customer, "query": "\u200b"}, LOU))[
        "error"
    ] == "INVALID_ARGUMENT"


async def test_of_a_digest_the_list_tells_it_and_a_question_what_it_sums_up(lab, worker_recollects, as_if_later):
    customer = await lab.customer("Much remembered")
    for number in range(11):
        await remember(lab, customer, f"Visit {number}: the crane was discussed.")
    as_if_later(customer, "8 days")
    await remember(lab, customer, "Today they called.")
    await worker_recollects()
    await worker_recollects()
    first, second = await noted(lab, customer, limit=100)
    assert (first["kind"], second["kind"]) == ("digest", "lead_interaction")
    digest = first
    assert digest["source"] == "system" and digest["details"]["count"] == 11 and "crane" in digest["text"]
    assert len(digest["text"]) <= 1_500
    asked = await noted(lab, customer, query="Visit 7", limit=100)
    assert "Visit 7: the crane was discussed." in [one["text"] for one in asked]
    assert [one["kind"] for one in await noted(lab, customer, LUX)] == ["digest", "lead_interaction"]
    assert (await lab.ask("delete_preference", {"preference": digest["id"], **WHY}, LEA))["type"] == "result"
    assert len(await noted(lab, customer, limit=100)) == 12


async def test_what_is_too_much_for_an_answer_is_left_out_and_that_is_said(lab):
    customer = await lab.customer("Talkative")
    for number in range(12):
        await note(lab, customer, f"{number}: " + "words and more words " * 400)
    found = await lab.ask("find_notes_on", {"about": customer, "limit": 100}, LOU)
    assert 0 < len(found["notes"]) < 12 and found["_meta"]["total"] == 12
    assert all(len(one["text"]) <= 1_000 for one in found["notes"])
    assert "left out" in str(found["_meta"]) or "leftOut" in str(found["_meta"]), found["_meta"]


async def test_a_vector_of_an_older_text_or_of_another_embedder_finds_nothing(lab, worker_recollects, served_by):
    wish = {"kind": "correction", "apply": "get_quotes.status: anchored = open", **WHY}
    told = await lab.ask("save_preference", {"text": "A ship that waits is open.", **wish}, LOU)
    await worker_recollects(Meaning())
    asked = {"query": "boat", "kind": "correction"}

    async def found(embedder):
        return [one["id"] for one in (await served_by(embedder, "find_preferences", asked))["preferences"]]

    class Other(Meaning):
        name = "meaning-2"

    assert told["preference"]["id"] in await found(Meaning())
    assert told["preference"]["id"] not in await found(Other())
    changed = await lab.ask("save_preference", {"text": "Parked cars are open.", **wish}, LOU)
    assert changed["preference"]["id"] == told["preference"]["id"]
    assert told["preference"]["id"] not in await found(Meaning())
    await lab.ask("delete_preference", {"preference": told["preference"]["id"], **WHY}, LOU)
