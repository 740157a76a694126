"""Classes derived from ours that say themselves what goes into a pickle, or hide what is ours."""

from __future__ import annotations

import copy
import json
import pickle
import threading

import numpy as np
import pytest

from optdriver import LBFGSB, CallbackMinimizer, FeasibleMinimizer, LeastSquares, MultiStart
from optdriver.batch import Batch
from optdriver.errors import InputError


class Locked(LBFGSB):
    """What it holds cannot be pickled, and it says so."""

    def begin(self):
        self.lock, self.count = threading.Lock(), 3

    def __getstate__(self):
        return {"count": self.count}


class LockedStarts(MultiStart):
    """The same, with the state of a multi-start in a dict."""

    def __getstate__(self):
        return {**super().__getstate__(), "count": self.count}

    def __setstate__(self, data):
        super().__setstate__({name: value for name, value in data.items() if name != "count"})
        self.count, self.lock = data["count"], threading.Lock()


class LockedFeasible(FeasibleMinimizer):
    """The same under constraints."""

    def __getstate__(self):
        return {**super().__getstate__(), "count": self.count}

    def __setstate__(self, data):
        super().__setstate__(data)
        self.count, self.lock = data["count"], threading.Lock()


class Counting(FeasibleMinimizer):
    """Counts its tells, in a slot and without."""

    __slots__ = ("told",)

    def tell(self, f, g):
        super().tell(f, g)
        self.told = getattr(self, "told", 0) + 1
        self.last = f


class Rows(Batch):
    """Overrides a method, and has a note."""

    @property
    def waiting(self):
        return self.note


def test_a_derived_class_says_itself_what_is_pickled():
    derived = Locked([0.5], [(0, 1)])
    derived.begin()
    again = pickle.loads(pickle.dumps(derived))
    assert again.count == 3
    assert not hasattr(again, "lock")
    assert again.ask() == derived.ask()
    assert derived.copy().lock is derived.lock


def test_a_multi_start_says_itself_what_is_pickled():
    derived = LockedStarts([(0, 1)])
    derived.count, derived.lock = 3, threading.Lock()
    for again in (pickle.loads(pickle.dumps(derived)), copy.deepcopy(derived)):
        assert again.count == 3
        assert again.lock is not derived.lock
        (point,), (other,) = again.copy().ask(), derived.copy().ask()
        assert (point.id, point.x.tobytes()) == (other.id, other.x.tobytes())


def test_a_feasible_minimizer_says_itself_what_is_pickled():
    derived = LockedFeasible([0.5], ["x <= 0.7"], [(0, 1)], names=["x"])
    derived.count, derived.lock = 3, threading.Lock()
    again = pickle.loads(pickle.dumps(derived))
    assert again.count == 3
    assert again.ask() == derived.ask()


def test_it_goes_on_through_calls_and_copies():
    derived = Counting([0.1, 0.2], ["x + y <= 1.2"], [(0, 1)] * 2, names=["x", "y"])
    for _ in range(2):
        x = derived.ask()
        derived.tell(float((x - 1) @ (x - 1)), 2 * (x - 1))
        derived = pickle.loads(pickle.dumps(copy.deepcopy(derived.copy())))
    assert derived.told == 2
    assert derived.last == pytest.approx(float((x - 1) @ (x - 1)))


def test_methods_of_a_derived_batch_stay():
    derived = Rows([[0.0, 0.0], [1.0, 1.0]], [(-1, 3)] * 2, lanes=1)
    derived.note = 17
    for again in (pickle.loads(pickle.dumps(derived)), derived.copy(), copy.deepcopy(derived)):
        assert again.waiting == 17
        assert np.array_equal(again.ask(), derived.ask())


@pytest.mark.parametrize(
    "made",
    [
        LBFGSB([0.5], [(0, 1)]),
        LeastSquares([0.5], [(0, 1)]),
        MultiStart([(0, 1)]),
        Batch([[0.5]], [(0, 1)]),
        CallbackMinimizer("Powell", [0.5], [(0, 1)]),
        FeasibleMinimizer([0.5], ["x <= 0.7"], [(0, 1)], names=["x"]),
    ],
    ids=lambda made: type(made).__name__,
)
def test_stored_data_set_no_attributes(made):
    """A dict may come from anybody: it must not replace methods."""
    data = made.to_dict()
    for harmful in ({**data, "own": [{"ask": 1}, {}]}, [data, [{"ask": 1}, {}]]):
        plain = json.loads(json.dumps(harmful, default=np.ndarray.tolist))
        try:
            again = type(made).from_dict(plain)
        except InputError:
            continue
        assert callable(again.ask)
