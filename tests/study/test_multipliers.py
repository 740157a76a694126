"""Constraints, bounds and multipliers that a summary reports, against the conditions of KKT."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optdriver.studies import create_study

LOG = {"domain": (1e-6, 1e-2), "scale": "log"}


def slanted(a, b, c):
    """Held at a's upper bound and b's lower one, and by the row on b and c."""
    slope = [-700.0, 3.0, -0.25]
    return slope[0] * a + slope[1] * b + slope[2] * c + 0.125 * c * c, [*slope[:2], -0.25 + c / 4]


@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("a", [(1e-6, 1e-2), LOG, (-3.0, 1e-2)])
@pytest.mark.parametrize("row", [None, "0.5*c + b <= 10.375"])
def test_bounds_and_rows_have_multipliers_that_balance_the_gradient(row, a, jac):
    domain = {"a": a, "b": (10.0, 90.0), "c": (-2.0, 40.0)}
    study = create_study(domain, constraints=row, jac=jac, max_num_minimizers=1, gtol=1e-7)
    study.run(slanted if jac else lambda a, b, c: slanted(a, b, c)[0])
    info = study.info()
    assert info["success"]
    assert info["active_bounds"] == {"a": "upper", "b": "lower"}
    assert len(info["active_constraints"]) == (row is not None)
    _, gradient = slanted(**info["min_params"])
    rows = {name: np.array([0.0, 1.0, 0.5]) for name in info["active_constraints"]}
    pull = np.array(gradient)
    for name, multiplier in info["multipliers"].items():
        assert multiplier > 0.0
        side = {"a": [1.0, 0.0, 0.0], "b": [0.0, -1.0, 0.0]}.get(name)
        pull += multiplier * (rows[name] if side is None else np.array(side))
    assert (np.abs(pull) <= (1e-7 if jac else 1e-5) * (1.0 + np.abs(gradient))).all()
    assert 0.0 <= info["kkt_residual"] <= 1e-5
    (run,) = study.runs
    assert run.active_bounds == info["active_bounds"]
    assert run.multipliers == info["multipliers"]


def test_a_constraint_that_is_a_bound_is_no_bound_of_the_box():
    for constraints in ("x <= 2", ["x <= 2", "x + y <= 40"]):
        study = create_study(
            {"x": (0.1, 64.0), "y": (1.0, 64.0)},
            constraints=constraints,
            jac=True,
            max_num_minimizers=1,
        )
        study.run(lambda x, y: (5 * y - 3 * x, [-3.0, 5.0]))
        info = study.info()
        assert info["active_constraints"] == ("x <= 2",)
        assert info["active_bounds"] == {"y": "lower"}
        assert info["multipliers"] == pytest.approx({"x <= 2": 3.0, "y": 5.0})


def test_every_study_says_the_same_things():
    names = {"active_constraints", "active_bounds", "multipliers", "kkt_residual", "notes"}
    for settings in ({}, {"constraints": "x + y <= 1"}, {"driver": "Nelder-Mead"}):
        study = create_study({"x": (0, 1), "y": (0, 1)}, max_iter=30, **settings)
        assert names <= set(study.info())
        study.run(lambda x, y: math.cos(3 * x) + y)
        info = study.info()
        assert names <= set(info)
        if "driver" in settings:
            assert (info["active_bounds"], info["multipliers"]) == ({}, {})
            assert info["kkt_residual"] is None


@pytest.mark.parametrize("driver", ["Nelder-Mead", "Powell"])
def test_of_values_alone_no_residual_is_told_under_constraints_either(driver):
    study = create_study(
        {"x": (0, 2), "y": (0, 2)}, driver=driver, constraints="x + y >= 1.5", max_iter=40
    )
    study.run(lambda x, y: (x - 0.25) ** 2 + 2.0 * y)
    for each in (study, type(study).from_dict(study.to_dict())):
        assert each.info()["kkt_residual"] is None
        assert all(run.kkt_residual is None for run in each.runs)


def test_by_differences_along_a_surface_a_bound_has_no_multiplier():
    study = create_study({"x": (0, 4), "y": (1, 4)}, constraints="x == 2*y", max_num_minimizers=1)
    study.run(lambda x, y: x + y)
    info = study.info()
    assert info["active_bounds"] == {"y": "lower"}
    assert info["multipliers"] == {}


def test_what_is_held_outlasts_a_suspension():
    study = create_study(
        {"x": LOG, "y": (0, 1)}, constraints="100*x + y <= 1.5", jac=True, max_num_minimizers=1
    )
    study.run(lambda x, y: (8 * x - y, [8.0, -1.0]))
    again = type(study).from_dict(study.to_dict())
    info = again.info()
    assert info["multipliers"] == study.info()["multipliers"]
    assert info["multipliers"] == pytest.approx({"x": 8.0, "y": 1.0})
