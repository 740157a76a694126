"""What a batch is given: clear errors, or the documented right thing."""

from __future__ import annotations

import math
import re
import warnings

import numpy as np
import pytest
from scipy.optimize import Bounds

from optdriver.batch import Batch, minimize_batch
from optdriver.batch.reading import read_evaluation
from optdriver.errors import InputError, InputTypeError
from tests.batch.tools import many_ripples
from tests.contracts.minimizer import equal
from tests.contracts.numbers import no_vectors, vectors

X0S = np.array([[0.5, 0.5], [2.0, -2.0], [9.0, 1.0]])
BOX = [(-1, 1), (-3, 3)]


def told(batch):
    """A batch after a few rounds."""
    for _ in range(3):
        batch.tell(*many_ripples(batch.ask()))
    return batch


# -- starts


@pytest.mark.parametrize(
    ("x0s", "message"),
    [
        ([1.0, 2.0], r"x0s has shape (2,); expected (N, n): a row for a start; for one start"),
        (1.0, "x0s has shape ()"),
        (np.zeros((2, 2, 2)), "x0s has shape (2, 2, 2)"),
        ([[1.0, 2.0], [3.0]], "must be real numbers"),
        ([["a", "b"]], "must be real numbers"),
        ([[1.0, None]], "must be real numbers"),
        ([[1j, 2.0]], "must be real numbers"),
        ([[1.0, 2.0], [3.0, math.nan]], "x0s[1, 1] is nan; expected a finite number"),
        ([[math.inf, 2.0]], "x0s[0, 0] is inf"),
        (None, "there are no starts: give x0s of shape (N, n), or total= and bounds"),
    ],
)
def test_starts_that_cannot_be_used(x0s, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Batch(x0s, BOX)


def test_starts_outside_are_moved_in_and_the_array_given_is_left_alone():
    given = X0S.copy()
    batch = Batch(given, BOX)
    np.testing.assert_array_equal(batch.ask(), [[0.5, 0.5], [1.0, -2.0], [1.0, 1.0]])
    told(batch)
    np.testing.assert_array_equal(given, X0S)


def test_starts_of_other_kinds_are_read():
    for x0s in (X0S.astype(np.float32), X0S.tolist(), np.asfortranarray(X0S), X0S[::-1][::-1]):
        np.testing.assert_array_equal(Batch(x0s).ask(), X0S)
    assert Batch(np.array([[1, 2]])).ask().dtype == np.float64


@pytest.mark.parametrize("x0s", [[], np.zeros((0, 2)), None])
def test_no_starts(x0s):
    batch = Batch(x0s, BOX, total=0 if x0s is None else None)
    assert batch.done
    assert batch.n == 2
    result = minimize_batch(many_ripples, x0s, BOX, total=0 if x0s is None else None)
    assert result.x.shape == result.jac.shape == (0, 2)
    assert result.fun.shape == result.success.shape == (0,)
    assert result.message == []
    assert result.best is None
    assert Batch([]).n == 0


def test_one_start():
    result = minimize_batch(many_ripples, X0S[:1], BOX)
    assert result.success.tolist() == [True]
    assert result.best == 0


def test_no_variables():
    result = minimize_batch(lambda x: (np.ones(len(x)), x), np.zeros((3, 0)))
    assert result.success.all()
    assert result.nfev.tolist() == [1, 1, 1]
    assert Batch(np.zeros((1, 0)), [], total=3).ask().shape == (3, 0)


# -- bounds


def test_bounds_shared_in_all_their_forms():
    lower, upper = [-1, -3], [1, 3]
    for bounds in (BOX, np.array(BOX), Bounds(lower, upper), zip(lower, upper, strict=True)):
        np.testing.assert_array_equal(Batch(X0S, bounds).ask()[1], [1.0, -2.0])
    np.testing.assert_array_equal(Batch(X0S, Bounds(-1, 1)).ask()[1], [1.0, -1.0])
    np.testing.assert_array_equal(Batch(X0S, [(None, 1), (None, None)]).ask()[1], [1.0, -2.0])


def test_bounds_of_each_lane_in_all_their_forms():
    lower = np.array([[0.0, -np.inf], [3.0, 0.0], [0.0, 0.0]])
    upper = np.array([[0.25, 0.0], [3.0, np.inf], [10.0, 0.5]])
    expected = np.clip(X0S, lower, upper)
    pairs = np.stack([lower, upper], axis=-1)
    nones = [[[None if np.isinf(b) else b for b in pair] for pair in lane] for lane in pairs]
    for bounds in (pairs, pairs.tolist(), nones, Bounds(lower, upper), iter(pairs.tolist())):
        batch = Batch(X0S, bounds)
        np.testing.assert_array_equal(batch.ask(), expected)
    mixed = Batch(X0S, Bounds([0.0, 0.0], upper.clip(0)))
    np.testing.assert_array_equal(mixed.ask(), np.clip(X0S, 0.0, upper.clip(0)))


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([(0, 1)], "bounds has 1 entries; expected one pair for each of the 2 variables"),
        (np.zeros((2, 2, 2)), "bounds has shape (2, 2, 2); expected (2, 2), or a pair"),
        (np.zeros((3, 2, 3)), "(3, 2, 2)"),
        (Bounds(np.zeros((2, 2)), np.ones((2, 2))), "expected (3, 2) or (2,)"),
        ([[(0, 1), (1, 0)]] * 3, "bounds of variable 1 in lane 0 are (1.0, 0.0)"),
        ([[(0, 1), (math.nan, 0)]] * 3, "bounds of variable 1 in lane 0 are (nan, 0.0)"),
        ([[(0, 1), (math.inf, math.inf)]] * 3, "some finite number between"),
        ([(1, 0), (0, 1)], "bounds of variable 0 are (1.0, 0.0)"),
        ([[(0, 1), (0, 1)], [(0, 1)], [(0, 1)]], "bounds has 3 entries"),
        ([[("a", 1), (0, 1)]] * 3, "must be real numbers"),
    ],
)
def test_bounds_that_cannot_be_used(bounds, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Batch(X0S, bounds)


# -- total, lanes, seed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lanes": 0}, "lanes is 0; expected a whole number >= 1"),
        ({"lanes": 1.5}, "lanes is 1.5"),
        ({"lanes": "all"}, "lanes is 'all'"),
        ({"total": 2}, "total is 2, but there are 3 starts in x0s already"),
        ({"total": -1}, "total is -1"),
        ({"total": 4.5}, "total is 4.5"),
        ({"total": 5, "seed": -1}, "seed is -1"),
        ({"total": 5, "bounds": None}, "variable 0 has (-inf, inf): give finite bounds"),
        ({"total": 5, "bounds": [(0, 1), (0, None)]}, "variable 1 has (0.0, inf)"),
        ({"total": 5, "bounds": np.zeros((3, 2, 2))}, "give bounds that all lanes share"),
        ({"total": 5, "x0s": None, "bounds": None}, "bounds are missing"),
    ],
)
def test_counts_that_cannot_be_used(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Batch(**{"x0s": X0S, "bounds": BOX, **arguments})


def test_a_total_of_what_is_there_needs_no_box():
    assert Batch(X0S, total=3).ask().shape == (3, 2)


def test_more_lanes_than_starts_are_no_harm():
    assert Batch(X0S, lanes=10**9).ask().shape == (3, 2)


# -- values and gradients


@pytest.mark.parametrize(
    ("f", "g"),
    [
        (np.ones(2), np.ones((3, 2))),
        (np.ones((3, 1)), np.ones((3, 2))),
        (1.0, np.ones((3, 2))),
        (np.ones(3), np.ones((2, 2))),
        (np.ones(3), np.ones((2, 3))),
        (np.ones(3), np.ones(6)),
        (np.ones(3), np.ones((3, 2, 1))),
        (np.ones(3), None),
        (None, np.ones((3, 2))),
        (np.ones(3), [[1.0, 2.0], [3.0], [4.0, 5.0]]),
        ("abc", np.ones((3, 2))),
        (["a", "b", "c"], np.ones((3, 2))),
        ([1.0, None, 2.0], np.ones((3, 2))),
        (np.ones(3) + 0j, np.ones((3, 2))),
        (np.ones(3), np.ones((3, 2)) * 1j),
        (object(), object()),
        (np.ma.masked_array(np.ones(3), [0, 1, 0]), np.ones((3, 2))),
    ],
)
def test_what_cannot_be_used_is_refused_and_changes_nothing(f, g):
    batch = told(Batch(X0S, BOX))
    before = batch.to_dict()
    with pytest.raises(InputError, match=r"the (values|gradients) "):
        batch.tell(f, g)
    assert equal(batch.to_dict(), before)
    told(batch)


@pytest.mark.parametrize("kind", no_vectors(3))
def test_what_is_no_vector_of_values_is_refused(kind):
    with pytest.raises(InputError, match="the values "):
        Batch(X0S, BOX).tell(no_vectors(3)[kind], np.ones((3, 2)))


@pytest.mark.parametrize("kind", vectors([0]))
def test_values_of_every_kind_are_read(kind):
    values, gradients, _ = read_evaluation(vectors([3, 1, 2])[kind], np.ones((3, 2)), 3, 2)
    assert values.tolist() == [3.0, 1.0, 2.0]
    assert gradients.shape == (3, 2)


def test_the_error_says_what_was_expected():
    batch = Batch(X0S, BOX)
    with pytest.raises(InputError, match=re.escape("have shape (3, 1); expected (3,): a value")):
        batch.tell(np.ones((3, 1)), np.ones((3, 2)))
    with pytest.raises(InputError, match=re.escape("(2, 3); expected (3, 2): a gradient for each")):
        batch.tell(np.ones(3), np.ones((2, 3)))
    with pytest.raises(InputTypeError):
        batch.tell(["a", "b", "c"], np.ones((3, 2)))


class ArrayLike:
    """Anything that NumPy can read, such as another library's array."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        self.array.setflags(write=False)
        return self.array


@pytest.mark.parametrize(
    "form",
    [
        list,
        np.asfortranarray,
        ArrayLike,
        lambda a: a.astype(object),
        lambda a: a[::-1].copy()[::-1],
    ],
    ids=["list", "fortran", "array-like", "objects", "reversed"],
)
def test_arrays_of_other_kinds_are_read(form):
    batch, other = Batch(X0S, BOX), Batch(X0S, BOX)
    while not batch.done:
        f, g = many_ripples(batch.ask())
        other.tell(form(f), form(g))
        batch.tell(f, g)
        assert equal(batch.to_dict(), other.to_dict())


def test_integers_are_numbers():
    batch = Batch(np.ones((2, 1)), maxfun=3)
    batch.tell([3, 4], [[1], [-1]])
    assert batch.result.fun.tolist() == [3.0, 4.0]


def test_float32_is_taken_and_said_once():
    batch = Batch(X0S, BOX)
    with pytest.warns(RuntimeWarning, match="float32") as caught:
        while not batch.done:
            f, g = many_ripples(batch.ask())
            batch.tell(f.astype(np.float32), g.astype(np.float32))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    result = batch.result
    assert result.x.dtype == result.fun.dtype == np.float64
    assert result.success.all()
    reference = minimize_batch(many_ripples, X0S, BOX, cautious=False)
    np.testing.assert_allclose(result.x, reference.x, atol=1e-3)


@pytest.mark.parametrize("kinds", [("f4", "f8"), ("f8", "f4"), ("f2", "f8")])
def test_so_is_half_of_it(kinds):
    batch = Batch(X0S, BOX)
    f, g = many_ripples(batch.ask())
    with pytest.warns(RuntimeWarning, match="float32"):
        batch.tell(f.astype(kinds[0]), g.astype(kinds[1]))


def test_of_float64_nothing_is_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told(Batch(X0S, BOX))
