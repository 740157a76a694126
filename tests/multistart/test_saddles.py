"""Runs that begin on planes of symmetry, in the multi-start and what is made of it."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver import MultiStart, create_study, minimize
from tests.lbfgsb.test_saddles import bowl, exchange, ridge, steep, wells

DISC = "x1^2 + x2^2 <= 11.9"


def drive(function, x0, *, jac, constraints=(), **options):
    box = [(-3.0, 3.0)] * len(x0)
    options = {"initial_samples": [x0], "max_num_minimizers": 1, **options}
    made = MultiStart(box, jac=jac, constraints=constraints, **options)
    while (points := made.ask(1)) and made.nfev < 400:
        f, g = function(points[0].x)
        made = MultiStart.from_dict(made.to_dict())
        made.tell(points[0].id, 5.0 + float(f), *([g] if jac else []))
    return made


@pytest.mark.parametrize("constraints", [(), DISC], ids=["box", "disc"])
@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize(
    ("function", "x0"),
    [(ridge, [1.0, 0.0]), (ridge, [0.0, 0.0]), (exchange, [2.0, 2.0]), (wells, [0.0] * 4)],
)
def test_a_run_leaves_a_saddle_to_which_symmetry_led_it(function, x0, jac, constraints):
    made = drive(function, x0, jac=jac, constraints=constraints)
    assert [run.state for run in made.runs] == ["converged"]
    assert made.minima[0].f == pytest.approx(4.0, abs=1e-6)
    before = drive(function, x0, jac=jac, constraints=constraints, convergence_rule=6)
    assert before.minima[0].f > 4.9


@pytest.mark.parametrize("start", [[1.0, 0.0], [-1.0, 0.0], [0.4, 0.0]])
@pytest.mark.parametrize("units", [1.0, 1e-3])
def test_a_drift_by_differences_hides_no_saddle_whose_value_is_0(start, units):
    """Their errors lead a little off the plane, to where f has a slope, but one below `gtol`."""
    box = {"a": (-3.0, 3.0), "b": (-3.0, 3.0)}
    study = create_study(box, initial_samples=[start], max_num_minimizers=1)
    study.run(lambda a, b: units * (3.0 * (a + 0.3) ** 2 - b * b + b**4 / 4.0))
    assert study.info()["success"]
    assert study.best.value == pytest.approx(-units, rel=1e-6)


def test_by_differences_a_point_beside_a_minimum_costs_one_value():
    counts = [drive(bowl, [1.0, 0.0], jac=False, convergence_rule=r).nfev for r in (6, 7, 8)]
    assert counts[1:] == [counts[0] + 1] * 2


@pytest.mark.parametrize("constraints", [(), DISC], ids=["box", "disc"])
@pytest.mark.parametrize("size", [40.0, 3e5])
def test_nor_does_one_that_is_larger_than_gtol(size, constraints):
    function = steep(size, 0.4)
    for start in ([-0.9, 0.0], [1.7, 0.0]):
        options = {"initial_samples": [start], "max_num_minimizers": 1, "jac": False}
        made = MultiStart([(-3.0, 3.0)] * 2, constraints=constraints, **options)
        while points := made.ask(1):
            made.tell(points[0].id, function(points[0].x))
        assert [run.state for run in made.runs] == ["converged"]
        assert made.minima[0].f == pytest.approx(-1.125 * size, rel=1e-6)


@pytest.mark.parametrize("constraints", [(), "x^2 + y^2 <= 8"], ids=["box", "disc"])
def test_nor_in_studies_and_minimize(constraints):
    def loss(x, y):
        return steep(700.0, 0.4)((x, y))

    box = {"x": (-3.0, 3.0), "y": (-3.0, 3.0)}
    study = create_study(
        box, initial_samples=[[-0.9, 0.0]], max_num_minimizers=1, constraints=constraints or None
    )
    study.run(loss)
    assert study.info()["success"]
    assert study.best.value == pytest.approx(-787.5, rel=1e-6)
    result = minimize(
        loss,
        box,
        x0={"x": -0.9, "y": 0.0},
        n_iter=1,
        jac="2-point",
        constraints=constraints or None,
    )
    assert result.success
    assert result.fun == pytest.approx(-787.5, rel=1e-6)


@pytest.mark.parametrize("constraints", [(), DISC], ids=["box", "disc"])
@pytest.mark.parametrize("jac", [True, False])
def test_a_crash_beside_an_end_leaves_it_converged(jac, constraints):
    made = MultiStart(
        [(-3.0, 3.0)] * 2,
        jac=jac,
        constraints=constraints,
        initial_samples=[[1.0, 0.0]],
        max_num_minimizers=1,
    )
    while points := made.ask(1):
        x = points[0].x
        if abs(x[1]) > 1e-4:
            made.tell_failure(points[0].id, "a crash")
            continue
        f, g = bowl(x)
        made.tell(points[0].id, f, *([g] if jac else []))
    assert [run.state for run in made.runs] == ["converged"]


def test_studies_and_minimize_leave_it_too():
    def loss(x, y):
        f, g = ridge(np.array([x, y]))
        return float(f), g

    study = create_study(
        {"x": (-2.5, 2.5), "y": (-2.5, 2.5)},
        jac=True,
        initial_samples=[{"x": 1.0, "y": 0.0}],
        max_num_minimizers=1,
    )
    study.run(loss)
    assert study.info()["success"]
    assert study.best.value == pytest.approx(-1.0)
    result = minimize(loss, [(-2.5, 2.5)] * 2, x0=[1.0, 0.0], jac=True)
    assert result.success
    assert result.fun == pytest.approx(-1.0)


T = np.linspace(0.0, 4.0, 20)
DATA = 1.0 + 2.0 * T + 1.5 * T**2


def parabola(a, b, c):
    """Residuals whose curvature is a square, of data with one of 1.5."""
    return a + b * T + c * c * T**2 - DATA


def slopes(a, b, c):
    return np.column_stack([np.ones(T.size), T, 2.0 * c * T**2])


@pytest.mark.parametrize("constraints", [None, "a + b <= 6"], ids=["box", "line"])
@pytest.mark.parametrize("jac", [True, False])
def test_fits_leave_a_saddle(constraints, jac):
    def told(a, b, c):
        return (parabola(a, b, c), slopes(a, b, c)) if jac else parabola(a, b, c)

    def study(rule):
        made = create_study(
            dict.fromkeys("abc", (-5.0, 5.0)),
            driver="least-squares",
            constraints=constraints,
            initial_samples=[[0.0, 0.0, 0.0]],
            max_num_minimizers=1,
            jac=jac,
            convergence_rule=rule,
        )
        made.run(told)
        return made

    made = study(9)
    assert made.info()["success"]
    assert made.best.value < 1e-12
    if jac:
        before = study(8)
        assert before.info()["success"]
        assert before.best.value > 100.0


def test_by_differences_a_fit_pays_one_value_beside_a_minimum():
    def flat(a, b):
        return np.append(a - np.arange(3.0), 0.0 * b)

    counts = []
    for rule in (8, 9):
        made = create_study(
            {"a": (-5.0, 5.0), "b": (-5.0, 5.0)},
            driver="least-squares",
            initial_samples=[[2.0, 0.5]],
            max_num_minimizers=1,
            convergence_rule=rule,
        )
        made.run(flat)
        assert made.info()["success"]
        counts.append(made.info()["num_evaluations"])
    assert counts[1] == counts[0] + 1


@pytest.mark.parametrize("constraints", [(), DISC], ids=["box", "disc"])
@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("method", ["SLSQP", "TNC"])
def test_methods_of_scipys_leave_a_saddle(method, jac, constraints):
    if constraints and method == "TNC":
        return  # it takes none
    options = {"method": method, "must_stay_feasible": False}
    made = drive(ridge, [1.0, 0.0], jac=jac, constraints=constraints, **options)
    assert [run.state for run in made.runs] == ["converged"]
    assert made.minima[0].f == pytest.approx(4.0, abs=1e-5)
    before = drive(
        ridge, [1.0, 0.0], jac=jac, constraints=constraints, convergence_rule=8, **options
    )
    assert before.minima[0].f > 4.9


def test_minimize_by_slsqp_leaves_it():
    def loss(x, y):
        f, g = ridge((x, y))
        return float(f), g

    result = minimize(loss, [(-2.5, 2.5)] * 2, x0=[1.0, 0.0], jac=True, method="SLSQP")
    assert result.success
    assert result.fun == pytest.approx(-1.0, abs=1e-6)


@pytest.mark.parametrize("jac", [True, False])
def test_limits_on_outputs_hide_none(jac):
    def told(a, b):
        f, g = ridge((a, b))
        row = a * a + b * b
        if not jac:
            return {"value": float(f), "row": row}
        return {"value": float(f), "gradient": g, "row": (row, [2 * a, 2 * b])}

    ends = []
    for rule in (9, 8):
        made = create_study(
            {"a": (-3.0, 3.0), "b": (-3.0, 3.0)},
            outputs={"row": "<= 1"},
            initial_samples=[[0.7, 0.0]],
            max_num_minimizers=1,
            jac=jac,
            convergence_rule=rule,
        )
        made.run(told)
        ends.append(made.best.value)
    assert ends[0] == pytest.approx(-0.75, abs=1e-6)
    assert not jac or ends[1] == pytest.approx(0.0, abs=1e-9)
