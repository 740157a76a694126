"""Constraints in all their forms: every one of them is kept at every point that is asked."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import LinearConstraint, NonlinearConstraint

import optdriver
from optdriver.constraints import ConstraintSet
from optdriver.errors import ConstraintError, InputError, ObjectiveWarning
from optdriver.minimization.constraints import Function
from optdriver.space.pytree import Structure
from tests.minimization.losses import ASSETS, RETURNS, VARIANCE, WEIGHTS, variance

BUDGET = {"type": "eq", "fun": lambda w: jnp.sum(w) - 1}
FORMS = {
    "texts": ["w[0] + w[1] + w[2] == 1", "0.08*w_0 + 0.12*w_1 + 0.15*w_2 >= 0.10"],
    "dictionaries": [BUDGET, {"type": "ineq", "fun": lambda w, r: r @ w - 0.1, "args": (RETURNS,)}],
    "scipy": [LinearConstraint(np.ones(3), 1, 1), NonlinearConstraint(lambda w: RETURNS @ w, 0.1,
                                                                      np.inf)],
    "functions": [BUDGET, lambda w: 0.1 - RETURNS @ w],
    "numpy": [BUDGET, lambda w: 0.1 - float(np.dot(RETURNS, np.asarray(w)))],
}  # fmt: skip


@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(3, 10), marks=pytest.mark.slow)])
@pytest.mark.parametrize("form", FORMS)
def test_the_portfolio_is_exact_from_every_seed(form, seeds):
    minimizer = optdriver.Minimizer(variance, ASSETS, constraints=FORMS[form], x64=True)
    for seed in seeds:
        res = minimizer.minimize(1, seed=seed)
        assert res.success
        np.testing.assert_allclose(res.x["w"], WEIGHTS, atol=1e-7)
        assert res.fun == pytest.approx(VARIANCE, abs=1e-10)
        assert res.maxcv <= 1e-9
        assert all(start.feasible for start in res.starts)


def test_the_portfolio_in_32_bits():
    with pytest.warns(ObjectiveWarning):
        minimizer = optdriver.Minimizer(variance, ASSETS, constraints=FORMS["functions"])
    for seed in range(10):
        res = minimizer.minimize(1, seed=seed)
        assert res.success
        assert res.x["w"].dtype == jnp.float32
        np.testing.assert_allclose(res.x["w"], WEIGHTS, atol=1e-5)


def ring(x, y):
    return 1 - x**2 - y**2


def test_two_nonlinear_constraints_from_every_seed():
    asked = []

    def loss(x, y):
        jax.debug.callback(lambda *at: asked.append([float(v) for v in at]), x, y)
        return (x - 2) ** 2 + (y - 1) ** 2

    rows = [ring, {"type": "ineq", "fun": lambda x, y: y - x**2 + 0.5}]
    minimizer = optdriver.Minimizer(loss, [(-3, 3), (-3, 3)], constraints=rows, x64=True)
    for seed in range(10):
        res = minimizer.minimize(2, seed=seed)
        assert res.success
        assert res.starts[res.start].feasible
        x, y = (float(v) for v in res.x)
        assert y == pytest.approx(x**2 - 0.5, abs=1e-6)
        assert 2 * (x - 2) + 4 * x * (x**2 - 1.5) == pytest.approx(0, abs=1e-4)
    jax.effects_barrier()
    x, y = np.array(asked).T
    assert np.all(x**2 + y**2 >= 1 - 1e-12)
    assert np.all(y >= x**2 - 0.5 - 1e-12)


def test_a_single_parameter_has_the_name_that_the_loss_has_for_it():
    res = optdriver.minimize(
        lambda w: jnp.sum((w - 1) ** 2), ASSETS["w"], constraints="w[0] <= 0.5", x64=True, n_iter=1
    )
    np.testing.assert_allclose(res.x, [0.5, 1, 1], atol=1e-6)


def test_numbers_are_named_by_the_path_that_leads_to_them():
    bounds = {"layer": {"w": (np.full((2, 2), -1.0), 1.0)}, "b": [(-1, 1), (-1, 1)]}
    res = optdriver.minimize(
        lambda layer, b: jnp.sum((layer["w"] - 2) ** 2) + (b[0] - 2) ** 2 + b[1] ** 2,
        bounds,
        constraints=[
            "layer.w[0, 1] + layer_w_1_1 <= 0.5",
            {"name": "b", "constraint": "b[0]<=b_1"},
        ],
        n_iter=1,
        x64=True,
        tol=1e-9,
    )
    assert res.success
    np.testing.assert_allclose(res.x["layer"]["w"], [[1, 0.25], [1, 0.25]], atol=1e-6)
    assert [float(v) for v in res.x["b"]] == pytest.approx([1, 1], abs=1e-6)
    assert "b" in res.active


def test_functions_take_the_arguments_of_the_loss_or_the_vector():
    rows = [lambda a, b: a + b - 1, {"type": "ineq", "fun": lambda x: x[1] - 0.25}]
    res = optdriver.minimize(
        lambda b, a: (a - 1) ** 2 + (b - 1) ** 2,
        {"a": (0, 2), "b": (0, 2)},
        constraints=rows,
        n_iter=1,
        x64=True,
    )
    assert float(res.x["a"]) == pytest.approx(0.5, abs=1e-6)
    assert res.active == ("constraint 1",)


@pytest.mark.parametrize(
    ("function", "linear"),
    [
        (lambda x: x @ RETURNS - 0.1, True),
        (lambda x: jnp.cumsum(x) - jnp.sum(2 * x[1:]), True),
        (lambda x: jnp.where(x > 0, x, 2 * x), False),
        (lambda x: x[0] * x[1], False),
        (lambda x: float(x[0]), False),
    ],
)
def test_what_is_affine_is_known(function, linear):
    structure = Structure((np.full(3, -1.0), 1.0))
    made = Function(function, structure, units=True)
    assert made.linear == linear
    constraints = ConstraintSet(
        {"type": "ineq", "fun": made.values, "linear": made.linear, **made.derivatives},
        structure.names, [(-1, 1)] * 3,
    )  # fmt: skip
    points = np.random.default_rng(0).uniform(-1, 1, (7, 3))
    assert constraints.linear.all() == linear
    for x, row in zip(points, constraints.values_many(points), strict=True):
        np.testing.assert_allclose(row, constraints.values(x), atol=1e-15)
        with jax.enable_x64(True):
            np.testing.assert_allclose(-np.ravel(function(x)), constraints.values(x), atol=1e-15)


def test_a_loss_in_numpy_is_never_asked_outside():
    asked = []

    def loss(x, y):
        asked.append((x, y))
        return np.hypot(x - 2, y) if x**2 + y**2 <= 1 else 1 / 0

    res = optdriver.minimize(
        loss, [(-2, 2), (-2, 2)], constraints="x^2 + y^2 <= 1", n_iter=2, jac="3-point"
    )
    assert res.success
    assert res.x == pytest.approx([1, 0], abs=1e-4)
    assert max(x**2 + y**2 for x, y in asked) <= 1


def test_starts_that_violate_are_moved():
    res = optdriver.minimize(
        lambda x, y: x + y, [(-2, 2), (-2, 2)], constraints="x^2 + y^2 <= 1", x0=[2.0, 2.0],
        x64=True, options={"gtol": 1e-8},
    )  # fmt: skip
    assert [float(v) for v in res.starts[0].x0] == pytest.approx([0.5**0.5] * 2, abs=1e-6)
    assert res.fun == pytest.approx(-(2**0.5), abs=1e-8)


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        ("x + z <= 1", "unknown name 'z'"),
        ("x^2 + y^2 <= -1", "cannot hold in the box"),
        ([lambda x, y: 1 + x**2], "no point satisfies"),
        (lambda x, y, z: x, "neither the parameters.*nor the vector"),
        (7, "texts such as"),
        ([7], "constraint 1"),
        ({"type": "less", "fun": lambda x, y: x}, "'ineq'"),
        ({"type": "ineq", "fun": 3}, "function"),
    ],
)
def test_constraints_that_cannot_be_used(constraints, words):
    with pytest.raises((InputError, ConstraintError), match=words):
        optdriver.minimize(
            lambda x, y: x + y, [(-1, 1), (-1, 1)], constraints=constraints, x64=True, n_iter=1
        )
