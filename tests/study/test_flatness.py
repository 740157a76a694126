"""An objective with one value everywhere: said, and told from plateaus with something beside."""

from __future__ import annotations

import math

import pytest

from optdriver.errors import ObjectiveWarning
from optdriver.studies import create_study
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
    assert study.num_evaluations <= 100  # noise is looked for along a line from the first start
    assert same(Study.from_dict(study.to_dict()).to_dict(), study.to_dict())


def test_a_study_that_is_done_anyway_says_so_too():
    with pytest.warns(ObjectiveWarning, match="3.7, .* different points, from 6 starts"):
        study = run(lambda x, y: (3.7, [0.0, 0.0]), jac=True, max_num_minimizers=6)
    assert study.stop_kind == "flat"
    assert not study.info()["success"]
    # a few starts may well lie on one plateau, or at one minimum
    study = run(lambda x, y: (3.7, [0.0, 0.0]), jac=True, max_num_minimizers=2)
    assert study.stop_kind == "driver"


@pytest.mark.parametrize("driver", ["Nelder-Mead", "Powell"])
def test_a_study_that_another_limit_stops_has_no_success_and_says_so(driver):
    with pytest.warns(ObjectiveWarning, match="3.7 at all of .* different points"):
        study = run(lambda x, y: 3.7, driver=driver, max_iter=400)
    info = study.info()
    assert study.stop_kind == "max_iter"
    assert sum(row.state == "converged" for row in study.runs) >= 3
    assert not info["success"]
    assert any("does it read its parameters" in note for note in info["notes"])
    study.add_point({"x": 0.5, "y": 0.5}, 3.6)  # it is no constant
    assert study.flat() == ""


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

    for seed in range(5):
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


@pytest.mark.parametrize("places", [1, 3])
def test_differences_of_a_constant_are_asked_for_round_the_first_starts_only(places):
    study, before = (  # before: as in 0.3.0
        create_study(BOX, seed=3, num_parallel=places, max_iter=1000, **rule)
        for rule in ({}, {"convergence_rule": 3})
    )
    for each in (study, before):
        while each.ask(places) or each.open_suggestions:
            each.tell(each.open_suggestions[0].id, -2.5)
    assert study.stop_kind == "flat"
    asked = [row.evaluations for row in study.runs]
    assert sum(n > 1 for n in asked) <= places
    assert len(asked) >= 20
    assert before.num_evaluations > 4 * study.num_evaluations


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 8), marks=pytest.mark.slow)])
def test_a_start_on_the_plateau_of_the_first_is_left_to_the_others(seeds):
    """Most starts see one value: those that see another find the hole."""

    def hole(x, y):
        return -(max(0.0, 0.5 - math.hypot(x - 0.3, y + 0.2)) ** 2)

    for seed in seeds:
        study = run(hole, max_num_minimizers=4, max_iter=2000, seed=seed)
        assert study.best.value == pytest.approx(-0.25, abs=1e-5)


def test_a_first_start_at_a_minimum_hides_no_other():
    def valleys(x, y):
        return math.sin(3.0 * x) ** 2 + y**2 + (0.1 if x > 0.5 else 0.0)

    study = run(valleys, initial_samples=[[0.0, 0.0], [0.9, 0.5], [-0.8, 0.3]], max_iter=300)
    assert len({round(row.value, 3) for row in study.runs if row.state == "converged"}) >= 2


def test_a_first_start_that_fails_does_not_hide_that_all_others_are_the_same():
    def objective(x, y):
        if x > 0.6:
            raise ValueError("no value here")
        return 3.7

    with pytest.warns(ObjectiveWarning):
        study = run(objective, initial_samples=[[0.8, 0.0]], max_iter=1000)
    assert study.stop_kind == "flat"
    assert study.num_evaluations <= 110
