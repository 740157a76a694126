"""Points found by cells are those that a look at all of them finds, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver.multistart.cells import Cells


def spread(rng, count, n):
    """Return points: even, in clusters, on a line, and many in one place."""
    points = rng.random((count, n))
    points[count // 2 :] = 0.5 + 0.01 * rng.standard_normal((count - count // 2, n))
    points[::7, 0] = 0.0
    points[::11] = 1.0
    return np.clip(points, 0.0, 1.0)


def distances(points, place):
    away = place - points
    return np.sqrt(np.einsum("ij,ij->i", away, away))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [0, 1, 40, 300, 2000])
def test_nearest_and_near_ones_are_those_of_all(n, count):
    rng = np.random.default_rng((n, count))
    points = spread(rng, count, n)
    cells = Cells(points[: count // 3])
    for known in range(count // 3, count + 1, 13):
        cells.added(points[:known])
    places = np.concatenate([rng.random((20, n)), points[:5], np.eye(n)])
    cells.added(points)
    gaps = cells.gaps(points, places)
    for place, gap in zip(places, gaps, strict=True):
        away = distances(points, place)
        assert gap == np.min(away, initial=np.inf)
        for radius in (1e-9, 0.03, 0.2, 3.0):
            rows = cells.within(points, place, radius)
            assert np.all(np.diff(rows) > 0)
            assert set(np.flatnonzero(away <= radius)) <= set(rows.tolist())


def test_few_are_looked_at_of_many():
    rng = np.random.default_rng(3)
    points = rng.random((20_000, 2))
    assert Cells(points).within(points, np.array([0.4, 0.6]), 0.01).size < 200


def test_where_nothing_can_vary_all_points_are_one():
    points = np.empty((3, 0))
    cells = Cells(points)
    assert cells.within(points, points[0], 0.1).tolist() == [0, 1, 2]
    assert cells.gaps(points, points[:2]).tolist() == [0.0, 0.0]
