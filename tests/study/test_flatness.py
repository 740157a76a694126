"""An objective with one value everywhere: said, and told from plateaus with something beside."""

from __future__ import annotations

import math

import pytest

from optdriver.errors import ObjectiveWarning
from optdriver.study import create_study
from optdriver.study.study import Study
from tests.study.tools import same

BOX = {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}


def run(objective, **parameters):
    study = create_study(BOX, **({"seed": 3} | parameters))
    study.run(objective)
    return study


@pytest.mark.parametrize(
    ("objective", "parameters"),
    [
        (lambda x, y: 3.7, {}),
        (lambda x, y: (3.7, [0.0, 0.0]), {"jac": True}),
        (lambda x, y: 0.0, {"jac": False, "two_sided": True, "num_parallel": 4}),
        (lambda x, y: 3.7, {"driver": "CMA-ES"}),
        (lambda x, y: (3.7, [0.0, 0.0]), {"jac": True, "constraints": ["x^2 + y^2 <= 1"]}),
    ],
)
def test_a_constant_is_flat(objective, parameters):
    with pytest.warns(ObjectiveWarning, match="does it read its parameters"):
        study = run(objective, max_iter=1000, **parameters)
    assert study.stop_kind == "flat"
    assert not study.info()["success"]
    assert study.num_evaluations <= 500  # noise is looked for along a line from each start
    assert same(Study.from_dict(study.to_dict()).to_dict(), study.to_dict())


def test_a_study_that_is_done_anyway_says_so_too():
    with pytest.warns(ObjectiveWarning, match="3.7, .* different points, from 6 starts"):
        study = run(lambda x, y: (3.7, [0.0, 0.0]), jac=True, max_num_minimizers=6)
    assert study.stop_kind == "flat"
    assert not study.info()["success"]
    # a few starts may well lie on one plateau, or at one minimum
    study = run(lambda x, y: (3.7, [0.0, 0.0]), jac=True, max_num_minimizers=2)
    assert study.stop_kind == "driver"


def test_it_goes_on_if_told_so():
    with pytest.warns(ObjectiveWarning):
        study = run(lambda x, y: (3.7, [0.0, 0.0]), jac=True, max_iter=100)
    assert "stop_after_flat" in study.how_to_go_on()
    study.set_parameters(stop_after_flat=math.inf)
    study.run(lambda x, y: (3.7, [0.0, 0.0]))
    assert study.stop_kind == "max_iter"


@pytest.mark.parametrize("part", [0.5, 0.8])
def test_a_plateau_with_a_hole_is_searched(part):
    def hole(x, y):
        depth = max(0.0, part - math.hypot(x, y))
        slope = [0.0, 0.0] if depth == 0.0 else [2 * depth * s / math.hypot(x, y) for s in (x, y)]
        return -(depth**2), slope

    for seed in range(20):
        study = run(hole, jac=True, max_num_minimizers=30, seed=seed)
        assert study.stop_kind == "driver"
        assert study.best.value < 0.0


def test_starts_at_one_minimum_are_not_flat():
    study = run(
        lambda x, y: (x * x + y * y, [2 * x, 2 * y]), jac=True, max_num_minimizers=8,
        initial_samples=[[0.0, 0.0]],
    )  # fmt: skip
    assert study.stop_kind == "driver"
    assert study.info()["success"]
