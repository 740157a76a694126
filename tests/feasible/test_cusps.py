"""Minima without multipliers: found, named, and never claimed where f still falls."""

import numpy as np
import pytest

from optdriver import create_study
from optdriver.feasible import FeasibleMinimizer, Stop
from optdriver.feasible.cusp import cusp_near
from tests.contracts.positions import one_in

BOX = [(-2.0, 2.0)] * 2
# rows, their tip, the start, and a gradient for which the tip is the minimum
TIPS = {
    "a side": (["x2 <= (1 - x1)^3", "-x2 <= 0"], (1.0, 0.0), (0.2, 0.1), (-1.0, 0.0)),
    "curves": (
        ["x2 - x1 <= (x1 + x2 - 1)^2", "x1 - x2 <= (x1 + x2 - 1)^2", "x1 + x2 >= 1"],
        (0.5, 0.5),
        (1.2, 1.1),
        (1.0, 0.8),
    ),
    "a horn": (["x2^2 <= (1 - x1)^3"], (1.0, 0.0), (0.2, 0.2), (-1.0, 0.1)),
    "a wide horn": (["x2^2 <= 3*(0.7 - x1)^3"], (0.7, 0.0), (-0.4, 0.6), (-1.0, -0.25)),
    "a blunt horn": (["x2^4 <= (1 - x1)^5"], (1.0, 0.0), (-1.0, 0.3), (-1.0, 0.2)),
    "a point": (["x1^2 + x2^2 <= 0"], (0.0, 0.0), (0.5, 0.5), (-1.0, 0.3)),
}


def driven(rows, start, slope, unit=1.0, size=1.0, most=80, **settings):
    """Minimise a slope with a little curvature; variables and rows in another unit."""
    rows = [row.replace("x1", f"(x1/{size!r})").replace("x2", f"(x2/{size!r})") for row in rows]
    box = [(low * size, high * size) for low, high in BOX]
    opt = FeasibleMinimizer(np.array(start) * size, rows, box, **settings)
    while not opt.done and opt.nfev < most:
        x = opt.ask() / size
        g = np.array(slope) + 0.1 * x
        opt.tell(unit * float(np.dot(slope, x) + 0.05 * x @ x), unit * g / size)
    return opt


UNITS = [(1.0, 1.0), (1e7, 1e-9), (1e-12, 1e6)]


@pytest.mark.parametrize(
    ("name", "unit", "size"), one_in(2, [(name, *units) for units in UNITS for name in TIPS])
)
def test_a_tip_is_a_minimum_without_multipliers(name, unit, size):
    rows, tip, start, slope = TIPS[name]
    opt = driven(rows, start, slope, unit, size)
    result = opt.result
    np.testing.assert_allclose(result.x / size, tip, atol=1e-5)
    assert result.success
    assert opt.nfev <= 60
    if name == "a side" or "horn" in name:
        assert "without multipliers" in result.message
        assert not set(result.active) & set(result.multipliers)
        assert result.kkt <= 1e-5 * unit


@pytest.mark.parametrize("name", ["a side", "curves"])
def test_a_tip_is_left_where_the_objective_falls_along_it(name):
    rows, tip, start, slope = TIPS[name]
    opt = FeasibleMinimizer(start, rows, BOX)
    down, x = -np.array(slope), np.array(tip)
    assert opt._region.is_feasible(x)
    assert cusp_near(opt._region, x, np.array(slope), 1.0) is not None
    assert cusp_near(opt._region, x, down, 1.0) is None


def test_a_restoration_that_loses_its_way_proves_nothing():
    """On a curve that is all there is of a set, f falls along it, though no way there is found."""
    row = "(x1^2 + x2 - 1)^2 <= 0"
    opt = FeasibleMinimizer([0.5, 0.75], row, BOX)
    x, g = np.array([0.5, 0.75]), np.array([1.0, 3.0])
    assert cusp_near(opt._region, x, g, 1.0) is None
    for start in ([0.5, 0.75], [1.0, 0.0], [-0.7, 0.51]):
        opt = driven([row], start, (1.0, 3.0), most=40)
        assert not opt.converged or abs(opt.result.x[1] + 2.0) < 1e-6


def test_a_corner_and_the_inside_are_none():
    opt = FeasibleMinimizer([0.2, 0.1], ["x1 + x2 <= 1", "x1 - x2 <= 1"], BOX)
    for point in ([1.0, 0.0], [0.5, 0.5], [0.1, 0.0]):
        assert cusp_near(opt._region, np.array(point), np.array([-1.0, 0.0]), 1.0) is None


def test_what_is_missed_is_measured_by_f():
    """A set as narrow as rounding of its rows: every point of it looks like a tip."""
    rows = ["1e15*x1 >= 0", "1e15*x1 <= 1"]
    opt = FeasibleMinimizer([8e-16, 0.0], [*rows, "x2 + 1e3*x1 >= 0"], BOX)
    while not opt.done and opt.nfev < 60:
        t = 1e15 * opt.ask()[0] - 0.3
        opt.tell(t * t, [2e15 * t, 0.0])
    assert not opt.converged or abs(1e15 * opt.result.x[0] - 0.3) < 1e-3


def test_what_the_second_version_recorded_ends_as_it_did():
    rows, _, start, slope = TIPS["a side"]
    old = driven(rows, start, slope, rule=2)
    new = driven(rows, start, slope)
    assert (old.stop, new.stop) == (Stop.STALLED, Stop.OPTIMAL)
    assert old.nfev <= new.nfev <= old.nfev + 2
    again = FeasibleMinimizer.from_dict(new.to_dict())
    assert again.result.message == new.result.message
    assert again.result.kkt == new.result.kkt


def test_what_the_fourth_version_recorded_ends_as_it_did():
    rows, _, start, slope = TIPS["a horn"]
    old = driven(rows, start, slope, rule=3)
    new = driven(rows, start, slope)
    assert (old.stop, new.stop) == (Stop.STALLED, Stop.OPTIMAL)
    assert "vanishes there, perhaps a cusp" in old.result.message
    assert old.nfev == new.nfev


HORNS = [("y <= (1 - x)^3", 0.0), ("y^2 <= (1 - x)^3", -2.0), ("4*y^2 <= (1 - x)^3", -3.0)]


@pytest.mark.parametrize(
    ("row", "low", "jac"), one_in(2, [(*horn, jac) for jac in (True, False) for horn in HORNS])
)
def test_a_study_ends_by_name(jac, row, low):
    study = create_study(
        {"x": (-3, 3), "y": (low, 3)},
        constraints={"name": "tip", "constraint": row},
        jac=jac,
        max_num_minimizers=2,
    )
    study.run(lambda x, y: (-x, [-1.0, 0.0]) if jac else -x)
    info = study.info()
    assert info["success"]
    assert study.best.value == pytest.approx(-1.0, abs=1e-7)
    assert "without multipliers" in study.runs[0].reason
    assert info["active_constraints"] == ("tip",)
    assert info["multipliers"] == {}
    assert study.num_evaluations <= (60 if jac else 150)
