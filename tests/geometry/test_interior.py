"""The interior point on dense subproblems, beside other solvers and its own conditions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize

from optdriver.constraints import ConstraintSet
from optdriver.feasible import models
from optdriver.feasible.region import region
from optdriver.feasible.trial import Local
from optdriver.geometry import posing
from optdriver.geometry.crossover import cross_over
from optdriver.geometry.interior import solve
from optdriver.geometry.subproblem import Subproblem


@dataclass
class Linear:
    """Rows ``a t - b`` and ``e t - f`` as functions."""

    a: np.ndarray
    b: np.ndarray
    e: np.ndarray
    f: np.ndarray

    def values(self, t):
        return self.a @ t - self.b, self.e @ t - self.f

    def jacobians(self, _t):
        return self.a, self.e

    def hessian(self, t, _lam, _nu):
        return np.zeros((len(t), len(t)))


def problem(seed, n, m, q, *, convex=True):
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(n, n))
    curvature = root @ root.T / n + 0.1 * np.eye(n) if convex else root + root.T
    inside = generator.uniform(-0.4, 0.4, n)
    a, e = generator.normal(size=(m, n)), generator.normal(size=(q, n))
    rows = Linear(a, a @ inside + generator.uniform(0.0, 0.5, m), e, e @ inside)
    box = -np.ones(n), np.ones(n)
    made = Subproblem(generator.normal(size=n), curvature, box, (m, q), rows)
    return made, rows, curvature, made.reals[:n].copy()


@pytest.mark.parametrize(
    ("n", "m", "q"), [(2, 0, 0), (5, 3, 0), (8, 12, 0), (6, 4, 2), (20, 15, 5)]
)
@pytest.mark.parametrize("chords", [False, True])
def test_convex_problems_have_the_minimum_that_slsqp_finds(n, m, q, chords):
    for seed in range(5):
        made, rows, curvature, gradient = problem(seed, n, m, q)
        t = cross_over(solve(made, np.zeros(n), 1e-4, 1e-9, 60), chords)
        theirs = minimize(
            lambda t, g=gradient, h=curvature: (g @ t + 0.5 * t @ h @ t, g + h @ t),
            np.zeros(n),
            jac=True,
            method="SLSQP",
            bounds=[(-1, 1)] * n,
            constraints=[
                LinearConstraint(rows.a, -np.inf, rows.b),
                LinearConstraint(rows.e, rows.f, rows.f),
            ][: 2 if q else 1 if m else 0],
            options={"ftol": 1e-14, "maxiter": 500},
        )
        c, e = rows.values(t)
        assert np.max(c, initial=0.0) <= 1e-12
        assert np.max(np.abs(e), initial=0.0) <= 1e-12
        assert np.abs(t).max() <= 1.0
        assert gradient @ t + 0.5 * t @ curvature @ t <= theirs.fun + 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_rows_that_say_the_same_twice_are_sharpened_as_one(seed):
    made, rows, curvature, gradient = problem(seed, 6, 0, 2)
    twice = Linear(rows.a, rows.b, np.vstack([rows.e, rows.e]), np.concatenate([rows.f, rows.f]))
    box = -np.ones(6), np.ones(6)
    doubled = Subproblem(gradient, curvature, box, (0, 4), twice)
    alone, both = (
        cross_over(solve(each, np.zeros(6), 1e-4, 1e-9, 60), chords=True)
        for each in (made, doubled)
    )
    assert both == pytest.approx(alone, abs=1e-9)
    assert np.abs(rows.values(both)[1]).max() <= 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_an_indefinite_model_ends_where_its_conditions_hold(seed):
    made, _rows, _curvature, _gradient = problem(seed, 8, 5, 1, convex=False)
    assert solve(made, np.zeros(8), 1e-4, 1e-9, 60).error <= 1e-9


class OfFunctions(Local):
    """The same rows, as if they were no formulas."""

    formulas = None


def posed(texts, x, kind=Local):
    """Return the subproblem at x, and its solution with its error."""
    names = [f"x{i + 1}" for i in range(len(x))]
    made = ConstraintSet(texts, names, [(-3, 3)] * len(x), reference=x)
    at = np.array(x)
    gradient = np.cos(np.arange(len(x)) + 1.0)
    where = region(made, made.lower, made.upper, at)
    model = models.QuadraticModel(theta=2.0, rows=np.zeros((0, len(x))), signs=np.zeros(0))
    here = kind(region=where, x=at, gradient=gradient, delta=0.5, tolerance=0.0)
    z, error = posing.solved(
        here,
        where.linearised(at),
        at,
        here.delta,
        here.delta**2,
        here.way,
        where.box,
        here.free,
        here.most,
        (gradient, model),
        1e-4,
        False,
    )
    return here, z, error


TEXTS = ["x1^2 + x2^2 + x3^2 <= 1.2", "exp(x1) - x2*x3 <= 1.5", "x1 + x2 + x3 == 0.3"]


@pytest.mark.parametrize("texts", [TEXTS[:2], TEXTS])
def test_formulas_in_the_kernel_and_functions_from_python_lead_to_one_point(texts):
    here, inside, error = posed(texts, [0.1, 0.1, 0.1])
    _, outside, _ = posed(texts, [0.1, 0.1, 0.1], OfFunctions)
    assert here.formulas is not None
    assert error <= 1e-9
    np.testing.assert_allclose(inside, outside, rtol=0.0, atol=1e-14)


def test_derivatives_that_are_not_finite_come_from_outside():
    here, z, error = posed(["sqrt(x1^2 + x2^2) <= 0.4", "x1 + x3 <= 1"], [0.0, 0.0, 0.0])
    assert error <= 1e-6
    assert here.region.is_feasible(z, 1e-9)


def test_what_functions_raise_comes_through():
    made, rows, *_ = problem(0, 4, 2, 0)

    def broken(_t):
        raise ZeroDivisionError("by a user")

    rows.values = broken
    with pytest.raises(ZeroDivisionError, match="by a user"):
        solve(made, np.zeros(4), 1e-4, 1e-9, 60)
