"""Any endpoint that is compatible with OpenAI's, asked over real HTTP; whatever it does, nothing but vectors comes of it."""

import asyncio
import math

import pytest
from endpoint import answer, endpoint

from crm_mcp.degraded import Degraded
from crm_mcp.embedding import breaker, compatible
from crm_mcp.embedding.breaker import Guarded
from crm_mcp.embedding.compatible import BATCH, AddressInvalid, Compatible
from crm_mcp.embedding.embedder import EmbedderAway

KEY = "sk-never-to-be-seen"


@pytest.fixture
async def at():
    async with endpoint() as made:
        yield made


@pytest.fixture
async def asked(at):
    """Return an embedder of the endpoint and the pauses that it made, which take no time."""
    pauses = []

    async def pause(seconds):
        pauses.append(seconds)

    made = Compatible("openai:small", "small", at.url, KEY, pause=pause)
    made.pauses = pauses
    yield made
    await made.close()


async def test_vectors_come_back_in_the_order_of_the_texts(at, asked):
    texts = ["kitchen cabinets", "garden furniture", "a third text"]
    assert await asked.embed(texts, "document") == [at.vector(text) for text in texts]
    path, headers, body = at.requests[0]
    assert (path, headers["authorization"]) == ("/v1/embeddings", f"Bearer {KEY}")
    assert body == {"model": "small", "input": texts}
    assert asked.dimensions == 8


async def test_an_endpoint_is_asked_for_the_dimensions_that_are_stated(at):
    made = Compatible("openai:small@8", "small", at.url, None, 8)
    await made.embed(["one"], "query")
    await made.close()
    assert at.requests[0][2]["dimensions"] == 8
    assert "authorization" not in at.requests[0][1]


async def test_many_texts_go_out_in_batches_and_long_ones_are_cut(at, asked):
    await asked.embed([f"text {n}" for n in range(BATCH + 1)], "document")
    assert [len(body["input"]) for _, _, body in at.requests] == [BATCH, 1]
    at.requests.clear()
    await asked.embed(["x" * 50_000] * 20, "document")
    assert [len(body["input"]) for _, _, body in at.requests] == [16, 4]
    assert {len(text) for _, _, body in at.requests for text in body["input"]} == {compatible.LONGEST}


async def test_an_empty_text_is_not_sent_and_has_zeros(at, asked):
    found = await asked.embed(["", "kitchen", "  \n"], "document")
    assert at.requests[0][2]["input"] == ["kitchen"]
    assert [any(one) for one in found] == [False, True, False]
    assert [len(one) for one in found] == [8, 8, 8]


@pytest.mark.parametrize("code", [429, 500, 503, 408])
async def test_a_busy_endpoint_is_asked_again_after_longer_and_longer_pauses(at, asked, code):
    at.answers = [lambda body: answer(b"busy", code)] * 3
    assert await asked.embed(["one"], "document") == [at.vector("one")]
    assert len(at.requests) == 4
    assert 0.25 <= asked.pauses[0] < 0.5 <= asked.pauses[1] < 1 <= asked.pauses[2] < 2


async def test_the_pause_is_what_the_endpoint_wishes_unless_nobody_would_wait_so_long(at, asked):
    at.answers = [
        lambda body: answer(b"", 429, **{"Retry-After": "7"}),
        lambda body: answer(b"", 429, **{"Retry-After": "86400"}),
    ]
    await asked.embed(["one"], "document")
    assert asked.pauses[0] == 7
    assert asked.pauses[1] < 2


async def test_a_query_is_given_up_sooner_than_documents(at, asked):
    at.answers = [lambda body: answer(b"", 503)] * 9
    with pytest.raises(EmbedderAway):
        await asked.embed(["one"], "query")
    assert len(at.requests) == 2


@pytest.mark.parametrize("code", [401, 403, 404, 302])
async def test_a_wrong_key_or_address_is_not_tried_again(at, asked, code):
    at.answers = [lambda body: answer(b"", code, Location="http://127.0.0.1:1/steal")]
    with pytest.raises(EmbedderAway):
        await asked.embed(["one"], "document")
    assert len(at.requests) == 1


async def test_one_text_that_is_refused_holds_up_no_other(at, asked):
    def picky(body):
        if any("poison" in text for text in body["input"]):
            return answer({"error": {"message": "no"}}, 400)
        return at.good(body)

    at.answers = [picky] * 100
    texts = ["one", "poison", "two", "three"]
    found = await asked.embed(texts, "document")
    assert [any(one) for one in found] == [True, False, True, True]
    assert found[2] == at.vector("two")


async def test_a_text_that_is_too_long_is_shortened(at, asked):
    at.answers = [lambda body: answer(b"", 400) if max(map(len, body["input"])) > 2000 else at.good(body)] * 20
    assert await asked.embed(["kitchen " * 700], "document") == [at.vector(("kitchen " * 700)[:1400])]


async def test_an_endpoint_that_refuses_everything_is_asked_twice_and_no_more(at, asked):
    at.answers = [lambda body: answer(b"no such model", 400)] * 500
    with pytest.raises(EmbedderAway):
        await asked.embed([f"text {n}" for n in range(BATCH)], "document")
    assert len(at.requests) == 2


def row(vector, index=0):
    return {"index": index, "embedding": vector}


HOSTILE = {
    "too few": {"data": []},
    "too many": {"data": [row([1.0] * 8), row([1.0] * 8, 1)]},
    "the same index twice": {"data": [row([1.0] * 8), row([1.0] * 8)]},
    "an index from elsewhere": {"data": [row([1.0] * 8, 7)]},
    "an index that is a list": {"data": [row([1.0] * 8, [0])]},
    "not a number": b'{"data": [{"index": 0, "embedding": [NaN, 1, 1, 1, 1, 1, 1, 1]}]}',
    "infinity": b'{"data": [{"index": 0, "embedding": [Infinity, 1, 1, 1, 1, 1, 1, 1]}]}',
    "so large that it has no length": {"data": [row([1e308] * 8)]},
    "an integer that is no float": {"data": [row([10**400] * 8)]},
    "base64": {"data": [row("AAAAAAAA")]},
    "words": {"data": [row(["a"] * 8)]},
    "truth": {"data": [row([True] * 8)]},
    "other dimensions": {"data": [row([1.0] * 9)]},
    "no dimensions": {"data": [row([])]},
    "HTML": b"<html><body>Sign in</body></html>",
    "nothing": b"",
    "a list": [1, 2],
    "rows that are numbers": {"data": [1]},
    "deep": b"[" * 100_000,
    "not UTF-8": b'{"data": "\xff"}',
}


@pytest.mark.parametrize("told", HOSTILE.values(), ids=HOSTILE)
async def test_whatever_else_is_answered_counts_as_away(at, asked, told):
    embedder = Guarded(asked, Degraded())
    assert len(await embedder.embed(["first"], "query")) == 1
    at.answers = [lambda body: answer(told)] * 9
    with pytest.raises(EmbedderAway):
        await embedder.embed(["one"], "query")


async def test_zeros_for_a_text_with_words_are_kept_as_no_direction(at, asked):
    at.answers = [lambda body: answer({"data": [row([0.0] * 8)]})]
    assert await Guarded(asked, Degraded()).embed(["one"], "query") == [[0.0] * 8]


async def test_vectors_are_brought_to_unit_length(at, asked):
    at.answers = [lambda body: answer({"data": [row([3, 4, 0, 0, 0, 0, 0, 0])]})]
    (found,) = await Guarded(asked, Degraded()).embed(["one"], "query")
    assert found[:2] == [0.6, 0.8]
    assert math.isclose(math.hypot(*found), 1)


async def test_an_answer_that_never_ends_is_cut_off(at, asked, monkeypatch):
    monkeypatch.setattr(compatible, "MOST_BYTES", 1000)
    at.answers = [lambda body: answer(b" " * 2000)]
    with pytest.raises(EmbedderAway):
        await asked.embed(["one"], "query")


async def test_an_answer_that_does_not_come_is_given_up_in_bounded_time(at, asked, monkeypatch):
    monkeypatch.setitem(breaker.PATIENCE, "query", 0.05)
    at.answers = [lambda body: None]
    with pytest.raises(EmbedderAway):
        await Guarded(asked, Degraded()).embed(["one"], "query")


async def test_an_endpoint_that_was_killed_and_is_back_is_asked_as_before(at, asked):
    await asked.embed(["one"], "query")
    at.stop()
    with pytest.raises(EmbedderAway):
        await asked.embed(["one"], "query")
    await at.start()
    assert await asked.embed(["one"], "query") == [at.vector("one")]


async def test_the_key_is_in_no_log_line_and_no_error(at, asked, capfd):
    at.answers = [lambda body: answer(KEY.encode(), 401)]
    for _ in range(2):
        with pytest.raises(EmbedderAway) as problem:
            await Guarded(asked, Degraded()).embed(["one"], "query")
        assert KEY not in repr(problem.value)
        assert problem.value.__cause__ is None
        at.stop()
    said = capfd.readouterr()
    assert KEY not in said.out + said.err + repr(asked)


@pytest.mark.parametrize(
    "url",
    [
        "http://embeddings.example/v1",
        "ftp://127.0.0.1/v1",
        "https://",
        "https://a.example:0/v1",
        "https://a.example/v1?key=hush",
        "https://a.example/v1 x",
        "nonsense",
        "https://[::1",
    ],
)
def test_a_key_is_sent_to_no_address_that_is_open_to_others(url):
    with pytest.raises(AddressInvalid) as problem:
        Compatible("openai:small", "small", url, KEY)
    assert "hush" not in str(problem.value)


@pytest.mark.parametrize("url", ["https://a.example/v1/", "http://localhost:11434/v1", "http://[::1]/v1/embeddings"])
def test_an_address_may_be_of_this_machine_or_end_in_any_way(url):
    assert Compatible("openai:small", "small", url, KEY)._url.endswith("/v1/embeddings")


def test_without_a_key_a_server_next_door_may_be_asked_in_the_clear():
    assert Compatible("openai:small", "small", "http://ollama:11434/v1")


async def test_requests_at_once_do_not_disturb_each_other(at, asked):
    found = await asyncio.gather(*(asked.embed([f"text {n}"], "query") for n in range(20)))
    assert [one for (one,) in found] == [at.vector(f"text {n}") for n in range(20)]
