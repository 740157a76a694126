"""minimize_batch: the loop, what the objective is given, callbacks, exceptions, refilling."""

from __future__ import annotations

import functools
import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import minimize

import optdriver
from optdriver.batch import Batch, drive, minimize_batch
from optdriver.errors import InputError
from optdriver.lbfgsb import LBFGSB, Stop
from optdriver.space.sampling import starts as sobol
from tests.batch.tools import alone, check_lane, many_ripples
from tests.lbfgsb.problems import ripples

BOX = [(-3, 3)] * 3


def starts(count, seed=0):
    return np.random.default_rng(seed).uniform(-3, 3, (count, 3))


def egg_crate(x):
    """Many minima on a square lattice of wells; the same bits for every shape of x."""
    value = 10.0 * x.shape[-1] + np.add.reduce(x * x - 10.0 * np.cos(2 * np.pi * x), axis=-1)
    return value, 2.0 * x + 20.0 * np.pi * np.sin(2 * np.pi * x)


def test_it_is_public():
    assert optdriver.minimize_batch is minimize_batch


def test_scipy_finds_the_same_minima():
    result = minimize_batch(many_ripples, starts(20), BOX, gtol=1e-8, ftol=1e-14, cautious=False)
    assert result.success.all()
    for x0, x, fun in zip(starts(20), result.x, result.fun, strict=True):
        one = minimize(ripples, x0, jac=True, bounds=BOX, method="L-BFGS-B", tol=1e-12)
        np.testing.assert_allclose(x, one.x, atol=1e-5)
        assert fun == pytest.approx(one.fun, abs=1e-9)


def test_an_end_is_doubted_unless_the_caller_wants_scipys_tests():
    """From the middle of two equal ripples a run is stationary at once, at their top."""

    def hills(x):
        return np.cos(x).sum(axis=1), -np.sin(x)

    x0s, box = np.array([[0.0, 1.0], [2.0, 0.0]]), [(-4.0, 4.0)] * 2
    result = minimize_batch(hills, x0s, box)
    assert result.success.all()
    assert result.fun == pytest.approx([-2.0, -2.0])
    plain = minimize_batch(hills, x0s, box, cautious=False)
    assert plain.success.all()  # falsely
    assert (plain.fun > -1e-6).all()


def test_the_points_of_all_lanes_come_in_one_call_and_their_number_shrinks():
    shapes = []

    def fun(x):
        shapes.append(x.shape)
        return many_ripples(x)

    result = minimize_batch(fun, starts(12), BOX)
    assert shapes[0] == (12, 3)
    assert shapes == sorted(shapes, reverse=True)
    assert len(shapes) == result.nfev.max()
    assert sum(k for k, _ in shapes) == result.nfev.sum()


@pytest.mark.parametrize("way", ["keyword", "position", "partial", "method"])
def test_the_objective_is_told_the_lanes_if_it_has_a_place_for_them(way):
    shift = np.linspace(-1, 1, 7)

    class Model:
        def keyword(self, x, *, lanes):
            assert lanes.shape == (len(x),)
            t = x - shift[lanes, None]
            return np.sum(t * t, axis=1), 2 * t

    def position(x, lanes):
        return Model().keyword(x, lanes=lanes)

    fun = {
        "keyword": Model().keyword,
        "position": position,
        "partial": functools.partial(lambda model, x, lanes: position(x, lanes), None),
        "method": Model().keyword,
    }[way]
    result = minimize_batch(fun, np.zeros((7, 2)), lanes=3)
    np.testing.assert_allclose(result.x, np.column_stack([shift, shift]), atol=1e-6)


def test_one_without_signature_is_called_with_the_points_only():
    class NoSignature:
        __signature__ = "none"

        def __call__(self, x, **others):
            assert not others
            return many_ripples(x)

    assert minimize_batch(NoSignature(), starts(2), BOX).success.all()
    assert minimize_batch(lambda x, **others: many_ripples(x), starts(2), BOX).success.all()


@pytest.mark.parametrize("way", ["returns", "raises"])
def test_a_callback_can_end_everything(way):
    rounds = []

    def callback(batch):
        rounds.append(batch.nfev)
        if len(rounds) == 4 and way == "raises":
            raise StopIteration
        return len(rounds) == 4

    result = minimize_batch(many_ripples, starts(5), BOX, lanes=3, callback=callback)
    assert rounds == [3, 6, 9, 12]
    assert not result.success.any()
    assert set(result.message) == {"STOP: HALTED BY THE CALLER: the callback said so"}
    assert result.nfev.tolist() == [4, 4, 4, 0, 0]


def test_a_callback_after_the_last_round_has_nothing_to_end():
    result = minimize_batch(many_ripples, starts(3), BOX, callback=lambda batch: batch.done)
    assert result.success.all()


def test_a_callback_that_answers_nothing_changes_nothing():
    seen = []
    result = minimize_batch(many_ripples, starts(3), BOX, callback=lambda b: seen.append(b.nfev))
    assert seen[-1] == result.nfev.sum()
    assert result.success.all()


def test_after_an_exception_the_batch_goes_on():
    calls = []

    def fun(x):
        calls.append(len(x))
        if len(calls) % 5 == 0:
            raise ConnectionError("the server is away")
        return many_ripples(x)

    batch, interrupted = Batch(starts(6), BOX, lanes=4), 0
    while not batch.done:
        try:
            drive(batch, fun)
        except ConnectionError:
            interrupted += 1
    assert interrupted > 3
    for lane in range(6):
        check_lane(batch.result, lane, alone(ripples, starts(6)[lane], BOX)[0])


def test_after_an_exception_of_the_callback_too():
    def callback(batch):
        if batch.nfev in (6, 12):
            raise OSError("no space left")

    batch = Batch(starts(3), BOX)
    for nfev in (6, 12):
        with pytest.raises(OSError, match="no space"):
            drive(batch, many_ripples, callback)
        assert batch.nfev == nfev
    assert drive(batch, many_ripples, callback).nfev.tolist() == [
        alone(ripples, x0, BOX)[0].nfev for x0 in starts(3)
    ]


@pytest.mark.parametrize(
    "answer", [None, 1.0, (1.0,), (1, 2, 3), np.zeros(3)], ids=["None", "1", "one", "three", "row"]
)
def test_an_answer_that_is_no_pair_is_refused(answer):
    with pytest.raises(InputError, match=r"expected values and gradients, \(f, G\)"):
        minimize_batch(lambda x: answer, starts(2), BOX)


def test_no_function_is_refused():
    with pytest.raises(InputError, match="expected a function"):
        minimize_batch(3, starts(2), BOX)


def test_drawn_starts_follow_those_given():
    lower, upper = np.array(BOX, dtype=float).T
    batch = Batch(starts(3), BOX, total=20, seed=4)
    np.testing.assert_array_equal(batch.ask()[:3], starts(3))
    np.testing.assert_array_equal(batch.ask()[3:], sobol("sobol", 4, 0, 17, lower, upper))
    assert Batch(None, BOX, total=8).ask().shape == (8, 3)
    other = Batch(bounds=BOX, total=8, seed=1)
    assert (other.ask() != Batch(bounds=BOX, total=8, seed=2).ask()).any()


def test_refilled_lanes_are_busy_until_the_last_and_find_what_single_runs_find():
    box, total, lanes = np.array([[-5.12, 5.12]] * 2), 2200, 32
    busy = []

    def fun(x):
        busy.append(len(x))
        return egg_crate(x)

    result = minimize_batch(fun, bounds=box, total=total, lanes=lanes, seed=3)
    assert set(busy[: busy.index(next(k for k in busy if k < lanes))]) == {lanes}
    begun = sum(busy[: next(i for i, k in enumerate(busy) if k < lanes)])
    assert begun >= 0.95 * result.nfev.sum()
    points = sobol("sobol", 3, 0, total, *box.T)
    singles = [LBFGSB(x0, box, cautious=True) for x0 in points]
    for opt in singles:
        while not opt.done:
            x = opt.ask()
            f, g = egg_crate(x)
            opt.tell(float(f), g)
    assert result.x.tobytes() == np.array([opt.result.x for opt in singles]).tobytes()
    assert result.fun.tobytes() == np.array([opt.result.fun for opt in singles]).tobytes()
    minima = {tuple(x) for x in result.x[result.success].round(4)}
    assert len(minima) > 100
    assert result.fun[result.best] == result.fun.min() < 1e-10
    assert np.bincount(result.stop, minlength=8)[Stop.RUNNING] == 0


def test_nothing_of_jax_or_sympy_is_imported():
    heavy = "{'jax', 'sympy', 'scipy.stats', 'greenlet', 'torch'}"
    code = f"import sys, optdriver.batch; print(sorted({heavy} & {{*sys.modules}}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "[]"
