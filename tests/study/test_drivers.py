"""Studies of every driver: stopped and gone on with in every way, and kept in a file."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

import optdriver
from optdriver.coroutine import METHODS
from optdriver.drivers import driver_names
from optdriver.errors import InputError
from optdriver.studies import create_study
from tests.study.test_suspension import WAYS
from tests.study.tools import Clock, same

GRADIENTS = {"L-BFGS-B", *(method.name for method in METHODS if method.gradient)}
UNBOUNDED = {method.name for method in METHODS if not method.bounds}
PLAYED = [name for name in driver_names() if name not in ("NGOpt", "TBPSA", "TwoPointsDE")]


def settings(driver, *, jac=False):
    """A space and parameters that suit a driver."""
    if driver in UNBOUNDED:
        space = {"x": (-math.inf, math.inf), "y": (-math.inf, math.inf), "a": 3.0}
        samples = [[0.9, 0.8], [1.2, 1.3], [0.8, 0.6]]
    else:
        space, samples = {"x": (-2, 2), "y": (-1, 3), "a": 3.0}, []
    several = {"num_initial": 2} if driver in GRADIENTS else {}
    return space, {"driver": driver, "jac": jac, "initial_samples": samples, "seed": 5, **several}


def value(x, y, a):
    return (1 - x) ** 2 + a * (y - x * x) ** 2


def slope(x, y, a):
    return [-2 * (1 - x) - 4 * a * x * (y - x * x), 2 * a * (y - x * x)]


def residuals(x, y, a):
    return [math.sqrt(2.0) * (1 - x), math.sqrt(2.0 * a) * (y - x * x)]


def play(study, steps, change=None, *, clock=None):
    """Go on for so many steps, two suggestions at a time; return what was asked."""
    asked = []
    for step in range(steps):
        while len(study.open_suggestions) < 2 and (suggestion := study.ask()) is not None:
            asked.append((suggestion.id, suggestion.x.tobytes()))
        if not study.open_suggestions:
            break
        chosen = study.open_suggestions[(step * 7) % len(study.open_suggestions)]
        if chosen.id == 9:
            study.tell_failure(chosen.id, "injected")
        else:
            gradient = slope(**chosen.params) if study.parameters["jac"] else None
            fits = study.spec.driver == "least-squares"
            told = residuals(**chosen.params) if fits else value(**chosen.params)
            study.tell(chosen.id, told, gradient)
        if change is not None and step % 5 == 0:
            study = change(study, step)
    return study, asked


@pytest.mark.parametrize("driver", PLAYED)
def test_a_study_of_any_driver_goes_on_identically(driver):
    space, parameters = settings(driver, jac=driver in GRADIENTS)
    clock, journal = Clock(), []
    straight, expected = play(create_study(space, clock=clock, num_parallel=2, **parameters), 30)
    broken = create_study(space, clock=clock, num_parallel=2, journal=journal, **parameters)
    broken, asked = play(
        broken, 30, lambda study, step: WAYS[step // 5 % len(WAYS)](study, journal, clock)
    )
    assert asked == expected
    assert same(broken.to_dict(), straight.to_dict())


@pytest.mark.parametrize("driver", ["SLSQP", "TNC", "Nelder-Mead", "Powell", "CMA-ES", "DE"])
def test_a_study_of_another_driver_is_kept_in_a_file(tmp_path, driver):
    path = tmp_path / "study.db"
    space, parameters = settings(driver)
    straight, expected = play(create_study(space, num_parallel=2, **parameters), 30)
    study = create_study(space, num_parallel=2, storage=path, **parameters)
    asked = []
    for _ in range(3):
        study, some = play(study, 10)
        asked += some
        study.close()
        study = optdriver.load_study(path)
    assert asked == expected
    assert study.best.value == straight.best.value
    study.verify()
    study.close()


@pytest.mark.parametrize("driver", ["Nelder-Mead", "Powell", "COBYQA", "COBYLA"])
def test_no_differences_are_asked_where_no_gradient_is_needed(driver):
    space, parameters = settings(driver)
    study, _ = play(create_study(space, **parameters), 30)
    assert set(study.history["kind"]) == {"iterate"}


@pytest.mark.parametrize("driver", ["SLSQP", "TNC", "trust-constr"])
def test_differences_take_the_place_of_gradients(driver):
    space, parameters = settings(driver)
    study = create_study(space, max_num_minimizers=1, **parameters)
    study.run(value)
    assert study.best.value < 1e-5
    np.testing.assert_allclose(study.best.x, [1.0, 1.0], atol=1e-2)


INSIDE = ["x^2 + y^2 <= 1.1"]
"""The minimum of the objective lies outside; within it is on the circle."""

LEAVING = ("SLSQP", "trust-constr", "COBYQA", "COBYLA")


@functools.cache
def least_inside():
    """Return the least value on a fine grid of the disc."""
    x, y = np.meshgrid(np.linspace(-1.1, 1.1, 801), np.linspace(-1.1, 1.1, 801))
    inside = x**2 + y**2 <= 1.1
    return value(x[inside], y[inside], 3.0).min()


@pytest.mark.parametrize("driver", ["Nelder-Mead", "Powell", "CMA-ES", "DE", *LEAVING])
def test_constraints_with_every_driver_that_has_them(driver, tmp_path):
    """Stored and loaded at any time it goes on bit for bit; what counts is feasible."""
    space, parameters = settings(driver)
    parameters["constraints"] = INSIDE
    if driver in LEAVING:
        parameters["must_stay_feasible"] = False
    straight, expected = play(create_study(space, num_parallel=2, **parameters), 30)
    study = create_study(space, num_parallel=2, storage=tmp_path / "a.db", **parameters)
    asked = []
    for _ in range(3):
        study, some = play(study, 10)
        asked += some
        study.close()
        study = optdriver.load_study(tmp_path / "a.db")
    assert asked == expected
    study.verify()
    points = study.history.x
    outside = points[:, 0] ** 2 + points[:, 1] ** 2 - 1.1
    if driver in LEAVING:
        assert study.best.x @ study.best.x <= 1.1 + 1e-5
        kind = np.array(study.history["kind"])
        assert np.max(outside[kind == "iterate"]) > 0.0  # it does leave them
    else:
        assert np.max(outside) <= 1e-15
    for minimum in study.minima:
        assert minimum.x @ minimum.x <= 1.1 + 1e-5
    assert study.best.value == straight.best.value
    study.close()


@pytest.mark.parametrize("driver", ["Nelder-Mead", "CMA-ES", "SLSQP", "COBYQA"])
def test_under_constraints_the_least_value_is_found(driver):
    space, parameters = settings(driver)
    parameters |= {"constraints": INSIDE, "max_num_minimizers": 1}
    study = create_study(space, must_stay_feasible=driver not in LEAVING, **parameters)
    study.run(value)
    info = study.info()
    assert info["success"]
    assert abs(info["min_objective"] - least_inside()) <= 5e-3
    assert info["active_constraints"] == tuple(INSIDE) or driver == "CMA-ES"


def test_a_low_value_outside_is_never_the_best():
    """The first point asked violates the constraint and has the lowest value of all."""
    study = create_study(
        {"x": (-2, 2)}, constraints=["x^2 <= 1"], driver="SLSQP", must_stay_feasible=False,
        jac=True, min_val=-3.5, max_num_minimizers=1,
    )  # fmt: skip
    seen = []
    while not study.is_done():
        for suggestion in study.ask(1):
            x = suggestion.params["x"]
            seen.append(x)
            study.tell(suggestion.id, -(x**3), [-3.0 * x * x])
    assert max(map(abs, seen)) > 1.0 + 1e-3
    assert study.best.value == pytest.approx(-1.0, abs=1e-5)
    assert study.stop_kind != "min_val"
    assert study.info()["success"]


def test_options_of_the_method_reach_it():
    space, parameters = settings("Nelder-Mead")
    parameters["max_num_minimizers"] = 1
    rough, fine = (
        create_study(space, method_options={"xatol": tol, "fatol": tol}, **parameters)
        for tol in (1e-2, 1e-10)
    )
    for study in (rough, fine):
        study.run(value)
    assert rough.num_evaluations < fine.num_evaluations
    assert fine.best.value < 1e-15


@pytest.mark.parametrize(
    ("driver", "change", "message"),
    [
        ("BFGS", {}, "does not keep to bounds"),
        ("SLSQP", {"constraints": ["x + y <= 1"]}, "write must_stay_feasible=False"),
        ("TNC", {"constraints": ["x + y <= 1"]}, "takes no constraints: 'L-BFGS-B'"),
        ("SLSQP", {"must_stay_feasible": "no"}, "True or False"),
        ("Nelder-Mead", {"method_options": {"xatoll": 1}}, "did you mean 'xatol'"),
        ("CMA-ES", {"method_options": {"population": 7}}, "did you mean 'population_size'"),
        ("CMA-ES", {"method_options": {"sigma": -1.0}}, "at least"),
        ("L-BFGS-B", {"method_options": {"xatol": 1}}, "another method"),
        ("Nelder-Mead", {"method_options": 3}, "a dict of options"),
        ("Nelder-Mede", {}, "did you mean 'Nelder-?Mead'"),
        ("TwoPontsDE", {}, "did you mean 'TwoPointsDE'"),
    ],
)
def test_what_a_driver_cannot_do_is_refused(driver, change, message):
    with pytest.raises(InputError, match=message):
        create_study({"x": (-2, 2), "y": (-1, 3)}, driver=driver, **change).ask()


@pytest.mark.parametrize("driver", [method.name for method in METHODS if method.bounds])
def test_the_users_starts_are_the_first_points(driver):
    samples = [[0.31, 0.42], [-1.99, 0.7], [-2.0, -1.0], [1.99, 2.9], [0.0, 3.0]]
    space, parameters = {"x": (-2, 2), "y": (-1, 3)}, {"num_initial": 5, "num_parallel": 60}
    study = create_study(space, driver=driver, initial_samples=samples, **parameters)
    first = {}
    for suggestion in study.ask(60):
        first.setdefault(suggestion.run, suggestion.x.tolist())
    assert [first[run] for run in range(5)] == samples


def test_cobyqa_begins_at_every_start():
    study = create_study({"x": (-2, 2), "y": (-1, 3)}, driver="COBYQA", num_parallel=20, seed=1)
    study.set_parameters(num_initial=20)
    assert len({tuple(suggestion.x) for suggestion in study.ask(20)}) == 20
    study = create_study({"x": (-2, 2), "y": (-1, 3)}, driver="COBYQA", max_num_minimizers=2)
    study.run(lambda x, y: (x - 1) ** 2 + (y - 1) ** 2)
    assert study.best.value < 1e-8


@pytest.mark.parametrize("driver", ["CMA-ES", "nevergrad:PSO", "Nelder-Mead", "SLSQP"])
@pytest.mark.parametrize("scale", [True, False])
def test_constraints_that_are_bounds_hold_for_every_driver(driver, scale):
    rows = ["x1 >= 0.7", "2*x2 + 1 <= 0"]
    box = {"x1": (-900.0, 1.0), "x2": (-2.0, 3.0)}
    study = create_study(box, constraints=rows, driver=driver, max_iter=60, scale=scale)
    study.run(lambda x1, x2: (x1 + 3.0) ** 2 + (x2 - 4.0) ** 2)
    assert min(study.history["x1"]) >= 0.7
    assert max(study.history["x2"]) <= -0.5
    assert study.num_evaluations > 20
