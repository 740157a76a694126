"""The noise of functions is measured; steps, tolerances and the end of a run follow it."""

import numpy as np
import pytest
from scipy.optimize import minimize

from optdriver import scipy_feasible_method
from optdriver.constraints import ConstraintSet
from optdriver.constraints.precision import measured
from optdriver.errors import InputError
from optdriver.feasible import FeasibleMinimizer, Stop

SINGLE = np.float32


def coarse(x):
    x = x.astype(SINGLE)
    return np.exp(x[:1]) + x[1:] ** 2 / SINGLE(3)


@pytest.mark.parametrize("size", [1e-12, 1e-9, 1e-6])
def test_noise_of_a_known_size_is_found(size):
    random = np.random.default_rng(3)

    def noisy(x):
        return np.atleast_1d(np.sin(x[0]) + x[1] ** 3 + size * random.standard_normal())

    found = measured(noisy, np.array([0.7, -1.3])).noise[0]
    assert size / 4.0 <= found <= 4.0 * size


def test_single_and_double_precision_are_told_apart():
    x = np.array([0.3, 1.7])
    assert 1e-9 < measured(coarse, x).relative < 1e-6
    exact = measured(lambda z: np.exp(z[:1]) + z[1:] ** 2 / 3, x)
    assert exact.relative < 1e-14
    assert exact.second_step == exact.first_step


@pytest.mark.parametrize("function", [lambda x: np.sin(1e6 * x), lambda x: x / 0.0])
def test_what_varies_much_is_no_noise(function):
    with np.errstate(all="ignore"):
        found = measured(function, np.array([0.3, 1.7]))
    assert not found.noise.any()


def test_slopes_are_as_good_as_the_noise_allows():
    made = ConstraintSet({"type": "eq", "fun": coarse}, ["a", "b"], reference=[0.3, 1.7])
    slope = made.jacobian([0.3, 1.7])
    np.testing.assert_allclose(slope, [[np.exp(0.3), 2 * 1.7 / 3]], rtol=1e-3)
    bend = made.hessian([0.3, 1.7], [1.0])
    np.testing.assert_allclose(bend, np.diag([np.exp(0.3), 2 / 3]), atol=0.05)


def test_an_equality_in_single_precision_can_be_met():
    """SLSQP, on the same equality in double precision, says where the end is."""
    weights = np.array([0.9, 1.4, 0.6, 1.1])
    calls = []

    def budget(x):
        calls.append(1)
        return float(np.sum(x.astype(SINGLE)) - SINGLE(1))

    def risk(x):
        return 0.5 * float(weights @ x**2), weights * x

    result = minimize(
        risk,
        np.full(4, 0.1),
        jac=True,
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": budget},
        method=scipy_feasible_method,
    )
    peer = minimize(
        risk,
        np.full(4, 0.25),
        jac=True,
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda x: np.sum(x) - 1},
        method="SLSQP",
        options={"ftol": 1e-14},
    )
    assert result.success
    np.testing.assert_allclose(result.x, peer.x, atol=1e-4)
    assert abs(budget(result.x)) <= 2e-6
    assert len(calls) < 60_000 * result.nfev


def test_the_work_for_one_point_is_bounded_and_the_coarsest_is_named():
    """A function that has forgotten its first digits leads nowhere, and says so."""
    calls = []

    def forgetful(x):
        calls.append(1)
        return 1e3 * (np.sum(x**2) - 2.0) + 0.3 * np.sin(1e7 * x[0]) * np.cos(3e6 * x[1])

    spec = [{"type": "eq", "fun": forgetful, "name": "forgetful"}, "x1 <= x2 + 3"]
    try:
        opt = FeasibleMinimizer([1.1, 0.9], spec)
    except InputError as error:
        assert "forgetful" in str(error)
    else:
        asked = 0
        while not opt.done:
            before = len(calls)
            x = opt.ask()
            opt.tell(x[0] - 2 * x[1], [1.0, -2.0])
            asked += 1
            assert len(calls) - before < 40_000
        assert opt.stop in (Stop.STALLED, Stop.OPTIMAL)
    assert calls


def test_second_derivatives_of_coarse_functions_are_computed_seldom_and_can_be_lost():
    """A run that is restored at every point knows nothing of them, and goes the same way."""
    calls = []
    spread = np.diag([0.04, 0.02, 0.03, 0.05]).astype(SINGLE) + SINGLE(0.005)

    def risk(w):
        calls.append(1)
        w = np.asarray(w, SINGLE)
        return float(SINGLE(0.02) - w @ (spread @ w))

    rows = [{"type": "ineq", "fun": risk}, {"type": "eq", "fun": lambda w: float(w.sum()) - 1.0}]
    mean = np.array([0.12, 0.03, 0.09, 0.06])
    made = ConstraintSet(rows, list("abcd"), [(0.0, 1.0)] * 4, reference=np.full(4, 0.25))
    go_on = FeasibleMinimizer(np.full(4, 0.25), made)
    begun = len(calls)
    asked = []
    while not go_on.done:
        asked.append(go_on.ask())
        go_on.tell(-mean @ asked[-1], -mean)
    assert go_on.result.success
    assert len(calls) - begun < 2500 * len(asked)
    again = FeasibleMinimizer(np.full(4, 0.25), made)
    for x in asked:
        np.testing.assert_array_equal(again.ask(), x)
        again.tell(-mean @ x, -mean)
        again = FeasibleMinimizer.from_dict(again.to_dict(constraints=False), made)
    assert again.done
