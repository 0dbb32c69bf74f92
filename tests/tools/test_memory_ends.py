"""What is remembered goes when its time is over, by the clock of the database, and leaves nothing of what it said."""

from lab import LOU
from test_find_notes_on import Away
from test_save_memory import noted, remember
from test_save_preference import WHY

from crm_mcp import recollecting
from crm_mcp.degraded import Degraded
from crm_mcp.embedding.ngrams import HashedNgrams
from crm_mcp.worker import round_of_work


async def test_an_hour_ends_a_chat_and_thirty_days_a_thread_and_nobody_is_told_them_before_they_are_swept(
    lab, as_if_later, worker_recollects, owner_asks
):
    customer = await lab.customer("Ending")
    for kind in ("chat_conversation", "email_thread", "lead_interaction"):
        assert (await remember(lab, customer, f"A {kind}.", kind))["type"] == "result"
    as_if_later(customer, "59 minutes")
    assert len(await noted(lab, customer)) == 3
    as_if_later(customer, "1 minute")
    assert {one["kind"] for one in await noted(lab, customer)} == {"email_thread", "lead_interaction"}
    await worker_recollects()
    left = "select jsonb_agg(kind order by kind) from crm.learnings where customer_id = %s"
    assert owner_asks(left, int(customer[5:])) == ["email_thread", "lead_interaction"]
    as_if_later(customer, "30 days")
    await worker_recollects()
    assert owner_asks(left, int(customer[5:])) == ["lead_interaction"]
    as_if_later(customer, "335 days")
    await worker_recollects()
    assert owner_asks(left, int(customer[5:])) is None


async def test_what_a_memory_said_is_in_no_record_of_changes_and_goes_with_its_vector_and_its_counts(
    lab, as_if_later, worker_recollects, owner_asks
):
    customer = await lab.customer("Traceless")
    told = await remember(lab, customer, "Unmistakable zebra.", "chat_conversation")
    number = int(told["memory"]["id"][4:])
    await noted(lab, customer)
    await worker_recollects()
    beside = "select (select count(*) from crm.memory_vectors where kind = 'learning' and record_id = %s) + (select count(*) from crm.memory_uses where kind = 'learning' and record_id = %s)"
    assert owner_asks(beside, number, number) == 2
    as_if_later(customer, "2 hours")
    await worker_recollects()
    assert owner_asks(beside, number, number) == 0
    recorded = "select jsonb_agg(op::text order by id) from crm.changes where tbl = 'learnings' and (key ->> 'id')::bigint = %s"
    assert owner_asks(recorded, number) == ["I", "D"]
    assert (
        owner_asks(
            "select count(*) from crm.changes where concat(before, after) like '%%zebra%%' and tbl = 'learnings'"
        )
        == 0
    )


async def test_a_deleted_memory_comes_back_for_a_month_and_then_goes(lab, as_if_later, worker_recollects, owner_asks):
    customer = await lab.customer("Deleted and gone")
    told = await remember(lab, customer, "Oops.")
    await lab.ask("delete_preference", {"preference": told["memory"]["id"], **WHY}, LOU)
    await worker_recollects()
    there = "select count(*) from crm.learnings where 'mem_' || id = %s"
    assert owner_asks(there, told["memory"]["id"]) == 1
    as_if_later(customer, "31 days")
    await worker_recollects()
    assert owner_asks(there, told["memory"]["id"]) == 0


async def test_what_is_kept_for_good_stays(lab, as_if_later, worker_recollects):
    customer = await lab.customer("For good")
    await remember(lab, customer, "Tuesdays work.", "campaign_result", details={"campaign": "Spring"})
    as_if_later(customer, "4000 days")
    await worker_recollects()
    assert [one["text"] for one in await noted(lab, customer)] == ["Tuesdays work."]


async def test_vectors_are_made_of_what_is_left_without_personal_data_and_made_anew_when_it_changes(
    lab, worker_recollects, owner_asks, served_by
):
    seen: list[str] = []

    class Listening:
        name, dimensions, is_semantic = "listening-1", 2, False

        async def embed(self, texts, purpose):
            seen.extend(texts)
            return [[1.0, 0.0] for _ in texts]

    customer = await lab.customer("Listened to")
    await remember(lab, customer, "Write ann@mail.example.", details={"key_points": ["IP 192.168.10.4 is theirs"]})
    saved = await lab.ask("save_preference", {"text": "Copy bob@mail.example, listened.", **WHY}, LOU)
    await worker_recollects(Listening())
    await served_by(Listening(), "find_preferences", {"query": "eve@mail.example"})
    whole = "\n".join(seen)
    assert "Write [e-mail]." in whole and "IP [IP address] is theirs" in whole and "Copy [e-mail], listened." in seen
    assert "mail.example" not in whole and "192.168" not in whole
    seen.clear()
    await worker_recollects(Listening())
    assert seen == []
    again = {"text": "COPY bob@mail.example, listened.", **WHY}
    assert (await lab.ask("save_preference", again, LOU))["preference"]["id"] == saved["preference"]["id"]
    await worker_recollects(Listening())
    assert seen == ["COPY [e-mail], listened."]
    await lab.ask("delete_preference", {"preference": saved["preference"]["id"], **WHY}, LOU)
    await worker_recollects(Listening())
    kept = "select count(*) from crm.memory_vectors where kind = 'preference' and 'pref_' || record_id = %s"
    assert owner_asks(kept, saved["preference"]["id"]) == 0


async def test_while_the_embedder_is_away_the_worker_goes_on_and_says_so(lab, worker_recollects):
    await remember(lab, await lab.customer("Worked without"), "Anything.")
    degraded = await worker_recollects(Away())
    assert "embedder" in degraded.meta()["degraded"]


async def test_a_round_of_the_worker_forgets_what_is_over_and_gives_the_rest_vectors(
    lab, as_if_later, home, database_of, owner_asks
):
    customer = await lab.customer("Rounds")
    await remember(lab, customer, "Over.", "chat_conversation")
    as_if_later(customer, "2 hours")
    await remember(lab, customer, "Here to stay.")
    worker = database_of(home.conninfo("crm_worker"))
    await round_of_work(worker, None)
    await recollecting.look(worker, HashedNgrams(), Degraded())
    left = """select jsonb_agg(jsonb_build_array(l.kind, v.model)) from crm.learnings l left join crm.memory_vectors v
      on v.org_id = l.org_id and v.kind = 'learning' and v.record_id = l.id and v.version = l.version where l.customer_id = %s"""
    assert owner_asks(left, int(customer[5:])) == [["lead_interaction", "ngrams-1"]]
