"""Boxes that are finite and huge: slopes of rounding promise much there, and all sides are near."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver.feasible import FeasibleMinimizer
from optdriver.feasible.criticality import measured, without_rounding

HESSIAN = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 3.0]])
AT = np.array([3.3, 2.1, 1.7])


def quadratic(x):
    d = x - AT
    return float(d @ HESSIAN @ d / 2), HESSIAN @ d


def run(minimizer, function):
    while not minimizer.done:
        minimizer.tell(*function(minimizer.ask()))
    return minimizer.result


def on_a_plane():
    """The minimum of the quadratic on x1 + x2 + x3 = 5, by its linear equations."""
    normal = np.linalg.solve(HESSIAN, np.ones(3))
    return AT - normal * (AT.sum() - 5.0) / normal.sum()


@pytest.mark.parametrize("width", [1e6, 1e20, 1e80, 1e150])
@pytest.mark.parametrize("low", [0.0, -1.0], ids=["above 0", "both ways"])
def test_what_rounding_leaves_of_a_slope_promises_nothing(width, low):
    def made(**given):
        box = np.tile([low * width, width], (3, 1))
        return FeasibleMinimizer([2.0, 2.0, 1.5], "x1 + x2 + x3 <= 5", bounds=box, **given)

    result = run(made(), quadratic)
    assert result.success
    assert result.x == pytest.approx(on_a_plane(), abs=1e-7)
    if width > 1e6:
        assert not run(made(rule=8), quadratic).success


@pytest.mark.parametrize("seed", range(12))
def test_an_end_with_success_is_the_minimum_whatever_the_box_and_the_units(seed):
    rng = np.random.default_rng(seed)
    unit, size = 2.0 ** rng.integers(-20, 21, 3), 2.0 ** float(rng.integers(-20, 21))
    box = np.stack([np.zeros(3), 10.0 ** rng.choice([3, 20, 80, 120], 3)], axis=1)
    row = " + ".join(f"{1 / u!r} * x{i}" for i, u in enumerate(unit.tolist(), 1))

    def function(z):
        f, g = quadratic(z / unit)
        return size * f, size * g / unit

    minimizer = FeasibleMinimizer(
        np.array([2.0, 1.0, 1.5]) * unit, f"{row} <= 5", bounds=box * unit[:, None], maxfun=200
    )
    result = run(minimizer, function)
    least = quadratic(on_a_plane())[0]
    assert result.fun <= size * least * (1.0 + 1e-5) or not result.success


def test_a_slope_of_its_own_is_no_rounding():
    box = np.tile([0.0, 1e80], (2, 1))
    minimizer = FeasibleMinimizer([1.0, 1.0], "x1 <= 2 + 0*x2", bounds=box)
    region, x = minimizer._region, np.array([2.0, 1.0])
    at = measured(region, x, np.array([-2.0, -1e-30]))
    assert without_rounding(region, x, np.array([-2.0, -1e-30]), at).far == at.far > 1e49


@pytest.mark.parametrize("power", [66, 266, 332, 399, 498])
def test_no_corner_of_a_huge_box_is_a_cusp(power):
    """Beside the box all distances are small: sides and row contradict each other near 0."""
    width = 2.0**power

    def function(z):
        f, g = quadratic(z * width)
        return f, g * width

    start = np.array([2.0, 1.75, 1.5]) / width
    row = f"{width!r} * (x1 + x2 + x3) <= 1e6"
    result = run(FeasibleMinimizer(start, row, bounds=np.tile([0.0, 1.0], (3, 1))), function)
    assert not result.success or np.allclose(result.x * width, AT, atol=1e-3)
