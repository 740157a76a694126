"""Calls that wait for their turn in one thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from optdriver.server.turns import IN_A_ROW, Turns


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


def threads_of(turns, call, count):
    async def go():
        return [await turns.take_briefly(call) for _ in range(count)]

    return asyncio.run(go())


def test_brief_calls_in_a_row_are_made_at_once_where_nobody_else_waits():
    for alone in (True, False):
        turns = Turns("turns", alone=alone)
        found = threads_of(turns, threading.get_ident, IN_A_ROW + 3)
        here = threading.get_ident()
        assert [each == here for each in found] == [False] * IN_A_ROW + [alone] * 3
        turns.end()


def test_a_long_call_sends_those_after_it_to_the_thread(monkeypatch):
    turns, here = Turns("turns", alone=True), threading.get_ident()
    assert threads_of(turns, threading.get_ident, IN_A_ROW + 1)[-1] == here
    monkeypatch.setattr("optdriver.server.turns.BRIEF", 0.0)
    assert threads_of(turns, threading.get_ident, 2)[0] == here  # nobody knew before
    monkeypatch.undo()
    assert here not in threads_of(turns, threading.get_ident, IN_A_ROW)
    assert threads_of(turns, threading.get_ident, 1) == [here]
    turns.end()


def test_a_brief_call_does_not_overtake_what_waits_in_the_thread():
    turns, go_on, order = Turns("turns", alone=True), threading.Event(), []
    threads_of(turns, int, IN_A_ROW)

    async def go():
        long = asyncio.create_task(turns.take(lambda: (go_on.wait(30), order.append("long"))))
        await asyncio.sleep(0)
        brief = asyncio.create_task(turns.take_briefly(order.append, "brief"))
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(long, brief)
        await turns.take_briefly(order.append, "last")

    asyncio.run(go())
    assert order == ["long", "brief", "last"]
    turns.end()


def test_what_a_brief_call_raises_is_raised(turns):
    turns.alone = True
    threads_of(turns, int, IN_A_ROW)

    async def go():
        with pytest.raises(ZeroDivisionError):
            await turns.take_briefly(lambda: 1 // 0)
        return await turns.take_briefly(int, "4")

    assert asyncio.run(go()) == 4
