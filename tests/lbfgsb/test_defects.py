"""Defects of other implementations, row by row of the table in the design: each is a test here."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from optdriver.lbfgsb import Stop
from tests.lbfgsb.problems import ROSENBROCK_START, quartic, ripples, rosenbrock, run


def float32_cases():
    """Sixty runs whose objective is computed in double, and rounded to float32."""
    rng = np.random.default_rng(0)
    for i in range(60):
        n = int(rng.integers(2, 12))
        yield (rosenbrock, quartic, ripples)[i % 3], rng.uniform(-2, 2, n)


def wasted(values):
    """Evaluations after the best one."""
    return len(values) - 1 - int(np.argmin(values))


def test_float32_objectives_end_well_and_waste_little():
    ours, theirs = [], []
    for fun, x0 in float32_cases():

        def rounded(x, fun=fun, offset=100.0):
            f, g = fun(x)
            return float(np.float32(f + offset)), g

        opt, seen = run(rounded, x0)
        ours.append((opt.stop is Stop.ABNORMAL, wasted([f for _, f, _ in seen])))
        assert opt.result.fun == min(f for _, f, _ in seen)
        values = []

        def recorded(x, rounded=rounded, values=values):
            values.append(rounded(x)[0])
            return rounded(x)

        peer = minimize(recorded, x0, jac=True, method="L-BFGS-B")
        theirs.append((peer.status == 2, wasted(values)))
    abnormal, waste = np.sum(ours, axis=0)
    their_abnormal, their_waste = np.sum(theirs, axis=0)
    assert abnormal <= min(2, their_abnormal)
    assert waste <= their_waste / 3


def test_value_point_and_gradient_belong_together_after_an_abnormal_end():
    abnormal = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        size = 10.0 ** rng.uniform(-12, -3)

        def noisy(x, size=size):
            f, g = rosenbrock(x)
            return f + size * math.sin(1e9 * float(x.sum())), g * (1 if x[0] < 0.9 else -1)

        opt, seen = run(noisy, rng.uniform(-2, 2, 3), maxls=8, maxfun=300)
        abnormal += opt.stop is Stop.ABNORMAL
        r = opt.result
        f, g = noisy(r.x)
        assert f == r.fun == min(value for _, value, _ in seen)
        np.testing.assert_array_equal(g, r.jac)
    assert abnormal >= 10  # the case is met


def test_the_inverse_hessian_knows_the_last_pair_and_its_scale():
    opt, _ = run(rosenbrock, ROSENBROCK_START, maxcor=4)
    s, y = opt.pairs
    h = opt.result.hess_inv
    np.testing.assert_allclose(h @ y[-1], s[-1], rtol=1e-8)


def test_infinity_is_never_success():
    for start in (0, 1, 5):
        count = iter(range(10**6))

        def broken(x, count=count, start=start):
            f, g = rosenbrock(x)
            return (math.inf if next(count) >= start else f), g

        opt, seen = run(broken, ROSENBROCK_START)
        assert not opt.result.success
        assert all(np.isfinite(x).all() for x, _, _ in seen)


@pytest.mark.parametrize("far", [1e150, 1e200, 1e300])
def test_no_point_at_infinity_is_asked(far):
    def fun(x):
        return float(-np.sum(x) / far), np.full(x.size, -1.0 / far) * far

    _, seen = run(fun, [far, -far], maxfun=80)
    assert all(np.isfinite(x).all() for x, _, _ in seen)


def test_trials_of_the_line_search_stay_in_bounds():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        lower = rng.uniform(-1, 0, 4)
        upper = lower + rng.uniform(0.01, 2, 4)
        _, seen = run(ripples, rng.uniform(-2, 2, 4), np.column_stack([lower, upper]))
        for x, _, _ in seen:
            assert np.all((lower <= x) & (x <= upper))


@pytest.mark.parametrize("huge", [1e12, 1e20, 1e100, 1e300])
def test_one_huge_value_ends_no_run(huge):
    """A penalty value makes the interpolated step vanish; the search goes back by tenths."""
    for position in range(1, 40):
        told = iter(range(1000))
        opt, _ = run(
            lambda x, told=told, position=position: (
                huge if next(told) == position else rosenbrock(x)[0],
                rosenbrock(x)[1],
            ),
            ROSENBROCK_START,
        )
        assert opt.converged
        assert opt.result.fun < 1e-6
