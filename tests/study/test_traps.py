"""Shapes that trap, through a study: each ends right, or says why not, feasible at every point."""

from __future__ import annotations

import math
import warnings

import pytest

from optdriver.errors import ConstraintError, ConstraintWarning
from optdriver.studies import create_study

EXACT = 1e-15
ROUND = math.sqrt(2.0)


def square(x, y):
    return x * x + y * y


# name: texts, the same once more, the target of the distance, its least square
SHAPES = {
    "outside of a disc": (
        ["x^2 + y^2 >= 1"],
        lambda x, y: square(x, y) >= 1 - EXACT,
        (0.2, 0.1),
        (1 - math.sqrt(0.05)) ** 2,
    ),
    "annulus": (
        ["x^2 + y^2 <= 1", "x^2 + y^2 >= 0.81"],
        lambda x, y: 0.81 - EXACT <= square(x, y) <= 1 + EXACT,
        (2.0, 0.0),
        1.0,
    ),
    "two discs": (
        ["min((x - 2)^2 + y^2, (x + 2)^2 + y^2) <= 1"],
        lambda x, y: square(abs(x) - 2, y) <= 1 + EXACT,
        (0.0, 0.0),
        1.0,
    ),
    "thin sickle": (
        ["x^2 + y^2 <= 1", "(x - 0.02)^2 + y^2 >= 1"],
        lambda x, y: square(x, y) <= 1 + EXACT and square(x - 0.02, y) >= 1 - EXACT,
        (0.0, 2.0),
        1.0,
    ),
    "circle": (["x^2 + y^2 == 1"], lambda x, y: abs(square(x, y) - 1) <= 1e-9, (0.0, 2.0), 1.0),
    "two rows, one curve": (
        ["x^2 + y <= 1", "x^2 + y >= 1"],
        lambda x, y: abs(x * x + y - 1) <= 1e-9,
        (0.0, 2.0),
        1.0,
    ),
    "cusp": (
        ["y <= (1 - x)^3", "x >= 0", "y >= 0"],
        lambda x, y: x >= 0 and 0 <= y <= (1 - x) ** 3 + EXACT,
        (2.0, 0.0),
        1.0,
    ),
    "parallel and redundant": (
        ["x + y <= 1", "2*x + 2*y <= 2", "x + y <= 1 + 1e-9", "x + y <= 8"],
        lambda x, y: x + y <= 1 + EXACT,
        (1.0, 1.0),
        0.5,
    ),
    "barely feasible": (
        ["x^2 + y^2 <= 1", "x + y >= sqrt(2) - 1e-7"],
        lambda x, y: square(x, y) <= 1 + EXACT and x + y >= ROUND - 1e-7 - EXACT,
        (3.0, 3.0),
        2 * (3 - math.sqrt(0.5)) ** 2,
    ),
    "one point": (
        ["x + y == 0", "x == y"],
        lambda x, y: max(abs(x + y), abs(x - y)) <= 1e-9,
        (1.0, 0.0),
        1.0,
    ),
}


def driven(texts, target, most=120):
    """Run a study with two minimizers; return it and the points at which it was evaluated."""
    seen = []

    def distance(x, y):
        seen.append((x, y))
        a, b = target
        return square(x - a, y - b), [2 * (x - a), 2 * (y - b)]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstraintWarning)
        study = create_study({"x": (-3, 3), "y": (-3, 3)}, constraints=texts, jac=True)
    study.set_parameters(num_initial=2, max_num_minimizers=2, max_iter=most)
    study.run(distance)
    return study, seen


@pytest.mark.parametrize("name", SHAPES)
def test_a_study_ends_right_and_never_leaves_the_set(name):
    texts, holds, target, least = SHAPES[name]
    study, seen = driven(texts, target)
    assert all(holds(x, y) for x, y in seen)
    assert len(seen) < 120
    assert study.best.value == pytest.approx(least, abs=1e-3)
    assert study.best.value >= least - 1e-9
    assert study.stop_reason


def test_a_point_without_qualification_is_evaluated_once_and_is_a_minimum():
    study, seen = driven(["x^2 + y^2 <= 0"], (1.0, 0.0))
    assert seen == [(0.0, 0.0)]
    assert study.best.value == 1.0
    assert study.stop_reason.startswith("all starts are used, the feasible set has no other")
    assert "without multipliers" in study.runs[0].reason
    assert study.info()["success"]


def test_an_empty_set_is_refused_before_anything_is_evaluated():
    with pytest.raises(ConstraintError, match="resists"):
        driven(["x^2 + y^2 <= 1", "x*y >= 0.6"], (0.0, 0.0))
