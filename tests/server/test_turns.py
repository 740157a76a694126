"""Calls that wait for their turn in one thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from optdriver.server.turns import Turns


@pytest.fixture
def turns():
    made = Turns("turns")
    yield made
    made.end()


def test_calls_come_one_after_the_other_in_a_thread_of_their_own(turns):
    order, threads = [], set()

    def call(number):
        order.append(number)
        threads.add(threading.get_ident())
        return number * number

    async def go():
        return await asyncio.gather(*[turns.take(call, number) for number in range(100)])

    assert asyncio.run(go()) == [number * number for number in range(100)]
    assert order == list(range(100))
    assert len(threads) == 1
    assert threads.isdisjoint({threading.get_ident()})


def test_what_a_call_raises_is_raised_where_it_was_called_for(turns):
    def broken():
        raise KeyError("of this call")

    async def go():
        with pytest.raises(KeyError, match="of this call"):
            await turns.take(broken)
        return await turns.take(int, "3")

    assert asyncio.run(go()) == 3


def test_a_call_that_nobody_waits_for_any_more_is_made_all_the_same(turns):
    begun, go_on, done = threading.Event(), threading.Event(), []

    def call():
        begun.set()
        go_on.wait(30)
        done.append(1)

    async def go():
        task = asyncio.create_task(turns.take(call))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        return await turns.take(lambda: list(done))

    assert asyncio.run(go()) == [1]


def test_a_loop_that_has_ended_does_not_end_the_thread(turns):
    begun, go_on = threading.Event(), threading.Event()

    async def left():
        task = asyncio.create_task(turns.take(lambda: (begun.set(), go_on.wait(30))))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()

    asyncio.run(left())
    go_on.set()

    async def another():
        return await turns.take(lambda: 5)

    assert asyncio.run(another()) == 5
