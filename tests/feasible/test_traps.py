"""Shapes that trap methods: each ends right, or says why not, without one infeasible point."""

import warnings
from collections import Counter

import numpy as np
import pytest

from optdriver.constraints import ConstraintSet
from optdriver.errors import ConstraintWarning, InputError
from optdriver.feasible import FeasibleMinimizer, Stop
from optdriver.geometry import posing


def run(opt, objective, most=300):
    """Drive `opt` to the end; return its result and all asked points."""
    points = []
    while not opt.done and opt.nfev < most:
        points.append(opt.ask())
        opt.tell(*objective(points[-1]))
    return opt.result, np.array(points)


def toward(*target):
    """Return the squared distance to `target`, with its gradient."""
    goal = np.array(target)
    return lambda x: (float((x - goal) @ (x - goal)), 2.0 * (x - goal))


def test_the_outside_of_a_disc():
    opt = FeasibleMinimizer([2.0, 0.5], "x1^2 + x2^2 >= 1", [(-3, 3)] * 2)
    result, points = run(opt, toward(0.2, 0.1))
    assert np.all(np.sum(points**2, axis=1) >= 1.0)
    assert result.success
    np.testing.assert_allclose(result.x, np.array([2.0, 1.0]) / np.sqrt(5.0), atol=1e-6)


def test_an_annulus_is_followed_round():
    rows = ["x1^2 + x2^2 <= 1", "x1^2 + x2^2 >= 0.81"]
    opt = FeasibleMinimizer([-0.9, 0.3], rows, [(-2, 2)] * 2)
    result, points = run(opt, toward(2.0, 0.0))
    radii = np.sum(points**2, axis=1)
    assert np.all((radii <= 1.0) & (radii >= 0.81))
    assert result.success
    np.testing.assert_allclose(result.x, [1.0, 0.0], atol=1e-6)
    assert result.active


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_two_discs_each_has_its_minimum(side):
    text = "min((x1 - 2)^2 + x2^2, (x1 + 2)^2 + x2^2) <= 1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opt = FeasibleMinimizer([2.0 * side, 0.5], text, [(-4, 4)] * 2)
    result, points = run(opt, toward(0.0, 0.0))
    assert np.all((np.abs(points[:, 0]) - 2.0) ** 2 + points[:, 1] ** 2 <= 1.0 + 1e-15)
    assert result.success
    assert abs(abs(result.x[0]) - 1.0) <= 1e-6


def test_a_thin_sickle():
    rows = ["x1^2 + x2^2 <= 1", "(x1 - 0.02)^2 + x2^2 >= 1"]
    opt = FeasibleMinimizer([-0.99, 0.0], rows, [(-2, 2)] * 2)
    result, points = run(opt, toward(0.0, 2.0))
    assert np.all(np.sum(points**2, axis=1) <= 1.0)
    assert np.all((points[:, 0] - 0.02) ** 2 + points[:, 1] ** 2 >= 1.0)
    assert result.success
    assert result.fun <= toward(0.0, 2.0)(np.array([0.01, np.sqrt(1 - 1e-4)]))[0] + 1e-6


def test_a_set_without_interior():
    rows = ["x1^2 + x2^2 <= 1", "x1^2 + x2^2 >= 1"]
    opt = FeasibleMinimizer([2.0, 0.5], rows, [(-2, 2)] * 2)
    result, points = run(opt, toward(0.0, 2.0))
    assert np.all(np.abs(np.sum(points**2, axis=1) - 1.0) <= 1e-9)
    assert result.success
    np.testing.assert_allclose(result.x, [0.0, 1.0], atol=1e-6)


def test_a_cusp_where_no_qualification_holds():
    opt = FeasibleMinimizer([0.2, 0.1], "x2 <= (1 - x1)^3", [(0, None), (0, None)])
    result, points = run(opt, toward(2.0, 0.0))
    assert np.all(points[:, 1] <= (1.0 - points[:, 0]) ** 3)
    assert abs(result.fun - 1.0) <= 1e-5
    assert result.success
    assert "without multipliers" in result.message


@pytest.mark.parametrize(
    "rows",
    [
        ["x1 + x2 == 0", "x1 == x2"],
        ["x1 + x2 <= 0", "x1 + x2 >= 0", "x1 - x2 <= 0", "x1 - x2 >= 0"],
    ],
)
def test_a_set_of_one_point_is_evaluated_once(rows):
    opt = FeasibleMinimizer([0.5, 0.25], rows, [(-3, 3)] * 2)
    result, points = run(opt, toward(1.0, 2.0))
    assert result.success
    np.testing.assert_allclose(points, [[0.0, 0.0]], atol=1e-9)


def test_two_discs_that_touch_are_one_point():
    rows = ["(x1 - 1)^2 + x2^2 <= 1", "(x1 + 1)^2 + x2^2 <= 1"]
    opt = FeasibleMinimizer([0.5, 0.25], rows, [(-3, 3)] * 2)
    result, points = run(opt, toward(0.0, 2.0))
    assert len(points) <= 5
    assert result.success or result.stop is Stop.STALLED
    np.testing.assert_allclose(points, 0.0, atol=1e-4)


def test_redundant_and_parallel_rows():
    rows = ["x1 + x2 <= 1", "2*x1 + 2*x2 <= 2", "x1 + x2 <= 1 + 1e-9", "x1 + x2 <= 5"]
    with pytest.warns(ConstraintWarning, match="always holds"):
        opt = FeasibleMinimizer([0.0, 0.0], rows, [(-2, 2)] * 2)
    result, _ = run(opt, toward(1.0, 1.0))
    assert result.success
    np.testing.assert_allclose(result.x, [0.5, 0.5], atol=1e-8)


def test_a_barely_feasible_set():
    rows = ["x1^2 + x2^2 <= 1", "x1 + x2 >= sqrt(2) - 1e-7"]
    opt = FeasibleMinimizer([0.0, 0.0], rows, [(-2, 2)] * 2)
    result, points = run(opt, toward(3.0, 0.0))
    assert opt.notes
    assert np.all(np.sum(points**2, axis=1) <= 1.0)
    assert result.maxcv == 0.0


def test_an_empty_set_names_what_resists():
    rows = [
        {"name": "disc", "constraint": "x1^2 + x2^2 <= 1"},
        {"name": "far", "constraint": "x1 + sin(x2) >= 3"},
    ]
    with pytest.raises(InputError, match="disc|far"):
        FeasibleMinimizer([0.0, 0.0], rows, [(-5, 5)] * 2)


def test_a_start_that_violates_is_moved_or_refused():
    opt = FeasibleMinimizer([3.0, 4.0], "x1^2 + x2^2 <= 1")
    np.testing.assert_allclose(opt.x0 @ opt.x0, 1.0)
    assert "moved" in opt.notes[0]
    with pytest.raises(InputError, match="project_starts"):
        FeasibleMinimizer([3.0, 4.0], "x1^2 + x2^2 <= 1", project_starts=False)


def test_fixed_parameters_and_names():
    rows = [{"name": "circle", "constraint": "sqrt(a^2 + b^2) <= radius"}]
    opt = FeasibleMinimizer([0.5, 0.5], rows, [(-3, 3)] * 2, names=["a", "b"], fixed={"radius": 2})
    result, _ = run(opt, toward(3.0, 4.0))
    np.testing.assert_allclose(result.x, [1.2, 1.6], atol=1e-6)
    assert result.active == ("circle",)
    assert result.multipliers["circle"] > 0.0


@pytest.mark.parametrize("goal", [(1.0, 1.0), (0.5, -1.0), (2.0, 0.3)])
def test_the_end_of_a_function_is_a_side_to_go_along(goal):
    with pytest.warns(ConstraintWarning, match="no real value"):
        opt = FeasibleMinimizer([0.1, 0.1], "log(x1) + sqrt(x2) <= -1")
    result, points = run(opt, toward(*goal))
    assert np.all(points >= 0.0)
    assert result.success
    ends = np.array([np.exp(-1.0), 0.0])
    assert result.fun <= toward(*goal)(ends)[0] + 1e-9


def test_a_single_point_ends_soon(monkeypatch):
    solved = []
    solve = posing.solved
    monkeypatch.setattr(posing, "solved", lambda *given: solved.append(1) or solve(*given))
    opt = FeasibleMinimizer([0.0, 0.0], "x1^2 + x2^2 <= 0", [(-2, 2)] * 2)
    result, points = run(opt, toward(2.0, 0.0))
    np.testing.assert_array_equal(points, [[0.0, 0.0]])
    assert result.stop is Stop.OPTIMAL
    assert len(solved) <= 6


def test_the_tip_of_a_cusp_is_found_or_reported():
    opt = FeasibleMinimizer([-2.0, -2.0], "x2 <= (1 - x1)^3", [(0, None), (0, None)])
    result, _ = run(opt, toward(2.0, 0.0))
    assert abs(result.fun - 1.0) <= 1e-5
    assert result.success == (result.stop is Stop.OPTIMAL)


def test_a_point_that_failed_twice_is_not_asked_again():
    """The least of a linear function lies in a corner that cannot be evaluated."""
    cs = ConstraintSet("x + y <= 1", ["x", "y"], [(0, 1), (0, 1)])
    minimizer = FeasibleMinimizer([0.2, 0.1], cs)
    asked = Counter()
    while not minimizer.done:
        x = minimizer.ask()
        asked[tuple(x)] += 1
        if x[0] > 1.0 - 1e-3:
            minimizer.tell_failure("the mesh folds")
        else:
            minimizer.tell(-2.0 * x[0] - x[1], np.array([-2.0, -1.0]))
    assert max(asked.values()) == 2
    result = minimizer.result
    assert not result.success
    assert result.stop == "failed"
    assert 1.0 - 1e-2 < result.x[0] <= 1.0 - 1e-3
    assert minimizer.nfev < 80


def test_a_point_that_failed_once_is_still_reached():
    cs = ConstraintSet("x + y <= 1", ["x", "y"], [(0, 1), (0, 1)])
    minimizer = FeasibleMinimizer([0.2, 0.1], cs)
    failed = False
    while not minimizer.done:
        x = minimizer.ask()
        if x[0] == 1.0 and not failed:
            failed = True
            minimizer.tell_failure("no licence")
        else:
            minimizer.tell(-2.0 * x[0] - x[1], np.array([-2.0, -1.0]))
    assert failed
    assert minimizer.result.success
    assert minimizer.result.x.tolist() == [1.0, 0.0]
