"""What is left of a step of steepest descent, small or large, and Newton's steps onto rows."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver.constraints import ConstraintSet
from optdriver.constraints.restoration import descend
from optdriver.feasible import criticality
from optdriver.feasible.region import region
from optdriver.geometry import optimality


def problem(seed, n, m, q):
    source = np.random.default_rng(seed)
    jac, eq = source.normal(size=(m, n)), source.normal(size=(q, n))
    c = np.minimum(source.normal(size=m), 0.0)
    g, x = source.normal(size=n), source.uniform(-0.5, 0.5, n)
    box = np.full(n, -1.0), np.where(source.uniform(size=n) < 0.3, np.inf, 1.0)
    box[0][0] = x[0]
    return c, jac, eq, g, x, box


@pytest.mark.parametrize(("n", "m", "q"), [(1, 0, 0), (4, 3, 0), (6, 8, 2), (9, 0, 3), (5, 12, 1)])
@pytest.mark.parametrize("unit", [1.0, 0.25])
def test_small_and_large_problems_are_measured_alike(n, m, q, unit):
    for seed in range(8):
        c, jac, eq, g, x, box = problem(seed, n, m, q)
        if m > 2:
            c[1], c[2] = -np.inf, np.nan  # rows that never hold a step
        moving = np.flatnonzero(np.arange(n) != 2)
        small = optimality.project(c, jac, eq, g, x, box, moving, unit)
        large = criticality._project(c, jac, eq, g, x, box, moving, unit)
        assert (small is None) == (large is None)
        for one, other in zip(small or (), large or (), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_projected_step_is_the_nearest_of_all():
    """The conditions of Karush, Kuhn and Tucker, written out."""
    c, jac, eq, g, x, box = problem(3, 6, 5, 1)
    left, _, sides, residual, near, _, duals = optimality.project(
        c, jac, eq, g, x, box, np.arange(6), 1.0
    )
    assert np.all(c + jac @ left <= 1e-9) and np.all(np.abs(eq @ left) <= 1e-9)
    assert np.all(box[0] - 1e-9 <= x + left) and np.all(x + left <= box[1] + 1e-9)
    balance = left + g + jac.T @ duals[:5] + eq.T @ duals[5:] + sides
    np.testing.assert_allclose(balance, 0.0, atol=1e-9)
    assert np.all(duals[:5] >= 0.0) and residual == np.max(np.abs(left))
    ways = np.where(sides < 0.0, x - box[0], np.where(sides > 0.0, box[1] - x, 0.0))
    assert near == pytest.approx(duals[:5] @ -c + np.abs(sides) @ ways)


def test_equalities_that_contradict_each_other_leave_no_step():
    eq = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    box, none = (np.full(3, -1.0), np.ones(3)), np.zeros((0, 3))
    g, x, all_three = np.array([1.0, 0.0, 2.0]), np.zeros(3), np.arange(3)
    left, *_ = optimality.project(np.zeros(0), none, eq, g, x, box, all_three, 1.0)
    np.testing.assert_allclose(left, [-0.5, 0.5, -1.0])  # said twice is said once
    above = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    left, *_, duals = optimality.project(np.zeros(2), above, none, g, x, box, all_three, 1.0)
    np.testing.assert_allclose(left, [0.0, 0.0, -1.0])
    assert duals.tolist() == [0.0, 1.0]


def judged(c, jac, eq, g, x, box, *, steep=1e10, most=99):
    n = len(x)
    return optimality.judged(c, jac, eq, g, x, box, np.arange(n), 0.5, np.ones(n), steep, most)


def test_what_is_ordinary_is_judged_as_it_is_projected():
    given = problem(1, 5, 4, 1)
    *found, size = judged(*given)
    for one, other in zip(found, optimality.project(*given, np.arange(5), 0.5), strict=True):
        np.testing.assert_array_equal(one, other)
    assert size == np.abs(given[3]).max()


def test_what_is_not_ordinary_is_said():
    c, jac, *rest = problem(1, 5, 4, 1)
    assert judged(np.append(c[:3], np.nan), jac, *rest) is False  # a row without a value
    assert judged(c, jac, *rest, steep=0.1) is False
    assert judged(c, jac, *rest, most=9) is False
    jac = jac.copy()
    jac[2, 1] = np.inf
    assert judged(c, jac, *rest) is None


def test_what_f_falls_by_where_variables_move_by_their_sizes():
    left, room = np.array([-2.0, 3.0, 1.0]), np.array([0.5, np.inf, 4.0])
    x, began = np.array([1.0, -1.0, 2.0]), np.array([0.0, 2.0, 2.0])
    assert optimality.fall(left, room, x, began, 0.5) == (2.0 * 0.5 + 3.0 * 3.0 + 2.0, False)
    assert optimality.fall(left, room, x, began, 0.6)[1]  # 2 of 4 is less than this part
    assert optimality.fall(left[1:2], room[1:2], x[:1], began[:1], 0.6) == (3.0, False)


def test_the_steepest_slope_is_found_in_any_column():
    rows = np.array([[1.0, -4.0], [2.0, 3.0]])
    assert optimality.steepest(rows, np.array([10.0, 1.0])) == 20.0
    assert optimality.steepest(rows[:0], np.ones(2)) == 0.0


@pytest.mark.parametrize("texts", [["x1^2 + x2^2 <= 1"], ["x1*x2 == 0.2", "x1 <= 0.6"]])
def test_newton_steps_end_on_the_rows(texts):
    made = ConstraintSet(texts, ["x1", "x2"], [(-2, 2)] * 2)
    here = region(made, made.lower, made.upper, np.full(2, 0.5))
    for start in ([1.9, 1.2], [-0.7, -1.9], [0.4, 0.5]):
        found = descend(here, np.array(start), 15)
        assert found.strict and made.is_feasible(found.x, slack=1e-9)
        assert found.steps == 0 or here.violation(np.array(start))[0] > 0 or len(here.equalities)


def test_newton_steps_keep_the_best_point_where_nothing_helps():
    made = ConstraintSet(["x1^2 - x1*x2 + 1 <= 0"], ["x1", "x2"], [(-1, 1)] * 2)
    here = region(made, made.lower, made.upper, np.ones(2))
    found = descend(here, np.array([0.9, -0.9]), 15)
    assert not found.feasible and not found.strict
    assert here.violation(found.x)[0] <= here.violation(np.array([0.9, -0.9]))[0]
