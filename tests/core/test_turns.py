"""Few at a time, and fairly: who waits for many turns lets others in between."""

import asyncio

import pytest

from crm_mcp.turns import Turns


async def test_no_more_than_so_many_run_and_who_waits_is_taken_round_by_round():
    turns, order, running, most = Turns(2), list[str](), 0, 0

    async def work(who: str) -> None:
        nonlocal running, most
        async with turns.turn(who, 60):
            running += 1
            most = max(most, running)
            order.append(who)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*[work("much") for _ in range(6)], work("one"), work("another"), work("one"))
    assert most == 2
    assert order == ["much", "much", "much", "one", "another", "much", "one", "much", "much"]
    await asyncio.gather(work("again"), work("again"))
    assert running == 0


async def test_who_waits_too_long_is_told_and_takes_no_turn_from_others():
    turns = Turns(1)
    async with turns.turn("a", 60):
        with pytest.raises(TimeoutError):
            async with turns.turn("b", 0.01):
                pass
    async with turns.turn("c", 0.01):
        pass


async def test_a_turn_that_comes_as_its_waiter_is_cancelled_goes_to_the_next():
    turns = Turns(1)

    async def wait(who: str) -> str:
        async with turns.turn(who, 60):
            return who

    async with turns.turn("a", 60):
        second, third = asyncio.create_task(wait("b")), asyncio.create_task(wait("c"))
        await asyncio.sleep(0)
    second.cancel()
    assert await third == "c"
    with pytest.raises(asyncio.CancelledError):
        await second
    async with turns.turn("d", 0.01):
        pass
