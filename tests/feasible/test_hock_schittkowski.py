"""The collection of Hock and Schittkowski: is it stated right, and is it solved."""

import functools
import warnings

import numpy as np
import pytest

from benchmarks.constrained_peers import Case, bounds, compiled, ours
from benchmarks.hs import EQUALITIES, INEQUALITIES, Formulas, Objective
from benchmarks.hs.solutions import SOLUTIONS
from optdriver.constraints import ConstraintSet
from optdriver.feasible import FeasibleMinimizer
from optdriver.feasible.criticality import criticality
from optdriver.feasible.region import region
from tests.contracts.positions import one_in

ALL = {problem.name: problem for problem in (*INEQUALITIES, *EQUALITIES)}
NAMES = sorted(ALL)
UNQUALIFIED = {"HS13"}  # the residual does not vanish at the solution itself
objective_of = functools.cache(lambda name: Objective(ALL[name]))
constraints_of = functools.cache(lambda name: compiled(ALL[name]))

SOME = ["HS10", "HS21", "HS35", "HS43", "HS66", "HS76", "HS106", "HS40", "HS63", "HS71", "HS73"]


def inside(problem):
    """Return the start, moved a little into the box."""
    lower, upper = problem.box
    x = np.clip(np.array(problem.start, dtype=float), lower, upper)
    step = 1e-3 * np.maximum(1.0, np.abs(x))
    return np.clip(x + step * np.cos(np.arange(problem.n)), lower + step, upper - step)


def slopes(function, x):
    """Return central differences of `function`, one column a variable."""
    steps = 1e-6 * np.maximum(1.0, np.abs(x))
    columns = []
    for step, row in zip(steps, np.eye(len(x)), strict=True):
        ahead, behind = function(x + step * row), function(x - step * row)
        columns.append((np.asarray(ahead) - np.asarray(behind)) / (2.0 * step))
    return np.array(columns).T


def test_all_of_the_book_is_there():
    bounds_only = {1, 2, 3, 4, 5, 25, 38, 45, 110}
    absent = {58, 82, 94, 115}
    expected = {f"HS{number}" for number in set(range(1, 120)) - bounds_only - absent}
    assert set(ALL) == set(SOLUTIONS) == expected
    assert len(INEQUALITIES) + len(EQUALITIES) == len(expected)


def test_constraints_are_texts_but_for_the_heated_rods():
    functions = {problem.name for problem in ALL.values() if problem.functions is not None}
    assert functions == {f"HS{number}" for number in range(88, 93)}


@pytest.mark.parametrize("name", one_in(3, (name for name in NAMES if not ALL[name].functions)))
def test_the_texts_say_the_same_to_sympy(name):
    problem, oracle = ALL[name], Formulas(ALL[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rows that always hold, and bounds, are rows to SymPy
        made = ConstraintSet(problem.texts, problem.names)
    x = inside(problem)
    for row, slope in zip(made.values(x), made.jacobian(x), strict=True):
        near = np.abs(oracle.values(x) - row) + np.abs(oracle.jacobian(x) - slope).max(axis=1)
        assert near.min() <= 1e-12 * max(1.0, abs(row), np.abs(slope).max())


@pytest.mark.parametrize("name", one_in(3, NAMES, first=1))
def test_the_gradients_are_those_of_the_functions(name):
    problem = ALL[name]
    objective, x = objective_of(name), inside(problem)
    made = constraints_of(name)
    f, g = objective(x)
    near = slopes(lambda z: objective(z)[0], x)
    np.testing.assert_allclose(g, near, atol=1e-4 * (1.0 + np.abs(g).max() + 1e-4 * abs(f)))
    jacobian = made.jacobian(x)
    if len(jacobian):
        rounding = 1e-5 * np.abs(made.values(x))[:, None]
        size = 1.0 + np.abs(jacobian).max(axis=1, keepdims=True) + rounding
        np.testing.assert_allclose(jacobian / size, slopes(made.values, x) / size, atol=1e-4)
        weights = np.cos(np.arange(len(jacobian)) + 1.0) / size[:, 0]
        hessian = made.hessian(x, weights)
        near = slopes(lambda z: weights @ made.jacobian(z), x)
        np.testing.assert_allclose(hessian, near, atol=1e-3 * (1.0 + np.abs(hessian).max()))


@pytest.mark.parametrize("name", one_in(3, NAMES, first=2))
def test_the_known_solution_is_one(name):
    problem, x = ALL[name], np.array(SOLUTIONS[name])
    made = constraints_of(name)
    lower, upper = made.lower, made.upper
    scaled = region(made, lower, upper, x)
    f, g = objective_of(name)(x)
    assert f == pytest.approx(problem.best, rel=2e-6, abs=2e-6)
    assert max(scaled.violation(x)) <= 1e-7
    if name not in UNQUALIFIED:
        inner = np.clip(x, lower, upper)
        size = 1.0 + float(np.abs(g).max())
        assert criticality(scaled, inner, g).residual <= 1e-4 * size


@pytest.mark.parametrize("name", SOME)
def test_a_problem_is_solved_in_a_few_feasible_points(name):
    trace = ours(Case.of(ALL[name]))
    assert trace.success
    assert trace.infeasible == trace.off_manifold == 0
    assert trace.solved_at is not None
    assert trace.solved_at <= 8
    assert trace.kkt <= 1e-6


@pytest.mark.parametrize("radius", [0.25, 0.5, 1.0])
def test_a_success_reports_the_point_that_passed_the_test(radius):
    """The values of the last points of HS62 differ by rounding, their residuals do not."""
    problem = ALL["HS62"]
    objective = Objective(problem)
    opt = FeasibleMinimizer(
        problem.start, compiled(problem), bounds(problem), initial_radius=radius, ftol=0.0
    )
    while not opt.done:
        opt.tell(*objective(opt.ask()))
    assert opt.converged
    assert opt.result.kkt <= 1e-6 * 2**10  # a sixteenth of f, as a power of two


@pytest.mark.slow
def test_the_collection_keeps_its_counts():
    traces = [ours(Case.of(problem)) for problem in INEQUALITIES]
    counts = [np.inf if trace.solved_at is None else trace.solved_at for trace in traces]
    assert np.isfinite(counts).mean() >= 0.96
    assert np.median(counts) <= 5.0
    assert sum(trace.infeasible for trace in traces) == 0
