"""An embedder that is away is left alone for a while, found again without a restart, and never trusted unseen."""

import asyncio

import pytest

from crm_mcp.degraded import Degraded
from crm_mcp.embedding.breaker import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Guarded
from crm_mcp.embedding.embedder import EmbedderAway


class Flaky:
    name, dimensions, is_semantic = "flaky", 2, True

    def __init__(self):
        self.is_away, self.asked, self.gate, self.gives = False, 0, None, [3.0, 4.0]

    async def embed(self, texts, purpose):
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.is_away, Exception):
            raise self.is_away
        if self.is_away:
            raise EmbedderAway
        return [self.gives for _ in texts]


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def flaky():
    return Flaky()


@pytest.fixture
def degraded():
    return Degraded()


@pytest.fixture
def guarded(flaky, degraded, now):
    return Guarded(flaky, degraded, clock=lambda: now[0])


async def fails(guarded, times=1):
    for _ in range(times):
        with pytest.raises(EmbedderAway):
            await guarded.embed(["text"], "query")


async def test_after_some_failures_it_is_left_alone_and_callers_wait_for_nothing(guarded, flaky, now):
    flaky.is_away = True
    await fails(guarded, FAILURES)
    assert guarded.state == "open"
    await fails(guarded, 10)
    now[0] += FIRST_PAUSE - 0.01
    await fails(guarded)
    assert flaky.asked == FAILURES


async def test_a_single_failure_does_not_open_it(guarded, flaky):
    flaky.is_away = True
    await fails(guarded, FAILURES - 1)
    flaky.is_away = False
    assert await guarded.embed(["text"], "query") == [[0.6, 0.8]]
    flaky.is_away = True
    await fails(guarded, FAILURES - 1)
    assert guarded.state == "closed"


async def test_it_is_tried_once_after_the_pause_and_works_on_without_a_restart(guarded, flaky, degraded, now):
    flaky.is_away = True
    await fails(guarded, FAILURES)
    assert degraded.meta() == {"degraded": {"embedder": "found by words alone"}}
    now[0] += FIRST_PAUSE
    flaky.is_away = False
    assert await guarded.embed(["text"], "query") == [[0.6, 0.8]]
    assert guarded.state == "closed"
    assert degraded.meta() == {}


async def test_each_try_that_fails_makes_the_next_pause_longer_up_to_a_bound(guarded, flaky, now):
    flaky.is_away = True
    await fails(guarded, FAILURES)
    pause = FIRST_PAUSE
    for _ in range(6):
        now[0] += pause
        await fails(guarded)
        pause = min(pause * 2, LONGEST_PAUSE)
        now[0] += pause - 0.01
        asked = flaky.asked
        await fails(guarded)
        assert flaky.asked == asked
        now[0] += 0.01 - pause
    assert flaky.asked == FAILURES + 6


async def test_only_one_call_tries_while_others_go_on_without(guarded, flaky, now):
    flaky.is_away = True
    await fails(guarded, FAILURES)
    now[0] += FIRST_PAUSE
    flaky.is_away, flaky.gate = False, asyncio.Event()
    trying = asyncio.create_task(guarded.embed(["text"], "query"))
    await asyncio.sleep(0)
    await fails(guarded, 5)
    assert guarded.state == "half-open"
    flaky.gate.set()
    assert await trying == [[0.6, 0.8]]
    assert flaky.asked == FAILURES + 1


async def test_a_try_that_is_cancelled_lets_the_next_one_try(guarded, flaky, now):
    flaky.is_away = True
    await fails(guarded, FAILURES)
    now[0] += FIRST_PAUSE
    flaky.is_away, flaky.gate = False, asyncio.Event()
    trying = asyncio.create_task(guarded.embed(["text"], "query"))
    await asyncio.sleep(0)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    flaky.gate.set()
    assert await guarded.embed(["text"], "query") == [[0.6, 0.8]]


@pytest.mark.parametrize("problem", [RuntimeError("driver says hush"), MemoryError(), OSError("disk")])
async def test_whatever_a_library_raises_counts_as_away_and_its_text_goes_nowhere(guarded, flaky, problem, capfd):
    flaky.is_away = problem
    with pytest.raises(EmbedderAway) as raised:
        await guarded.embed(["text"], "query")
    assert "hush" not in repr(raised.value) + capfd.readouterr().err
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("gives", [[1.0], [1.0, 2.0, 3.0], [float("nan"), 1.0], [float("inf"), 1.0], [1e-200, 0.0]])
async def test_a_vector_that_cannot_be_compared_counts_as_away(guarded, flaky, gives):
    flaky.gives = gives
    await fails(guarded)


async def test_texts_without_a_word_ask_nobody(guarded, flaky, degraded):
    flaky.is_away = True
    assert await guarded.embed(["", "  "], "document") == [[0.0, 0.0]] * 2
    assert flaky.asked == 0
    assert degraded.meta() == {}
