"""Values, gradients and points as users give them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optdriver.errors import InputError, InputTypeError
from optdriver.multistart.told import as_gradient, as_point, as_value, is_usable


@pytest.mark.parametrize(
    "f", [3, 3.0, np.float64(3), np.float32(3), np.int8(3), np.array(3), np.array([[3.0]])]
)
def test_values(f):
    value = as_value(f)
    assert type(value) is float
    assert value == 3.0


@pytest.mark.parametrize("f", ["3", None, 3j, np.array([1.0, 2.0]), [], object(), b"3"])
def test_what_is_no_value(f):
    with pytest.raises(InputTypeError, match="one real number"):
        as_value(f)


@pytest.mark.parametrize("g", [[1, 2], (1.0, 2.0), np.array([1, 2], dtype=np.float32)])
def test_gradients(g):
    vector = as_gradient(g, 2)
    assert vector.dtype == np.float64
    assert vector.tolist() == [1.0, 2.0]


def test_points_are_copies():
    x = np.array([0.5])
    point = as_point(x, np.zeros(1), np.ones(1))
    x[0] = 9.0
    assert point.tolist() == [0.5]
    with pytest.raises(InputError, match=r"bounds are \(0.0, 1.0\)"):
        as_point(x, np.zeros(1), np.ones(1))


@pytest.mark.parametrize(
    ("f", "g", "usable"),
    [
        (1.0, None, True),
        (1.0, np.array([1e308, 1e308]), True),
        (math.nan, None, False),
        (math.inf, np.zeros(2), False),
        (1.0, np.array([1.0, math.nan]), False),
        (1.0, np.array([-math.inf, 0.0]), False),
    ],
)
def test_usable_is_finite(f, g, usable):
    assert is_usable(f, g) is usable


def test_masked_values_and_gradients():
    with pytest.raises(InputTypeError, match="not masked ones"):
        as_gradient(np.ma.array([1.0, 2.0], mask=[False, True]), 2)
    with pytest.raises(InputTypeError, match="one real number"):
        as_value(np.ma.masked)
