"""Difference schemes: exact where they must be, inside the box always, SciPy's to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize._numdiff import approx_derivative

from optdriver.errors import InputError
from optdriver.objectives.differences import SCHEMES, Differences

finite = st.floats(-1e6, 1e6, allow_nan=False)
schemes = st.sampled_from(SCHEMES)


@st.composite
def places(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x in a box whose sides may be infinite, narrow, or touched by x."""
    x, lower, upper = [], [], []
    for _ in range(draw(st.integers(1, 4))):
        at = draw(finite)
        below, above = draw(st.tuples(*[st.sampled_from([0.0, 1e-9, 1e-6, 1.0, np.inf])] * 2))
        if not at - below < at + above:
            above = 1.0
        x.append(at)
        lower.append(at - below)
        upper.append(at + above)
    return np.array(x), np.array(lower), np.array(upper)


def curve(x: np.ndarray) -> Any:
    return np.sum(np.sin(x) * np.arange(1, x.size + 1) + x**2)


def gradient(d: Differences, fun: Any, x: np.ndarray) -> np.ndarray:
    f = fun(x)
    return d.gradient(x, f, [fun(point) for point in d.points(x, f)])


@given(places(), schemes, st.sampled_from([{}, {"abs_step": 1e-8}, {"rel_step": 1e-7}]))
def test_agrees_with_scipy_to_the_bit(place: Any, scheme: str, step: dict[str, float]) -> None:
    x, lower, upper = place
    d = Differences(scheme=scheme, lower=lower, upper=upper, **step)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = approx_derivative(
            curve, x, method=scheme, f0=curve(x), bounds=(lower, upper), **step
        )
        assert np.array_equal(gradient(d, curve, x), expected)


@given(places(), st.sampled_from(["2-point", "3-point"]))
def test_no_point_leaves_the_box(place: Any, scheme: str) -> None:
    x, lower, upper = place
    points = list(Differences(scheme=scheme, lower=lower, upper=upper).points(x, curve(x)))
    assert all(np.all(lower <= point) and np.all(point <= upper) for point in points)
    assert all(np.count_nonzero(point != x) == 1 for point in points)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_cost_is_the_number_of_points_and_fixed_variables_cost_nothing(scheme: str) -> None:
    x = np.array([1.0, 2.0, 3.0])
    box = {"lower": np.array([0.0, 2.0, -np.inf]), "upper": np.array([1.0, 2.0, np.inf])}
    d = Differences(scheme=scheme, **box)
    assert d.cost == len(list(d.points(x, 0.0))) == (4 if scheme == "3-point" else 2)
    assert gradient(d, curve, x)[1] == 0.0
    assert all(point[1] == 2.0 for point in d.points(x, 0.0))


@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
def test_three_points_are_exact_for_parabolas_at_bounds_too(at: float) -> None:
    box = {"lower": np.zeros(1), "upper": np.ones(1)}
    d = Differences(scheme="3-point", abs_step=2.0**-10, **box)
    assert gradient(d, lambda x: (3.0 * x**2 - x).item(), np.array([at])) == 6.0 * at - 1.0


def test_values_in_float32_widen_the_step() -> None:
    box = {"lower": np.full(1, -np.inf), "upper": np.full(1, np.inf)}
    d = Differences(scheme="2-point", **box)
    (point,) = d.points(np.ones(1), np.float32(1.0))
    assert point == 1.0 + float(np.finfo(np.float32).eps) ** 0.5


def test_a_step_that_rounding_swallows_is_replaced() -> None:
    box = {"lower": np.full(1, -np.inf), "upper": np.full(1, np.inf)}
    d = Differences(scheme="2-point", abs_step=1e-8, **box)
    (point,) = d.points(np.array([1e12]), 0.0)
    assert point > 1e12


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(InputError, match=r"'4-point'.*2-point"):
        Differences(scheme="4-point", lower=np.zeros(1), upper=np.ones(1))
