"""The functions with many minima are the published ones: gradients, places and values of minima."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.global_peers import Counted, Enough, until_lowest
from benchmarks.problems.gkls import TYPES, gkls
from benchmarks.problems.multimodal import (
    CONSTRAINED,
    DISTINCT,
    LOWEST,
    Problem,
    generated,
    waves,
    wells,
)

PROBLEMS = [*DISTINCT, *LOWEST, *CONSTRAINED, waves(3, 0), wells(3, 0)]


def slope(function, x: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The gradient by central differences."""
    sides = [(x + part, x - part) for part in np.diag(step)]
    return np.array([(function(a)[0] - function(b)[0]) for a, b in sides]) / (2 * step)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_gradients_are_the_derivatives(problem: Problem) -> None:
    low, high = np.array(problem.bounds).T
    for x in np.random.default_rng(3).uniform(low, high, (4, low.size)):
        f, g = problem.function(x)
        assert np.isfinite(f)
        made = slope(problem.function, x, 1e-7 * (high - low))
        assert g == pytest.approx(made, abs=1e-4 * np.abs(made).max())


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_generated_functions_are_continuous_and_have_their_minima(type: str, n: int) -> None:
    made = gkls(n, 5, type=type, minima=10 if n < 10 else 30)
    random = np.random.default_rng(n)
    for place, value, radius in zip(made.places[1:], made.values[1:], made.radii[1:], strict=True):
        assert made(place)[0] == value
        for direction in random.standard_normal((5, n)):
            unit = direction / np.linalg.norm(direction)
            assert made(place + 1e-3 * radius * unit)[0] > value
            x = place + random.uniform(0.2, 0.9) * radius * unit
            assert made(x)[1] == pytest.approx(slope(made, x, np.full(n, 1e-7)), rel=1e-4, abs=1e-4)
            inner, outer = (made(place + radius * (1 + e) * unit) for e in (-1e-9, 1e-9))
            assert inner[0] == pytest.approx(outer[0], abs=1e-6)
            if type != "ND":
                assert inner[1] == pytest.approx(outer[1], abs=1e-4)
    assert made.values.min() == -1.0 == made.values[1]


def test_balls_do_not_overlap_and_functions_of_a_class_differ() -> None:
    first, second = gkls(3, 0), gkls(3, 1)
    apart = np.linalg.norm(first.places[:, None] - first.places[None], axis=2)
    sums = first.radii[:, None] + first.radii[None]
    np.fill_diagonal(sums, -1.0)
    assert (apart[1:, 1:] > sums[1:, 1:]).all()
    assert not np.array_equal(first.places, second.places)
    assert np.array_equal(first.places, gkls(3, 0).places)


def test_peers_are_counted_until_they_meet_the_lowest_value() -> None:
    problem = generated(2, 3)
    counted = Counted(problem, -1.0, 100)
    place = problem.places[0]
    assert counted.value(place) == 0.0
    assert counted.count == 1
    counted.slope(place)
    assert counted.count == 1
    with pytest.raises(Enough):
        counted.value(problem.places[1])
    assert counted.met == 2
    assert until_lowest("basinhopping", problem, -1.0, 3, 0) is None
    assert 3 < until_lowest("basinhopping", problem, -1.0, 4000, 0) <= 4000
