"""Points as users give them, and what counts as an evaluation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optdriver.errors import InputError
from optdriver.multistart.told import as_point, is_usable
from tests.contracts.numbers import no_vectors


def test_points_are_copies():
    x = np.array([0.5])
    point = as_point(x, np.zeros(1), np.ones(1))
    x[0] = 9.0
    assert point.tolist() == [0.5]
    with pytest.raises(InputError, match=r"bounds are \(0.0, 1.0\)"):
        as_point(x, np.zeros(1), np.ones(1))


@pytest.mark.parametrize("kind", no_vectors(2))
def test_what_is_no_point(kind):
    with pytest.raises(InputError, match="the point "):
        as_point(no_vectors(2)[kind], np.zeros(2), np.ones(2))


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
