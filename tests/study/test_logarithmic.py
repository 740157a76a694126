"""Logarithmic parameters: minimized over by their logarithm, shown in their own unit."""

from __future__ import annotations

import math

import numpy as np
import pytest

import optdriver
from optdriver.errors import GradientError, InputError
from optdriver.space.space import Space
from optdriver.studies import create_study
from tests.study.test_suspension import WAYS
from tests.study.tools import Clock, same

D = {"name": "D", "type": "continuous", "domain": (1e-15, 1e-10), "scale": "log"}
DOMAIN = [D, {"name": "b", "type": "continuous", "domain": (0.1, 5.0)}]
RIGHT = 3.7e-13


def bowl(D, b):
    u = math.log(D / RIGHT)
    return u * u + (b - 1) ** 2, {"D": 2 * u / D, "b": 2 * (b - 1)}


def value(D, b):
    return bowl(D, b)[0]


def tell_all(study, steps=1000):
    while not study.is_done() and steps > 0 and (suggestion := study.ask()) is not None:
        told, gradient = bowl(**suggestion.params)
        study.tell(suggestion.id, told, gradient if study.parameters["jac"] else None)
        steps -= 1


@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize(
    "domain", [DOMAIN, {"D": {"domain": (1e-15, 1e-10), "scale": "log"}, "b": (0.1, 5.0)}]
)
def test_a_diffusivity_is_found(jac, domain):
    study = create_study(domain, jac=jac, max_num_minimizers=3, seed=1)
    tell_all(study)
    assert study.info()["success"]
    assert study.best.params["D"] == pytest.approx(RIGHT, rel=1e-4)
    assert len(study.minima) == 1
    assert study.minima[0].times_found == 3
    x = study.history.x
    assert ((x >= [1e-15, 0.1]) & (x <= [1e-10, 5.0])).all()


def test_starts_are_spread_over_the_logarithm():
    study = create_study([D], jac=True, num_parallel=64, num_initial=64)
    logs = np.log10([suggestion.x[0] for suggestion in study.ask(64)])
    assert np.histogram(logs, bins=5, range=(-15, -10))[0].min() >= 12


def test_bounds_are_met_exactly_and_never_left():
    def falling(D):
        return math.log(D), {"D": 1 / D}

    for domain in ((3e-7, 0.3), (1.1e-300, 1.7e300), (0.1, 0.7), (5.0, math.inf)):
        study = create_study({"D": {"domain": domain, "scale": "log"}}, jac=True, max_iter=40,
                             initial_samples=[[domain[0] * 1.5]], max_num_minimizers=1)  # fmt: skip
        study.run(falling)
        assert study.best.params["D"] == domain[0]
        assert study.history.x.min() >= domain[0]
    space = Space({"D": {"domain": (3e-7, 0.3), "scale": "log"}})
    for side, bound in zip(space.driver_bounds[0], (3e-7, 0.3), strict=True):
        assert space.to_user(np.array([side]))[0] == bound
        assert space.to_driver(np.array([bound]))[0] == side


def test_initial_samples_are_handed_out_as_they_were_given():
    samples = [[2.3e-14, 2.0], [7.7e-11, 0.3], [1e-15, 5.0]]
    study = create_study(DOMAIN, jac=True, num_initial=3, num_parallel=3, initial_samples=samples)
    assert [suggestion.x.tolist() for suggestion in study.ask(3)] == samples


@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("constraint", ["D*b >= 1e-12", "D <= 1e-13", "log(D) + b <= -29.5"])
def test_constraints_are_in_the_parameters_own_unit(jac, constraint):
    study = create_study(DOMAIN, jac=jac, max_num_minimizers=2, constraints=[constraint], seed=3)
    tell_all(study)
    info = study.info()
    assert info["success"]
    assert info["active_constraints"] == (constraint,)
    for x in study.history.x:
        assert study.spec.compiled.is_feasible(x)
    multiplier = info["multipliers"][constraint]
    x = study.best.params
    if constraint == "D <= 1e-13":  # the value falls by this for each unit of D
        assert multiplier == pytest.approx(-bowl(**x)[1]["D"], rel=1e-3)
    if constraint == "D*b >= 1e-12":  # d f / d b = multiplier * d (D b) / d b
        assert multiplier == pytest.approx(bowl(**x)[1]["b"] / x["D"], rel=1e-3)


@pytest.mark.parametrize("way", range(len(WAYS)))
@pytest.mark.parametrize("constraints", [[], ["D*b >= 1e-12"]])
def test_it_is_restored_and_replayed_exactly(way, constraints):
    def play(change):
        clock, journal = Clock(), []
        study = create_study(
            DOMAIN, constraints=constraints, max_iter=24, clock=clock, journal=journal, seed=2
        )
        for _ in range(4):
            tell_all(study, 6)
            study = change(study, journal, clock)
        return study

    straight = play(lambda study, *_: study)
    assert same(play(WAYS[way]).to_dict(), straight.to_dict())
    assert straight.num_evaluations == 24


def test_it_is_kept_and_cannot_become_linear(tmp_path):
    path = tmp_path / "study.db"
    with optdriver.create_study(DOMAIN, jac=True, max_iter=8, storage=path) as study:
        study.run(bowl)
    with optdriver.load_study(path) as study:
        assert study.space.to_dict()["domain"][0]["scale"] == "log"
        assert study.verify().points == 8
    linear = [{**D, "scale": "linear"}, DOMAIN[1]]
    with pytest.raises(InputError, match="log"):
        optdriver.create_study(linear, storage=path)


def test_a_wrong_gradient_is_named_in_the_parameters_own_unit():
    def wrong(D, b):
        told, gradient = bowl(D, b)
        return told, {**gradient, "D": -gradient["D"]}

    study = create_study(DOMAIN, jac=True, check_grad=True, initial_samples=[[1e-13, 2.0]],
                         max_iter=9)  # fmt: skip
    with pytest.raises(GradientError, match="derivative by 'D'") as caught:
        study.run(wrong)
    right = bowl(1e-13, 2.0)[1]["D"]
    assert f"{-right:.1e}"[:3] in str(caught.value)
    create_study(DOMAIN, jac=True, check_grad=True, initial_samples=[[1e-13, 2.0]], max_iter=9).run(
        bowl
    )


def test_points_are_added_and_distances_are_those_of_the_logarithm():
    study = create_study(DOMAIN, jac=True, eps=0.5, initial_samples=[[RIGHT * 1.5, 1.0]])
    study.add_point({"D": RIGHT, "b": 1.0}, *bowl(RIGHT, 1.0))
    assert study.best.params == {"D": RIGHT, "b": 1.0}
    assert study.ask() is None  # log(1.5) from the best
    assert study.stop_kind == "eps"


@pytest.mark.parametrize("domain", [(0.0, 1.0), (-1.0, 1.0), (None, 1.0), (-math.inf, 1.0)])
def test_a_domain_without_logarithm_is_refused(domain):
    with pytest.raises(InputError, match="'D' is logarithmic, and its lower bound"):
        create_study([{**D, "domain": domain}])
    with pytest.raises(InputError, match="did you mean 'log'"):
        create_study([{**D, "scale": "logs"}])
