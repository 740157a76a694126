"""Constraints of ordinary size in huge boxes, in which no point that is spread out shows them."""

from __future__ import annotations

import pytest

from optdriver import create_study
from optdriver.errors import ConstraintError


def bowl(x, y):
    return (x - 3.0) ** 2 + (y - 2.0) ** 2, [2.0 * (x - 3.0), 2.0 * (y - 2.0)]


SETS = {
    "ellipse": ("x^2/9 + y^2 <= 1", (1.0, 0.5), lambda x, y: x * x / 9 + y * y <= 1),
    "ring": (
        ["x^2 + y^2 <= 4", "x^2 + y^2 >= 1"],
        (1.5, 0.0),
        lambda x, y: 1 <= x * x + y * y <= 4,
    ),
    "circle": ("x^2 + y^2 == 1", (1.0, 0.0), lambda x, y: abs(x * x + y * y - 1) <= 1e-6),
    "units": ("1e6*x^2 + y^2/1e6 <= 1", (1e-4, 0.3), lambda x, y: 1e6 * x * x + y * y / 1e6 <= 1),
}


@pytest.mark.parametrize("side", [1e6, 1e10, 1e20])
@pytest.mark.parametrize("name", SETS)
def test_a_study_of_a_small_set_begins_at_the_sample(name, side):
    texts, sample, holds = SETS[name]
    study = create_study({"x": (-side, side), "y": (-side, side)}, constraints=texts)
    study.set_parameters(jac=True, initial_samples=[sample], max_iter=60, max_num_minimizers=2)
    study.run(bowl)
    history = study.history
    assert (history["x"][0], history["y"][0]) == pytest.approx(sample, rel=1e-12)
    assert all(holds(x, y) for x, y in zip(history["x"], history["y"], strict=True))


def test_a_study_finds_a_small_set_without_a_sample():
    study = create_study({"x": (-1e10, 1e10), "y": (-1e10, 1e10)}, constraints="x^2/9 + y^2 <= 1")
    study.set_parameters(jac=True, max_iter=60, max_num_minimizers=1)
    study.run(bowl)
    assert study.best.value == pytest.approx(2.31974, rel=1e-4)  # at the nearest point of it


def test_a_sample_that_is_given_at_once_always_suffices():
    box, row = {"x": (-1e10, 1e10), "y": (0.0, 1e10)}, "exp(-(x - 12345)^2 - y^2) >= 0.5"
    with pytest.raises(ConstraintError, match="if you know a feasible start, give it"):
        create_study(box, constraints=row)  # its slopes are 0 wherever it is looked for
    study = create_study(box, constraints=row, initial_samples=[(12345, 0.1)], jac=True)
    study.set_parameters(max_iter=20)
    study.run(bowl)
    assert (study.history["x"][0], study.history["y"][0]) == pytest.approx((12345, 0.1), rel=1e-12)
    assert study.best.value <= bowl(12344.5, 0.1)[0]


def test_an_empty_set_is_refused_in_a_huge_box_too():
    box = {"x": (-1e10, 1e10), "y": (-1e10, 1e10)}
    with pytest.raises(ConstraintError, match="no point satisfies all constraints"):
        create_study(box, constraints=["x^2 + y^2 <= 1", "x + y >= 3"])
