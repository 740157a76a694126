"""The benchmark problems are the published ones: gradients, starts, values at the minima."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from benchmarks.problems import Problem, all_problems, by_name
from benchmarks.problems.best_known import BEST_KNOWN
from benchmarks.problems.unseen import problems as unseen

PROBLEMS = all_problems()
NAMES = [problem.name for problem in PROBLEMS]
each = pytest.mark.parametrize("problem", PROBLEMS, ids=NAMES)


def near_start(problem: Problem) -> np.ndarray:
    """A point off the start, so that no term is stationary or branches exactly there."""
    generator = np.random.default_rng(7)
    x = problem.start + 0.01 * generator.standard_normal(problem.n) * np.maximum(
        np.abs(problem.start), 0.1
    )
    return x if problem.bounds is None else np.clip(x, problem.lower, problem.upper)


def derivative(problem: Problem, x: np.ndarray, i: int) -> float:
    """The i-th partial derivative: by the complex step where the function is analytic."""
    if problem.smooth:
        z = x.astype(complex)
        z[i] += 1e-30j
        return float(problem.fun(z)[0].imag / 1e-30)
    step = np.zeros(problem.n)
    step[i] = 1e-6 * max(1.0, abs(x[i]))
    return float((problem.fun(x + step)[0] - problem.fun(x - step)[0]) / (2.0 * step[i]))


def test_there_are_enough_and_each_has_its_own_name() -> None:
    assert len(PROBLEMS) >= 60
    assert len(set(NAMES)) == len(NAMES)
    assert sum(problem.bounds is not None for problem in PROBLEMS) >= 30
    assert set(BEST_KNOWN) == set(NAMES)


@each
def test_gradient_is_the_derivative(problem: Problem) -> None:
    x = near_start(problem)
    f, g = problem.fun(x)
    tolerance = 1e-10 if problem.smooth else 1e-5
    assert np.isfinite(f)
    assert g.shape == x.shape
    assert g.dtype == np.float64
    for i in np.linspace(0, problem.n - 1, min(problem.n, 12)).astype(int):
        assert derivative(problem, x, i) == pytest.approx(g[i], abs=tolerance * np.abs(g).max())


@each
def test_start_and_bounds_have_the_shape_of_the_problem(problem: Problem) -> None:
    assert problem.start.shape == (problem.n,)
    assert problem.start.dtype == np.float64
    if problem.bounds is not None:
        assert problem.bounds.shape == (problem.n, 2)
        assert (problem.bounds[:, 0] <= problem.bounds[:, 1]).all()


@each
def test_value_at_the_known_minimiser(problem: Problem) -> None:
    if problem.x_star is None:
        return
    f, g = problem.fun(problem.x_star)
    assert f == pytest.approx(problem.f_star, abs=1e-12)
    if problem.bounds is not None:
        assert (problem.x_star == np.clip(problem.x_star, problem.lower, problem.upper)).all()
    assert problem.projected_gradient(problem.x_star, g) <= 1e-7 * max(1.0, np.abs(g).max())


@each
def test_best_known_value_rounds_to_the_published_one(problem: Problem) -> None:
    if problem.published is None:
        return
    printed = Decimal(problem.published)
    last_digit = float(Decimal((0, (1,), int(printed.as_tuple().exponent))))
    # Papers cut digits off as often as they round, and obstacle values were computed loosely.
    slack = max(1.01 * last_digit, 2e-9 * abs(float(printed)))
    assert problem.f_star is not None
    assert abs(problem.f_star - float(printed)) <= slack


@each
def test_no_known_minimum_is_above_the_start(problem: Problem) -> None:
    f0 = problem.fun(problem.start)[0]
    assert problem.f_star is not None
    assert all(problem.f_star <= value for value in (f0, *problem.minima))


def test_projected_gradient_ignores_what_a_bound_holds() -> None:
    problem = by_name("HS4")
    x = np.array([1.0, 0.0])
    assert problem.projected_gradient(x, problem.fun(x)[1]) == 0.0
    assert problem.projected_gradient(np.array([2.0, 0.0]), np.array([0.5, 1.0])) == 0.5


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match="HS45"):
        by_name("HS46")


@pytest.mark.parametrize("problem", unseen(3), ids=lambda problem: problem.name)
def test_what_no_threshold_was_chosen_on_is_no_standard_problem_and_has_its_gradient(problem):
    assert problem.name not in NAMES
    x = near_start(problem)
    f, g = problem.fun(x)
    assert np.isfinite(f)
    for i in range(problem.n):
        step = np.zeros(problem.n)
        step[i] = 1e-5 * max(abs(x[i]), 0.1)
        slope = (problem.fun(x + step)[0] - problem.fun(x - step)[0]) / (2.0 * step[i])
        assert g[i] == pytest.approx(slope, rel=1e-4, abs=1e-5 * max(1.0, abs(f)))


def test_fits_of_random_data_are_the_same_for_the_same_seed():
    pairs = zip(unseen(3), unseen(3), strict=True)
    assert all(a.fun(a.start)[0] == b.fun(b.start)[0] for a, b in pairs)
    fits = [problem for problem in unseen(3) if problem.lower is not None]
    others = [problem for problem in unseen(4) if problem.lower is not None]
    assert all(a.fun(a.x0)[0] != b.fun(b.x0)[0] for a, b in zip(fits, others, strict=True))
