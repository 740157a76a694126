"""A program that waits inside of its callbacks, whatever happens around it."""

from __future__ import annotations

import functools
import gc
import sys
import threading
import warnings

import numpy as np
import pytest

from optdriver.coroutine.coroutine import Coroutine
from optdriver.errors import MissingExtraError, ProtocolError


def adder(wait):
    """Ask from inside of compiled code: `sorted` calls the key, which waits."""
    return sorted([3, 1, 2], key=wait)


def test_it_waits_inside_of_compiled_code():
    coroutine = Coroutine(adder)
    assert coroutine.send(None) == 3
    assert coroutine.send(0) == 1
    assert coroutine.send(5) == 2
    with pytest.raises(StopIteration) as end:
        coroutine.send(1)
    assert end.value.value == [3, 2, 1]
    assert coroutine.done
    with pytest.raises(StopIteration):
        coroutine.send(None)


def test_what_the_program_raises_arrives():
    def program(wait):
        raise ValueError(wait(1))

    coroutine = Coroutine(program)
    coroutine.send(None)
    with pytest.raises(ValueError, match="two"):
        coroutine.send("two")
    assert coroutine.done


def test_what_is_thrown_arrives_where_it_waits():
    def program(wait):
        try:
            wait(1)
        except KeyError as error:
            return wait(error.args)

    coroutine = Coroutine(program)
    coroutine.send(None)
    assert coroutine.throw(KeyError(7)) == (7,)


@pytest.mark.parametrize("end", [Coroutine.close, lambda _: None])
def test_one_that_is_closed_or_forgotten_cleans_up(end):
    seen = []

    def program(wait):
        try:
            wait(1)
        finally:
            seen.append("cleaned")

    coroutine = Coroutine(program)
    coroutine.send(None)
    end(coroutine)
    del coroutine
    gc.collect()
    assert seen == ["cleaned"]


def test_many_are_interleaved():
    def counting(step, wait):
        total = 0
        while True:
            total += step * wait(total)

    coroutines = [Coroutine(functools.partial(counting, step)) for step in range(20)]
    for _ in range(4):
        totals = [coroutine.send(1) for coroutine in coroutines]
    assert totals == [3 * step for step in range(20)]


def test_it_goes_on_in_its_thread_only():
    coroutine = Coroutine(adder)
    coroutine.send(None)
    errors = []

    def elsewhere():
        assert not coroutine.here
        with pytest.raises(ProtocolError, match="the thread that made it") as caught:
            coroutine.send(0)
        errors.append(caught)

    for _ in range(2):  # the second thread may have the number of the first
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert len(errors) == 2
    assert coroutine.send(0) == 1


def test_it_cannot_go_on_from_inside():
    def program(wait):
        return holder[0].send(1)

    holder = []
    holder.append(Coroutine(program))
    with pytest.raises(ProtocolError, match="inside of itself"):
        holder[0].send(None)


def test_warning_filters_and_errors_of_arithmetic_stay_on_their_side():
    def program(wait):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            wait(1)
            with pytest.raises(UserWarning):
                warnings.warn("an error here", stacklevel=1)
        warnings.warn("ignored", stacklevel=1)
        return np.float64(1.0) / 0.0

    coroutine = Coroutine(program)
    before = list(warnings.filters), warnings.showwarning
    with warnings.catch_warnings(record=True) as seen, np.errstate(all="raise"):
        warnings.simplefilter("always")
        coroutine.send(None)
        warnings.warn("of the host", stacklevel=1)
        with pytest.raises(StopIteration) as end:
            coroutine.send(None)
        with pytest.raises(FloatingPointError):
            np.float64(1.0) / 0.0
    assert end.value.value == np.inf
    assert [str(w.message) for w in seen] == ["of the host"]
    assert (list(warnings.filters), warnings.showwarning) == before


def test_without_greenlet_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "greenlet", None)
    with pytest.raises(MissingExtraError, match=r"optdriver\[methods\]"):
        Coroutine(adder)
