"""Feasible starts: all feasible, spread, in every component; the same for a seed."""

import numpy as np
import pytest

from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError
from optdriver.feasible.region import region
from optdriver.feasible.starts import feasible_starts


def compiled(rows, n=2):
    made = ConstraintSet(rows, [f"x{i + 1}" for i in range(n)], [(0.0, 1.0)] * n)
    return region(made, made.lower, made.upper, np.full(n, 0.5))


def check(made, starts, count):
    assert len(starts.points) == count
    assert all(made.is_feasible(point) for point in starts.points)
    distances = np.linalg.norm(starts.points[:, None] - starts.points, axis=2)
    assert np.min(distances + np.eye(count)) > 0.0


def test_points_are_taken_as_they_come_where_many_are_feasible():
    made = compiled("(x1 - 0.5)^2 + (x2 - 0.5)^2 <= 0.1")
    starts = feasible_starts(made, 64, seed=3)
    check(made, starts, 64)
    assert starts.fraction == pytest.approx(np.pi * 0.1, abs=0.05)


@pytest.mark.parametrize("radius", ["1e-2", "1e-3"])
def test_small_discs_are_all_found(radius):
    middles = [(0.2, 0.2), (0.8, 0.7), (0.8, 0.1), (0.1, 0.9)]
    discs = [f"(x1 - {a})^2 + (x2 - {b})^2" for a, b in middles]
    made = compiled(f"min({', '.join(discs)}) <= {radius}^2")
    starts = feasible_starts(made, 32, seed=1)
    check(made, starts, 32)
    for a, b in middles:
        near = np.hypot(starts.points[:, 0] - a, starts.points[:, 1] - b) <= 1.001 * float(radius)
        assert near.sum() >= 4


def test_points_on_a_sphere():
    made = compiled("x1^2 + x2^2 + x3^2 == 0.5", 3)
    starts = feasible_starts(made, 16, seed=2)
    check(made, starts, 16)


def test_the_first_starts_do_not_depend_on_how_many_are_asked_for():
    made = compiled("(x1 - 0.5)^2 + (x2 - 0.5)^2 <= 1e-4")
    few, many = feasible_starts(made, 4, seed=5), feasible_starts(made, 16, seed=5)
    np.testing.assert_array_equal(few.points, many.points[:4])
    other = feasible_starts(made, 4, seed=6)
    assert not np.array_equal(few.points, other.points)


def test_an_empty_set_is_recognised():
    rows = [
        {"name": "disc", "constraint": "x1^2 + x2^2 <= 0.1"},
        {"name": "far", "constraint": "x1*x2 >= 0.5"},
    ]
    with pytest.raises(InputError, match="resists"):
        feasible_starts(compiled(rows), 4)
