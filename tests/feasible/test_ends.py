"""Ends with a name of their own, and scales that a run outgrows."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize

import optdriver
from optdriver import MultiStart, scipy_feasible_method
from optdriver.constraints import ConstraintSet
from optdriver.feasible import FeasibleMinimizer, Stop


def drive(opt, f, g, most=200):
    while not opt.done and opt.nfev < most:
        x = opt.ask()
        opt.tell(float(f(x)), np.asarray(g(x), dtype=float))
    return opt


FALLING = {
    "beside a parabola": ("x2 <= x1^2", lambda x: -3.0 * x[1], lambda x: [0.0, -3.0]),
    "hyperbola": ("x1*x2 <= 2", lambda x: x[1] - x[0] ** 2, lambda x: [-2 * x[0], 1.0]),
    "slow": ("x1 <= x2^4", lambda x: 1e-3 * x[0], lambda x: [1e-3, 0.0]),
    "under an exponential": ("x2 <= exp(x1)", lambda x: -x[1], lambda x: [0.0, -1.0]),
    "on a curve": ("x2 == x1^3", lambda x: -x[1], lambda x: [0.0, -1.0]),
    "exponential": ("x1 + x2 >= -1", lambda x: -np.exp(x[0]), lambda x: [-np.exp(x[0]), 0.0]),
}


@pytest.mark.parametrize("name", FALLING)
def test_a_fall_without_end_within_the_constraints_has_a_name(name):
    text, f, g = FALLING[name]
    opt = FeasibleMinimizer([1.0, 1.0], text)
    while not opt.done and opt.nfev < 100:
        x = opt.ask()
        assert max(opt.constraints.violation(x), 0.0) <= 1e-9
        opt.tell(float(f(x)), g(x))
    assert opt.stop is Stop.UNBOUNDED
    assert opt.result.status == 4
    assert not opt.result.success
    assert opt.result.message.startswith("UNBOUNDED")


@pytest.mark.parametrize("jac", [True, None])
def test_scipy_and_studies_say_it_too(jac):
    text, f, g = FALLING["beside a parabola"]
    fun = (lambda x: (f(x), g(x))) if jac else f
    result = minimize(fun, [1.0, 0.5], jac=jac, method=scipy_feasible_method, constraints=text)
    assert (result.status, result.success, result.stop) == (4, False, Stop.UNBOUNDED)

    unlimited = (-np.inf, np.inf)
    study = optdriver.create_study(
        {"x1": unlimited, "x2": unlimited},
        constraints=text,
        initial_samples=[[1.0, 0.5], [2.0, 0.5]],
        jac=bool(jac),
        max_num_minimizers=2,
    )
    study.run(lambda x1, x2: fun([x1, x2]))
    assert "UNBOUNDED" in study.stop_reason
    assert study.info()["success"] is False
    assert study.best.value < -1e6


def test_one_run_without_end_ends_a_multi_start():
    ms = MultiStart([(None, None)] * 2, initial_samples=[[1.0, 1.0], [5.0, 5.0]], num_initial=2)
    while not ms.done:
        (point,) = ms.ask(1)
        ms.tell(point.id, -point.x[0], [-1.0, 0.0])
    assert "no minimum" in ms.stop_reason
    assert ms.nfev < 60
    assert {run.state for run in ms.runs} == {"stopped"}


@pytest.mark.parametrize("power", [20, 60, 140])
def test_an_epigraph_is_descended_from_any_height(power):
    """SLSQP, from the same start, gives the minimum to compare with."""
    rows = [f"x3 >= exp({power}*x1 - 1) + x2^2", f"x3 >= exp({power}*x2) - x1"]
    start = np.array([1.0, 1.0, 2.0 * np.exp(power)])
    opt = drive(FeasibleMinimizer(start, rows), lambda x: x[2], lambda x: [0.0, 0.0, 1.0])
    assert opt.converged
    assert opt.nfev <= 20

    def slack(x):
        return [
            x[2] - np.exp(power * x[0] - 1) - x[1] ** 2,
            x[2] - np.exp(power * x[1]) + x[0],
        ]

    peer = minimize(
        lambda x: x[2],
        [0.0, 0.0, 2.0],
        method="SLSQP",
        constraints={"type": "ineq", "fun": slack},
        options={"ftol": 1e-12},
    )
    assert opt.result.fun == pytest.approx(peer.fun, abs=1e-6)


EPIGRAPHS = {
    "cosines": (["x3 >= cosh(60*x1) + cosh(70*x2)", "x3 >= cosh(50*(x1 + x2))"], 2.0),
    "power": (["x3 >= (1 + x1^2)^40 + x2^2", "x3 >= x1 - x2"], 1.0),
    "bounded": (["x3 >= exp(20*x1*(1 + x2^2))", "x3 >= exp(15*x1) + x2"], np.exp(20 * 0.5)),
}


START = np.array([2.5, 1.0, 0.0])


@pytest.mark.parametrize("name", EPIGRAPHS)
def test_an_epigraph_is_entered_by_its_own_variable(name):
    """All variables together lead nowhere, where one of them is enough."""
    rows, lowest = EPIGRAPHS[name]
    box = [(0.5, 5.0) if name == "bounded" else (None, None), (None, None), (None, None)]
    made = ConstraintSet(rows, ["x1", "x2", "x3"], box, reference=START)
    values, calls = made.values, []
    made.values = lambda x: calls.append(1) or values(x)
    opt = FeasibleMinimizer(START, made)
    assert len(calls) <= 4000
    assert made.is_feasible(opt.ask())
    drive(opt, lambda x: x[2], lambda x: [0.0, 0.0, 1.0])
    assert opt.result.fun == pytest.approx(lowest, rel=1e-5)
    assert opt.nfev <= 25


def test_a_run_that_outgrows_its_scales_is_resumed_exactly():
    rows = ["x3 >= exp(40*x1 - 1) + x2^2", "x3 >= exp(40*x2) - x1"]
    start = np.array([1.0, 1.0, 2.0 * np.exp(40)])
    whole = FeasibleMinimizer(start, rows)
    broken = whole.copy()
    while not whole.done:
        x = whole.ask()
        assert np.array_equal(x, broken.ask())
        for opt in (whole, broken):
            opt.tell(x[2], [0.0, 0.0, 1.0])
        data = broken.to_dict()
        for name, values in data["state"].items():
            if isinstance(values, np.ndarray):
                data["state"][name] = values.tolist()
        data["reference"] = data["reference"].tolist()
        broken = FeasibleMinimizer.from_dict(json.loads(json.dumps(data)))
    assert broken.done
    assert whole.nit > 2


CUSPS = {
    "up": (lambda x: -x[1], lambda x: [0.0, -1.0]),
    "near": (lambda x: (x[0] + 0.5) ** 2 + (x[1] - 3) ** 2, lambda x: [2 * x[0] + 1, 2 * x[1] - 6]),
    "beyond": (
        lambda x: (x[0] - 0.2) ** 2 + (x[1] - 2) ** 2,
        lambda x: [2 * x[0] - 0.4, 2 * x[1] - 4],
    ),
}


@pytest.mark.parametrize("name", CUSPS)
@pytest.mark.parametrize("jac", [True, False])
def test_a_cusp_is_a_minimum_without_multipliers(name, jac):
    """The tip of ``2 y <= 3 - sqrt(x)`` is the minimum, whatever the slope in x."""
    f, g = CUSPS[name]
    study = optdriver.create_study(
        {"x": (0, 3), "y": (-1, 3)},
        constraints={"name": "tip", "constraint": "2*y <= 3 - sqrt(x)"},
        jac=jac,
        max_num_minimizers=1,
        initial_samples=[[0.7, 0.2]],
    )
    study.run(lambda x, y: (f([x, y]), g([x, y])) if jac else f([x, y]))
    assert study.best.x == pytest.approx([0.0, 1.5], abs=1e-7)
    assert study.num_evaluations <= 15
    (run,) = study.runs
    assert run.state == "converged"
    assert "without multipliers: 'tip' has a cusp" in run.reason
    assert "tip" in run.active_constraints
    assert "tip" not in run.multipliers


def test_a_corner_keeps_its_multipliers():
    opt = FeasibleMinimizer([0.5, 0.2], "2*x2 <= 3 - x1", [(0, 3), (-1, 3)])
    drive(opt, lambda x: -x[1], lambda x: [0.0, -1.0])
    assert opt.converged
    assert opt.result.multipliers == {"2*x2 <= 3 - x1": pytest.approx(0.5)}
    assert opt.result.bound_multipliers == pytest.approx([-0.5, 0.0])
    said = opt.report()
    for name in ("x", "jac", "bound_multipliers"):
        said[name][:] = 7.0  # whoever has it may write into it
    said["multipliers"].clear()
    assert opt.result.multipliers == {"2*x2 <= 3 - x1": pytest.approx(0.5)}
    assert opt.result.bound_multipliers == pytest.approx([-0.5, 0.0])
    assert opt.copy().result.x.tolist() == opt.result.x.tolist() != [7.0, 7.0]


def test_a_vanishing_gradient_is_named():
    rows = {"name": "horn", "constraint": "x2^2 <= (1 - x1)^3"}
    opt = FeasibleMinimizer([0.2, 0.2], [rows], [(-2, 2), (-2, 2)])
    drive(opt, lambda x: -x[0] + 0.1 * x[1], lambda x: [-1.0, 0.1])
    np.testing.assert_allclose(opt.result.x, [1.0, 0.0], atol=1e-6)
    assert opt.converged or "'horn' vanishes" in opt.result.message


@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("height", [0.0, 0.6])
def test_a_disc_in_its_box_is_no_crawl(jac, height):
    """Where the box touches the disc the points of L-BFGS-B are infeasible again and again."""
    middle, radius = np.array([2.0, -1.0]), 1.5
    wish = middle + np.array([2 * radius, height])
    nearest = middle + radius * (wish - middle) / np.hypot(*(wish - middle))
    study = optdriver.create_study(
        {"a": (0.5, 3.5), "b": (-2.5, 0.5)},
        constraints="(a - 2)^2 + (b + 1)^2 <= 2.25",
        jac=jac,
        max_num_minimizers=1,
    )

    def distance(a, b):
        d = np.array([a, b]) - wish
        return (float(d @ d), 2 * d) if jac else float(d @ d)

    study.run(distance)
    np.testing.assert_allclose(study.best.x, nearest, atol=2e-6)
    assert study.num_evaluations <= 20


@pytest.mark.parametrize("unit", [1e-12, 1e6, 1e11, 1e15])
def test_a_row_in_another_unit_pins_nothing(unit):
    """At the start both variables are at their lower bound and the row is active; it is no end."""
    rows = {"name": "shared", "constraint": f"{unit}*(x1 - x2) <= 0"}
    opt = FeasibleMinimizer([0.0, 0.0], [rows], [(0, 2), (0, 2)])
    drive(opt, lambda x: x[1] ** 2 - 3 * x[0], lambda x: [-3.0, 2 * x[1]])
    assert opt.converged
    np.testing.assert_allclose(opt.result.x, [1.5, 1.5], atol=1e-6)
    assert opt.result.multipliers["shared"] * unit == pytest.approx(3.0, rel=1e-5)


@pytest.mark.parametrize(("left", "right"), [(1e-11, 3e4), (3e4, 1e-11), (1e-13, 1e2)])
def test_units_that_lie_far_apart_make_no_slope_infinite(left, right):
    """From a corner of the box, where the row is not even active."""
    row = f"(1 - x1/{left!r})^3 - x2/{right!r} >= 0"
    opt = FeasibleMinimizer([0.0, 0.0], row, [(0.0, 4 * left), (0.0, 4 * right)])
    drive(
        opt,
        lambda x: (x[0] / left - 2) ** 2 + (x[1] / right) ** 2,
        lambda x: [2 * (x[0] / left - 2) / left, 2 * x[1] / right**2],
    )
    assert opt.nfev > 1
    assert not opt.converged or opt.result.x[0] / left == pytest.approx(1.0, abs=1e-4)
