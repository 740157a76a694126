"""The generator: it holds nothing, and can be dropped and made again."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from optdriver.errors import InputError, ProtocolError
from optdriver.lbfgsb import Options, Stop, advance, iterate, start
from tests.lbfgsb.problems import ROSENBROCK_START, points, rosenbrock, run, same

EXPECTED = points(run(rosenbrock, ROSENBROCK_START)[1])


def test_the_short_loop():
    state, seen = start(ROSENBROCK_START), []
    it = iterate(state)
    x = next(it)
    with pytest.raises(StopIteration) as end:
        while True:
            seen.append(x)
            x = it.send(rosenbrock(x))
    assert end.value.value is state
    np.testing.assert_array_equal(seen, EXPECTED)


@pytest.mark.parametrize("pickled", [False, True])
def test_made_again_at_each_point(pickled):
    state, seen = start(ROSENBROCK_START), []
    while True:
        if pickled:
            state = pickle.loads(pickle.dumps(state))
        it = iterate(state)
        try:
            x = next(it)
        except StopIteration:
            break
        np.testing.assert_array_equal(next(iterate(state)), x)
        seen.append(x)
        try:
            it.send(rosenbrock(x))
        except StopIteration:
            break
    np.testing.assert_array_equal(seen, EXPECTED)


def test_none_is_a_failed_evaluation():
    state = start(ROSENBROCK_START)
    it = iterate(state)
    first = next(it)
    np.testing.assert_array_equal(it.send(None), first)
    with pytest.raises(StopIteration):
        it.send(None)
    assert state.stop == Stop.FAILED


@pytest.mark.parametrize("wrong", [3.0, (1.0,), (1.0, 2.0, 3.0), (1.0, [1.0]), ("a", np.ones(3))])
def test_what_cannot_be_used_leaves_the_state(wrong):
    state = start(ROSENBROCK_START)
    it = iterate(state)
    next(it)
    before = state.to_dict()
    with pytest.raises(InputError):
        it.send(wrong)
    assert same(state.to_dict(), before)
    np.testing.assert_array_equal(next(iterate(state)), ROSENBROCK_START)


def test_a_state_that_is_done_gives_nothing():
    state = start([1.0], options=Options(maxiter=0))
    advance(state, 1.0, [1.0])
    assert list(iterate(state)) == []
    with pytest.raises(ProtocolError):
        advance(state, 1.0, [1.0])
