"""`success` and the conditions are those of the minimum that the best point belongs to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optdriver.studies import create_study

BOX = {"x": (-3, 3), "y": (-2, 4)}


def slope(x, y):
    return (x - 1) ** 2 + (y + 1) ** 2 + 0.1 * x * y


def valley(x, y):
    return 10 * (y - x * x) ** 2 + (1 - x) ** 2 - 5.0


def waves(x, y):
    return math.cos(3 * x) + 0.2 * x + math.sin(2 * y) + 0.05 * y * y


def finished(objective, **options):
    study = create_study(BOX, max_iter=2000, **options)
    study.run(objective)
    return study


@pytest.mark.parametrize("objective", [slope, valley, waves])
@pytest.mark.parametrize("parallel", [1, 3])
def test_runs_that_all_converged_are_a_success(objective, parallel):
    """The lowest value is often that of a difference point."""
    kinds = set()
    for seed in range(6):
        study = finished(objective, seed=seed, max_num_minimizers=2, num_parallel=parallel)
        assert {run.state for run in study.runs} == {"converged"}
        assert study.info()["success"]
        assert study.info()["min_objective"] == np.nanmin(study.history["value"])
        kinds.add(str(study.history["kind"][study.best.id]))
    assert "difference" in kinds or objective is waves


@pytest.mark.parametrize(
    ("objective", "constraint", "active"),
    [
        (slope, "x + y <= -1", ("x + y <= -1",)),
        (valley, "x^2 + y^2 <= 1.5", ("x^2 + y^2 <= 1.5",)),
        (valley, "x + y <= 4.5", ()),
    ],
)
def test_the_conditions_are_those_of_the_converged_run(objective, constraint, active):
    for seed in range(2):
        study = finished(objective, seed=seed, max_num_minimizers=2, constraints=[constraint])
        info = study.info()
        if any(run.state == "converged" for run in study.runs):
            assert info["success"]
            assert info["active_constraints"] == active
            assert info["kkt_residual"] <= 1e-3  # ftol may have ended it
            assert set(info["multipliers"]) == set(active)


def test_a_lower_value_elsewhere_is_no_success():
    study = finished(slope, max_num_minimizers=1)
    assert study.info()["success"]
    study.add_point({"x": 2.0, "y": 3.0}, study.best.value - 1e-3)
    assert not study.info()["success"]


@pytest.mark.parametrize(("lower", "success"), [(1e-12, True), (1e-4, False)])
def test_beside_the_minimum_it_depends_on_how_much_lower_it_is(lower, success):
    study = finished(slope, max_num_minimizers=1)
    x = study.best.x + 1e-6
    study.add_point(x, study.best.value - lower)
    assert study.best.x.tolist() == x.tolist()
    assert study.info()["success"] == success


def test_a_run_that_was_cut_short_is_no_success():
    study = create_study(BOX, max_iter=12, max_num_minimizers=1)
    study.run(valley)
    assert study.best is not None
    assert not study.info()["success"]


def test_nothing_observed_is_no_success():
    study = create_study(BOX, constraints=["x + y <= 1"])
    info = study.info()
    assert not info["success"]
    assert info["active_constraints"] == ()
    assert info["kkt_residual"] is None


@pytest.mark.parametrize("h", [1e-18, 3e-16, 2e-14])
@pytest.mark.parametrize("constraints", [(), ["x + y <= 2.5"]])
def test_steps_that_values_do_not_show_are_no_success(h, constraints):
    """Their differences are rounding errors: the slope is 0, or any, where the objective falls."""
    study = finished(valley, step_size=h, max_num_minimizers=2, constraints=constraints)
    assert not study.info()["success"]
    assert any("step_size= is so short" in run.reason for run in study.runs)
    before = finished(
        valley, step_size=h, max_num_minimizers=2, constraints=constraints, difference_rule=4
    )
    assert all("step_size" not in run.reason for run in before.runs)


@pytest.mark.parametrize(("rule", "value"), [(12, 124.36218), (11, 259.5344)])
def test_steps_that_a_wall_has_shortened_are_made_anew(rule, value):
    """Jennrich and Sampson's problem (124.362): along the box values are up to 1e90, curved so."""
    i = np.arange(1.0, 11.0)
    study = create_study(
        {"x": (-9.7, 10.3), "y": (-9.6, 10.4)},
        initial_samples=[[0.245, 0.425]],
        max_num_minimizers=1,
        convergence_rule=rule,
    )
    study.run(lambda x, y: float(np.sum((2.0 + 2.0 * i - np.exp(i * x) - np.exp(i * y)) ** 2)))
    assert study.info()["success"]
    assert study.best.value == pytest.approx(value, rel=1e-4)


TIMES = [8] * 2 + [10] * 4 + [12] * 4 + [14] * 3 + [16] * 3 + [18] * 2 + [20] * 3 + [22] * 3
TIMES += (
    [24] * 3 + [26] * 3 + [28] * 2 + [30] * 3 + [32] * 2 + [34] + [36] * 2 + [38] * 2 + [40, 42]
)
LEVELS = [49, 49, 48, 47, 48, 47, 46, 46, 45, 43, 45, 43, 43, 44, 43, 43, 46, 45, 42, 42, 43, 41]
LEVELS += [41, 40, 42, 40, 40, 41, 40, 41, 41, 40, 40, 40, 38, 41, 40, 40, 41, 38, 40, 40, 39, 39]


@pytest.mark.parametrize(("rule", "value"), [(13, 0.0284596697), (12, 0.0306463059)])
def test_steps_are_made_anew_in_the_unit_of_a_small_objective(rule, value):
    """Problem 57 of Hock and Schittkowski, 8e6 times smaller, after a value of 4e27."""
    times, levels = np.array(TIMES) - 8.0, np.array(LEVELS) / 100.0
    study = create_study(
        {"x": (0.4, 10.42), "y": (-4.0, 55.0)},
        constraints=["0.49*y - x*y - 0.09 >= 0"],
        initial_samples=[[0.42, 5.0]],
        max_num_minimizers=1,
        convergence_rule=rule,
    )
    study.run(
        lambda x, y: 2.0**-23 * float(np.sum((levels - x - (0.49 - x) * np.exp(-y * times)) ** 2))
    )
    assert study.info()["success"]
    assert study.best.value == pytest.approx(2.0**-23 * value, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_steps_that_are_short_and_shown_are_one(scale):
    """A value of 0 at the minimum has as many digits as it needs."""
    study = finished(
        lambda x, y: scale * slope(x, y), step_size=1e-9, max_num_minimizers=2, ftol=0.0
    )
    assert study.info()["success"]
    assert study.best.value == pytest.approx(-0.1 * scale, abs=0.01 * scale)


@pytest.mark.parametrize("h", [5.0, 1e9, 1e300])
def test_steps_wider_than_the_box_are_cut_to_it_under_constraints(h):
    study = create_study(BOX, step_size={"x": 1e-6, "y": h}, constraints=["x + y <= 2.5"])
    study.set_parameters(max_iter=12)
    study.run(slope)
    assert study.num_evaluations == 12
    assert "difference" in study.history["kind"]
    assert all(x + y <= 2.5 for x, y in zip(study.history["x"], study.history["y"], strict=True))
