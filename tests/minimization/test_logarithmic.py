"""Logarithmic parameters in `minimize`: seen by their logarithm, shown in their own unit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
from scipy.optimize._numdiff import approx_derivative

from optdriver import ConstraintSet, Interval, Minimizer, minimize
from optdriver.errors import InputError
from optdriver.minimization.logarithms import hessian, jacobian, over_t
from optdriver.space.coordinates import Coordinates

jnp = pytest.importorskip("jax.numpy")

RATE = 4.2e-7
BOUNDS = {"k": Interval(1e-9, 1e-2, log=True), "c": (-2.0, 3.0)}


def loss(k, c):
    return (jnp.log(k / RATE) - c) ** 2 + (c - 0.5) ** 2


def plain(k, c):
    assert 1e-9 <= k <= 1e-2
    return (math.log(k / RATE) - c) ** 2 + (c - 0.5) ** 2


RIGHT = RATE * math.exp(0.5)


@pytest.mark.parametrize(
    "engine", ["serial", "batch", pytest.param("device", marks=pytest.mark.slow)]
)
def test_each_engine_finds_it(engine):
    found = minimize(loss, BOUNDS, x64=True, n_iter=4, engine=engine)
    assert found.success
    assert all(start.success for start in found.starts)
    assert found.x["k"] == pytest.approx(RIGHT, rel=1e-6)
    assert found.fun == pytest.approx(plain(**found.x), abs=1e-24)


@pytest.mark.parametrize("method", ["L-BFGS-B", "Nelder-Mead", "SLSQP", "trust-constr", "CMA-ES"])
def test_each_kind_of_method_finds_it_by_values(method):
    found = minimize(plain, BOUNDS, method, n_iter=1, jac="3-point", seed=3)
    assert found.success
    assert found.x["k"] == pytest.approx(RIGHT, rel=1e-3)


def test_second_derivatives_are_those_of_the_logarithm():
    problem = Minimizer(loss, BOUNDS, x64=True).problem
    z = problem.coordinates.to_driver(np.array([3e-6, 1.2]))
    wanted = approx_derivative(lambda at: problem.value_and_grad(at)[1], z)
    np.testing.assert_allclose(problem.hessian(z), wanted, rtol=1e-6, atol=1e-6)
    v = np.array([0.3, -0.7])
    np.testing.assert_allclose(problem.hessian_product(z, v), wanted @ v, rtol=1e-6, atol=1e-6)


def test_the_gradient_is_by_the_parameter_itself():
    found = minimize(lambda k: k * 3e4, {"k": Interval(1e-6, 1e-1, log=True)}, x64=True, n_iter=2)
    assert found.x["k"] == 1e-6  # the bound itself, not the exponential of a logarithm
    assert found.jac["k"] == pytest.approx(3e4, rel=1e-12)


def test_starts_are_spread_over_the_decades_and_given_ones_are_kept():
    starts = minimize(plain, BOUNDS, jac="2-point", n_iter=64, options={"maxfun": 3}).starts
    decades = np.log10([start.x0["k"] for start in starts])
    assert np.histogram(decades, bins=7, range=(-9, -2))[0].min() >= 7
    given = {"k": 3.3e-8, "c": 1.0}
    kept = minimize(plain, BOUNDS, x0=given, jac="2-point").starts[0].x0
    assert kept["k"] == pytest.approx(3.3e-8, rel=1e-14)


def test_arrays_nested_ones_too():
    target = np.array([2e-3, 5e-1, 4e2])

    def far(params):
        return jnp.sum(jnp.log(params["w"] / target) ** 2) + (params["b"] - 1) ** 2

    bounds = ({"w": Interval(1e-4, 1e3, shape=(3,), log=True), "b": (-5, 5)},)
    found = minimize(far, bounds, x64=True, n_iter=2)
    np.testing.assert_allclose(found.x[0]["w"], target, rtol=1e-6)


WRITTEN = {
    "text": "k*exp(c) <= 1e-7",
    "function": lambda k, c: k * jnp.exp(c) - 1e-7,
    "dictionary": {"type": "ineq", "fun": lambda k, c: 1e-7 - k * np.exp(c)},
    "with a Jacobian": {
        "type": "ineq",
        "fun": lambda x: 1e-7 - x[0] * math.exp(x[1]),
        "jac": lambda x: -np.exp(x[1]) * np.array([1.0, x[0]]),
    },
    "with all": scipy.optimize.NonlinearConstraint(
        lambda x: float(x[0]) * math.exp(x[1]),
        -np.inf,
        1e-7,
        jac=lambda x: np.exp(x[1]) * np.array([[1.0, x[0]]]),
        hess=lambda x, v: v[0] * np.exp(x[1]) * np.array([[0.0, 1.0], [1.0, x[0]]]),
    ),
}


@pytest.mark.parametrize("written", WRITTEN)
def test_constraints_are_written_in_its_own_unit(written):
    # with s = log(k / RATE) the row is s + c <= -log(4.2), and the minimum lies on it
    a = -math.log(4.2)
    s, c = np.linalg.solve([[2.0, -3.0], [1.0, 1.0]], [-0.5, a])  # d f is along (1, 1)
    seen = []

    def recorded(k, c):
        seen.append(k * math.exp(c))
        return plain(k, c)

    found = minimize(recorded, BOUNDS, constraints=WRITTEN[written], jac="3-point", n_iter=2)
    assert found.success
    assert found.x["c"] == pytest.approx(c, abs=1e-5)
    assert found.x["k"] == pytest.approx(RATE * math.exp(s), rel=1e-5)
    assert max(seen) <= 1e-7 * (1 + 1e-9)
    (multiplier,) = found.multipliers.values()  # the loss falls by this for each unit of the row
    assert multiplier == pytest.approx(-2 * (s - c) / 1e-7, rel=1e-4)


def test_linear_constraints_and_boxes_of_scipy():
    a_line = scipy.optimize.LinearConstraint([[1e7, 1.0]], -np.inf, 1.0)
    found = minimize(loss, BOUNDS, constraints=a_line, x64=True, n_iter=2)
    asked = minimize(loss, BOUNDS, constraints="1e7*k + c <= 1", x64=True, n_iter=2)
    assert found.success
    assert found.fun == pytest.approx(asked.fun, rel=1e-6)
    box = scipy.optimize.Bounds([-1.0, 1.0], [1e-8, 2.0])  # below 0 a logarithm has no bound
    found = minimize(loss, BOUNDS, constraints=box, x64=True, n_iter=2)
    assert (found.x["k"], found.x["c"]) == (1e-8, 1.0)


def test_derivatives_by_the_logarithm_are_those_of_differences():
    box = np.array([1e-3, -4.0, 0.5]), np.array([1e3, 4.0, np.inf])
    coordinates = Coordinates.of(*box, np.array([True, False, True]))
    rows = scipy.optimize.NonlinearConstraint(
        lambda x: np.array([x[0] * x[1] + x[2] ** 2, x[2] / x[0]]), 0, 1
    )

    def jac(x):
        return np.array([[x[1], x[0], 2 * x[2]], [-x[2] / x[0] ** 2, 0.0, 1 / x[0]]])

    def hess(x, v):
        cross = -v[1] / x[0] ** 2
        return np.array(
            [
                [2 * v[1] * x[2] / x[0] ** 3, v[0], cross],
                [v[0], 0.0, 0.0],
                [cross, 0.0, 2 * v[0]],
            ]
        )

    t, v = np.array([0.4, -1.3, 0.8]), np.array([1.7, -0.6])
    by_t = jacobian(jac, coordinates)
    wanted = approx_derivative(lambda at: rows.fun(coordinates.outer(at)), t)
    np.testing.assert_allclose(by_t(t), wanted, rtol=1e-7, atol=1e-8)
    wanted = approx_derivative(lambda at: v @ by_t(at), t)
    np.testing.assert_allclose(hessian(hess, jac, coordinates)(t, v), wanted, rtol=1e-6, atol=1e-7)
    line = over_t(scipy.optimize.LinearConstraint([[1.0, 2.0, 3.0]], 0, 1), coordinates)
    wanted = approx_derivative(lambda at: float(line.fun(at)[0]), t)
    np.testing.assert_allclose(line.jac(t)[0], wanted, rtol=1e-7)
    wanted = approx_derivative(lambda at: line.jac(at)[0], t)
    np.testing.assert_allclose(line.hess(t, np.ones(1)), wanted, rtol=1e-6, atol=1e-7)


def test_it_is_a_study_where_it_is_kept(tmp_path):
    kept = minimize(loss, BOUNDS, x64=True, n_iter=2, storage=tmp_path / "rates.db")
    assert kept.success
    assert kept.x["k"] == pytest.approx(RIGHT, rel=1e-5)
    again = minimize(loss, BOUNDS, x64=True, n_iter=2, storage=tmp_path / "rates.db")
    assert (again.nfev, again.fun) == (kept.nfev, kept.fun)


@pytest.mark.parametrize("low", [0.0, -3e-4, None])
def test_a_side_without_logarithm_is_refused(low):
    with pytest.raises(InputError, match="logarithmic, and their lower side is"):
        minimize(loss, {"k": Interval(low, 1.0, log=True), "c": (0, 1)})


def test_a_set_over_other_numbers_is_refused():
    made = ConstraintSet(["k + c <= 1"], ["k", "c"], [(1e-9, 1e-2), (-2, 3)])
    with pytest.raises(InputError, match="give the texts or functions"):
        minimize(loss, BOUNDS, constraints=made)
